"""Tables of true against called classes, and how far the two agree beyond chance.

Cohen, Educational and Psychological Measurement 20, 1960; weighted: Cohen, Psychological Bulletin 70, 1968.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Weights = Literal["none", "linear", "quadratic"]


def confusion(truth: ArrayLike, called: ArrayLike, classes: int) -> NDArray[np.int64]:
    """How often each class was called what: (classes, classes), rows are the truth.

    Args:
        truth, called: (n,) whole numbers from 0 to classes - 1.

    Raises:
        ValueError: shapes differ or a class is none of them.
    """
    true, other = np.asarray(truth), np.asarray(called)
    if true.ndim != 1 or true.shape != other.shape:
        raise ValueError(f"truth has shape {true.shape}, called {other.shape}")
    for name, values in (("truth", true), ("called", other)):
        if not np.isin(values, np.arange(classes)).all():
            raise ValueError(f"{name} holds something other than the classes 0 to {classes - 1}")
    flat = true.astype(np.int64) * classes + other.astype(np.int64)
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes)


def kappa(table: ArrayLike, weights: Weights = "none") -> float:
    """Cohen's kappa: 1 - disagreement found / disagreement of chance with the same margins.

    Args:
        table: (classes, classes) of `confusion`.
        weights: what calling class i class j costs: 1 ("none"), |i - j| ("linear") or (i - j)^2 ("quadratic", for
            ordered grades).

    Returns:
        nan when chance has no disagreement: no case, or truth and calls all of one and the same class.

    Raises:
        ValueError: the table is not square, holds a negative or other than whole number, or no such weights.
    """
    counts = np.asarray(table)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"a table of agreement is square, this one is {counts.shape}")
    if (counts < 0).any() or (counts != np.floor(counts)).any():
        raise ValueError("a table of agreement holds whole numbers from 0 up")
    counts = counts.astype(np.int64)
    apart = np.abs(np.subtract.outer(np.arange(len(counts)), np.arange(len(counts))))
    costs = {"none": (apart > 0).astype(np.int64), "linear": apart, "quadratic": apart**2}
    if weights not in costs:
        raise ValueError(f"no weights are called '{weights}': there are {', '.join(costs)}")
    cost = costs[weights]
    chance = int((cost * np.outer(counts.sum(axis=1), counts.sum(axis=0))).sum())
    return 1 - int((cost * counts).sum()) * int(counts.sum()) / chance if chance else float("nan")
