"""Intervals for means over labels, put together from the labels' own.

The method of variance estimates recovery: each label's interval says how far its number may lie off on either side, the
same patients behind all labels say how far those errors go together (Zou & Donner, Statistics in Medicine 27, 2008).
"""

from __future__ import annotations

import math

import numpy as np

from eyeground.metrics.ap_interval import ap_bounds
from eyeground.metrics.auc_interval import bounds, eyes_of
from eyeground.metrics.cells import Array, Cells
from eyeground.metrics.delong import areas, influence
from eyeground.metrics.jackknife import leave_one_out
from eyeground.metrics.resample import Sample, estimate


def macro_auc_interval(sample: Sample, level: float = 0.95) -> list[float] | None:
    """An interval for the macro AUC: the mean over labels with a positive and a negative, from their "score" intervals.

    Args:
        sample: of `resample.prepare`.

    Returns:
        `[low, high]`; None when no label has both. A label whose AUC is 0 or 1 shows no correlation with others and
        counts as uncorrelated.
    """
    values, found, moves = [], [], []
    for c in sample.both():
        one = sample.labels[c]
        falling, truth = -one.group, one.is_positive
        area = areas(truth, falling, one.patient)
        own = bounds(area, 0, (eyes_of(one.patient[truth]), eyes_of(one.patient[~truth])), level)
        if own is not None:
            values.append(float(area.auc[0]))
            found.append(own)
            moves.append(influence(truth, falling, one.patient, sample.people))
    return together(np.array(values), np.array(found), np.array(moves)) if values else None


def macro_ap_interval(sample: Sample, level: float = 0.95) -> list[float] | None:
    """An interval for the macro average precision, over the same labels, from their `ap_interval`s.

    Average precision is biased upwards with few positives. Over labels the errors average out, the bias does not; so
    the interval also reaches as far as one around the mean less its bias, as the jackknife estimates that (Efron &
    Tibshirani 1993, chapter 11).

    Args:
        sample: of `resample.prepare`.

    Returns:
        `[low, high]`; None when no label has both. A label with a single patient positive counts as uncorrelated and
        unbiased: nothing can be left out of it.
    """
    values, found, moves, biases = [], [], [], []
    ap = estimate(sample).ap[0]
    for c in sample.both():
        left_out = leave_one_out(sample.labels[c], sample.people)[1]
        values.append(float(ap[c]))
        found.append(ap_bounds(sample.labels[c], values[-1], left_out, level))
        measured = _measured(sample.labels[c], left_out)
        moves.append(left_out.mean() - left_out if measured else np.zeros(sample.people))
        biases.append((sample.people - 1) * float(left_out.mean() - ap[c]) if measured else 0.0)
    if not values:
        return None
    low, high = together(np.array(values), np.array(found), np.array(moves))
    bias = float(np.mean(biases))
    return [max(min(low, low - bias), 0.0), min(max(high, high - bias), 1.0)]


def together(values: Array, found: Array, moves: Array) -> list[float]:
    """An interval for the mean of numbers from their own intervals, cut at 0 and 1.

    Args:
        values: (k,) the numbers.
        found: (k, 2) their intervals.
        moves: (k, people) what each patient moves each number by, on any scale; a row of zeros counts as uncorrelated.
    """
    size = np.sqrt((moves**2).sum(axis=1, keepdims=True))
    unit = moves / np.where(size > 0, size, 1)
    correlation = unit @ unit.T
    np.fill_diagonal(correlation, 1.0)
    reaches = values - found[:, 0], found[:, 1] - values
    low, high = (math.sqrt(max(float(part @ correlation @ part), 0.0)) / len(values) for part in reaches)
    mean = float(values.mean())
    return [max(mean - low, 0.0), min(mean + high, 1.0)]


def _measured(cells: Cells, left_out: Array) -> bool:
    """Whether the number is defined without any one patient."""
    return len(np.unique(cells.patient[cells.positives])) > 1 and not np.isnan(left_out).any()
