"""How often two equally good systems are told apart, by each of the tests of `eyeground compare`; and its power.

Scores are normal, positives shifted; the second system's positives may be twice as spread at the same true AUC
("unlike"). Errors of two systems on a patient are correlated 0.5. One label, or eight as frequent as in ODIR-5K. With
several training runs, a third of the noise is a run's own, and a run's skill varies with a standard deviation (`tau`).
A test set without a positive has no AUC: it is counted as undefined and left out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.coverage import RARE
from eyeground.metrics.compare import compare
from eyeground.metrics.compare_numbers import alone, lay, resampled
from eyeground.metrics.compare_pairs import Rules, System
from eyeground.metrics.resample import Plan

Array = NDArray[np.float64]

ALPHA = 0.05
RULES = Rules(draws=400, permutations=499, threads=1)
SETS = {50: 400, 200: 400, 1000: 200}
"""Simulated test sets per line, by patients."""

MACRO = {200: 1000, 1000: 150}
RUNS = 200
"""Simulated test sets per line for eight labels, and for several training runs."""


@dataclass(frozen=True)
class World:
    """What is simulated: `auc` of the first system, `less` what the second lacks; `runs` of each."""

    n: int
    prevalence: float
    auc: float
    less: float = 0.0
    shape: str = "alike"
    runs: int = 1
    tau: float = 0.0


def run() -> dict[str, Any]:
    """Simulates, prints the tables, and returns the figures."""
    figures: dict[str, Any] = {"alpha": ALPHA, "draws": RULES.draws, "permutations": RULES.permutations}
    figures |= {"replications": {str(n): count for n, count in SETS.items()}}
    figures |= {
        "replications_macro": {str(n): count for n, count in MACRO.items()},
        "replications_runs": RUNS,
        "seconds": speed(),
    }
    print(figures, flush=True)
    parts: dict[str, tuple[Iterator[World], Callable[[World], dict[str, Any]]]] = {
        "null": (nulls(), null),
        "macro": (macros(), macro),
        "power": (powers(), power),
        "runs": (several(), training),
    }
    for name, (worlds, measure) in parts.items():
        print(f"-- {name}", flush=True)
        figures[name] = []
        for world in worlds:
            row = asdict(world) | measure(world)
            figures[name].append(row)
            print(row, flush=True)
    for name, table in tables(figures).items():
        print(f"-- {name}\n{table}", flush=True)
    return figures


def nulls() -> Iterator[World]:
    for n, shares in ((50, (0.2, 0.5)), (200, (0.05, 0.2))):
        for share in shares:
            for auc in (0.75, 0.95):
                yield World(n, share, auc)
    for share in (0.02, 0.2):
        yield World(1000, share, 0.9)
    for n, auc in ((200, 0.75), (200, 0.95), (1000, 0.75)):
        yield World(n, 0.2, auc, shape="unlike")


def macros() -> Iterator[World]:
    for n in (200, 1000):
        yield World(n, 0.0, 0.85)


def powers() -> Iterator[World]:
    for n, share in ((200, 0.2), (1000, 0.05)):
        yield World(n, share, 0.85)


def several() -> Iterator[World]:
    for runs in (3, 5):
        for tau in (0.0, 0.2):
            yield World(200, 0.2, 0.85, runs=runs, tau=tau)


def null(world: World) -> dict[str, Any]:
    """Shares of test sets in which each test tells two systems of the same AUC apart (one label)."""
    tally: dict[str, list[bool]] = {}
    undefined = 0
    for seed, (truth, first, second) in enumerate(drawn(world, SETS[world.n])):
        if not 0 < truth.sum() < len(truth):
            undefined += 1
            continue
        found = _compared(truth[:, None], first[:, :, None], second[:, :, None], seed)
        for name, one in _rejected(found["pairs"][0]["per_class"][0]["auc"], "auc").items():
            tally.setdefault(name, []).append(one)
        ap = _rejected(found["pairs"][0]["per_class"][0]["ap"], "ap")
        for name, one in ap.items():
            tally.setdefault(name, []).append(one)
    return {"undefined": undefined, "rejected": _shares(tally)}


def macro(world: World) -> dict[str, Any]:
    """The same for macro means over eight labels and for `final`, and how often any label's AUC is found after Holm."""
    tally: dict[str, list[bool]] = {}
    undefined = 0
    sets = [drawn(replace(world, prevalence=share), MACRO[world.n], salt) for salt, share in enumerate(RARE)]
    for seed, labels in enumerate(zip(*sets, strict=True)):
        truth, first, second = (np.stack([one[part] for one in labels], axis=-1) for part in range(3))
        if not (truth.any(axis=0) & ~truth.all(axis=0)).all():
            undefined += 1
            continue
        pair = _compared(truth, first, second, seed)["pairs"][0]
        for key in ("macro_auc", "macro_ap", "final"):
            for name, one in _rejected(pair[key], key).items():
                tally.setdefault(name, []).append(one)
        any_label = any(one["auc"]["p_holm"] <= ALPHA for one in pair["per_class"])
        tally.setdefault("any label's auc after Holm", []).append(any_label)
    return {"undefined": undefined, "rejected": _shares(tally)}


def power(world: World) -> dict[str, Any]:
    """The mean detectable difference of equal systems; then how often a true one of that size is found.

    "around": the two AUCs lie on either side of the world's; "below": the second lies below it and varies more.
    """

    def records(of: World, count: int) -> list[dict[str, Any]]:
        made = enumerate(drawn(of, count))
        usable = ((seed, one) for seed, one in made if 0 < one[0].sum() < len(one[0]))
        compared = (_compared(t[:, None], a[:, :, None], b[:, :, None], seed) for seed, (t, a, b) in usable)
        return [found["pairs"][0]["per_class"][0]["auc"] for found in compared]

    size = float(np.mean([one["detectable"] for one in records(world, 100)]))
    found = {"detectable": round(size, 4)}
    for name, auc in (("around", world.auc + size / 2), ("below", world.auc)):
        pairs = records(replace(world, auc=auc, less=size), SETS[world.n])
        found[name] = round(float(np.mean([one["p"] <= ALPHA for one in pairs])), 4)
    return found


def training(world: World) -> dict[str, Any]:
    """Two equally good ways to train, several runs each: patients x runs, patients only, and resampling both."""
    tally: dict[str, list[bool]] = {"patients and runs": [], "patients only": [], "both resampled": []}
    generator = np.random.default_rng([world.n, world.runs, round(1000 * world.tau)])
    for seed, (truth, first, second) in enumerate(drawn(world, RUNS)):
        one = _compared(truth[:, None], first[:, :, None], second[:, :, None], seed)["pairs"][0]["per_class"][0]["auc"]
        tally["patients and runs"].append(one["p"] <= ALPHA)
        tally["patients only"].append(one["p_permutation"] <= ALPHA)
        tally["both resampled"].append(not _resampled(truth, (first, second), generator))
    return {"rejected": _shares(tally)}


def drawn(world: World, times: int, salt: int = 0) -> Iterator[tuple[NDArray[np.bool_], Array, Array]]:
    """Test sets: truth (n,), scores of the first and of the second system (runs, n)."""
    key = [world.n, round(1000 * world.prevalence), round(1000 * world.auc), round(1e4 * world.less), world.runs]
    generator = np.random.default_rng([*key, round(1000 * world.tau), ("alike", "unlike").index(world.shape), salt])
    normal = NormalDist()
    cut = normal.inv_cdf(world.prevalence)
    places = [normal.inv_cdf(auc) for auc in (world.auc, world.auc - world.less)]
    own = 1 / 3 if world.runs > 1 else 0.0
    for _ in range(times):
        truth = generator.standard_normal(world.n) < cut
        common = generator.standard_normal(world.n)
        scores = []
        for k, place in enumerate(places):
            shared = math.sqrt(0.5) * common + math.sqrt(0.5 - own) * generator.standard_normal(world.n)
            noise = shared + math.sqrt(own) * generator.standard_normal((world.runs, world.n))
            shift = math.sqrt(2) * place + world.tau * generator.standard_normal((world.runs, 1))
            if k and world.shape == "unlike":
                scores.append(np.where(truth, 2 * noise + math.sqrt(5) * place, noise))
            else:
                scores.append(noise + shift * truth)
        yield truth, scores[0], scores[1]


def speed() -> dict[str, float]:
    """Seconds that one comparison takes with the defaults on one thread: eight labels, one run each."""
    found = {}
    for n in (384, 3500):
        sets = [next(drawn(World(n, share, 0.9), 1, salt)) for salt, share in enumerate(RARE)]
        truth, first, second = (np.stack([one[part] for one in sets], axis=-1) for part in range(3))
        start = time.perf_counter()
        _compared(truth, first, second, 0, Rules(threads=1))
        found[f"{n} patients"] = round(time.perf_counter() - start, 2)
    return found


def tables(figures: dict[str, Any]) -> dict[str, str]:
    """The tables of docs/comparing.md, in Markdown."""
    columns = ("auc permutation", "auc DeLong", "auc bootstrap", "ap permutation", "ap bootstrap")
    head = ("second system", "n", "positive", "AUC")
    lines = [_cells(*head, *columns), _cells(*["---"] * (len(head) + len(columns)))]
    for row in figures["null"]:
        null_holds = {name: row["shape"] == "alike" or name.startswith("auc") for name in columns}
        shares = (f"{row['rejected'][name]:.3f}" if null_holds[name] else "–" for name in columns)
        lines.append(_cells(row["shape"], row["n"], f"{100 * row['prevalence']:g} %", row["auc"], *shares))
    names = list(figures["macro"][0]["rejected"])
    whole = [_cells("n", "AUC", *names), _cells(*["---"] * (2 + len(names)))]
    for row in figures["macro"]:
        whole.append(_cells(row["n"], row["auc"], *(f"{row['rejected'][name]:.3f}" for name in names)))
    strong = [_cells("n", "positive", "detectable", "found around", "found below"), _cells(*["---"] * 5)]
    for row in figures["power"]:
        share = f"{100 * row['prevalence']:g} %"
        shown = (f"{row[name]:.3f}" for name in ("detectable", "around", "below"))
        strong.append(_cells(row["n"], share, *shown))
    ways = list(figures["runs"][0]["rejected"])
    runs = [_cells("runs", "n", "tau", *ways), _cells(*["---"] * (3 + len(ways)))]
    for row in figures["runs"]:
        runs.append(_cells(row["runs"], row["n"], row["tau"], *(f"{row['rejected'][way]:.3f}" for way in ways)))
    return {name: "\n".join(rows) for name, rows in zip(TABLES, (lines, whole, strong, runs), strict=True)}


TABLES = ("null", "macro", "power", "runs")


def _compared(truth: NDArray[np.bool_], first: Array, second: Array, seed: int, rules: Rules = RULES) -> dict[str, Any]:
    """`compare` for scores (runs, n, C) of any size."""
    systems = [
        System(name, tuple(1 / (1 + np.exp(-one / 4)) for one in scores))
        for name, scores in (("first", first), ("second", second))
    ]
    codes = [str(c) for c in range(truth.shape[1])]
    return compare(truth, np.ones_like(truth), systems, codes, rules=replace(rules, seed=seed))


def _rejected(one: dict[str, Any], name: str) -> dict[str, bool]:
    bounds = one["interval"]
    found = {f"{name} permutation": one["p_permutation"] <= ALPHA}
    if not name.endswith("ap") and name != "final":
        found[f"{name} DeLong"] = "delong" in one and one["delong"]["p"] is not None and one["delong"]["p"] <= ALPHA
    return found | {f"{name} bootstrap": bounds is not None and not bounds[0] <= 0 <= bounds[1]}


def _resampled(truth: NDArray[np.bool_], systems: tuple[Array, Array], generator: np.random.Generator) -> bool:
    """Whether 0 lies in the percentile interval when patients and runs are both drawn with replacement."""
    ground = lay(truth[:, None], np.ones((len(truth), 1), bool))
    means = []
    for scores in systems:
        sheets = [alone(ground, 1 / (1 + np.exp(-one[:, None] / 4))) for one in scores]
        drawn_auc = resampled(sheets, Plan(RULES.draws, 0, 1))[:, :, 3]
        picks = generator.integers(0, len(scores), drawn_auc.shape)
        means.append(np.take_along_axis(drawn_auc, picks, axis=0).mean(axis=0))
    low, high = np.nanquantile(means[0] - means[1], (ALPHA / 2, 1 - ALPHA / 2))
    return bool(low <= 0 <= high)


def _shares(tally: dict[str, list[bool]]) -> dict[str, float]:
    return {name: round(float(np.mean(hits)), 4) for name, hits in tally.items()}


def _cells(*texts: object) -> str:
    return f"| {' | '.join(str(text) for text in texts)} |"
