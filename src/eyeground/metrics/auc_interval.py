"""An interval for the AUC that covers what it says with ten positives, or one; and for the difference of two AUCs.

DeLong's interval (also on the logit scale) trusts a variance estimated from the positives at hand. With few of them,
or an AUC near 1, that estimate is too small exactly when the AUC is too high, so the interval misses. Newcombe's
(Statistics in Medicine 25, 2006, method 5) solves for the AUCs that could have given the observed one, with the
variance that exponential scores have (Hanley & McNeil, Radiology 143, 1982); it covers with few positives, but stays
wrong with many when scores are spread otherwise. `score` is Newcombe's equation with that variance corrected by the one
observed, as far as there are patients to observe it on:

    (observed - AUC)^2 = t^2 * factor * v(AUC)
    v(AUC) = AUC (1 - AUC) ((1 - AUC) / (2 - AUC) + AUC / (1 + AUC)) / 2     the mean over the two classes
    factor = sum over both classes of  ratio * (1 + eyes) / 2 / rows,  and what patients with rows of both classes add
    ratio  = (PRIOR + w * observed variance / model's) / (PRIOR + w)         w = 4 AUC (1 - AUC) (patients - 1)

`eyes` is how many rows of its class the patient of an average row has: the model's rows of a patient are half
dependent. t has the degrees of freedom of Welch and Satterthwaite, with PRIOR + w for each class. The correction and
its constant were chosen by simulation (docs/intervals.md); they are this project's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.delong import Areas, areas, people_of
from eyeground.metrics.quantiles import student_quantile
from eyeground.metrics.ranking import as_binary

PRIOR = 4.0
"""How many patients' worth the model's variance counts."""

METHODS = ("score", "delong", "logit", "logit-t", "newcombe")


def auc_interval(
    truth: ArrayLike,
    score: ArrayLike,
    patients: ArrayLike | None = None,
    level: float = 0.95,
    method: str = "score",
) -> list[float] | None:
    """An interval for the AUC of one system.

    Args:
        truth: (n,), 0 or 1.
        score: (n,), any real numbers; only their order matters.
        patients: (n,) who each row belongs to; None means that every row is a patient of their own.
        method: "score" (the module's), "delong" (symmetric, cut at 0 and 1), "logit" (DeLong's on the logit scale,
            Pepe 2003), "logit-t" (that with Student's t), "newcombe" (method 5 of 2006; knows nothing of patients).

    Returns:
        `[low, high]`. None without a positive or a negative, and, but for "score" and "newcombe", when a class has a
        single patient or the AUC is 0 or 1: those methods have nothing to say there.

    Raises:
        ValueError: shapes differ, truth is not 0/1, a score is nan, level outside (0, 1), or no such method.
    """
    _checked(level, method)
    is_positive = as_binary(truth)
    if np.isnan(np.asarray(score, np.float64)).any():
        raise ValueError("a score is nan: it has no rank")
    if is_positive.all() or not is_positive.any():
        return None
    where = people_of(patients, len(is_positive))
    eyes = eyes_of(where[is_positive]), eyes_of(where[~is_positive])
    return bounds(areas(is_positive, score, where), 0, eyes, level, method)


def bounds(
    found: Areas, system: int, eyes: tuple[float, float], level: float = 0.95, method: str = "score"
) -> list[float] | None:
    """`auc_interval` from variances already computed.

    Args:
        found: of `delong.areas`.
        system: which of its systems.
        eyes: how many rows of its class the patient of an average positive and of an average negative row has.
    """
    _checked(level, method)
    auc, tail = float(found.auc[system]), (1 + level) / 2
    if method == "newcombe":
        half = (found.n_pos + found.n_neg) / 2 - 1
        return _solve(auc, NormalDist().inv_cdf(tail) ** 2, lambda x: _newcombe(x, half) / (found.n_pos * found.n_neg))
    if method == "score":
        factor, degrees = _corrected(found, system, eyes)
        return _solve(auc, student_quantile(tail, degrees) ** 2 * factor, _model)
    variance = float(found.covariance[system, system])
    if not variance > 0 or not 0 < auc < 1:
        return None
    if method == "delong":
        reach = NormalDist().inv_cdf(tail) * math.sqrt(variance)
        return [max(auc - reach, 0.0), min(auc + reach, 1.0)]
    times = NormalDist().inv_cdf(tail)
    if method == "logit-t":
        shares = (
            (float(found.positive[system]), found.patients_pos),
            (float(found.negative[system]), found.patients_neg),
        )
        times = student_quantile(tail, _satterthwaite([(share, count - 1) for share, count in shares]))
    return on_logit_scale(auc, times * math.sqrt(variance))


def difference_interval(
    truth: ArrayLike, scores: ArrayLike, patients: ArrayLike | None = None, level: float = 0.95
) -> list[float] | None:
    """An interval for the AUC of the first of two systems on the same rows less that of the second.

    DeLong's variance of the difference with Student's t, degrees of freedom by Welch and Satterthwaite from the
    patients of each class. Two systems that rank alike have [0, 0].

    Args:
        truth: (n,), 0 or 1.
        scores: (2, n).
        patients: as in `auc_interval`.

    Returns:
        None when a class has fewer than two patients.

    Raises:
        ValueError: as in `auc_interval`, or there are not two systems.
    """
    _checked(level, "score")
    table, is_positive = np.asarray(scores, np.float64), as_binary(truth)
    if table.shape != (2, len(is_positive)):
        raise ValueError(f"scores have shape {table.shape}, not (2, {len(is_positive)})")
    if is_positive.all() or not is_positive.any():
        return None
    found = areas(is_positive, table, patients)
    gap, error, _ = found.difference(0, 1)
    counts = found.patients_pos - 1, found.patients_neg - 1
    if min(counts) < 1:
        return None
    shares = [(float(part.sum()), count) for part, count in zip((found.positive, found.negative), counts, strict=True)]
    reach = error * student_quantile((1 + level) / 2, _satterthwaite(shares)) if error > 0 else 0.0
    return [max(gap - reach, -1.0), min(gap + reach, 1.0)]


def on_logit_scale(value: float, reach: float) -> list[float]:
    """`value` within (0, 1), give or take `reach` as the slope of the logit turns it: [low, high] within (0, 1)."""
    middle, step = math.log(value / (1 - value)), reach / (value * (1 - value))
    return [1 / (1 + math.exp(min(-(middle + sign * step), 700.0))) for sign in (-1, 1)]


def _checked(level: float, method: str) -> None:
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not at {level}")
    if method not in METHODS:
        raise ValueError(f"no interval is called '{method}': there are {', '.join(METHODS)}")


def eyes_of(patients: NDArray[np.int64]) -> float:
    """How many of these rows the patient of an average one has; `patients` (n,) are whole numbers from 0."""
    counts = np.bincount(patients)
    return float((counts**2).sum() / counts.sum())


def _model(auc: float) -> float:
    """Variance of a placement in a class, the mean over both, for exponential scores."""
    return auc * (1 - auc) * ((1 - auc) / (2 - auc) + auc / (1 + auc)) / 2


def _newcombe(auc: float, half: float) -> float:
    return auc * (1 - auc) * (1 + half * ((1 - auc) / (2 - auc) + auc / (1 + auc)))


def _corrected(found: Areas, system: int, eyes: tuple[float, float]) -> tuple[float, float]:
    """The `factor` of the module's equation, and the degrees of freedom of its t."""
    few = min(found.n_pos, found.n_neg)
    middle = (few * float(found.auc[system]) + 0.5) / (few + 1)  # an AUC of 1 is never quite believed
    model, parts = _model(middle), []
    classes = (
        (found.positive[system], found.n_pos, found.patients_pos, eyes[0]),
        (found.negative[system], found.n_neg, found.patients_neg, eyes[1]),
    )
    for observed, rows, patients, own in classes:
        expected = (1 + own) / 2 / rows
        weight = 4 * middle * (1 - middle) * (patients - 1)
        ratio = float(observed) / (model * expected) if patients > 1 else 0.0
        parts.append((expected * (PRIOR + weight * ratio) / (PRIOR + weight), PRIOR + weight))
    total = sum(share for share, _ in parts)
    both = float(found.covariance[system, system] - found.positive[system] - found.negative[system])
    factor = max(total + (0.0 if math.isnan(both) else both / model), total / 4)
    return factor, _satterthwaite(parts)


def _satterthwaite(parts: Sequence[tuple[float, float]]) -> float:
    """Degrees of freedom of a sum of variances: `parts` are (variance, its degrees of freedom). At least 1."""
    below = sum(share**2 / degrees for share, degrees in parts if degrees > 0)
    return max(sum(share for share, _ in parts) ** 2 / below, 1.0) if below > 0 else 1.0


def _solve(auc: float, times: float, variance: Callable[[float], float]) -> list[float]:
    """The AUCs on either side that are as far from the observed one as `times` the variance there allows."""
    found = []
    for far in (0.0, 1.0):
        near = auc
        for _ in range(60):
            middle = (near + far) / 2
            if (auc - middle) ** 2 > times * variance(middle):
                far = middle
            else:
                near = middle
        found.append(far)
    return found
