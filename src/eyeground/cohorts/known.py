"""Duplicates that somebody listed: a CSV with `patient_id, eye, neardup_group, identical_group` (-1: in no group)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from eyeground.cohorts.tables import read_table, require_columns
from eyeground.errors import DataError
from eyeground.leaks import Fingerprint, Pair
from eyeground.records import SIDES

GROUPS = ("neardup_group", "identical_group")


def read_known_duplicates(path: Path, prints: Sequence[Fingerprint]) -> tuple[list[Pair], list[str]]:
    """Reads listed duplicates.

    Args:
        path: the CSV file.
        prints: fingerprints of the photographs that are here.

    Returns:
        the pairs of neighbours within each group, and the listed photographs that are not here (such as `32 right`).

    Raises:
        DataError: no such file, a missing column, an eye that is neither left nor right.
    """
    if not path.is_file():
        raise DataError(f"no file {path}; --known-duplicates names a CSV with patient_id, eye, {', '.join(GROUPS)}")
    table = read_table(path)
    require_columns(table, ("patient_id", "eye", *GROUPS))
    members: dict[tuple[str, str], list[Fingerprint]] = {}
    absent = []
    for row in table.rows:
        if row["eye"] not in SIDES:
            raise DataError(f"eye is '{row['eye']}' in {table.where(row)}; it must be left or right")
        here = [one for one in prints if one.patient == row["patient_id"] and one.side == row["eye"]]
        if not here:
            absent.append(f"{row['patient_id']} {row['eye']}")
        for column in GROUPS:
            if row[column] not in ("", "-1"):
                members.setdefault((column, row[column]), []).extend(here)
    return [
        Pair(one, two, "known", float("nan"), f"listed in {path.name}")
        for group in members.values()
        for one, two in pairwise(group)
        if one.visit != two.visit
    ], absent
