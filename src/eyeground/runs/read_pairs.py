"""The table of a bulk reading: one visit per row, checked as a whole before the first photograph is opened."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from eyeground.cohorts.sheet import SEXES
from eyeground.cohorts.tables import Row, Table, read_table, rename_columns, require_columns
from eyeground.errors import DataError, nearest

COLUMNS = ("visit", "left", "right", "age", "sex")
NEEDED = ("left", "right")
NONE = ("", "-")
"""How a cell says that an eye was not photographed."""


@dataclass(frozen=True)
class PairRow:
    """One visit of the table.

    `row` is its number as a spreadsheet shows it, the header being 1. `left` and `right` are the cells as written, None
    where there is no photograph; `base` is the folder that relative ones start from.
    """

    row: int
    visit: str | None
    left: str | None
    right: str | None
    base: Path
    age: float | None = None
    sex: Literal["F", "M"] | None = None

    @property
    def paths(self) -> tuple[Path | None, Path | None]:
        """Left and right photograph."""
        left, right = (None if name is None else self.base / name for name in (self.left, self.right))
        return left, right

    @property
    def folder(self) -> str:
        """Name of this visit's folder: the row's number, and of the visit's name what every file system takes."""
        plain = re.sub(r"[^A-Za-z0-9._-]+", "_", self.visit or "")[:60].strip("._-")
        return f"{self.row:06d}-{plain}" if plain else f"{self.row:06d}"

    def facts(self) -> dict[str, Any]:
        """What the answer rests on, JSON-able: the cells, and size in bytes and time of change of both files."""
        cells = {name: getattr(self, name) for name in COLUMNS}
        return {**cells, "files": [None if path is None else _file_facts(path) for path in self.paths]}


def read_pairs(path: Path) -> tuple[PairRow, ...]:
    """Reads a table of pairs (CSV with commas, semicolons or tabs, or a workbook) in its order.

    Raises:
        DataError: not such a table, an unknown or missing column, no rows, a visit named twice, an age or sex that is
            none. The message names the rows.
    """
    table = rename_columns(read_table(path), COLUMNS)
    for column in table.columns:
        if column not in COLUMNS:
            raise DataError(
                f"{path} has an unknown column '{column}'{nearest(column, COLUMNS)}"
                f" (columns are {', '.join(COLUMNS)}); rename or remove it"
            )
    require_columns(table, NEEDED)
    if not table.rows:
        raise DataError(f"{path} has a header and no rows; give one row per visit")
    _check_unique(table)
    return tuple(_pair(row, table) for row in table.rows)


def _pair(row: Row, table: Table) -> PairRow:
    cells = {name: row.cells.get(name, "") for name in COLUMNS}
    left, right = (None if cells[name] in NONE else cells[name] for name in NEEDED)
    for name, value in cells.items():
        if not value.isprintable():
            raise DataError(f"column '{name}' in {table.where(row)} has a line break or control character; remove it")
    sex = SEXES.get(cells["sex"].lower())
    if cells["sex"] and sex is None:
        raise DataError(f"sex is '{cells['sex']}' in {table.where(row)}; write F or M, or leave it empty")
    base = table.path.absolute().parent
    return PairRow(row.number, cells["visit"] or None, left, right, base, _age(cells["age"], row, table), sex)


def _age(text: str, row: Row, table: Table) -> float | None:
    if not text:
        return None
    try:
        age = float(text)
    except ValueError:
        age = math.nan
    if not 0 <= age <= 130:
        raise DataError(
            f"age is '{text}' in {table.where(row)}; write years from 0 to 130 with a decimal point, or leave it empty"
        )
    return age


def _check_unique(table: Table) -> None:
    """No visit's name is there twice. Raises `DataError` with the rows."""
    rows: dict[str, list[int]] = {}
    for row in table.rows:
        if row.cells.get("visit"):
            rows.setdefault(row["visit"], []).append(row.number)
    twice = [f"'{name}' in rows {_listed(numbers)}" for name, numbers in rows.items() if len(numbers) > 1]
    if twice:
        more = f" and {len(twice) - 5} more" if len(twice) > 5 else ""
        raise DataError(
            f"{table.path} names visits more than once: {'; '.join(twice[:5])}{more}; give each visit its own name"
        )


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:5]))
    return f"{shown} and {len(numbers) - 5} more" if len(numbers) > 5 else shown


def _file_facts(path: Path) -> list[int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return [facts.st_size, facts.st_mtime_ns]
