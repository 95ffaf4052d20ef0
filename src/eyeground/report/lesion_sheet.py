"""Lesions found and missed, drawn on the photograph: outlines by type, a ring for each hit, a cross for a false one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.explain.paint import blend, paint, smooth
from eyeground.files import aside
from eyeground.images.geometry import Geometry

Bytes = NDArray[np.uint8]
SIDE = 1100
"""Longer side of a drawn photograph, pixels."""
COLOURS = {"MA": (80, 200, 255), "HE": (255, 140, 160), "EX": (255, 235, 90), "SE": (150, 255, 150)}
"""RGB of a lesion type's outline; others take the ones below in turn."""
OTHERS = ((255, 235, 90), (80, 200, 255), (255, 140, 160), (150, 255, 150), (220, 160, 255))
HIT, FALSE = (70, 255, 70), (255, 60, 60)


@dataclass(frozen=True)
class Drawn:
    """One photograph with what was found on it.

    Attributes:
        title: above the picture. lines: below it, such as counts.
        photograph: file. geometry, values, shift: the map (h, w), drawn under the marks; `scale` is drawn in full.
        outlines: lesion type to mask (height, width) of lesions found, and of those missed.
        hits, false: (n, 2) x, y in original pixels of candidates above the threshold.
    """

    title: str
    lines: tuple[str, ...]
    photograph: Path
    geometry: Geometry
    values: NDArray[np.floating[Any]]
    shift: tuple[float, float]
    scale: float
    found: Mapping[str, NDArray[np.bool_]]
    missed: Mapping[str, NDArray[np.bool_]]
    hits: NDArray[np.float64]
    false: NDArray[np.float64]


def draw_lesions(one: Drawn, path: Path) -> None:
    """Writes photograph and map beside each other, with the marks on both.

    Raises:
        OSError: the photograph or the place can't be used.
    """
    picture: Any = cv2.imdecode(np.frombuffer(one.photograph.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    factor = SIDE / max(picture.shape[:2])
    wide, high = (max(1, round(side * factor)) for side in picture.shape[1::-1])
    plain = np.asarray(cv2.cvtColor(cv2.resize(picture, (wide, high), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB))
    pair = [_marked(plain, one, factor), _marked(_heated(plain, one, factor), one, factor)]
    sheet = np.vstack([_words([one.title], 2 * wide, True), np.hstack(pair), _legend(one, 2 * wide)])
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert ok
    with aside(path) as temporary:
        temporary.write_bytes(data.tobytes())


def _heated(plain: Bytes, one: Drawn, factor: float) -> Bytes:
    """The photograph with the map over the crop's square."""
    geometry = one.geometry
    side = max(1, round(geometry.side * factor))
    heat = paint(smooth(one.values, side, side, one.shift), one.scale)
    high, wide = plain.shape[:2]
    canvas = np.zeros((high, wide, 4), np.uint8)
    left, top = round(geometry.x * factor), round(geometry.y * factor)
    rows, columns = slice(max(top, 0), min(top + side, high)), slice(max(left, 0), min(left + side, wide))
    canvas[rows, columns] = heat[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return blend(plain, canvas, 0.7)


def _marked(pixels: Bytes, one: Drawn, factor: float) -> Bytes:
    drawn = np.ascontiguousarray(pixels)
    high, wide = drawn.shape[:2]
    for masks, thick in ((one.missed, 1), (one.found, 2)):
        for kind, mask in masks.items():
            small = cv2.resize(mask.astype(np.float32), (wide, high), interpolation=cv2.INTER_AREA) > 0
            edges, _ = cv2.findContours(small.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(drawn, edges, -1, colour_of(kind, [*one.missed, *one.found]), thick, cv2.LINE_AA)
    for points, colour, hit in ((one.false, FALSE, False), (one.hits, HIT, True)):
        for x, y in points * factor:
            at = (round(x), round(y))
            for shade, width in (((0, 0, 0), 4), (colour, 2)):
                if hit:
                    cv2.circle(drawn, at, 9, shade, width, cv2.LINE_AA)
                else:
                    cv2.drawMarker(drawn, at, shade, cv2.MARKER_TILTED_CROSS, 13, width, cv2.LINE_AA)
    return np.asarray(drawn, np.uint8)


def colour_of(kind: str, kinds: Sequence[str]) -> tuple[int, int, int]:
    """RGB of a type's outline."""
    return COLOURS.get(kind) or OTHERS[list(dict.fromkeys(kinds)).index(kind) % len(OTHERS)]


def _words(lines: Sequence[str], wide: int, bold: bool = False) -> Bytes:
    strip = np.full((10 + 26 * len(lines), wide, 3), 18, np.uint8)
    for number, text in enumerate(lines):
        at = (12, 26 + 26 * number)
        cv2.putText(strip, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (240, 240, 240), 2 if bold else 1, cv2.LINE_AA)
    return strip


def _legend(one: Drawn, wide: int) -> Bytes:
    """Colours of the types, the marks, and the lines."""
    strip = np.full((36, wide, 3), 18, np.uint8)
    x = 12
    kinds = list(dict.fromkeys([*one.found, *one.missed]))
    entries = [(f"{kind} (thick: found)", colour_of(kind, kinds)) for kind in kinds]
    for text, colour in [*entries, ("o hit", HIT), ("x false positive", FALSE)]:
        cv2.putText(strip, text, (x, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.55, colour, 1, cv2.LINE_AA)
        x += cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.55, 1)[0][0] + 28
    return np.vstack([strip, _words(one.lines, wide)])
