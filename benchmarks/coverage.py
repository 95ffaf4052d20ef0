"""How often 95 % intervals hold the truth: simulated test sets whose true AUC and average precision are known.

Scores are normal, positives shifted ("normal"); positives twice as spread ("wide"); or a part of the positives looks
like negatives ("missed"). A patient has one row, or two eyes whose labels and scores are correlated (0.5). Classes are
drawn at random, as a test set is. A test set without a positive has no interval: counted as undefined and left out of
the coverage; a method without an answer where the AUC itself is defined counts as a miss.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeground.metrics.ap_interval import ap_interval
from eyeground.metrics.auc_interval import METHODS, auc_interval, bounds, difference_interval, eyes_of
from eyeground.metrics.delong import areas
from eyeground.metrics.macro_interval import macro_ap_interval, macro_auc_interval
from eyeground.metrics.resample import Plan, bca, estimate, jackknife, percentile, prepare, resample

LEVEL = 0.95
RARE = (0.326, 0.322, 0.061, 0.061, 0.047, 0.029, 0.050, 0.280)
"""Prevalences of the eight labels of ODIR-5K, for the macro means; all labels have the same true AUC, and scores whose
errors are correlated (0.5)."""

CELLS = 2000
RESAMPLED = 600
MACRO = 400
DRAWS = 1000
"""Simulated test sets per line for closed forms, for bootstraps, for macro means; resamples of each bootstrap."""

Interval = list[float] | None


@dataclass(frozen=True)
class World:
    """What is simulated: `n` patients with `eyes` rows each."""

    n: int
    prevalence: float
    auc: float
    eyes: int = 1
    scores: str = "normal"


def run() -> dict[str, Any]:
    """Simulates, prints the tables, and returns the figures."""
    figures: dict[str, Any] = {"level": LEVEL, "replications": CELLS, "replications_bootstrap": RESAMPLED}
    figures |= {"replications_macro": MACRO, "draws": DRAWS}
    parts = {
        "auc": (grid(), single),
        "auc_other_scores": (others(), single),
        "bootstrap": (resampled(), bootstrapped),
        "ap": (precise(), precision),
        "macro": (macros(), macro),
        "difference": (pairs(), difference),
    }
    for name, (worlds, measure) in parts.items():
        print(f"-- {name}", flush=True)
        figures[name] = []
        for world in worlds:
            row = asdict(world) | measure(world)
            figures[name].append(row)
            print(line(row), flush=True)
    return figures


def line(row: dict[str, Any]) -> str:
    """One row of the printed table: coverage / mean length of each method."""
    head = f"{row['scores']:<7}{row['n']:>5} x{row['eyes']} {row['prevalence']:>5} {row['auc']:>5}"
    cells = (f"{name} {one['coverage']:.3f}/{one['length']:.3f}" for name, one in row["methods"].items())
    return f"{head} undefined {row['undefined']:.3f}  {'  '.join(cells)}"


def tables(figures: dict[str, Any]) -> dict[str, str]:
    """The tables of docs/intervals.md, in Markdown."""
    closed = ("score", "logit", "delong")
    boot = ("auc score", "auc percentile", "auc bca", "ap score", "ap percentile", "ap bca")
    whole = tuple(name.replace("score", "together") for name in boot)
    return {
        "auc": by_auc(figures["auc"], closed, "score"),
        "auc_other_scores": by_auc(figures["auc_other_scores"], ("score", "logit", "newcombe"), "score"),
        "ap": by_auc(figures["ap"], ("score",), "score"),
        "bootstrap": one_by_one(figures["bootstrap"], boot),
        "macro": one_by_one(figures["macro"], whole),
        "difference": by_auc(figures["difference"], ("delong-t", "delong"), "delong-t"),
    }


def by_auc(rows: list[dict[str, Any]], names: tuple[str, ...], measured: str) -> str:
    """A column for each AUC: coverage of each method, and in brackets the mean length of one of them."""
    aucs = sorted({row["auc"] for row in rows})
    lines = [
        _cells("scores", "eyes", "n", "positive", *(f"AUC {auc}" for auc in aucs)),
        _cells(*["---"] * (4 + len(aucs))),
    ]
    found = {(row["scores"], row["eyes"], row["n"], row["prevalence"], row["auc"]): row["methods"] for row in rows}
    for key in dict.fromkeys(key[:4] for key in found):
        shown = [found[(*key, auc)] for auc in aucs]
        texts = [" ".join(f"{one[name]['coverage']:.2f}" for name in names) for one in shown]
        ends = [f"{text} ({one[measured]['length']:.2f})" for text, one in zip(texts, shown, strict=True)]
        lines.append(_cells(*key[:3], f"{100 * key[3]:g} %", *ends))
    return "\n".join(lines)


def one_by_one(rows: list[dict[str, Any]], names: tuple[str, ...]) -> str:
    """A line for each simulated world: coverage and in brackets mean length of each method."""
    lines = [_cells("eyes", "n", "positive", "AUC", *names), _cells(*["---"] * (4 + len(names)))]
    for row in rows:
        texts = [f"{row['methods'][name]['coverage']:.3f} ({row['methods'][name]['length']:.2f})" for name in names]
        share = f"{100 * row['prevalence']:g} %" if row["prevalence"] else "as ODIR"
        lines.append(_cells(row["eyes"], row["n"], share, row["auc"], *texts))
    return "\n".join(lines)


def _cells(*texts: object) -> str:
    return f"| {' | '.join(str(text) for text in texts)} |"


def grid() -> Iterator[World]:
    for eyes in (1, 2):
        for n, shares in ((50, (0.1, 0.5)), (200, (0.02, 0.05, 0.2, 0.5)), (1000, (0.02, 0.05, 0.2))):
            for share in shares:
                for auc in (0.6, 0.75, 0.9, 0.97):
                    yield World(n, share, auc, eyes)


def others() -> Iterator[World]:
    for scores in ("wide", "missed"):
        for n, shares in ((200, (0.05, 0.2)), (1000, (0.02, 0.05, 0.2))):
            for share in shares:
                for auc in (0.75, 0.9, 0.97):
                    yield World(n, share, auc, 1, scores)


def resampled() -> Iterator[World]:
    for share, auc in ((0.05, 0.75), (0.05, 0.9), (0.05, 0.97), (0.2, 0.9)):
        yield World(200, share, auc)
    yield World(200, 0.05, 0.9, 2)
    yield World(1000, 0.05, 0.9)


def precise() -> Iterator[World]:
    for eyes in (1, 2):
        for n, shares in ((50, (0.1, 0.5)), (200, (0.02, 0.05, 0.2)), (1000, (0.02, 0.05, 0.2))):
            for share in shares:
                for auc in (0.75, 0.9, 0.97):
                    yield World(n, share, auc, eyes)


def macros() -> Iterator[World]:
    for eyes in (1, 2):
        for auc in (0.75, 0.9):
            yield World(200, 0.0, auc, eyes)
    for auc in (0.75, 0.9):
        yield World(1000, 0.0, auc)


def pairs() -> Iterator[World]:
    for n, share in ((200, 0.05), (200, 0.2), (1000, 0.02), (1000, 0.05)):
        for auc in (0.75, 0.9, 0.97):
            yield World(n, share, auc)


def single(world: World) -> dict[str, Any]:
    """Every closed form for one AUC."""
    tally = Tally(METHODS)
    for truth, score, patients in drawn(world, CELLS):
        if not 0 < truth.sum() < len(truth):
            tally.undefined += 1
            continue
        found = areas(truth, score, patients)
        eyes = eyes_of(patients[truth]), eyes_of(patients[~truth])
        tally.add({name: bounds(found, 0, eyes, LEVEL, name) for name in METHODS}, world.auc)
    return tally.row(CELLS)


def precision(world: World) -> dict[str, Any]:
    """The closed form for average precision."""
    tally, true = Tally(("score",)), true_precision(world.prevalence, world.auc)
    for truth, score, patients in drawn(world, CELLS // 2):
        if 0 < truth.sum() < len(truth):
            tally.add({"score": ap_interval(truth, score, patients, LEVEL)}, true)
        else:
            tally.undefined += 1
    return tally.row(CELLS // 2) | {"true": round(true, 4)}


def bootstrapped(world: World) -> dict[str, Any]:
    """Bootstraps beside the closed forms, on the same test sets, for AUC and average precision."""
    true = {"auc": world.auc, "ap": true_precision(world.prevalence, world.auc)}
    names = ("score", "percentile", "bca")
    tallies = {key: Tally(names) for key in true}
    for seed, (truth, score, patients) in enumerate(drawn(world, RESAMPLED)):
        if not 0 < truth.sum() < len(truth):
            for tally in tallies.values():
                tally.undefined += 1
            continue
        sample = prepare(truth[:, None], np.ones((len(truth), 1), bool), score[:, None], patients)
        draws, value, left_out = resample(sample, Plan(DRAWS, seed, 1)), estimate(sample), jackknife(sample)
        own = {
            "auc": auc_interval(truth, score, patients, LEVEL),
            "ap": ap_interval(truth, score, patients, LEVEL),
        }
        for key, tally in tallies.items():
            found = _two(*(getattr(one, key)[:, 0] for one in (draws, value, left_out)))
            tally.add({"score": own[key], **found}, true[key])
    rows = {key: tally.row(RESAMPLED) for key, tally in tallies.items()}
    methods = {f"{key} {name}": one for key, row in rows.items() for name, one in row["methods"].items()}
    return {"undefined": rows["auc"]["undefined"], "methods": methods}


def macro(world: World) -> dict[str, Any]:
    """Macro AUC and macro average precision over eight labels; a test set that lacks a label is undefined."""
    true = {"auc": world.auc, "ap": float(np.mean([true_precision(share, world.auc) for share in RARE]))}
    shift = math.sqrt(2) * NormalDist().inv_cdf(world.auc)
    closed = {"auc": macro_auc_interval, "ap": macro_ap_interval}
    tallies = {key: Tally(("together", "percentile", "bca")) for key in true}
    sets = [drawn(World(world.n, share, world.auc, world.eyes), MACRO, salt) for salt, share in enumerate(RARE)]
    generator = _generator(world, 1)
    for seed, labels in enumerate(zip(*sets, strict=True)):
        truth, score = (np.stack([one[part] for one in labels], axis=1) for part in (0, 1))
        score = _mixed(score, shift * truth, _shared(generator, world)[:, None])
        sample = prepare(truth, np.ones_like(truth), score, labels[0][2])
        if len(sample.both()) < len(RARE):
            for tally in tallies.values():
                tally.undefined += 1
            continue
        draws, value, left_out = resample(sample, Plan(DRAWS // 2, seed, 1)), estimate(sample), jackknife(sample)
        for key, tally in tallies.items():
            found = _two(*(one.macro(key) for one in (draws, value, left_out)))
            tally.add({"together": closed[key](sample, LEVEL), **found}, true[key])
    rows = {key: tally.row(MACRO) for key, tally in tallies.items()}
    methods = {f"{key} {name}": one for key, row in rows.items() for name, one in row["methods"].items()}
    return {"undefined": rows["auc"]["undefined"], "methods": methods}


def difference(world: World) -> dict[str, Any]:
    """Two systems on the same rows, their errors correlated 0.5, the second one's shift 0.8 of the first's."""
    shift = math.sqrt(2) * NormalDist().inv_cdf(world.auc)
    true = world.auc - NormalDist().cdf(0.8 * shift / math.sqrt(2))
    tally, generator = Tally(("delong", "delong-t")), _generator(world, 1)
    for truth, score, _ in drawn(world, CELLS):
        if not 1 < truth.sum() < len(truth) - 1:
            tally.undefined += 1
            continue
        common, gain = generator.standard_normal(len(truth)), 0.8 * shift * truth
        other = _mixed(gain + generator.standard_normal(len(truth)), gain, common)
        both = np.stack([_mixed(score, shift * truth, common), other])
        gap, error, _ = areas(truth, both).difference(0, 1)
        reach = NormalDist().inv_cdf((1 + LEVEL) / 2) * error
        tally.add({"delong": [gap - reach, gap + reach], "delong-t": difference_interval(truth, both)}, true)
    return tally.row(CELLS) | {"true": round(true, 4)}


class Tally:
    """Hits and lengths of each method over simulated test sets."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.hits: dict[str, list[bool]] = {name: [] for name in names}
        self.lengths: dict[str, list[float]] = {name: [] for name in names}
        self.undefined = 0

    def add(self, found: dict[str, Interval], true: float) -> None:
        """Counts one test set; None is a miss."""
        for name, one in found.items():
            self.hits[name].append(one is not None and one[0] <= true <= one[1])
            if one is not None:
                self.lengths[name].append(one[1] - one[0])

    def row(self, replications: int) -> dict[str, Any]:
        methods = {
            name: {
                "coverage": round(float(np.mean(hits)), 4),
                "length": round(float(np.mean(self.lengths[name])), 4),
                "no_answer": round(1 - len(self.lengths[name]) / len(hits), 4),
            }
            for name, hits in self.hits.items()
        }
        return {"undefined": round(self.undefined / replications, 4), "methods": methods}


def _two(draws: NDArray[np.float64], value: NDArray[np.float64], left_out: NDArray[np.float64]) -> dict[str, Interval]:
    """Percentile and BCa."""
    found = {"percentile": percentile(draws, LEVEL), "bca": bca(draws, float(value[0]), left_out, LEVEL)}
    return {name: None if math.isnan(one.low) else [one.low, one.high] for name, one in found.items()}


def drawn(
    world: World, times: int, salt: int = 0
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.int64]]]:
    """Test sets: truth, score, patient of each row, (n x eyes,) each. `salt` makes other ones of the same world."""
    generator = _generator(world, 100 + salt)
    patients = np.repeat(np.arange(world.n), world.eyes)
    cut = NormalDist().inv_cdf(world.prevalence)
    for _ in range(times):
        truth = _shared(generator, world) < cut
        yield truth, _scores(generator, world, truth), patients


def _scores(generator: np.random.Generator, world: World, truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    noise, place = _shared(generator, world), NormalDist().inv_cdf(world.auc)
    if world.scores == "wide":
        return np.where(truth, 2 * noise + math.sqrt(5) * place, noise)
    if world.scores == "missed":  # positives 4 deviations off, but for a share that no system could tell
        seen = (world.auc - 0.5) / (NormalDist().cdf(4 / math.sqrt(2)) - 0.5)
        return noise + 4.0 * (truth & (generator.random(len(truth)) < seen))
    return noise + math.sqrt(2) * place * truth


def _shared(generator: np.random.Generator, world: World) -> NDArray[np.float64]:
    """Standard normal numbers, correlated 0.5 between a patient's eyes."""
    if world.eyes == 1:
        return generator.standard_normal(world.n)
    own, common = generator.standard_normal((world.n, world.eyes)), generator.standard_normal((world.n, 1))
    return (math.sqrt(0.5) * (own + common)).ravel()


def _mixed(score: NDArray[np.float64], gain: NDArray[np.float64], common: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores whose noise is half a common one in variance; `gain` is what the truth adds to them."""
    return gain + math.sqrt(0.5) * (score - gain + common)


def _generator(world: World, salt: int) -> np.random.Generator:
    shape = ("normal", "wide", "missed").index(world.scores)
    key = [world.n, round(1000 * world.prevalence), round(1000 * world.auc), world.eyes, shape, salt]
    return np.random.default_rng(key)


def true_precision(prevalence: float, auc: float) -> float:
    """The average precision of an endless test set with normal scores, by numerical integration over the threshold."""
    shift = math.sqrt(2) * NormalDist().inv_cdf(auc)
    grid = np.linspace(-8, 8 + shift, 20_001)
    tail = np.array([[NormalDist().cdf(mean - x) for x in grid] for mean in (shift, 0.0)])
    hits, misses = prevalence * tail[0], (1 - prevalence) * tail[1]
    precise = hits / (hits + misses)
    return float(((precise[1:] + precise[:-1]) / 2 * -np.diff(tail[0])).sum())
