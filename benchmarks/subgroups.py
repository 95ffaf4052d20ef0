"""How often the interval of the largest gap leaves out 0 where groups do not differ, and holds the gap where they do.

Test sets of four labels whose normal scores are correlated (0.5), groups drawn at random. "apart": the first group's
true AUC is 0.10 below the others' (0.05 from an AUC of 0.95 on). "naive" is what an ordinary 95 % interval of the pair
that lies farthest apart does, from the same intervals of the two groups. With two eyes a patient n is still patients;
labels and scores of the two are correlated 0.5. A suppressed label has no gap and is left out.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeground.metrics.subgroups import Grouping, Rules, subgroups
from eyeground.vocabulary import Vocabulary

LABELS = 4
REPLICATIONS = 125
MEASURES = ("auc", "sensitivity", "specificity")


@dataclass(frozen=True)
class World:
    """`n` patients with `eyes` rows each, in groups of these `shares`."""

    n: int
    shares: tuple[float, ...]
    prevalence: float
    auc: float
    eyes: int = 1

    @property
    def lower(self) -> float:
        """The first group's AUC where groups lie apart."""
        return round(self.auc - (0.05 if self.auc >= 0.95 else 0.10), 2)


WORLDS = (
    World(300, (0.5, 0.5), 0.2, 0.8),
    World(1000, (0.5, 0.5), 0.05, 0.9),
    World(1000, (0.5, 0.5), 0.05, 0.97),
    World(1000, (1 / 3, 1 / 3, 1 / 3), 0.1, 0.97),
    World(500, (1 / 3, 1 / 3, 1 / 3), 0.3, 0.8, 2),
    World(1000, (0.2,) * 5, 0.3, 0.9),
    World(1000, (0.2,) * 5, 0.1, 0.8),
    World(2000, (0.6, 0.2, 0.1, 0.05, 0.05), 0.3, 0.9),
)


def run(replications: int = REPLICATIONS) -> dict[str, Any]:
    """Simulates, prints both tables, and returns the figures."""
    figures: dict[str, Any] = {"level": 0.95, "labels": LABELS, "replications": replications}
    for name, apart in (("null", False), ("apart", True)):
        figures[name] = []
        print(f"-- {name}", flush=True)
        for world in WORLDS:
            row = {**asdict(world), "lower": world.lower, "rates": simulate(world, apart, replications)}
            figures[name].append(row)
            print(line(row, apart), flush=True)
    return figures


def line(row: dict[str, Any], apart: bool) -> str:
    """One row of a table of docs/subgroups.md."""
    rates = row["rates"]
    shares = " ".join(f"{share:.0%}".replace("%", "") for share in row["shares"])
    cells = [row["n"], row["eyes"], shares, f"{row['prevalence']:.0%}", row["auc"]]
    if apart:
        cells += [row["lower"], *(_rate(rates[name]["holds"]) for name in ("auc", "macro"))]
    names = ("auc", "macro") if apart else ("naive", "auc", "sensitivity", "specificity", "macro")
    cells += [_rate(rates[name]["excludes_0"]) for name in names]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def simulate(world: World, apart: bool, replications: int) -> dict[str, dict[str, float | int]]:
    """Rates over simulated test sets."""
    counts = {name: [0, 0, 0] for name in (*MEASURES, "macro", "naive")}
    true = world.auc - world.lower if apart else 0.0
    vocabulary = Vocabulary.multilabel("simulated", [f"L{c}" for c in range(LABELS)])
    for replication in range(replications):
        generator = np.random.default_rng([replication, world.n, len(world.shares), int(1000 * world.auc), int(apart)])
        truth, score, groups, patients = draw(world, apart, generator)
        grouping = Grouping("g", "G", "drawn", tuple(map(str, groups)))
        probability = 1 / (1 + np.exp(-score))
        known = np.ones(truth.shape, bool)
        rules = Rules(patients, with_p=False)
        found = subgroups(truth, known, probability, vocabulary, [grouping], rules=rules)["by"][0]
        for gap in found["largest_gap"]["per_class"]:
            _count(counts[gap["measure"]], gap["interval"], true)
            if gap["measure"] == "auc":
                _count(counts["naive"], naive(found, gap), true)
        if found["largest_gap"]["macro_auc"]:
            _count(counts["macro"], found["largest_gap"]["macro_auc"]["interval"], true)
    return {
        name: {
            "gaps": n,
            "excludes_0": zero / n if n else math.nan,
            "holds": held / n if n else math.nan,
        }
        for name, (n, zero, held) in counts.items()
    }


def naive(found: dict[str, Any], gap: dict[str, Any]) -> list[float]:
    """The picked pair's interval as if it had been chosen beforehand."""
    rows = {one["group"]: row for one in found["groups"] for row in one["per_class"] if row["code"] == gap["code"]}
    best, worst = rows[gap["best"]], rows[gap["worst"]]
    below = math.hypot(best["auc"] - best["auc_interval"][0], worst["auc_interval"][1] - worst["auc"])
    above = math.hypot(best["auc_interval"][1] - best["auc"], worst["auc"] - worst["auc_interval"][0])
    return [gap["gap"] - below, gap["gap"] + above]


def draw(
    world: World, apart: bool, generator: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Truth and scores (rows, LABELS), groups and patients (rows,)."""
    n, eyes = world.n, world.eyes
    group = generator.choice(len(world.shares), n, p=world.shares)
    mixed = _normal(generator, n, eyes, LABELS)
    truth = mixed < NormalDist().inv_cdf(world.prevalence)
    common, own = _normal(generator, n, eyes, 1), _normal(generator, n, eyes, LABELS)
    shift = np.full(n, NormalDist().inv_cdf(world.auc) * math.sqrt(2))
    if apart:
        shift[group == 0] = NormalDist().inv_cdf(world.lower) * math.sqrt(2)
    score = math.sqrt(0.5) * common + math.sqrt(0.5) * own + truth * shift[:, None, None]
    rows = n * eyes
    patients = np.repeat(np.arange(n), eyes)
    return truth.reshape(rows, LABELS), score.reshape(rows, LABELS), group[patients], patients


def _normal(generator: np.random.Generator, n: int, eyes: int, labels: int) -> NDArray[np.float64]:
    """Standard normal (n, eyes, labels); the eyes of a patient are correlated 0.5."""
    if eyes == 1:
        return generator.standard_normal((n, 1, labels))
    shared = generator.standard_normal((n, 1, labels))
    return math.sqrt(0.5) * shared + math.sqrt(0.5) * generator.standard_normal((n, eyes, labels))


def _count(counts: list[int], interval: list[float], true: float) -> None:
    counts[0] += 1
    counts[1] += interval[0] > 0
    counts[2] += interval[0] <= true <= interval[1]


def _rate(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"
