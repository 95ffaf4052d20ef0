"""Limits that the run itself proves: each a sentence with its numbers, and the places that they come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eyeground.metrics.proportions import wilson
from eyeground.report.card_input import Evaluation, Run
from eyeground.report.facts import Fact, bounded, count, fact

FEW = 30
"""With fewer positives than this a label's numbers are called weak; its interval says how weak."""


def limit_facts(run: Run) -> Iterator[Fact]:
    """One fact, 'limits', with every limit that was found; there is always one, as a bundle is one training run."""
    found = list(limits(run))
    yield Fact("limits", tuple(one.lines[0] for one in found), tuple(one.sources[0] for one in found))


def limits(run: Run) -> Iterator[Fact]:
    """Each limit as a fact of its own, one line from one source."""
    yield fact(
        "one_run", "One training run: how much another seed would change is not measured.", "config.toml#recipe.seed"
    )
    fixed = [
        row for row in run.bundle.thresholds["labels"] if row["rule"] == "fixed" and row["reason"].startswith("fixed")
    ]
    if fixed and run.bundle.thresholds["rule"] != "fixed":
        told = ", ".join(f"{row['code']} ({row['n_pos']} positives)" for row in fixed)
        text = f"Too few cases to choose a threshold, 0.5 is used: {told}."
        yield fact("fixed_thresholds", text, "thresholds.json#labels")
    if "parts" not in run.bundle.metrics:
        text = "The bundle does not record sex, age and labels of the training visits."
        yield fact("unknown_people", text, "metrics.json")
    if not run.evaluations:
        text = "No evaluation was given: the only numbers are those of the validation part, which are optimistic."
        yield fact("no_evaluation", text, "metrics.json#note")
    for one in run.evaluations:
        yield from _stamps(one)
        yield from _labels(one)
        yield from _missing(one)
        yield from _sureness(one)
    own = run.split["hash"]
    if run.evaluations and all(one.data.get("split_hash") == own for one in run.evaluations):
        text = "Every evaluation is on the bundle's own split: nothing is shown of other clinics, cameras or people."
        yield fact("internal_only", text, "split.json#hash")


def _stamps(one: Evaluation) -> Iterator[Fact]:
    if one.stamps:
        text = f"{one.head}: its numbers are no evidence of performance on new patients."
        yield fact("stamp", text, f"{one.name}#leak_audit")
    if "intervals" not in one.data:
        yield fact("no_intervals", f"{one.head}: no intervals.", one.name)
    if not one.data.get("subgroups"):
        yield fact("no_subgroups", f"{one.head}: no results of groups of people.", one.name)


def _labels(one: Evaluation) -> Iterator[Fact]:
    rows = one.data["per_class"]
    where = f"{one.name}#per_class"
    weak = [row for row in rows if 0 < row["n_pos"] < FEW]
    if weak:
        told = ", ".join(f"{row['code']} {row['n_pos']}" for row in weak)
        yield fact("few_positives", f"{one.head}: fewer than {FEW} visits with the label: {told}.", where)
    undefined = [row["code"] for row in rows if not row["n_pos"] or not row["n_neg"]]
    if undefined:
        text = f"{one.head}: not judged, as there is no positive or no negative: {', '.join(undefined)}."
        yield fact("undefined", text, where)
    partial = [f"{row['code']} ({one.data['n'] - row['n']})" for row in rows if row["n"] < one.data["n"]]
    if partial:
        yield fact("unknown_labels", f"{one.head}: visits whose label is unknown: {', '.join(partial)}.", where)


def _missing(one: Evaluation) -> Iterator[Fact]:
    data = one.data
    alone = data.get("one_eye") or {}
    if alone.get("visits"):
        text = (
            f"{one.head}: {count(alone['visits'], 'visit')} judged by one eye; "
            f"in {alone['labels_of_the_unseen_eye']:,} of them a label is of the eye that is not there."
        )
        yield fact("one_eye", text, f"{one.name}#one_eye")
    if data.get("both_eyes_only"):
        text = f"{one.head}: visits with one eye were left out: nothing is shown of them."
        yield fact("both_eyes_only", text, f"{one.name}#both_eyes_only")
    gone = [count(len(data.get(key, [])), words) for key, words in MISSING.items() if data.get(key)]
    if gone:
        yield fact("missing", f"{one.head}: {', '.join(gone)}.", one.name)


MISSING = {"unreadable": "unreadable photograph", "not_there": "missing photograph"}


def _sureness(one: Evaluation) -> Iterator[Fact]:
    """ECE with its interval, and whether high probabilities say more than is true."""
    data = one.data
    if "ece" in data:
        told = bounded(data["ece"], data.get("intervals", {}).get("ece"))
        yield fact("ece", f"{one.head}: ECE over all labels {told}.", f"{one.name}#ece")
    bins = [
        bin_ for row in data.get("details", {}).get("reliability", []) for bin_ in row["bins"] if bin_["mean"] > 0.5
    ]
    n = sum(bin_["n"] for bin_ in bins)
    if n:
        yield fact("sureness", f"{one.head}: {_compared(bins, n)}", f"{one.name}#details.reliability")


def _compared(bins: list[dict[str, Any]], n: int) -> str:
    said = sum(bin_["n"] * bin_["mean"] for bin_ in bins) / n
    hits = round(sum(bin_["n"] * bin_["share"] for bin_ in bins))
    low, high = wilson(hits, n) or (0.0, 1.0)
    verdict = "overconfident" if said > high else "underconfident" if said < low else "no difference is shown"
    return (
        f"in bins whose mean probability is above 0.5 ({n:,} cells), it says {said:.3f} and {hits / n:.3f} "
        f"({low:.3f}–{high:.3f}, Wilson, cells taken as independent) are true: {verdict}."
    )
