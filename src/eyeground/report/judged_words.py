"""The sentences and numbers of the judgement's page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eyeground.metrics.curves import LabelCurves
from eyeground.metrics.label_logic import in_words
from eyeground.report.forest import named, said
from eyeground.report.words import percent, sentence, when

__all__ = [
    "CONTENTS",
    "HEADLINES",
    "command",
    "facts",
    "number",
    "percent",
    "sentence",
    "summary",
    "undefined",
    "warnings",
    "when",
]

FEW = 10
"""Positives below which a label's numbers are called shaky."""
HEADLINES = (
    ("Label by label, then the mean", (("macro_auc", "macro AUC"), ("macro_ap", "macro average precision"))),
    (
        "The challenge's numbers: all cells pooled, cut at 0.5",
        (("kappa", "kappa"), ("f1", "“F1” = cell accuracy"), ("auc", "AUC, pooled"), ("final", "final, their mean")),
    ),
    (
        "All cells, and whole visits",
        (
            ("micro_ap", "average precision, pooled"),
            ("micro_precision", "precision at the thresholds"),
            ("micro_recall", "recall at the thresholds"),
            ("micro_f1", "F1 at the thresholds"),
            ("exact_match", "every call right"),
            ("brier", "Brier score"),
            ("log_loss", "log loss"),
            ("ece", "calibration error (ECE)"),
        ),
    ),
)


CONTENTS = (
    ("numbers", "Numbers"),
    ("labels", "Label by label"),
    ("roc", "ROC"),
    ("pr", "Precision and recall"),
    ("calibration", "Calibration"),
    ("decision", "Decision curves"),
    ("calls", "Right and wrong calls"),
    ("points", "Operating points"),
    ("subgroups", "Subgroups"),
    ("sets", "Label sets"),
    ("refusing", "Abstaining"),
    ("gallery", "Worst misses"),
    ("notes", "How it was done"),
)
"""Anchors and names of the page's sections; operating points, label sets and abstaining are not on every page."""


def number(value: float | None) -> str:
    """Three decimals; a dash where undefined."""
    return said(value)


def command(name: str, argv: Sequence[str]) -> str:
    """The command as it was given. Absolute paths keep their last name only: the rest tells of people and machines."""
    words = []
    for word in argv:
        flag, equals, value = word.rpartition("=") if word.startswith("--") else ("", "", word)
        words.append(flag + equals + (Path(value).name if Path(value).is_absolute() else value))
    return shlex.join(["eyeground", name, *words])


def facts(judgement: Mapping[str, Any], given: Mapping[str, str]) -> list[tuple[str, str]]:
    """What was judged, as pairs of heading and text."""
    found = []
    if "bundle" in judgement:
        found.append(("Model", f"method {judgement['bundle']['method']}, bundle {judgement['bundle']['digest'][:16]}…"))
    found += given.items()
    if "cohort" in judgement:
        one = judgement["cohort"]
        found.append(
            ("Cohort", f"layout {one['layout']}: {one['visits']} visits, {one['with_images']} with photographs")
        )
    if "part" in judgement:
        eyes = "only visits with both eyes" if judgement["both_eyes_only"] else "visits with one eye too"
        found.append(("Part", f"{judgement['part']}; {eyes}"))
    if "protocol" in judgement:
        one = judgement["protocol"]
        leaky = "LEAKY" if one["leaky"] else "not leaky"
        found.append(("Protocol", f"{one['name']}, version {one['version']}, {leaky}, {one['hash'][:16]}…"))
    bounds = judgement.get("intervals")
    people = f", {bounds['patients']} patients" if bounds else ""
    found.append(("Judged", f"{judgement['n']} visits{people}, {len(judgement['per_class'])} labels"))
    if "probabilities" in judgement:
        what = "with each threshold mapped to 0.5" if judgement["probabilities"] == "mapped" else "as calibrated"
        found.append(("Probabilities", what))
    if "leak_audit" in judgement:
        verdict = "passed" if judgement["leak_audit"]["passed"] else "FAILED"
        found.append(("Leak audit", f"{verdict}: {judgement['leak_audit']['text']}"))
    else:
        found.append(("Leak audit", "none: two tables do not tell whether these patients were in a model's training"))
    return found


def warnings(judgement: Mapping[str, Any]) -> list[str]:
    """What a reader must know before any number, the gravest first."""
    found = []
    audit = judgement.get("leak_audit", {})
    stamps = [part["stamp"] for part in (judgement, audit) if "stamp" in part]
    found += [one for k, one in enumerate(stamps) if not any(one in other for other in stamps[k + 1 :])]
    if audit.get("passed") is False:
        found.append(f"the leak audit failed: {audit['text']}")
    if judgement.get("truth_patients", judgement["n"]) > judgement["n"]:
        found.append(f"only {judgement['n']} of the truth's {judgement['truth_patients']} patients are judged")
    for key, words in (("unreadable", "could not be read"), ("not_there", "of the split are not on disk any more")):
        if judgement.get(key):
            many = judgement[key]
            found.append(f"{len(many)} photograph{'s' * (len(many) != 1)} {words}, such as {many[0]}")
    alone = judgement.get("one_eye", {"labels_of_the_unseen_eye": 0})
    if alone["labels_of_the_unseen_eye"]:
        found.append(
            f"{alone['visits']} visits are judged by one eye; {alone['labels_of_the_unseen_eye']} of them have a label "
            "that only the other eye can bear out"
        )
    found += in_words(judgement.get("label_logic", {}))
    lacking = [row["code"] for row in judgement["per_class"] if not (row["n_pos"] and row["n_neg"])]
    if lacking:
        found.append(
            f"means are over {judgement['macro_n']} labels, without those that lack a positive or a negative: "
            f"{', '.join(lacking)}"
        )
    few = [f"{row['code']} ({row['n_pos']})" for row in judgement["per_class"] if 0 < row["n_pos"] < FEW]
    if few:
        found.append(f"fewer than {FEW} positives, so read the interval before the number: {', '.join(few)}")
    return found


def summary(judgement: Mapping[str, Any], curves: Sequence[LabelCurves]) -> list[str]:
    """The judgement in sentences."""
    bounds = judgement.get("intervals") or {}
    lines = [
        f"Macro AUC {said(judgement['macro_auc'], bounds.get('macro_auc'))} and macro average precision "
        f"{said(judgement['macro_ap'], bounds.get('macro_ap'))} over {judgement['macro_n']} labels."
    ]
    ranked = sorted((row for row in judgement["per_class"] if row["auc"] is not None), key=lambda row: row["auc"])
    if len(ranked) > 1:
        low, high = ranked[0], ranked[-1]
        lines.append(
            f"Label by label the AUC runs from {low['auc']:.3f} ({low['name']}) to {high['auc']:.3f} ({high['name']})."
        )
    missed, positive = (sum(getattr(one.counts, key) for one in curves) for key in ("fn", "n_pos"))
    false, absent = (sum(getattr(one.counts, key) for one in curves) for key in ("fp", "n_neg"))
    if positive and absent:
        lines.append(
            f"At the thresholds {missed} of {positive} positives are missed ({missed / positive:.1%}) and {false} of "
            f"{absent} absences are called ({false / absent:.1%})."
        )
    blank = judgement["baselines"]["all_zeros"]
    if judgement["final"] is not None:
        lines.append(
            f"The challenge's final score is {said(judgement['final'], bounds.get('final'))}; a blank sheet scores "
            f"{said(blank['final'])} here."
        )
    return [line.replace("%", " %") for line in lines]


def undefined(judgement: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Numbers that are undefined and why: overall and by label, equal reasons put together."""
    found: dict[tuple[str, str], list[str]] = {}
    parts = [("all labels", judgement["undefined"])]
    parts += [(named(row), row["undefined"]) for row in judgement["per_class"]]
    for name, reasons in parts:
        for key, reason in reasons.items():
            found.setdefault((name, reason), []).append(key.replace("_", " "))
    return [(f"{name}: {', '.join(keys)}", reason) for (name, reason), keys in found.items()]
