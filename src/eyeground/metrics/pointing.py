"""The pointing game: does a map's strongest place lie on the lesion?

Zhang, Bargal, Lin, Brandt, Shen & Sclaroff, "Top-down neural attention by excitation backprop", IJCV 126, 2018,
section 5.1: one point per map, a hit when it lies on the object or within a tolerance (15 pixels there, of pictures
some 500 pixels wide). A large lesion is hit by chance, so every rate stands beside that of a random point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.metrics.proportions import wilson

TOLERANCE = 0.03
"""Reach of a hit as a part of the field's diameter: 15 pixels of 500."""
EVERYWHERE = 0.5
"""A mask that covers more of the field than this has no place to point at."""


@dataclass(frozen=True)
class Pointed:
    """One map against one mask. `cover` is the mask's part of the field.

    `inside`: the point lies in the mask; `hit`: in it or within the tolerance. `chance`: that a point anywhere in the
    field is a hit (that it is inside has chance `cover`).
    """

    inside: bool
    hit: bool
    chance: float
    cover: float

    @property
    def local(self) -> bool:
        """Whether the mask is somewhere, and not everywhere."""
        return self.cover <= EVERYWHERE


def peak(values: NDArray[np.floating[Any]], shift: tuple[float, float] = (0.0, 0.0)) -> tuple[float, float]:
    """Centre of a map's strongest element as (x, y) in parts of its sides.

    Only elements whose centre lies in the circle inscribed in the map count: the crop is drawn around the round field
    of view, and what a network sees in its black corners is no evidence.

    Args:
        values: (h, w), finite. The first of equal elements wins, row by row.
        shift: (dx, dy) in elements, from the regular cells' centres to the true ones (`nets.placement`).

    Raises:
        ValueError: not a map, or with something that is not finite.
    """
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"a finite map (h, w) is wanted, not shape {values.shape} or something not finite")
    height, width = values.shape
    down, across = (np.arange(height) + 0.5 + shift[1]) / height, (np.arange(width) + 0.5 + shift[0]) / width
    away = np.hypot(down[:, None] - 0.5, across[None, :] - 0.5)
    inside = away <= max(0.5, float(away.min()))
    row, column = np.unravel_index(int(np.where(inside, values, -np.inf).argmax()), values.shape)
    return float(across[column]), float(down[row])


@dataclass(frozen=True)
class Reach:
    """A mask made ready for points: `mask` and `near` (H, W), and what points anywhere in the field would score."""

    mask: NDArray[np.bool_]
    near: NDArray[np.bool_]
    chance: float
    cover: float

    def point(self, at: tuple[float, float]) -> Pointed:
        """Holds a point against the mask.

        Args:
            at: (x, y) in pixels; pixel i covers [i, i + 1). A point outside the picture counts at its edge.
        """
        height, width = self.mask.shape
        column, row = min(max(int(at[0]), 0), width - 1), min(max(int(at[1]), 0), height - 1)
        return Pointed(bool(self.mask[row, column]), bool(self.near[row, column]), self.chance, self.cover)


def reach(mask: NDArray[np.bool_], field: NDArray[np.bool_], diameter: float) -> Reach:
    """Where a point would be a hit.

    Args:
        mask: (H, W), true on the lesion, somewhere.
        field: (H, W), true in the field of view: where a random point may fall.
        diameter: of the field in pixels; the tolerance is a part of it.

    Raises:
        ValueError: an empty mask or field, or shapes that differ.
    """
    if mask.shape != field.shape or not mask.any() or not field.any():
        raise ValueError(f"a mask {mask.shape} and a field {field.shape} of one size are wanted, neither empty")
    away = cv2.distanceTransform(np.asarray(~mask, np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near = np.asarray(away <= TOLERANCE * diameter)
    return Reach(mask, near, float(near[field].mean()), float(mask[field].mean()))


def point(mask: NDArray[np.bool_], at: tuple[float, float], field: NDArray[np.bool_], diameter: float) -> Pointed:
    """Holds one point (x, y) against a mask; see `reach`."""
    return reach(mask, field, diameter).point(at)


def tally(points: Sequence[Pointed]) -> dict[str, Any]:
    """Rates over findings: JSON-able `n, inside, hits, inside_rate, hit_rate, ..._interval, chance, cover`.

    Intervals are Wilson's at 95 %, as if every finding were a patient of its own; undefined is None.
    """
    n = len(points)
    inside, hits = sum(one.inside for one in points), sum(one.hit for one in points)
    return {
        "n": n,
        "inside": inside,
        "hits": hits,
        "inside_rate": inside / n if n else None,
        "hit_rate": hits / n if n else None,
        "inside_interval": wilson(inside, n),
        "hit_interval": wilson(hits, n),
        "chance": float(np.mean([one.chance for one in points])) if n else None,
        "cover": float(np.mean([one.cover for one in points])) if n else None,
    }
