"""The views that the gate is fitted and measured on: folders of photographs, and made pictures as JPEGs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.errors import ImageError
from eyeground.images.cache import CacheEntry, prepare_all
from eyeground.images.prepare import Preprocessing, prepare_bytes

Pixels = NDArray[np.uint8]
PREPROCESSING = Preprocessing(size=256)


@dataclass(frozen=True)
class Photographs:
    """Prepared photographs in the order of their names, with what is known of each."""

    names: list[str]
    entries: list[CacheEntry]
    patients: list[str]
    parts: list[str]
    right: NDArray[np.bool_]
    split_hash: str

    def part(self, name: str) -> Photographs:
        """Those of the patients in one part of the split."""
        kept = [row for row, part in enumerate(self.parts) if part == name]
        lists = ([values[row] for row in kept] for values in (self.names, self.entries, self.patients, self.parts))
        return Photographs(*lists, self.right[kept], self.split_hash)  # type: ignore[arg-type]


def odir(root: Path, split: Mapping[str, Any], cache: Path) -> Photographs:
    """ODIR-5K's photographs (`12_left.jpg`) with the parts of a split's first fold."""
    part_of = {who: part for part in ("train", "val", "test") for who in split["folds"][0][part]}
    names, entries = prepared(sorted((root / "ODIR-5K_Training_Images").rglob("*.jpg")), cache)
    patients = [name.split("_")[0] for name in names]
    right = np.array(["right" in name for name in names])
    return Photographs(names, entries, patients, [part_of[who] for who in patients], right, split["hash"])


def tvhl(root: Path, cache: Path) -> Photographs:
    """TVHL's fundus photographs (`2016_OD_f_1.jpg`), all of one part."""
    names, entries = prepared(sorted((root / "EYE FUNDUS").glob("*.jpg")), cache)
    right = np.array(["_OD_" in name for name in names])
    return Photographs(names, entries, [name.split("_")[0] for name in names], ["test"] * len(names), right, "")


def prepared(paths: Sequence[Path], cache: Path | None) -> tuple[list[str], list[CacheEntry]]:
    """Names and entries of the files that can be read."""
    found = [entry for entry in prepare_all(paths, PREPROCESSING, cache) if not isinstance(entry, ImageError)]
    return [entry.path.name for entry in found], found


def made(pixels: Pixels, quality: int = 92) -> Pixels:
    """The view of a made picture uint8 (h, w, 3), saved as a JPEG of that quality."""
    data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    return prepare_bytes(data, PREPROCESSING, Path("made.jpg")).view.pixels
