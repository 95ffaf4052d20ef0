"""Candidates of a map: the places it points at, with their scores.

Two kinds. *Peaks*: local maxima of the map's own elements, strongest first, none closer to a stronger one than a
radius. *Components*: the connected components (8 neighbours) of the map above a threshold, on blocks; a component's
score is its maximum. Elements and blocks outside of the field of view do not exist; a map that rises towards the rim
has a peak at the rim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.metrics.map_grid import Floats, Ints32, LesionImage

EIGHT = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Peaks:
    """`points` (n, 2) x, y in original pixels; `scores` (n,), falling."""

    points: Floats
    scores: Floats


@dataclass(frozen=True)
class Regions:
    """The components of a map above one threshold.

    `labels` (rows, columns) of blocks, 0 where there is none, else 1..n; `areas` (n,) in blocks.
    """

    labels: Ints32
    areas: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.areas)


def peaks(image: LesionImage, radius: float, above: float | None = None) -> Peaks:
    """Local maxima after non-maximum suppression.

    A plateau of equal elements without a higher neighbour is one peak, at its element nearest to its centroid; of
    equal peaks the one first by row, then by column, comes first.

    Args:
        radius: part of the field's diameter; a peak at most so far from a stronger one is dropped.
        above: peaks at or below this value are dropped; None keeps all.
    """
    x, y = image.centres
    inside = image.in_field(x[None, :], y[:, None])
    values = np.where(inside, image.values.astype(np.float64), -np.inf)
    rows, columns = _maxima(values, inside)
    scores = values[rows, columns]
    order = np.lexsort((columns, rows, -scores))
    if above is not None:
        order = order[scores[order] > above]
    kept = _suppressed(rows[order], columns[order], image, radius * image.diameter)
    order = order[kept]
    return Peaks(np.stack([x[columns[order]], y[rows[order]]], axis=1), scores[order])


def regions(placed: Floats, level: float, smallest: int = 1) -> Regions:
    """Components of a map on blocks where it is at least `level`; those of fewer than `smallest` blocks are dropped."""
    over = np.asarray(placed >= level, np.uint8)
    number, labels, stats, _ = cv2.connectedComponentsWithStats(over, connectivity=8, ltype=cv2.CV_32S)
    areas = stats[1:, cv2.CC_STAT_AREA].astype(np.int64)
    if smallest > 1 and number > 1:
        keep = areas >= smallest
        names = np.concatenate([[0], np.where(keep, np.cumsum(keep), 0)]).astype(np.int32)
        labels, areas = names[labels], areas[keep]
    return Regions(np.asarray(labels, np.int32), areas)


def tops(found: Regions, placed: Floats) -> Ints32:
    """Flat index (n,) of each component's strongest block, the first of equal ones: its point."""
    flat = np.flatnonzero(found.labels)
    names = found.labels.ravel()[flat]
    order = np.lexsort((flat, -placed.ravel()[flat], names))
    return flat[order[np.unique(names[order], return_index=True)[1]]].astype(np.int32)


def _maxima(values: Floats, inside: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows and columns of the local maxima, one for each plateau."""
    flat = inside & (values >= cv2.dilate(values, EIGHT))
    if not flat.any():
        return np.empty(0, np.int64), np.empty(0, np.int64)
    # a plateau goes on in elements that do have a higher neighbour: then none of it is a maximum
    beside = cv2.dilate(np.where(flat, -np.inf, values), EIGHT)
    number, labels, _, centroids = cv2.connectedComponentsWithStats(flat.astype(np.uint8), connectivity=8)
    rows, columns = np.nonzero(flat)
    names = labels[rows, columns]
    fails = np.bincount(names, weights=beside[rows, columns] == values[rows, columns], minlength=number) > 0
    away = (columns - centroids[names, 0]) ** 2 + (rows - centroids[names, 1]) ** 2
    order = np.lexsort((columns, rows, away, names))
    order = order[np.unique(names[order], return_index=True)[1]]
    order = order[~fails[names[order]]]
    return rows[order], columns[order]


def _suppressed(rows: NDArray[Any], columns: NDArray[Any], image: LesionImage, reach: float) -> list[int]:
    """Which of the places (strongest first) stay; `reach` in original pixels."""
    h, w = image.values.shape
    high, wide = image.geometry.side / h, image.geometry.side / w
    down, across = int(reach // high), int(reach // wide)
    dy, dx = np.ogrid[-down : down + 1, -across : across + 1]
    disc = (dy * high) ** 2 + (dx * wide) ** 2 <= reach**2
    taken = np.zeros((h + 2 * down, w + 2 * across), bool)
    kept = []
    for k, (row, column) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        if not taken[row + down, column + across]:
            kept.append(k)
            taken[row : row + 2 * down + 1, column : column + 2 * across + 1] |= disc
    return kept
