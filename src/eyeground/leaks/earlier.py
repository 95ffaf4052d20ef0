"""The signature of splits made by earlier versions: a grey thumbnail of the field, 16 x 16 pixels, bare base64.

Old bundles hold nothing else, so they are audited with it still: copies that were re-encoded, resized or mirrored
differ by under 2 grey levels (root mean square within the disc), but not those whose light was changed.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.same_eye import cut, field_box

SIDE = 16
"""Signatures are SIDE x SIDE pixels, one byte each."""
COPY = 2.8
"""Grey levels, root mean square within the disc, up to which two signatures are of one file."""
ALIKE = 0.6
"""Correlation of the fine detail of two signatures from which they may be copies; noise alone stays well below."""
BLOCK = 256
"""Rows of a distance matrix held at once."""

Floats = NDArray[np.float32]


def earlier_signature(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey thumbnail uint8 (SIDE, SIDE) of the field of a photograph uint8 (H, W, 3) RGB."""
    small = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (128, 128), interpolation=cv2.INTER_AREA)
    grey: NDArray[np.uint8] = np.asarray(small, dtype=np.uint8)
    return cut(cut(grey, field_box(grey), 4 * SIDE), None, SIDE)


def to_text(thumbnail: NDArray[np.uint8]) -> str:
    """A thumbnail as base64."""
    return base64.b64encode(thumbnail.tobytes()).decode()


def earlier_copies(
    one: Sequence[str], two: Sequence[str] | None = None
) -> Iterator[tuple[int, int, bool, float, float]]:
    """Pairs of signatures' texts that are of one file: of one set with another, or each pair within one set.

    Yields:
        place in `one`, place in `two` (or a later one in `one`), whether mirrored, correlation within the disc,
        distance in grey levels.
    """
    a = _thumbnails(one)
    b = a if two is None else _thumbnails(two)
    turned = np.ascontiguousarray(b[:, :, ::-1])
    for start in range(0, len(a), BLOCK):
        block, skip = a[start : start + BLOCK], start if two is None else 0
        straight, mirrored = _distances(block, b[skip:]), _distances(block, turned[skip:])
        for i, j in np.argwhere(np.minimum(straight, mirrored) <= COPY):
            if two is None and j <= i:
                continue
            flip = bool(mirrored[i, j] < straight[i, j])
            other = turned[skip + j] if flip else b[skip + j]
            # two frames without detail (dark, bleached, veiled) lie close to each other by chance
            if correlation(_fine(block[i]), _fine(other)) >= ALIKE:
                distance = float(min(straight[i, j], mirrored[i, j]))
                yield int(start + i), int(skip + j), flip, correlation(block[i], other), distance


def likeness(one: str, two: str, mirrored: bool) -> float:
    """Correlation of two thumbnails within the disc; nan for an even one."""
    a, b = _thumbnails([one, two])
    return correlation(a, b[:, ::-1] if mirrored else b)


def _thumbnails(texts: Sequence[str]) -> Floats:
    rows = [np.frombuffer(base64.b64decode(text), dtype=np.uint8) for text in texts]
    return np.array(rows, dtype=np.float32).reshape(len(rows), SIDE, SIDE)


def _distances(a: Floats, b: Floats) -> Floats:
    """Root mean square difference within the disc, grey levels (len(a), len(b))."""
    one, two = a[:, DISC], b[:, DISC]
    square = (one**2).sum(1)[:, None] + (two**2).sum(1)[None] - 2 * one @ two.T
    return np.asarray(np.sqrt(np.maximum(square, 0) / one.shape[1]), dtype=np.float32)


def _fine(thumbnail: Floats) -> Floats:
    """What is left of a thumbnail (SIDE, SIDE) without its smooth part."""
    return np.asarray(thumbnail - cv2.GaussianBlur(thumbnail, (0, 0), 2.0), dtype=np.float32)


def correlation(a: Floats, b: Floats) -> float:
    """Pearson correlation within the disc; nan for an even picture."""
    one, two = a[DISC] - a[DISC].mean(), b[DISC] - b[DISC].mean()
    length = float(np.linalg.norm(one) * np.linalg.norm(two))
    return float(one @ two) / length if length > 0 else float("nan")


def _disc() -> NDArray[np.bool_]:
    """Within nine tenths of the radius: the rim moves with the box."""
    axis = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    return np.asarray(np.hypot(*np.meshgrid(axis, axis)) < 0.9)


DISC = _disc()
