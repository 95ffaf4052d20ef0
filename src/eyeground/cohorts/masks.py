"""Lesion masks beside a cohort: `masks/<label>/<photograph>.png`, as `eyeground phantom` writes them.

A mask has the photograph's height and width; what is not 0 is evidence for the label. A photograph without a mask of a
label has no such place. The photograph's name is the one the cohort lists, without its extension.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.errors import DataError
from eyeground.records import Cohort, Side

FOLDER = "masks"


@dataclass(frozen=True)
class MaskFile:
    """Where one label of one eye is drawn."""

    visit: str
    side: Side
    code: str
    path: Path

    def read(self, width: int, height: int) -> NDArray[np.bool_]:
        """The mask (height, width) of a photograph of this size.

        Raises:
            DataError: not a picture, or of another size than the photograph.
        """
        try:
            pixels = cv2.imdecode(np.frombuffer(self.path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
        except (OSError, cv2.error):
            pixels = None
        if pixels is None:
            raise DataError(f"{self.path} can't be read as a mask: a grey PNG is wanted")
        if pixels.shape != (height, width):
            size = f"{pixels.shape[1]} × {pixels.shape[0]}"
            raise DataError(f"{self.path} is {size} pixels, its photograph {width} × {height}: make them equal")
        return np.asarray(pixels > 0)


def find_masks(cohort: Cohort) -> tuple[MaskFile, ...]:
    """The masks of a cohort's labels, in the order of visits, sides and labels.

    Raises:
        DataError: there is not one.
    """
    root = cohort.root / FOLDER
    found = [
        MaskFile(visit.id, eye.side, code, path)
        for visit in cohort.visits
        for eye in visit.listed()
        for code in cohort.vocabulary.codes
        if (path := root / code / PurePosixPath(eye.file).with_suffix(".png")).is_file()
    ]
    if not found:
        example = next((eye.file for visit in cohort.visits for eye in visit.listed()), "name.jpg")
        code = cohort.vocabulary.codes[-1]
        wanted = f"{FOLDER}/{code}/{PurePosixPath(example).with_suffix('.png')}"
        raise DataError(f"no lesion masks in {root}: they are looked for at places such as {wanted}")
    return tuple(found)
