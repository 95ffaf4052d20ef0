"""Layout `ddr`: the grading part of DDR (Li et al., Information Sciences 501:511, 2019; github.com/nkicsl/DDR-dataset).

Published as `DR_grading/{train,valid,test}.txt`, lines such as `007-0004-000.jpg 0`, with the photographs in the folder
of the same name. Grades 0 to 4 are the ICDR scale; 5 is ungradable: its labels are unknown and it is flagged. Neither
patient nor side is told: each photograph counts as a patient of its own. Layout as read in public code of several hands
(the files and folders in `DDR-dataset/DR_grading`, the space between name and grade, 5 left out as ungradable).
"""

from __future__ import annotations

from pathlib import Path

from eyeground.cohorts.finding import files_in, require_root, text_lines
from eyeground.cohorts.grades import Graded, graded_cohort, read_grade
from eyeground.cohorts.options import CohortOptions
from eyeground.errors import DataError
from eyeground.records import Cohort, Flag

FOLDER = "DR_grading"
PARTS = ("train", "valid", "test")
UNGRADABLE = 5


def read(root: Path, options: CohortOptions) -> Cohort:
    """Reads the parts whose list is there.

    Raises:
        DataError: no list, a line that is not name and grade, a grade out of range, a photograph listed twice.
        UsageError: an endpoint that these grades can't tell.
    """
    require_root(root)
    folders = (root / FOLDER, root, root / "DDR-dataset" / FOLDER)
    folder = next((one for one in folders if any((one / f"{part}.txt").is_file() for part in PARTS)), None)
    if folder is None:
        raise DataError(f"no '{FOLDER}/train.txt' in {root}; --root is the folder that holds '{FOLDER}'")
    photographs = [one for part in PARTS if (folder / f"{part}.txt").is_file() for one in _part(folder, part)]
    return graded_cohort("ddr", root, photographs, {"dr": 4}, options)


def _part(folder: Path, part: str) -> list[Graded]:
    there = files_in(folder / part)
    found: dict[str, tuple[int, Graded]] = {}
    for number, line in enumerate(text_lines(folder / f"{part}.txt"), start=1):
        words = line.split()
        where = f"{part}.txt, row {number}"
        if not words:
            continue
        if len(words) != 2:
            raise DataError(f"{where} is '{line.strip()}'; it must be a file name, a space and a grade")
        name, grade = words[0], read_grade(words[1], UNGRADABLE, where, "grade")
        if name.lower() in found:
            first = found[name.lower()][0]
            raise DataError(f"'{name}' is listed twice in {part}.txt, rows {first} and {number}; keep one")
        file = f"{part}/{name}"
        flags = (Flag("ungradable", f"{file} is graded {UNGRADABLE}: ungradable"),) if grade == UNGRADABLE else ()
        grades = {"dr": None if grade == UNGRADABLE else grade}
        visit = f"{part}/{Path(name).stem}"
        one = Graded(file, there.get(name.lower()), visit, None, grades, part=f"publishers' {part}", flags=flags)
        found[name.lower()] = (number, one)
    return [one for _, one in found.values()]
