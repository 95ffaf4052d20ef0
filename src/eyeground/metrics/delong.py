"""Variance and covariance of AUCs without resampling, also where a patient has several rows.

DeLong, DeLong & Clarke-Pearson, Biometrics 44, 1988; Sun & Xu, IEEE Signal Processing Letters 21, 2014 (by sorting,
O(n log n)); Obuchowski, Biometrics 53, 1997 (clustered rows); Hanley & McNeil, Radiology 143, 1982.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.ranking import as_binary

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Areas:
    """AUCs of k systems on the same rows and how they vary together.

    Attributes:
        auc: (k,).
        covariance: (k, k) of `auc`; nan where a class has fewer than two patients.
        positive, negative: (k,) the classes' own shares of the variance; the rest is what a patient with rows of both
            classes adds.
        n_pos, n_neg: rows. patients_pos, patients_neg: patients with at least one such row.
    """

    auc: Array
    covariance: Array
    positive: Array
    negative: Array
    n_pos: int
    n_neg: int
    patients_pos: int
    patients_neg: int

    def difference(self, first: int, second: int) -> tuple[float, float, float]:
        """AUC of one system less that of another: difference, standard error, two-sided p (normal).

        p is nan when the difference does not vary (the same ranking twice).
        """
        gap = float(self.auc[first] - self.auc[second])
        part = self.covariance[np.ix_([first, second], [first, second])]
        variance = float(part[0, 0] + part[1, 1] - 2 * part[0, 1])
        error = math.sqrt(max(variance, 0.0)) if not math.isnan(variance) else math.nan
        p = 2 * NormalDist().cdf(-abs(gap) / error) if error > 0 else math.nan
        return gap, error, p


def areas(truth: ArrayLike, scores: ArrayLike, patients: ArrayLike | None = None) -> Areas:
    """AUCs of one or more systems on the same rows, with DeLong's covariance, or Obuchowski's with `patients`.

    Args:
        truth: (n,), 0 or 1.
        scores: (n,) or (k, n), any real numbers; only their order matters.
        patients: (n,) who each row belongs to; None means that every row is a patient of their own.

    Raises:
        ValueError: shapes differ, truth is not 0/1, a score is nan, or a class has no row.
    """
    is_positive = as_binary(truth)
    table = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    where = people_of(patients, len(is_positive))
    placed = np.stack([placements(is_positive, row) for row in table])
    n_pos, n_neg = int(is_positive.sum()), int((~is_positive).sum())
    auc = placed[:, is_positive].mean(axis=1)
    away = placed - auc[:, None]
    sums = [_per_patient(np.where(part, away, 0.0), where) for part in (is_positive, ~is_positive)]
    seen = [int((np.bincount(where[part]) > 0).sum()) for part in (is_positive, ~is_positive)]
    everyone = sums[0].shape[1]
    pos, neg = (_spread(one, one, count) for one, count in zip(sums, seen, strict=True))
    both = _spread(sums[0], sums[1], everyone) if everyone < sum(seen) else np.zeros_like(pos)
    pos, neg, both = pos / n_pos**2, neg / n_neg**2, (both + both.T) / (n_pos * n_neg)
    return Areas(auc, pos + neg + both, np.diag(pos), np.diag(neg), n_pos, n_neg, *seen)


def placements(truth: ArrayLike, score: ArrayLike) -> Array:
    """For each positive the share of negatives below it, for each negative the share of positives above it.

    A tie counts one half. The mean over the positives is the AUC, and so is the mean over the negatives.

    Args:
        truth: (n,), 0 or 1.
        score: (n,).

    Raises:
        ValueError: shapes differ, truth is not 0/1, a score is nan, or a class has no row.
    """
    is_positive, values = as_binary(truth), np.asarray(score, dtype=np.float64)
    if values.shape != is_positive.shape:
        raise ValueError(f"truth has shape {is_positive.shape}, score {values.shape}")
    if np.isnan(values).any():
        raise ValueError("a score is nan: it has no rank")
    above, below = np.sort(values[is_positive]), np.sort(values[~is_positive])
    if not (len(above) and len(below)):
        raise ValueError(f"an AUC needs both classes: there are {len(above)} positives and {len(below)} negatives")
    placed = np.empty(len(values))
    placed[is_positive] = _share_below(values[is_positive], below)
    placed[~is_positive] = 1 - _share_below(values[~is_positive], above)
    return placed


def influence(truth: ArrayLike, score: ArrayLike, patients: ArrayLike, people: int) -> Array:
    """What each patient moves the AUC by, (people,): its products estimate covariances of AUCs on other rows too.

    Args:
        truth, score: (n,) as in `placements`.
        patients: (n,) whole numbers below `people`.
    """
    is_positive = as_binary(truth)
    placed = placements(is_positive, score)
    counts = np.where(is_positive, is_positive.sum(), (~is_positive).sum())
    return np.bincount(
        np.asarray(patients), weights=(placed - placed[is_positive].mean()) / counts, minlength=people
    ).astype(np.float64)


def people_of(patients: ArrayLike | None, n: int) -> NDArray[np.int64]:
    """Patients as whole numbers from 0, (n,). Raises `ValueError` when there are not n of them or one is nan."""
    if patients is None:
        return np.arange(n)
    ids = np.asarray(patients)
    if ids.shape != (n,):
        raise ValueError(f"patients have shape {ids.shape}, not ({n},)")
    if ids.dtype.kind == "f" and np.isnan(ids).any():
        raise ValueError("a patient is nan: nobody's row")
    return np.unique(ids, return_inverse=True)[1].astype(np.int64)


def _share_below(values: Array, others: Array) -> Array:
    """Of the sorted `others`, the share below each value, ties one half."""
    return (np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")) / (2 * len(others))


def _per_patient(values: Array, where: NDArray[np.int64]) -> Array:
    """Sums over each patient's rows, (k, people)."""
    return np.stack([np.bincount(where, weights=row) for row in values])


def _spread(one: Array, other: Array, count: int) -> Array:
    """Sums of products over patients, (k, k), with `count / (count - 1)`; nan for fewer than two patients."""
    return one @ other.T * (count / (count - 1)) if count > 1 else np.full((len(one), len(one)), np.nan)
