"""One map on one photograph: where its elements lie, where the field of view is, and a grid of blocks to work on.

A photograph of 4288 x 2848 pixels is worked on in square blocks of whole pixels, about `CELLS` along its longer side
(there 4 pixels each, 1072 x 712 blocks). The map is read at the blocks' centres. Coordinates are those of
`images.geometry`: continuous (x, y) in original pixels, pixel i covers [i, i + 1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.errors import DataError, UsageError
from eyeground.images.geometry import Geometry

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints32 = NDArray[np.int32]
Interpolation = Literal["linear", "nearest"]
Pooling = Literal["share", "any"]
CELLS = 1024
"""About as many blocks along the longer side of a photograph."""


@dataclass(frozen=True)
class Grid:
    """What is worked on where pixels would be too many.

    Attributes:
        cells: blocks along the photograph's longer side, about.
        interpolation: how a map is read at a block's centre: "linear" between elements, or the "nearest" element,
            which keeps the order of values exactly.
        pooling: what a block says of a mask, for pixel measures: the "share" of its pixels that the mask covers (area
            and prevalence stay those of the original pixels), or 1 where it has "any" (maximum; small lesions grow).
    """

    cells: int = CELLS
    interpolation: Interpolation = "linear"
    pooling: Pooling = "share"

    def __post_init__(self) -> None:
        """Raises `UsageError` for options that name nothing."""
        if self.interpolation not in ("linear", "nearest") or self.pooling not in ("share", "any") or self.cells < 1:
            raise UsageError(
                f"interpolation '{self.interpolation}' is 'linear' or 'nearest', pooling '{self.pooling}' is 'share' "
                f"or 'any', and cells {self.cells} at least 1"
            )


@dataclass(frozen=True)
class LesionImage:
    """One photograph, the map to judge on it, and how to get its masks.

    Attributes:
        name: of the photograph, for messages.
        values: (h, w) real, the map over the view's square.
        geometry: places the square on the original.
        masks: called once, gives the mask (height, width) of every lesion type that is there, bool on original pixels.
            A type that is left out is absent; `dict` itself serves for a photograph without lesions.
        shift: (dx, dy) in elements, from the regular centre of an element to what it truly looks at.
        field: of view: a circle (cx, cy, radius) in original pixels, or a mask bool (height, width). None is the
            circle inscribed in the crop.
        patient: whose photograph; None is a patient of its own. Patients are drawn for the intervals.
    """

    name: str
    values: NDArray[np.floating[Any]]
    geometry: Geometry
    masks: Callable[[], Mapping[str, NDArray[np.bool_]]]
    shift: tuple[float, float] = (0.0, 0.0)
    field: tuple[float, float, float] | NDArray[np.bool_] | None = None
    patient: str | None = None

    def __post_init__(self) -> None:
        """Raises `DataError` for a map that is no finite (h, w), or a field of another size than the photograph."""
        if self.values.ndim != 2 or not self.values.size or not np.isfinite(self.values).all():
            raise DataError(
                f"{self.name}: a finite map (h, w) is wanted, not shape {self.values.shape} or one with nan"
            )
        size = (self.geometry.height, self.geometry.width)
        if isinstance(self.field, np.ndarray) and (self.field.shape != size or not self.field.any()):
            raise DataError(f"{self.name}: the field's mask is {self.field.shape} or empty, the photograph {size}")

    @cached_property
    def circle(self) -> tuple[float, float, float]:
        """Centre x, y and radius of the field in original pixels; of a mask, half the longer side of its box."""
        if isinstance(self.field, np.ndarray):
            left, top, wide, high = cv2.boundingRect(self.field.astype(np.uint8))
            return left + wide / 2, top + high / 2, max(wide, high) / 2
        half = self.geometry.side / 2
        return self.field or (self.geometry.x + half, self.geometry.y + half, half)

    @property
    def diameter(self) -> float:
        """Of the field, original pixels: what tolerances and radii are parts of."""
        return 2 * self.circle[2]

    def in_field(self, x: NDArray[Any], y: NDArray[Any]) -> Bools:
        """Whether places (original pixels, arrays that broadcast) lie in the field of view and in the picture."""
        width, height = self.geometry.width, self.geometry.height
        there = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        if isinstance(self.field, np.ndarray):
            rows, columns = np.broadcast_arrays(y, x)
            row, column = (np.clip(part.astype(np.int64), 0, n - 1) for part, n in ((rows, height), (columns, width)))
            return np.asarray(there & self.field[row, column])
        cx, cy, radius = self.circle
        return np.asarray(there & ((x - cx) ** 2 + (y - cy) ** 2 <= radius**2))

    @cached_property
    def centres(self) -> tuple[Floats, Floats]:
        """Original x of the map's columns (w,) and y of its rows (h,): what each element looks at."""
        (h, w), geometry = self.values.shape, self.geometry
        x = geometry.x + (np.arange(w) + 0.5 + self.shift[0]) * geometry.side / w
        y = geometry.y + (np.arange(h) + 0.5 + self.shift[1]) * geometry.side / h
        return x, y


@dataclass(frozen=True)
class Blocks:
    """A photograph in blocks of `factor` x `factor` pixels; those at the right and lower edge may reach outside."""

    width: int
    height: int
    factor: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        return -(-self.height // self.factor), -(-self.width // self.factor)

    def centres(self) -> tuple[Floats, Floats]:
        """Original x of the columns and y of the rows."""
        rows, columns = self.shape
        x, y = ((np.arange(count, dtype=np.float64) + 0.5) * self.factor for count in (columns, rows))
        return np.asarray(x, np.float64), np.asarray(y, np.float64)

    def share(self, rows: NDArray[Any], columns: NDArray[Any]) -> Floats:
        """Part of each block that pixels (m,) cover, (rows, columns); a pixel given twice covers once."""
        high, wide = self.shape
        covered = np.zeros((self.height, self.width), bool)
        covered[rows, columns] = True
        flat = np.flatnonzero(covered)
        block = flat // self.width // self.factor * wide + flat % self.width // self.factor
        return np.bincount(block, minlength=high * wide).reshape(high, wide) / self.factor**2


def blocks_of(geometry: Geometry, cells: int = CELLS) -> Blocks:
    """Blocks of a photograph, about `cells` along its longer side (never smaller than a pixel)."""
    factor = max(1, round(max(geometry.width, geometry.height) / cells))
    return Blocks(geometry.width, geometry.height, factor)


def on_blocks(image: LesionImage, blocks: Blocks, interpolation: Interpolation = "linear") -> tuple[Floats, Bools]:
    """A map read at the blocks' centres.

    Args:
        interpolation: "linear" between the elements' true centres, or the value of the "nearest" element, which
            keeps the order of values exactly.

    Returns:
        values (rows, columns), -inf outside of the field and of the view; and where the field is, bool.
    """
    x, y = blocks.centres()
    inside = image.in_field(x[None, :], y[:, None])
    (h, w), geometry = image.values.shape, image.geometry
    across = (x - geometry.x) * w / geometry.side - 0.5 - image.shift[0]
    down = (y - geometry.y) * h / geometry.side - 0.5 - image.shift[1]
    values = image.values.astype(np.float64)
    if interpolation == "nearest":
        row, column = (np.clip(np.rint(at), 0, n - 1).astype(int) for at, n in ((down, h), (across, w)))
        placed = values[row[:, None], column[None, :]]
    else:
        placed = _hats(down, h) @ values @ _hats(across, w).T
    seen_x = (x >= geometry.x) & (x < geometry.x + geometry.side)
    seen_y = (y >= geometry.y) & (y < geometry.y + geometry.side)
    return np.where(inside & seen_y[:, None] & seen_x[None, :], placed, -np.inf), inside


def levels_of(samples: list[Floats], count: int) -> Floats:
    """Thresholds from many maps' values, falling: values that the strongest 1, ... all of them reach, evenly in log.

    They are order statistics, so a strictly rising change of all values changes them alike.
    """
    finite = [one[np.isfinite(one)] for one in samples]
    values = np.sort(np.concatenate(finite))[::-1] if finite else np.empty(0)
    if not len(values):
        return np.empty(0)
    ranks = np.unique(np.rint(np.geomspace(1, len(values), max(count, 2))).astype(int))
    return np.unique(values[ranks - 1])[::-1]


def thinned(placed: Floats, most: int = 65536) -> Floats:
    """At most about `most` values of a map on blocks, every k-th row and column, with the strongest of all."""
    step = max(1, int(np.ceil(np.sqrt(placed.size / most))))
    return np.append(placed[::step, ::step].ravel(), placed.max())


def _hats(position: Floats, cells: int) -> Floats:
    """Weight of every cell (positions, cells) for linear interpolation, held at the outermost centres."""
    at = np.clip(position, 0, cells - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(cells)))
