"""Lesions: the connected components (8 neighbours) of a lesion type's mask, counted on the original pixels.

Counting on a smaller grid would join lesions that lie close together and lose microaneurysms of a few pixels, so it is
done on the original pixels, and each lesion keeps its pixels. Where blocks are worked on (`metrics.map_grid`), a lesion
is in every block of which it has a pixel: it never vanishes, and a block may hold several lesions. That makes a lesion
up to one block wider on each side there: "touch" reaches as far as one block.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.errors import DataError
from eyeground.metrics.map_grid import Blocks, LesionImage

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Lesions:
    """The lesions of one type on one photograph; lesion k is number k of every array.

    Attributes:
        kind: lesion type.
        area: (n,) pixels. centroid: (n, 2) x, y in original pixels, continuous. box: (n, 4) left, top, width, height.
        rows, columns: (m,) all their pixels, lesion by lesion. starts: (n + 1,) where each lesion's pixels begin.
        counted: (n,) bool; the others are too small to be asked for, and no candidate on them is false.
        outside: how many more lie wholly outside of the field of view: nothing is asked of them.
    """

    kind: str
    area: Ints
    centroid: NDArray[np.float64]
    box: Ints
    rows: Ints
    columns: Ints
    starts: Ints
    counted: NDArray[np.bool_]
    outside: int

    def __len__(self) -> int:
        return len(self.area)

    @property
    def owner(self) -> Ints:
        """(m,) which lesion each pixel belongs to."""
        return np.repeat(np.arange(len(self)), self.area)

    def asking(self, smallest: int) -> Lesions:
        """The same, `counted` from `smallest` pixels on."""
        return dataclasses.replace(self, counted=self.area >= smallest)

    def records(self) -> list[dict[str, object]]:
        """JSON-able: `id` (from 1), `type`, `area`, `centroid` [x, y], `bbox` [left, top, width, height]."""
        return [
            {"id": k + 1, "type": self.kind, "area": int(a), "centroid": c.tolist(), "bbox": b.tolist()}
            for k, (a, c, b) in enumerate(zip(self.area, self.centroid, self.box, strict=True))
        ]


def find_lesions(mask: NDArray[np.bool_], kind: str, image: LesionImage | None = None) -> Lesions:
    """The lesions of one mask.

    Args:
        mask: (height, width) bool.
        image: whose field of view bounds them: pixels outside do not belong to a lesion. None: everything counts.

    Raises:
        DataError: a mask of another size than its photograph.
    """
    if image is not None and mask.shape != (image.geometry.height, image.geometry.width):
        size = (image.geometry.height, image.geometry.width)
        raise DataError(f"{image.name}: the mask of {kind} is {mask.shape}, the photograph {size}; give it unscaled")
    left, top, wide, high = cv2.boundingRect(np.asarray(mask, np.uint8))
    part = np.ascontiguousarray(mask[top : top + high, left : left + wide], dtype=np.uint8)
    if not part.size:
        part = np.zeros((1, 1), np.uint8)
    number, labels = cv2.connectedComponents(part, connectivity=8, ltype=cv2.CV_32S)
    places = cv2.findNonZero(part)
    columns, rows = np.empty((2, 0), np.int64) if places is None else places.reshape(-1, 2).T.astype(np.int64)
    owner = labels[rows, columns] - 1
    rows, columns = rows + top, columns + left
    if image is not None:
        keep = image.in_field(columns + 0.5, rows + 0.5)
        rows, columns, owner = rows[keep], columns[keep], owner[keep]
    order = np.argsort(owner, kind="stable")
    held, owner = np.unique(owner[order], return_inverse=True)
    return _described(kind, rows[order], columns[order], owner, number - 1 - len(held))


def _described(kind: str, rows: Ints, columns: Ints, owner: Ints, outside: int) -> Lesions:
    area = np.bincount(owner).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(area)]).astype(np.int64)
    if not len(area):
        nothing = np.empty(0, np.int64)
        flags = np.empty(0, bool)
        return Lesions(
            kind, nothing, np.empty((0, 2)), np.empty((0, 4), np.int64), rows, columns, starts, flags, outside
        )
    low = [np.minimum.reduceat(one, starts[:-1]) for one in (columns, rows)]
    high = [np.maximum.reduceat(one, starts[:-1]) for one in (columns, rows)]
    centroid = np.stack([np.bincount(owner, weights=one) / area + 0.5 for one in (columns, rows)], axis=1)
    box = np.stack([*low, *(b - a + 1 for a, b in zip(low, high, strict=True))], axis=1)
    return Lesions(kind, area, centroid, box, rows, columns, starts, np.ones(len(area), bool), outside)


def cells_of(lesions: Lesions, blocks: Blocks) -> tuple[Ints, Ints]:
    """Every block (flat index) that a lesion has a pixel in, with the lesion: two arrays (pairs,), each pair once."""
    _, columns = blocks.shape
    flat = (lesions.rows // blocks.factor) * columns + lesions.columns // blocks.factor
    pairs = np.unique(lesions.owner * (blocks.shape[0] * columns) + flat)
    return pairs % (blocks.shape[0] * columns), pairs // (blocks.shape[0] * columns)
