"""Calibration, label sets and operating points, chosen anew on the validation part and frozen in a new bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eyeground import __version__
from eyeground.errors import DataError, UsageError, nearest
from eyeground.metrics import conformal
from eyeground.metrics.aims import Aim, Cases, achieved, aim_at
from eyeground.metrics.calibration import Method
from eyeground.metrics.calibration_choice import Choice, select
from eyeground.metrics.calibrators import sigmoid
from eyeground.metrics.judge import judge
from eyeground.metrics.reliability import compare
from eyeground.metrics.resample import Plan
from eyeground.metrics.thresholds import Threshold, choose
from eyeground.runs.bundle import CONFORMAL, Bundle, card_with, rewrite
from eyeground.runs.chosen import chosen_table
from eyeground.runs.held import Held

NEW_PATIENTS = "the promise holds for new patients who are exchangeable with those that the sets were chosen on"


@dataclass(frozen=True)
class Wish:
    """What `calibrate` is asked for: method, share that label sets may miss, draws and seed of the intervals."""

    method: Method | Literal["auto"] = "auto"
    alpha: float = 0.1
    draws: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise UsageError(f"--alpha {self.alpha:g} is the share that label sets may miss, between 0 and 1")
        if self.draws < 1:
            raise UsageError(f"--draws {self.draws} are no bootstrap: draw at least once")
        if self.seed < 0:
            raise UsageError(f"--seed {self.seed}: give 0 or more")


def calibrate(bundle: Bundle, held: Held, wish: Wish, out: Path) -> dict[str, Any]:
    """Fits calibration and label sets, chooses the thresholds again by the bundle's own rules, writes the new bundle.

    Returns:
        JSON-able: `method`, `reason`, `scores` of the methods tried, `words`, `reliability` (`metrics.reliability`:
        uncalibrated, before, after by cross-validation), `thresholds` (list: code, before, after, reason), `sets` (as
        in conformal.json, with `uncertain`: the share of these very visits with both answers), `chosen_on`, and a
        leaky protocol's `stamp`.

    Raises:
        DataError: an operating point of the bundle can't be reached any more.
        BundleError: `out` is the bundle itself, or holds something else.
    """
    cells = (held.logits, held.truth, held.known, held.patients)
    choice = select(*cells, wish.method, wish.seed)
    note = conformal.APPROXIMATE if held.seen_before else NEW_PATIENTS
    sets = conformal.fit(*cells, bundle.vocabulary, wish.alpha, note)
    probability = choice.calibration.apply(held.logits)
    rows = [_again(bundle, held, probability, c) for c in range(len(bundle.vocabulary))]
    versions = {
        "uncalibrated": sigmoid(held.logits),
        "before": bundle.calibration.apply(held.logits),
        "after": choice.foretold,
    }
    plan = Plan(wish.draws, wish.seed)
    report = compare(held.truth, held.known, versions, held.patients, bundle.vocabulary.codes, plan)
    thresholds = {**bundle.thresholds, "chosen_on": held.place, **_table(rows)}
    tables = {
        "calibration.json": _calibration(bundle, held, choice),
        "thresholds.json": thresholds,
        CONFORMAL: sets.to_dict(),
        "metrics.json": {
            **_metrics(bundle, held, probability, thresholds, "calibrate"),
            "calibration": {"after": "cross-validated over patients, choice of the method included", **report},
        },
        **_used(bundle, held, "calibrate"),
    }
    level = f"{100 * (1 - wish.alpha):g} %"
    line = f"calibration ({choice.calibration.words}), thresholds and label sets at {level}: {_on(held)}"
    rewrite(bundle, out, tables, {"card.md": card_with(bundle, line)})
    absent, present = sets.contains(held.logits)
    unsure = (absent & present).mean(axis=0)
    return {
        "method": choice.calibration.method,
        "words": choice.calibration.words,
        "reason": choice.reason,
        "scores": choice.scores,
        **({"stamp": bundle.stamp} if bundle.stamp else {}),
        "chosen_on": held.place,
        "reliability": report,
        "thresholds": [
            {
                "code": row["code"],
                "before": bundle.thresholds["values"][row["code"]],
                "after": row["value"],
                "reason": row["reason"],
            }
            for row in rows
        ],
        "sets": {
            **sets.to_dict(),
            "uncertain": [float(u) if one.usable else None for u, one in zip(unsure, sets.cuts, strict=True)],
        },
    }


def operating_point(bundle: Bundle, held: Held, aim: Aim, codes: Sequence[str], out: Path) -> dict[str, Any]:
    """Chooses thresholds for an aim, and writes the new bundle.

    Args:
        codes: labels to set; empty: all that it can be chosen for, the others stay as they are.

    Returns:
        JSON-able: `aim`, `chosen_on`, `labels`: per label that was set `code`, `before`, `after`, `reason` and
        `achieved` (`metrics.aims.achieved`); `unchanged`: the others with the reason.

    Raises:
        UsageError: no such label.
        DataError: it can't be chosen for one of `codes`, or, without `codes`, for no label.
        BundleError: `out` is the bundle itself, or holds something else.
    """
    for code in codes:
        if code not in bundle.vocabulary.codes:
            known = ", ".join(bundle.vocabulary.codes)
            raise UsageError(f"--label {code}: the bundle has {known}{nearest(code, bundle.vocabulary.codes)}")
    probability = bundle.calibration.apply(held.logits)
    rows, found, unchanged = list(bundle.thresholds["labels"]), [], []
    for c, code in enumerate(bundle.vocabulary.codes):
        if codes and code not in codes:
            continue
        cases = _cases(bundle, held, probability, c)
        try:
            chosen = aim_at(cases, aim)
        except DataError as error:
            if codes:
                raise
            unchanged.append({"code": code, "threshold": rows[c]["value"], "reason": str(error)})
            continue
        numbers = achieved(cases, chosen.value)
        found.append({"code": code, "before": rows[c]["value"], "after": chosen.value, "reason": chosen.reason})
        found[-1]["achieved"] = numbers
        rows[c] = {**chosen.to_dict(), "chosen_on": held.place, "achieved": numbers}
    if not found:
        raise DataError(f"{aim} can't be chosen for any label; the first: {unchanged[0]['reason']}")
    thresholds = {**bundle.thresholds, **_table(rows)}
    tables = {
        "thresholds.json": thresholds,
        "metrics.json": _metrics(bundle, held, probability, thresholds, "operating-point"),
        **_used(bundle, held, "operating-point"),
    }
    line = f"threshold of {', '.join(row['code'] for row in found)} for {aim}: {_on(held)}"
    rewrite(bundle, out, tables, {"card.md": card_with(bundle, line)})
    stamped = {"stamp": bundle.stamp} if bundle.stamp else {}
    return {"aim": str(aim), **stamped, "chosen_on": held.place, "labels": found, "unchanged": unchanged}


def _cases(bundle: Bundle, held: Held, probability: NDArray[np.float64], c: int) -> Cases:
    here = held.known[:, c]
    return Cases.of(bundle.vocabulary.codes[c], held.truth[here, c], probability[here, c], held.patients[here])


def _again(bundle: Bundle, held: Held, probability: NDArray[np.float64], c: int) -> dict[str, Any]:
    """One label's threshold chosen again, by the operating point it was given, else by the rule of the bundle."""
    aim = bundle.thresholds["labels"][c].get("aim", "")
    if aim:
        cases = _cases(bundle, held, probability, c)
        chosen = aim_at(cases, Aim.parse(aim))
        return {**chosen.to_dict(), "achieved": achieved(cases, chosen.value)}
    rows: tuple[Threshold, ...] = choose(
        held.truth, held.known, probability, bundle.vocabulary, bundle.thresholds["rule"]
    )
    return rows[c].to_dict()


def _table(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"values": {row["code"]: row["value"] for row in rows}, "labels": list(rows)}


def _calibration(bundle: Bundle, held: Held, choice: Choice) -> dict[str, Any]:
    """calibration.json, with the codes of the labels and how the method was chosen."""
    table = choice.calibration.to_dict()
    if "labels" in table:
        pairs = zip(bundle.vocabulary.codes, table["labels"], strict=True)
        table["labels"] = [{"code": code, **row} for code, row in pairs]
    return {**table, "fitted_on": held.place, "choice": {"reason": choice.reason, "scores": choice.scores}}


def _metrics(
    bundle: Bundle, held: Held, probability: NDArray[np.float64], thresholds: dict[str, Any], by: str
) -> dict[str, Any]:
    """metrics.json: judged again; the rest stays."""
    values = [float(thresholds["values"][code]) for code in bundle.vocabulary.codes]
    return {
        **bundle.metrics,
        **held.place,
        "note": f"on the part that chose {'epoch, ' * held.seen_before}calibration and thresholds: optimistic",
        "validation": judge(held.truth, held.known, probability, bundle.vocabulary, values),
        "made_from": {"digest": bundle.digest, "by": by, "eyeground_version": __version__},
    }


def _used(bundle: Bundle, held: Held, by: str) -> dict[str, Any]:
    """chosen_on.json, where these photographs are not the bundle's own."""
    return chosen_table(bundle, held.layout, held.place["split_hash"], by, held.prints)


def _on(held: Held) -> str:
    return f"chosen on {held.place['n']} validation visits of split {held.place['split_hash'][:12]}"
