"""How well scores order cases: area under the ROC curve and average precision, exact in the presence of ties."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def auc(truth: ArrayLike, score: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, a tie counting one half.

    Args:
        truth: (n,), 0 or 1.
        score: (n,), any real numbers; only their order matters.

    Returns:
        nan unless there is a positive and a negative.
    """
    positives, negatives = _by_score(truth, score)
    n_pos, n_neg = int(positives.sum()), int(negatives.sum())
    if n_pos == 0 or n_neg == 0:
        return float("nan")
    # twice the number of pairs in the right order, in whole numbers: nothing is rounded before the division
    above = np.cumsum(positives) - positives
    twice = int((negatives * (2 * above + positives)).sum())
    return twice / (2 * n_pos * n_neg)


def average_precision(truth: ArrayLike, score: ArrayLike) -> float:
    """Average precision: precision at each distinct score, weighted by the recall gained there (no interpolation).

    Args:
        truth: (n,), 0 or 1.
        score: (n,), any real numbers; only their order matters.

    Returns:
        nan without a positive; the prevalence when all scores are equal.
    """
    positives, negatives = _by_score(truth, score)
    n_pos = int(positives.sum())
    if n_pos == 0:
        return float("nan")
    precision = np.cumsum(positives) / np.cumsum(positives + negatives)
    return float((positives * precision).sum() / n_pos)


def _by_score(truth: ArrayLike, score: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positives and negatives at each distinct score, from the highest score down.

    Raises:
        ValueError: shapes differ, truth is not 0/1 or a score is nan.
    """
    is_positive = as_binary(truth)
    scores = np.asarray(score, dtype=np.float64)
    if scores.shape != is_positive.shape:
        raise ValueError(f"truth has shape {is_positive.shape}, score {scores.shape}")
    if np.isnan(scores).any():
        raise ValueError("a score is nan: it has no rank")
    order = np.argsort(-scores, kind="stable")
    if len(order) == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    starts = np.flatnonzero(np.concatenate([[True], np.diff(scores[order]) != 0]))
    ordered = is_positive[order].astype(np.int64)
    return np.add.reduceat(ordered, starts), np.add.reduceat(1 - ordered, starts)


def as_binary(truth: ArrayLike) -> NDArray[np.bool_]:
    """Truth (n,) as booleans. Raises `ValueError` for anything but 0 and 1."""
    values = np.asarray(truth)
    if values.ndim != 1:
        raise ValueError(f"truth has shape {values.shape}, not (n,)")
    if values.dtype == bool:
        return values
    if not np.isin(values, (0, 1)).all():
        raise ValueError("truth holds something other than 0 and 1")
    return values == 1
