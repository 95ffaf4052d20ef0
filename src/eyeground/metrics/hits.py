"""When a candidate hits a lesion: four rules by name, and what follows for lesions and candidates.

Counting: a lesion is found at the best score of the candidates that hit it, and counts once; further candidates on
it are neither hits nor false. A candidate may find every lesion that it hits (`credit="every"`), or of each type the
nearest only ("nearest"; of components the one it covers most of). A candidate that hits nothing is false.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eyeground.metrics.candidates import Regions
from eyeground.metrics.lesions import Ints, Lesions
from eyeground.metrics.map_grid import Floats

Credit = Literal["every", "nearest"]
Hit = Literal["inside", "near", "touch", "iou"]


@dataclass(frozen=True)
class Pairs:
    """Which candidate hits which lesion, (pairs,) each; `gap` orders the lesions of a candidate, smallest first."""

    candidate: Ints
    lesion: Ints
    gap: Floats


def point_pairs(points: Floats, lesions: Lesions, reach: float = 0.0) -> Pairs:
    """Points against lesions: every pair not further apart than `reach` pixels.

    The distance is between the centres of the point's pixel and of the lesion's nearest pixel, as an exact distance
    transform of the lesion gives it; 0 asks for points inside ("inside"), more is "near".

    Args:
        points: (n, 2) x, y in original pixels.
    """
    at = np.floor(np.asarray(points, np.float64)).astype(np.int64).reshape(-1, 2)
    low, last = lesions.box[:, :2], lesions.box[:, :2] + lesions.box[:, 2:] - 1
    off = [
        np.maximum(0, np.maximum(low[None, :, k] - at[:, None, k], at[:, None, k] - last[None, :, k])) for k in (0, 1)
    ]
    near = off[0] ** 2 + off[1] ** 2 <= reach**2  # to the box: no further than to the lesion
    candidate, lesion = np.nonzero(near)
    gap = np.empty(len(candidate))
    for k, (c, one) in enumerate(zip(candidate.tolist(), lesion.tolist(), strict=True)):
        pixels = slice(lesions.starts[one], lesions.starts[one + 1])
        x, y = at[c]
        gap[k] = ((lesions.columns[pixels] - x) ** 2 + (lesions.rows[pixels] - y) ** 2).min()
    keep = gap <= reach**2
    return Pairs(candidate[keep], lesion[keep], np.sqrt(gap[keep]))


def region_pairs(found: Regions, cells: tuple[Ints, Ints], lesions: int, at_least: float = 0.0) -> Pairs:
    """Components against lesions that share a block with them.

    Args:
        cells: of `lesions.cells_of`.
        lesions: how many there are.
        at_least: intersection over union, in blocks; 0 asks for touching only.
    """
    flat, owner = cells
    name = found.labels.ravel()[flat].astype(np.int64)
    on = name > 0
    pairs, shared = np.unique((name[on] - 1) * max(lesions, 1) + owner[on], return_counts=True)
    candidate, lesion = pairs // max(lesions, 1), pairs % max(lesions, 1)
    whole = np.bincount(owner, minlength=lesions)[lesion] if lesions else np.empty(0)
    keep = shared >= at_least * (found.areas[candidate] + whole - shared)
    return Pairs(candidate[keep], lesion[keep], -(shared / np.maximum(whole, 1))[keep])


def credited(pairs: Pairs, credit: Credit) -> Pairs:
    """The pairs that count for lesions: all, or of every candidate the one of smallest gap, the first of equal ones."""
    if credit == "every":
        return pairs
    order = np.lexsort((pairs.lesion, pairs.gap, pairs.candidate))
    order = order[np.unique(pairs.candidate[order], return_index=True)[1]]
    return Pairs(pairs.candidate[order], pairs.lesion[order], pairs.gap[order])


def best_scores(pairs: Pairs, scores: NDArray[np.floating[Any]], lesions: int) -> Floats:
    """The score (lesions,) at which each lesion is found; -inf for never."""
    best = np.full(lesions, -np.inf)
    np.maximum.at(best, pairs.lesion, np.asarray(scores, np.float64)[pairs.candidate])
    return best
