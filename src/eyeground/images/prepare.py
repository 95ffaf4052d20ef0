"""From a file to the view a model sees: decode, find the field, crop to a square, judge, enhance."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from eyeground.errors import UsageError
from eyeground.files import digest
from eyeground.images.decode import Decoded, decode_bytes, read_bytes
from eyeground.images.enhance import apply, check
from eyeground.images.field import Field, find_field
from eyeground.images.geometry import Geometry, View
from eyeground.images.quality import Quality, measure
from eyeground.records import Flag
from eyeground.settings import fill, plain

VERSION = 1
"""Raised whenever the same file and options would give other pixels than before."""


@dataclass(frozen=True)
class Preprocessing:
    """What happens to a photograph before a model sees it. Stored in the bundle, and part of the cache's key."""

    size: int = 256
    """Side of the view in pixels."""
    crop: Literal["field", "square"] = "field"
    """`field`: the square around the field of view; `square`: the centred square that holds the whole picture."""
    enhance: tuple[str, ...] = ()
    """Enhancements in order: clahe, graham, equalise, equalise_luma."""
    version: int = VERSION
    """Of the preprocessing itself."""

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 8192:
            raise UsageError(f"a view's size can't be {self.size}: it is a side in pixels from 16 to 8192")
        if self.crop not in ("field", "square"):
            raise UsageError(f"no crop '{self.crop}': there are field and square")
        if self.version != VERSION:
            raise UsageError(
                f"preprocessing version {self.version} is not the one here ({VERSION}); use the release it came from"
            )
        check(self.enhance)

    @property
    def digest(self) -> str:
        """SHA-256 of the options, hexadecimal."""
        return digest(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        return plain(self)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Preprocessing:
        """Raises `UsageError` for unknown keys (with the nearest match), wrong types or values."""
        return fill(Preprocessing, data, "the preprocessing record")


@dataclass(frozen=True)
class Prepared:
    """A view, its quality (judged before enhancement), the decoder's notes, and the SHA-256 of the file."""

    view: View
    quality: Quality
    notes: tuple[Flag, ...]
    sha256: str


def prepare(path: Path, preprocessing: Preprocessing) -> Prepared:
    """Makes the view of one image file. The file is read once. Raises `ImageError`."""
    return prepare_bytes(read_bytes(path), preprocessing, path)


def prepare_bytes(data: bytes, preprocessing: Preprocessing, path: Path) -> Prepared:
    """Makes the view from a file's bytes; `path` is for messages. Raises `ImageError`."""
    decoded, field, view = crop_bytes(data, preprocessing, path)
    quality = measure(view, field, decoded.scale)
    if preprocessing.enhance:
        view = View(apply(preprocessing.enhance, view.pixels), view.geometry)
    return Prepared(view, quality, decoded.notes, hashlib.sha256(data).hexdigest())


def crop_bytes(data: bytes, preprocessing: Preprocessing, path: Path) -> tuple[Decoded, Field, View]:
    """Decodes, finds the field and crops; no judging, no enhancement. Raises `ImageError`."""
    size = preprocessing.size
    decoded = decode_bytes(data, size, path)
    field = find_field(decoded.pixels)
    if decoded.scale > 1 and field.found and 2 * field.radius < size:  # a small field in a large picture: look closer
        shorter = min(decoded.pixels.shape[:2])
        decoded = decode_bytes(data, math.ceil(size * shorter / (2 * field.radius)), path)
        field = find_field(decoded.pixels)
    return decoded, field, crop(decoded, field, preprocessing)


def crop(decoded: Decoded, field: Field, preprocessing: Preprocessing) -> View:
    """Cuts the square around the field (or the whole picture) and resizes it; nothing is squashed, padding is black."""
    pixels, size = decoded.pixels, preprocessing.size
    left, top, side = _box(field, preprocessing, *pixels.shape[:2])
    square = pixels[max(top, 0) : top + side, max(left, 0) : left + side]
    if square.shape[:2] != (side, side):
        padded = np.zeros((side, side, 3), dtype=np.uint8)
        padded[max(-top, 0) :, max(-left, 0) :][: square.shape[0], : square.shape[1]] = square
        square = padded
    if side != size:
        how = cv2.INTER_CUBIC if side < size else cv2.INTER_LINEAR if side < 2 * size else cv2.INTER_AREA
        square = np.asarray(cv2.resize(square, (size, size), interpolation=how), dtype=np.uint8)
    k = decoded.scale
    geometry = Geometry(decoded.width, decoded.height, float(left * k), float(top * k), float(side * k), size)
    return View(np.ascontiguousarray(square), geometry)


def _box(field: Field, preprocessing: Preprocessing, high: int, wide: int) -> tuple[int, int, int]:
    """The crop's left, top and side in decoded pixels.

    The side is the disc's whole diameter, so the retina keeps its scale when the disc is cut off. A disc that was
    squashed has no one diameter: there the square holds what is visible of it.
    """
    if preprocessing.crop == "square" or not field.found:
        side = max(high, wide)
        return (wide - side) // 2, (high - side) // 2, side
    if field.aspect == 1:
        side, cx, cy = math.ceil(2 * field.radius), field.cx, field.cy
    else:
        side = math.ceil(max(field.width, field.height))
        cx, cy = field.x + field.width / 2, field.y + field.height / 2
    return round(cx - side / 2), round(cy - side / 2), max(side, 1)
