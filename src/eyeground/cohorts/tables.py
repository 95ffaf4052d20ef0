"""Annotation tables as text: workbooks and CSV files, with the row numbers a person sees in a spreadsheet."""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from eyeground.errors import DataError, nearest


@dataclass(frozen=True)
class Row:
    """One data row; `number` counts from 1 with the header, as a spreadsheet shows it. Cells are stripped text."""

    number: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]


@dataclass(frozen=True)
class Table:
    """Rows under their column names. Empty rows are left out, their numbers stay used."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def where(self, row: Row) -> str:
        """`annotations.xlsx, row 12`, for messages."""
        return f"{self.path.name}, row {row.number}"


def read_table(path: Path, separator: str | None = None) -> Table:
    """Reads the first sheet of a workbook, or a CSV file in UTF-8.

    Args:
        separator: of the CSV's columns; None takes commas, semicolons or tabs, as its header has them.

    Raises:
        DataError: not there, not a workbook or not UTF-8, no header, a column named twice, a row beyond the header.
    """
    lines = _workbook_lines(path) if path.suffix.lower() == ".xlsx" else _csv_lines(path, separator)
    header = next(iter(lines), None)
    if header is None or not any(header):
        raise DataError(f"{path} has no header row; its first row must name the columns")
    names = [name for name in header if name]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path} names the column '{twice[0]}' twice; rename or remove one")
    rows = []
    for number, values in enumerate(lines[1:], start=2):
        if any(values[len(header) :]):
            raise DataError(
                f"{path.name}, row {number} has {len(values)} cells under {len(header)} columns; "
                "put a text that holds the separator in quotes"
            )
        if any(values):
            padded = [*values, *[""] * (len(header) - len(values))]
            rows.append(Row(number, {name: text for name, text in zip(header, padded, strict=False) if name}))
    return Table(path, tuple(names), tuple(rows))


def read_header(path: Path) -> tuple[str, ...]:
    """The first row of a workbook, for telling annotation sheets from others. Raises `DataError` as `read_table`."""
    lines = _workbook_lines(path, limit=1)
    return tuple(name for name in lines[0] if name) if lines else ()


def require_columns(table: Table, wanted: Iterable[str]) -> None:
    """Raises `DataError` naming the columns that the table lacks, with the nearest one it has."""
    missing = [column for column in wanted if column not in table.columns]
    if missing:
        hint = nearest(missing[0], table.columns)
        names = ", ".join(f"'{column}'" for column in missing)
        raise DataError(f"{table.path} has no column {names}{hint}; add it, spelled exactly so")


def rename_columns(table: Table, wanted: Sequence[str]) -> Table:
    """The table with its column names spelled as in `wanted` where they differ only by case, spaces, `-` or `_`.

    Raises:
        DataError: two columns have the same name then.
    """
    plain = {_plain(name): name for name in wanted}
    names = {column: plain.get(_plain(column), column) for column in table.columns}
    twice = [name for name in wanted if list(names.values()).count(name) > 1]
    if twice:
        alike = ", ".join(f"'{column}'" for column, name in names.items() if name == twice[0])
        raise DataError(f"{table.path} has the column '{twice[0]}' more than once ({alike}); rename or remove one")
    rows = tuple(Row(row.number, {names[key]: text for key, text in row.cells.items()}) for row in table.rows)
    return Table(table.path, tuple(names.values()), rows)


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")


def _workbook_lines(path: Path, limit: int | None = None) -> list[list[str]]:
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
        raise DataError(f"{path} can't be read as a workbook ({error}); save it again as .xlsx") from error
    try:
        sheet = book.worksheets[0]
        return [[_text(value) for value in line] for line in sheet.iter_rows(values_only=True, max_row=limit)]
    finally:
        book.close()


def _csv_lines(path: Path, separator: str | None = None) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            separator = separator or _separator(stream.readline())
            stream.seek(0)
            return [[value.strip() for value in line] for line in csv.reader(stream, delimiter=separator)]
    except FileNotFoundError:
        raise DataError(f"no table {path}") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, not a table") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; save it again as CSV in UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{path} is not a CSV file: {error}") from error


def _separator(header: str) -> str:
    """What parts the header's columns: a semicolon or tab where it has those outside quotes and no comma."""
    bare = re.sub(r'"[^"]*"', "", header)
    return next((one for one in (",", ";", "\t") if one in bare), ",")


def _text(value: Any) -> str:
    """A cell as text; whole numbers lose the `.0` that spreadsheets add, text keeps its leading zeros."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
