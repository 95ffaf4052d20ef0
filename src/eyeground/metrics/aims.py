"""Operating points that are asked for: a sensitivity, a specificity, a positive predictive value, best F1 or Youden.

A sensitivity seen on few patients flatters the threshold that was chosen on them. So the threshold is put not where h
of m patients with the label are found and h / m reaches what is wanted, but where h / (m + 1) does: that is the chance
of finding the next such patient, averaged over samples (the order statistics of exchangeable patients). Asked for a
confidence, the threshold is put where Clopper and Pearson's one-sided lower bound reaches what is wanted; as the
threshold is an order statistic whose rank was fixed beforehand, the bound keeps its level although the threshold was
chosen on these very patients (Wilks, Ann. Math. Stat. 12, 1941, tolerance limits).

The unit is the patient: found when called at every visit with the label, spared when never called at one without it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.errors import DataError, UsageError, nearest
from eyeground.metrics.conformal import worst
from eyeground.metrics.proportions import clopper_pearson
from eyeground.metrics.quantiles import beta_quantile
from eyeground.metrics.ranking import as_binary
from eyeground.metrics.thresholds import FEWEST, Held, Threshold, candidates, choose
from eyeground.vocabulary import Vocabulary

Array = NDArray[np.float64]
HELD: tuple[Held, ...] = get_args(Held)
BEST = ("youden", "f1")
SURE = " with confidence "
LEVEL = 0.95
"""Level of the intervals and of the one-sided lower bound."""


@dataclass(frozen=True)
class Aim:
    """What is wanted. `value`: in (0, 1), for the `HELD` kinds. `confidence`: how sure the next patients have it."""

    kind: Literal["sensitivity", "specificity", "ppv", "youden", "f1"]
    value: float | None = None
    confidence: float | None = None

    @staticmethod
    def parse(text: str, confidence: float | None = None) -> Aim:
        """From 'sensitivity=0.9', 'youden', or what `str` of an aim gives.

        Raises:
            UsageError: other words, a number outside (0, 1), or a confidence for what is only the best on a sample.
        """
        words, _, sure = text.partition(SURE)
        kind, _, number = words.partition("=")
        if kind not in (*HELD, *BEST):
            raise UsageError(
                f"no operating point '{text}'{nearest(kind, (*HELD, *BEST))}: "
                "there are sensitivity=, specificity= and ppv= with a number, youden and f1"
            )
        if kind in BEST and (number or sure or confidence is not None):
            raise UsageError(f"'{kind}' takes no number and no --confidence: it is the best point of the sample")
        value = None if kind in BEST else _between(number, f"{kind}=0.9", text)
        wanted = _between(sure, "0.95", sure) if sure else confidence
        return Aim(kind, value, None if wanted is None else _between(str(wanted), "0.95", str(wanted)))  # type: ignore[arg-type]

    def __str__(self) -> str:
        number = "" if self.value is None else f"={self.value:g}"
        return f"{self.kind}{number}" + ("" if self.confidence is None else f"{SURE}{self.confidence:g}")


@dataclass(frozen=True)
class Cases:
    """A label's known visits: truth (n,), probability (n,) in [0, 1], and whose they are."""

    code: str
    positive: NDArray[np.bool_]
    score: Array
    who: NDArray[Any]

    @staticmethod
    def of(code: str, truth: ArrayLike, score: ArrayLike, who: ArrayLike) -> Cases:
        """Raises `ValueError` for shapes that differ or a truth that is not 0/1."""
        cases = Cases(code, as_binary(truth), np.asarray(score, np.float64), np.asarray(who))
        if not cases.positive.shape == cases.score.shape == cases.who.shape:
            raise ValueError(f"{cases.positive.shape} truths, {cases.score.shape} scores, {cases.who.shape} patients")
        return cases

    def lowest_positive(self) -> Array:
        """Per patient with the label, the lowest probability of such a visit; ascending."""
        return np.sort(-worst(-self.score[self.positive], self.who[self.positive]))

    def highest_negative(self) -> Array:
        """Per patient with a visit without the label, the highest probability of such a visit; ascending."""
        return np.sort(worst(self.score[~self.positive], self.who[~self.positive]))


def aim_at(cases: Cases, aim: Aim) -> Threshold:
    """Chooses one label's threshold.

    Of all thresholds that reach what is wanted, the one that gives up the least of the other: the highest for a
    sensitivity, the lowest for a specificity or a PPV.

    Raises:
        DataError: fewer than `FEWEST` patients with or without the label, or it can't be reached; with what could be.
    """
    m_pos, m_neg = len(cases.lowest_positive()), len(cases.highest_negative())
    for what, number in (("with", m_pos), ("without", m_neg)):
        if number < FEWEST:
            raise DataError(
                f"{cases.code}: only {number} patients {what} the label on the validation part, {FEWEST} are needed to "
                "choose an operating point. Name other labels by --label, or validate on more patients"
            )
    n, n_pos = len(cases.score), int(cases.positive.sum())
    if aim.kind in BEST:
        one = Vocabulary.multilabel("one", (cases.code,))
        known = np.ones((n, 1), bool)
        found = choose(cases.positive[:, None], known, cases.score[:, None], one, aim.kind)[0]  # type: ignore[arg-type]
        return Threshold(found.code, found.value, found.rule, n, n_pos, found.reason, str(aim))
    assert aim.value is not None and aim.kind in HELD
    cut = {"sensitivity": _sensitive, "specificity": _specific, "ppv": _precise}[aim.kind](cases, aim)
    return Threshold(cases.code, cut, aim.kind, n, n_pos, f"chosen for {aim} on the validation data", str(aim))


def achieved(cases: Cases, threshold: float) -> dict[str, Any]:
    """What a threshold reaches on these cases.

    Returns:
        JSON-able: `sensitivity`, `specificity` (of patients) and `ppv`, `npv` (of visits), each `value`, `hits`, `n`,
        `interval` (Clopper and Pearson's, 95 %) and `at_least` (the one-sided 95 % lower bound); None without cases.
    """
    called = cases.score > threshold
    found, spared = cases.lowest_positive() > threshold, cases.highest_negative() <= threshold
    return {
        "sensitivity": _proportion(found),
        "specificity": _proportion(spared),
        "ppv": _proportion(cases.positive[called]),
        "npv": _proportion(~cases.positive[~called]),
    }


def rank_needed(m: int, aim: Aim) -> int:
    """How many of m patients must be right on the sample, so that `aim` holds for the next ones; m + 1 when none do."""
    assert aim.value is not None
    if aim.confidence is None:
        return math.ceil(aim.value * (m + 1) - 1e-9)
    low, high = 1, m + 1  # the bound rises with the hits
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _lower(middle, m, aim.confidence) >= aim.value else (middle + 1, high)
    return low


def _sensitive(cases: Cases, aim: Aim) -> float:
    scores = cases.lowest_positive()
    needed = rank_needed(len(scores), aim)
    if needed > len(scores):
        raise DataError(_impossible(cases.code, aim, len(scores), "with"))
    cuts = candidates(cases.score)
    below = cuts[cuts < scores[len(scores) - needed]]
    if not len(below):
        raise DataError(
            f"{cases.code}: {aim} can't be reached: {len(scores) - needed + 1} positives have probability 0"
        )
    return float(below[-1])


def _specific(cases: Cases, aim: Aim) -> float:
    scores = cases.highest_negative()
    needed = rank_needed(len(scores), aim)
    if needed > len(scores):
        raise DataError(_impossible(cases.code, aim, len(scores), "without"))
    cuts = candidates(cases.score)
    above = cuts[cuts >= scores[needed - 1]]
    if not len(above):
        raise DataError(f"{cases.code}: {aim} can't be reached: too many negatives have probability 1")
    return float(above[0])


def _precise(cases: Cases, aim: Aim) -> float:
    """The lowest cut that calls `FEWEST` visits or more and is right often enough. No order statistic: approximate."""
    best = 0.0
    for cut in candidates(cases.score):
        called = cases.positive[cases.score > cut]
        if len(called) < FEWEST:
            break
        share = (
            float(called.mean()) if aim.confidence is None else _lower(int(called.sum()), len(called), aim.confidence)
        )
        best = max(best, share)
        if aim.value is not None and share >= aim.value:
            return float(cut)
    raise DataError(
        f"{cases.code}: {aim} can't be reached on the validation part: the most with {FEWEST} calls is {best:.3f}"
    )


def _impossible(code: str, aim: Aim, m: int, what: str) -> str:
    """What is the most that m patients can promise, and how many would do."""
    assert aim.value is not None
    if aim.confidence is None:
        most, wanted = m / (m + 1), aim.value / (1 - aim.value)
    else:  # all k of k found: the bound is (1 - confidence) ** (1 / k)
        most, wanted = (1 - aim.confidence) ** (1 / m), math.log(1 - aim.confidence) / math.log(aim.value)
    return (
        f"{code}: {aim} can't be promised by {m} patients {what} the label, whatever the threshold: the most is "
        f"{most:.3f}; {math.ceil(wanted - 1e-9)} such patients are needed. Ask for less, or validate on more patients"
    )


def _lower(hits: int, n: int, confidence: float) -> float:
    """Clopper and Pearson's one-sided lower bound."""
    return 0.0 if hits == 0 else beta_quantile(1 - confidence, hits, n - hits + 1)


def _proportion(right: NDArray[np.bool_]) -> dict[str, Any] | None:
    n, hits = len(right), int(right.sum())
    if not n:
        return None
    return {
        "value": hits / n,
        "hits": hits,
        "n": n,
        "interval": clopper_pearson(hits, n, LEVEL),
        "at_least": _lower(hits, n, LEVEL),
    }


def _between(text: str, example: str, asked: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise UsageError(f"'{asked}': give a number between 0 and 1, such as {example}")
    return value
