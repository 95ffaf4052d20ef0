"""What both contact sheets are made of: a picture at a tile's size, masks outlined on it, rows written as a PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from eyeground.errors import DataError
from eyeground.files import aside
from eyeground.phantom.canvas import Bytes

Colour = tuple[int, int, int]
"""Blue, green, red."""


def tile(path: Path, size: tuple[int, int], mode: int = cv2.IMREAD_COLOR) -> Bytes:
    """A picture at `size` (width, height). Raises `DataError` when it can't be read."""
    image = cv2.imread(str(path), mode)
    if image is None:
        raise DataError(f"{path} is missing or can't be read: delete the folder and make the cohort again")
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def outlined(plain: Bytes, masks: Mapping[Path, Colour], above: int) -> Bytes:
    """A copy of a tile with the masks of these files outlined; what of a shrunk mask is brighter than `above` counts.

    Raises:
        DataError: a mask can't be read.
    """
    found = plain.copy()
    for path, colour in masks.items():
        small = tile(path, (plain.shape[1], plain.shape[0]), cv2.IMREAD_GRAYSCALE)
        edges, _ = cv2.findContours((small > above).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(found, edges, -1, colour, 1)
    return found


def write_rows(rows: Sequence[Bytes], path: Path) -> Path:
    """Writes rows of equal width beneath each other as one PNG; returns its path."""
    ok, data = cv2.imencode(".png", np.vstack(rows))
    assert ok
    with aside(path) as temporary:
        temporary.write_bytes(data.tobytes())
    return path
