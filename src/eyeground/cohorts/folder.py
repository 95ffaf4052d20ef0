"""Layout `folder`: anybody's photographs with a `cohort.csv`.

Columns: `patient`, `eye` (left, right, OS, OD), `file`; where wanted `visit` (several days of one patient), `level`,
`age`, `sex`, `keywords`; every other column is a label with 1 (present), 0 (absent) or empty (unknown). A row whose
`level` is `visit` states the labels of the visit, and may also list an eye; other rows state those of their eye.
Where no row states them, visit labels follow from the listed eyes: a finding is present when any eye has it and absent
when all eyes lack it; Normal (`N`, `normal`) is present only when all eyes have it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from eyeground.cohorts.finding import require_root
from eyeground.cohorts.keywords import split_keywords
from eyeground.cohorts.options import CohortOptions
from eyeground.cohorts.sheet import SEXES
from eyeground.cohorts.tables import Row, Table, read_table, require_columns
from eyeground.errors import DataError
from eyeground.records import SIDES, Cohort, Eye, Flag, Side, State, Visit
from eyeground.vocabulary import ODIR, Vocabulary

TABLE = "cohort.csv"
REQUIRED = ("patient", "eye", "file")
RESERVED = (*REQUIRED, "visit", "level", "age", "sex", "keywords")
EYES: dict[str, Side] = {"left": "left", "os": "left", "right": "right", "od": "right"}
VALUES: dict[str, State] = {"1": 1, "1.0": 1, "0": 0, "0.0": 0, "": None}


@dataclass
class _Draft:
    """A visit while its rows are read; `stated` are labels from rows of level visit."""

    patient: str
    eyes: dict[Side, Eye] = field(default_factory=dict)
    stated: tuple[State, ...] | None = None
    age: float | None = None
    sex: Literal["F", "M"] | None = None
    flags: list[Flag] = field(default_factory=list)


def read(root: Path, options: CohortOptions) -> Cohort:
    """Reads `cohort.csv` in the root; file names are relative to the root. No option changes this layout.

    Raises:
        DataError: no table, a missing column, no label column, an eye listed twice, a value out of place (with row).
    """
    require_root(root)
    path = root / TABLE
    if not path.is_file():
        raise DataError(f"no {TABLE} in {root}; it lists patient, eye, file and one column per label")
    table = read_table(path)
    require_columns(table, REQUIRED)
    codes = tuple(column for column in table.columns if column not in RESERVED)
    if not codes:
        raise DataError(f"{path} has no label column; every column beside {', '.join(RESERVED)} is one")
    vocabulary = ODIR if set(codes) == set(ODIR.codes) else Vocabulary.multilabel("folder", codes)
    drafts: dict[str, _Draft] = {}
    for row in table.rows:
        _add(drafts, row, table, vocabulary)
    visits = tuple(_finish(name, draft, vocabulary) for name, draft in drafts.items())
    return Cohort("folder", root, vocabulary, visits, (), {"rows": len(table.rows), "annotations": TABLE})


def _add(drafts: dict[str, _Draft], row: Row, table: Table, vocabulary: Vocabulary) -> None:
    """Adds one row to its visit. Raises `DataError` when it contradicts itself or an earlier row."""
    patient, day = row["patient"], row.cells.get("visit", "")
    if not patient:
        raise DataError(f"no patient in {table.where(row)}; fill it in or remove the row")
    name = f"{patient}:{day}" if day else patient
    draft = drafts.setdefault(name, _Draft(patient))
    if draft.patient != patient:
        raise DataError(f"{table.where(row)}: visit '{name}' already belongs to patient {draft.patient}")
    labels = tuple(_state(row, code, table) for code in vocabulary.codes)
    level = row.cells.get("level", "").lower()
    if level not in ("", "eye", "visit"):
        raise DataError(f"level is '{row['level']}' in {table.where(row)}; it must be eye, visit or empty")
    if level == "visit":
        if draft.stated is not None and draft.stated != labels:
            raise DataError(f"{table.where(row)} states other labels for visit {name} than an earlier row")
        draft.stated, labels = labels, (None,) * len(labels)
    if level != "visit" or row["file"]:
        _add_eye(draft, row, labels, table)
    _add_person(draft, row, name, table)


def _add_eye(draft: _Draft, row: Row, labels: tuple[State, ...], table: Table) -> None:
    side = EYES.get(row["eye"].lower())
    if side is None:
        raise DataError(f"eye is '{row['eye']}' in {table.where(row)}; it must be left, right, OS or OD")
    if not row["file"]:
        raise DataError(f"no file in {table.where(row)}; only rows whose level is visit may go without")
    if side in draft.eyes:
        raise DataError(
            f"{table.where(row)} lists a second photograph of the {side} eye of patient {draft.patient}; "
            "tell the days apart with a 'visit' column, or keep one"
        )
    path: Path | None = table.path.parent / row["file"]
    flags = []
    if path is not None and not path.is_file():
        flags.append(Flag("missing_image", f"{row['file']} is listed but not there"))
        path = None
    phrases = split_keywords(row.cells.get("keywords", ""))
    draft.eyes[side] = Eye(side, row["file"], path, labels, phrases, tuple(flags))


def _add_person(draft: _Draft, row: Row, name: str, table: Table) -> None:
    """Age and sex, which the rows of a visit must agree on."""
    age, sex = _age(row, table), _sex(row, table)
    for what, old, new in (("age", draft.age, age), ("sex", draft.sex, sex)):
        if old is not None and new is not None and old != new:
            raise DataError(f"{table.where(row)}: {what} of visit {name} is {new}, an earlier row says {old}")
    draft.age = draft.age if age is None else age
    draft.sex = draft.sex if sex is None else sex


def _age(row: Row, table: Table) -> float | None:
    text = row.cells.get("age", "")
    try:
        age = float(text) if text else None
    except ValueError:
        age = -1.0
    if age is not None and not 0 <= age <= 120:
        raise DataError(f"age is '{text}' in {table.where(row)}; it must be years, 0 to 120, or empty")
    return age


def _sex(row: Row, table: Table) -> Literal["F", "M"] | None:
    text = row.cells.get("sex", "")
    if text and text.lower() not in SEXES:
        raise DataError(f"sex is '{text}' in {table.where(row)}; it must be F, M or empty")
    return SEXES.get(text.lower())


def _state(row: Row, code: str, table: Table) -> State:
    if row[code] not in VALUES:
        raise DataError(f"label {code} is '{row[code]}' in {table.where(row)}; it must be 1, 0 or empty (unknown)")
    return VALUES[row[code]]


def _finish(name: str, draft: _Draft, vocabulary: Vocabulary) -> Visit:
    eyes = [draft.eyes.get(side) for side in SIDES]
    labels = draft.stated or _from_eyes([eye.labels for eye in draft.eyes.values()], vocabulary)
    return Visit(name, draft.patient, (eyes[0], eyes[1]), labels, draft.age, draft.sex, tuple(draft.flags))


def _from_eyes(eyes: list[tuple[State, ...]], vocabulary: Vocabulary) -> tuple[State, ...]:
    """Visit labels that the listed eyes decide, by each label's rule; what they leave open stays unknown."""
    labels: list[State] = []
    for label, states in zip(vocabulary.labels, zip(*eyes, strict=True), strict=True):
        decided = 1 if label.visit == "any" else 0
        if decided in states:
            labels.append(decided)
        else:
            labels.append(None if None in states else 1 - decided)
    return tuple(labels)
