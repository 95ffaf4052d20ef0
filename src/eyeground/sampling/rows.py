"""What a sampler may know, and what it promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Rows:
    """What a sampler may know of the n training rows: label values (n, C), what of them is known, and their codes.

    `every` tells the labels that need all eyes (Normal); empty is none.
    """

    labels: NDArray[np.float32]
    known: NDArray[np.bool_]
    codes: tuple[str, ...]
    every: tuple[bool, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def present(self) -> NDArray[np.bool_]:
        """Labels that are known to be present, (n, C)."""
        return self.known & (self.labels > 0)


class Sampler(Protocol):
    """Draws the rows of an epoch. `count` rows in every epoch; the same (seed, epoch) draws the same rows."""

    count: int

    def draw(self, epoch: int, epochs: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Row numbers (count,) of an epoch (0-based) of `epochs`, in the order they are shown."""
        ...
