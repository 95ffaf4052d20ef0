"""Intervals for the numbers at an operating point: each by what holds there.

At a threshold that is given, sensitivity, specificity, PPV and NPV are shares: `proportions.share_interval`. At one
that a wanted sensitivity asks for, the threshold moves with the patients too: the specificity's interval is
`fixed_rate`'s where every row is a patient; for the rest patients are drawn and each draw finds its own threshold, as
`operating.operate` does. How often these cover the truth: docs/intervals.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.counts import above
from eyeground.metrics.delong import people_of
from eyeground.metrics.fixed_rate import at_sensitivity, at_specificity
from eyeground.metrics.operating import Point, predictive
from eyeground.metrics.proportions import share_interval
from eyeground.metrics.ranking import as_binary
from eyeground.metrics.resample import Bounds, Plan, percentile, weights_of

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
MEASURES = ("sensitivity", "specificity", "ppv", "npv", "f1")
BLOCK = 1_000_000
"""Most numbers (draws x cases) held at once for one label."""


@dataclass(frozen=True)
class Column:
    """One label: truth (n,) 0 or 1, scores (n,) in [0, 1], and the patient (n,) of each case, a number from 0."""

    truth: ArrayLike
    score: ArrayLike
    person: NDArray[np.int64]


def operating_intervals(
    found: Sequence[dict[str, Any]],
    labels: ArrayLike,
    mask: NDArray[np.bool_],
    scores: ArrayLike,
    points: Sequence[Point],
    patients: ArrayLike | None,
    plan: Plan,
) -> None:
    """Adds `intervals` and `methods` to every row of `details`' `operating` that has numbers.

    Args:
        found: one table for each point, filled in place.
        labels, mask, scores: (n, C) as in `details`.
        patients: (n,) or None.

    `intervals` holds for each number `[low, high]`, or None; what the point itself holds has none. `methods` names how:
    "wilson" ("wilson-effective" where a patient has several rows), "order-statistics" or "percentile".
    """
    person = people_of(patients, len(mask))
    people = int(person.max(initial=-1)) + 1
    y, p = np.asarray(labels, np.float64), np.asarray(scores, np.float64)
    columns = [Column(y[here, c], p[here, c], person[here]) for c, here in enumerate(mask.T)]
    alone = people == len(mask)
    prevalence = found[0]["prevalence"] if found else None
    bounded = operating_bounds(columns, points, people, plan, prevalence)
    for table, point, drawn in zip(found, points, bounded, strict=True):
        for row, column, bounds in zip(table["per_class"], columns, drawn, strict=True):
            if row["at"] is None:
                continue
            told = {name: _pair(one) for name, one in bounds.items()}
            methods = dict.fromkeys(told, "percentile")
            if point.kind == "threshold":
                shares = _shares(column, point)
                told |= shares
                methods |= dict.fromkeys(shares, "wilson" if alone else "wilson-effective")
            elif alone:
                better = _other(column, point)
                told, methods = told | better, methods | dict.fromkeys(better, "order-statistics")
            row |= {"intervals": told, "methods": methods}


def _shares(column: Column, point: Point) -> dict[str, list[float] | None]:
    truth, called = as_binary(column.truth), above(column.score, point.value)
    of = {"sensitivity": (truth, called), "specificity": (~truth, ~called)}
    of |= {"ppv": (called, truth), "npv": (~called, ~truth)}
    return {name: share_interval(right[rows], column.person[rows]) for name, (rows, right) in of.items()}


def _other(column: Column, point: Point) -> dict[str, list[float] | None]:
    if point.kind == "sensitivity":
        return {"specificity": at_sensitivity(column.truth, column.score, point.value)}
    return {"sensitivity": at_specificity(column.truth, column.score, point.value)}


def _pair(bounds: Bounds) -> list[float] | None:
    return [bounds.low, bounds.high] if bounds.low < bounds.high else None


def operating_bounds(
    columns: Sequence[Column], points: Sequence[Point], people: int, plan: Plan, prevalence: float | None = None
) -> list[list[dict[str, Bounds]]]:
    """Bootstrap intervals over patients, by point, label and measure.

    Args:
        columns: C labels.
        points: P operating points.
        people: patients in all; a patient's cases of all labels are drawn together.

    Returns:
        P lists of C dicts with the `MEASURES`, with a `prevalence` also PPV and NPV there; what the point itself holds
        (a sensitivity that is wanted) is left out.

    Raises:
        ValueError: shapes differ or a truth is not 0 or 1.
    """
    drawn = np.full((len(points), len(columns), len(MEASURES), plan.draws), np.nan)
    ready = [_Ready(column) for column in columns]
    size = max(1, BLOCK // max(people, 1))
    for start in range(0, plan.draws if people > 1 else 0, size):  # one patient says nothing of others
        block = range(start, min(start + size, plan.draws))
        weights = weights_of(people, plan, block)
        for c, one in enumerate(ready):
            above = one.sums(weights)
            for p, point in enumerate(points):
                drawn[p, c, :, block.start : block.stop] = _numbers(one, above, point)
    return [[_percentiles(each, point, prevalence) for each in drawn[p]] for p, point in enumerate(points)]


def _percentiles(drawn: Array, point: Point, prevalence: float | None) -> dict[str, Bounds]:
    """Intervals of one label's numbers (measures, draws) at one point."""
    found = {name: percentile(drawn[m]) for m, name in enumerate(MEASURES) if name != point.kind}
    if prevalence is not None:
        there = np.array([predictive(float(a), float(b), prevalence) for a, b in drawn[:2].T]).reshape(-1, 2)
        found |= {f"{name}_at_prevalence": percentile(there[:, m]) for m, name in enumerate(("ppv", "npv"))}
    return found


class _Ready:
    """One label's cases from the highest score down, and where the score changes."""

    def __init__(self, column: Column) -> None:
        truth, score = as_binary(column.truth), np.asarray(column.score, np.float64)
        if not truth.shape == score.shape == column.person.shape:
            raise ValueError(f"truth {truth.shape}, scores {score.shape}, patients {column.person.shape} differ")
        order = np.argsort(-score, kind="stable")
        self.positive, self.score, self.person = truth[order], score[order], column.person[order]
        ends = np.flatnonzero(np.diff(self.score) != 0) + 1
        last = [len(score)] if len(score) and self.score[-1] > 0 else []  # probability 0 is above no threshold
        self.cuts = np.concatenate([[0], ends, last]).astype(np.int64)
        """How many cases lie above each threshold that can be chosen, fewest first."""

    def sums(self, weights: NDArray[np.integer[Any]]) -> tuple[Array, Array]:
        """Positives and negatives, (draws, cuts + 1) each: above each cut, and in the last column all of them."""
        mine = weights[:, self.person].astype(np.float64)
        found = []
        for part in (self.positive, ~self.positive):
            total = np.zeros((len(mine), len(self.score) + 1))
            np.cumsum(mine * part, axis=1, out=total[:, 1:])
            found.append(total[:, [*self.cuts, -1]])
        return found[0], found[1]


def _numbers(one: _Ready, sums: tuple[Array, Array], point: Point) -> Array:
    """(measures, draws) at the point's threshold in each draw; nan where undefined or not reached."""
    (hits, positives), (false, negatives) = ((part[:, :-1], part[:, -1]) for part in sums)
    rows = np.arange(len(hits))
    with np.errstate(divide="ignore", invalid="ignore"):
        if point.kind == "threshold":
            at = np.full(len(hits), np.searchsorted(one.cuts, (one.score > point.value).sum()))
            there: Mask = np.ones(len(hits), bool)
        elif point.kind == "sensitivity":  # the highest threshold: the fewest cases above
            reached = hits / positives[:, None] >= point.value
            at = reached.argmax(axis=1)
            there = reached[rows, at]
        else:  # the lowest threshold: the most cases above
            reached = (negatives[:, None] - false) / negatives[:, None] >= point.value
            at = reached.shape[1] - 1 - reached[:, ::-1].argmax(axis=1)
            there = reached[rows, at]
        tp, fp = hits[rows, at], false[rows, at]
        tn, fn = negatives - fp, positives - tp
        shares = [tp / positives, tn / negatives, tp / (tp + fp), tn / (tn + fn), 2 * tp / (2 * tp + fp + fn)]
    return np.where(there, np.stack(shares), np.nan)
