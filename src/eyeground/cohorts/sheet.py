"""ODIR's annotation sheet: one row per patient, both eyes, free-text keywords and the eight labels.

The same fifteen columns are in the challenge's workbook, in the OIA-ODIR release and in Kaggle's derivative.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from eyeground.cohorts import keywords as words
from eyeground.cohorts.options import CohortOptions
from eyeground.cohorts.quirks import AGE_FILLER, PREPROCESSED, ROTATED_COPIES
from eyeground.cohorts.tables import Row, Table, rename_columns, require_columns
from eyeground.errors import DataError
from eyeground.records import SIDES, Eye, Flag, Side, State, Visit
from eyeground.vocabulary import ODIR

FILES = ("Left-Fundus", "Right-Fundus")
KEYWORDS = ("Left-Diagnostic Keywords", "Right-Diagnostic Keywords")
COLUMNS = ("ID", "Patient Age", "Patient Sex", *FILES, *KEYWORDS, *ODIR.codes)
SEXES: dict[str, Literal["F", "M"]] = {"male": "M", "m": "M", "female": "F", "f": "F"}


@dataclass(frozen=True)
class Sheet:
    """Visits of one sheet, and what reading it showed."""

    visits: tuple[Visit, ...]
    flags: tuple[Flag, ...]
    rows: int
    rule_matches: int

    def facts(self) -> dict[str, int | str]:
        return {"rows": self.rows, "rule_matches": self.rule_matches}


def read_sheet(table: Table, images: dict[str, Path], options: CohortOptions, part: str | None = None) -> Sheet:
    """Turns an annotation table into visits. Visit labels come from its columns, eye labels from its keywords.

    Args:
        table: one row per patient.
        images: file name in lower case to path; listed files that are not in it are flagged as missing.
        options: the choices, see `CohortOptions`.
        part: the publishers' part, kept on each visit.

    Raises:
        DataError: missing column, duplicate patient or file, a label that is not 0 or 1, file names that contradict
            their columns, unknown keywords.
    """
    table = rename_columns(table, COLUMNS)
    require_columns(table, COLUMNS)
    _check_unique(table)
    _check_keywords(table, options)
    visits: list[Visit] = []
    flags: list[Flag] = []
    matches = 0
    for row in table.rows:
        visit, derived = _visit(row, table, images, options)
        matches += derived == visit.labels
        left_out = _left_out(visit, derived, options)
        if left_out:
            flags.append(left_out)
        else:
            visits.append(replace(visit, part=part))
    return Sheet(tuple(visits), tuple(flags), len(table.rows), matches)


def _left_out(visit: Visit, derived: tuple[State, ...] | None, options: CohortOptions) -> Flag | None:
    """Why the options leave this patient out, or None."""
    if derived is None:
        return Flag("undecided_dropped", f"patient {visit.patient} left out: no decisive keyword in either eye")
    if options.no_class_eye == "drop_patient":
        for eye in visit.listed():
            if any(flag.code in ("anterior_segment", "no_fundus_image") for flag in eye.flags):
                return Flag("no_class_dropped", f"patient {visit.patient} left out: {eye.file} shows no fundus")
    return None


def _visit(
    row: Row, table: Table, images: dict[str, Path], options: CohortOptions
) -> tuple[Visit, tuple[State, ...] | None]:
    """One patient, and the visit labels that the keywords give (None: undecided and not wanted)."""
    patient = row["ID"]
    labels = _labels(row, table)
    eyes = tuple(_eye(side, row, table, images, options) for side in SIDES)
    classes = [words.eye_classes(eye.keywords, _lenient(options)) for eye in eyes if eye]
    derived = words.visit_labels(classes, options.undecided)
    flags: list[Flag] = []
    if derived is not None and derived != labels:
        stated, found = words.class_names(labels), words.class_names(derived)
        text = f"patient {patient}: the columns say {stated}, the keywords {found}; the columns are kept"
        flags.append(Flag("rule_mismatch", text))
    if not any(classes):
        flags.append(Flag("undecided", f"patient {patient}: no decisive keyword in either eye"))
    age = _age(row, patient, options, flags)
    sex = SEXES.get(row["Patient Sex"].lower())
    if sex is None and row["Patient Sex"]:
        flags.append(Flag("sex_unreadable", f"patient {patient}: sex is '{row['Patient Sex']}', not Male or Female"))
    return Visit(patient, patient, (eyes[0], eyes[1]), labels, age, sex, tuple(flags)), derived  # type: ignore[arg-type]


def _eye(side: Side, row: Row, table: Table, images: dict[str, Path], options: CohortOptions) -> Eye | None:
    """One eye of a row; None when the sheet lists no file for it."""
    index = SIDES.index(side)
    file, phrases = row[FILES[index]], words.split_keywords(row[KEYWORDS[index]])
    if not file:
        return None
    _check_file_name(file, side, row, table)
    stem = Path(file).stem
    flags = _keyword_flags(file, phrases)
    path = images.get(file.lower())
    if path is None:
        flags.append(Flag("missing_image", f"{file} is listed but not there"))
    if stem in PREPROCESSED:
        flags.append(Flag("preprocessed", f"{file} has a processed background"))
        path = None if options.drop_preprocessed else path
    if stem in ROTATED_COPIES:
        flags.append(Flag("rotated_copy", f"{file} is a rotated copy of the fellow eye"))
    masked = options.no_class_eye == "mask" and any(phrase in words.NOT_A_FUNDUS for phrase in phrases)
    labels = words.UNKNOWN if masked else words.eye_labels(phrases, _lenient(options))
    return Eye(side, file, path, labels, phrases, tuple(flags))


def _keyword_flags(file: str, phrases: Sequence[str]) -> list[Flag]:
    """What the keywords of an eye say beyond its labels."""
    flags = [Flag("unknown_keyword", f"{file}: unknown keyword '{p}'") for p in words.unknown_phrases(phrases)]
    classes = words.eye_classes(phrases, "other")
    if not classes:
        flags.append(Flag("no_decisive_keyword", f"{file}: {', '.join(phrases) or 'no keyword'}; labels unknown"))
    if "normal fundus" in phrases and classes != {"N"}:
        others = ", ".join(phrase for phrase in phrases if phrase != "normal fundus")
        flags.append(Flag("normal_with_finding", f"{file}: normal fundus together with {others}; counts as abnormal"))
    if "anterior segment image" in phrases:
        flags.append(Flag("anterior_segment", f"{file} shows the anterior segment, not the fundus"))
    if "no fundus image" in phrases:
        flags.append(Flag("no_fundus_image", f"{file} is marked as no fundus image"))
    return flags


def _lenient(options: CohortOptions) -> words.Unknown:
    """Unknown phrases were refused before under "error", so that here nothing needs to be raised."""
    return "ignore" if options.unknown_keywords == "error" else options.unknown_keywords


def _labels(row: Row, table: Table) -> tuple[State, ...]:
    for code in ODIR.codes:
        if row[code] not in ("0", "1"):
            raise DataError(f"label {code} is '{row[code]}' in {table.where(row)}; it must be 0 or 1")
    return tuple(int(row[code]) for code in ODIR.codes)


def _age(row: Row, patient: str, options: CohortOptions, flags: list[Flag]) -> float | None:
    """Age in years; unreadable, implausible and placeholder ages become None with a flag."""
    text = row["Patient Age"]
    if not text:
        return None
    try:
        age = float(text)
    except ValueError:
        flags.append(Flag("age_unreadable", f"patient {patient}: age is '{text}', not a number"))
        return None
    if not 0 <= age <= 120:
        flags.append(Flag("age_implausible", f"patient {patient}: age is {text}"))
        return None
    if age == AGE_FILLER:
        flags.append(Flag("age_filler", f"patient {patient}: age 1 is a placeholder"))
        return None if options.age_filler == "missing" else age
    return age


def _check_unique(table: Table) -> None:
    """Every row has a patient, no patient and no file is there twice. Raises `DataError`."""
    patients: dict[str, Row] = {}
    files: dict[str, Row] = {}
    for row in table.rows:
        if not row["ID"]:
            raise DataError(f"no patient ID in {table.where(row)}; fill it in or remove the row")
        if row["ID"] in patients:
            first = patients[row["ID"]].number
            raise DataError(f"patient {row['ID']} is in {table.path.name} twice, rows {first} and {row.number}")
        patients[row["ID"]] = row
        for column in FILES:
            file = row[column]
            if file and file in files:
                first = files[file].number
                raise DataError(f"file {file} is listed twice in {table.path.name}, rows {first} and {row.number}")
            files[file] = row


def _check_file_name(file: str, side: Side, row: Row, table: Table) -> None:
    """A name like `12_left.jpg` must agree with its row and column. Raises `DataError`."""
    match = re.fullmatch(r"(.+)_(left|right)", Path(file).stem, re.IGNORECASE)
    if match and (match[1] != row["ID"] or match[2].lower() != side):
        column = FILES[SIDES.index(side)]
        raise DataError(f"{table.where(row)}: {column} of patient {row['ID']} is '{file}'; name and column contradict")


def _check_keywords(table: Table, options: CohortOptions) -> None:
    """Raises `DataError` listing unknown phrases with their rows, unless the options accept them."""
    if options.unknown_keywords != "error":
        return
    strange: dict[str, list[int]] = {}
    for row in table.rows:
        for column in KEYWORDS:
            for phrase in words.unknown_phrases(words.split_keywords(row[column])):
                strange.setdefault(phrase, []).append(row.number)
    if strange:
        listed = "; ".join(f"'{phrase}' (row {', '.join(map(str, rows[:5]))})" for phrase, rows in strange.items())
        count = len(strange)
        raise DataError(
            f"{count} unknown keyword{'s' * (count > 1)} in {table.path.name}: {listed}; {words.UNKNOWN_REMEDY}"
        )
