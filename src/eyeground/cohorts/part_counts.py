"""Who is in a part of the data: numbers for a model card, without an id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from eyeground.records import Visit
from eyeground.vocabulary import Vocabulary


def part_counts(visits: Sequence[Visit], vocabulary: Vocabulary) -> dict[str, Any]:
    """Counts visits, patients, sex, age and labels.

    Args:
        visits: of one part, with the labels that were used.
        vocabulary: C labels, those of the visits.

    Returns:
        JSON-able: `visits`, `patients`; `sex` {F, M, unknown}; `age` {known, unknown, q1, median, q3}, years, quartiles
        by linear interpolation and None where no age is known; `labels`: per label `code`, `present`, `absent` and
        `unknown` visits. All but `patients` count visits.
    """
    ages = [visit.age for visit in visits if visit.age is not None]
    q1, median, q3 = (float(value) for value in np.quantile(ages, [0.25, 0.5, 0.75])) if ages else (None, None, None)
    rows = []
    for c, code in enumerate(vocabulary.codes):
        states = [visit.labels[c] for visit in visits]
        counts = {"present": states.count(1), "absent": states.count(0), "unknown": states.count(None)}
        rows.append({"code": code, **counts})
    sexes = [visit.sex for visit in visits]
    return {
        "visits": len(visits),
        "patients": len({visit.patient for visit in visits}),
        "sex": {"F": sexes.count("F"), "M": sexes.count("M"), "unknown": sexes.count(None)},
        "age": {"known": len(ages), "unknown": len(visits) - len(ages), "q1": q1, "median": median, "q3": q3},
        "labels": rows,
    }
