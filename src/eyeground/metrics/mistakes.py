"""What was judged, and where the calls go wrong: which label is called where which is true, and the worst misses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.counts import above
from eyeground.metrics.official import HALF

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Kind = Literal["missed", "false call"]
KINDS: tuple[Kind, Kind] = ("missed", "false call")


@dataclass(frozen=True)
class Sheet:
    """Truth and predictions as they were judged, row by row.

    Attributes:
        ids: n visits (or patients) by name.
        codes: C labels.
        truth, known, probability: (n, C); truth is 0 or 1 where known.
        thresholds: (C,), or None for 0.5.
    """

    ids: Sequence[str]
    codes: Sequence[str]
    truth: NDArray[np.floating]
    known: NDArray[np.bool_]
    probability: NDArray[np.float64]
    thresholds: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class CalledWhere:
    """What was called where what was true, for labels that may be true together.

    Row r, column c. On the diagonal: of the rows with r, those in which r was called (sensitivity). Elsewhere: of the
    rows with r and known to be without c, those in which c was called all the same, so a call that is right for another
    reason never counts as a confusion.

    Attributes:
        hits, of: (C, C) such calls, and the rows they are counted over.
        nothing, n_pos: (C,) rows with r in which no label was called, and all rows with r.
        false_alone, without: (C,) calls of c in the rows known to have no label at all, and the number of those rows.
    """

    hits: Ints
    of: Ints
    nothing: Ints
    n_pos: Ints
    false_alone: Ints
    without: int


@dataclass(frozen=True)
class Miss:
    """A wrong call: row and label by their index, the probability and the threshold it was on the wrong side of."""

    row: int
    label: int
    kind: Kind
    probability: float
    threshold: float


def called_where(
    truth: ArrayLike, known: ArrayLike, probability: ArrayLike, thresholds: ArrayLike | None = None
) -> CalledWhere:
    """Counts calls (strictly above the threshold) label against label; arguments as in `curves.trace`."""
    true, absent, called = _states(truth, known, probability, thresholds)
    whole = true.astype(np.int64).T
    of, hits = whole @ absent.astype(np.int64), whole @ (absent & called).astype(np.int64)
    n_pos = true.sum(axis=0)
    np.fill_diagonal(of, n_pos)
    np.fill_diagonal(hits, (true & called).sum(axis=0))
    nothing = (true & ~called.any(axis=1, keepdims=True)).sum(axis=0)
    without = absent.all(axis=1)
    return CalledWhere(hits, of, nothing, n_pos, called[without].sum(axis=0), int(without.sum()))


def worst(
    truth: ArrayLike,
    known: ArrayLike,
    probability: ArrayLike,
    thresholds: ArrayLike | None = None,
    per_label: int = 3,
) -> tuple[Miss, ...]:
    """The most confident wrong calls of every label: the missed of lowest, the false calls of highest probability.

    Args:
        per_label: at most so many of each kind.

    Returns:
        Label by label, the missed before the false calls, the worst first; of equal ones the earlier row first.
    """
    true, absent, called = _states(truth, known, probability, thresholds)
    scores, count = np.asarray(probability, np.float64), np.shape(truth)[1]
    cuts = np.full(count, HALF) if thresholds is None else np.asarray(thresholds, np.float64)
    wrong = {"missed": true & ~called, "false call": absent & called}
    found = []
    for c in range(count):
        for kind in KINDS:
            rows = np.flatnonzero(wrong[kind][:, c])
            order = np.argsort(scores[rows, c] if kind == "missed" else -scores[rows, c], kind="stable")
            for row in rows[order[:per_label]]:
                found.append(Miss(int(row), c, kind, float(scores[row, c]), float(cuts[c])))
    return tuple(found)


def _states(
    truth: ArrayLike, known: ArrayLike, probability: ArrayLike, thresholds: ArrayLike | None
) -> tuple[Mask, Mask, Mask]:
    """Present, absent and called, (n, C) each."""
    labels, mask, scores = np.asarray(truth), np.asarray(known, bool), np.asarray(probability, np.float64)
    if labels.ndim != 2 or not labels.shape == mask.shape == scores.shape:
        raise ValueError(f"truth has shape {labels.shape}, known {mask.shape}, probability {scores.shape}")
    if np.isnan(scores).any():
        raise ValueError("a probability is nan: it can't be called")
    return (labels == 1) & mask, (labels == 0) & mask, above(scores, HALF if thresholds is None else thresholds)
