"""Sensitivity, specificity, predictive values and F1 at a stated operating point, and at a stated prevalence.

Points: a threshold, a sensitivity that is wanted, or a specificity that is wanted. A threshold that is found on the
cases on which its numbers are told is optimistic: it suits them better than others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from eyeground.metrics.counts import Counts, count
from eyeground.metrics.ranking import as_binary
from eyeground.metrics.thresholds import candidates

Kind = Literal["threshold", "sensitivity", "specificity"]
KINDS: tuple[Kind, ...] = ("threshold", "sensitivity", "specificity")


@dataclass(frozen=True)
class Point:
    """An operating point: `kind` is what is held, `value` in [0, 1] where."""

    kind: Kind
    value: float

    @staticmethod
    def parse(text: str) -> Point:
        """From 'sensitivity=0.9'. Raises `ValueError` for other words, or a value outside [0, 1]."""
        for kind in KINDS:
            if text.startswith(f"{kind}="):
                try:
                    value = float(text.removeprefix(f"{kind}="))
                except ValueError:
                    break
                if 0 <= value <= 1:
                    return Point(kind, value)
        raise ValueError(
            f"'{text}' is no operating point; say {', '.join(KINDS)} and a number in [0, 1]: {KINDS[1]}=0.9"
        )

    def __str__(self) -> str:
        return f"{self.kind}={self.value:g}"


@dataclass(frozen=True)
class Operated:
    """Where a point lies and what is right and wrong there: called when strictly above `threshold`."""

    threshold: float
    counts: Counts

    def to_dict(self, prevalence: float | None = None) -> dict[str, Any]:
        """JSON-able, undefined is None; PPV and NPV at `prevalence` too where one is given."""
        names = ("sensitivity", "specificity", "ppv", "npv", "f1")
        found = {"threshold": self.threshold, **{name: getattr(self.counts, name) for name in names}}
        if prevalence is not None:
            found["ppv_at_prevalence"], found["npv_at_prevalence"] = predictive(
                self.counts.sensitivity, self.counts.specificity, prevalence
            )
        return {key: None if math.isnan(value) else float(value) for key, value in found.items()}


def operate(truth: ArrayLike, probability: ArrayLike, point: Point) -> Operated | None:
    """The numbers at a point.

    A wanted sensitivity is reached with the highest threshold that reaches it, a wanted specificity with the lowest, so
    that the other number is as high as it can be. Thresholds lie midway between neighbouring probabilities.

    Args:
        truth: (n,), 0 or 1.
        probability: (n,) in [0, 1].

    Returns:
        None when the wanted number is undefined (no positive, no negative), or not reached: a positive of
        probability 0 is above no threshold.

    Raises:
        ValueError: shapes differ, truth is not 0/1 or a probability is nan.
    """
    if point.kind == "threshold":
        return Operated(point.value, count(truth, probability, point.value))
    positive, values = as_binary(truth), np.asarray(probability, np.float64)
    count(positive, values, 0.5)  # raises for shapes and nan
    wanted = positive if point.kind == "sensitivity" else ~positive
    if not wanted.any():
        return None
    cuts = np.unique(np.concatenate([[0.0], candidates(values), [1.0]]))
    called = len(values[wanted]) - np.searchsorted(np.sort(values[wanted]), cuts, side="right")
    right = called if point.kind == "sensitivity" else len(values[wanted]) - called
    reached = np.flatnonzero(right / len(values[wanted]) >= point.value)
    if not len(reached):
        return None
    threshold = float(cuts[reached[-1] if point.kind == "sensitivity" else reached[0]])
    return Operated(threshold, count(positive, values, threshold))


def why_not(truth: ArrayLike, point: Point) -> str:
    """Why `operate` has no answer, in words."""
    positive = as_binary(truth)
    if point.kind == "sensitivity":
        return "a positive has probability 0 and is above no threshold" if positive.any() else "no positive"
    return "no negative"


def predictive(sensitivity: float, specificity: float, prevalence: float) -> tuple[float, float]:
    """PPV and NPV where the share `prevalence` of people has the disease, by Bayes' rule; nan where undefined.

    Sensitivity and specificity are taken to be the same there, which other cameras and milder cases may belie.

    Raises:
        ValueError: a prevalence outside [0, 1].
    """
    if not 0 <= prevalence <= 1:
        raise ValueError(f"a prevalence lies in [0, 1], not at {prevalence}")
    hits, false = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    missed, right = (1 - sensitivity) * prevalence, specificity * (1 - prevalence)
    return _share(hits, false), _share(right, missed)


def _share(part: float, rest: float) -> float:
    return part / (part + rest) if part + rest != 0 else float("nan")
