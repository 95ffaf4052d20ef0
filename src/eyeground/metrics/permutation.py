"""Paired permutation: were two systems alike, a patient's predictions might as well have been the other system's.

Each patient's predictions are swapped between the systems or not; the p value is the share of swaps that part the two
as far as they are parted in truth. Fisher, "The Design of Experiments", 1935, chapter 3; for AUCs, on ranks,
Venkatraman & Begg, Biometrika 83, 1996 and Bandos, Rockette & Gur, Statistics in Medicine 24, 2005; the added one:
Phipson & Smyth, Stat. Appl. Genet. Mol. Biol. 9, 2010.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eyeground.metrics.resample import Plan

Array = NDArray[np.float64]

CHUNK = 65_536
"""Coins (swaps x patients) tossed by one generator."""

NEAR = 1e-10
"""Differences that lie as close as this are equal: sums of the same numbers in another order."""


def is_exact(people: int, plan: Plan) -> bool:
    """Whether a plan has draws enough to go through all swaps. Swapping everybody only turns the sign: half suffice."""
    return people <= 60 and 2 ** max(people - 1, 0) <= plan.draws


def how_many(people: int, plan: Plan) -> int:
    """Swaps that are made: all 2 ** (people - 1), or the plan's draws."""
    return 2 ** max(people - 1, 0) if is_exact(people, plan) else plan.draws


def swaps_of(people: int, plan: Plan, draws: range) -> NDArray[np.uint8]:
    """Who is swapped (1) in some of the swaps, (draws, people).

    All swaps are counted through where that is exact. Else they are drawn in chunks of a size that follows from
    `people` alone, each by a generator of its own, so neither threads nor blocks nor the number of swaps change one.
    """
    if is_exact(people, plan):
        number = np.arange(draws.start, draws.stop)[:, None]
        return (number >> np.arange(people) & 1).astype(np.uint8)  # the last patient is never swapped
    size = max(1, CHUNK // people)
    out = []
    for chunk in range(draws.start // size, -(-draws.stop // size)):
        sequence = np.random.SeedSequence(plan.seed, spawn_key=(chunk, 1))
        made = np.random.Generator(np.random.PCG64(sequence)).integers(0, 2, (size, people), dtype=np.uint8)
        start = chunk * size
        out.append(made[max(draws.start - start, 0) : draws.stop - start])
    return np.concatenate(out)


def p_values(observed: Array, swapped: Array, exact: bool) -> Array:
    """Two-sided p values.

    Args:
        observed: (k,) differences; nan has no p value.
        swapped: (draws, k) the same under each swap.
        exact: `swapped` goes through all swaps; else they are random ones, and the true arrangement is counted as one
            more of them, so that no p value is 0.
    """
    far = (np.abs(swapped) >= np.abs(observed) - NEAR).sum(axis=0)
    found = far / len(swapped) if exact else (far + 1) / (len(swapped) + 1)
    return np.where(np.isnan(observed), np.nan, found)
