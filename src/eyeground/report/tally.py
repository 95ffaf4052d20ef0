"""A cohort in numbers: ages, labels, how they go together, one eye or both, and which photographs are there.

Everything is counted over visits and over the eyes they list; where every patient came once, visits are patients and
`unit` says so. Unknown states are counted as unknown, never as absent.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeground.records import Cohort, State, Visit, label_arrays

BAND = 5
"""Years per bar of the age histogram."""
SEXES = {"F": "F", "M": "M", None: "unknown"}


def tally(cohort: Cohort) -> dict[str, Any]:
    """Counts a cohort. JSON-able, without ids; undefined is None.

    Returns:
        `unit` ("patients" or "visits"), `n`, `patients`, then `sex`, `age`, `images`, `labels`, `labels_per_visit`,
        `cooccurrence`, `eyes` and `flags`.
    """
    visits = cohort.visits
    patients = len({visit.patient for visit in visits})
    values, known = label_arrays([visit.labels for visit in visits], len(cohort.vocabulary))
    present = (values == 1) & known
    return {
        "layout": cohort.layout,
        "vocabulary": cohort.vocabulary.name,
        "unit": "patients" if patients == len(visits) else "visits",
        "n": len(visits),
        "patients": patients,
        "sex": {SEXES[sex]: sum(visit.sex == sex for visit in visits) for sex in SEXES},
        "age": _ages(visits),
        "images": _images(cohort, present),
        "labels": _labels(cohort, present, known),
        "labels_per_visit": _per_visit(present, known),
        "cooccurrence": _together(cohort, present, known),
        "eyes": [_sides(cohort, c) for c in range(len(cohort.vocabulary))],
        "flags": _flags(cohort),
    }


def _ages(visits: tuple[Visit, ...]) -> dict[str, Any]:
    """Bands of `BAND` years from the youngest to the oldest, and quartiles; F, M and sex unknown apart."""
    ages = {name: [v.age for v in visits if v.sex == sex and v.age is not None] for sex, name in SEXES.items()}
    everyone = [age for group in ages.values() for age in group]
    bands = []
    if everyone:
        first, last = int(min(everyone) // BAND), int(max(everyone) // BAND)
        for band in range(first, last + 1):
            counts = {name: sum(band == age // BAND for age in group) for name, group in ages.items()}
            bands.append({"from": band * BAND, "below": (band + 1) * BAND, **counts})
    spread = {name: _spread(group) for name, group in {"all": everyone, **ages}.items()}
    return {"n": len(everyone), "unknown": len(visits) - len(everyone), "spread": spread, "bands": bands}


def _spread(ages: list[float]) -> dict[str, float | int | None]:
    if not ages:
        return {"n": 0, "median": None, "q1": None, "q3": None, "min": None, "max": None}
    q1, median, q3 = (float(value) for value in np.quantile(ages, [0.25, 0.5, 0.75]))
    return {"n": len(ages), "median": median, "q1": q1, "q3": q3, "min": float(min(ages)), "max": float(max(ages))}


def _images(cohort: Cohort, present: NDArray[np.bool_]) -> dict[str, Any]:
    """Which photographs are on disk, of all visits and of those with each label."""
    kinds = ("neither", "left_only", "right_only", "both")  # left counts 1, right 2
    kind = np.array([visit.seen[0] + 2 * visit.seen[1] for visit in cohort.visits], dtype=int)

    def counts(chosen: NDArray[np.int_]) -> dict[str, int]:
        return {name: int((chosen == i).sum()) for i, name in enumerate(kinds)}

    per_label = [{"code": code, **counts(kind[present[:, c]])} for c, code in enumerate(cohort.vocabulary.codes)]
    eyes = [eye for visit in cohort.visits for eye in visit.listed()]
    there = sum(eye.path is not None for eye in eyes)
    return {"listed": len(eyes), "present": there, "visits": counts(kind), "per_label": per_label}


def _labels(cohort: Cohort, present: NDArray[np.bool_], known: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Per label: visits and eyes that have it, of how many it is known, and visits that have nothing else."""
    eyes = [eye.labels for visit in cohort.visits for eye in visit.listed()]
    eye_values, eye_known = label_arrays(eyes, len(cohort.vocabulary))
    alone: NDArray[np.bool_] = known.all(axis=1) & (present.sum(axis=1) == 1)
    sole = present & alone[:, None]
    return [
        {
            "code": label.code,
            "name": label.name,
            "visits": int(present[:, c].sum()),
            "visits_known": int(known[:, c].sum()),
            "visits_sole": int(sole[:, c].sum()),
            "eyes": int(eye_values[:, c].sum()),
            "eyes_known": int(eye_known[:, c].sum()),
        }
        for c, label in enumerate(cohort.vocabulary.labels)
    ]


def _per_visit(present: NDArray[np.bool_], known: NDArray[np.bool_]) -> dict[str, Any]:
    """How many visits have 0, 1, 2, ... labels; those with an unknown label are counted apart."""
    complete = known.all(axis=1)
    numbers = present.sum(axis=1)[complete]
    highest = int(numbers.max()) if len(numbers) else 0
    counts = [{"labels": k, "visits": int((numbers == k).sum())} for k in range(highest + 1)]
    return {"counts": counts, "unknown": int((~complete).sum())}


def _together(cohort: Cohort, present: NDArray[np.bool_], known: NDArray[np.bool_]) -> dict[str, Any]:
    """How many visits have both labels, and the share of the row's visits that also have the column's label.

    The share is over visits in which the column's label is known; None where there is none.
    """
    both = present.T.astype(int) @ present.astype(int)
    judged = present.T.astype(int) @ known.astype(int)
    share = [[both[r, c] / judged[r, c] if judged[r, c] else None for c in range(len(both))] for r in range(len(both))]
    return {"codes": list(cohort.vocabulary.codes), "visits": both.tolist(), "share_of_row": share}


def _sides(cohort: Cohort, c: int) -> dict[str, Any]:
    """Of the visits with a label in some eye: left eye only, right eye only, both, or the fellow eye unknown."""
    count: Counter[str] = Counter()
    for visit in cohort.visits:
        left, right = (_state(visit, side, c) for side in (0, 1))
        if left == right == 1:
            count["both"] += 1
        elif left == 1 or right == 1:
            fellow = right if left == 1 else left
            count["fellow_unknown" if fellow is None else "left_only" if left == 1 else "right_only"] += 1
    names = ("left_only", "right_only", "both", "fellow_unknown")
    return {"code": cohort.vocabulary.codes[c], **{name: count[name] for name in names}}


def _state(visit: Visit, side: int, c: int) -> State:
    eye = visit.eyes[side]
    return None if eye is None else eye.labels[c]


def _flags(cohort: Cohort) -> list[dict[str, Any]]:
    """How often each flag occurs on the cohort, its visits and their eyes, most frequent first."""
    flags = list(cohort.flags)
    for visit in cohort.visits:
        flags += [*visit.flags, *(flag for eye in visit.listed() for flag in eye.flags)]
    count = Counter(flag.code for flag in flags)
    return [{"code": code, "count": number} for code, number in sorted(count.items(), key=lambda x: (-x[1], x[0]))]
