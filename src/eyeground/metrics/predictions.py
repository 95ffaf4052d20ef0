"""The challenge's files: a truth table, and a table of predictions that must match it row by row.

`ID,N,D,G,C,A,H,M,O`, one row per patient. The challenge's program rejects disordered columns or rows; so does this
reader, unless it is told to match by name.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.errors import DataError
from eyeground.files import aside
from eyeground.vocabulary import ODIR, Kind, Label, Vocabulary

ID = "ID"
WORKBOOKS = (".xlsx", ".xlsm")
STAMP = "# LEAKY PROTOCOL "
"""How the first line of a file begins whose numbers were made under a leaky protocol; the stamp is the line."""


class Truth(NamedTuple):
    """`labels` is float64 (n, C): 0, 1, or nan where the cell is empty (unknown)."""

    ids: tuple[str, ...]
    labels: NDArray[np.float64]
    vocabulary: Vocabulary


class Predictions(NamedTuple):
    """`probability` is float64 (n, C), columns in the order asked for; `rows` numbers the rows as the file does.

    `stamp` is what a leaky protocol wrote into the file, None in any other.
    """

    ids: tuple[str, ...]
    probability: NDArray[np.float64]
    path: Path
    rows: tuple[int, ...]
    stamp: str | None = None


@dataclass(frozen=True)
class Table:
    """Cells as text. `rows` holds (row number in the file, counted from 1 with the header; cells)."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    stamp: str | None = None

    def column(self, name: str) -> int:
        return self.header.index(name)


def read_truth(path: Path, kind: Kind = "multilabel") -> Truth:
    """Reads the truth from a workbook (first sheet) or CSV.

    The ID is the column named `ID`, else the first. Where all of N, D, G, C, A, H, M, O are columns they are the
    labels, in this order, and other columns are ignored (the challenge's workbook has six). Otherwise every column
    but the ID is a label, in the file's order. `kind`: exclusive classes and grades have one 1 in each row.

    Raises:
        DataError: unreadable file, repeated id, a label that is not 0, 1 or empty.
    """
    table = read_table(path)
    key = ID if ID in table.header else table.header[0]
    odir = set(ODIR.codes) <= set(table.header)
    codes = ODIR.codes if odir else tuple(name for name in table.header if name != key)
    if not codes:
        raise DataError(f"{path} has no label columns: it needs an ID column and one column per label")
    if "" in codes:
        raise DataError(f"{path} has a column without a name, number {table.column('') + 1}; name it or remove it")
    if not table.rows:
        raise DataError(f"{path} has a header but no patients; give it one row per patient")
    ids = _ids(table, key)
    labels = np.full((len(ids), len(codes)), np.nan)
    columns = [table.column(code) for code in codes]
    values = {"0": 0.0, "1": 1.0, "": np.nan}
    for r, (number, cells) in enumerate(table.rows):
        for c, column in enumerate(columns):
            text = plain_number(cells[column])
            if text not in values:
                hint = "mend the cell" if odir else "keep only the ID and the label columns, or mend the cell"
                raise DataError(f"{path}, row {number}, column '{codes[c]}': '{text}' is not 0, 1 or empty; {hint}")
            labels[r, c] = values[text]
    if kind == "multilabel":
        return Truth(ids, labels, ODIR if odir else Vocabulary.multilabel(path.stem, codes))
    for (number, _), row in zip(table.rows, labels, strict=True):
        if not np.isnan(row).any() and row.sum() != 1:
            raise DataError(
                f"{path}, row {number} has {int(row.sum())} of the {len(codes)} classes; {kind} have one 1 in each row"
            )
    return Truth(ids, labels, Vocabulary(path.stem, kind, tuple(Label(code, code) for code in codes)))


def read_predictions(path: Path, codes: Sequence[str], by_name: bool = False) -> Predictions:
    """Reads predictions with exactly the columns `ID` and `codes`.

    Args:
        path: CSV or workbook.
        codes: the truth's labels in their order.
        by_name: accept the right columns in another order.

    Raises:
        DataError: another set or order of columns, a repeated id, a cell that is no number in [0, 1].
    """
    table = read_table(path)
    _check_header(table, (ID, *codes), by_name)
    ids = _ids(table, ID)
    columns = [table.column(code) for code in codes]
    probability = np.empty((len(ids), len(codes)))
    for r, (number, cells) in enumerate(table.rows):
        for c, column in enumerate(columns):
            probability[r, c] = _probability(cells[column], f"{path}, row {number} (ID {ids[r]}), column '{codes[c]}'")
    return Predictions(ids, probability, path, tuple(number for number, _ in table.rows), table.stamp)


def write_predictions(
    path: Path, ids: Sequence[str], probability: ArrayLike, codes: Sequence[str], stamp: str | None = None
) -> None:
    """Writes the submission file, whole or not at all. Reading it back gives the same float64 numbers.

    Args:
        path: where to; an existing file is replaced.
        ids: n patients, in the order to write.
        probability: (n, C) in [0, 1].
        codes: C labels.
        stamp: of a leaky protocol, written as a first line that begins with '#'; the challenge refuses such a file.

    Raises:
        DataError: no space, no permission.
        ValueError: shapes do not fit, a repeated id, a probability that is nan or outside [0, 1].
    """
    values = np.asarray(probability, dtype=np.float64)
    if values.shape != (len(ids), len(codes)):
        raise ValueError(f"probability has shape {values.shape}, not ({len(ids)}, {len(codes)})")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("a probability is nan or outside [0, 1]")
    if len(set(ids)) != len(ids):
        raise ValueError("an id is repeated")
    with aside(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        if stamp:
            stream.write(f"# {stamp}\n")
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([ID, *codes])
        writer.writerows(
            [name, *(repr(value) for value in row)] for name, row in zip(ids, values.tolist(), strict=True)
        )


def read_table(path: Path) -> Table:
    """Reads a CSV (UTF-8) or the first sheet of a workbook as text; empty rows are left out.

    Raises:
        DataError: missing, unreadable or empty file, a repeated column, a row with another number of cells.
    """
    if not path.is_file():
        raise DataError(f"no file {path}")
    suffix = path.suffix.lower()
    if suffix not in (".csv", *WORKBOOKS):
        raise DataError(f"{path} is neither .csv nor .xlsx; save it as one of them")
    rows = _workbook_rows(path) if suffix in WORKBOOKS else _csv_rows(path)
    filled = [(number, cells) for number, cells in enumerate(rows, start=1) if any(cells)]
    stamp = None
    if filled and filled[0][1][0].startswith(STAMP):
        stamp = ", ".join(cell for cell in filled.pop(0)[1] if cell).removeprefix("# ")
    if not filled:
        raise DataError(f"{path} is empty: it needs a header row and one row per patient")
    _, header = filled[0]
    if suffix in WORKBOOKS:  # a sheet's used range may reach past its columns
        width = max(i for i, name in enumerate(header, start=1) if name)
        header = header[:width]
        filled = [(number, cells[:width] if not any(cells[width:]) else cells) for number, cells in filled]
    if len(header) == 1 and (found := re.search(r"[;\t]", header[0])):
        what = "tabs" if found[0] == "\t" else f"'{found[0]}'"
        raise DataError(f"{path} separates its columns with {what}; save it with commas")
    for i, name in enumerate(header):
        if name in header[:i]:
            raise DataError(f"{path} has two columns named '{name}'; remove one")
    for number, cells in filled[1:]:
        if len(cells) != len(header):
            raise DataError(f"{path}, row {number} has {len(cells)} cells, the header has {len(header)}; mend the row")
    return Table(path, header, tuple(filled[1:]), stamp)


def _csv_rows(path: Path) -> list[tuple[str, ...]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            return [tuple(cell.strip() for cell in row) for row in csv.reader(stream)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} can't be read as UTF-8 CSV ({error}); save it as 'CSV UTF-8'") from error


def _workbook_rows(path: Path) -> list[tuple[str, ...]]:
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        rows = list(book.worksheets[0].iter_rows(values_only=True))
        book.close()
    except Exception as error:  # a broken workbook raises whatever its zip or XML happens to break
        raise DataError(f"{path} can't be read as a workbook ({error}); save it again as .xlsx or .csv") from error
    return [tuple("" if cell is None else str(cell).strip() for cell in row) for row in rows]


def _check_header(table: Table, expected: tuple[str, ...], by_name: bool) -> None:
    """Raises `DataError` unless the columns are the expected ones, in order (or in any order `by_name`)."""
    wanted = ",".join(expected)
    for name in expected:
        if name not in table.header:
            have = ",".join(table.header)[:60]
            raise DataError(f"{table.path} has no column '{name}': the header must be {wanted}, it begins {have}")
    for name in table.header:
        if name not in expected:
            raise DataError(f"{table.path} has a column '{name}' too many; the header must be {wanted}")
    if not by_name and table.header != expected:
        first = next(i for i, name in enumerate(expected) if table.header[i] != name)
        raise DataError(
            f"{table.path}: column {first + 1} is '{table.header[first]}' where '{expected[first]}' belongs; "
            f"put the columns in the order {wanted}, or match them by name with --reorder"
        )


def _ids(table: Table, key: str) -> tuple[str, ...]:
    """Ids as text ('1.0' reads as '1', leading zeros stay). Raises `DataError` for an empty or repeated one."""
    column = table.column(key)
    seen: dict[str, int] = {}
    for number, cells in table.rows:
        name = plain_number(cells[column])
        if not name:
            raise DataError(f"{table.path}, row {number} has no ID; give it one or remove the row")
        if name in seen:
            raise DataError(f"{table.path}, row {number} repeats ID {name} of row {seen[name]}; keep one row a patient")
        seen[name] = number
    return tuple(seen)


def plain_number(text: str) -> str:
    """A whole number that a spreadsheet wrote as '1.0' reads as '1'; anything else stays as it is."""
    return re.sub(r"^(\d+)\.0+$", r"\1", text.strip())


def _probability(text: str, where: str) -> float:
    try:
        value = float(text.replace("_", "?"))  # Python would read 0_1 as 1
    except ValueError:
        what = "is empty" if not text else f"holds '{text}'"
        raise DataError(f"{where} {what}; every cell needs a probability between 0 and 1") from None
    if not 0 <= value <= 1:
        hint = "fill every cell" if isnan(value) else "give probabilities, not logits or percentages"
        raise DataError(f"{where} holds {text}, which is not between 0 and 1; {hint}")
    return value
