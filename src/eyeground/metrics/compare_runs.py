"""Training runs as a second source of chance: patients x runs, as in studies where several readers read the same cases.

A system's number is the mean over its training runs (seeds). It varies with the patients and with the runs. Runs are
nested in systems like readers who read with one system only, and the analysis is that of Obuchowski & Rockette
(Communications in Statistics B 24, 1995) with the degrees of freedom of Hillis (Statistics in Medicine 33, 2014):

    variance of the difference = sum over systems of s^2 / runs + max(patients' variance - sum of own / runs, 0)

s is the standard deviation between a system's runs on these patients; "patients' variance" is the bootstrap variance of
the difference of the means; "own" is the bootstrap variance of what a run departs from its system's mean by, which is
already in s. Student's t, degrees of freedom from s alone. A system with one run adds nothing: its training variance
is unknown and not in the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eyeground.metrics.cells import Array
from eyeground.metrics.compare_areas import two_sided
from eyeground.metrics.quantiles import LARGE, student_quantile


@dataclass(frozen=True)
class Runs:
    """One system: `values` (runs, k) and the same in every resample of patients, `drawn` (runs, draws, k)."""

    values: Array
    drawn: Array

    @property
    def mean(self) -> Array:
        """The system's numbers (k,)."""
        return self.values.mean(axis=0)

    @property
    def between(self) -> Array:
        """Standard deviation between runs (k,); nan with one run."""
        if len(self.values) < 2:
            return np.full(self.values.shape[1], np.nan)
        return self.values.std(axis=0, ddof=1)

    def own(self) -> Array:
        """Bootstrap variance of a single run's departure from the mean of runs (k,); 0 with one run."""
        if len(self.values) < 2:
            return np.zeros(self.values.shape[1])
        away = self.drawn - self.drawn.mean(axis=0)
        return defined_variance(away, axis=1).sum(axis=0) / (len(self.values) - 1)


@dataclass(frozen=True)
class Mixed:
    """Differences of two systems (k,) with standard errors and degrees of freedom over patients and runs."""

    difference: Array
    error: Array
    degrees: Array

    def p(self) -> Array:
        """Two-sided, (k,)."""
        rows = zip(self.difference, self.error, self.degrees, strict=True)
        return np.array([two_sided(*map(float, row)) for row in rows])

    def interval(self, level: float) -> Array:
        """(k, 2), cut at -1 and 1."""
        times = np.array([student_quantile((1 + level) / 2, float(one)) for one in self.degrees])
        reach = times * self.error
        return np.clip(np.stack([self.difference - reach, self.difference + reach], axis=1), -1, 1)


def mixed(first: Runs, second: Runs) -> Mixed:
    """Puts both sources of chance together; at least one of the systems has two runs or more.

    Raises:
        ValueError: both have one run.
    """
    systems = [one for one in (first, second) if len(one.values) > 1]
    if not systems:
        raise ValueError("two systems of one run each have no variance between runs")
    runs = [one.between**2 / len(one.values) for one in systems]
    patients = patient_variance(first, second)
    inside = sum((one.own() / len(one.values) for one in systems), np.zeros(len(patients)))
    total = sum(runs, np.zeros(len(patients))) + np.maximum(patients - inside, 0)
    below = sum((v**2 / (len(one.values) - 1) for v, one in zip(runs, systems, strict=True)), np.zeros(len(patients)))
    finite = (below > 0) & ~np.isnan(total)  # where most draws are undefined, so is the error, whatever the degrees
    degrees = np.where(finite, total**2 / np.where(finite, below, 1), 2 * LARGE)
    return Mixed(first.mean - second.mean, np.sqrt(total), np.maximum(degrees, 1.0))


def patient_variance(first: Runs, second: Runs) -> Array:
    """Bootstrap variance over patients of the difference of the means over runs (k,)."""
    return defined_variance(first.drawn.mean(axis=0) - second.drawn.mean(axis=0), axis=0)


def defined_variance(drawn: Array, axis: int) -> Array:
    """Variance over the draws that are defined; nan where fewer than half of them are."""
    defined = ~np.isnan(drawn)
    count = defined.sum(axis=axis)
    filled = np.where(defined, drawn, 0.0)
    mean = filled.sum(axis=axis, keepdims=True) / np.maximum(defined.sum(axis=axis, keepdims=True), 1)
    squares = (np.where(defined, drawn - mean, 0.0) ** 2).sum(axis=axis)
    usable = (2 * count >= drawn.shape[axis]) & (count > 1)
    return np.where(usable, squares / np.maximum(count - 1, 1), np.nan)
