"""One judgement of probabilities against truth: the challenge's numbers beside macro, per-label and trivial ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.averages import exact_match, pooled, pooled_calls, weighted_mean
from eyeground.metrics.counts import Counts, count
from eyeground.metrics.official import HALF, official
from eyeground.metrics.probability import brier, calibration_error, log_loss, reliability
from eyeground.metrics.ranking import auc, average_precision
from eyeground.metrics.reasons import of_all, of_label
from eyeground.vocabulary import Vocabulary

OFFICIAL = ("kappa", "f1", "auc", "final")
MACRO = ("auc", "ap", "kappa", "f1", "sensitivity", "specificity", "harmonic", "brier", "log_loss", "ece")
WEIGHTED = ("auc", "ap", "f1")
CALLS = ("micro_precision", "micro_recall", "micro_f1", "exact_match")
COMPARED = (*OFFICIAL, "macro_auc", "macro_ap", "micro_ap", *CALLS, "brier", "log_loss", "ece")
"""What is told of the trivial baselines."""


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
        `f1_positive` the pooled F1 of the positive class at 0.5; `micro_*`, `brier`, `log_loss`, `ece` are over all
        known cells. The `macro_*` are plain means over the `macro_n` labels that have both a positive and a negative,
        the `weighted_*` count each of them as often as it has a positive. Kappa, F1, sensitivity, specificity and
        `harmonic` of labels and of macro and weighted means are at the thresholds, and so are `exact_match` and
        `micro_precision`, `micro_recall` and `micro_f1` of the positive cells.
        `per_class` and `baselines` are described in docs/scoring.md. `undefined`, also in each row of `per_class`,
        says for each number that is None why; `notes` says it in sentences.

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
        baselines[name] = {"description": text, **{key: numbers[key] for key in COMPARED}}
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
    challenge = official(labels, scores).to_dict() if complete else dict.fromkeys(OFFICIAL, math.nan)
    rows, counts = [], []
    for c, label in enumerate(vocabulary.labels):
        here = mask[:, c]
        counts.append(count(labels[here, c], scores[here, c], float(cuts[c])))
        own = _one(labels[here, c], scores[here, c], counts[-1])
        rows.append({"code": label.code, "name": label.name, **own, "threshold": float(cuts[c])})
    defined = [row for row in rows if row["n_pos"] and row["n_neg"]]
    positives = [row["n_pos"] for row in defined]
    exact, whole = exact_match(labels, mask, scores, cuts)
    numbers = {
        **challenge,
        "f1_positive": count(labels[mask], scores[mask], HALF).f1,
        **pooled(labels[mask], scores[mask]),
        **pooled_calls(counts),
        "exact_match": exact,
        **{f"macro_{key}": weighted_mean([row[key] for row in defined], [1] * len(defined)) for key in MACRO},
        **{f"weighted_{key}": weighted_mean([row[key] for row in defined], positives) for key in WEIGHTED},
    }
    found = {key: _number(value) for key, value in numbers.items()}
    sizes = {"macro_n": len(defined), "exact_match_n": whole}
    undefined = of_all(found, int(mask.sum()), mask.size)
    return {"n": len(labels), **found, **sizes, "undefined": undefined, "per_class": rows}


def _one(truth: NDArray[np.float64], score: NDArray[np.float64], counts: Counts) -> dict[str, Any]:
    """One label's numbers over its known rows, called as `counts` has it."""
    numbers = {
        "auc": auc(truth, score),
        "ap": average_precision(truth, score),
        "kappa": counts.kappa,
        "sensitivity": counts.sensitivity,
        "specificity": counts.specificity,
        "ppv": counts.ppv,
        "npv": counts.npv,
        "f1": counts.f1,
        "harmonic": counts.harmonic,
        "brier": brier(truth, score),
        "log_loss": log_loss(truth, score),
        "ece": calibration_error(reliability(truth, score)),
    }
    found = {key: _number(value) for key, value in numbers.items()}
    sizes = {"n": counts.n, "n_pos": counts.n_pos, "n_neg": counts.n_neg}
    return {**sizes, **found, "undefined": of_label(found, counts)}


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


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
