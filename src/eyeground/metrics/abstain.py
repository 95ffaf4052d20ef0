"""What is gained when the least certain visits are refused: error against the share answered, and the area under it.

Chow, IEEE Trans. Information Theory 16, 1970 (refusing by the chance of error); Geifman, Uziel & El-Yaniv, ICLR 2019
(area under the risk-coverage curve).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.counts import above
from eyeground.metrics.official import HALF

Array = NDArray[np.float64]
STEPS = 20
"""Points of the curve in JSON: at 5 %, 10 %, ... of the visits answered."""


@dataclass(frozen=True)
class Curve:
    """Visits answered from the most certain on; nan where undefined.

    Attributes:
        error: (n,) share of wrong calls among the cells of the 1, 2, ..., n most certain visits.
        missed: (n,) 1 - sensitivity over their positive cells.
    """

    error: Array
    missed: Array

    def area(self, name: str = "error") -> float:
        """Mean of "error" or "missed" over 1, 2, ..., n visits answered, where defined; nan where it nowhere is."""
        values = getattr(self, name)
        defined = values[~np.isnan(values)]
        return float(defined.mean()) if len(defined) else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: `points` of (`answered`, `n`, `error`, `missed`), and both areas. Undefined is None."""
        n = len(self.error)
        points: list[dict[str, Any]] = []
        for step in range(1, STEPS + 1):
            count = -(-step * n // STEPS)  # rounded up: one visit at least
            if count and (not points or points[-1]["n"] != count):
                at = {"error": _number(self.error[count - 1]), "missed": _number(self.missed[count - 1])}
                points.append({"answered": count / n, "n": count, **at})
        areas = {"area_error": _number(self.area()), "area_missed": _number(self.area("missed"))}
        return {"n": n, **areas, "points": points}


def doubt(probability: ArrayLike, thresholds: ArrayLike | None = None) -> Array:
    """How uncertain each visit is, (n,): the mean over labels of the chance that the call is wrong, by the probability.

    That chance is 1 - p for a label that is called and p for one that is not; it is right as far as p is calibrated.

    Args:
        probability: (n, C) in [0, 1].
        thresholds: (C,) called when strictly above; None means 0.5.
    """
    values = np.asarray(probability, np.float64)
    called = above(values, HALF if thresholds is None else thresholds)
    return np.where(called, 1 - values, values).mean(axis=1)


def curve(
    truth: ArrayLike,
    known: ArrayLike,
    probability: ArrayLike,
    thresholds: ArrayLike | None = None,
    uncertainty: ArrayLike | None = None,
) -> Curve:
    """Refuses the least certain visits, one after the other.

    Of visits that are equally uncertain none goes first: each stands for the mean of them all, so the order of the rows
    does not matter, and a constant uncertainty gives a flat curve.

    Args:
        truth: (n, C), 0 or 1 where known.
        known: (n, C) bool.
        probability: (n, C) in [0, 1].
        thresholds: (C,) called when strictly above; None means 0.5.
        uncertainty: (n,) any real numbers; None means `doubt`.

    Raises:
        ValueError: shapes differ, or a probability or an uncertainty is nan.
    """
    labels, mask, scores = np.asarray(truth), np.asarray(known, bool), np.asarray(probability, np.float64)
    if labels.ndim != 2 or not labels.shape == mask.shape == scores.shape:
        raise ValueError(f"truth has shape {labels.shape}, known {mask.shape}, probability {scores.shape}")
    unsure = doubt(scores, thresholds) if uncertainty is None else np.asarray(uncertainty, np.float64)
    if unsure.shape != (len(labels),) or np.isnan(unsure).any() or np.isnan(scores).any():
        raise ValueError("every visit needs probabilities and an uncertainty that are numbers")
    positive = (labels == 1) & mask
    called = above(scores, HALF if thresholds is None else thresholds)
    wrong = mask & (called != (labels == 1))
    cells = np.stack([part.sum(axis=1) for part in (wrong, mask, positive & ~called, positive)], axis=1)
    group = np.unique(unsure, return_inverse=True)[1]
    size = np.bincount(group)
    shared = np.zeros((len(size), 4), np.int64)
    np.add.at(shared, group, cells)
    which = np.repeat(np.arange(len(size)), size)
    before, ends = np.cumsum(shared, axis=0) - shared, np.cumsum(size)
    part = (np.arange(1, len(labels) + 1) - (ends - size)[which]) / size[which]  # of the group, 1 at its end: exact
    total = before[which] + part[:, None] * shared[which]
    return Curve(_ratio(total[:, 0], total[:, 1]), _ratio(total[:, 2], total[:, 3]))


def _ratio(above_line: Array, below_line: Array) -> Array:
    return np.where(below_line > 0, above_line / np.where(below_line > 0, below_line, 1), np.nan)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
