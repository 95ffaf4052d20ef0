"""The signature of a photograph: a small picture of its fine detail, in the frame of its field, kept as text.

The light of the disc is the same in every fundus photograph, so it is taken out: grey is cut to the box of the field,
reduced to SIDE x SIDE pixels, freed of its smooth and its ring-shaped part, and divided by its local contrast. What is
left (vessels, lesions, dust on the lens) is kept at 15 levels, within the disc, beside the place of the fitted disc in
the box: a copy whose border was cut off has another box, but the same disc. How the light lies on it is told by the
thumbnail of earlier versions. "2:", the one and the other in base64: about 1,380 characters.
"""

from __future__ import annotations

import base64
import binascii
import functools
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.errors import DataError, ImageError
from eyeground.images.decode import decode_bytes
from eyeground.images.field import find_field
from eyeground.leaks.earlier import earlier_signature, to_text
from eyeground.same_eye import cut, field_box

SIDE = 48
"""Pixels along the side of a signature's picture."""
VERSION = "2:"
"""What a signature's text begins with; those of splits made by earlier versions are a bare thumbnail."""
DECODED = 256
"""Photographs are reduced to about this many pixels along the shorter side."""
LEVELS = 7
"""Values run from -LEVELS to LEVELS."""
STEPS = 1024
"""The disc's place is kept in this share of the box's half side."""
RIM = 0.92
"""What lies outside this share of the radius moves with the box and is left out."""

Floats = NDArray[np.float32]
Frames = tuple[NDArray[np.int8], Floats]
"""Pictures int8 (n, SIDE, SIDE), 0 where nothing is known, and discs float32 (n, 4): x, y, half width, half height in
units of the box's half side, from its middle."""


def signature_of(data: bytes, path: Path) -> str:
    """Signature of an encoded photograph; empty when it can't be decoded. The path is for messages."""
    try:
        return signature(decode_bytes(data, DECODED, path).pixels)
    except ImageError:
        return ""


def signature(pixels: NDArray[np.uint8]) -> str:
    """Signature of a photograph uint8 (H, W, 3) RGB, as text."""
    high, wide = pixels.shape[:2]
    scale = DECODED / min(high, wide)
    if scale < 1:
        size = (max(round(wide * scale), 1), max(round(high * scale), 1))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    box = field_box(grey) or (0.0, 0.0, float(grey.shape[1]), float(grey.shape[0]))
    fine = detail(cut(grey, box, 4 * SIDE))
    values = np.round(fine * (LEVELS / 3)).astype(np.int64)[disc()] + LEVELS
    values = np.append(values, [LEVELS] * (len(values) % 2))
    place = np.round(np.clip(_disc_in_box(pixels, box), -8, 8) * STEPS).astype("<i2")
    packed = (values[::2] * 16 + values[1::2]).astype(np.uint8)
    fine_text = base64.b64encode(place.tobytes() + packed.tobytes()).decode()
    return f"{VERSION}{fine_text}:{to_text(earlier_signature(pixels))}"


def _disc_in_box(pixels: NDArray[np.uint8], box: tuple[float, float, float, float]) -> NDArray[np.float64]:
    """The fitted disc as x, y, half width, half height in units of the box's half sides; the box itself without one."""
    found = find_field(pixels)
    left, top, right, bottom = box
    across, down = (right - left) / 2, (bottom - top) / 2
    if not found.found:
        return np.array([0.0, 0.0, 1.0, 1.0])
    wide = found.radius / max(found.aspect, 1.0)
    high = found.radius * min(found.aspect, 1.0)
    x, y = (found.cx - left) / across - 1, (found.cy - top) / down - 1
    return np.array([x, y, wide / across, high / down])


def detail(grey: NDArray[np.uint8]) -> Floats:
    """The fine detail of a grey picture of the box (4 SIDE, 4 SIDE), float32 (SIDE, SIDE) within -3 and 3."""
    small = np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), dtype=np.float32)
    lit = ((small > 4) & (small < 250)).astype(np.float32)
    inside = np.asarray(cv2.erode(lit, np.ones((3, 3)), borderValue=0), dtype=np.float32) * disc()
    fine = (small - blur(small * lit, 1.8) / np.maximum(blur(lit, 1.8), 1e-3)) * inside
    ring, cells = _rings(), int(_rings().max()) + 1
    count = np.bincount(ring.ravel(), inside.ravel(), cells)
    total = np.bincount(ring.ravel(), fine.ravel(), cells)
    fine = np.asarray(fine - (total / np.maximum(count, 1))[ring] * inside, dtype=np.float32)
    square = np.asarray(fine * fine, dtype=np.float32)
    spread = np.sqrt(blur(square, 6.0) / np.maximum(blur(inside, 6.0), 1e-3) + 1)
    return np.asarray(np.clip(fine / spread, -3, 3) * inside, dtype=np.float32)


def blur(picture: Floats, sigma: float) -> Floats:
    """Gaussian blur of a float32 picture."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), dtype=np.float32)


@functools.cache
def disc() -> NDArray[np.bool_]:
    """Which pixels (SIDE, SIDE) lie within RIM of the radius."""
    return np.asarray(_radius() < RIM)


@functools.cache
def _rings() -> NDArray[np.int64]:
    """Rings of four pixels' width around the middle."""
    return (_radius() * SIDE / 8).astype(np.int64)


def _radius() -> NDArray[np.float64]:
    axis = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    return np.asarray(np.hypot(*np.meshgrid(axis, axis)))


def read_signatures(texts: Sequence[str]) -> Frames:
    """Pictures and discs of signatures' texts. Raises `DataError` for a text that is none."""
    count = int(disc().sum())
    pictures = np.zeros((len(texts), SIDE, SIDE), np.int8)
    discs = np.zeros((len(texts), 4), np.float32)
    for number, text in enumerate(texts):
        try:
            raw = base64.b64decode(text.removeprefix(VERSION).partition(":")[0], validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if not text.startswith(VERSION) or len(raw) != 8 + (count + 1) // 2:
            raise DataError(f"'{text[:12]}...' is no signature of a photograph; make the split again")
        packed = np.frombuffer(raw, np.uint8, offset=8)
        values = np.stack([packed >> 4, packed & 15], axis=1).ravel()[:count].astype(np.int8)
        pictures[number][disc()] = values - LEVELS
        discs[number] = np.frombuffer(raw, "<i2", 4).astype(np.float32) / STEPS
    return pictures, discs
