"""Writes a made cohort in the ODIR challenge's layout, with the truth beside it.

    ODIR-5K_Training_Annotations(Updated)_V2.xlsx   the challenge's 15 columns
    ODIR-5K_Training_Images/<ID>_left.jpg           and <ID>_right.jpg
    masks/<name>/<ID>_left.png                      one bit per pixel: anatomy always, findings and labels where present
    truth.json                                      every trait of every eye, and where its disc and fovea are
    phantom.json                                    what was asked for

and with B-scans also

    oct/<ID>_left.png                               the B-scan through the fovea, grey, lossless
    masks/oct_<name>/<ID>_left.png                  its masks
    mmc-amd/, tvhl/                                 the same eyes in two published layouts (`oct/layouts.py`)

Each patient's record is written after its files, so a killed run goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from eyeground.errors import DataError, UsageError
from eyeground.files import aside, disk_errors, write_json, write_text
from eyeground.phantom.canvas import Frame
from eyeground.phantom.draw import patient
from eyeground.phantom.oct import layouts
from eyeground.phantom.oct.scan import scan
from eyeground.phantom.oct.section import macular_oedema
from eyeground.phantom.render import Photograph, render
from eyeground.phantom.traits import Difficulty, EyeTraits
from eyeground.progress import Track, quiet
from eyeground.vocabulary import ODIR

WORKBOOK = "ODIR-5K_Training_Annotations(Updated)_V2.xlsx"
IMAGES = "ODIR-5K_Training_Images"
SCANS = "oct"
VERSION = 2
"""Rises when the same seed makes other pictures."""


@dataclass(frozen=True)
class Spec:
    """What decides every pixel of a cohort but the number of patients."""

    size: int
    seed: int
    difficulty: float
    version: int = VERSION
    oct: bool = False


def make_cohort(
    folder: Path,
    patients: int,
    size: int = 512,
    seed: int = 0,
    difficulty: float = 0.5,
    workers: int = 1,
    track: Track = quiet,
) -> None:
    """Makes patients 1 to `patients` in `folder`, photographs only; those that are there already are kept.

    Args:
        folder: where to write; must be new, empty, or hold a cohort made with the same numbers and choice of B-scans.
        patients: how many. Patient k is the same whatever this number is.
        size: height and width of the photographs in pixels, 96 to 2048.
        seed: chooses the cohort, 0 or more.
        difficulty: from 0 (plain findings, clean camera) to 1 (faint findings, poor camera).
        workers: processes that paint.
        track: shows progress.

    Raises:
        UsageError: a number out of range.
        DataError: the folder holds something else, or can't be written.
    """
    fill(folder, patients, Spec(size, seed, float(difficulty)), workers, track)


def fill(folder: Path, patients: int, spec: Spec, workers: int = 1, track: Track = quiet) -> None:
    """Like `make_cohort`, with or without B-scans as `spec` says; the photographs are the same.

    Raises:
        UsageError: a number out of range.
        DataError: the folder holds something else, or can't be written.
    """
    _check(patients, spec.size, spec.seed, spec.difficulty, workers)
    with disk_errors(folder):
        _claim(folder, spec)
        done = _records(folder)
        missing = [number for number in range(1, patients + 1) if number not in done]
        make = partial(make_patient, folder, spec)
        for _ in track(_each(make, missing, workers), "phantom", len(missing)):
            pass
        _assemble(folder, spec, patients)


def make_patient(folder: Path, spec: Spec, number: int) -> None:
    """Paints one patient's eyes, writes photographs and masks, and last its record."""
    drawn = patient(spec.seed, number, Difficulty.at(spec.difficulty))
    eyes = {eye.side: _write_eye(folder, number, eye, spec) for eye in drawn.eyes}
    record = {"id": number, "age": drawn.age, "sex": drawn.sex, "labels": list(drawn.labels), "eyes": eyes}
    write_text(_part(folder, number), json.dumps(record, ensure_ascii=False, allow_nan=False))


def _check(patients: int, size: int, seed: int, difficulty: float, workers: int) -> None:
    for name, value, low, high in (
        ("patients", patients, 1, 1_000_000),
        ("size", size, 96, 2048),
        ("seed", seed, 0, 2**32 - 1),
        ("difficulty", difficulty, 0, 1),
        ("workers", workers, 1, 256),
    ):
        if not low <= value <= high:
            raise UsageError(f"{name} can't be {value}: it takes a number from {low} to {high}")


def _claim(folder: Path, spec: Spec) -> None:
    """Makes sure the folder is ours, and writes down what it holds."""
    note = folder / "phantom.json"
    if note.is_file():
        try:
            held = json.loads(note.read_text(encoding="utf-8"))
        except ValueError:
            raise DataError(f"{note} is not valid JSON: delete {folder} or choose another folder") from None
        asked_for = dataclasses.asdict(spec)
        if isinstance(held, dict) and {**held, "oct": spec.oct} == asked_for and held.get("oct", False) != spec.oct:
            with_, mend = ("without", "leave --oct away") if spec.oct else ("with", "add --oct")
            raise DataError(f"{folder} holds this cohort {with_} B-scans: {mend} or choose another folder")
        if held != asked_for:
            asked = ", ".join(f"{key} {value}" for key, value in asked_for.items())
            raise DataError(
                f"{folder} holds another made cohort than {asked} (see phantom.json): choose another folder"
            )
        return
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file: choose a new or empty folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise DataError(f"{folder} is not empty and holds no made cohort: choose a new or empty folder")
    write_json(note, dataclasses.asdict(spec))


def _part(folder: Path, number: int) -> Path:
    return folder / ".parts" / f"{number}.json"


def _records(folder: Path) -> set[int]:
    """The patients whose files are all there."""
    if (folder / "truth.json").is_file():
        for record in read_truth(folder)["patients"]:
            if not _part(folder, record["id"]).exists():
                write_text(_part(folder, record["id"]), json.dumps(record, ensure_ascii=False, allow_nan=False))
    return {int(path.stem) for path in (folder / ".parts").glob("[0-9]*.json")}


def _each(make: partial[None], numbers: list[int], workers: int) -> Iterator[None]:
    if workers == 1 or len(numbers) < 2:
        yield from map(make, numbers)
        return
    with ProcessPoolExecutor(min(workers, len(numbers)), get_context("spawn"), _one_thread) as pool:
        yield from pool.map(make, numbers, chunksize=4)


def _one_thread() -> None:
    cv2.setNumThreads(1)


def _write_eye(folder: Path, number: int, eye: EyeTraits, spec: Spec) -> dict[str, Any]:
    """Renders and writes one eye, its photograph and perhaps its B-scan; returns its entry in the truth."""
    name = f"{number}_{eye.side}"
    photograph = render(eye, spec.size)
    picture = cv2.cvtColor(photograph.pixels, cv2.COLOR_RGB2BGR)
    path = folder / IMAGES / f"{name}.jpg"
    _write(path, picture, [cv2.IMWRITE_JPEG_QUALITY, eye.camera.jpeg])
    _write_masks(folder, name, photograph.masks)
    record = {"file": f"{name}.jpg", **_truth(eye, photograph, spec.size)}
    if spec.oct:
        bscan = scan(eye, Difficulty.at(spec.difficulty))
        _write(folder / SCANS / f"{name}.png", bscan.pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        _write_masks(folder, name, bscan.masks)
        shown = layouts.Shown(number, eye, path, photograph.pixels, bscan.pixels, record["dme"])
        record["oct"] = {"file": f"{name}.png", **bscan.truth, "layouts": layouts.write_eye(folder, shown, spec.seed)}
    return record


def _write_masks(folder: Path, name: str, masks: dict[str, np.ndarray]) -> None:
    for mask_name, mask in masks.items():
        if mask.any():
            _write(folder / "masks" / mask_name / f"{name}.png", mask, [cv2.IMWRITE_PNG_BILEVEL, 1])


def _write(path: Path, pixels: np.ndarray, options: list[int]) -> None:
    ok, data = cv2.imencode(path.suffix, pixels, options)
    assert ok, path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.tobytes())


def _truth(eye: EyeTraits, photograph: Photograph, size: int) -> dict[str, Any]:
    """What is true of this photograph. Positions and radii in pixels, mask areas in pixels."""
    anatomy = eye.anatomy
    frame = Frame.of(eye.camera, size, 1 if eye.side == "right" else -1)
    (fovea, disc) = frame.pixels(np.array([[0.0, 0.0], [anatomy.disc_x, anatomy.disc_y]])).round(2).tolist()
    return {
        "labels": list(eye.labels),
        "keywords": list(eye.keywords),
        "icdr_grade": eye.grade,
        "amd": eye.amd,
        "dme": macular_oedema(eye),
        "cup_disc_ratio": round(anatomy.cup_ratio, 3),
        "fovea": fovea,
        "disc": {"centre": disc, "radius": round(anatomy.disc_radius * frame.radius, 2)},
        "field": {"centre": [round(value, 2) for value in frame.centre], "radius": round(frame.radius, 2)},
        "masks": {name: int(np.count_nonzero(mask)) for name, mask in photograph.masks.items() if mask.any()},
        "anatomy": dataclasses.asdict(anatomy),
        "camera": dataclasses.asdict(eye.camera),
        "findings": [dataclasses.asdict(finding) for finding in eye.findings],
    }


def read_truth(folder: Path) -> dict[str, Any]:
    """What `truth.json` of a made cohort holds.

    Raises:
        DataError: missing or damaged.
    """
    path = folder / "truth.json"
    try:
        truth: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        truth["patients"]
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(
            f"{path} is missing or damaged: delete it and make the cohort again, with the same flags"
        ) from None
    return truth


def _assemble(folder: Path, spec: Spec, patients: int) -> None:
    """Writes the truth and the workbook from the patients' records, which are never all in memory."""

    def records() -> Iterator[dict[str, Any]]:
        for number in range(1, patients + 1):
            yield _record(_part(folder, number))

    head = json.dumps({"schema": 1, **dataclasses.asdict(spec)})[:-1]
    with aside(folder / "truth.json") as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(f'{head}, "patients": [')
        for index, record in enumerate(records()):
            file.write((", " if index else "") + json.dumps(record, ensure_ascii=False, allow_nan=False))
        file.write("]}")
    with aside(folder / WORKBOOK) as temporary, pd.ExcelWriter(temporary, engine="openpyxl") as writer:
        pd.DataFrame([_row(record) for record in records()]).to_excel(writer, index=False)
    if spec.oct:
        layouts.write_lists(folder, records())
    shutil.rmtree(folder / ".parts")


def _record(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise DataError(f"{path} is damaged: delete it and call again, its patient is painted again") from None
    return record


def _row(record: dict[str, Any]) -> dict[str, Any]:
    left, right = record["eyes"]["left"], record["eyes"]["right"]
    return {
        "ID": record["id"],
        "Patient Age": record["age"],
        "Patient Sex": record["sex"],
        "Left-Fundus": left["file"],
        "Right-Fundus": right["file"],
        "Left-Diagnostic Keywords": "，".join(left["keywords"]),
        "Right-Diagnostic Keywords": "，".join(right["keywords"]),
        **{code: int(code in record["labels"]) for code in ODIR.codes},
    }
