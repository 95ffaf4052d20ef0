"""Operating points: one threshold per label, chosen on validation data by a stated rule and then frozen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.ranking import as_binary
from eyeground.vocabulary import Vocabulary

Rule = Literal["f1", "youden", "fixed"]
Held = Literal["sensitivity", "specificity", "ppv"]
"""What an operating point can be asked to hold; see `aims`."""
FEWEST = 10
"""With fewer positives (or negatives) a chosen threshold is mostly chance; 0.5 is used instead."""


@dataclass(frozen=True)
class Threshold:
    """One label's operating point: called when the probability is strictly above `value`.

    `rule` is what chose it (`fixed` when there was too little to choose on), `reason` says so in words. `aim` is what
    was asked for by `aims`, such as 'sensitivity=0.9', and empty where the rule of all labels chose.
    """

    code: str
    value: float
    rule: Rule | Held
    n: int
    n_pos: int
    reason: str
    aim: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def choose(
    truth: ArrayLike, known: ArrayLike, probability: ArrayLike, vocabulary: Vocabulary, rule: Rule = "f1"
) -> tuple[Threshold, ...]:
    """Chooses a threshold per label.

    Candidates lie midway between neighbouring distinct probabilities (and between the outermost ones and 0 or 1).
    The best value of the rule wins; on a tie the lowest candidate, which misses the fewest.

    Args:
        truth: (n, C), 0 or 1 where known.
        known: (n, C) bool.
        probability: (n, C) in [0, 1]: calibrated ones, if that is what will be compared with the thresholds.
        vocabulary: C labels.
        rule: `f1` (F1 of the positive class), `youden` (sensitivity + specificity - 1) or `fixed` (0.5).
    """
    labels, mask = np.asarray(truth), np.asarray(known, dtype=bool)
    scores = np.asarray(probability, dtype=np.float64)
    return tuple(
        _choose_one(label.code, as_binary(labels[mask[:, c], c]), scores[mask[:, c], c], rule)
        for c, label in enumerate(vocabulary.labels)
    )


def _choose_one(code: str, positive: NDArray[np.bool_], score: NDArray[np.float64], rule: Rule) -> Threshold:
    n, n_pos = len(positive), int(positive.sum())
    if rule == "fixed":
        return Threshold(code, 0.5, "fixed", n, n_pos, "fixed at 0.5")
    for what, number in (("positives", n_pos), ("negatives", n - n_pos)):
        if number < FEWEST:
            reason = f"fixed at 0.5: only {number} {what} on the validation data, {FEWEST} are wanted"
            return Threshold(code, 0.5, "fixed", n, n_pos, reason)
    cuts = candidates(score)
    # positives and all cases strictly above each cut
    tp = n_pos - np.searchsorted(np.sort(score[positive]), cuts, side="right")
    called = n - np.searchsorted(np.sort(score), cuts, side="right")
    if rule == "f1":
        gain, words = 2 * tp / (n_pos + called), "highest F1"
    else:  # whole numbers, so that equal operating points tie exactly
        gain, words = tp * (n - n_pos) - (called - tp) * n_pos, "highest sensitivity + specificity"
    best = int(np.argmax(gain))
    return Threshold(code, float(cuts[best]), rule, n, n_pos, f"{words} on the validation data")


def candidates(score: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cuts that separate the distinct scores, ascending: lower <= cut < upper for every pair of neighbours."""
    levels = np.unique(score)
    ends = [levels[:1] / 2 if levels[0] > 0 else levels[:0], (levels[-1:] + 1) / 2 if levels[-1] < 1 else levels[:0]]
    middle = levels[:-1] + np.diff(levels) / 2
    middle = np.where(middle < levels[1:], middle, levels[:-1])  # neighbouring floats have nothing between them
    return np.concatenate([ends[0], middle, ends[1]])


def map_to_half(probability: ArrayLike, threshold: ArrayLike) -> NDArray[np.float64]:
    """Moves each threshold to 0.5 by a shift of the logit, so that a reader who cuts at 0.5 makes the same calls.

    Guaranteed for every float: `mapped > 0.5` exactly when `probability > threshold`, the threshold itself maps to
    0.5, and the map never reverses two probabilities of a label. The result is float64: rounding it to float32 can
    move values next to the threshold onto 0.5. Where the logit shift is infinite (threshold 0 or 1) the side that is
    left is stretched linearly.

    Args:
        probability: (..., C) in [0, 1].
        threshold: (C,) or a number, in [0, 1].

    Raises:
        ValueError: a threshold outside [0, 1].
    """
    p, t = np.broadcast_arrays(np.asarray(probability, np.float64), np.asarray(threshold, np.float64))
    if not ((t >= 0) & (t <= 1)).all():
        raise ValueError("a threshold is outside [0, 1]")
    # 1 / (1 + odds of absence): each operation is monotone in p under rounding, so the whole is
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mapped = 1 / (1 + (t * (1 - p)) / (p * (1 - t)))
    mapped = np.where(t == 0, 0.5 + p / 2, np.where(t == 1, p / 2, mapped))
    mapped = np.where(p > t, np.maximum(mapped, np.nextafter(0.5, 1)), mapped)
    mapped = np.where(p < t, np.minimum(mapped, np.nextafter(0.5, 0)), mapped)
    return np.where(p == t, 0.5, mapped)
