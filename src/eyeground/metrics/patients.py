"""Who the rows of a table belong to: two eyes, or two visits, of a person are not two people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eyeground.errors import DataError
from eyeground.metrics.align import plain_keys
from eyeground.metrics.predictions import ID, read_table

PATIENT = "patient"


def read_patients(path: Path, ids: Sequence[str]) -> tuple[str, ...]:
    """The patient of each row.

    Args:
        path: CSV or workbook with the columns `ID` and `patient`; rows of other ids are passed over.
        ids: the rows, n of them.

    Raises:
        DataError: a column or an id is missing, an id is there twice, or a patient is left empty.
    """
    table = read_table(path)
    for name in (ID, PATIENT):
        if name not in table.header:
            raise DataError(
                f"{path} has no column '{name}' (it has {', '.join(table.header)}); it needs ID and patient"
            )
    at, who = table.column(ID), table.column(PATIENT)
    wanted, found = plain_keys(ids, [cells[at].strip() for _, cells in table.rows])
    people: dict[str, str] = {}
    for key, (number, cells) in zip(found, table.rows, strict=True):
        if key in people:
            raise DataError(f"{path}, row {number} repeats ID {key}; keep one row for each ID")
        people[key] = cells[who].strip()
        if not people[key]:
            raise DataError(f"{path}, row {number}: ID {key} has no patient; give it one")
    missing = [key for key in wanted if key not in people]
    if missing:
        raise DataError(f"{path} has no row for {len(missing)} of the IDs, first {missing[0]}; add who they belong to")
    return tuple(people[key] for key in wanted)
