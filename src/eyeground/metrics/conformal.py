"""Knowing when not to answer: for each label the set of answers that can't be ruled out, with a promised coverage.

Split conformal prediction within each class (Vovk, Gammerman & Shafer, "Algorithmic Learning in a Random World",
2005, section 4.5; Sadinle, Lei & Wasserman, JASA 114, 2019): of new patients who have the label, "present" is in the
set of at least 1 - alpha, and likewise "absent" for those who do not have it. This holds for any model and any number
of patients, as long as the new patients and those the cuts were chosen on are exchangeable. Where a patient came
several times, the worst visit stands for the patient: the promise is for all visits of a patient together.

The cuts are logits: a calibration keeps the order, so it neither changes the sets nor spoils the promise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.proportions import clopper_pearson
from eyeground.vocabulary import Vocabulary

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Answer = Literal["absent", "present"]
APPROXIMATE = (
    "the promise is approximate: the patients that the sets were chosen on also chose the epoch of the model, "
    "so the model may suit them a little better than new patients"
)


@dataclass(frozen=True)
class Cuts:
    """One label's sets.

    Attributes:
        code: the label.
        present_from: "present" is in the set from this logit on; None when there are too few positives to say.
        absent_to: "absent" is in the set up to this logit; None when there are too few negatives to say.
        n_pos, n_neg: patients (with at least one such visit) that the cuts were chosen on.
        reason: why there are no sets; empty where there are.
    """

    code: str
    present_from: float | None
    absent_to: float | None
    n_pos: int
    n_neg: int
    reason: str = ""

    @property
    def usable(self) -> bool:
        """Whether both classes had enough patients."""
        return self.present_from is not None and self.absent_to is not None

    def answers(self, logit: float) -> tuple[Answer, ...] | None:
        """What can't be ruled out. Both means uncertain; so does a logit like neither class, which gets both as well.

        Returns:
            None where there are no sets, or the logit is nan.
        """
        if self.present_from is None or self.absent_to is None or math.isnan(logit):
            return None
        present, absent = logit >= self.present_from, logit <= self.absent_to
        if present == absent:
            return ("absent", "present")
        return ("present",) if present else ("absent",)


@dataclass(frozen=True)
class Conformal:
    """The cuts of all labels, in vocabulary order. `note` says how far the promise goes."""

    alpha: float
    cuts: tuple[Cuts, ...]
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {"alpha": self.alpha, "note": self.note, "labels": [asdict(one) for one in self.cuts]}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Conformal:
        """The inverse of `to_dict`. Raises `ValueError` for an alpha outside (0, 1) or fields that do not fit."""
        try:
            cuts = tuple(Cuts(**one) for one in data["labels"])
            alpha, note = float(data["alpha"]), str(data["note"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"these are no label sets: {error}") from error
        return Conformal(_alpha(alpha), cuts, note)

    def contains(self, logits: ArrayLike) -> tuple[Mask, Mask]:
        """Whether "absent" and "present" are in the sets of logits (n, C): two bool (n, C).

        Both are false for a label without sets, and never otherwise (see `Cuts.answers`).
        """
        z = np.asarray(logits, np.float64)
        absent, present = np.zeros(z.shape, bool), np.zeros(z.shape, bool)
        for c, one in enumerate(self.cuts):
            if one.present_from is not None and one.absent_to is not None:
                low, high = z[:, c] <= one.absent_to, z[:, c] >= one.present_from
                absent[:, c], present[:, c] = low | ~high, high | ~low
        return absent, present


def needed(alpha: float) -> int:
    """The fewest patients of a class that a promise of 1 - alpha can rest on."""
    return math.ceil((1 - _alpha(alpha)) / alpha - 1e-9)


def fit(
    logits: ArrayLike,
    truth: ArrayLike,
    known: ArrayLike,
    patients: ArrayLike,
    vocabulary: Vocabulary,
    alpha: float = 0.1,
    note: str = APPROXIMATE,
) -> Conformal:
    """Chooses each label's cuts on patients that the model did not learn from.

    Args:
        logits: (n, C), any scores whose order matters.
        truth: (n, C), 0 or 1 where known.
        known: (n, C) bool.
        patients: (n,) who each row belongs to.
        alpha: how often the truth may be missing from the set, in each class.
        note: how far the promise goes for these patients.

    Raises:
        ValueError: shapes differ, a logit of a known cell is not finite, or alpha is outside (0, 1).
    """
    z, y, mask = np.asarray(logits, np.float64), np.asarray(truth, np.float64), np.asarray(known, bool)
    who = np.asarray(patients)
    if not z.shape == y.shape == mask.shape == (len(who), len(vocabulary)):
        raise ValueError(f"logits {z.shape}, truth {y.shape}, known {mask.shape}, patients {who.shape}: shapes differ")
    if not np.isfinite(z[mask]).all():
        raise ValueError("a logit is not finite")
    return Conformal(
        _alpha(alpha),
        tuple(_cuts(code, z[:, c], y[:, c], mask[:, c], who, alpha) for c, code in enumerate(vocabulary.codes)),
        note,
    )


def _cuts(code: str, z: Array, y: Array, mask: Mask, who: NDArray[Any], alpha: float) -> Cuts:
    positive, negative = mask & (y == 1), mask & (y == 0)
    low, high = -worst(-z[positive], who[positive]), worst(z[negative], who[negative])
    present, absent = quantile(-low, alpha), quantile(high, alpha)
    short = [
        f"{len(found)} {what}"
        for found, what in ((low, "positives"), (high, "negatives"))
        if len(found) < needed(alpha)
    ]
    reason = f"only {' and '.join(short)}, {needed(alpha)} are needed for {100 * (1 - alpha):g} %" if short else ""
    return Cuts(code, None if present is None else -present, absent, len(low), len(high), reason)


def worst(values: ArrayLike, who: NDArray[Any]) -> Array:
    """The largest value of each patient, in the order of their names."""
    people, person = np.unique(who, return_inverse=True)
    out = np.full(len(people), -np.inf)
    np.maximum.at(out, person, np.asarray(values, np.float64))
    return out


def quantile(values: Array, alpha: float) -> float | None:
    """The ceil((n + 1)(1 - alpha))-th smallest: a new value exceeds it with a chance of at most alpha; None if n is too
    small for that."""
    rank = math.ceil((len(values) + 1) * (1 - _alpha(alpha)) - 1e-9)
    return None if rank > len(values) else float(np.sort(values)[rank - 1])


def conformal_report(
    conformal: Conformal,
    logits: ArrayLike,
    truth: ArrayLike,
    known: ArrayLike,
    patients: ArrayLike,
    flagged: ArrayLike | None = None,
) -> dict[str, Any]:
    """How the sets did on patients that had no part in choosing them.

    A patient counts once: covered when the truth is in the set of every visit, uncertain when some visit is.

    Args:
        logits, truth, known, patients: as in `fit`, of other patients, uncalibrated logits.
        flagged: (n,) bool, visits of which every eye that was read carries a quality flag.

    Returns:
        JSON-able: `alpha`, `level` (1 - alpha), `note`; `per_class` a list with `code`, `n`, and as `{value, hits, n,
        interval}` (Clopper and Pearson's, 95 %; None without patients) `coverage`, `coverage_present`,
        `coverage_absent`, `uncertain` (share of patients), or the `reason` why there are no sets; `visits` with
        `uncertain` (a set of both in some label) and `abstained` (that, or flagged).

    Raises:
        ValueError: shapes differ.
    """
    z, y, mask = np.asarray(logits, np.float64), np.asarray(truth, np.float64), np.asarray(known, bool)
    who = np.asarray(patients)
    if not z.shape == y.shape == mask.shape == (len(who), len(conformal.cuts)):
        raise ValueError(f"logits {z.shape}, truth {y.shape}, known {mask.shape}, patients {who.shape}: shapes differ")
    absent, present = conformal.contains(z)
    both, covered = absent & present, np.where(y == 1, present, absent)
    rows = []
    for c, one in enumerate(conformal.cuts):
        here, row = mask[:, c], {"code": one.code, "n": int(mask[:, c].sum()), "reason": one.reason}
        if one.usable:
            for name, chosen in (("", here), ("_present", here & (y[:, c] == 1)), ("_absent", here & (y[:, c] == 0))):
                row[f"coverage{name}"] = _share(worst(~covered[chosen, c], who[chosen]) == 0)
            row["uncertain"] = _share(worst(both[:, c], who) > 0)
        rows.append(row)
    unsure = both.any(axis=1)
    refused = unsure | (np.zeros(len(who), bool) if flagged is None else np.asarray(flagged, bool))
    visits = {
        "uncertain": _share(worst(unsure, who) > 0),
        "abstained": _share(worst(refused, who) > 0),
    }
    level = 1 - conformal.alpha
    return {"alpha": conformal.alpha, "level": level, "note": conformal.note, "per_class": rows, "visits": visits}


def _share(hits: Mask) -> dict[str, Any]:
    n, number = len(hits), int(hits.sum())
    return {"value": number / n if n else None, "hits": number, "n": n, "interval": clopper_pearson(number, n)}


def _alpha(alpha: float) -> float:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is the share that may be missed, between 0 and 1, not {alpha}")
    return alpha
