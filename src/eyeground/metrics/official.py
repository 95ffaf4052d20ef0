"""The ODIR-2019 challenge's own numbers, and what they hide.

The challenge flattens the (n, 8) matrices to one vector of cells. Its "F1" is micro-averaged over both classes of
those cells and so equals cell accuracy; its AUC pools all labels and so rewards knowing which label is common.
Source: the challenge's evaluation script (Shanggong Medical Technology, July 2019).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from eyeground.metrics.counts import count
from eyeground.metrics.ranking import auc

HALF = 0.5
"""The challenge's threshold; a probability of exactly 0.5 counts as absent."""


@dataclass(frozen=True)
class Official:
    """`f1` is the challenge's name for cell accuracy; `final` is the mean of the other three. Undefined is nan."""

    kappa: float
    f1: float
    auc: float
    final: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def official(truth: ArrayLike, probability: ArrayLike) -> Official:
    """Scores like the challenge: pooled cells, strictly > 0.5.

    Args:
        truth: (n, C), every cell 0 or 1.
        probability: (n, C) in [0, 1].

    Raises:
        ValueError: shapes differ, a truth cell is not 0/1 or a probability is not a number.
    """
    cells, scores = np.asarray(truth), np.asarray(probability, dtype=np.float64)
    if cells.shape != scores.shape:
        raise ValueError(f"truth has shape {cells.shape}, probability {scores.shape}")
    counts = count(cells.ravel(), scores.ravel(), HALF)
    pooled = auc(cells.ravel(), scores.ravel())
    return Official(counts.kappa, counts.accuracy, pooled, (counts.kappa + counts.accuracy + pooled) / 3)


def positive_f1(accuracy: float, kappa: float, prevalence: float) -> float:
    """The F1 of the positive class behind a published pair of cell accuracy (the challenge's "F1") and kappa.

    Args:
        accuracy: share of cells called right.
        kappa: unweighted Cohen's kappa of the same cells.
        prevalence: share of cells that are truly positive (0.147 in the ODIR-5K training labels).

    Returns:
        2 TP / (actual + predicted positives); nan where the pair does not determine it (prevalence 0.5, kappa 1).
    """
    if kappa == 1.0 or prevalence == 0.5:
        return float("nan")
    chance = 1 - (1 - accuracy) / (1 - kappa)
    predicted = (chance - (1 - prevalence)) / (2 * prevalence - 1)
    hits = (accuracy - 1 + prevalence + predicted) / 2
    total = prevalence + predicted
    return 2 * hits / total if total > 0 else float("nan")
