"""One label's known cells, sorted once by score: AUC and average precision under any weights are cumulative sums.

This is what makes resampling cheap: a resample changes how often each patient counts, never the order of the scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.ranking import as_binary

Ints = NDArray[np.int64]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Cells:
    """Cells by falling score; cells of equal score are a group.

    Attributes:
        patient: (m,) whom each cell belongs to, from 0.
        is_positive: (m,) bool.
        group: (m,) which group each cell is in, from 0.
        positives: (P,) places of the positive cells.
        starts: (G,) into `positives`: where each group that holds a positive begins.
        first, last: (G,) places of such a group's first and last cell.
        mixed: indices of the G groups that hold a negative too.
    """

    patient: Ints
    is_positive: NDArray[np.bool_]
    group: Ints
    positives: Ints
    starts: Ints
    first: Ints
    last: Ints
    mixed: Ints


def sort_cells(truth: ArrayLike, score: ArrayLike, patient: ArrayLike) -> Cells:
    """Sorts cells by falling score.

    Args:
        truth: (m,), 0 or 1.
        score: (m,), any real numbers; only their order matters.
        patient: (m,) whole numbers from 0.

    Raises:
        ValueError: shapes differ, truth is not 0/1 or a score is nan.
    """
    labels, values, where = as_binary(truth), np.asarray(score, np.float64), np.asarray(patient, np.int64)
    if values.shape != labels.shape or where.shape != labels.shape:
        raise ValueError(f"truth has shape {labels.shape}, score {values.shape}, patient {where.shape}")
    if np.isnan(values).any():
        raise ValueError("a score is nan: it has no rank")
    order = np.argsort(-values, kind="stable")
    labels, values, where = labels[order], values[order], where[order]
    group = np.cumsum(np.concatenate([[False], values[1:] != values[:-1]])[: len(values)])
    edges = np.flatnonzero(np.diff(group, prepend=-1, append=len(values)))  # where groups begin, and the end
    positives = np.flatnonzero(labels)
    held, starts, counts = np.unique(group[positives], return_index=True, return_counts=True)
    first, last = edges[held], edges[held + 1] - 1 if len(held) else edges[held]
    mixed = np.flatnonzero(last - first + 1 > counts)
    return Cells(where, labels, group, positives, starts, first, last, mixed)


def rank_weighted(cells: Cells, weights: NDArray[np.integer[Any]]) -> tuple[Array, Array]:
    """AUC and average precision when each patient counts as often as `weights` says.

    Sums are whole numbers, so nothing is rounded before the last division (AUC) or the division at each group (average
    precision).

    Args:
        weights: (draws, people) whole numbers, 0 or more; small types (uint8) are the fastest.

    Returns:
        (draws,) each; nan in draws without a positive (both) or without a negative (AUC).
    """
    nothing = np.full(len(weights), np.nan)
    if not len(cells.positives):
        return nothing, nothing
    drawn = weights.take(cells.patient, axis=1)
    wide = np.int64 if np.iinfo(weights.dtype).max * len(cells.patient) >= 2**31 else np.int32
    count = np.cumsum(drawn, axis=1, dtype=wide)
    held = drawn.take(cells.positives, axis=1).astype(np.int64)
    if len(cells.starts) < len(cells.positives):
        held = np.add.reduceat(held, cells.starts, axis=1)
    hits = np.cumsum(held, axis=1)
    at = count.take(cells.last, axis=1).astype(np.int64)
    n_pos, n_all = hits[:, -1], count[:, -1].astype(np.int64)
    below = 2 * (n_all - n_pos)[:, None] - 2 * (at - hits)  # twice the negatives below each group
    if len(cells.mixed):
        first = cells.first[cells.mixed]
        below[:, cells.mixed] += at[:, cells.mixed] - held[:, cells.mixed]
        below[:, cells.mixed] += drawn.take(first, axis=1)
        below[:, cells.mixed] -= count.take(first, axis=1)
    area = _ratio((held * below).sum(axis=1), 2 * n_pos * (n_all - n_pos))
    gained = held * hits / np.maximum(at, 1)
    return area, _ratio(gained.sum(axis=1), n_pos)


def _ratio(above_line: NDArray[Any], below_line: Ints) -> Array:
    defined = below_line != 0
    return np.where(defined, above_line / np.where(defined, below_line, 1), np.nan)
