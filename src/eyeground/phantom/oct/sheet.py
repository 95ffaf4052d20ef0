"""A contact sheet of made B-scans: each plain, and beside it with its masks outlined, by class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from eyeground.errors import DataError
from eyeground.phantom.canvas import Bytes
from eyeground.phantom.cohort import read_truth
from eyeground.phantom.tiles import outlined, tile, write_rows

_TILE = (576, 372)
_COLOURS = {
    "oct_retina": (150, 150, 150),
    "oct_drusen": (0, 230, 255),
    "oct_ped": (60, 60, 255),
    "oct_polyp": (255, 120, 255),
    "oct_hyperreflective": (0, 150, 255),
    "oct_subretinal_fluid": (255, 170, 40),
    "oct_intraretinal_fluid": (80, 255, 80),
    "oct_exudate": (120, 255, 255),
    "oct_atrophy": (255, 255, 120),
}  # BGR
CLASSES = ("normal", "dry", "wet", "pcv", "dme", "other")


def oct_sheet(folder: Path, rows: int = 4) -> Path:
    """Writes `oct_sheet.png` in a made cohort's folder: up to `rows` eyes of each class; returns its path.

    Raises:
        DataError: the cohort has no B-scans, or one is missing.
    """
    truth = read_truth(folder)
    if not truth["oct"]:
        raise DataError(f"{folder} was made without B-scans: make a cohort with --oct in another folder")
    chosen: dict[str, list[dict[str, Any]]] = {name: [] for name in CLASSES}
    for record in truth["patients"]:
        for eye in record["eyes"].values():
            chosen[_class(eye)].append(eye)
    lines = []
    for name, eyes in chosen.items():
        tiles = [np.hstack(_tiles(folder, eye, name)) for eye in eyes[:rows]]
        tiles += [np.zeros((_TILE[1], 2 * _TILE[0], 3), np.uint8)] * (len(tiles) % 2)
        lines += [np.hstack(tiles[i : i + 2]) for i in range(0, len(tiles), 2)]
    return write_rows(lines, folder / "oct_sheet.png")


def _class(eye: dict[str, Any]) -> str:
    if eye["labels"] == ["N"]:
        return "normal"
    return eye["amd"] or ("dme" if eye["dme"] else "other")


def _tiles(folder: Path, eye: dict[str, Any], name: str) -> tuple[Bytes, Bytes]:
    stem = Path(eye["oct"]["file"]).stem
    plain = tile(folder / "oct" / eye["oct"]["file"], _TILE)
    colours = {mask: colour for mask, colour in _COLOURS.items() if mask in eye["oct"]["masks"]}
    masks = {folder / "masks" / mask / f"{stem}.png": colour for mask, colour in colours.items()}
    drawn = outlined(plain, masks, above=100)
    words = f"{stem} {name}: {' '.join(eye['labels'])}, central {eye['oct']['central_thickness_um']:.0f} um"
    cv2.putText(plain, words, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return plain, drawn
