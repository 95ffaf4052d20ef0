"""A shuffle that stays the same: PCG64's stream is promised by NumPy for all versions, its `permutation` is not.

The permutation is made here, from 32-bit halves of PCG64's words (the low half first), by Durstenfeld's algorithm
(Communications of the ACM 7, 1964) with masked rejection. It equals `numpy.random.Generator(PCG64(seed)).permutation`
of NumPy 2.4, so splits made with that keep their hashes.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Shuffles(Protocol):
    """What deals at random: a `Shuffle`, or one of NumPy's generators."""

    def permutation(self, x: int, /) -> NDArray[np.int64]:
        """0 to x - 1 in random order, int (x,)."""
        ...


class Shuffle:
    """Permutations drawn one after another from one seed."""

    def __init__(self, seed: int) -> None:
        self._words = np.random.PCG64(seed)
        self._half: int | None = None

    def permutation(self, x: int, /) -> NDArray[np.int64]:
        """0 to x - 1 in random order, int (x,)."""
        order = list(range(x))
        for last in range(x - 1, 0, -1):
            other = self._up_to(last)
            order[last], order[other] = order[other], order[last]
        return np.array(order, dtype=np.int64)

    def _up_to(self, largest: int) -> int:
        """A whole number from 0 to `largest` (below 2**32), each as likely."""
        mask = (1 << largest.bit_length()) - 1
        while True:
            value = self._bits() & mask
            if value <= largest:
                return value

    def _bits(self) -> int:
        """The next 32 bits."""
        if self._half is not None:
            half, self._half = self._half, None
            return half
        word = int(self._words.random_raw())
        self._half = word >> 32
        return word & 0xFFFFFFFF
