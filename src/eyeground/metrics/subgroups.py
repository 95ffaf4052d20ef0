"""The same judgement within groups of patients (sex, age, camera, ...), and the largest gap between them.

Small cells are suppressed: a label of which a group has too few positive or too few negative patients shows no number
at all there, neither counts nor anything made from them, and it is left out of the group's macro mean. So that macro
means of groups can be compared they are over the same labels: those suppressed in none of the groups compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.auc_interval import bounds, eyes_of
from eyeground.metrics.counts import above
from eyeground.metrics.delong import areas, influence, people_of
from eyeground.metrics.gaps import Gap, Measured, largest_gap
from eyeground.metrics.holm import holm
from eyeground.metrics.macro_interval import together
from eyeground.metrics.official import HALF
from eyeground.metrics.proportions import effective, wilson
from eyeground.vocabulary import Vocabulary

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]

MEASURES = ("auc", "sensitivity", "specificity")
"""What is told of a label in a group."""

SUPPRESS_BELOW = 10


@dataclass(frozen=True)
class Grouping:
    """One way to part the visits.

    Attributes:
        name: a short key such as "sex". title: for people. source: where the values are from.
        values: one for each visit; None where nobody knows.
        order: of the groups; those not named come after, sorted.
    """

    name: str
    title: str
    source: str
    values: tuple[str | None, ...]
    order: tuple[str, ...] = ()

    def groups(self) -> list[str]:
        """The groups that have a visit, in order."""
        there = {value for value in self.values if value is not None}
        return [name for name in self.order if name in there] + sorted(there - set(self.order))


@dataclass(frozen=True)
class Rules:
    """How groups are judged.

    Attributes:
        patients: (n,) who each row belongs to; None means that every row is a patient of their own.
        suppress_below: a label with fewer positive or fewer negative patients in a group shows no number there.
        level: of the intervals.
        with_p: whether to tell p values of gaps; most of the time goes into them.
    """

    patients: ArrayLike | None = None
    suppress_below: int = SUPPRESS_BELOW
    level: float = 0.95
    with_p: bool = True


@dataclass(frozen=True)
class _Case:
    """labels, scores (n, C); mask (n, C) what is known; called (n, C) above the cuts; where (n,) whose rows."""

    labels: Array
    mask: Mask
    scores: Array
    called: Mask
    where: Ints
    codes: tuple[str, ...]
    rules: Rules

    @property
    def people(self) -> int:
        return int(self.where.max(initial=-1)) + 1


@dataclass(frozen=True)
class _Cell:
    """One label in one group; `found` has the measures that are defined, none when the cell is suppressed."""

    row: dict[str, Any]
    found: dict[str, Measured]


def subgroups(
    truth: ArrayLike,
    known: ArrayLike,
    probability: ArrayLike,
    vocabulary: Vocabulary,
    groupings: Sequence[Grouping],
    thresholds: ArrayLike | None = None,
    rules: Rules | None = None,
) -> dict[str, Any]:
    """Judges every group of every grouping by itself.

    Args:
        truth: (n, C), 0 or 1 where known, ignored elsewhere.
        known: (n, C) bool.
        probability: (n, C) in [0, 1].
        vocabulary: C labels.
        groupings: each with n values.
        thresholds: (C,) for sensitivity and specificity; None means 0.5.

    Returns:
        JSON-able, described in docs/subgroups.md: `suppressed_below`, `level`, `methods` and `by`, one entry for each
        grouping with its `groups` and `largest_gap`.

    Raises:
        ValueError: shapes that do not fit.
    """
    rules = rules or Rules()
    mask, scores = np.asarray(known, bool), np.asarray(probability, np.float64)
    labels = np.where(mask, np.asarray(truth, np.float64), 0.0)
    if labels.ndim != 2 or not labels.shape == mask.shape == scores.shape or labels.shape[1] != len(vocabulary):
        shapes = f"truth has shape {labels.shape}, known {mask.shape}, probability {scores.shape}"
        raise ValueError(f"{shapes}, and there are {len(vocabulary)} labels")
    cuts = np.full(len(vocabulary), HALF) if thresholds is None else np.asarray(thresholds, np.float64)
    called = np.stack([above(scores[:, c], float(cut)) for c, cut in enumerate(cuts)], axis=1)
    where = people_of(rules.patients, len(labels))
    case = _Case(labels, mask, scores, called, where, tuple(vocabulary.codes), rules)
    by = [_by(case, grouping) for grouping in groupings]
    _correct([one["largest_gap"]["macro_auc"] for one in by])
    _correct([row for one in by for row in one["largest_gap"]["per_class"]])
    alone = case.people == len(labels)
    share = "wilson" if alone else "wilson-effective"
    methods = {"auc": "score", "macro_auc": "together", "sensitivity": share, "specificity": share}
    methods |= {"largest_gap": "all pairs together"}
    return {"suppressed_below": rules.suppress_below, "level": rules.level, "methods": methods, "by": by}


def _by(case: _Case, grouping: Grouping) -> dict[str, Any]:
    """One grouping."""
    if len(grouping.values) != len(case.labels):
        raise ValueError(f"{grouping.name} has {len(grouping.values)} values for {len(case.labels)} rows")
    values = np.array(grouping.values, dtype=object)
    rows = {name: values == name for name in grouping.groups()}
    cells = {name: [_cell(case, here, c) for c in range(len(case.codes))] for name, here in rows.items()}
    shared = _shared(cells)
    macro = {name: _macro([own[c] for c in shared]) for name, own in cells.items() if shared and _shown(own)}
    groups = []
    for name, here in rows.items():
        size = {"group": name, "n": int(here.sum()), "patients": len(np.unique(case.where[here]))}
        mean = _told("macro_auc", macro.get(name), case.rules.level)
        why = {} if name in macro else {"macro_auc": _why_no_macro(cells[name])}
        counts = {"macro_n": len(shared) if name in macro else 0, "undefined": why}
        groups.append({**size, **mean, **counts, "per_class": [one.row for one in cells[name]]})
    per_class = [row for c in range(len(case.codes)) for row in _gaps(case, cells, c)]
    gap = largest_gap(macro, case.rules.level, case.rules.with_p)
    return {
        "name": grouping.name,
        "title": grouping.title,
        "source": grouping.source,
        "unknown": sum(value is None for value in grouping.values),
        "macro_labels": [case.codes[c] for c in shared],
        "groups": groups,
        "largest_gap": {"macro_auc": _gap_row(gap) if gap else None, "per_class": per_class},
    }


def _cell(case: _Case, rows: Mask, c: int) -> _Cell:
    """One label in one group. Counts are of rows, the rule is about patients."""
    here = rows & case.mask[:, c]
    positive = case.labels[here, c] == 1
    where, called, score = case.where[here], case.called[here, c], case.scores[here, c]
    least = min(len(np.unique(where[part])) for part in (positive, ~positive))
    row: dict[str, Any] = {"code": case.codes[c], "n": len(positive)}
    if least < case.rules.suppress_below:
        why = f"suppressed: fewer than {case.rules.suppress_below} positive or negative patients"
        nothing = {key: None for measure in MEASURES for key in (measure, f"{measure}_interval")}
        hidden = {"n_pos": None, "n_neg": None, "suppressed": True}
        return _Cell({**row, **hidden, **nothing, "undefined": dict.fromkeys(MEASURES, why)}, {})
    found: dict[str, Measured] = {}
    if positive.any() and not positive.all():
        found["auc"] = _area(positive, score, where, case.people)
    if positive.any():
        found["sensitivity"] = _share(called[positive], where[positive], case.people)
    if not positive.all():
        found["specificity"] = _share(~called[~positive], where[~positive], case.people)
    counts = {"n_pos": int(positive.sum()), "n_neg": len(positive) - int(positive.sum()), "suppressed": False}
    lacking = "no known row" if not len(positive) else "no positive" if not positive.any() else "no negative"
    undefined = {measure: lacking for measure in MEASURES if measure not in found}
    told = [_told(measure, found.get(measure), case.rules.level) for measure in MEASURES]
    return _Cell({**row, **counts, **{k: v for one in told for k, v in one.items()}, "undefined": undefined}, found)


def _area(positive: Mask, score: Array, where: Ints, people: int) -> Measured:
    own = people_of(where, len(where))
    area = areas(positive, score, own)
    eyes = eyes_of(own[positive]), eyes_of(own[~positive])

    def at(level: float) -> list[float]:
        found = bounds(area, 0, eyes, level)
        assert found is not None  # the method "score" always answers
        return found

    return Measured(float(area.auc[0]), at, influence(positive, score, where, people))


def _share(hit: Mask, where: Ints, people: int) -> Measured:
    share, worth = float(hit.mean()), effective(hit, people_of(where, len(where)))

    def at(level: float) -> list[float]:
        found = wilson(*worth, level)
        assert found is not None  # there are rows
        return found

    return Measured(share, at, np.bincount(where, (hit - share) / len(hit), people).astype(np.float64))


def _macro(cells: Sequence[_Cell]) -> Measured:
    """The mean AUC over labels that all have one."""
    parts = [cell.found["auc"] for cell in cells]
    values, moves = np.array([one.value for one in parts]), np.stack([one.moves for one in parts])
    fewer = np.asarray(np.linalg.qr(moves.T, mode="r")).T  # rows with the same lengths and angles, but no longer than k

    def at(level: float) -> list[float]:
        return together(values, np.array([one.at(level) for one in parts]), fewer)

    return Measured(float(values.mean()), at, moves.mean(axis=0))


def _shown(cells: Sequence[_Cell]) -> bool:
    """Whether a group has any AUC to compare."""
    return any("auc" in cell.found for cell in cells)


def _shared(cells: Mapping[str, Sequence[_Cell]]) -> list[int]:
    """Labels with an AUC in every group that has any."""
    compared = [own for own in cells.values() if _shown(own)]
    return [c for c in range(len(compared[0])) if all("auc" in own[c].found for own in compared)] if compared else []


def _why_no_macro(cells: Sequence[_Cell]) -> str:
    if _shown(cells):
        return "no label has an AUC in every group compared"
    return "no label has an AUC here" + (", some are suppressed" if any(one.row["suppressed"] for one in cells) else "")


def _told(key: str, found: Measured | None, level: float) -> dict[str, Any]:
    """A number and its interval."""
    return {key: found.value if found else None, f"{key}_interval": list(found.at(level)) if found else None}


def _gaps(case: _Case, cells: Mapping[str, Sequence[_Cell]], c: int) -> Iterator[dict[str, Any]]:
    """A label's largest gap in every measure that two groups have."""
    for measure in MEASURES:
        groups = {name: own[c].found[measure] for name, own in cells.items() if measure in own[c].found}
        gap = largest_gap(groups, case.rules.level, case.rules.with_p)
        if gap:
            yield {"code": case.codes[c], "measure": measure, **_gap_row(gap)}


def _gap_row(gap: Gap) -> dict[str, Any]:
    return {
        "best": gap.best,
        "worst": gap.worst,
        "gap": gap.gap,
        "interval": list(gap.interval),
        "pair_interval": list(gap.pair_interval),
        "groups": gap.groups,
        "p": gap.p,
    }


def _correct(rows: Sequence[dict[str, Any] | None]) -> None:
    """Adds `p_holm` and `tests`: Holm's correction over all these gaps."""
    gaps = [row for row in rows if row is not None and row["p"] is not None]
    for row, p in zip(gaps, holm([row["p"] for row in gaps]), strict=True):
        row |= {"p_holm": float(p), "tests": len(gaps)}
