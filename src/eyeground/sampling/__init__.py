"""Which training rows are drawn in which epoch, always after the split and from the training part alone.

A row is a visit, or a photograph by itself (`unit = "eye"`). A sampler gives the same number of rows in every epoch, so
that the steps of a run are known before it starts and two ways of drawing can be compared at equal steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eyeground.errors import UsageError
from eyeground.sampling.balance import Balance, make_balanced
from eyeground.sampling.curriculum import Curriculum, make_curriculum
from eyeground.sampling.rows import Rows, Sampler

__all__ = ["Natural", "Rows", "Sampler", "Sampling", "make_sampler"]


@dataclass(frozen=True)
class Sampling(Curriculum, Balance):
    """What is drawn for training."""

    unit: Literal["visit", "eye"] = "visit"
    """A training row is a visit with its eyes, or a photograph by itself with the labels of its eye."""
    eye_labels: Literal["own", "visit"] = "own"
    """What each eye is taught: its own labels, or its visit's labels copied to both eyes."""


class Natural:
    """Every row once an epoch, in a new order."""

    def __init__(self, rows: Rows) -> None:
        self.count = len(rows)

    def draw(self, epoch: int, epochs: int, generator: np.random.Generator) -> NDArray[np.int64]:
        return generator.permutation(self.count)


def make_sampler(settings: Sampling, rows: Rows) -> Sampler:
    """The sampler that the settings name.

    Raises:
        UsageError: factors of a balance that do not fit the labels, or a curriculum besides.
        DataError: the rows do not have what a curriculum orders.
    """
    if settings.balance != "none":
        if settings.curriculum != "none":
            raise UsageError("--balance and --curriculum both say what is drawn; set one of them to none")
        return make_balanced(settings, rows)
    if settings.curriculum != "none":
        return make_curriculum(settings, rows)
    return Natural(rows)
