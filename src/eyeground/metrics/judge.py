"""One judgement of probabilities against truth: the challenge's numbers beside macro, per-label and trivial ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.counts import count
from eyeground.metrics.official import HALF, official
from eyeground.metrics.ranking import auc, average_precision
from eyeground.vocabulary import Vocabulary

OFFICIAL = ("kappa", "f1", "auc", "final")
MACRO = ("auc", "ap", "kappa", "f1")


def judge(
    truth: ArrayLike,
    known: ArrayLike,
    probability: ArrayLike,
    vocabulary: Vocabulary,
    thresholds: ArrayLike | None = None,
) -> dict[str, Any]:
    """Judges probabilities; every undefined number is None, every number has its counts beside it.

    Args:
        truth: (n, C), 0 or 1 where known, ignored elsewhere.
        known: (n, C) bool.
        probability: (n, C) in [0, 1].
        vocabulary: C labels.
        thresholds: (C,) for the per-label calls; None means 0.5. The challenge's numbers use 0.5 whatever is given.

    Returns:
        JSON-able. `kappa, f1, auc, final` are the challenge's (`f1` is cell accuracy; None when a cell is unknown),
        `f1_positive` the pooled F1 of the positive class at 0.5. The `macro_*` are plain means over the `macro_n`
        labels that have both a positive and a negative; `macro_kappa` and `macro_f1` are at the thresholds.
        `per_class` and `baselines` are described in docs/scoring.md; `notes` says what is undefined and why.

    Raises:
        ValueError: shapes that do not fit, a known truth cell that is not 0/1, a probability outside [0, 1].
    """
    labels, mask, scores = _checked(truth, known, probability, vocabulary)
    cuts = np.full(len(vocabulary), HALF) if thresholds is None else np.asarray(thresholds, dtype=np.float64)
    if cuts.shape != (len(vocabulary),):
        raise ValueError(f"thresholds have shape {cuts.shape}, not ({len(vocabulary)},)")
    prevalence = np.array([labels[mask[:, c], c].mean() if mask[:, c].any() else 0.0 for c in range(len(vocabulary))])
    result = _numbers(labels, mask, scores, vocabulary, cuts)
    half = np.full(len(vocabulary), HALF)
    baselines = {}
    for name, row, text in (
        ("all_zeros", np.zeros(len(vocabulary)), "every probability 0"),
        ("prevalence", prevalence, "every row holds the label prevalences of this same truth"),
    ):
        numbers = _numbers(labels, mask, np.broadcast_to(row, scores.shape), vocabulary, half)
        baselines[name] = {"description": text, **{key: numbers[key] for key in (*OFFICIAL, "macro_auc", "macro_ap")}}
    per_class = result.pop("per_class")
    return {**result, "per_class": per_class, "baselines": baselines, "notes": _notes(labels, mask, vocabulary)}


def _numbers(
    labels: NDArray[np.float64],
    mask: NDArray[np.bool_],
    scores: NDArray[np.float64],
    vocabulary: Vocabulary,
    cuts: NDArray[np.float64],
) -> dict[str, Any]:
    """The numbers of one set of probabilities, rounded nowhere."""
    complete = bool(mask.all()) and mask.size > 0
    pooled = official(labels, scores).to_dict() if complete else dict.fromkeys(OFFICIAL, math.nan)
    rows = []
    for c, label in enumerate(vocabulary.labels):
        here = mask[:, c]
        rows.append({"code": label.code, "name": label.name, **_one(labels[here, c], scores[here, c], float(cuts[c]))})
    defined = [row for row in rows if row["n_pos"] and row["n_neg"]]
    macro = {f"macro_{key}": _mean([row[key] for row in defined]) for key in MACRO}
    counts = count(labels[mask], scores[mask], HALF)
    return {
        "n": len(labels),
        **{key: _number(value) for key, value in pooled.items()},
        "f1_positive": _number(counts.f1),
        **macro,
        "macro_n": len(defined),
        "per_class": rows,
    }


def _one(truth: NDArray[np.float64], score: NDArray[np.float64], threshold: float) -> dict[str, Any]:
    """One label's numbers over its known rows."""
    counts = count(truth, score, threshold)
    return {
        "n": counts.n,
        "n_pos": counts.n_pos,
        "n_neg": counts.n_neg,
        "auc": _number(auc(truth, score)),
        "ap": _number(average_precision(truth, score)),
        "kappa": _number(counts.kappa),
        "sensitivity": _number(counts.sensitivity),
        "specificity": _number(counts.specificity),
        "ppv": _number(counts.ppv),
        "npv": _number(counts.npv),
        "f1": _number(counts.f1),
        "threshold": threshold,
    }


def _notes(labels: NDArray[np.float64], mask: NDArray[np.bool_], vocabulary: Vocabulary) -> list[str]:
    """Why numbers are undefined, in sentences."""
    notes = []
    unknown = int((~mask).sum())
    if mask.size == 0:
        notes.append("there are no rows to judge")
    elif unknown:
        notes.append(
            f"kappa, f1, auc and final are undefined: {unknown} of {mask.size} truth cells are unknown "
            "and the challenge's formula needs all of them"
        )
    for c, label in enumerate(vocabulary.labels):
        values = labels[mask[:, c], c]
        if values.size == 0 or values.min() == values.max():
            lacking = "known row" if values.size == 0 else "negative" if values[0] else "positive"
            notes.append(f"{label.code} ({label.name}) has no {lacking} and is left out of the macro means")
    return notes


def _checked(
    truth: ArrayLike, known: ArrayLike, probability: ArrayLike, vocabulary: Vocabulary
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    mask, scores = np.asarray(known, dtype=bool), np.asarray(probability, dtype=np.float64)
    labels = np.asarray(truth, dtype=np.float64)
    for name, array in (("truth", labels), ("known", mask), ("probability", scores)):
        if array.ndim != 2 or array.shape[1] != len(vocabulary) or len(array) != len(labels):
            raise ValueError(f"{name} has shape {array.shape}, not ({len(labels)}, {len(vocabulary)})")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("a probability is nan or outside [0, 1]")
    return np.where(mask, labels, 0.0), mask, scores


def _mean(values: list[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return float(np.mean(numbers)) if numbers else None


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
