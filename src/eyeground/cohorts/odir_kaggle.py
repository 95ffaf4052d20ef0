"""Layout `odir-kaggle`: the table `full_df.csv` and its image folder, as published on Kaggle.

Each row is one image, yet its columns N..O are those of the patient: they become visit labels. Eye labels are derived
anew from the keywords. The columns `labels` and `target` keep one class of several per eye and are not used, unless
`CohortOptions.kaggle_labels` asks for them.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

from eyeground.cohorts import keywords as words
from eyeground.cohorts.finding import find_files, names_of, one_image_folder, require_root
from eyeground.cohorts.options import CohortOptions
from eyeground.cohorts.sheet import COLUMNS, FILES, KEYWORDS, read_sheet
from eyeground.cohorts.tables import Row, Table, read_table, require_columns
from eyeground.errors import DataError
from eyeground.records import SIDES, Cohort, Eye, Flag, State, Visit
from eyeground.vocabulary import ODIR

TABLE = "full_df.csv"
IMAGES = "preprocessed_images"
"""The folder that Kaggle publishes beside the table; it wins where the originals are there too."""
REASON = (
    "its labels column keeps one class of several (418 eyes of the published table lose a finding); "
    "use the table that has them, or accept it with --kaggle-labels"
)


def read(root: Path, options: CohortOptions) -> Cohort:
    """Reads Kaggle's derivative. An eye without a row of its own is not part of it and is not listed.

    Raises:
        DataError: no table or image folder, rows of one patient that disagree, a file name that contradicts its row,
            no keyword columns while `kaggle_labels` is not set; and as `read_sheet`.
    """
    require_root(root)
    table = read_table(_table(root))
    require_columns(table, ["filename"])
    if not set(KEYWORDS) <= set(table.columns) and not options.kaggle_labels:
        raise DataError(f"{table.path} has no keyword columns ('{KEYWORDS[0]}', '{KEYWORDS[1]}') and {REASON}")
    require_columns(table, [*(name for name in COLUMNS if name not in KEYWORDS), *(["labels"] * options.kaggle_labels)])
    files = _rows_by_file(table)
    folder, images = one_image_folder(root, list(files), prefer=IMAGES)
    sheet = read_sheet(_per_patient(table), images, options)
    visits = tuple(_only_listed(visit, files, table, options) for visit in sheet.visits)
    facts = sheet.facts() | {"annotations": table.path.name, "images": str(folder.relative_to(root))}
    flags = (*sheet.flags, *_kaggle_flags(visits, files, table, options))
    return Cohort("odir-kaggle", root, ODIR, visits, flags, facts | {"rows_images": len(table.rows)})


def _table(root: Path) -> Path:
    found = [path for path in find_files(root, TABLE) if path.name.lower() == TABLE]
    if not found:
        raise DataError(f"no {TABLE} below {root}; --root must be the folder of Kaggle's download")
    if len(found) > 1:
        raise DataError(f"{root} has {len(found)} files {TABLE} ({names_of(root, found)}); keep one")
    return found[0]


def _rows_by_file(table: Table) -> dict[str, Row]:
    """File name in lower case to its row. Raises `DataError` for a name twice or one that its row contradicts."""
    files: dict[str, Row] = {}
    for row in table.rows:
        file = row["filename"].lower()
        if file in files:
            raise DataError(f"file {file} is in {table.path.name} twice, rows {files[file].number} and {row.number}")
        if file not in [row[column].lower() for column in FILES]:
            raise DataError(
                f"{table.where(row)}: filename is '{row['filename']}', but the row's eyes are "
                f"'{row[FILES[0]]}' and '{row[FILES[1]]}'"
            )
        files[file] = row
    return files


def _per_patient(table: Table) -> Table:
    """One row per patient. Raises `DataError` when rows of a patient disagree in a patient-level column."""
    first: dict[str, Row] = {}
    rows = [Row(row.number, dict.fromkeys(KEYWORDS, "") | row.cells) for row in table.rows]
    for row in rows:
        known = first.setdefault(row["ID"], row)
        for column in COLUMNS:
            if row[column] != known[column]:
                raise DataError(
                    f"rows {known.number} and {row.number} of {table.path.name} disagree on '{column}' of patient "
                    f"{row['ID']} ('{known[column]}' and '{row[column]}')"
                )
    return Table(table.path, tuple(dict.fromkeys([*table.columns, *KEYWORDS])), tuple(first.values()))


def _only_listed(visit: Visit, files: dict[str, Row], table: Table, options: CohortOptions) -> Visit:
    """The visit without eyes that have no row; with Kaggle's own labels where they are asked for."""
    eyes: list[Eye | None] = []
    flags = list(visit.flags)
    for side, eye in zip(SIDES, visit.eyes, strict=True):
        row = files.get(eye.file.lower()) if eye else None
        if eye and row is None:
            flags.append(Flag("eye_not_in_table", f"{eye.file}: the {side} eye has no row in {TABLE}"))
        elif eye and row and options.kaggle_labels:
            eye = replace(eye, labels=_kaggle_label(row, table))
        eyes.append(eye if row else None)
    return replace(visit, eyes=(eyes[0], eyes[1]), flags=tuple(flags))


def _kaggle_label(row: Row, table: Table) -> tuple[State, ...]:
    """The one class in `labels`, such as `['D']`. Raises `DataError` when it is anything else."""
    try:
        value = ast.literal_eval(row["labels"])
    except (ValueError, SyntaxError):
        value = None
    if not (isinstance(value, list) and len(value) == 1 and value[0] in ODIR.codes):
        raise DataError(f"labels is {row['labels']!r} in {table.where(row)}; it must name one class, such as ['D']")
    return words.as_states(value)


def _kaggle_flags(visits: tuple[Visit, ...], files: dict[str, Row], table: Table, options: CohortOptions) -> list[Flag]:
    """How many eyes Kaggle's single class would describe wrongly."""
    if "labels" not in table.columns or not set(KEYWORDS) <= set(table.columns):
        return []
    eyes = [eye for visit in visits for eye in visit.listed()]
    derived = {eye.file: words.eye_labels(eye.keywords, options.unknown_keywords) for eye in eyes}
    wrong = sum(derived[eye.file] != _kaggle_label(files[eye.file.lower()], table) for eye in eyes)
    if not wrong:
        return []
    verb = "is used as asked" if options.kaggle_labels else "is not used"
    text = f"the labels column {verb}: it differs from the keywords in {wrong} of {len(eyes)} eyes"
    return [Flag("kaggle_labels", text)]
