"""The same judgement on groups of visits: with one label or several, with the disease in one eye or in both."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.auc_interval import auc_interval
from eyeground.metrics.counts import above
from eyeground.metrics.delong import people_of
from eyeground.metrics.judge import judge
from eyeground.metrics.macro_interval import macro_ap_interval, macro_auc_interval
from eyeground.metrics.official import HALF
from eyeground.metrics.proportions import share_interval
from eyeground.metrics.ranking import auc
from eyeground.metrics.resample import prepare
from eyeground.vocabulary import Vocabulary

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]
TOLD = ("n", "f1_positive", "exact_match", "brier", "macro_auc", "macro_ap", "macro_f1", "macro_n")
"""What is told of a group; the labels' AUC, AP and sensitivity are told beside it."""


def by_label_count(
    truth: ArrayLike,
    known: ArrayLike,
    probability: ArrayLike,
    vocabulary: Vocabulary,
    thresholds: ArrayLike | None = None,
    patients: ArrayLike | None = None,
) -> dict[str, Any]:
    """Visits with exactly one label and visits with several, each judged by itself.

    Within visits with one label a positive of one label is a negative of all others, so both AUC and average precision
    mean something else there than among all visits: compare groups of two systems, not groups of one.

    Args:
        truth, known, probability, thresholds: as in `judge`.
        patients: as in `intervals`.

    Returns:
        JSON-able: `one_label` and `several_labels` with the numbers of `TOLD`, 95 % `intervals` of the macro means and
        `per_class`; `left_out` counts the visits without a label and those of which a label is unknown.
    """
    mask = np.asarray(known, bool)
    labels, scores = np.where(mask, np.asarray(truth, np.float64), 0.0), np.asarray(probability, np.float64)
    whole, total = mask.all(axis=1), labels.sum(axis=1)
    where = np.arange(len(labels)) if patients is None else np.asarray(patients)
    result: dict[str, Any] = {}
    for name, rows in (("one_label", whole & (total == 1)), ("several_labels", whole & (total > 1))):
        found = judge(labels[rows], mask[rows], scores[rows], vocabulary, thresholds)
        keys = ("code", "n_pos", "auc", "ap", "sensitivity", "undefined")
        bounds: dict[str, list[float] | None] = {"macro_auc": None, "macro_ap": None}
        if rows.any():
            sample = prepare(labels[rows], mask[rows], scores[rows], where[rows])
            bounds = {"macro_auc": macro_auc_interval(sample), "macro_ap": macro_ap_interval(sample)}
        each = [{key: row[key] for key in keys} for row in found["per_class"]]
        for part in (found, *each):
            part["undefined"] = {key: why for key, why in part["undefined"].items() if key in (*TOLD, *keys)}
        result[name] = {**{key: found[key] for key in (*TOLD, "undefined")}, "intervals": bounds, "per_class": each}
    left_out = {"without_a_label": int((whole & (total == 0)).sum()), "a_label_unknown": int((~whole).sum())}
    return {**result, "left_out": left_out}


def by_eyes(
    truth: ArrayLike,
    known: ArrayLike,
    probability: ArrayLike,
    eyes: tuple[ArrayLike, ArrayLike],
    vocabulary: Vocabulary,
    thresholds: ArrayLike | None = None,
    patients: ArrayLike | None = None,
) -> dict[str, Any]:
    """For each disease the visits that have it in one eye and those that have it in both, against the same negatives.

    Args:
        truth, known, probability, thresholds: as in `judge`.
        eyes: labels (n, 2, C) of left and right eye, and what of them is known, bool.
        patients: as in `intervals`.

    Returns:
        JSON-able: `per_class`, a list with `code` and, for `one_eye` and `both_eyes`, `n_pos`, `auc`, `sensitivity` and
        their 95 % intervals, and `left_out`, the positives of which an eye is unknown; `macro_auc` over the labels that
        have both kinds, `macro_n` of them. Labels that need all eyes (Normal) are not told.

    Raises:
        ValueError: shapes differ.
    """
    mask = np.asarray(known, bool)
    labels, scores = np.asarray(truth), np.asarray(probability, np.float64)
    values, seen = np.asarray(eyes[0]), np.asarray(eyes[1], bool)
    if not values.shape == seen.shape == (len(labels), 2, len(vocabulary)):
        raise ValueError(f"eye labels have shape {values.shape}, not ({len(labels)}, 2, {len(vocabulary)})")
    cuts = np.full(len(vocabulary), HALF) if thresholds is None else np.asarray(thresholds, np.float64)
    where = people_of(patients, len(labels))
    rows: list[dict[str, Any]] = []
    for c, label in enumerate(vocabulary.labels):
        if label.visit != "any":
            continue
        told = seen[:, :, c].all(axis=1)
        ill = ((values[:, :, c] == 1) & seen[:, :, c]).sum(axis=1)
        positive, negative = mask[:, c] & (labels[:, c] == 1), mask[:, c] & (labels[:, c] == 0)
        kinds = {"one_eye": positive & told & (ill == 1), "both_eyes": positive & told & (ill == 2)}
        score, called = scores[:, c], above(scores[:, c], cuts[c])
        parts = {name: _against(part, negative, score, called, where) for name, part in kinds.items()}
        left = int(positive.sum()) - sum(int(part.sum()) for part in kinds.values())
        rows.append({"code": label.code, "n_neg": int(negative.sum()), **parts, "left_out": left})
    both = [row for row in rows if None not in (row["one_eye"]["auc"], row["both_eyes"]["auc"])]
    macro = {
        name: float(np.mean([row[name]["auc"] for row in both])) if both else None for name in ("one_eye", "both_eyes")
    }
    return {"macro_auc": macro, "macro_n": len(both), "per_class": rows}


def _against(positive: Mask, negative: Mask, score: NDArray[np.float64], called: Mask, where: Ints) -> dict[str, Any]:
    """Some positives against all negatives of a label."""
    rows, n_pos = positive | negative, int(positive.sum())
    area = auc(positive[rows], score[rows])
    return {
        "n_pos": n_pos,
        "auc": None if math.isnan(area) else area,
        "auc_interval": auc_interval(positive[rows], score[rows], where[rows]),
        "sensitivity": int((called & positive).sum()) / n_pos if n_pos else None,
        "sensitivity_interval": share_interval(called[positive], where[positive]),
    }
