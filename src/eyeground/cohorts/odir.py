"""Layout `odir`: the challenge's annotation workbook and its image folder, anywhere below the root."""

from __future__ import annotations

from pathlib import Path

from eyeground.cohorts.finding import find_files, names_of, one_image_folder, require_root
from eyeground.cohorts.options import CohortOptions
from eyeground.cohorts.sheet import COLUMNS, FILES, read_sheet
from eyeground.cohorts.tables import Table, read_header, read_table, rename_columns, require_columns
from eyeground.errors import DataError
from eyeground.records import Cohort
from eyeground.vocabulary import ODIR


def read(root: Path, options: CohortOptions) -> Cohort:
    """Reads the training set as the challenge published it; files that are neither are ignored.

    Raises:
        DataError: no workbook or image folder or more than one, or a bad row (see `read_sheet`).
    """
    require_root(root)
    table = rename_columns(read_table(find_workbook(root)), COLUMNS)
    require_columns(table, COLUMNS)
    folder, images = one_image_folder(root, listed_files(table))
    sheet = read_sheet(table, images, options)
    facts = sheet.facts() | {"annotations": table.path.name, "images": str(folder.relative_to(root))}
    return Cohort("odir", root, ODIR, sheet.visits, sheet.flags, facts)


def listed_files(table: Table) -> list[str]:
    """Names in the two file columns."""
    return [row[column] for row in table.rows for column in FILES if row[column]]


def find_workbook(root: Path) -> Path:
    """The one workbook whose header looks like the challenge's, or the only workbook there is.

    Raises:
        DataError: no workbook, or several that look right (their names are told).
    """
    books = find_files(root, ".xlsx")
    alike = [book for book in books if _looks_right(book)]
    if len(alike) == 1:
        return alike[0]
    if len(books) == 1:
        return books[0]
    if not books:
        raise DataError(f"no annotation workbook (.xlsx) below {root}; put the challenge's workbook there")
    if alike:
        raise DataError(
            f"{root} has {len(alike)} annotation workbooks ({names_of(root, alike)}); keep one, "
            "or use --layout odir-release for the release with three sets"
        )
    raise DataError(f"none of the workbooks below {root} ({names_of(root, books)}) has the challenge's columns")


def _looks_right(book: Path) -> bool:
    """Whether most of the challenge's columns are in its header; a workbook that can't be read is not it."""
    try:
        return len(set(COLUMNS) & set(read_header(book))) > len(COLUMNS) // 2
    except DataError:
        return False
