"""An interval for average precision, also with few positives.

Average precision is a mean of precisions over the positives, so a proportion's interval is a start (Boyd, Eng & Page,
"Area under the precision-recall curve: point estimates and confidence intervals", ECML PKDD 2013). `ap_interval` is
Wilson's, with the variance of a proportion corrected by the one that leaving out each patient in turn shows, as far as
there are patients with a positive to show it (compare `metrics.auc_interval`):

    (observed - AP)^2 = t^2 * factor * AP (1 - AP)
    factor = ratio * (1 + eyes) / 2 / positives
    ratio  = (PRIOR + w * jackknife variance / proportion's) / (PRIOR + w)      w = patients with a positive - 1

t has PRIOR + w degrees of freedom. Average precision is biased upwards with few positives; no interval mends that.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from eyeground.metrics.auc_interval import PRIOR, eyes_of
from eyeground.metrics.cells import Cells, rank_weighted, sort_cells
from eyeground.metrics.delong import people_of
from eyeground.metrics.jackknife import leave_one_out
from eyeground.metrics.quantiles import student_quantile


def ap_interval(
    truth: ArrayLike, score: ArrayLike, patients: ArrayLike | None = None, level: float = 0.95
) -> list[float] | None:
    """An interval for the average precision of one system, at this prevalence of positives.

    Args:
        truth: (n,), 0 or 1.
        score: (n,), any real numbers; only their order matters.
        patients: (n,) who each row belongs to; None means that every row is a patient of their own.

    Returns:
        `[low, high]`; None without a positive or without a negative.

    Raises:
        ValueError: shapes differ, truth is not 0/1, a score is nan, or level outside (0, 1).
    """
    where = people_of(patients, np.asarray(truth).size)
    cells = sort_cells(truth, score, where)
    if not 0 < len(cells.positives) < len(cells.patient):
        return None
    people = int(where.max()) + 1
    value = float(rank_weighted(cells, np.ones((1, people), np.uint8))[1][0])
    return ap_bounds(cells, value, leave_one_out(cells, people)[1], level)


def ap_bounds(cells: Cells, value: float, left_out: ArrayLike, level: float = 0.95) -> list[float]:
    """`ap_interval` from what is already computed.

    Args:
        cells: with a positive and a negative.
        value: their average precision.
        left_out: (people,) the average precision without each patient in turn; nan where there is then no positive.

    Raises:
        ValueError: level outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not at {level}")
    owners = cells.patient[cells.positives]
    n_pos, weight = len(owners), len(np.unique(owners)) - 1
    middle = (n_pos * value + 0.5) / (n_pos + 1)  # an average precision of 1 is never quite believed
    expected, ratio = (1 + eyes_of(owners)) / 2 / n_pos, 0.0
    if weight > 0:
        without = np.asarray(left_out, np.float64)
        spread = float(((without - without.mean()) ** 2).sum()) * (len(without) - 1) / len(without)
        ratio = spread / (middle * (1 - middle) * expected)
    factor = expected * (PRIOR + weight * ratio) / (PRIOR + weight)
    wide = student_quantile((1 + level) / 2, PRIOR + weight) ** 2 * factor
    half = math.sqrt(value * (1 - value) * wide + wide * wide / 4)
    low, high = ((value + wide / 2 + sign * half) / (1 + wide) for sign in (-1, 1))
    return [max(low, 0.0), 1.0 if value == 1 else min(high, 1.0)]
