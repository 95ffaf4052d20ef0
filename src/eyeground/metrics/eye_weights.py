"""Does a model that weighs the eyes give the affected eye more weight? Patients with exactly one affected eye tell.

The check of He et al., ISBI 2020 (AUBNet), there on 200 such patients; here on all that a part has, paired within the
visit, with an interval that draws patients.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.delong import people_of
from eyeground.metrics.resample import Plan, percentile, weights_of
from eyeground.vocabulary import Vocabulary

Ints = NDArray[np.int64]


def affected_eye(labels: ArrayLike, known: ArrayLike, vocabulary: Vocabulary) -> Ints:
    """The only affected eye of each visit: 0 left, 1 right, -1 where none, both or an unknown one may be.

    An eye is affected when a disease is known to be present in it, and not when all are known to be absent; labels that
    need all eyes (Normal) are no disease.

    Args:
        labels: (n, 2, C), 1 for present; known: bool (n, 2, C).
    """
    values, told = np.asarray(labels), np.asarray(known, bool)
    if values.ndim != 3 or values.shape != told.shape or values.shape[1:] != (2, len(vocabulary)):
        raise ValueError(f"eye labels have shape {values.shape}, known {told.shape}, not (n, 2, {len(vocabulary)})")
    diseases = np.array([label.visit == "any" for label in vocabulary.labels])
    present = ((values == 1) & told)[..., diseases].any(axis=2)  # (n, 2)
    absent = ((values == 0) & told)[..., diseases].all(axis=2)
    only = present & absent[:, ::-1]
    return np.where(only.any(axis=1), only.argmax(axis=1), -1).astype(np.int64)


def affected_against_fellow(
    weights: ArrayLike, affected: ArrayLike, patients: ArrayLike | None = None, plan: Plan | None = None
) -> dict[str, Any]:
    """The affected eye's weight against its fellow's, over visits with exactly one affected eye and both weights.

    Args:
        weights: (n, 2) of left and right eye, nan where there is none.
        affected: (n,) as `affected_eye` gives it.
        patients: (n,) who each visit belongs to; None: every visit is a patient of their own.
        plan: how the bootstrap draws patients.

    Returns:
        JSON-able: `n` visits of `patients`; the means `affected` and `fellow`, their `difference` and its 95 %
        `interval`; `larger`, the share of visits whose affected eye weighs more (a tie counts half). None: undefined.
    """
    values, eye = np.asarray(weights, np.float64), np.asarray(affected, np.int64)
    if values.shape != (len(eye), 2):
        raise ValueError(f"weights have shape {values.shape}, not ({len(eye)}, 2)")
    rows = np.flatnonzero((eye >= 0) & ~np.isnan(values).any(axis=1))
    where = people_of(None if patients is None else np.asarray(patients)[rows], len(rows))
    people = int(where.max(initial=-1)) + 1
    if not people:
        return dict.fromkeys(("affected", "fellow", "difference", "interval", "larger")) | {"n": 0, "patients": 0}
    ill, well = values[rows, eye[rows]], values[rows, 1 - eye[rows]]
    plan = plan or Plan()
    drawn = weights_of(people, plan, range(plan.draws)).astype(np.float64)
    sums, counts = np.bincount(where, ill - well), np.bincount(where)
    bounds = percentile(drawn @ sums / (drawn @ counts))
    return {
        "n": len(rows),
        "patients": people,
        "affected": float(ill.mean()),
        "fellow": float(well.mean()),
        "difference": float((ill - well).mean()),
        "interval": None if people < 2 or math.isnan(bounds.low) else [bounds.low, bounds.high],
        "larger": float(((ill > well) + (ill == well) / 2).mean()),
    }
