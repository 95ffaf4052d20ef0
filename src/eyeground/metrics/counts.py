"""Right and wrong calls at a threshold, and the rates made of them. Undefined is nan, with the counts beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.ranking import as_binary


@dataclass(frozen=True)
class Counts:
    """True and false positives and negatives."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def n(self) -> int:
        return self.tp + self.fp + self.fn + self.tn

    @property
    def n_pos(self) -> int:
        return self.tp + self.fn

    @property
    def n_neg(self) -> int:
        return self.tn + self.fp

    @property
    def sensitivity(self) -> float:
        """Share of the positives that are called; nan without positives."""
        return _ratio(self.tp, self.n_pos)

    @property
    def specificity(self) -> float:
        """Share of the negatives that are not called; nan without negatives."""
        return _ratio(self.tn, self.n_neg)

    @property
    def ppv(self) -> float:
        """Share of the calls that are right; nan when nothing is called."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def npv(self) -> float:
        """Share of the absences that are right; nan when everything is called."""
        return _ratio(self.tn, self.tn + self.fn)

    @property
    def f1(self) -> float:
        """F1 of the positive class; nan when there is no positive and nothing is called."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def harmonic(self) -> float:
        """Harmonic mean of sensitivity and specificity, 0 when both are 0; nan when one is undefined."""
        sensitivity, specificity = self.sensitivity, self.specificity
        both = sensitivity + specificity
        return 2 * sensitivity * specificity / both if both != 0 else 0.0

    @property
    def accuracy(self) -> float:
        """Share of right calls; nan when n is 0."""
        return _ratio(self.tp + self.tn, self.n)

    @property
    def kappa(self) -> float:
        """Unweighted Cohen's kappa; nan when truth and calls are both constant and the same."""
        # (po - pe) / (1 - pe) with numerator and denominator times n squared: whole numbers, one division
        chance = self.n_pos * (self.tp + self.fp) + self.n_neg * (self.tn + self.fn)
        return _ratio((self.tp + self.tn) * self.n - chance, self.n**2 - chance)


def above(probability: ArrayLike, threshold: ArrayLike) -> NDArray[np.bool_]:
    """Calls: strictly above the threshold, compared in float64 (float32 would round thresholds onto scores)."""
    return np.asarray(probability, dtype=np.float64) > np.asarray(threshold, dtype=np.float64)


def count(truth: ArrayLike, probability: ArrayLike, threshold: float) -> Counts:
    """Counts calls `probability > threshold` against the truth.

    Args:
        truth: (n,), 0 or 1.
        probability: (n,).
        threshold: a probability equal to it is not called.

    Raises:
        ValueError: shapes differ, truth is not 0/1 or a probability is nan.
    """
    positive = as_binary(truth)
    if np.isnan(np.asarray(probability, dtype=np.float64)).any():
        raise ValueError("a probability is nan: it can't be called")
    called = above(probability, threshold)
    if called.shape != positive.shape:
        raise ValueError(f"truth has shape {positive.shape}, probability {called.shape}")
    tp = int((positive & called).sum())
    n_pos, n_called = int(positive.sum()), int(called.sum())
    return Counts(tp, n_called - tp, n_pos - tp, len(positive) - n_pos - n_called + tp)


def _ratio(above_line: int, below_line: int) -> float:
    return above_line / below_line if below_line else float("nan")
