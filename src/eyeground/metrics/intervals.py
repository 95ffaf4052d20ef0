"""How far the numbers would move with other patients: percentile bootstrap over patients, Wilson for proportions.

Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13; Wilson, J. Am. Stat. Assoc. 22, 1927.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.counts import above, count
from eyeground.metrics.official import HALF
from eyeground.vocabulary import Vocabulary

Array = NDArray[np.float64]
BLOCK = 500_000
"""Cells (draws x rows x labels) worked on at once: what stays in the processor's cache."""


@dataclass(frozen=True)
class Bootstrap:
    """How often to draw, from which state of the generator, and the share of draws inside the interval."""

    draws: int = 1000
    seed: int = 0
    level: float = 0.95


def intervals(
    truth: ArrayLike,
    known: ArrayLike,
    probability: ArrayLike,
    vocabulary: Vocabulary,
    thresholds: ArrayLike | None = None,
    patients: ArrayLike | None = None,
    bootstrap: Bootstrap | None = None,
) -> dict[str, Any]:
    """Intervals for the numbers of `judge`, which takes the same first five arguments.

    Patients are drawn with replacement, all their rows together. A number that a draw leaves undefined (a rare
    label without a positive) is left out of that draw; with fewer than half of the draws defined the interval is
    None. An interval says nothing about another training run or another clinic.

    Args:
        patients: (n,) who each row belongs to; None means that every row is a patient of their own.
        bootstrap: 1000 draws at 95 % when None.

    Returns:
        JSON-able: `level, draws, seed, patients`, then `[low, high]` or None per number, and `per_class`, a list of
        the same per label. Sensitivity, specificity, PPV and NPV have Wilson intervals where rows are patients.
    """
    plan = bootstrap or Bootstrap()
    mask, scores = np.asarray(known, bool), np.asarray(probability, np.float64)
    labels = np.where(mask, np.asarray(truth, np.float64), 0.0)
    cuts = np.full(len(vocabulary), HALF) if thresholds is None else np.asarray(thresholds, np.float64)
    group = np.arange(len(labels)) if patients is None else np.unique(np.asarray(patients), return_inverse=True)[1]
    people = int(group.max()) + 1 if len(group) else 0
    result: dict[str, Any] = {"level": plan.level, "draws": plan.draws, "seed": plan.seed, "patients": people}
    if not len(labels):
        return {**result, "per_class": [{"code": code} for code in vocabulary.codes]}
    pooled, per_label = [], []
    for weights in _weights(group, people, len(vocabulary), plan):
        pooled.append(_pooled(labels, mask, scores, weights))
        per_label.append(_per_label(labels, mask, scores, cuts, weights))
    drawn = {key: np.concatenate([block[key] for block in per_label]) for key in per_label[0]}
    for key in pooled[0]:
        result[key] = _bounds(np.concatenate([block[key] for block in pooled]), plan.level)
    both = [c for c in range(len(vocabulary)) if np.unique(labels[mask[:, c], c]).size == 2]
    for key in ("auc", "ap", "kappa", "f1") if both else ():
        # a draw that lacks a label has no macro mean: the mean over fewer labels is another number
        result[f"macro_{key}"] = _bounds(drawn[key][:, both].mean(axis=1), plan.level)
    result["per_class"] = []
    for c, code in enumerate(vocabulary.codes):
        row = {key: _bounds(values[:, c], plan.level) for key, values in drawn.items()}
        if people == len(labels):
            here = mask[:, c]
            row |= _proportions(labels[here, c], scores[here, c], float(cuts[c]), plan.level)
        result["per_class"].append({"code": code, **row})
    return result


def wilson(hits: int, n: int, level: float = 0.95) -> list[float] | None:
    """Wilson's score interval for a proportion; None when n is 0."""
    if n == 0:
        return None
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, square = hits / n, z * z / n
    half = z * math.sqrt(share * (1 - share) / n + square / (4 * n))
    low, high = ((share + square / 2 + sign * half) / (1 + square) for sign in (-1, 1))
    return [0.0 if hits == 0 else max(low, 0.0), 1.0 if hits == n else min(high, 1.0)]


def _weights(group: NDArray[np.int64], people: int, columns: int, plan: Bootstrap) -> Iterator[Array]:
    """How often each row is drawn: blocks (draws, n). The blocks do not change what is drawn."""
    generator = np.random.default_rng(plan.seed)
    size = max(1, BLOCK // (len(group) * columns))
    for start in range(0, plan.draws, size):
        draws = min(size, plan.draws - start)
        picks = np.stack([np.bincount(generator.integers(0, people, people), minlength=people) for _ in range(draws)])
        yield picks[:, group].astype(np.float64)


def _pooled(labels: Array, mask: NDArray[np.bool_], scores: Array, weights: Array) -> dict[str, Array]:
    """The challenge's numbers and the pooled positive F1 in every draw, each (draws,)."""
    rates = _rates(*(part.sum(axis=1) for part in _cells(labels, mask, above(scores, HALF), weights)))
    if not mask.all():
        return {"f1_positive": rates["f1"]}
    rows = np.repeat(np.arange(len(labels)), labels.shape[1])
    area = _ranked(labels.ravel(), scores.ravel(), weights, rows)[0]
    correct = rates["accuracy"]
    final = (rates["kappa"] + correct + area) / 3
    return {"kappa": rates["kappa"], "f1": correct, "auc": area, "final": final, "f1_positive": rates["f1"]}


def _per_label(labels: Array, mask: NDArray[np.bool_], scores: Array, cuts: Array, weights: Array) -> dict[str, Array]:
    """Every label's numbers in every draw, each (draws, C)."""
    rates = _rates(*_cells(labels, mask, above(scores, cuts), weights))
    del rates["accuracy"]
    known_rows = [np.flatnonzero(mask[:, c]) for c in range(len(cuts))]
    ranked = [_ranked(labels[rows, c], scores[rows, c], weights, rows) for c, rows in enumerate(known_rows)]
    areas, precisions = zip(*ranked, strict=True)
    return {"auc": np.stack(areas, axis=1), "ap": np.stack(precisions, axis=1), **rates}


def _cells(labels: Array, mask: NDArray[np.bool_], called: NDArray[np.bool_], weights: Array) -> tuple[Array, ...]:
    """True and false positives, false and true negatives per label in every draw, each (draws, C)."""
    positive = labels == 1
    parts = (positive & called, ~positive & called, positive & ~called, ~positive & ~called)
    tp, fp, fn, tn = (weights @ (part & mask).astype(np.float64) for part in parts)
    return tp, fp, fn, tn


def _rates(tp: Array, fp: Array, fn: Array, tn: Array) -> dict[str, Array]:
    """What `metrics.counts.Counts` computes, for arrays of counts; nan where undefined."""
    n = tp + fp + fn + tn
    chance = (tp + fn) * (tp + fp) + (tn + fp) * (tn + fn)
    return {
        "kappa": _ratio((tp + tn) * n - chance, n * n - chance),
        "sensitivity": _ratio(tp, tp + fn),
        "specificity": _ratio(tn, tn + fp),
        "ppv": _ratio(tp, tp + fp),
        "npv": _ratio(tn, tn + fn),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "accuracy": _ratio(tp + tn, n),
    }


def _ranked(truth: Array, score: Array, weights: Array, rows: NDArray[np.intp]) -> tuple[Array, Array]:
    """AUC and average precision in every draw, each (draws,): sorted once, then only the weights change.

    Args:
        truth, score: (m,) cells.
        weights: (draws, n) how often each row is drawn.
        rows: (m,) the row that each cell belongs to.
    """
    if len(truth) == 0:
        return np.full(len(weights), np.nan), np.full(len(weights), np.nan)
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(score[order]) != 0]))
    drawn = weights[:, rows[order]]
    positives = np.add.reduceat(drawn * truth[order], starts, axis=1)
    negatives = np.add.reduceat(drawn, starts, axis=1) - positives
    above_or_at = np.cumsum(positives, axis=1)
    n_pos, n_neg = above_or_at[:, -1], negatives.sum(axis=1)
    area = _ratio((negatives * (above_or_at - positives / 2)).sum(axis=1), n_pos * n_neg)
    precision = _ratio(above_or_at, above_or_at + np.cumsum(negatives, axis=1))
    return area, _ratio((positives * np.nan_to_num(precision)).sum(axis=1), n_pos)


def _proportions(truth: Array, score: Array, threshold: float, level: float) -> dict[str, list[float] | None]:
    counts = count(truth, score, threshold)
    return {
        "sensitivity": wilson(counts.tp, counts.n_pos, level),
        "specificity": wilson(counts.tn, counts.n_neg, level),
        "ppv": wilson(counts.tp, counts.tp + counts.fp, level),
        "npv": wilson(counts.tn, counts.tn + counts.fn, level),
    }


def _bounds(values: Array, level: float) -> list[float] | None:
    """The middle `level` of the defined draws; None when fewer than half of them are defined."""
    defined = values[~np.isnan(values)]
    if 2 * len(defined) < len(values):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return [float(low), float(high)]


def _ratio(above_line: Array, below_line: Array) -> Array:
    defined = below_line != 0
    return np.where(defined, above_line / np.where(defined, below_line, 1), np.nan)
