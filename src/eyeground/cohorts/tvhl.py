"""Layout `tvhl`: photographs and OCT B-scans of the same eyes, Mexico (Hughes Cano, Olivares Pinto and Thebault).

Published as `EYE FUNDUS/1222_OD_f_1.jpg` and `OCT/1222_OD_o_2.jpg` (patient, OD right or OI left, fundus or OCT,
sample) with `EYE FUNDUS.csv` and `OCT.csv`: Name, DME (0 or 1), DR (0, NPDR, PDR; `-` or empty is unknown), Size,
Format. The OCT folder writes its letter in several ways (`1304_OI_O_2`, `1258_OI_f_2`): files are told by folder.

Retinopathy is told as none, non-proliferative or proliferative, the scale `dr_stage` of `grades.py`: `any_dr` and
`proliferative_dr` follow from it, `referable_dr` and `severe_dr` do not. An eye may have several photographs: those of
left and right are paired in the order of their samples, the second pair is the visit `1222/2` of the same patient. OCT
is counted, and its labels are compared with those of the photograph; where they differ, the photograph's table counts.

Traps: patients up to 1220 come from another site where every eye has oedema and no retinopathy is told (their visits
have the part `first site`), so a model could learn the site for the oedema. A patient has several numbers here and
there: `cohort duplicates` finds them.
"""

from __future__ import annotations

import re
from pathlib import Path

from eyeground.cohorts.finding import files_in, require_root
from eyeground.cohorts.grades import Graded, graded_cohort, read_grade
from eyeground.cohorts.options import CohortOptions
from eyeground.cohorts.tables import Row, Table, read_table, rename_columns, require_columns
from eyeground.errors import DataError
from eyeground.records import Cohort, Flag, Side

FUNDUS, OCT = "EYE FUNDUS", "OCT"
NAME, DME, DR, FORMAT = COLUMNS = ("Name", "DME", "DR", "Format")
STAGES = {"0": 0, "npdr": 1, "pdr": 2, "-": None, "": None}
SCALES = {"dr_stage": 2, "dme": 1}
SIDES_TOLD: dict[str, Side] = {"OD": "right", "OI": "left"}
NAMES = re.compile(r"(\d+)_(OD|OI)_[fo]_(\d+)", re.IGNORECASE)
FIRST_SITE = 1220
"""The highest patient number of the other site."""

Told = tuple[int | None, int | None]
Place = tuple[str, Side]


def read(root: Path, options: CohortOptions) -> Cohort:
    """Reads the photographs; the B-scans become facts (`oct_scans`, `oct_patients`, `patients_with_both`, ...).

    Raises:
        DataError: not this layout, a table without its columns, a name or grade that is none, one listed twice.
        UsageError: an endpoint that these labels can't tell.
    """
    require_root(root)
    if not (root / f"{FUNDUS}.csv").is_file():
        raise DataError(f"no '{FUNDUS}.csv' in {root}; --root is the folder that holds it and '{FUNDUS}/'")
    scans = _rows(root, OCT) if (root / f"{OCT}.csv").is_file() else []
    elsewhere = {place: told for place, _, _, told in scans}
    listed = _rows(root, FUNDUS)
    there = files_in(root / FUNDUS)
    rank: dict[Place, int] = {}
    photographs = []
    for place, _, file, told in sorted(listed, key=lambda row: (int(row[0][0]), row[1])):
        (patient, side), (stage, dme) = place, told
        rank[place] = rank.get(place, 0) + 1
        visit = patient if rank[place] == 1 else f"{patient}/{rank[place]}"
        grades = {"dr_stage": stage, "dme": dme}
        flags = _flags(file, told, elsewhere.get(place))
        part = "first site" if int(patient) <= FIRST_SITE else None
        path = there.get(file.lower())
        photographs.append(Graded(f"{FUNDUS}/{file}", path, patient, side, grades, visit, part, flags))
    cohort = graded_cohort("tvhl", root, photographs, SCALES, options)
    cohort.facts.update(_oct_facts(root, listed, scans))
    return cohort


def _rows(root: Path, kind: str) -> list[tuple[Place, int, str, Told]]:
    """The table's rows: patient and side, sample, file name, and what is told of retinopathy and oedema."""
    table = rename_columns(read_table(root / f"{kind}.csv"), COLUMNS)
    require_columns(table, COLUMNS)
    found: dict[str, tuple[Place, int, str, Told]] = {}
    for row in table.rows:
        match, where = NAMES.fullmatch(row[NAME]), table.where(row)
        if match is None:
            raise DataError(f"Name is '{row[NAME]}' in {where}; it must be PATIENT_OD_f_SAMPLE or PATIENT_OI_...")
        if row[NAME].lower() in found:
            raise DataError(f"'{row[NAME]}' is listed twice in {where}; keep one")
        place = match[1], SIDES_TOLD[match[2].upper()]
        file = f"{row[NAME]}.{row[FORMAT] or 'jpg'}"
        found[row[NAME].lower()] = (place, int(match[3]), file, _told(row, table))
    return list(found.values())


def _told(row: Row, table: Table) -> Told:
    where = table.where(row)
    if row[DR].lower() not in STAGES:
        raise DataError(f"DR is '{row[DR]}' in {where}; it must be 0, NPDR, PDR, or - where it is not known")
    return STAGES[row[DR].lower()], read_grade(row[DME], 1, where, DME)


def _flags(file: str, told: Told, oct_told: Told | None) -> tuple[Flag, ...]:
    flags = []
    if told[0] is None:
        flags.append(Flag("ungradable", f"{file} has no DR in {FUNDUS}.csv"))
    if oct_told is not None and oct_told[0] is not None and oct_told != told:
        flags.append(Flag("tables_differ", f"{file}: {OCT}.csv tells other labels of this eye; {FUNDUS}.csv counts"))
    return tuple(flags)


def _oct_facts(
    root: Path, listed: list[tuple[Place, int, str, Told]], scans: list[tuple[Place, int, str, Told]]
) -> dict[str, int | str]:
    """How many B-scans are listed and there, and who has both kinds of picture."""
    there = files_in(root / OCT)
    seen, scanned = {place for place, *_ in listed}, {place for place, *_ in scans}
    people = {patient for patient, _ in seen}, {patient for patient, _ in scanned}
    return {
        "oct_scans": len(scans),
        "oct_scans_there": sum(file.lower() in there for _, _, file, _ in scans),
        "oct_patients": len(people[1]),
        "patients_with_both": len(people[0] & people[1]),
        "eyes_with_both": len(seen & scanned),
    }
