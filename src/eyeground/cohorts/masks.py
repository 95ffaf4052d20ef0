"""Masks of a cohort: pixels of a photograph that are evidence for a label, or anatomy.

A mask has the photograph's height and width; what is not 0 belongs to it. Each layout says where its masks lie: its
module has `masks(cohort, codes) -> Sequence[MaskFile]`. Layouts without that function keep
`masks/<code>/<photograph>.png`, as `eyeground phantom` writes them: the photograph's name is the one the cohort lists,
without its extension. A photograph without a mask of a label has no such place.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.cohorts import LAYOUTS
from eyeground.errors import DataError
from eyeground.records import Cohort, Side

FOLDER = "masks"


@dataclass(frozen=True)
class MaskFile:
    """Where one label of one eye is drawn; a pixel belongs to it from the grey level `least`."""

    visit: str
    side: Side
    code: str
    path: Path
    least: int = 1

    def read(self, width: int, height: int) -> NDArray[np.bool_]:
        """The mask (height, width) of a photograph of this size.

        Raises:
            DataError: not a picture, or of another size than the photograph.
        """
        pixels = read_mask(self.path, self.least)
        if pixels.shape != (height, width):
            size = f"{pixels.shape[1]} × {pixels.shape[0]}"
            raise DataError(f"{self.path} is {size} pixels, its photograph {width} × {height}: make them equal")
        return pixels


def read_mask(path: Path, least: int = 1) -> NDArray[np.bool_]:
    """A mask file (h, w), true from the grey level `least` up: PNG, TIFF (also of one bit), or what OpenCV decodes.

    Raises:
        DataError: not there or not a picture.
    """
    try:
        pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    except (OSError, cv2.error):
        pixels = None
    if pixels is None:
        raise DataError(f"{path} can't be read as a mask: copy it again from its source, or save it as a grey PNG")
    return np.asarray(pixels >= least)


def has_masks(layout: str) -> bool:
    """Whether the layout says where its masks lie, so that a cohort of it is one with masks."""
    return layout in LAYOUTS and hasattr(importlib.import_module(LAYOUTS[layout][1]), "masks")


def find_masks(cohort: Cohort, codes: Sequence[str] | None = None) -> tuple[MaskFile, ...]:
    """The masks of a cohort, in the order of visits, sides and codes.

    Args:
        cohort: as read; also a part of it.
        codes: labels or anatomy, such as ("OD",) for the optic disc of IDRiD; None is the cohort's labels.

    Raises:
        DataError: there is not one.
    """
    wanted = cohort.vocabulary.codes if codes is None else tuple(codes)
    module = importlib.import_module(LAYOUTS[cohort.layout][1]) if cohort.layout in LAYOUTS else None
    found = tuple(getattr(module, "masks", _beside)(cohort, wanted))
    if not found:
        root = cohort.root / FOLDER
        example = next((eye.file for visit in cohort.visits for eye in visit.listed()), "name.jpg")
        place = f"{FOLDER}/{wanted[-1]}/{PurePosixPath(example).with_suffix('.png')}"
        if has_masks(cohort.layout):
            raise DataError(f"no masks of {', '.join(wanted)} in {cohort.root}")
        raise DataError(f"no lesion masks in {root}: they are looked for at places such as {place}")
    return found


def _beside(cohort: Cohort, codes: Sequence[str]) -> list[MaskFile]:
    """Masks at `masks/<code>/<photograph>.png`."""
    root = cohort.root / FOLDER
    return [
        MaskFile(visit.id, eye.side, code, path)
        for visit in cohort.visits
        for eye in visit.listed()
        for code in codes
        if (path := root / code / PurePosixPath(eye.file).with_suffix(".png")).is_file()
    ]
