"""Layout `aptos2019`: the Kaggle competition "APTOS 2019 Blindness Detection", photographs of Aravind Eye Hospital.

Published as `train.csv` (`id_code,diagnosis`) with `train_images/ID.png`; the grades of `test.csv` were never
published, so that part is not read. Diagnosis 0 to 4 is the ICDR scale, by one grader. Neither patient nor side is
told: each photograph counts as a patient of its own. Layout as read in public code of several hands.

Traps: the set has the same photographs under several ids, some with different grades (`cohort check` finds them), and
the size and crop of a photograph go with its grade.
"""

from __future__ import annotations

from pathlib import Path

from eyeground.cohorts.finding import listed_folder, require_root
from eyeground.cohorts.grades import Graded, graded_cohort, read_grade, rows_by_name
from eyeground.cohorts.options import CohortOptions
from eyeground.cohorts.tables import read_table, rename_columns, require_columns
from eyeground.errors import DataError
from eyeground.records import Cohort

TABLE, IMAGES = "train.csv", "train_images"
NAME, GRADE = "id_code", "diagnosis"


def read(root: Path, options: CohortOptions) -> Cohort:
    """Reads the graded part.

    Raises:
        DataError: no table, one without its columns, a grade out of range, a photograph listed twice.
        UsageError: an endpoint that these grades can't tell.
    """
    require_root(root)
    if not (root / TABLE).is_file():
        raise DataError(f"no {TABLE} in {root}; --root is the folder with Kaggle's files of the competition")
    table = rename_columns(read_table(root / TABLE), (NAME, GRADE))
    require_columns(table, (NAME, GRADE))
    rows = rows_by_name(table, NAME)
    there = listed_folder(root, [f"{name}.png" for name in rows], IMAGES)
    photographs = []
    for name, row in rows.items():
        grades = {"dr": read_grade(row[GRADE], 4, table.where(row), GRADE)}
        photographs.append(Graded(f"{name}.png", there.get(f"{name}.png".lower()), name, None, grades))
    return graded_cohort("aptos2019", root, photographs, {"dr": 4}, options)
