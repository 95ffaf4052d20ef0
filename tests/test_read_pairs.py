"""A table of pairs: what it may look like, and what is refused, before any photograph is opened."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

from eyeground.errors import DataError
from eyeground.runs.read_pairs import PairRow, read_pairs


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "pairs.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_names_are_text_cells_may_be_empty_and_order_is_kept(tmp_path: Path) -> None:
    text = "visit,left,right,age,sex\n007,a/1.jpg,,63.5,female\n,-,/b/2.png,,M\n\n1e3,x y.jpg,z.jpg,0,\n"
    one, two, three = read_pairs(written(tmp_path, text))
    assert (one.row, one.visit, one.left, one.right, one.age, one.sex) == (2, "007", "a/1.jpg", None, 63.5, "F")
    assert one.paths == (tmp_path / "a/1.jpg", None)
    assert (two.row, two.visit, two.sex, two.paths) == (3, None, "M", (None, Path("/b/2.png")))
    assert (three.row, three.visit, three.age) == (5, "1e3", 0), "rows are numbered as a spreadsheet does"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_separators_marks_and_line_ends_make_no_difference(
    tmp_path: Path, mark: bytes, separator: str, end: str
) -> None:
    lines = [("Visit", "LEFT", "Right"), ("0012", '"a, b; c.jpg"', "Müller.jpg")]
    text = end.join(separator.join(cells) for cells in lines) + end
    (row,) = read_pairs(written(tmp_path, mark + text.encode()))
    assert (row.visit, row.left, row.right) == ("0012", "a, b; c.jpg", "Müller.jpg")


def test_a_workbook_does_as_well(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for line in (("visit", "left", "right", "age"), ("0012", "a.jpg", None, 61), (13, "-", "b.jpg", 61.5)):
        book.active.append(line)  # type: ignore[union-attr]
    book.save(tmp_path / "pairs.xlsx")
    one, two = read_pairs(tmp_path / "pairs.xlsx")
    assert (one.visit, one.right, one.age) == ("0012", None, 61)
    assert (two.visit, two.left, two.age) == ("13", None, 61.5)


REFUSED = {
    "unknown column": ("visit,left,right,agee\n", "unknown column 'agee'; did you mean 'age'?"),
    "column missing": ("visit,left\nA,a.jpg\n", "no column 'right'"),
    "misspelled": ("lefft,right\na,b\n", "unknown column 'lefft'; did you mean 'left'?"),
    "column twice": ("left,right,left\na,b,c\n", "the column 'left' twice"),
    "column twice by case": ("left,right,Left\na,b,c\n", "more than once"),
    "empty file": ("", "no header row"),
    "no rows": ("left,right\n\n", "a header and no rows"),
    "visit twice": ("visit,left,right\nA,a,b\nB,c,d\nA,e,f\nB,g,h\nC,i,j\n", "'A' in rows 2, 4; 'B' in rows 3, 5"),
    "too many cells": ("left,right\na,b\nc,d,e\n", "row 3 has 3 cells under 2 columns"),
    "age in words": ("left,right,age\na,b,old\n", "age is 'old' in pairs.csv, row 2"),
    "age out of range": ("left,right,age\na,b,463\n", "age is '463'"),
    "age nan": ("left,right,age\na,b,nan\n", "age is 'nan'"),
    "age with a comma": ("left;right;age\na;b;63,5\n", "decimal point"),
    "sex": ("left,right,sex\na,b,F\na,b,x\n", "sex is 'x' in pairs.csv, row 3; write F or M"),
    "not UTF-8": ("visit,left,right\nMüller,a,b\n".encode("cp1252"), "not UTF-8"),
    "line break": ('left,right\n"a\nb",c\n', "column 'left' in pairs.csv, row 2 has a line break"),
    "zero byte": ("left,right\na\0b,c\n", "control character"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_tables_are_refused_with_their_rows(tmp_path: Path, case: str) -> None:
    text, words = REFUSED[case]
    with pytest.raises(DataError) as caught:
        read_pairs(written(tmp_path, text))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no table"):
        read_pairs(tmp_path / "gone.csv")
    with pytest.raises(DataError, match="is a folder"):
        read_pairs(tmp_path)
    with pytest.raises(DataError, match="workbook"):
        read_pairs(tmp_path / "gone.xlsx")


def test_a_visits_folder_is_a_safe_name_of_its_own() -> None:
    names = ["../../etc/passwd", "a/b", "a\\b", "CON", ".", "..", " x. ", "Müller: 7?", "x" * 300, "", None]
    folders = [PairRow(row, name, None, None, Path()).folder for row, name in enumerate(names, start=2)]
    assert folders[0] == "000002-etc_passwd"
    assert folders[4] == "000006"
    assert len(set(folders)) == len(folders)
    for folder in folders:
        assert len(folder) < 70
        assert set(folder) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
        assert not folder.startswith(".") and not folder.endswith(".")
