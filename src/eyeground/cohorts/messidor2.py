"""Layout `messidor2`: Messidor-2, 874 examinations of both eyes (Decencière et al., 2014; Abràmoff et al., 2013).

Published as `IMAGES/` with 1,748 photographs and `messidor-2.csv`, the pairs (`left;right`, separated by semicolons);
the publishers give no grades. Those used in the field are of Krause et al. (Ophthalmology 125:1264, 2018), adjudicated
by three retina specialists: `messidor_data.csv` with `image_id`, `adjudicated_dr_grade` (0 to 4), `adjudicated_dme` (0
or 1) and `adjudicated_gradable`, or the derived table of 1,744 rows that calls the first two `id_code` and `diagnosis`.
Layout as read in public code and notes of several hands.

A photograph that is not gradable, or is in a pair without a grade, has unknown labels and a flag. Without
`messidor-2.csv` no eye is known to belong to another: each photograph counts as a patient, and the cohort is flagged,
since a split may part the eyes of one patient.

Traps: the photographs of the extension end in `.JPG` on disk and in `.jpg` in some tables: names are compared without
regard to case. Copies that were converted to another format are not found under their old name.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from eyeground.cohorts.finding import listed_folder, require_root
from eyeground.cohorts.grades import Graded, graded_cohort, read_grade, rows_by_name
from eyeground.cohorts.options import CohortOptions
from eyeground.cohorts.tables import Row, Table, read_table, rename_columns, require_columns
from eyeground.errors import DataError
from eyeground.records import SIDES, Cohort, Flag, Side

TABLE, PAIRS, IMAGES = "messidor_data.csv", "messidor-2.csv", "IMAGES"
NAMES = ("image_id", "id_code")
GRADES = ("adjudicated_dr_grade", "diagnosis")
DME, GRADABLE = "adjudicated_dme", "adjudicated_gradable"
SCALES = {"dr": 4, "dme": 1}
UNKNOWN: dict[str, int | None] = {"dr": None, "dme": None}


def read(root: Path, options: CohortOptions) -> Cohort:
    """Reads grades, and pairs where their table is there.

    Raises:
        DataError: no table of grades, one without its columns, a grade out of range, a photograph listed twice, a line
            of pairs that is not two names.
        UsageError: an endpoint that these grades can't tell.
    """
    require_root(root)
    if not (root / TABLE).is_file():
        raise DataError(f"no {TABLE} in {root}; the grades of Messidor-2 are published apart from its photographs")
    table, name, grade = _table(root / TABLE)
    rows = rows_by_name(table, name)
    pairs, flags = _pairs(root / PAIRS)
    listed = {file.lower() for file in rows}
    files = [*rows, *(file for file in pairs if file.lower() not in listed)]
    there = listed_folder(root, files, IMAGES)
    eyes = {file.lower(): eye for file, eye in pairs.items()}
    photographs = []
    for file in files:
        grades, mark = _grades(rows[file], table, grade) if file in rows else (UNKNOWN, f"has no grade in {TABLE}")
        patient, side = eyes.get(file.lower(), (Path(file).stem, None))
        marks = (Flag("ungradable", f"{file} {mark}"),) if mark else ()
        photographs.append(Graded(file, there.get(file.lower()), patient, side, grades, flags=marks))
    cohort = graded_cohort("messidor2", root, photographs, SCALES, options)
    return replace(cohort, flags=(*cohort.flags, *flags))


def _table(path: Path) -> tuple[Table, str, str]:
    """The table of grades, and what its columns of names and of grades are called."""
    table = rename_columns(read_table(path), (*NAMES, *GRADES, DME, GRADABLE))
    name = next((one for one in NAMES if one in table.columns), NAMES[0])
    grade = next((one for one in GRADES if one in table.columns), GRADES[0])
    require_columns(table, (name, grade, DME, GRADABLE))
    return table, name, grade


def _grades(row: Row, table: Table, column: str) -> tuple[dict[str, int | None], str]:
    """Grades of a row, and why the retinopathy grade is unknown; empty where it is known."""
    where = table.where(row)
    grades = {"dr": read_grade(row[column], 4, where, column), "dme": read_grade(row[DME], 1, where, DME)}
    if read_grade(row[GRADABLE], 1, where, GRADABLE) == 0:
        return UNKNOWN, f"is not gradable ({GRADABLE} is 0)"
    return grades, "" if grades["dr"] is not None else f"has no grade in {TABLE}"


def _pairs(path: Path) -> tuple[dict[str, tuple[str, Side]], list[Flag]]:
    """File to patient (named by the left eye's file) and side; where a file is in two pairs, the first counts."""
    if not path.is_file():
        text = f"no {PAIRS} in {path.parent}: a split may part the two eyes of a patient; add the publishers' pairs"
        return {}, [Flag("pairs_absent", text)]
    table = read_table(path, ",")  # a semicolon parts the eyes within the one column
    eyes: dict[str, tuple[str, Side]] = {}
    owner: dict[str, str] = {}
    flags = []
    for row in table.rows:
        names = [name.strip() for name in row[table.columns[0]].split(";")]
        if len(table.columns) != 1 or len(names) != 2 or not all(names):
            raise DataError(f"{table.where(row)} must be two file names with a semicolon between them, left;right")
        patient = Path(names[0]).stem
        for name, side in zip(names, SIDES, strict=True):
            first = owner.setdefault(name.lower(), patient)
            if first != patient:
                flags.append(
                    Flag("pair_conflict", f"{name} is in two pairs, of {first} and {patient}: the first counts")
                )
            else:
                eyes[name] = (patient, side)
    return eyes, flags
