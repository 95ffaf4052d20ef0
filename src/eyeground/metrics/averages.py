"""From labels to one number: over all cells (micro), weighted by positives, and whole rows that are right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from eyeground.metrics.counts import Counts, above
from eyeground.metrics.probability import brier, calibration_error, log_loss, reliability
from eyeground.metrics.ranking import auc, average_precision


def pooled(truth: ArrayLike, probability: ArrayLike) -> dict[str, float]:
    """Numbers over cells of all labels together, (m,) each; nan where undefined, an infinite log loss is inf."""
    return {
        "micro_auc": auc(truth, probability),
        "micro_ap": average_precision(truth, probability),
        "brier": brier(truth, probability),
        "log_loss": log_loss(truth, probability),
        "ece": calibration_error(reliability(truth, probability)),
    }


def pooled_calls(counts: Sequence[Counts]) -> dict[str, float]:
    """Precision, recall and F1 of the positive cells of all labels as one list, each label called at its own cut.

    Args:
        counts: one per label.

    Returns:
        nan where undefined: nothing is called, nothing is positive, or neither.
    """
    parts = ((one.tp, one.fp, one.fn, one.tn) for one in counts)
    whole = Counts(*(sum(column) for column in zip((0, 0, 0, 0), *parts, strict=True)))
    return {"micro_precision": whole.ppv, "micro_recall": whole.sensitivity, "micro_f1": whole.f1}


def weighted_mean(values: Sequence[float | None], weights: Sequence[float]) -> float:
    """The mean of the labels' numbers, each counting as much as its weight; nan where one is None or nothing weighs.

    A mean over fewer labels would be another number.
    """
    if None in values or not sum(weights) > 0:
        return float("nan")
    return float(np.dot([float(value or 0) for value in values], weights) / sum(weights))


def exact_match(truth: ArrayLike, known: ArrayLike, probability: ArrayLike, thresholds: ArrayLike) -> tuple[float, int]:
    """The share of rows in which every label is called right, and of how many rows: those with every label known.

    Args:
        truth, known, probability: (n, C).
        thresholds: (C,) called when strictly above.

    Returns:
        nan and 0 when there is no such row.

    Raises:
        ValueError: shapes differ.
    """
    labels, mask = np.asarray(truth), np.asarray(known, bool)
    called = above(probability, thresholds)
    if not labels.shape == mask.shape == called.shape:
        raise ValueError(f"truth has shape {labels.shape}, known {mask.shape}, probability {called.shape}")
    whole = mask.all(axis=1)
    right = (called == (labels == 1)).all(axis=1)[whole]
    return (float(right.mean()) if len(right) else float("nan")), len(right)
