"""From grades to labels: endpoints are named rules over the publishers' raw grades.

| endpoint | rule | source |
|---|---|---|
| `any_dr` | DR grade ≥ 1 | ICDR scale (Wilkinson et al., Ophthalmology 110:1677, 2003) |
| `referable_dr` | DR grade ≥ 2, moderate NPDR or worse | Gulshan et al., JAMA 316:2402, 2016; Quellec et al., 2017 |
| `severe_dr` | DR grade ≥ 3 | ICDR |
| `proliferative_dr` | DR grade 4 | ICDR |
| `dme` | DME grade ≥ 1 | IDRiD (Porwal et al., Data 3:25, 2018) |
| `severe_dme` | DME grade 2 | IDRiD |

The four of DR are the grade itself, said cumulatively: a photograph's grade is how many of them it has. A photograph
without a grade has unknown labels, never absent ones. Publishers who tell only the stage (scale `dr_stage`: 0 none, 1
non-proliferative, 2 proliferative) tell `any_dr` (stage ≥ 1) and `proliferative_dr` (stage 2), and none between them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eyeground.cohorts.options import CohortOptions
from eyeground.cohorts.tables import Row, Table
from eyeground.errors import DataError, UsageError, nearest
from eyeground.records import SIDES, Cohort, Eye, Flag, Side, State, Visit
from eyeground.vocabulary import Label, Vocabulary


@dataclass(frozen=True)
class Endpoint:
    """Present when the grade on `scale` is at least `least`."""

    name: str
    scale: str
    least: int


ENDPOINTS: dict[str, Endpoint] = {
    "any_dr": Endpoint("Diabetic retinopathy, any (grade ≥ 1)", "dr", 1),
    "referable_dr": Endpoint("Referable diabetic retinopathy (grade ≥ 2)", "dr", 2),
    "severe_dr": Endpoint("Severe diabetic retinopathy (grade ≥ 3)", "dr", 3),
    "proliferative_dr": Endpoint("Proliferative diabetic retinopathy (grade 4)", "dr", 4),
    "dme": Endpoint("Diabetic macular oedema (grade ≥ 1)", "dme", 1),
    "severe_dme": Endpoint("Diabetic macular oedema, grade 2", "dme", 2),
}
"""In the order in which they become labels."""

BY_STAGE: dict[str, Endpoint] = {
    code: Endpoint(ENDPOINTS[code].name, "dr_stage", least) for code, least in (("any_dr", 1), ("proliferative_dr", 2))
}
"""The endpoints of retinopathy where only its stage is told."""


@dataclass(frozen=True)
class Graded:
    """One photograph: file as listed, path (None: not there), patient, side (None: not told) and grades by scale.

    `visit` names the day where a patient has several; a grade of None was not given. Sex, age and such are left out:
    none of the graded sets has them.
    """

    file: str
    path: Path | None
    patient: str
    side: Side | None
    grades: Mapping[str, int | None]
    visit: str = ""
    part: str | None = None
    flags: tuple[Flag, ...] = ()


def read_grade(text: str, highest: int, where: str, what: str) -> int | None:
    """A grade from 0 to `highest`, None for an empty cell. Raises `DataError` for anything else; `where` places it."""
    if text == "":
        return None
    whole = text.removesuffix(".0")
    if whole.isascii() and whole.isdigit() and int(whole) <= highest:
        return int(whole)
    raise DataError(f"{what} is '{text}' in {where}; it must be a whole number from 0 to {highest}, or empty")


def rows_by_name(table: Table, column: str) -> dict[str, Row]:
    """The rows by what the column names, compared without regard to case. Raises `DataError`: no name, or one twice."""
    seen: dict[str, Row] = {}
    for row in table.rows:
        name, where = row[column], table.where(row)
        if not name:
            raise DataError(f"no {column} in {where}; fill it in or remove the row")
        if name.lower() in seen:
            first = seen[name.lower()].number
            raise DataError(f"'{name}' is listed twice in {table.path.name}, rows {first} and {row.number}; keep one")
        seen[name.lower()] = row
    return {row[column]: row for row in seen.values()}


def chosen_endpoints(layout: str, scales: Mapping[str, int], options: CohortOptions) -> tuple[str, ...]:
    """The endpoints asked for, or all that these scales (name to highest grade) can tell.

    Raises:
        UsageError: an unknown endpoint, one named twice, or one of a scale that this cohort does not have.
    """
    able = tuple(code for code, one in _rules(scales).items() if scales.get(one.scale, -1) >= one.least)
    for code in options.endpoints:
        if code not in ENDPOINTS:
            raise UsageError(f"no endpoint '{code}'{nearest(code, ENDPOINTS)} (there are {', '.join(ENDPOINTS)})")
        if code not in able:
            raise UsageError(f"layout {layout} has no grades for endpoint {code}; it can tell {', '.join(able)}")
        if options.endpoints.count(code) > 1:
            raise UsageError(f"--endpoints names {code} twice; once is enough")
    return options.endpoints or able


def graded_cohort(
    layout: str, root: Path, photographs: Sequence[Graded], scales: Mapping[str, int], options: CohortOptions
) -> Cohort:
    """A cohort of graded photographs, a visit for each patient (and day).

    Args:
        scales: the cohort's scales and their highest grade, such as {"dr": 4, "dme": 2}.

    A photograph whose side is not told takes the place of the left eye, with `side_known` False; each is a visit of its
    own then. A visit has an endpoint when any of its eyes has it.

    Raises:
        UsageError: see `chosen_endpoints`.
        DataError: no photographs, or two of one eye in one visit.
    """
    if not photographs:
        raise DataError(f"{root} lists no photographs; is it the folder of layout {layout}?")
    codes = chosen_endpoints(layout, scales, options)
    vocabulary = Vocabulary(layout, "multilabel", tuple(Label(code, ENDPOINTS[code].name) for code in codes))
    eyes: dict[str, dict[Side, tuple[Graded, Eye]]] = {}
    for one in photographs:
        name = one.visit or one.patient
        here, side = eyes.setdefault(name, {}), one.side or "left"
        if side in here:
            raise DataError(f"{root}: {one.file} and {here[side][0].file} are both the {side} eye of visit {name}")
        here[side] = (one, _eye(one, side, [_rules(scales)[code] for code in codes]))
    visits = tuple(_visit(name, pair, len(codes)) for name, pair in eyes.items())
    facts: dict[str, int | str] = {"photographs": len(photographs), "endpoints": " ".join(codes)}
    if all(one.side is None for one in photographs):
        facts["laterality"] = "not told: every photograph is a visit of its own"
    return Cohort(layout, root, vocabulary, visits, (), facts)


def _rules(scales: Mapping[str, int]) -> dict[str, Endpoint]:
    """Endpoints by code, those of DR by its stage where that is what is told."""
    return {**ENDPOINTS, **BY_STAGE} if "dr_stage" in scales else ENDPOINTS


def _eye(one: Graded, side: Side, rules: Sequence[Endpoint]) -> Eye:
    flags = one.flags
    if one.path is None:
        flags = (*flags, Flag("missing_image", f"{one.file} is listed but not there"))
    raw = tuple((scale, grade) for scale, grade in one.grades.items() if grade is not None)
    return Eye(side, one.file, one.path, _states(one, rules), (), flags, one.side is not None, raw)


def _states(one: Graded, rules: Sequence[Endpoint]) -> tuple[State, ...]:
    grades = [(rule, one.grades.get(rule.scale)) for rule in rules]
    return tuple(None if grade is None else int(grade >= endpoint.least) for endpoint, grade in grades)


def _visit(name: str, pair: Mapping[Side, tuple[Graded, Eye]], count: int) -> Visit:
    first = next(iter(pair.values()))[0]
    eyes = [pair[side][1] if side in pair else None for side in SIDES]
    columns = [[eye.labels[c] for eye in eyes if eye is not None] for c in range(count)]
    labels = tuple(1 if 1 in states else None if None in states else 0 for states in columns)
    return Visit(name, first.patient, (eyes[0], eyes[1]), labels, part=first.part)
