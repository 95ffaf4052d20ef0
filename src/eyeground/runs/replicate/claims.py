"""What the runs say of the claims: differences over the same visits, folds and seeds, with intervals and p values.

Predictions of several folds are pooled seed by seed (their test parts share no visit); seeds are training runs of a
system, compared as `eyeground compare` compares them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeground.errors import DataError
from eyeground.metrics.compare import compare
from eyeground.metrics.compare_numbers import OVERALL, lay
from eyeground.metrics.compare_pairs import Rules, System, runs_of
from eyeground.metrics.compare_runs import Runs, mixed
from eyeground.metrics.holm import holm
from eyeground.metrics.predictions import read_predictions
from eyeground.metrics.resample import percentile
from eyeground.records import Cohort, label_arrays
from eyeground.runs.replicate.grid import Claim

SUPPORTED, OPPOSITE, UNDECIDED, NOT_RUN = "supported", "not supported", "undecided", "not run yet"
Cell = tuple[int, int]
"""A fold and a seed."""
Done = Mapping[str, Mapping[Cell, Path]]
"""Systems' predictions of the test part by fold and seed."""


@dataclass(frozen=True)
class Truth:
    """What is known of a cohort's visits: values and mask (n, C), whose they are, their labels' codes."""

    ids: tuple[str, ...]
    values: NDArray[np.float32]
    known: NDArray[np.bool_]
    patients: tuple[str, ...]
    codes: tuple[str, ...]

    @classmethod
    def of(cls, cohort: Cohort) -> Truth:
        """Of the visits of a cohort, as its protocol shows them."""
        visits = cohort.visits
        values, known = label_arrays([visit.labels for visit in visits], len(cohort.vocabulary))
        names = tuple(visit.patient for visit in visits)
        return cls(tuple(visit.id for visit in visits), values, known, names, cohort.vocabulary.codes)

    def rows(self, ids: Sequence[str], visits: str = "all") -> NDArray[np.intp]:
        """Positions of these visits, those of the asked number of labels only. Raises `DataError` for an unknown id."""
        place = {name: row for row, name in enumerate(self.ids)}
        missing = [name for name in ids if name not in place]
        if missing:
            raise DataError(f"predictions of visit {missing[0]}, which the cohort does not have; is it another cohort?")
        rows = np.array([place[name] for name in ids], dtype=np.intp)
        if visits == "all":
            return rows
        count = np.where(self.known[rows], self.values[rows], 0).sum(1)
        return rows[self.known[rows].all(1) & ((count == 1) if visits == "one_label" else (count > 1))]


def shared_cells(cells: Sequence[set[Cell]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Folds and seeds such that every system has each of the folds with each of the seeds; as many as can be."""
    common = set.intersection(*cells)
    folds = sorted({fold for fold, _ in common})
    best: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    for size in range(1, len(folds) + 1):
        for some in combinations(folds, size):
            seeds = sorted({s for _, s in common if all((fold, s) in common for fold in some)})
            if seeds and len(some) * len(seeds) >= len(best[0]) * len(best[1]):
                best = (some, tuple(seeds))
    return best


def judge_claim(claim: Claim, done: Done, truth: Truth, rules: Rules) -> dict[str, Any]:
    """One claim's difference, interval, p value and verdict, JSON-able."""
    sides = (claim.better, claim.worse)
    folds, seeds = shared_cells([set(done.get(name, {})) for name in sides])
    base: dict[str, Any] = {**vars(claim), "folds": list(folds), "seeds": list(seeds)}
    if not folds:
        return {**base, "verdict": NOT_RUN, "missing": [name for name in sides if not done.get(name)]}
    pooled = [[_pooled(done[name], folds, seed, truth, claim.visits) for seed in seeds] for name in sides]
    rows = pooled[0][0][0]
    for (other, _), seed in zip((one for side in pooled for one in side), [*seeds, *seeds], strict=True):
        if not np.array_equal(other, rows):
            raise DataError(f"{' and '.join(sides)} judge different visits (seed {seed}): are they of one split?")
    if len(rows) < 2:
        return {**base, "verdict": UNDECIDED, "n": len(rows), "note": "fewer than two such visits"}
    systems = [System(name, tuple(p for _, p in side)) for name, side in zip(sides, pooled, strict=True)]
    patients = np.array(truth.patients)[rows]
    found = compare(truth.values[rows], truth.known[rows], systems, truth.codes, patients, rules_for(rules, claim))
    number = found["pairs"][0][claim.measure]
    keys = ("first", "second", "difference", "interval", "p", "detectable")
    told = {key: number[key] for key in keys}
    return {**base, "n": len(rows), **told, "verdict": verdict(number["interval"])}


def verdict(interval: Sequence[float] | None) -> str:
    """Supported: all of the interval lies above 0; not supported: all below, the opposite was found; else undecided."""
    if interval is None:
        return UNDECIDED
    return SUPPORTED if interval[0] > 0 else OPPOSITE if interval[1] < 0 else UNDECIDED


def rules_for(rules: Rules, claim: Claim) -> Rules:
    """The rules, with the claim's measure."""
    return Rules(rules.draws, rules.permutations, rules.seed, rules.level, claim.measure, rules.threads)


def with_holm(claims: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The claims with `p_holm`: as many questions were asked as there are claims with a p value."""
    p = np.array([np.nan if one.get("p") is None else one["p"] for one in claims], float)
    corrected = holm(p) if len(p) else p
    return [
        one if np.isnan(value) else {**one, "p_holm": float(value)}
        for one, value in zip(claims, corrected, strict=True)
    ]


def system_numbers(cells: Mapping[Cell, Path], truth: Truth, rules: Rules) -> dict[str, Any]:
    """A system by itself over its folds and seeds: mean and interval of macro AUC, macro AP and the final number.

    Several seeds: Student's t over patients and training runs, as for a difference; one: percentiles over patients.
    """
    folds, seeds = shared_cells([set(cells)])
    pooled = [_pooled(cells, folds, seed, truth, "all") for seed in seeds]
    rows = pooled[0][0]
    ground = lay(truth.values[rows], truth.known[rows], np.array(truth.patients)[rows])
    runs = runs_of(ground, [System("", tuple(p for _, p in pooled))], rules)[0]
    count = len(OVERALL)
    if len(seeds) > 1:
        zero = Runs(np.zeros((1, runs.values.shape[1])), np.zeros((1, *runs.drawn.shape[1:])))
        bounds = mixed(runs, zero).interval(rules.level)[:count]
    else:
        drawn = [percentile(runs.drawn[0, :, k], rules.level) for k in range(count)]
        bounds = np.array([[one.low, one.high] for one in drawn])
    numbers = zip(OVERALL, runs.mean, bounds, strict=False)
    told = {name: {"value": _number(mean), "interval": _both(bound)} for name, mean, bound in numbers}
    return {"n": len(rows), "folds": list(folds), "seeds": list(seeds), **told}


def _pooled(
    cells: Mapping[Cell, Path], folds: Sequence[int], seed: int, truth: Truth, visits: str
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Rows of the truth, in its order, and probabilities (n, C) of one seed's predictions in all folds."""
    found: dict[int, NDArray[np.float64]] = {}
    for fold in folds:
        told = read_predictions(cells[fold, seed], truth.codes, by_name=True)
        wanted = set(truth.rows(told.ids, visits).tolist())
        for row, p in zip(truth.rows(told.ids).tolist(), told.probability, strict=True):
            if row in found:
                raise DataError(
                    f"visit {truth.ids[row]} is in the test part of two folds; the folds are not of one split"
                )
            if row in wanted:
                found[row] = p
    rows = np.array(sorted(found), dtype=np.intp)
    return rows, np.array([found[row] for row in rows.tolist()]).reshape(len(rows), len(truth.codes))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _both(bounds: NDArray[np.float64]) -> list[float] | None:
    return None if np.isnan(bounds).any() else [float(bounds[0]), float(bounds[1])]
