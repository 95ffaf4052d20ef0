"""What may have happened to a copy, and the lists of pairs that are known to be one photograph or one eye."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
KnownPairs = Mapping[str, Sequence[tuple[str, str]]]
"""List to pairs of names, as `photographs` gives them; the second of a pair is the one that is changed."""

TWINS = {
    "01": "102",
    "02": "366",
    "03": "369",
    "06": "196",
    "07": "029",
    "08": "207",
    "10": "224",
    "13": "231",
    "16": "237",
    "18": "132",
    "19": "242",
    "20": "245",
    "21": "246",
}
"""IDRiD's segmentation part to its grading part: the same photographs, found by their pixels, seen side by side."""
DIFFERENT = {frozenset(("odir 2175.left", "odir 2957.left"))}
"""Listed as a near duplicate, yet two different eyes: they share the camera's reflection."""


def _resized(pixels: Pixels, shorter: int) -> Pixels:
    scale = shorter / min(pixels.shape[:2])
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _half(pixels: Pixels) -> Pixels:
    return _resized(pixels, min(pixels.shape[:2]) // 2)


def _jpeg(pixels: Pixels) -> Pixels:
    data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)[:, :, ::-1])


def _mirror(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[:, ::-1])


def _border(pixels: Pixels) -> Pixels:
    high, wide = pixels.shape[:2]
    edges = (high // 20, high // 7, wide // 5, wide // 50)
    return np.asarray(cv2.copyMakeBorder(pixels, *edges, cv2.BORDER_CONSTANT), dtype=np.uint8)


def _cropped(pixels: Pixels) -> Pixels:
    high, wide = pixels.shape[0] // 20, pixels.shape[1] // 20
    return np.ascontiguousarray(pixels[high:-high, wide:-wide])


def _light(gamma: float, gain: float) -> Callable[[Pixels], Pixels]:
    return lambda pixels: np.clip((pixels / 255.0) ** gamma * 255 * gain, 0, 255).astype(np.uint8)


def _clahe(pixels: Pixels) -> Pixels:
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(np.ascontiguousarray(lab[..., 0]))
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), dtype=np.uint8)


def _turned(pixels: Pixels) -> Pixels:
    high, wide = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((wide / 2, high / 2), 2, 1)
    return np.asarray(cv2.warpAffine(pixels, matrix, (wide, high)), dtype=np.uint8)


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "as it is": lambda pixels: pixels,
    "half size": _half,
    "200 pixels": lambda pixels: _resized(pixels, 200),
    "JPEG quality 40": _jpeg,
    "mirrored": _mirror,
    "mirrored, half size, JPEG 40": lambda pixels: _jpeg(_half(_mirror(pixels))),
    "black border added": _border,
    "5 % cut off each edge": _cropped,
    "gamma 0.6": _light(0.6, 1.0),
    "gamma 1.5, 20 % darker": _light(1.5, 0.8),
    "CLAHE": _clahe,
    "turned by 2 degrees": _turned,
}


def photographs(root: Path) -> dict[str, Path]:
    """Every fundus photograph: `SET PATIENT.rest` to its file."""
    found = {f"odir {one.stem.replace('_', '.')}": one for one in sorted((root / "odir5k").rglob("*.jpg"))}
    for part, code in (("A. Segmentation", "s"), ("B. Disease Grading", "g")):
        for one in sorted((root / "idrid" / part).rglob("IDRiD_*.jpg")):
            found[f"idrid {code}{one.stem.removeprefix('IDRiD_')}"] = one
    for one in sorted((root / "tvhl" / "EYE FUNDUS").glob("*.jpg")):
        found[f"tvhl {one.stem.replace('_', '.', 1)}"] = one
    return found


def known_pairs(root: Path) -> dict[str, list[tuple[str, str]]]:
    """The pairs of each list whose photographs are here."""
    eyes = {"right": "OD", "left": "OI"}
    odir = [(row["neardup_group"], f"odir {row['patient_id']}.{row['eye']}") for row in _rows(root / "odir5k")]
    idrid = [
        (r["dup_group"], f"idrid g{r['id'].removeprefix('IDRiD_')}") for r in _rows(root / "idrid/B. Disease Grading")
    ]
    tvhl = [
        (row["neardup_group"], f"tvhl {row['patient_id']}.{eyes[row['eye']]}_f_{row['sample']}")
        for row in _rows(root / "tvhl")
        if row["modality"] == "fundus"
    ]
    return {
        "odir5k/duplicates.csv": [pair for pair in _pairs(odir) if frozenset(pair) not in DIFFERENT],
        "idrid/duplicates.csv": _pairs(idrid),
        "IDRiD segmentation = grading": [(f"idrid s{one}", f"idrid g{two}") for one, two in TWINS.items()],
        "tvhl/duplicates.csv, fundus": _pairs(tvhl),
    }


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "duplicates.csv").open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def _pairs(members: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    groups: dict[str, list[str]] = {}
    for group, name in members:
        groups.setdefault(group, []).append(name)
    return [pair for names in groups.values() for pair in combinations(names, 2)]
