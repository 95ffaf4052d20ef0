"""Made annotation sheets and what tests ask of a cohort."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import openpyxl

from eyeground.cohorts.census import all_flags
from eyeground.cohorts.sheet import COLUMNS
from eyeground.records import Cohort
from eyeground.vocabulary import ODIR


def row(patient: object, left: str, right: str, labels: str, age: object = 60, sex: str = "Female") -> list[object]:
    """One row of an annotation sheet; `labels` such as 'DO'."""
    files = [f"{patient}_left.jpg", f"{patient}_right.jpg"]
    return [patient, age, sex, *files, left, right, *(int(code in labels) for code in ODIR.codes)]


ROWS = [
    row(1, "normal fundus", "normal fundus，lens dust", "N"),
    row("007", "laser spot，moderate non proliferative retinopathy", "drusen,normal fundus", "DO", sex="Male"),
    row(3, "low image quality", "cataract", "C", age=1),
    row(4, "low image quality", "lens dust", "N"),
]


def workbook(path: Path, rows: list[list[object]], columns: tuple[str, ...] = COLUMNS) -> Path:
    """Writes an annotation workbook."""
    book = openpyxl.Workbook()
    for line in [list(columns), *rows]:
        book.active.append(line)
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)
    return path


def touch(folder: Path, *names: str) -> None:
    """Empty files; cohorts hold paths, not pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def flags(cohort: Cohort) -> Counter[str]:
    return Counter(flag.code for flag in all_flags(cohort))


def by_patient(cohort: Cohort) -> dict[str, Any]:
    return {visit.patient: visit for visit in cohort.visits}


def present(states: tuple[int | None, ...]) -> str:
    return "".join(code for code, state in zip(ODIR.codes, states, strict=True) if state)
