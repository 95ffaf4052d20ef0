"""A contact sheet of heatmap peaks: the lesion outlined, a cross at the peak, hits green and misses red."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.files import aside

Bytes = NDArray[np.uint8]
_TILE, _ACROSS = 300, 6
_HIT, _MISS, _OUTLINE = (90, 220, 60), (60, 60, 255), (255, 235, 120)  # BGR


@dataclass(frozen=True)
class Spot:
    """One tile: photograph, mask (H, W) of the same size, peak (x, y) in its pixels, words, and whether it hit."""

    photograph: Path
    mask: NDArray[np.bool_]
    at: tuple[float, float]
    words: str
    hit: bool


def pointing_sheet(spots: Sequence[Spot], path: Path) -> None:
    """Writes the sheet, six tiles in a row, in the order given.

    Raises:
        OSError: a photograph or the sheet's place can't be used.
    """
    tiles = [_tile(spot) for spot in spots]
    tiles += [np.zeros((_TILE, _TILE, 3), np.uint8)] * (-len(tiles) % _ACROSS)
    rows = [np.hstack(tiles[start : start + _ACROSS]) for start in range(0, len(tiles), _ACROSS)]
    ok, data = cv2.imencode(".png", np.vstack(rows))
    assert ok
    with aside(path) as temporary:
        temporary.write_bytes(data.tobytes())


def _tile(spot: Spot) -> Bytes:
    pixels = np.frombuffer(spot.photograph.read_bytes(), np.uint8)
    picture: Any = cv2.imdecode(pixels, cv2.IMREAD_COLOR)
    scale = _TILE / max(picture.shape[:2])
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    tile = np.zeros((_TILE, _TILE, 3), np.uint8)
    tile[:height, :width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    small = cv2.resize(spot.mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) > 0.25
    edges, _ = cv2.findContours(small.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(tile, edges, -1, _OUTLINE, 1)
    at = (round(spot.at[0] * scale), round(spot.at[1] * scale))
    colour = _HIT if spot.hit else _MISS
    cv2.drawMarker(tile, at, (0, 0, 0), cv2.MARKER_CROSS, 23, 4)
    cv2.drawMarker(tile, at, colour, cv2.MARKER_CROSS, 21, 2)
    cv2.rectangle(tile, (0, 0), (_TILE - 1, _TILE - 1), colour, 2)
    cv2.putText(tile, spot.words, (6, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return tile
