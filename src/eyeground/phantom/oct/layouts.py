"""The made eyes once more, in the layouts in which two paired fundus and OCT sets are published.

    mmc-amd/mmc-amd-split{A,AP}-{train,val,test}/   MMC-AMD: normal, dry, PCV and wet eyes (no other label)
    tvhl/                                           TVHL: eyes that are normal or diabetic (no other label)

An eye's place in the splits follows from the seed and its patient's number: 14 of every 20 train, 3 validate, 3 test.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from eyeground.files import write_text
from eyeground.phantom.canvas import Bytes
from eyeground.phantom.traits import EyeTraits

MMC_AMD, TVHL = "mmc-amd", "tvhl"
CFP, OCT = "cfp-clahe-448x448", "oct-median3x3-448x448"
PARTS = ("train", "val", "test")
CLASSES = "hdpw"
"""Class letters of MMC-AMD in the order of its annotations: healthy, dry, PCV, wet."""
TVHL_FIRST = 10000
"""Added to a patient's number for its name in TVHL, whose first 1220 names are another site's."""
_SIDE = 448
_LETTER = {None: "h", "dry": "d", "pcv": "p", "wet": "w"}
_EYES = {"right": "OD", "left": "OI"}
_GRADES = ("0", "NPDR", "NPDR", "NPDR", "PDR")
_SHARES = np.repeat(PARTS, (14, 3, 3))


@dataclass(frozen=True)
class Shown:
    """One eye as both sets want it: its photograph's file, its pixels uint8 (S, S, 3) RGB, its B-scan uint8 (H, W)."""

    number: int
    eye: EyeTraits
    photograph: Path
    pixels: Bytes
    bscan: Bytes
    oedema: bool


def write_eye(folder: Path, shown: Shown, seed: int) -> dict[str, Any]:
    """Writes an eye's pictures into the layouts that take it; returns what their lists need."""
    records: dict[str, Any] = {}
    if shown.eye.labels in (("N",), ("A",)):
        records[MMC_AMD] = _write_mmc(folder / MMC_AMD, shown, seed)
    if shown.eye.labels in (("N",), ("D",)):
        records[TVHL] = _write_tvhl(folder / TVHL, shown)
    return records


def part(seed: int, number: int, side: str | None = None) -> str:
    """The split of a patient, or of one eye when `side` is given (then the two eyes may part)."""
    stream, place = (31, number - 1) if side is None else (32, 2 * (number - 1) + (side == "right"))
    block, position = divmod(place, len(_SHARES))
    order = np.random.default_rng([seed, block, stream]).permutation(len(_SHARES))
    return str(_SHARES[order[position]])


def write_lists(folder: Path, records: Iterable[dict[str, Any]]) -> None:
    """Writes the lists, annotations and tables of both sets from the patients' records in `truth.json`'s form."""
    eyes = [eye["oct"]["layouts"] for record in records for eye in record["eyes"].values()]
    for split in ("A", "AP"):
        for name in PARTS:
            rows = [eye[MMC_AMD] for eye in eyes if MMC_AMD in eye and eye[MMC_AMD][f"split{split}"] == name]
            _write_collection(folder / MMC_AMD / f"mmc-amd-split{split}-{name}", rows)
    rows = [eye[TVHL] for eye in eyes if TVHL in eye]
    for title, key in (("EYE FUNDUS", "fundus"), ("OCT", "oct")):
        lines = [f"{row[key]},{row['DME']},{row['DR']},{row[f'{key}_size']},jpg" for row in rows]
        write_text(folder / TVHL / f"{title}.csv", "\n".join(["Name,DME,DR,Size,Format", *lines]) + "\n")


def clahe(pixels: Bytes) -> Bytes:
    """The photograph (S, S, 3) RGB to (448, 448, 3): CLAHE of the lightness in CIE Lab, clip 3, 20 x 30 tiles."""
    lab = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB), np.uint8)
    lab[..., 0] = cv2.createCLAHE(3.0, (20, 30)).apply(lab[..., 0])
    return _resized(np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8))


def median(bscan: Bytes) -> Bytes:
    """The B-scan (H, W) to (448, 448): 3 x 3 median, then squeezed to a square as the set does."""
    return _resized(np.asarray(cv2.medianBlur(bscan, 3), np.uint8))


def _resized(pixels: Bytes) -> Bytes:
    enlarge = min(pixels.shape[:2]) < _SIDE
    method = cv2.INTER_CUBIC if enlarge else cv2.INTER_AREA
    return np.asarray(cv2.resize(pixels, (_SIDE, _SIDE), interpolation=method), np.uint8)


def _write_mmc(folder: Path, shown: Shown, seed: int) -> dict[str, Any]:
    letter, side = _LETTER[shown.eye.amd], shown.eye.side
    eye = f"{letter}-{shown.number:05d}-{side[0]}"
    splits = {"splitA": part(seed, shown.number, side), "splitAP": part(seed, shown.number)}
    record = {"cfp": f"f-{eye}", "oct": f"o-{eye}_001", "eye": eye, "subject": f"{shown.number:05d}", **splits}
    pictures = (
        (CFP, record["cfp"], cv2.cvtColor(clahe(shown.pixels), cv2.COLOR_RGB2BGR)),
        (OCT, record["oct"], median(shown.bscan)),
    )
    for kind, name, pixels in pictures:
        data = _jpeg(np.asarray(pixels, np.uint8))
        for split, where in splits.items():
            path = folder / f"mmc-amd-{split}-{where}" / "ImageData" / kind / f"{name}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return record


def _write_tvhl(folder: Path, shown: Shown) -> dict[str, Any]:
    stem = f"{TVHL_FIRST + shown.number}_{_EYES[shown.eye.side]}"
    fundus, oct_ = f"{stem}_f_1", f"{stem}_o_1"
    for title in ("EYE FUNDUS", "OCT"):
        (folder / title).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(shown.photograph, folder / "EYE FUNDUS" / f"{fundus}.jpg")
    (folder / "OCT" / f"{oct_}.jpg").write_bytes(_jpeg(shown.bscan))
    sizes = {"fundus_size": _size(shown.pixels), "oct_size": _size(shown.bscan)}
    return {"fundus": fundus, "oct": oct_, "DME": int(shown.oedema), "DR": _GRADES[shown.eye.grade], **sizes}


def _size(pixels: Bytes) -> str:
    return f"{pixels.shape[1]}X{pixels.shape[0]}"


def _jpeg(pixels: Bytes) -> bytes:
    ok, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert ok
    return data.tobytes()


def _write_collection(folder: Path, rows: list[dict[str, Any]]) -> None:
    for key in ("cfp", "oct"):
        (folder / "ImageData" / (CFP if key == "cfp" else OCT)).mkdir(parents=True, exist_ok=True)
        _write_list(folder / "ImageSets" / f"{key}.txt", (row[key] for row in rows))
        _write_list(folder / "EyeSets" / f"{key}.txt", (row["eye"] for row in rows))
        _write_list(folder / "SubjectSets" / f"{key}.txt", dict.fromkeys(row["subject"] for row in rows))
        classes = (f"{row[key]} {CLASSES.index(row['eye'][0])}" for row in rows)
        _write_list(folder / "annotations" / f"{key}.txt", classes)
    _write_list(folder / "ImageSets" / "mm.txt", (f"{row['cfp']} {row['oct']}" for row in rows))


def _write_list(path: Path, lines: Iterable[str] | Iterator[str]) -> None:
    write_text(path, "".join(f"{line}\n" for line in lines))
