"""Which training rows are drawn in which epoch, always after the split and from the training part alone.

A row is a visit, or a photograph by itself (`unit = "eye"`). A sampler gives the same number of rows in every epoch, so
that the steps of a run are known before it starts and two ways of drawing can be compared at equal steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Sampling:
    """What is drawn for training."""

    unit: Literal["visit", "eye"] = "visit"
    """A training row is a visit with its eyes, or a photograph by itself with the labels of its eye."""
    eye_labels: Literal["own", "visit"] = "own"
    """What each eye is taught: its own labels, or its visit's labels copied to both eyes."""


@dataclass(frozen=True)
class Rows:
    """What a sampler may know of the n training rows: label values (n, C), what of them is known, and their codes."""

    labels: NDArray[np.float32]
    known: NDArray[np.bool_]
    codes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)


class Sampler(Protocol):
    """Draws the rows of an epoch. `count` rows in every epoch; the same (seed, epoch) draws the same rows."""

    count: int

    def draw(self, epoch: int, epochs: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Row numbers (count,) of an epoch (0-based) of `epochs`, in the order they are shown."""
        ...


class Natural:
    """Every row once an epoch, in a new order."""

    def __init__(self, rows: Rows) -> None:
        self.count = len(rows)

    def draw(self, epoch: int, epochs: int, generator: np.random.Generator) -> NDArray[np.int64]:
        return generator.permutation(self.count)


def make_sampler(settings: Sampling, rows: Rows) -> Sampler:
    """The sampler that the settings name."""
    return Natural(rows)
