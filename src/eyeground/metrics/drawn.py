"""The numbers made of sums over patients, under any weights: calls at a threshold, Brier score, log loss, exact match.

A resample multiplies each patient's sums by how often the patient was drawn, leaving one out subtracts them; either way
the numbers follow from the sums, so a row of `Sums` stands for a whole test set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eyeground.metrics.counts import above
from eyeground.metrics.official import HALF
from eyeground.metrics.probability import cell_losses

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

PARTS = ("tp", "fp", "fn", "tn", "square", "loss")
"""What is summed per label: calls at its threshold, squared errors and log losses."""

PER_LABEL = ("kappa", "f1", "harmonic", "brier", "log_loss", "sensitivity", "specificity", "ppv", "npv")
MACRO = ("kappa", "f1", "sensitivity", "specificity", "harmonic", "brier", "log_loss")


@dataclass(frozen=True)
class Sums:
    """Sums of k patients, or of k test sets.

    Attributes:
        labels: (k, C, len(PARTS)) per label. A log loss that is infinite somewhere is nan: it has no interval.
        half: (k, 4) true and false positives, false and true negatives of all cells at 0.5.
        rows: (k, 2) rows of which every cell is known, and those with every call right.
        complete: whether every cell is known.
    """

    labels: Array
    half: Array
    rows: Array
    complete: bool

    def weighted(self, weights: Array) -> Sums:
        """The sums of test sets that hold each patient as often as `weights` (draws, k) says."""
        found = weights @ self.labels.reshape(len(self.labels), -1)
        labels = found.reshape(len(weights), *self.labels.shape[1:])
        return Sums(labels, weights @ self.half, weights @ self.rows, self.complete)


def summed(labels: Array, mask: Mask, scores: Array, cuts: Array, where: NDArray[np.int64]) -> Sums:
    """Each patient's sums.

    Args:
        labels: (n, C), 0 or 1 where known, 0 elsewhere.
        mask: (n, C) bool, what is known.
        scores: (n, C) probabilities.
        cuts: (C,) called when strictly above.
        where: (n,) whose each row is, whole numbers from 0.
    """
    positive, called = labels == 1, above(scores, cuts)
    square, loss = cell_losses(positive, scores)
    cells = np.stack([*_calls(positive, called, mask), np.where(mask, square, 0), np.where(mask, loss, 0)], axis=2)
    cells[np.isinf(cells)] = np.nan
    half = np.stack(_calls(positive, above(scores, HALF), mask), axis=2).sum(axis=1)
    whole = mask.all(axis=1)
    rows = np.stack([whole, whole & (positive == called).all(axis=1)], axis=1).astype(np.float64)
    people = int(where.max()) + 1 if len(where) else 0
    own, pooled_own, whole_own = (_per_patient(part, where, people) for part in (cells, half, rows))
    return Sums(own, pooled_own, whole_own, bool(mask.all()))


def per_label(sums: Sums) -> dict[str, Array]:
    """Every label's numbers, (k, C) each, nan where undefined: `metrics.counts.Counts` for arrays of counts."""
    tp, fp, fn, tn, square, loss = np.moveaxis(sums.labels, 2, 0)
    found = _rates(tp, fp, fn, tn)
    n = tp + fp + fn + tn
    return {key: found[key] for key in PER_LABEL if key in found} | {
        "brier": _ratio(square, n),
        "log_loss": _ratio(loss, n),
    }


def pooled(sums: Sums, both: list[int]) -> dict[str, Array]:
    """The numbers over all labels, (k,) each, nan where undefined.

    Args:
        both: labels of the macro means. A test set that lacks a positive or a negative of one of them has no macro
            mean: a mean over fewer labels is another number.
    """
    rates, calls = _rates(*sums.half.T), _rates(*sums.labels[:, :, :4].sum(axis=1).T)
    everything = sums.labels.sum(axis=1)
    n = everything[:, :4].sum(axis=1)
    found = {"kappa": rates["kappa"], "f1": rates["accuracy"]} if sums.complete else {}
    found |= {
        "f1_positive": rates["f1"],
        "micro_precision": calls["ppv"],
        "micro_recall": calls["sensitivity"],
        "micro_f1": calls["f1"],
        "exact_match": _ratio(sums.rows[:, 1], sums.rows[:, 0]),
        "brier": _ratio(everything[:, 4], n),
        "log_loss": _ratio(everything[:, 5], n),
    }
    if not both:
        return found
    own = per_label(sums)
    positives, negatives = (sums.labels[:, both][:, :, pair].sum(axis=2) for pair in ([0, 2], [1, 3]))
    lacks = ((positives == 0) | (negatives == 0)).any(axis=1)
    for key in MACRO:
        found[f"macro_{key}"] = np.where(lacks, np.nan, own[key][:, both].mean(axis=1))
    found["weighted_f1"] = np.where(lacks, np.nan, weighted(own["f1"][:, both], positives))
    return found


def weighted(values: Array, positives: Array) -> Array:
    """Means over labels, each label counting as often as it has a positive: (k, C) each to (k,)."""
    return _ratio((values * positives).sum(axis=1), positives.sum(axis=1))


def _calls(positive: Mask, called: Mask, mask: Mask) -> list[Array]:
    """True and false positives, false and true negatives, (n, C) each."""
    parts = (positive & called, ~positive & called, positive & ~called, ~positive & ~called)
    return [(part & mask).astype(np.float64) for part in parts]


def _rates(tp: Array, fp: Array, fn: Array, tn: Array) -> dict[str, Array]:
    n = tp + fp + fn + tn
    chance = (tp + fn) * (tp + fp) + (tn + fp) * (tn + fn)
    sensitivity, specificity = _ratio(tp, tp + fn), _ratio(tn, tn + fp)
    both = sensitivity + specificity
    return {
        "kappa": _ratio((tp + tn) * n - chance, n * n - chance),
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": _ratio(tp, tp + fp),
        "npv": _ratio(tn, tn + fn),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "harmonic": np.where(both == 0, 0.0, 2 * sensitivity * specificity / np.where(both == 0, 1, both)),
        "accuracy": _ratio(tp + tn, n),
    }


def _per_patient(values: Array, where: NDArray[np.int64], people: int) -> Array:
    found = np.zeros((people, *values.shape[1:]))
    np.add.at(found, where, values)
    return found


def _ratio(above_line: Array, below_line: Array) -> Array:
    defined = below_line != 0
    return np.where(defined, above_line / np.where(defined, below_line, 1), np.nan)
