"""One label's way from logit to probability: a line through the sigmoid, or steps. Both keep the order of the logits.

Platt, "Probabilistic outputs for support vector machines", 1999 (the line); Zadrozny & Elkan, KDD 2002 (isotonic
regression); Ayer et al., Ann. Math. Stat. 26, 1955 (pooling adjacent violators).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

LOWEST, HIGHEST = 0.05, 20.0
"""A fitted temperature (1 / slope) stays within these; separable or useless logits would send it to 0 or infinity."""


@dataclass(frozen=True)
class Line:
    """sigmoid(slope * logit + offset), slope above 0; temperature T is slope 1 / T. `reason`: why it is shared."""

    slope: float = 1.0
    offset: float = 0.0
    reason: str = ""

    def __post_init__(self) -> None:
        if not (0 < self.slope < np.inf and np.isfinite(self.offset)):
            raise ValueError(f"slope {self.slope} and offset {self.offset} are no calibration that keeps the order")

    def apply(self, logits: ArrayLike) -> Array:
        """Probability of each logit, same shape; nan stays nan."""
        return sigmoid(self.slope * np.asarray(logits, np.float64) + self.offset)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "line", **asdict(self)}


@dataclass(frozen=True)
class Steps:
    """Linear between knots, constant beyond them: `value` (k,) never falls, `at` (k,) logits rise."""

    at: tuple[float, ...]
    value: tuple[float, ...]

    def __post_init__(self) -> None:
        at, value = np.array(self.at), np.array(self.value)
        rising = len(at) == len(value) > 0 and bool((np.diff(at) > 0).all() and (np.diff(value) >= 0).all())
        if not rising or not np.isfinite(at).all() or value[0] < 0 or value[-1] > 1:
            raise ValueError("the knots of an isotonic calibration must rise, with probabilities between 0 and 1")

    def apply(self, logits: ArrayLike) -> Array:
        """Probability of each logit, same shape; nan stays nan."""
        z, at, value = np.asarray(logits, np.float64), np.array(self.at), np.array(self.value)
        right = np.searchsorted(at, z, side="right")  # rounding must not carry a value over its neighbouring knots
        low, high = value[np.maximum(right - 1, 0)], value[np.minimum(right, len(at) - 1)]
        return np.clip(np.interp(z, at, value), low, high)

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "steps", "at": list(self.at), "value": list(self.value)}


Curve = Line | Steps


def curve_from_dict(data: Mapping[str, Any]) -> Curve:
    """The inverse of `to_dict`. Raises `ValueError` for another kind, or numbers that would not keep the order."""
    kinds = {"line": Line, "steps": Steps}
    data = {key: value for key, value in data.items() if key != "code"}  # the label's, for people
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    kind = values.pop("kind", None)
    if kind not in kinds:
        raise ValueError(f"no calibration curve of kind '{kind}' (there are {', '.join(kinds)})")
    try:
        curve: Curve = kinds[kind](**values)
    except TypeError as error:
        raise ValueError(f"a calibration curve has other fields than it should: {error}") from error
    return curve


def fit_scale(logits: Array, truth: Array) -> float:
    """The temperature with the smallest log loss; convex in 1 / temperature, so its derivative is bisected.

    Args:
        logits, truth: (n,), finite; 0 or 1.
    """

    def slope(scale: float) -> float:  # d log loss / d scale, scale = 1 / temperature; never decreases
        return float((logits * (sigmoid(scale * logits) - truth)).mean())

    low, high = 1 / HIGHEST, 1 / LOWEST
    if slope(1.0) == 0:
        low = high = 1.0
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return (low * high) ** -0.5


def fit_line(logits: Array, truth: Array) -> Line:
    """Platt's line by maximum likelihood (Newton's method), without Platt's prior on the targets.

    The slope stays within 1 / HIGHEST and 1 / LOWEST; at a bound the offset is fitted alone.

    Args:
        logits, truth: (n,), finite; 0 or 1, both there.
    """
    slope, offset, loss = 1.0, 0.0, log_loss(logits, truth)
    for _ in range(100):
        p = sigmoid(slope * logits + offset)
        rest, weight = p - truth, p * (1 - p)
        gradient = np.array([(logits * rest).mean(), rest.mean()])
        cross = (logits * weight).mean()
        curvature = np.array([[(logits**2 * weight).mean(), cross], [cross, weight.mean()]]) + 1e-12 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        for halved in range(40):
            trial = (slope - step[0] / 2**halved, offset - step[1] / 2**halved)
            found = log_loss(trial[0] * logits + trial[1], truth)
            if found < loss:
                break
        else:  # nothing is better any more
            break
        (slope, offset), loss = trial, found
    bounded = float(np.clip(slope, 1 / HIGHEST, 1 / LOWEST))
    return Line(bounded, float(offset) if bounded == slope else _offset(bounded * logits, truth))


def _offset(logits: Array, truth: Array) -> float:
    """The offset at which as many positives are foretold as there are; bisected, as the sum rises with the offset."""
    reach = float(np.abs(logits).max()) + 40
    low, high = -reach, reach
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if sigmoid(logits + middle).mean() > truth.mean() else (middle, high)
    return (low + high) / 2


def fit_steps(logits: Array, truth: Array) -> Steps:
    """Isotonic regression. Probabilities stay 1 / (n + 2) away from 0 and 1, which no finite sample can prove.

    Args:
        logits, truth: (n,), finite; 0 or 1.
    """
    levels, group = np.unique(logits, return_inverse=True)
    weight = np.bincount(group).astype(np.float64)
    pooled = pool(np.bincount(group, truth) / weight, weight)
    edge = 1 / (len(logits) + 2)
    value = np.clip(pooled, edge, 1 - edge)
    ends = np.ones(len(value), bool)  # inside a level stretch a knot says nothing
    ends[1:-1] = (value[1:-1] != value[:-2]) | (value[1:-1] != value[2:])
    return Steps(tuple(levels[ends].tolist()), tuple(value[ends].tolist()))


def pool(value: ArrayLike, weight: ArrayLike) -> Array:
    """The never falling sequence nearest to `value` in weighted squares: violators are pooled into their mean."""
    means: list[float] = []
    masses: list[float] = []
    sizes: list[int] = []
    for mean, mass in zip(np.asarray(value, np.float64).tolist(), np.asarray(weight, np.float64).tolist(), strict=True):
        size = 1
        while means and means[-1] >= mean:
            other = masses.pop()
            mean = (means.pop() * other + mean * mass) / (other + mass)
            mass, size = mass + other, size + sizes.pop()
        means.append(mean)
        masses.append(mass)
        sizes.append(size)
    return np.repeat(np.array(means, np.float64), sizes)


def log_loss(logits: ArrayLike, truth: ArrayLike) -> float:
    """Mean binary cross-entropy in nats, from logits, without overflow."""
    z, y = np.asarray(logits, np.float64), np.asarray(truth, np.float64)
    return float((np.logaddexp(0, z) - y * z).mean())


def sigmoid(logits: ArrayLike) -> Array:
    """1 / (1 + exp(-z)) without overflow at either end."""
    z = np.asarray(logits, dtype=np.float64)
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, small) / (1 + small)
