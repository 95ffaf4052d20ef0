"""Layout `rfmid`: the Retinal Fundus Multi-Disease Image Dataset (Pachade et al., Data 6:14, 2021).

Published as `Training_Set/RFMiD_Training_Labels.csv` with `Training_Set/Training/1.png`, `Evaluation_Set/
RFMiD_Validation_Labels.csv` with `Evaluation_Set/Validation/`, `Test_Set/RFMiD_Testing_Labels.csv` with
`Test_Set/Test/`; and as `2. Groundtruths/a. RFMiD_Training_Labels.csv` (b. Validation, c. Testing) with `1. Original
Images/a. Training Set/` (b. Validation Set, c. Testing Set). Both are read, at any depth. Columns: `ID`,
`Disease_Risk` (any finding) and 45 findings, 0 or 1. Layout as read in public code of several hands and in the
publishers' training table, which starts with a byte order mark.

The columns are the vocabulary, `Disease_Risk` first; `--endpoints any_dr` asks for the column `DR` as that endpoint
instead. All three parts count from 1, so a photograph is named by its part and number (`train/1`). Neither patient nor
side is told: each photograph counts as a patient of its own.
"""

from __future__ import annotations

from pathlib import Path

from eyeground.cohorts.finding import files_in, find_files, names_of, require_root
from eyeground.cohorts.grades import Graded, graded_cohort, rows_by_name
from eyeground.cohorts.options import CohortOptions
from eyeground.cohorts.tables import Table, read_table, rename_columns, require_columns
from eyeground.errors import DataError
from eyeground.records import Cohort, Eye, Flag, State, Visit
from eyeground.vocabulary import Vocabulary

ID, RISK, DR = "ID", "Disease_Risk", "DR"
PARTS = {
    "train": ("RFMiD_Training_Labels.csv", ("Training", "1. Original Images/a. Training Set")),
    "validation": ("RFMiD_Validation_Labels.csv", ("Validation", "1. Original Images/b. Validation Set")),
    "test": ("RFMiD_Testing_Labels.csv", ("Test", "1. Original Images/c. Testing Set")),
}
"""Part to how its table's name ends and where its photographs are: beside the table, or beside the table's folder."""


def read(root: Path, options: CohortOptions) -> Cohort:
    """Reads the parts whose table is there.

    Raises:
        DataError: no table, two of one part, tables with different columns, a label that is not 0 or 1, a photograph
            listed twice.
        UsageError: an endpoint other than any_dr.
    """
    require_root(root)
    tables = {part: table for part in PARTS if (table := _table(root, part)) is not None}
    if not tables:
        raise DataError(f"no table {PARTS['train'][0]} in {root}; --root is the folder with RFMiD's parts")
    first = next(iter(tables.values()))
    codes = tuple(column for column in first.columns if column != ID)
    for table in tables.values():
        require_columns(table, (ID, RISK, DR, *codes))
        if set(table.columns) != set(first.columns):
            strange = ", ".join(sorted(set(table.columns) - set(first.columns)))
            raise DataError(f"{table.path} has columns that {first.path.name} does not have: {strange}")
    if options.endpoints:
        graded = [one for part, table in tables.items() for one in _graded(part, table)]
        return graded_cohort("rfmid", root, graded, {"dr": 1}, options)
    visits = tuple(visit for part, table in tables.items() for visit in _visits(part, table, codes))
    facts: dict[str, int | str] = {
        "photographs": len(visits),
        "laterality": "not told: every photograph is a visit of its own",
    }
    return Cohort("rfmid", root, Vocabulary.multilabel("rfmid", codes), visits, (), facts)


def _table(root: Path, part: str) -> Table | None:
    ending = PARTS[part][0].lower()
    paths = [
        path for path in find_files(root, ".csv") if path.name.lower().removeprefix(f"{_letter(part)}. ") == ending
    ]
    if len(paths) > 1:
        raise DataError(f"{root} has {len(paths)} tables of the {part} part ({names_of(root, paths)}); keep one")
    return rename_columns(read_table(paths[0]), (ID, RISK, DR)) if paths else None


def _letter(part: str) -> str:
    return "abc"[list(PARTS).index(part)]


def _images(part: str, table: Table) -> dict[str, Path]:
    beside, apart = PARTS[part][1]
    return files_in(table.path.parent / beside) or files_in(table.path.parent.parent / apart)


def _visits(part: str, table: Table, codes: tuple[str, ...]) -> list[Visit]:
    there = _images(part, table)
    visits = []
    for name, row in rows_by_name(table, ID).items():
        labels = tuple(_state(row[code], code, table.where(row)) for code in codes)
        file, path = f"{name}.png", there.get(f"{name}.png".lower())
        flags = () if path else (Flag("missing_image", f"{part}/{file} is listed but not there"),)
        eye = Eye("left", f"{part}/{file}", path, labels, flags=flags, side_known=False)
        visit = f"{part}/{name}"
        visits.append(Visit(visit, visit, (eye, None), labels, part=f"publishers' {part}"))
    return visits


def _graded(part: str, table: Table) -> list[Graded]:
    there = _images(part, table)
    return [
        Graded(
            f"{part}/{name}.png",
            there.get(f"{name}.png".lower()),
            f"{part}/{name}",
            None,
            {"dr": _state(row[DR], DR, table.where(row))},
            part=f"publishers' {part}",
        )
        for name, row in rows_by_name(table, ID).items()
    ]


def _state(text: str, code: str, where: str) -> State:
    if text not in ("0", "1", ""):
        raise DataError(f"label {code} is '{text}' in {where}; it must be 0 or 1, or empty")
    return int(text) if text else None
