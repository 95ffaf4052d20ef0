"""Where a view came from: a square box in the original picture, and the way there and back.

Coordinates are continuous and (x, y): pixel i covers [i, i + 1), its centre is at i + 0.5, and the picture spans
[0, width] x [0, height]. "Original" means the picture as it should be seen, after its EXIF orientation.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Geometry:
    """A square crop box in original pixels, and the side of the view made from it.

    `x, y` is the box's top left corner and `side` its length; the box may lie partly outside the picture, where the
    view is padded with black. `size` is the view's side in its own pixels.
    """

    width: int
    height: int
    x: float
    y: float
    side: float
    size: int

    def to_original(self, points: ArrayLike) -> NDArray[np.float64]:
        """View coordinates (..., 2) to original coordinates (..., 2)."""
        return np.asarray(points, dtype=np.float64) * (self.side / self.size) + (self.x, self.y)

    def to_view(self, points: ArrayLike) -> NDArray[np.float64]:
        """Original coordinates (..., 2) to view coordinates (..., 2); the inverse of `to_original`."""
        return (np.asarray(points, dtype=np.float64) - (self.x, self.y)) * (self.size / self.side)

    def place(self, values: NDArray[np.floating], shift: tuple[float, float] = (0.0, 0.0)) -> NDArray[np.float32]:
        """Puts a map that covers the view, at any resolution, onto the original pixels.

        Args:
            values: finite float (h, w); cell (0, 0) covers the view's top left corner.
            shift: (dx, dy) in cells, from the cells' centres to where their values belong (`nets.placement`).

        Returns:
            float32 (height, width), bilinear between the places of the values (the nearest value beyond the outermost
            ones) and 0 at the pixels whose centre is outside the crop.
        """
        if values.ndim != 2:
            raise ValueError(f"place takes one map (h, w), not an array of shape {values.shape}")
        placed = np.zeros((self.height, self.width), dtype=np.float32)
        rows, down = _weights(self.y, self.side, self.height, values.shape[0], shift[1])
        columns, across = _weights(self.x, self.side, self.width, values.shape[1], shift[0])
        placed[rows, columns] = down @ values.astype(np.float32, copy=False) @ across.T
        return placed

    def to_dict(self) -> dict[str, int | float]:
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Geometry:
        """The geometry that `to_dict` wrote. Raises `TypeError` for missing or unknown keys."""
        return Geometry(**data)


@dataclass(frozen=True)
class View:
    """What a model sees of one photograph: uint8 (S, S, 3) RGB pixels, and where they came from."""

    pixels: NDArray[np.uint8]
    geometry: Geometry


@dataclass(frozen=True)
class Placement:
    """Where a map's elements sit, against a regular grid over the whole picture; x before y, in elements of the map.

    `shift`: from the regular cell's centre to the true one, at the middle of the map; (0, 0) where nothing is known.
    `stretch`: how far the outermost elements are from where the shift puts them, where stride times elements is not
    the picture's side. `spread`: how far branches of the network lie to both sides of the shift. `why`: empty, or why
    the shift can't be established.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    stretch: tuple[float, float] = (0.0, 0.0)
    spread: tuple[float, float] = (0.0, 0.0)
    why: str = ""


def _weights(origin: float, side: float, length: int, cells: int, shift: float) -> tuple[slice, NDArray[np.float32]]:
    """Along one axis: the original pixels in the box, and for each the weight of every cell, (pixels, cells)."""
    first = min(max(math.ceil(origin - 0.5), 0), length)
    last = min(max(math.ceil(origin + side - 0.5), first), length)
    position = np.clip((np.arange(first, last) + 0.5 - origin) * (cells / side) - 0.5 - shift, 0, cells - 1)
    hats = np.maximum(0, 1 - np.abs(position[:, None] - np.arange(cells)))
    return slice(first, last), hats.astype(np.float32)
