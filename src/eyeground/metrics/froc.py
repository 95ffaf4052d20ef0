"""The free-response ROC: part of the lesions found against false candidates per image (FPI), over all thresholds.

Bunch, Hamilton, Sanderson & Simmons, "A free response approach to the measurement and characterization of radiographic
observer performance", 1977; CAMELYON16 (Ehteshami Bejnordi et al., JAMA 318, 2017) for sensitivities at stated FPI.
The area is that under the curve for FPI in [0, 10], divided by 10, as Quellec et al. (Medical Image Analysis 39, 2017)
report it for lesions. A curve that ends before the limit goes on flat, because its system has nothing more to say.

Between its points the curve is a staircase ("step": at x FPI, what is reached with at most x), or runs straight to the
next point ("linear", CAMELYON16 and MONAI: a system between two thresholds), which is never lower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.map_grid import Bools, Floats

FPI = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0)
"""False positives per image at which sensitivities are read."""
LIMIT = 10.0
"""Where the area ends."""
Between = Literal["step", "linear"]


@dataclass(frozen=True)
class Scored:
    """One photograph, one lesion type.

    `lesions` (n,): the score at which each lesion is found, -inf for never. `false` (f,): scores of false candidates.
    """

    lesions: Floats
    false: Floats


@dataclass(frozen=True)
class Counts:
    """What each photograph contributes at falling thresholds: all that a curve and its resamples need.

    Attributes:
        thresholds: (K,) falling.
        hits, false: (images, K) lesions found, and false candidates, at or above each threshold.
        lesions: (images,) how many there are to find.
        over: (images,) bool, the photographs whose false candidates count and over which FPI is taken.
    """

    thresholds: Floats
    hits: NDArray[np.int64]
    false: NDArray[np.int64]
    lesions: NDArray[np.int64]
    over: Bools


@dataclass(frozen=True)
class Curve:
    """The FROC curve from its beginning at (0, 0): `thresholds` (inf first), `fpi` and `sensitivity`, never falling.

    `sensitivity` is nan without a lesion, `fpi` without a photograph to take it over.
    """

    thresholds: Floats
    fpi: Floats
    sensitivity: Floats
    n_lesions: int
    n_images: int


@dataclass(frozen=True)
class Numbers:
    """Per draw: `sensitivity` (draws, stated FPIs), `area` (draws,), and `total` (draws,), the part found at all."""

    sensitivity: Floats
    area: Floats
    total: Floats


def count(scored: Sequence[Scored], over: ArrayLike | None = None, every: bool = False) -> Counts:
    """Per-photograph counts at each distinct score.

    Args:
        over: (images,) bool as in `Counts`; None is all.
        every: at the scores of false candidates too. Without them only the points at which a lesion is found remain:
            the staircase is the same, and much shorter.
    """
    found = [one.lesions[np.isfinite(one.lesions)] for one in scored]
    parts = [*found, *(one.false for one in scored)] if every else found
    thresholds = np.unique(np.concatenate(parts))[::-1] if parts else np.empty(0)
    counted = np.ones(len(scored), bool) if over is None else np.asarray(over, bool)
    hits = np.array([_reaching(one, thresholds) for one in found]).reshape(len(scored), -1)
    false = np.array([_reaching(one.false, thresholds) for one in scored]).reshape(len(scored), -1)
    lesions = np.array([len(one.lesions) for one in scored], np.int64)
    return Counts(thresholds, hits, np.where(counted[:, None], false, 0), lesions, counted)


def curve(counts: Counts) -> Curve:
    """The curve over all photographs.

    Components are fewer at a low threshold than at a higher one, because they grow together: FPI falls again.
    There the curve keeps the most false positives and the best sensitivity on the way down from the highest
    threshold, so that nothing is won by flooding the picture.
    """
    ones = np.ones((1, len(counts.lesions)))
    fpi, sensitivity = _points(counts, ones)
    n_lesions, n_images = int(counts.lesions.sum()), int(counts.over.sum())
    return Curve(
        np.concatenate([[np.inf], counts.thresholds]),
        np.concatenate([[0.0 if n_images else np.nan], fpi[0]]),
        np.concatenate([[0.0 if n_lesions else np.nan], sensitivity[0]]),
        n_lesions,
        n_images,
    )


def sensitivity_at(found: Curve, fpi: ArrayLike, between: Between = "step") -> Floats:
    """Sensitivity at stated false positives per image; nan without a lesion or a photograph to take FPI over."""
    wanted = np.asarray(fpi, np.float64)
    if not found.n_lesions or not found.n_images:
        return np.full(wanted.shape, np.nan)
    if between == "linear":
        return np.asarray(np.interp(wanted, found.fpi, found.sensitivity))
    return found.sensitivity[np.searchsorted(found.fpi, wanted, "right") - 1]


def area(found: Curve, limit: float = LIMIT, between: Between = "step") -> float:
    """Area under the curve for FPI in [0, limit], divided by the limit; nan as in `sensitivity_at`."""
    if not found.n_lesions or not found.n_images:
        return float("nan")
    rise = np.diff(found.sensitivity)
    if between == "step":
        return float((rise * np.maximum(0, limit - found.fpi[1:])).sum() / limit)
    inside = found.fpi <= limit
    end = float(sensitivity_at(found, limit, "linear"))
    x, y = np.append(found.fpi[inside], limit), np.append(found.sensitivity[inside], end)
    return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum() / limit)


def numbers(counts: Counts, weights: ArrayLike, fpi: Sequence[float] = FPI, limit: float = LIMIT) -> Numbers:
    """The staircase's numbers when each photograph counts as often as `weights` says.

    The area is a sum over the places where the staircase rises, of the rise times what is left to the limit.

    Args:
        weights: (draws, images), 0 or more.

    Returns:
        nan in draws without a lesion or without a photograph to take FPI over.
    """
    table = np.asarray(weights, np.float64)
    block = max(1, 2_000_000 // max(len(counts.thresholds), 1))
    parts = [_numbers(counts, table[k : k + block], fpi, limit) for k in range(0, len(table), block)]
    return Numbers(*(np.concatenate([getattr(one, key) for one in parts]) for key in ("sensitivity", "area", "total")))


def _numbers(counts: Counts, weights: Floats, fpi: Sequence[float], limit: float) -> Numbers:
    x, y = _points(counts, weights)
    draws = len(weights)
    bad = ~((weights @ counts.lesions > 0) & (weights @ counts.over > 0))
    rise = np.diff(y, axis=1, prepend=0.0)
    under = (rise * np.maximum(0, limit - x)).sum(axis=1) / limit
    reached = np.stack([np.where(x <= one, y, 0.0).max(axis=1, initial=0.0) for one in fpi], axis=1)
    total = y[:, -1].copy() if y.shape[1] else np.zeros(draws)
    under[bad], reached[bad], total[weights @ counts.lesions == 0] = np.nan, np.nan, np.nan
    return Numbers(reached, under, total)


def _points(counts: Counts, weights: Floats) -> tuple[Floats, Floats]:
    """FPI and sensitivity (draws, K), each never falling; nan where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        fpi = (weights @ counts.false) / (weights @ counts.over)[:, None]
        sensitivity = (weights @ counts.hits) / (weights @ counts.lesions)[:, None]
    return np.maximum.accumulate(fpi, axis=1), np.maximum.accumulate(sensitivity, axis=1)


def _reaching(values: NDArray[np.floating[Any]], thresholds: Floats) -> NDArray[np.int64]:
    """How many values are at or above each threshold."""
    ordered = np.sort(values)
    return (len(ordered) - np.searchsorted(ordered, thresholds, "left")).astype(np.int64)
