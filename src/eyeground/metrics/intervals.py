"""How far the numbers of `judge` would move with other patients: for each number the interval that suits it.

docs/intervals.md tells how often each covers the truth and when it fails. Here they are put together: AUC and average
precision of the labels and their macro means by `auc_interval`, `ap_interval` and `macro_interval`, proportions of
patients by Wilson (J. Am. Stat. Assoc. 22, 1927; on the effective number of rows where patients have several:
drawing patients gives [1, 1] when all of a few positives are found), everything else by drawing patients. BCa was
tried for the numbers made of counts and of losses: with 200 and 1000 patients it held no more often than the
percentiles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.ap_interval import ap_interval
from eyeground.metrics.auc_interval import auc_interval
from eyeground.metrics.cells import sort_cells
from eyeground.metrics.counts import above
from eyeground.metrics.delong import people_of
from eyeground.metrics.drawn import per_label as per_label_of
from eyeground.metrics.drawn import pooled, summed, weighted
from eyeground.metrics.macro_interval import macro_ap_interval, macro_auc_interval
from eyeground.metrics.official import HALF
from eyeground.metrics.proportions import share_interval
from eyeground.metrics.reliability import ece_intervals
from eyeground.metrics.resample import Plan, Sample, percentile, prepare, resample, weights_of
from eyeground.vocabulary import Vocabulary

Array = NDArray[np.float64]
PROPORTIONS = ("sensitivity", "specificity", "ppv", "npv")
"""Shares of rows."""

BLOCK = 2_000_000
"""Weights (draws x patients) held at once. It does not change what is drawn."""


@dataclass(frozen=True)
class Bootstrap:
    """How often to draw, from which seed, and what share of test sets the intervals should cover."""

    draws: int = 2000
    seed: int = 0
    level: float = 0.95


@dataclass(frozen=True)
class _Case:
    """What is judged: labels (n, C), 0 where unknown; mask, scores (n, C); cuts (C,); where (n,) whose rows; plan."""

    labels: Array
    mask: NDArray[np.bool_]
    scores: Array
    cuts: Array
    where: NDArray[np.int64]
    plan: Bootstrap

    @property
    def people(self) -> int:
        return int(self.where.max()) + 1

    @property
    def alone(self) -> bool:
        """Whether every row is a patient of their own."""
        return self.people == len(self.labels)

    def column(self, label: int) -> tuple[Array, Array, NDArray[np.int64]]:
        """Truth, scores and patients of a label's known rows."""
        here = self.mask[:, label]
        return self.labels[here, label], self.scores[here, label], self.where[here]


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

    Patients are drawn with replacement, all their rows together. A number that a draw leaves undefined (a rare label
    without a positive) is left out of that draw and counted; with more than half of the draws undefined there is no
    interval. An interval says nothing about another training run, another clinic or another camera.

    Args:
        patients: (n,) who each row belongs to; None means that every row is a patient of their own.
        bootstrap: 2000 draws at 95 % when None.

    Returns:
        JSON-able: `level, draws, seed, patients`, then `[low, high]` or None per number, and `per_class`, a list of
        the same per label. `methods` names each number's method: "score", "wilson-jackknife" (average precision),
        "together" (macro means), "wilson", "wilson-effective" (several rows a patient), "percentile",
        "beyond-chance" (the ECE, always 95 %, see `reliability`).
        `undefined_draws`, also per label, counts for each drawn number the draws without it.

    Raises:
        ValueError: shapes differ, a known truth is not 0/1, or a known score is nan.
    """
    plan = bootstrap or Bootstrap()
    mask, scores = np.asarray(known, bool), np.asarray(probability, np.float64)
    labels = np.where(mask, np.asarray(truth, np.float64), 0.0)
    cuts = np.full(len(vocabulary), HALF) if thresholds is None else np.asarray(thresholds, np.float64)
    where = people_of(patients, len(labels))
    head: dict[str, Any] = {"level": plan.level, "draws": plan.draws, "seed": plan.seed}
    if not len(labels):
        return {**head, "patients": 0, "methods": {}, "per_class": [{"code": code} for code in vocabulary.codes]}
    case = _Case(labels, mask, scores, cuts, where, plan)
    sample = prepare(labels, mask, scores, where)
    over_labels, per_label = _draw(case, sample)
    result, methods, undefined = _bounded(over_labels, plan.level)
    result["macro_auc"] = macro_auc_interval(sample, plan.level)
    result["macro_ap"] = macro_ap_interval(sample, plan.level)
    methods |= dict.fromkeys(("macro_auc", "macro_ap"), "together")
    share = "wilson" if case.alone else "wilson-effective"
    result["exact_match"], methods["exact_match"] = _exact(case), share
    del undefined["exact_match"]
    pooled_ece, *eces = ece_intervals(labels, mask, scores, where, Plan(plan.draws, plan.seed))
    result["ece"], methods["ece"] = pooled_ece, "beyond-chance"
    rows = []
    for c, code in enumerate(vocabulary.codes):
        row, own, missing = _bounded({key: values[:, c] for key, values in per_label.items()}, plan.level)
        row |= {**_ranked(case, c), "ece": eces[c], **_proportions(case, c)}
        missing = {key: value for key, value in missing.items() if key not in PROPORTIONS}
        rows.append({"code": code, **row, "undefined_draws": missing})
    own |= {
        "ece": "beyond-chance",
        "auc": "score",
        "ap": "wilson-jackknife",
        **dict.fromkeys(PROPORTIONS, share),
    }
    about = {"methods": {**methods, "per_class": own}, "undefined_draws": undefined}
    return {**head, "patients": case.people, **about, **result, "per_class": rows}


def _draw(case: _Case, sample: Sample) -> tuple[dict[str, Array], dict[str, Array]]:
    """Numbers over all labels, (draws,) each, and per label, (draws, C) each, in every resample."""
    plan, both = Plan(case.plan.draws, case.plan.seed), sample.both()
    own = summed(case.labels, case.mask, case.scores, case.cuts, case.where)
    size = max(1, BLOCK // case.people)
    blocks = [range(start, min(start + size, plan.draws)) for start in range(0, plan.draws, size)]
    sums = [own.weighted(weights_of(case.people, plan, block).astype(np.float64)) for block in blocks]
    over = [pooled(one, both) for one in sums]
    over_labels = {key: np.concatenate([one[key] for one in over]) for key in over[0]}
    each = [per_label_of(one) for one in sums]
    cells = sort_cells(case.labels[case.mask], case.scores[case.mask], np.nonzero(case.mask)[0])
    cells = replace(cells, patient=case.where[cells.patient])
    ranks = resample(Sample((cells, *sample.labels), sample.people), plan)
    over_labels |= {"micro_auc": ranks.auc[:, 0], "micro_ap": ranks.ap[:, 0]}
    if own.complete:
        over_labels["auc"] = ranks.auc[:, 0]
        over_labels["final"] = (over_labels["kappa"] + over_labels["f1"] + ranks.auc[:, 0]) / 3
    if both:
        positives = np.concatenate([one.labels[:, both][:, :, [0, 2]].sum(axis=2) for one in sums])
        for key, values in (("weighted_auc", ranks.auc), ("weighted_ap", ranks.ap)):
            over_labels[key] = weighted(values[:, 1:][:, both], positives)
    per_label = {key: np.concatenate([one[key] for one in each]) for key in each[0]}
    if case.people == 1:  # every draw is that patient again: it says nothing of others
        nothing = [{key: np.full_like(value, np.nan) for key, value in one.items()} for one in (over_labels, per_label)]
        return nothing[0], nothing[1]
    return over_labels, per_label


def _bounded(
    values: dict[str, Array], level: float
) -> tuple[dict[str, list[float] | None], dict[str, Any], dict[str, int]]:
    """The interval of every drawn number, its method, and how many draws leave it undefined.

    Draws that all say the same (a perfect table) tell nothing of how it would be with others: no interval.
    """
    found = {key: percentile(one, level) for key, one in values.items()}
    bounds = {key: [one.low, one.high] if one.low < one.high else None for key, one in found.items()}
    return bounds, {key: one.method for key, one in found.items()}, {key: one.undefined for key, one in found.items()}


def _ranked(case: _Case, label: int) -> dict[str, list[float] | None]:
    truth, score, patients = case.column(label)
    if not len(truth):
        return {"auc": None, "ap": None}
    level = case.plan.level
    return {
        "auc": auc_interval(truth, score, patients, level),
        "ap": ap_interval(truth, score, patients, level),
    }


def _exact(case: _Case) -> list[float] | None:
    """Of the rows of which every cell is known, those with every call right."""
    whole = case.mask.all(axis=1)
    right = (above(case.scores, case.cuts) == (case.labels == 1)).all(axis=1)
    return share_interval(right[whole], case.where[whole], case.plan.level)


def _proportions(case: _Case, label: int) -> dict[str, list[float] | None]:
    truth, score, patients = case.column(label)
    positive, called = truth == 1, above(score, float(case.cuts[label]))
    of = {"sensitivity": (positive, called), "specificity": (~positive, ~called)}
    of |= {"ppv": (called, positive), "npv": (~called, ~positive)}
    return {key: share_interval(right[rows], patients[rows], case.plan.level) for key, (rows, right) in of.items()}
