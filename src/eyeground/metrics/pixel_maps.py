"""How well a map's values tell lesion pixels from the others in the field of view: AP, AUROC, AUPRC, IoU, Dice.

Values are counted in bins between shared thresholds, per photograph, so that any resample of photographs is a sum.
Values in one bin count as equal. Chance stands beside: the prevalence is what AP and AUPRC give a map that knows
nothing, 0.5 what AUROC gives it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eyeground.metrics.map_grid import Bools, Floats

BINS = 512
"""Thresholds between which values are counted."""
NAMES = ("ap", "auprc", "auroc", "iou_best", "dice_best")
BLOCK = 2_000_000


@dataclass(frozen=True)
class PixelCounts:
    """One photograph: blocks of the field in each bin, from the strongest down; the last bin is below all thresholds.

    `every` (bins + 1,); `positive` of each lesion type (bins + 1,), in blocks and parts of blocks.
    """

    every: Floats
    positive: dict[str, Floats]


def pixel_counts(placed: Floats, inside: Bools, shares: Mapping[str, Floats], thresholds: Floats) -> PixelCounts:
    """Counts of one photograph.

    Args:
        placed: (rows, columns) map on blocks. inside: (rows, columns) the field of view.
        shares: of each type, the part of every block that is lesion, (rows, columns).
        thresholds: (bins,) falling; a value belongs to the first threshold that it reaches.
    """
    values = placed[inside]
    bins = len(thresholds) - np.searchsorted(thresholds[::-1], values, "right")
    size = len(thresholds) + 1
    every = np.bincount(bins, minlength=size).astype(np.float64)
    positive = {
        kind: np.bincount(bins, weights=share[inside], minlength=size).astype(np.float64)
        for kind, share in shares.items()
    }
    return PixelCounts(every, positive)


def pixel_numbers(positive: Floats, every: Floats) -> dict[str, Floats]:
    """The numbers of one lesion type.

    Args:
        positive, every: (draws, bins + 1) sums over photographs.

    Returns:
        (draws,) each: `ap` (average precision, no interpolation), `auprc` (trapezoids from precision 1 at recall 0, as
        `sklearn.metrics.auc` of its curve: optimistic where the curve has few points), `auroc`, `iou_best` and
        `dice_best` (at the threshold that is best for this very draw: an upper bound), `prevalence`. nan without a
        lesion (AUROC: also without anything else).
    """
    hits, called = np.cumsum(positive, axis=1), np.cumsum(every, axis=1)
    p, n = hits[:, -1:], called[:, -1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        recall, fallout = hits / p, (called - hits) / (n - p)
        precision = np.where(called > 0, hits / np.where(called > 0, called, 1), 1.0)
        gained = np.diff(recall, axis=1, prepend=0.0)
        before = np.concatenate([np.ones_like(p), precision[:, :-1]], axis=1)
        steps = np.diff(fallout, axis=1, prepend=0.0)
        iou = (hits / (p + called - hits)).max(axis=1)
        found = {
            "ap": (gained * precision).sum(axis=1),
            "auprc": (gained * (precision + before) / 2).sum(axis=1),
            "auroc": (steps * (recall - gained / 2)).sum(axis=1),
            "iou_best": iou,
            "dice_best": 2 * iou / (1 + iou),
            "prevalence": (p / n)[:, 0],
        }
    none = p[:, 0] <= 0
    return {key: np.where(none & (key != "prevalence"), np.nan, one) for key, one in found.items()}


def drawn_numbers(positive: Floats, every: Floats, weights: Floats) -> dict[str, Floats]:
    """`pixel_numbers` in every draw.

    Args:
        positive, every: (images, bins + 1). weights: (draws, images).
    """
    size = max(1, BLOCK // every.shape[1])
    parts = [
        pixel_numbers(weights[k : k + size] @ positive, weights[k : k + size] @ every)
        for k in range(0, len(weights), size)
    ]
    return {key: np.concatenate([one[key] for one in parts]) for key in parts[0]}


def overlap_at(positive: Floats, every: Floats, thresholds: Floats, wanted: Sequence[float]) -> list[dict[str, float]]:
    """IoU and Dice of what is at or above stated thresholds, and the best threshold.

    Args:
        positive, every: (bins + 1,) sums over photographs.
        thresholds: (bins,) falling; each `wanted` is one of them.

    Returns:
        `threshold, iou, dice` for each wanted one and last for the best of all thresholds (nan without a lesion).
    """
    hits, called = np.cumsum(positive), np.cumsum(every)
    p = hits[-1]
    if not len(thresholds):
        return []
    iou = hits[:-1] / (p + called[:-1] - hits[:-1]) if p > 0 else np.full(len(thresholds), np.nan)
    places = [int(np.flatnonzero(thresholds == one)[0]) for one in wanted]
    places.append(int(np.nanargmax(iou)) if p > 0 else 0)
    return [
        {"threshold": float(thresholds[k]), "iou": float(iou[k]), "dice": float(2 * iou[k] / (1 + iou[k]))}
        for k in places
    ]
