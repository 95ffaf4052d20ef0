"""A mean over cases whose interval is over patients: all cases of a drawn patient come along."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.delong import people_of
from eyeground.metrics.resample import Plan, percentile, weights_of


@dataclass(frozen=True)
class PatientMean:
    """The mean of n cases of so many patients; nan where undefined. `left_out` cases were undefined (nan)."""

    mean: float
    low: float
    high: float
    n: int
    patients: int
    left_out: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: undefined is None."""
        interval = [self.low, self.high] if np.isfinite([self.low, self.high]).all() else None
        mean = self.mean if np.isfinite(self.mean) else None
        counts = {"n": self.n, "patients": self.patients, "left_out": self.left_out}
        return {"mean": mean, "interval": interval, **counts}


def patient_mean(values: ArrayLike, patients: ArrayLike, draws: int = 2000, seed: int = 0) -> PatientMean:
    """Mean of the cases and its 95 % interval by drawing patients (percentiles).

    Args:
        values: (n,), nan where a case is undefined: it is left out.
        patients: (n,) who each case belongs to.

    Returns:
        No interval with fewer than two patients. The same patients and seed are drawn alike, so differences of two rows
        are paired when given as one array of differences.
    """
    every = np.asarray(values, np.float64)
    here = ~np.isnan(every)
    chosen = every[here]
    if not len(chosen):
        return PatientMean(np.nan, np.nan, np.nan, 0, 0, len(every))
    where = people_of(np.asarray(patients)[here], len(chosen))
    people, mean = int(where.max()) + 1, float(chosen.mean())
    low = high = np.nan
    if people > 1 and draws:
        weights = _weights(people, draws, seed)
        sums = weights @ np.bincount(where, chosen, minlength=people)
        bounds = percentile(sums / (weights @ np.bincount(where, minlength=people)))
        low, high = bounds.low, bounds.high
    return PatientMean(mean, low, high, len(chosen), people, len(every) - len(chosen))


@lru_cache(maxsize=8)
def _weights(people: int, draws: int, seed: int) -> NDArray[np.float64]:
    """How often each patient is drawn, (draws, people); many numbers of one table share it."""
    return weights_of(people, Plan(draws, seed), range(draws)).astype(np.float64)
