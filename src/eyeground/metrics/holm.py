"""Several tests at once: Holm's correction, and what it says about ranks.

Holm, Scandinavian Journal of Statistics 6, 1979. Ranks from corrected pairwise tests: Al Mohamad, Goeman & van Zwet,
Biometrics 78, 2022.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def holm(p: ArrayLike) -> Array:
    """p values corrected so that the chance of a single false finding among them stays below the level.

    Args:
        p: any shape, in [0, 1]; nan is no test and is not counted.

    Returns:
        The same shape, at most 1: the smallest p times the number of tests, the next times one less, and so on, none
        below the one before it.

    Raises:
        ValueError: a p value outside [0, 1].
    """
    values = np.asarray(p, np.float64)
    flat = values.ravel()
    tested = np.flatnonzero(~np.isnan(flat))
    if ((flat[tested] < 0) | (flat[tested] > 1)).any():
        raise ValueError("a p value lies outside [0, 1]")
    order = tested[np.argsort(flat[tested], kind="stable")]
    times = np.arange(len(order), 0, -1)
    out = np.full(flat.shape, np.nan)
    out[order] = np.minimum(np.maximum.accumulate(flat[order] * times), 1.0)
    return out.reshape(values.shape)


def rank_bands(better: ArrayLike) -> NDArray[np.int64]:
    """The ranks that each of k systems may have, given who is shown to be better than whom.

    A system's best rank is 1 and one for each system shown to be better; its worst is k less one for each system shown
    to be worse. Where the tests were corrected by Holm at 5 %, all bands together hold the true ranks with 95 %.

    Args:
        better: (k, k) bool, `better[i, j]`: i is shown to be better than j.

    Returns:
        (k, 2), best and worst rank from 1.
    """
    shown = np.asarray(better, bool)
    return np.stack([1 + shown.sum(axis=0), len(shown) - shown.sum(axis=1)], axis=1).astype(np.int64)
