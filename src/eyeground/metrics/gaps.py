"""The largest gap between groups of patients, with an interval that knows that it was picked for being the largest.

The parameter is the true largest gap: the highest of the groups' true numbers less the lowest. It is 0 when groups do
not differ, but measured gaps are never below 0, so an ordinary interval of the pair that lies farthest apart leaves out
0 far too often. Here every pair of groups gets an interval, wide enough that all of them hold at once; where they do,
the true largest gap lies between the highest of their lower and the highest of their upper ends.

* A pair's interval is put together from the two groups' own (Newcombe, Statistics in Medicine 17, 1998, method 10; Zou
  & Donner, Statistics in Medicine 27, 2008), so a rare label's long, lopsided interval stays so.
* All pairs hold at once at the quantile of the range of k normal numbers (Tukey's; Kramer, Biometrics 12, 1956 for
  groups of other sizes; Hayter, Annals of Statistics 12, 1984: it then errs on the long side).
* Groups that share patients (two visits of a patient in two age bands) are correlated as those patients say.

How often all this holds, by simulation, is in docs/subgroups.md. This combination is the project's own.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GRID = np.linspace(-9.0, 9.0, 1801)
"""Where the integral over the normal distribution is taken."""

FARTHEST = 6.0
"""Standard errors up to which a p value is sought; beyond it is told as that of this many."""

NEAR = 1e-4
"""Standard errors to which it is sought."""


@dataclass(frozen=True)
class Measured:
    """A number of one group.

    Attributes:
        value: the number. at: its interval at any level, [low, high].
        moves: (people,) what each patient moves the number by; only their correlation with another group's counts.
    """

    value: float
    at: Callable[[float], Sequence[float]]
    moves: Array


@dataclass(frozen=True)
class Gap:
    """The largest gap.

    Attributes:
        best, worst: the groups it was measured between. gap: how large it was.
        interval: for the true largest gap, whichever groups it lies between.
        pair_interval: for the true best less the true worst; holds together with all other pairs'.
        p: of "no two groups differ": the smallest 1 - level at which `interval` leaves out 0; None if not asked for.
        groups: how many were compared.
    """

    best: str
    worst: str
    gap: float
    interval: tuple[float, float]
    pair_interval: tuple[float, float]
    p: float | None
    groups: int


def largest_gap(groups: Mapping[str, Measured], level: float = 0.95, with_p: bool = True) -> Gap | None:
    """The largest gap between groups; None for fewer than two. Most of the time goes into p.

    Raises:
        ValueError: a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not at {level}")
    if len(groups) < 2:
        return None
    names, all_of = list(groups), list(groups.values())
    values = [one.value for one in all_of]
    best, worst = int(np.argmax(values)), int(np.argmin(values))
    if best == worst:  # all alike
        worst = 1
    correlation = _correlation(np.stack([one.moves for one in all_of]))
    pairs = list(itertools.permutations(range(len(names)), 2))

    def ends(z: float) -> dict[tuple[int, int], tuple[float, float]]:
        own = [one.at(_level(z)) for one in all_of]
        return {(i, j): _difference(values, own, i, j, float(correlation[i, j])) for i, j in pairs}

    found = ends(range_quantile(level, len(names)) / math.sqrt(2))
    low, high = max(low for low, _ in found.values()), max(high for _, high in found.values())
    gap, p = values[best] - values[worst], None
    if with_p:
        z = _edge(gap, lambda z: max(low for low, _ in ends(z).values())) if gap > 0 else 0.0
        p = max(1 - range_cdf(z * math.sqrt(2), len(names)), 0.0)
    return Gap(names[best], names[worst], gap, (max(low, 0.0), high), found[best, worst], p, len(names))


def range_cdf(width: float, count: int) -> float:
    """The chance that the largest of `count` standard normal numbers is at most `width` above the smallest."""
    if width <= 0:
        return 0.0
    inside = np.maximum(_normal_cdf(GRID) - _normal_cdf(GRID - width), 0.0)
    density = np.exp(-(GRID**2) / 2) / math.sqrt(2 * math.pi)
    return min(float(count * (density * inside ** (count - 1)).sum() * (GRID[1] - GRID[0])), 1.0)


@functools.lru_cache(maxsize=256)
def range_quantile(p: float, count: int) -> float:
    """The width that the range of `count` standard normal numbers stays below with chance `p`; `count` is 2 or more."""
    low, high = 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if range_cdf(middle, count) < p else (low, middle)
    return (low + high) / 2


def _normal_cdf(values: Array) -> Array:
    return np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in values.tolist()])


def _level(z: float) -> float:
    """The level of a single two-sided interval that reaches `z` standard errors."""
    return 2 * NormalDist().cdf(z) - 1


def _difference(
    values: Sequence[float], own: Sequence[Sequence[float]], i: int, j: int, correlation: float
) -> tuple[float, float]:
    """An interval for group i's number less group j's."""
    gap = values[i] - values[j]
    down = values[i] - own[i][0], own[j][1] - values[j]
    up = own[i][1] - values[i], values[j] - own[j][0]
    below, above = (math.sqrt(max(a * a + b * b - 2 * correlation * a * b, 0.0)) for a, b in (down, up))
    return max(gap - below, -1.0), min(gap + above, 1.0)


def _correlation(moves: Array) -> Array:
    """(k, k); a number that no patient moves (an AUC of 1) counts as uncorrelated."""
    size = np.sqrt((moves**2).sum(axis=1, keepdims=True))
    unit = moves / np.where(size > 0, size, 1.0)
    return np.asarray(np.clip(unit @ unit.T, -1.0, 1.0))


def _edge(gap: float, lower: Callable[[float], float]) -> float:
    """Where the highest lower end, `gap` at 0 and falling as z grows, meets 0; at most FARTHEST. False position."""
    low, high = 0.0, FARTHEST
    at_low, at_high = gap, lower(high)
    if at_high > 0:
        return high
    for _ in range(100):
        if high - low < NEAR or at_low - at_high <= 0:
            break
        middle = min(max((low * at_high - high * at_low) / (at_high - at_low), low + NEAR / 3), high - NEAR / 3)
        at_middle = lower(middle)
        if at_middle > 0:
            low, at_low, at_high = middle, at_middle, at_high / 2
        else:
            high, at_high, at_low = middle, at_middle, at_low / 2
    return low
