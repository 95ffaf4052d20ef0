"""AUC and average precision without each patient in turn, for all patients together in O(n log n).

Leaving out a patient lowers the counts of hits and of cells from each of their scores on down by what they had above.
So each patient's sum is made of stretches of a few running sums, one for every pair (hits gone, cells gone).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eyeground.metrics.cells import Array, Cells, Ints


@dataclass(frozen=True)
class _Steps:
    """A patient's cells of equal score are one step; by patient, then by falling score.

    `patient`, `group` say whose and where; `hits`, `cells` count it; `hits_above`, `cells_above` what the patient has
    above it.
    """

    patient: Ints
    group: Ints
    hits: Ints
    cells: Ints
    hits_above: Ints
    cells_above: Ints


def leave_one_out(cells: Cells, people: int) -> tuple[Array, Array]:
    """AUC and average precision of the cells without each patient's, (people,) each; nan where undefined.

    Time grows with n log n, and with n times the number of distinct pairs (hits gone, cells gone): 5 at most where a
    patient has up to two cells.
    """
    if not len(cells.positives):
        return np.full(people, np.nan), np.full(people, np.nan)
    steps = _steps(cells)
    hits = np.bincount(steps.patient, weights=steps.hits, minlength=people).astype(np.int64)
    gone = np.bincount(steps.patient, weights=steps.cells, minlength=people).astype(np.int64)
    n_pos = len(cells.positives) - hits
    n_neg = len(cells.patient) - gone - n_pos
    return _areas(cells, steps, n_pos, n_neg), _precisions(cells, steps, n_pos)


def _steps(cells: Cells) -> _Steps:
    order = np.argsort(cells.patient, kind="stable")  # within a patient the scores stay in falling order
    patient, group = cells.patient[order], cells.group[order]
    positive = cells.is_positive[order].astype(np.int64)
    fresh = np.flatnonzero((np.diff(patient, prepend=-1) != 0) | (np.diff(group, prepend=-1) != 0))
    hits = np.add.reduceat(positive, fresh)
    count = np.diff(fresh, append=len(patient))
    whose = patient[fresh]
    begins = np.searchsorted(whose, whose)  # the patient's first step
    above = [np.cumsum(part) - part for part in (hits, count)]
    hits_above, cells_above = (part - part[begins] for part in above)
    return _Steps(whose, group[fresh], hits, count, hits_above, cells_above)


def _areas(cells: Cells, steps: _Steps, n_pos: Ints, n_neg: Ints) -> Array:
    """All pairs less those that a patient's cells are in, with the patient's own pairs counted out once, not twice."""
    hits, misses = _by_group(cells)
    above, below = np.cumsum(hits) - hits, misses.sum() - np.cumsum(misses)
    own_misses = steps.cells - steps.hits
    # in half pairs, whole numbers: what the hits of the step have below them, the misses above them
    lost = steps.hits * (2 * below + misses)[steps.group] + own_misses * (2 * above + hits)[steps.group]
    twice = lost - own_misses * (2 * steps.hits_above + steps.hits)
    pairs = int((misses * (2 * above + hits)).sum())
    left = np.full(len(n_pos), pairs, np.int64)
    np.subtract.at(left, steps.patient, twice)
    defined = (n_pos > 0) & (n_neg > 0)
    return np.where(defined, left / np.where(defined, 2 * n_pos * n_neg, 1), np.nan)


def _precisions(cells: Cells, steps: _Steps, n_pos: Ints) -> Array:
    hits, misses = _by_group(cells)
    taken, seen = np.cumsum(hits), np.cumsum(hits + misses)
    hits_gone, cells_gone = steps.hits_above + steps.hits, steps.cells_above + steps.cells
    groups = len(hits)
    ends = np.append(steps.group[1:], groups)
    ends[np.append(steps.patient[1:] != steps.patient[:-1], True)] = groups
    running = _running(hits, taken, seen)
    total = np.full(len(n_pos), running[-1])
    np.subtract.at(total, steps.patient, _stretch(running, steps.group, ends))
    pairs, which = np.unique(np.stack([hits_gone, cells_gone]), axis=1, return_inverse=True)
    for k, (fewer_hits, fewer) in enumerate(pairs.T):
        here = np.flatnonzero(which.ravel() == k)
        running = _running(hits, taken - fewer_hits, seen - fewer)
        begin = steps.group[here]
        left = np.maximum(seen[begin] - fewer, 1)
        own = steps.hits[here] * (taken[begin] - fewer_hits) / left
        np.add.at(total, steps.patient[here], _stretch(running, begin, ends[here]) - own)
    return np.where(n_pos > 0, total / np.maximum(n_pos, 1), np.nan)


def _by_group(cells: Cells) -> tuple[Ints, Ints]:
    """Hits and misses at each distinct score, from the highest down."""
    hits = np.bincount(cells.group, weights=cells.is_positive).astype(np.int64)
    return hits, np.bincount(cells.group).astype(np.int64) - hits


def _running(hits: Ints, taken: Ints, seen: Ints) -> Array:
    """Sums of `hits * taken / seen` over the groups so far, (groups + 1,)."""
    return np.concatenate([[0.0], np.cumsum(hits * taken / np.maximum(seen, 1))])


def _stretch(running: Array, begin: Ints, end: Ints) -> Array:
    """The sums from each `begin` up to each `end`."""
    return running[end] - running[begin]
