"""Grades said cumulatively: labels such as "grade at least 2", each of which implies those before it.

Frank & Hall, "A Simple Approach to Ordinal Classification", ECML 2001. Quadratic-weighted kappa of the grade is the
score of Kaggle's two competitions on diabetic retinopathy; see `agreement.kappa`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.agreement import confusion, kappa

RETINOPATHY = ("any_dr", "referable_dr", "severe_dr", "proliferative_dr")
"""The endpoints that say a retinopathy grade from 0 to 4, lowest first."""


def grade_of(holds: ArrayLike) -> NDArray[np.int64]:
    """The grade (n,) that cumulative labels (n, K) say: how many hold from the bottom up, before the first that fails.

    Labels that contradict each other, such as "at least 3" without "at least 2", count up to the gap.
    """
    calls = np.asarray(holds, bool)
    if calls.ndim != 2:
        raise ValueError(f"cumulative labels have shape (n, K), not {calls.shape}")
    return np.asarray(np.cumprod(calls.astype(np.int64), axis=1).sum(axis=1), np.int64)


def grade_agreement(truth: ArrayLike, called: ArrayLike) -> dict[str, Any]:
    """How well called grades agree with the true ones.

    Args:
        truth, called: cumulative labels (n, K), lowest first.

    Returns:
        JSON-able: `n`, `confusion` (K + 1, K + 1) with the truth in rows, `accuracy`, `kappa_quadratic` and
        `contradictory` (calls with a gap); None where undefined.
    """
    calls = np.asarray(called, bool)
    true, said = grade_of(truth), grade_of(calls)
    if true.shape != said.shape:
        raise ValueError(f"truth has {len(true)} rows, called {len(said)}")
    table = confusion(true, said, calls.shape[1] + 1)
    agreed = kappa(table, "quadratic")
    return {
        "n": len(true),
        "confusion": table.tolist(),
        "accuracy": float(np.trace(table) / len(true)) if len(true) else None,
        "kappa_quadratic": None if math.isnan(agreed) else agreed,
        "contradictory": int((calls.sum(axis=1) != said).sum()),
    }
