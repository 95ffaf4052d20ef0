"""Layout `odir-release`: OIA-ODIR, three sets in three folders, each with `Images/` and `Annotation/`.

The annotation folders hold an English and a Chinese workbook; the English one is read. Source: the OIA-ODIR release.
"""

from __future__ import annotations

from pathlib import Path

from eyeground.cohorts.finding import find_images, names_of, require_root
from eyeground.cohorts.odir import listed_files
from eyeground.cohorts.options import CohortOptions
from eyeground.cohorts.sheet import COLUMNS, Sheet, read_sheet
from eyeground.cohorts.tables import read_table, rename_columns, require_columns
from eyeground.errors import DataError
from eyeground.records import Cohort, Flag
from eyeground.vocabulary import ODIR

PARTS = {
    "training": "Training Set",
    "off-site test": "Off-site Test Set",
    "on-site test": "On-site Test Set",
}
"""Part name to its folder; the workbook is `Annotation/<part> annotation (English).xlsx`."""


def read(root: Path, options: CohortOptions) -> Cohort:
    """Reads the sets that are there; each visit knows its `part`. A set that is absent becomes a flag.

    Raises:
        DataError: none of the three folders, a set without its workbook or images, a patient in two sets, a bad row.
    """
    require_root(root)
    here = {part: root / folder for part, folder in PARTS.items() if (root / folder).is_dir()}
    if not here:
        wanted = ", ".join(f"'{folder}'" for folder in PARTS.values())
        raise DataError(f"{root} has none of the folders {wanted}; --root must be the release's top folder")
    sheets = {part: _read_part(part, folder, options) for part, folder in here.items()}
    _check_patients(sheets)
    visits = tuple(visit for sheet in sheets.values() for visit in sheet.visits)
    absent = [part for part in PARTS if part not in here]
    flags = [Flag("part_absent", f"no folder '{PARTS[part]}' in {root}: the {part} set is left out") for part in absent]
    flags += [flag for sheet in sheets.values() for flag in sheet.flags]
    facts: dict[str, int | str] = {
        "rows": sum(sheet.rows for sheet in sheets.values()),
        "rule_matches": sum(sheet.rule_matches for sheet in sheets.values()),
    }
    facts |= {f"visits_{part.replace(' ', '_')}": len(sheet.visits) for part, sheet in sheets.items()}
    return Cohort("odir-release", root, ODIR, visits, tuple(flags), facts)


def _read_part(part: str, folder: Path, options: CohortOptions) -> Sheet:
    table = rename_columns(read_table(_workbook(part, folder)), COLUMNS)
    require_columns(table, COLUMNS)
    images = folder / "Images"
    if not images.is_dir():
        raise DataError(f"no image folder {images}; the photographs of the {part} set belong there")
    found = find_images(images, listed_files(table))
    if len(found) > 1:
        raise DataError(f"{images} holds listed photographs in several folders ({names_of(folder, found)}); keep one")
    return read_sheet(table, next(iter(found.values()), {}), options, part)


def _workbook(part: str, folder: Path) -> Path:
    """The English workbook; its name is compared without regard to case. Raises `DataError` when it is not there."""
    name = f"{part} annotation (english).xlsx"
    annotation = folder / "Annotation"
    for path in sorted(annotation.glob("*")) if annotation.is_dir() else []:
        if path.name.lower() == name:
            return path
    raise DataError(f"no annotation workbook '{part} annotation (English).xlsx' in {annotation}")


def _check_patients(sheets: dict[str, Sheet]) -> None:
    """Raises `DataError` when a patient is in two sets."""
    owner: dict[str, str] = {}
    for part, sheet in sheets.items():
        for visit in sheet.visits:
            if visit.patient in owner:
                raise DataError(
                    f"patient {visit.patient} is in the {owner[visit.patient]} set and in the {part} set; "
                    "remove one of them, or a test patient is trained on"
                )
            owner[visit.patient] = part
