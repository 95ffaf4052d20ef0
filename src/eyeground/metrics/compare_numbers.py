"""The numbers that systems are compared by, under any weights of patients: resamples and swaps are both weights.

Swapping two systems' predictions needs no sorting either: both systems' cells are sorted together once, and a swap
gives one of a patient's two copies the weight 1 and the other 0.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.cells import Array, Cells, Ints, rank_weighted, sort_cells
from eyeground.metrics.counts import above
from eyeground.metrics.delong import people_of
from eyeground.metrics.official import HALF
from eyeground.metrics.permutation import how_many, swaps_of
from eyeground.metrics.resample import BLOCK, Plan, weights_of

Bools = NDArray[np.bool_]

OVERALL = ("macro_auc", "macro_ap", "final")
"""The first columns of every array of numbers; then follow the AUC of each label and the AP of each label."""


@dataclass(frozen=True)
class Ground:
    """What is known to be true.

    Attributes:
        labels: (n, C) bool, False where unknown. known: (n, C).
        patient: (n,) whose row it is, from 0. people: how many patients.
    """

    labels: Bools
    known: Bools
    patient: Ints
    people: int

    @property
    def both(self) -> list[int]:
        """Labels with a positive and a negative: those of the macro means."""
        some, full = self.labels.any(axis=0), (self.labels | ~self.known).all(axis=0)
        return [int(c) for c in np.flatnonzero(some & ~full)]


@dataclass(frozen=True)
class Sheet:
    """One set of predictions made ready: each label's cells and all labels' cells sorted, calls counted by patient.

    `pooled` and `calls`, (people, 4) true and false positives, false and true negatives at 0.5, are None where a cell
    of the truth is unknown: then the challenge's numbers are undefined.
    """

    labels: tuple[Cells, ...]
    both: list[int]
    pooled: Cells | None
    calls: Array | None
    people: int


def lay(truth: ArrayLike, known: ArrayLike, patients: ArrayLike | None = None) -> Ground:
    """The truth made ready.

    Args:
        truth: (n, C), 0 or 1 where known, ignored elsewhere.
        known: (n, C) bool.
        patients: (n,) who each row belongs to; None means that every row is a patient of their own.

    Raises:
        ValueError: shapes differ, a known cell is not 0 or 1, or there is no row.
    """
    values, mask = np.asarray(truth, np.float64), np.asarray(known, bool)
    if values.ndim != 2 or values.shape != mask.shape or not len(values):
        raise ValueError(f"truth has shape {values.shape}, known {mask.shape}: both are (n, C) with a row or more")
    if not np.isin(values[mask], (0, 1)).all():
        raise ValueError("truth holds something other than 0 and 1")
    where = people_of(patients, len(values))
    return Ground((values == 1) & mask, mask, where, int(where.max()) + 1)


def alone(ground: Ground, probability: Array) -> Sheet:
    """The sheet of one set of predictions (n, C)."""
    return _sheet(ground, probability, probability, above(probability, HALF))


def side_by_side(ground: Ground, first: Array, second: Array) -> Sheet:
    """The sheet of two sets of predictions that may be swapped: patient p's first copy is p, the second p + people.

    Scores are swapped as ranks within their own system (of each label; of all cells for the pooled AUC), so two systems
    on different scales can be swapped at all; calls at 0.5 are swapped as they are. See `joint_ranks`.
    """
    labels, known = (np.concatenate([part, part]) for part in (ground.labels, ground.known))
    twice = Ground(labels, known, np.concatenate([ground.patient, ground.patient + ground.people]), 2 * ground.people)
    by_label = np.zeros(labels.shape)
    for c, mask in enumerate(ground.known.T):
        by_label[np.concatenate([mask, mask]), c] = joint_ranks(first[mask, c], second[mask, c])
    by_cell = joint_ranks(first.ravel(), second.ravel()).reshape(labels.shape)
    return _sheet(twice, by_label, by_cell, above(np.concatenate([first, second]), HALF))


def numbers(sheet: Sheet, weights: NDArray[np.integer[Any]]) -> Array:
    """Every number when each patient counts as often as `weights` (draws, people) says.

    Returns:
        (draws, 3 + 2 C) in the order of `OVERALL`, nan where undefined. A macro mean is over the labels with both
        classes in all patients; a draw that lacks one of them has no such mean.
    """
    found = [rank_weighted(one, weights) for one in sheet.labels]
    auc, ap = (np.stack(part, axis=1) for part in zip(*found, strict=True))
    nothing = np.full(len(weights), np.nan)
    means = [part[:, sheet.both].mean(axis=1) if sheet.both else nothing for part in (auc, ap)]
    return np.column_stack([*means, _final(sheet, weights), auc, ap])


def themselves(sheet: Sheet) -> Array:
    """The numbers, each patient counted once: (3 + 2 C,)."""
    return numbers(sheet, np.ones((1, sheet.people), np.uint8))[0]


def resampled(sheets: Sequence[Sheet], plan: Plan) -> Array:
    """The numbers of every sheet in the same resamples of patients, (sheets, draws, 3 + 2 C)."""

    def work(draws: range) -> Array:
        picks = weights_of(sheets[0].people, plan, draws)
        return np.stack([numbers(one, picks) for one in sheets], axis=1)

    return np.moveaxis(_in_blocks(work, plan.draws, sheets[0], plan.threads), 0, 1)


def swapped(sheets: Sequence[Sheet], plan: Plan) -> Array:
    """Numbers of the first system less those of the second under each swap, the mean over sheets `side_by_side`.

    Returns:
        (swaps, 3 + 2 C), see `permutation.how_many`.
    """
    people = sheets[0].people // 2

    def work(draws: range) -> Array:
        return swap_difference(sheets, swaps_of(people, plan, draws))

    return _in_blocks(work, how_many(people, plan), sheets[0], plan.threads)


def swap_difference(sheets: Sequence[Sheet], swaps: NDArray[np.uint8]) -> Array:
    """The same for given swaps (draws, people)."""
    kept = np.concatenate([1 - swaps, swaps], axis=1)
    return np.mean([numbers(one, kept) - numbers(one, 1 - kept) for one in sheets], axis=0)


def midranks(values: Array) -> Array:
    """Ranks (n,) from 1 up, equal values share the mean of their ranks."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which.ravel()]


def joint_ranks(first: Array, second: Array) -> Array:
    """Ranks of two systems' scores, each within its own system, to be mixed: (2 n,).

    After a swap two patients may hold the same rank, one from each system. Were that a tie, swapped scores would be
    coarser than true ones and the test too bold (average precision most of all), so the first system's rank counts as
    higher at every other rank and the second's at those between. Which is called the first is settled by the ranks.
    """
    one, other = midranks(first), midranks(second)
    way = 0.125 if one.tobytes() <= other.tobytes() else -0.125
    return np.concatenate([one + way * _alternating(one), other - way * _alternating(other)])


def _alternating(ranks: Array) -> Array:
    """1 at even ranks, -1 at odd ones; a half rank counts as the one below."""
    return 1 - 2 * (np.floor(ranks) % 2)


def _sheet(ground: Ground, by_label: Array, by_cell: Array, called: Bools) -> Sheet:
    rows = [np.flatnonzero(column) for column in ground.known.T]
    cells = [sort_cells(ground.labels[here, c], by_label[here, c], ground.patient[here]) for c, here in enumerate(rows)]
    if not ground.known.all():
        return Sheet(tuple(cells), ground.both, None, None, ground.people)
    whose = np.repeat(ground.patient, ground.labels.shape[1])
    pooled = sort_cells(ground.labels.ravel(), by_cell.ravel(), whose)
    truth = ground.labels
    parts = (truth & called, ~truth & called, truth & ~called, ~truth & ~called)
    sums = [np.bincount(ground.patient, weights=part.sum(axis=1), minlength=ground.people) for part in parts]
    return Sheet(tuple(cells), ground.both, pooled, np.stack(sums, axis=1), ground.people)


def _final(sheet: Sheet, weights: NDArray[np.integer[Any]]) -> Array:
    """The challenge's mean of kappa, cell accuracy and pooled AUC, (draws,). All sums are whole numbers."""
    if sheet.calls is None or sheet.pooled is None:
        return np.full(len(weights), np.nan)
    tp, fp, fn, tn = (weights.astype(np.float64) @ sheet.calls).T
    cells = tp + fp + fn + tn
    chance = (tp + fn) * (tp + fp) + (tn + fp) * (tn + fn)
    right = (tp + tn) / cells
    with np.errstate(invalid="ignore"):  # truth and calls both constant: kappa is undefined
        kappa = ((tp + tn) * cells - chance) / (cells**2 - chance)
    return (kappa + right + rank_weighted(sheet.pooled, weights)[0]) / 3


def _in_blocks(work: Callable[[range], Array], draws: int, sheet: Sheet, threads: int | None) -> Array:
    """`work` on parts of the draws that fit the processor's cache, put together along the first axis."""
    rows = max([len(one.patient) for one in sheet.labels] + [sheet.people])
    size = max(1, BLOCK // rows)
    parts = [range(start, min(start + size, draws)) for start in range(0, draws, size)]
    if threads == 1 or len(parts) == 1:
        return np.concatenate([work(part) for part in parts])
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        return np.concatenate(list(pool.map(work, parts)))
