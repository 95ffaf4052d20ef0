"""A closer look than `judge`'s: calibration bins, operating points, groups of visits, refusing, exclusive classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics import abstain
from eyeground.metrics.counts import above
from eyeground.metrics.cumulative import RETINOPATHY, grade_agreement
from eyeground.metrics.exclusive import classify
from eyeground.metrics.groups import by_eyes, by_label_count
from eyeground.metrics.operating import Point, operate, why_not
from eyeground.metrics.operating_interval import operating_intervals
from eyeground.metrics.probability import reliability
from eyeground.metrics.resample import Plan
from eyeground.vocabulary import Vocabulary

POINTS = (Point("sensitivity", 0.9), Point("specificity", 0.9))


@dataclass(frozen=True)
class Look:
    """What to look at.

    Attributes:
        points: operating points told for every label.
        prevalence: where PPV and NPV are told too; None means only those of the cases at hand.
        patients: (n,) who each row belongs to; None means that every row is a patient of their own.
        draws: of patients, for the intervals of the operating points; 0 for none.
        eyes: labels (n, 2, C) of left and right eye and what of them is known; None where nobody knows them.
    """

    points: Sequence[Point] = POINTS
    prevalence: float | None = None
    patients: ArrayLike | None = None
    draws: int = 0
    eyes: tuple[ArrayLike, ArrayLike] | None = None


def details(
    truth: ArrayLike,
    known: ArrayLike,
    probability: ArrayLike,
    vocabulary: Vocabulary,
    thresholds: ArrayLike | None = None,
    look: Look | None = None,
) -> dict[str, Any]:
    """What docs/scoring.md calls the closer look; the first five arguments are those of `judge`.

    Returns:
        JSON-able: `reliability`, `operating`, `by_label_count`, `abstaining`; with eye labels `by_eyes`; for a
        vocabulary of exclusive classes or grades `exclusive`; with all four endpoints of the retinopathy grade `grade`,
        called at the thresholds (0.5 without).

    Raises:
        ValueError: as `judge`; a truth of exclusive classes that has not one class in each row.
    """
    look = look or Look()
    mask = np.asarray(known, bool)
    labels, scores = np.where(mask, np.asarray(truth, np.float64), 0.0), np.asarray(probability, np.float64)
    columns = [(labels[here, c], scores[here, c]) for c, here in enumerate(mask.T)]
    result: dict[str, Any] = {
        "reliability": [
            {"code": code, "bins": [one.to_dict() for one in reliability(*column)]}
            for code, column in zip(vocabulary.codes, columns, strict=True)
        ],
        "operating": [_operating(columns, vocabulary, point, look.prevalence) for point in look.points],
        "by_label_count": by_label_count(labels, mask, scores, vocabulary, thresholds, look.patients),
        "abstaining": abstain.curve(labels, mask, scores, thresholds).to_dict(),
    }
    if look.draws:
        operating_intervals(result["operating"], labels, mask, scores, look.points, look.patients, Plan(look.draws))
    if look.eyes is not None:
        result["by_eyes"] = by_eyes(labels, mask, scores, look.eyes, vocabulary, thresholds, look.patients)
    if vocabulary.kind != "multilabel":
        whole = mask.all(axis=1)
        ordered = vocabulary.kind == "grades"
        result["exclusive"] = classify(labels[whole], scores[whole]).to_dict(vocabulary.codes, ordered)
    if set(RETINOPATHY) <= set(vocabulary.codes):
        of = [vocabulary.index(code) for code in RETINOPATHY]
        cuts = np.full(len(vocabulary), 0.5) if thresholds is None else np.asarray(thresholds, np.float64)
        whole = mask[:, of].all(axis=1)
        result["grade"] = grade_agreement(labels[whole][:, of] > 0, above(scores, cuts)[whole][:, of])
    return result


def _operating(
    columns: list[tuple[NDArray[np.float64], NDArray[np.float64]]],
    vocabulary: Vocabulary,
    point: Point,
    prevalence: float | None,
) -> dict[str, Any]:
    """Every label at one point; `at` is None where the point is not to be had, and `undefined` says why."""
    rows = []
    for code, (truth, score) in zip(vocabulary.codes, columns, strict=True):
        found = operate(truth, score, point)
        row = {"code": code, "at": found.to_dict(prevalence) if found else None}
        rows.append(row if found else {**row, "undefined": why_not(truth, point)})
    return {"point": str(point), "prevalence": prevalence, "per_class": rows}
