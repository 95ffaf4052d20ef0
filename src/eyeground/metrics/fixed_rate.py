"""The interval for a specificity at a wanted sensitivity, and the reverse, free of any distribution.

The threshold at which 90 % of all such patients are found is a quantile of the positives' scores. Two order statistics
enclose it at the wanted level, whatever the distribution (David & Nagaraja, Order Statistics, 2003, 7.1); between the
specificities there and Wilson's interval at the threshold itself, errors of the threshold and of the specificity are
independent and add up by squares (MOVER: Zou & Donner, Stat. Med. 27, 2008). With fewer than 36 positives no order
statistic bounds the threshold of a sensitivity of 0.9 from below, and the interval reaches to 0: they don't tell.
Drawing patients pretends that they do: with 10 positives it covers .71 (docs/intervals.md).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.proportions import wilson
from eyeground.metrics.quantiles import beta_cdf

Array = NDArray[np.float64]


def at_sensitivity(truth: ArrayLike, score: ArrayLike, wanted: float, level: float = 0.95) -> list[float] | None:
    """Interval of the specificity at the threshold of a wanted sensitivity, every case a patient.

    Args:
        truth: (n,) bool.
        score: (n,).
        wanted: in [0, 1].

    Returns:
        `[low, high]`; None without positives or without negatives.
    """
    positive, values = np.asarray(truth, bool), np.asarray(score, np.float64)
    return _other(values[positive], values[~positive], wanted, level)


def at_specificity(truth: ArrayLike, score: ArrayLike, wanted: float, level: float = 0.95) -> list[float] | None:
    """Interval of the sensitivity at the threshold of a wanted specificity: the same with the classes exchanged."""
    positive, values = np.asarray(truth, bool), np.asarray(score, np.float64)
    return _other(-values[~positive], -values[positive], wanted, level)


def _other(held: Array, other: Array, wanted: float, level: float) -> list[float] | None:
    """Of `other` the share below the threshold that a share `wanted` of `held` reaches or lies above."""
    if not len(held) or not len(other):
        return None
    ordered, rest = np.sort(held), np.sort(other)
    share, (low, high) = 1 - wanted, order_statistics(len(held), 1 - wanted, level)
    at = math.floor(len(held) * share + 1e-9)  # so many of `held` may lie below
    middle = _below(rest, ordered[at] if at < len(held) else math.inf)
    ends = (
        0.0 if low < 1 else _below(rest, ordered[low - 1]),
        1.0 if high > len(held) else _below(rest, np.nextafter(ordered[high - 1], math.inf)),
    )
    bounds = wilson(round(middle * len(rest)), len(rest), level)
    assert bounds is not None
    down, up = (math.hypot(middle - bound, middle - end) for bound, end in zip(bounds, ends, strict=True))
    return [max(middle - down, 0.0), min(middle + up, 1.0)]


def order_statistics(n: int, share: float, level: float = 0.95) -> tuple[int, int]:
    """Ranks (from 1) of the two of n values that enclose the quantile `share` with at least `level`; 0 or n + 1: none.

    Of n values, as many as Binomial(n, share) lie at or below the quantile.
    """
    tail = (1 - level) / 2
    low, high = 0, n
    while low < high:  # the largest rank whose value lies above the quantile with a chance of at most `tail`
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _at_most(middle - 1, n, share) <= tail else (low, middle - 1)
    below, above = 1, n + 1
    while below < above:  # the smallest rank whose value lies below the quantile with a chance of at most `tail`
        middle = (below + above) // 2
        below, above = (below, middle) if 1 - _at_most(middle - 1, n, share) <= tail else (middle + 1, above)
    return low, below


def _at_most(count: int, n: int, share: float) -> float:
    """Chance that Binomial(n, share) is at most `count`."""
    if count >= n or share <= 0:
        return 1.0
    return 0.0 if share >= 1 or count < 0 else 1 - beta_cdf(share, count + 1, n - count)


def _below(ordered: Array, threshold: float) -> float:
    return float(np.searchsorted(ordered, threshold, "left")) / len(ordered)
