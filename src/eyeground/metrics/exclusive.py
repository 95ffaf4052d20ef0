"""Numbers of a classifier that calls exactly one class (exclusive classes or grades), from its table of confusion.

Wang et al., "Learning Two-Stream CNN for Multi-Modal Age-related Macular Degeneration Categorization", IEEE J-BHI 26,
2022, call the harmonic mean of sensitivity and specificity "F1"; here it is `harmonic`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from eyeground.metrics.agreement import confusion, kappa
from eyeground.metrics.counts import Counts


@dataclass(frozen=True)
class Classes:
    """A table of confusion (rows are the truth) read class by class, each against the rest."""

    table: tuple[tuple[int, ...], ...]

    def counts(self) -> tuple[Counts, ...]:
        """Each class against the rest."""
        table = np.asarray(self.table, np.int64)
        hits, called, true, n = np.diag(table), table.sum(axis=0), table.sum(axis=1), int(table.sum())
        return tuple(
            Counts(int(h), int(c - h), int(t - h), int(n - c - t + h))
            for h, c, t in zip(hits, called, true, strict=True)
        )

    @property
    def accuracy(self) -> float:
        """Share of cases called what they are; nan without cases."""
        n = sum(map(sum, self.table))
        return sum(row[c] for c, row in enumerate(self.table)) / n if n else float("nan")

    @property
    def macro_harmonic(self) -> float:
        """Mean over classes of the harmonic mean of sensitivity and specificity; nan when a class has no case."""
        return float(np.mean([one.harmonic for one in self.counts()]))

    def to_dict(self, codes: Sequence[str], ordered: bool) -> dict[str, Any]:
        """JSON-able; kappas of ordered classes are weighted too. Undefined is None."""
        rows = [
            {"code": code, "n_pos": one.n_pos, "harmonic": _number(one.harmonic), "f1": _number(one.f1)}
            for code, one in zip(codes, self.counts(), strict=True)
        ]
        found = {"accuracy": self.accuracy, "macro_harmonic": self.macro_harmonic, "kappa": kappa(self.table)}
        if ordered:
            found |= {"kappa_linear": kappa(self.table, "linear"), "kappa_quadratic": kappa(self.table, "quadratic")}
        numbers = {key: _number(value) for key, value in found.items()}
        return {"n": sum(map(sum, self.table)), **numbers, "confusion": self.table, "per_class": rows}


def classify(truth: ArrayLike, probability: ArrayLike) -> Classes:
    """Calls the most probable class of each case; the first of equally probable ones.

    Args:
        truth: (n, C), exactly one 1 in each row.
        probability: (n, C).

    Raises:
        ValueError: shapes differ, a row has no class or several, or a probability is nan.
    """
    labels, scores = np.asarray(truth), np.asarray(probability, np.float64)
    if labels.ndim != 2 or labels.shape != scores.shape:
        raise ValueError(f"truth has shape {labels.shape}, probability {scores.shape}")
    if not (np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()):
        raise ValueError("exclusive classes: every row of the truth has exactly one 1, the others are 0")
    if np.isnan(scores).any():
        raise ValueError("a probability is nan: it can't be called")
    if not len(labels):
        return Classes(tuple((0,) * labels.shape[1] for _ in range(labels.shape[1])))
    table = confusion(labels.argmax(axis=1), scores.argmax(axis=1), labels.shape[1])
    return Classes(tuple(tuple(int(value) for value in row) for row in table))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
