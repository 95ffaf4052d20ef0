"""DeLong's paired comparison without resampling, for an AUC and for the macro AUC, also between means over runs.

DeLong, DeLong & Clarke-Pearson, Biometrics 44, 1988. What each patient moves each AUC by is kept, so a difference of
means over runs or over labels is a weighted sum of moves, and its variance the sum of their squares. Student's t takes
the place of the normal distribution, degrees of freedom by Welch and Satterthwaite from the patients of each class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from eyeground.metrics.cells import Array, Ints
from eyeground.metrics.delong import placements
from eyeground.metrics.quantiles import LARGE, beta_cdf, student_quantile
from eyeground.metrics.ranking import as_binary


@dataclass(frozen=True)
class Moves:
    """One label's AUCs of k sets of predictions on the same rows.

    Attributes:
        auc: (k,).
        moves: (k, people) what each patient moves each AUC by; sums of products are DeLong's covariances. Where a
            patient has rows of both classes they are Obuchowski's up to a factor of patients / (patients - 1).
        shares: (k, 2) the positives' and the negatives' part of each variance.
        degrees: patients with a positive and with a negative row, less one each.
    """

    auc: Array
    moves: Array
    shares: Array
    degrees: tuple[int, int]


@dataclass(frozen=True)
class Gap:
    """A difference with its standard error; `degrees` of Student's t."""

    difference: float
    error: float
    degrees: float

    @property
    def p(self) -> float:
        """Two-sided; 1 for no difference that never varies, nan for one that does not vary."""
        return two_sided(self.difference, self.error, self.degrees)

    def interval(self, level: float) -> list[float]:
        """Cut at -1 and 1."""
        reach = self.error * student_quantile((1 + level) / 2, self.degrees) if self.error > 0 else 0.0
        return [max(self.difference - reach, -1.0), min(self.difference + reach, 1.0)]


def moves_of(truth: ArrayLike, scores: Array, where: Ints, people: int) -> Moves | None:
    """What each patient moves the AUCs by.

    Args:
        truth: (m,), 0 or 1.
        scores: (k, m), any real numbers; only their order matters.
        where: (m,) whose row it is, below `people`.

    Returns:
        None when a class has fewer than two patients: no variance can be seen.
    """
    positive = as_binary(truth)
    seen = [int((np.bincount(where[part], minlength=people) > 0).sum()) for part in (positive, ~positive)]
    if min(seen) < 2:
        return None
    parts = np.zeros((2, len(scores), people))
    auc = np.empty(len(scores))
    for k, row in enumerate(scores):
        placed = placements(positive, row)
        auc[k] = placed[positive].mean()
        for part, mask, count in zip(parts, (positive, ~positive), seen, strict=True):
            away = (placed[mask] - auc[k]) * math.sqrt(count / (count - 1)) / mask.sum()
            part[k] = np.bincount(where[mask], weights=away, minlength=people)
    return Moves(auc, parts.sum(axis=0), (parts**2).sum(axis=2).T, (seen[0] - 1, seen[1] - 1))


def gap(labels: Sequence[Moves], weights: ArrayLike) -> Gap:
    """A weighted sum of the mean AUC over labels.

    Args:
        labels: one for an AUC, several for the macro AUC; of the same patients and sets of predictions.
        weights: (k,) such as 1 and -1 for a difference of two.
    """
    of_each = np.asarray(weights, np.float64)
    moves = np.mean([of_each @ one.moves for one in labels], axis=0)
    value = float(np.mean([of_each @ one.auc for one in labels]))
    shares = np.array([of_each**2 @ one.shares for one in labels]).ravel()
    degrees = np.array([one.degrees for one in labels]).ravel()
    return Gap(value, math.sqrt(float((moves**2).sum())), satterthwaite(shares, degrees))


def satterthwaite(variances: ArrayLike, degrees: ArrayLike) -> float:
    """Degrees of freedom of a sum of estimated variances, at least 1."""
    parts = np.asarray(variances, np.float64)
    below = float((parts**2 / np.asarray(degrees, np.float64)).sum())
    return max(float(parts.sum()) ** 2 / below, 1.0) if below > 0 else 1.0


def two_sided(difference: float, error: float, degrees: float) -> float:
    """The two-sided p value of Student's t. A difference of 0 without error has p 1; any other without error has none.

    With an error of nan there is none either.
    """
    if not error > 0:
        return 1.0 if error == 0 and difference == 0 else math.nan
    square = (difference / error) ** 2
    if degrees > LARGE:
        return math.erfc(math.sqrt(square / 2))
    return beta_cdf(degrees / (degrees + square), degrees / 2, 0.5)
