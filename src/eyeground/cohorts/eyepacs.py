"""Layout `eyepacs`: the Kaggle competition "Diabetic Retinopathy Detection" of 2015, photographs of EyePACS.

Published as `trainLabels.csv` (`image,level`: `10_left,0`) with `train/10_left.jpeg`, and after the competition
`retinopathy_solution.csv` (`image,level,Usage`, Usage Public or Private: which leaderboard) with `test/1_left.jpeg`.
The number is the patient and the word the eye, so both eyes are one visit. Levels 0 to 4 are the ICDR scale, by one
grader. Layout as read in public code of several hands (`trainLabels.csv`, `retinopathy_solution.csv`, `Usage`).

Traps: some photographs are turned upside down, as a condensing lens shows them, some are mirrored; many are out of
focus. There is no mark for ungradable ones.
"""

from __future__ import annotations

import re
from pathlib import Path

from eyeground.cohorts.finding import listed_folder, require_root
from eyeground.cohorts.grades import Graded, graded_cohort, read_grade, rows_by_name
from eyeground.cohorts.options import CohortOptions
from eyeground.cohorts.tables import read_table, rename_columns, require_columns
from eyeground.errors import DataError
from eyeground.records import Cohort, Side

NAME, LEVEL, USAGE = "image", "level", "Usage"
PARTS = {"train": "trainLabels.csv", "test": "retinopathy_solution.csv"}


def read(root: Path, options: CohortOptions) -> Cohort:
    """Reads the parts whose table is there.

    Raises:
        DataError: no table, one without its columns, a level out of range, a name that is not NUMBER_left or _right, a
            photograph listed twice, a patient in both parts.
        UsageError: an endpoint that these grades can't tell.
    """
    require_root(root)
    tables = {part: root / file for part, file in PARTS.items() if (root / file).is_file()}
    if not tables:
        raise DataError(f"no {PARTS['train']} in {root}; --root is the folder with Kaggle's files of the competition")
    photographs = [one for part, path in tables.items() for one in _part(root, part, path)]
    owner: dict[str, Graded] = {}
    for one in photographs:
        first = owner.setdefault(one.patient, one)
        if (first.part or "").split(",")[0] != (one.part or "").split(",")[0]:
            raise DataError(f"patient {one.patient} is in {' and in '.join(PARTS.values())}: {first.file}, {one.file}")
    return graded_cohort("eyepacs", root, photographs, {"dr": 4}, options)


def _part(root: Path, part: str, path: Path) -> list[Graded]:
    wanted = (NAME, LEVEL, USAGE) if part == "test" else (NAME, LEVEL)
    table = rename_columns(read_table(path), wanted)
    require_columns(table, wanted)
    rows = rows_by_name(table, NAME)
    there = listed_folder(root, [f"{name}.jpeg" for name in rows], part)
    found = []
    for name, row in rows.items():
        match = re.fullmatch(r"(.+)_(left|right)", name)
        if not match:
            raise DataError(f"image is '{name}' in {table.where(row)}; it must be NUMBER_left or NUMBER_right")
        file = f"{name}.jpeg"
        said = f"publishers' {part}, {row[USAGE].lower()}" if part == "test" and row[USAGE] else f"publishers' {part}"
        grades = {"dr": read_grade(row[LEVEL], 4, table.where(row), LEVEL)}
        side: Side = "left" if match[2] == "left" else "right"
        found.append(Graded(file, there.get(file.lower()), match[1], side, grades, part=said))
    return found
