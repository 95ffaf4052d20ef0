"""Intervals for a proportion: Wilson's, also where patients have several rows, and the exact one.

Wilson, J. Am. Stat. Assoc. 22, 1927; Clopper & Pearson, Biometrika 26, 1934; Brown, Cai & DasGupta, Statistical
Science 16, 2001 (which to use when).
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.auc_interval import eyes_of
from eyeground.metrics.delong import people_of
from eyeground.metrics.quantiles import beta_quantile


def wilson(hits: float, n: float, level: float = 0.95) -> list[float] | None:
    """Wilson's score interval for a proportion, also on an effective number of trials; None when n is 0."""
    if n == 0:
        return None
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, square = hits / n, z * z / n
    half = z * math.sqrt(share * (1 - share) / n + square / (4 * n))
    low, high = ((share + square / 2 + sign * half) / (1 + square) for sign in (-1, 1))
    return [0.0 if hits == 0 else max(low, 0.0), 1.0 if hits == n else min(high, 1.0)]


def share_interval(hit: ArrayLike, patients: ArrayLike | None = None, level: float = 0.95) -> list[float] | None:
    """Wilson's interval for a share of rows, on as many rows as they are worth when patients have several.

    The rows are divided by the design effect: the variance of the share with patients as the unit over that with rows
    as the unit (Rao & Scott, Biometrics 48, 1992), at least 1. Where all rows are alike that can't be seen, and the
    rows of a patient count as one.

    Args:
        hit: (n,) bool. patients: (n,) who each row belongs to; None: every row is a patient of their own.

    Returns:
        `[low, high]`; None without rows.
    """
    hits = np.asarray(hit, bool)
    return wilson(*effective(hits, people_of(patients, len(hits))), level)


def effective(hits: NDArray[np.bool_], where: NDArray[np.int64]) -> tuple[float, float]:
    """Hits and rows, divided by the design effect; `where` (n,) whose each row is, whole numbers from 0."""
    n = len(hits)
    people = int(where.max(initial=-1)) + 1
    if people == n:
        return int(hits.sum()), n
    effect, share = eyes_of(where), float(hits.mean())
    if people > 1 and 0 < share < 1:
        sums = np.bincount(where, weights=hits - share)
        observed = people / (people - 1) * float((sums**2).sum()) / n**2
        effect = max(observed / (share * (1 - share) / (n - 1)), 1.0)
    whole = n / effect
    return share * whole, whole


def clopper_pearson(hits: int, n: int, level: float = 0.95) -> list[float] | None:
    """Clopper and Pearson's exact interval for a proportion: covers at least `level`, for every true proportion.

    It is wider than Wilson's, which covers `level` on average over proportions.

    Args:
        hits: successes, 0 to n.
        n: trials.

    Returns:
        `[low, high]`; None when n is 0.

    Raises:
        ValueError: `hits` is not within 0 to n, or `level` not within (0, 1).
    """
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} hits of {n} is no proportion")
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not at {level}")
    if n == 0:
        return None
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else beta_quantile(tail, hits, n - hits + 1)
    high = 1.0 if hits == n else beta_quantile(1 - tail, hits + 1, n - hits)
    return [low, high]
