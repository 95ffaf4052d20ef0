"""Layout `idrid`: the Indian Diabetic Retinopathy Image Dataset, part "B. Disease Grading" (Porwal et al., 2018).

Published as `1. Original Images/{a. Training Set, b. Testing Set}/IDRiD_001.jpg` and `2. Groundtruths/` with
`a. IDRiD_Disease Grading_Training Labels.csv` and `b. ..._Testing Labels.csv`: image name, retinopathy grade 0 to 4,
risk of macular oedema 0 to 2, and empty columns after them. Both parts count from 001, so a photograph is named by its
part and number (`train/IDRiD_001`). Neither patient nor side is told: each photograph counts as a patient of its own.
"""

from __future__ import annotations

from pathlib import Path

from eyeground.cohorts.finding import require_root
from eyeground.cohorts.grades import Graded, graded_cohort, read_grade
from eyeground.cohorts.options import CohortOptions
from eyeground.cohorts.tables import Table, read_table, rename_columns, require_columns
from eyeground.errors import DataError
from eyeground.records import Cohort

IMAGES, TRUTHS = "1. Original Images", "2. Groundtruths"
NAME, DR, DME = "Image name", "Retinopathy grade", "Risk of macular edema"
PARTS = {
    "train": ("a. Training Set", "a. IDRiD_Disease Grading_Training Labels.csv"),
    "test": ("b. Testing Set", "b. IDRiD_Disease Grading_Testing Labels.csv"),
}
SCALES = {"dr": 4, "dme": 2}


def read(root: Path, options: CohortOptions) -> Cohort:
    """Reads the parts that are there.

    Raises:
        DataError: not this layout, a table without its columns, a grade out of range, a photograph listed twice.
        UsageError: an endpoint that these grades can't tell.
    """
    require_root(root)
    folder = root if (root / TRUTHS).is_dir() else root / "B. Disease Grading"
    tables = {part: folder / TRUTHS / file for part, (_, file) in PARTS.items() if (folder / TRUTHS / file).is_file()}
    if not tables:
        raise DataError(f"no '{TRUTHS}/{PARTS['train'][1]}' in {root}; --root is IDRiD's folder 'B. Disease Grading'")
    photographs = [one for part, path in tables.items() for one in _part(folder, part, read_table(path))]
    return graded_cohort("idrid", root, photographs, SCALES, options)


def _part(folder: Path, part: str, table: Table) -> list[Graded]:
    table = rename_columns(table, (NAME, DR, DME))
    require_columns(table, (NAME, DR, DME))
    here = IMAGES + "/" + PARTS[part][0]
    found: dict[str, Graded] = {}
    for row in table.rows:
        name, where = f"{part}/{row[NAME]}", table.where(row)
        if not row[NAME] or name in found:
            raise DataError(f"{where}: photograph '{row[NAME]}' is {'listed twice' if row[NAME] else 'without a name'}")
        file = f"{here}/{row[NAME]}.jpg"
        grades = {"dr": read_grade(row[DR], 4, where, DR), "dme": read_grade(row[DME], 2, where, DME)}
        path = folder / file
        found[name] = Graded(file, path if path.is_file() else None, name, None, grades, part=f"publishers' {part}")
    return list(found.values())
