"""The bootstrap over patients: all rows of a drawn patient come along, scores are sorted once, only weights change.

Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 13 (percentile) and 14 (BCa); Field & Welsh,
J. R. Statist. Soc. B 69, 2007 (drawing clusters).
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.cells import Array, Cells, Ints, rank_weighted, sort_cells
from eyeground.metrics.delong import people_of
from eyeground.metrics.jackknife import leave_one_out
from eyeground.progress import cores

BLOCK = 200_000
"""Cells (draws x rows) worked on at once: what stays in the processor's cache. It does not change what is drawn."""


@dataclass(frozen=True)
class Plan:
    """How to draw. The same plan draws the same patients again, so resamples of two systems on them are paired.

    Attributes:
        draws: how often.
        seed: draw k is made by a generator of its own, seeded with `seed` and k.
        threads: at most; None means one for each core. Neither this nor the machine changes what is drawn.
    """

    draws: int = 2000
    seed: int = 0
    threads: int | None = None


@dataclass(frozen=True)
class Bounds:
    """An interval and how it came about.

    Attributes:
        low, high: nan when the interval is undefined.
        level: what it should cover.
        method: "percentile" or "bca".
        draws: resamples made. undefined: those of them in which the number is not defined (a label without a positive).
            They are left out; an interval with more than half of its draws undefined is undefined.
    """

    low: float
    high: float
    level: float
    method: str
    draws: int
    undefined: int


@dataclass(frozen=True)
class Sample:
    """A test set made ready for resampling: per label its sorted cells, and how many patients there are."""

    labels: tuple[Cells, ...]
    people: int

    def both(self) -> list[int]:
        """Labels that have a positive and a negative: those of the macro means."""
        return [c for c, one in enumerate(self.labels) if 0 < len(one.positives) < len(one.patient)]


@dataclass(frozen=True)
class Ranks:
    """AUC and average precision, each (draws, C), nan where undefined; `macro` is over `both` labels."""

    auc: Array
    ap: Array
    both: list[int]

    def macro(self, name: str) -> Array:
        """Macro "auc" or "ap" (draws,); nan in a draw that lacks one of the labels, as a mean over fewer is another."""
        return getattr(self, name)[:, self.both].mean(axis=1) if self.both else np.full(len(self.auc), np.nan)


def prepare(truth: ArrayLike, known: ArrayLike, probability: ArrayLike, patients: ArrayLike | None = None) -> Sample:
    """Sorts every label's known cells.

    Args:
        truth: (n, C), 0 or 1 where known, ignored elsewhere.
        known: (n, C) bool.
        probability: (n, C), any real numbers where known; only their order within a label matters.
        patients: (n,) who each row belongs to; None means that every row is a patient of their own.

    Raises:
        ValueError: shapes differ, a known truth is not 0/1, a known score is nan, or there is no row.
    """
    labels, mask, scores = np.asarray(truth), np.asarray(known, bool), np.asarray(probability, np.float64)
    if labels.ndim != 2 or not labels.shape == mask.shape == scores.shape:
        raise ValueError(f"truth has shape {labels.shape}, known {mask.shape}, probability {scores.shape}")
    if not len(labels):
        raise ValueError("there are no rows to resample")
    where = people_of(patients, len(labels))
    rows = [np.flatnonzero(column) for column in mask.T]
    cells = tuple(sort_cells(labels[here, c], scores[here, c], where[here]) for c, here in enumerate(rows))
    return Sample(cells, int(where.max()) + 1)


def strata_of(sample: Sample, label: int) -> NDArray[np.bool_]:
    """Patients (people,) with a positive cell of this label: drawn apart, every resample holds as many of them."""
    found = np.zeros(sample.people, bool)
    one = sample.labels[label]
    found[one.patient[one.positives]] = True
    return found


def resample(sample: Sample, plan: Plan | None = None, strata: ArrayLike | None = None) -> Ranks:
    """AUC and average precision of every label in every resample of patients.

    Args:
        strata: (people,) draws are made within each distinct value; None draws from all patients. Fixing how many
            positives there are makes rare labels defined in every draw; average precision then hides that the
            prevalence itself is uncertain.

    Raises:
        ValueError: `strata` has another shape, or there is nothing to draw.
    """
    plan = plan or Plan()
    if plan.draws < 1:
        raise ValueError(f"{plan.draws} draws are no bootstrap: draw at least once")
    rows = max([len(one.patient) for one in sample.labels] + [sample.people])
    size = max(1, BLOCK // rows)
    out = np.empty((2, plan.draws, len(sample.labels)))

    def work(start: int) -> None:
        picks = weights_of(sample.people, plan, range(start, min(start + size, plan.draws)), strata)
        for c, one in enumerate(sample.labels):
            out[:, start : start + len(picks), c] = rank_weighted(one, picks)

    with ThreadPoolExecutor(plan.threads or cores()) as pool:
        for _ in pool.map(work, range(0, plan.draws, size)):
            pass
    return Ranks(out[0], out[1], sample.both())


def weights_of(people: int, plan: Plan, draws: range, strata: ArrayLike | None = None) -> NDArray[np.integer[Any]]:
    """How often each patient is drawn in some of a plan's draws, (draws, people): `resample`'s own, for other numbers.

    Args:
        strata: as in `resample`.

    Returns:
        uint8 where that suffices, else int64.
    """
    parts = _parts(strata, people)
    weights = np.empty((len(draws), people), np.int64)
    for row, draw in zip(weights, draws, strict=True):
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(plan.seed, spawn_key=(draw,))))
        for members in parts:
            row[members] = np.bincount(generator.integers(0, len(members), len(members)), minlength=len(members))
    return weights.astype(np.uint8) if weights.max(initial=0) < 2**8 else weights


def jackknife(sample: Sample) -> Ranks:
    """The same numbers with each patient left out in turn: arrays (people, C)."""
    found = [leave_one_out(one, sample.people) for one in sample.labels]
    auc, ap = (np.stack(part, axis=1) for part in zip(*found, strict=True))
    return Ranks(auc, ap, sample.both())


def estimate(sample: Sample) -> Ranks:
    """The numbers themselves, as a single draw: arrays (1, C)."""
    ones = np.ones((1, sample.people), np.uint8)
    auc, ap = zip(*(rank_weighted(one, ones) for one in sample.labels), strict=True)
    return Ranks(np.stack(auc, axis=1), np.stack(ap, axis=1), sample.both())


def percentile(drawn: ArrayLike, level: float = 0.95) -> Bounds:
    """The middle `level` of the defined draws. Raises `ValueError` for a level outside (0, 1)."""
    values, defined = _defined(drawn, level)
    tails = ((1 - level) / 2, (1 + level) / 2)
    return _bounds("percentile", values, defined, level, tails)


def bca(drawn: ArrayLike, value: float, left_out: ArrayLike, level: float = 0.95) -> Bounds:
    """The bias-corrected and accelerated interval (Efron 1987).

    Args:
        drawn: (draws,) the number in every resample.
        value: the number itself.
        left_out: (people,) the number without each patient in turn.

    Returns:
        Undefined also when the number is undefined without some patient (the only positive), or when no draw lies on
        one side of the number: then the correction is infinite.
    """
    values, defined = _defined(drawn, level)
    normal, without = NormalDist(), np.asarray(left_out, np.float64)
    away = without.mean() - without
    share = float((defined < value).mean() + (defined == value).mean() / 2) if len(defined) else math.nan
    if not 0 < share < 1 or np.isnan(away).any():
        return _bounds("bca", values, defined[:0], level, (0.0, 1.0))
    spread = float((away**2).sum())
    pull = float((away**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    bias, tails = normal.inv_cdf(share), []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        shifted = bias + normal.inv_cdf(tail)
        tails.append(normal.cdf(bias + shifted / (1 - pull * shifted)))
    return _bounds("bca", values, defined, level, (tails[0], tails[1]))


def _parts(strata: ArrayLike | None, people: int) -> list[Ints]:
    """The patients of each stratum."""
    if strata is None:
        return [np.arange(people)]
    values = np.asarray(strata)
    if values.shape != (people,):
        raise ValueError(f"strata have shape {values.shape}, not ({people},): one for each patient")
    return [np.flatnonzero(values == value) for value in np.unique(values)]


def _defined(drawn: ArrayLike, level: float) -> tuple[Array, Array]:
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, not at {level}")
    values = np.asarray(drawn, np.float64)
    return values, values[~np.isnan(values)]


def _bounds(method: str, values: Array, defined: Array, level: float, tails: tuple[float, float]) -> Bounds:
    low = high = math.nan
    if len(defined) and 2 * len(defined) >= len(values):
        low, high = (float(bound) for bound in np.quantile(defined, tails))
    return Bounds(low, high, level, method, len(values), int(np.isnan(values).sum()))
