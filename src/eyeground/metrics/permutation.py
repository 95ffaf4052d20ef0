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

    All swaps are counted through where that is exact; else swap k has a generator of its own, seeded with the plan's
    seed and k, so neither threads nor blocks change it.
    """
    if is_exact(people, plan):
        number = np.arange(draws.start, draws.stop)[:, None]
        return (number >> np.arange(people) & 1).astype(np.uint8)  # the last patient is never swapped
    out = np.empty((len(draws), people), np.uint8)
    for row, draw in zip(out, draws, strict=True):
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(plan.seed, spawn_key=(draw, 1))))
        row[:] = generator.integers(0, 2, people, dtype=np.uint8)
    return out


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
