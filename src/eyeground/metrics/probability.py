"""Whether probabilities mean what they say: Brier score, log loss, and shares found against shares foretold.

Brier, Monthly Weather Review 78, 1950; Naeini, Cooper & Hauskrecht, AAAI 2015 (expected calibration error); Nguyen &
O'Connor, EMNLP 2015 (bins of equal mass, which leave no bin nearly empty).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.ranking import as_binary

Array = NDArray[np.float64]
BINS = 10
"""Bins of the calibration error."""


@dataclass(frozen=True)
class Bin:
    """Cases of neighbouring probability: the lowest, the highest and the mean one, and the share that is positive."""

    n: int
    low: float
    high: float
    mean: float
    share: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def brier(truth: ArrayLike, probability: ArrayLike) -> float:
    """Mean squared error of the probabilities: 0 is perfect, 0.25 what 0.5 everywhere scores; nan without cases.

    Args:
        truth: (n,), 0 or 1.
        probability: (n,) in [0, 1].

    Raises:
        ValueError: shapes differ, truth is not 0/1, or a probability is nan or outside [0, 1].
    """
    return _mean(cell_losses(*_checked(truth, probability))[0])


def log_loss(truth: ArrayLike, probability: ArrayLike) -> float:
    """Mean of -log of the probability given to what was true, in nats; inf where that was 0, nan without cases.

    Args and errors as in `brier`. Probabilities are not moved away from 0 and 1.
    """
    return _mean(cell_losses(*_checked(truth, probability))[1])


def cell_losses(positive: NDArray[np.bool_], probability: Array) -> tuple[Array, Array]:
    """Squared error and -log of the probability given to the truth, for every cell; the latter may be inf."""
    gap = np.where(positive, 1 - probability, probability)  # exact for probabilities of 0.5 and more
    with np.errstate(divide="ignore"):
        loss = np.where(positive, -np.log(probability), -np.log1p(-probability))
    return gap * gap, np.abs(loss)


def reliability(truth: ArrayLike, probability: ArrayLike, bins: int = BINS) -> list[Bin]:
    """Cases by rising probability, cut into bins of (about) equal mass; equal probabilities share a bin.

    Args:
        truth, probability: as in `brier`.
        bins: at most; fewer where probabilities are equal or cases are few.

    Raises:
        ValueError: as in `brier`, or fewer than one bin.
    """
    positive, values = _checked(truth, probability)
    if bins < 1:
        raise ValueError(f"{bins} bins hold nothing: ask for one at least")
    if not len(values):
        return []
    group = np.unique(values, return_inverse=True)[1]
    size = np.bincount(group)
    middle = np.cumsum(size) - size / 2  # a group of equal probabilities goes where its middle case goes
    which = (bins * middle / len(values)).astype(int)[group]
    found = []
    for one in np.unique(which):
        mine = values[which == one]
        share = float(positive[which == one].mean())
        found.append(Bin(len(mine), float(mine.min()), float(mine.max()), float(mine.mean()), share))
    return found


def calibration_error(bins: list[Bin]) -> float:
    """Expected calibration error: the mean over cases of |share - mean| of their bin; nan without cases.

    It is above 0 also for perfect probabilities, as shares vary by chance, the more so the fewer cases a bin has.
    """
    n = sum(one.n for one in bins)
    return sum(one.n * abs(one.share - one.mean) for one in bins) / n if n else float("nan")


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _checked(truth: ArrayLike, probability: ArrayLike) -> tuple[NDArray[np.bool_], Array]:
    positive, values = as_binary(truth), np.asarray(probability, np.float64)
    if values.shape != positive.shape:
        raise ValueError(f"truth has shape {positive.shape}, probability {values.shape}")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("a probability is nan or outside [0, 1]")
    return positive, values
