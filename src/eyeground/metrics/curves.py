"""Curves over all thresholds: ROC, precision against recall, and net benefit against the threshold probability.

Fawcett, Pattern Recognition Letters 27, 2006 (ROC); Davis & Goadrich, ICML 2006 (precision and recall, not to be joined
by straight lines); Vickers & Elkin, Medical Decision Making 26, 2006 (net benefit, decision curves).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.counts import Counts, count
from eyeground.metrics.official import HALF
from eyeground.metrics.ranking import as_binary

Array = NDArray[np.float64]
STEPS = 100
"""Threshold probabilities of a decision curve: 0, 0.01, ... 0.99."""


@dataclass(frozen=True)
class Roc:
    """One point for calling nothing and one for each distinct score, from the highest down, called from it on.

    Attributes:
        false_rate: (m,) 1 - specificity, from 0 to 1.
        true_rate: (m,) sensitivity, from 0 to 1.
        score: (m,) the lowest score that is called; inf at first.
    """

    false_rate: Array
    true_rate: Array
    score: Array


@dataclass(frozen=True)
class PrecisionRecall:
    """One point for each distinct score, from the highest down, called from it on.

    The area under the steps that keep each precision back to the recall before it is the average precision.

    Attributes:
        recall: (m,) share of the positives that are called, ending at 1.
        precision: (m,) share of the calls that are right, ending at the prevalence.
        score: (m,) the lowest score that is called.
    """

    recall: Array
    precision: Array
    score: Array


@dataclass(frozen=True)
class Decision:
    """What calling by the model is worth beside calling everyone; calling nobody is worth 0.

    Attributes:
        threshold: (m,) probabilities at which one would act.
        model: (m,) net benefit in true positives per case; nan without cases.
        everyone: (m,) net benefit of calling everyone.
    """

    threshold: Array
    model: Array
    everyone: Array


@dataclass(frozen=True)
class LabelCurves:
    """One label's curves; a curve that is undefined is None. `counts` are at `threshold`."""

    threshold: float
    counts: Counts
    roc: Roc | None
    precision_recall: PrecisionRecall | None
    decision: Decision
    highest: float
    """The highest probability given; nan without cases."""


def roc(truth: ArrayLike, score: ArrayLike) -> Roc | None:
    """The ROC curve; scikit-learn's `roc_curve` with `drop_intermediate=False`.

    Args:
        truth: (n,), 0 or 1.
        score: (n,), any real numbers; only their order matters.

    Returns:
        None unless there is a positive and a negative.

    Raises:
        ValueError: shapes differ, truth is not 0/1 or a score is nan.
    """
    scores, hits, false = _from_the_top(truth, score)
    if not len(scores) or not hits[-1] or not false[-1]:
        return None
    start = np.zeros(1)
    return Roc(
        np.concatenate([start, false / false[-1]]),
        np.concatenate([start, hits / hits[-1]]),
        np.concatenate([[np.inf], scores]),
    )


def precision_recall(truth: ArrayLike, score: ArrayLike) -> PrecisionRecall | None:
    """Precision and recall; arguments and errors as in `roc`. None without a positive."""
    scores, hits, false = _from_the_top(truth, score)
    if not len(scores) or not hits[-1]:
        return None
    return PrecisionRecall(hits / hits[-1], hits / (hits + false), scores)


def net_benefit(truth: ArrayLike, probability: ArrayLike, thresholds: ArrayLike) -> Array:
    """Net benefit of calling at each threshold t: TP / n - FP / n x t / (1 - t).

    Someone who acts at a probability of t takes 1 / t - 1 false alarms for one hit. Called when strictly above t.

    Args:
        truth: (n,), 0 or 1.
        probability: (n,).
        thresholds: (m,) in [0, 1).

    Returns:
        (m,), nan without cases.

    Raises:
        ValueError: shapes differ, truth is not 0/1, a probability is nan, or a threshold is outside [0, 1).
    """
    positive, values = _checked(truth, probability)
    at = _odds(thresholds)[0]
    if not len(values):
        return np.full(len(at), np.nan)
    hits, false = (
        len(part) - np.searchsorted(np.sort(part), at, side="right") for part in (values[positive], values[~positive])
    )
    return np.asarray(hits / len(values) - false / len(values) * _odds(at)[1], np.float64)


def everyone(truth: ArrayLike, thresholds: ArrayLike) -> Array:
    """Net benefit of calling everyone at each threshold in [0, 1); nan without cases. Errors as in `net_benefit`."""
    positive = as_binary(truth)
    share = float(positive.mean()) if len(positive) else math.nan
    return share - (1 - share) * _odds(thresholds)[1]


def trace(
    truth: ArrayLike, known: ArrayLike, probability: ArrayLike, thresholds: ArrayLike | None = None
) -> tuple[LabelCurves, ...]:
    """The curves of every label over its known rows.

    Args:
        truth: (n, C), 0 or 1 where known.
        known: (n, C) bool.
        probability: (n, C) in [0, 1].
        thresholds: (C,); None means 0.5.
    """
    labels, mask, scores = np.asarray(truth, np.float64), np.asarray(known, bool), np.asarray(probability, np.float64)
    cuts = np.full(labels.shape[1], HALF) if thresholds is None else np.asarray(thresholds, np.float64)
    return tuple(_traced(labels[here, c], scores[here, c], float(cuts[c])) for c, here in enumerate(mask.T))


def _traced(truth: Array, score: Array, threshold: float) -> LabelCurves:
    at = np.arange(STEPS) / STEPS
    decision = Decision(at, net_benefit(truth, score, at), everyone(truth, at))
    highest = float(score.max()) if len(score) else math.nan
    counts = count(truth, score, threshold)
    return LabelCurves(threshold, counts, roc(truth, score), precision_recall(truth, score), decision, highest)


def _from_the_top(truth: ArrayLike, score: ArrayLike) -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
    """Distinct scores from the highest down, and the positives and negatives from there up."""
    positive, values = _checked(truth, score)
    distinct, group = np.unique(-values, return_inverse=True)
    hits = np.bincount(group, weights=positive, minlength=len(distinct)).astype(np.int64)
    false = np.bincount(group, weights=~positive, minlength=len(distinct)).astype(np.int64)
    return -distinct, np.cumsum(hits), np.cumsum(false)


def _checked(truth: ArrayLike, score: ArrayLike) -> tuple[NDArray[np.bool_], Array]:
    positive, values = as_binary(truth), np.asarray(score, np.float64)
    if values.shape != positive.shape:
        raise ValueError(f"truth has shape {positive.shape}, score {values.shape}")
    if np.isnan(values).any():
        raise ValueError("a score is nan: it has no rank")
    return positive, values


def _odds(thresholds: ArrayLike) -> tuple[Array, Array]:
    """Thresholds and their odds t / (1 - t)."""
    at = np.asarray(thresholds, np.float64)
    if at.ndim != 1 or not ((at >= 0) & (at < 1)).all():
        raise ValueError("threshold probabilities are a list of numbers of at least 0 and below 1")
    return at, at / (1 - at)
