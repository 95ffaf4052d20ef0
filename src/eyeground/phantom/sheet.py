"""A contact sheet of a made cohort: photographs, and under each row the same with its masks outlined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from eyeground.phantom.canvas import Bytes
from eyeground.phantom.cohort import IMAGES, read_truth
from eyeground.phantom.tiles import outlined, tile, write_rows

_TILE, _ACROSS = 256, 8
_ANATOMY = {"disc": (255, 255, 255), "cup": (160, 255, 255), "fovea": (255, 160, 255)}
_LABELS = {
    "D": (60, 255, 60),
    "G": (0, 230, 255),
    "C": (255, 160, 60),
    "A": (255, 60, 160),
    "H": (0, 140, 255),
    "M": (255, 255, 80),
    "O": (255, 120, 255),
}  # BGR


def contact_sheet(folder: Path, patients: int = 20) -> Path:
    """Writes `sheet.png` in a made cohort's folder with its first patients; returns its path.

    Each row holds four patients, left eye then right eye; the row below outlines disc, cup and fovea (pale)
    and the evidence of each label (one colour a label).
    """
    truth = read_truth(folder)
    eyes = [eye for record in truth["patients"][:patients] for eye in record["eyes"].values()]
    rows = []
    for start in range(0, len(eyes), _ACROSS):
        tiles = [_tiles(folder, eye) for eye in eyes[start : start + _ACROSS]]
        tiles += [(np.zeros((_TILE, _TILE, 3), np.uint8),) * 2] * (_ACROSS - len(tiles))
        rows += [np.hstack([plain for plain, _ in tiles]), np.hstack([drawn for _, drawn in tiles])]
    return write_rows(rows, folder / "sheet.png")


def _tiles(folder: Path, eye: dict[str, Any]) -> tuple[Bytes, Bytes]:
    name = Path(eye["file"]).stem
    plain = tile(folder / IMAGES / eye["file"], (_TILE, _TILE))
    colours = {mask: colour for mask, colour in (_ANATOMY | _LABELS).items() if mask in eye["masks"]}
    masks = {folder / "masks" / mask / f"{name}.png": colour for mask, colour in colours.items()}
    drawn = outlined(plain, masks, above=60)
    words = f"{name} {' '.join(eye['labels'])}: {eye['keywords'][-1]}"
    cv2.putText(plain, words[:44], (4, 10), cv2.FONT_HERSHEY_SIMPLEX, 0.33, (255, 255, 255), 1, cv2.LINE_AA)
    return plain, drawn
