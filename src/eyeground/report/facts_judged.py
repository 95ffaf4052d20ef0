"""What evaluations prove: who was judged, by which measures, with which result. A stamped one says so in every line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from eyeground.report.card_input import Evaluation, Run
from eyeground.report.facts import Fact, bounded, count, fact
from eyeground.report.facts_training import people

Line = Callable[[Evaluation, Run], str | None]
CLUSTERS = ("camera", "device", "site", "centre", "center", "clinic", "hospital", "country")
"""Names of groupings that are clusters in TRIPOD's sense; sex and age are not."""
NAMES = {
    "macro_auc": "macro AUC",
    "macro_ap": "macro AP",
    "final": "the challenge's final score",
    "brier": "Brier score",
    "log_loss": "log loss",
    "ece": "ECE",
}


def judged_facts(run: Run) -> Iterator[Fact]:
    """Facts of all evaluations: a line for each evaluation that has something to say."""
    if not run.evaluations:
        yield fact(
            "study.what", "A model was developed; no evaluation of it was given to this card.", "config.toml#method"
        )
        return
    parts = ", ".join(one.title for one in run.evaluations)
    text = f"A model was developed and evaluated ({parts})."
    sources = [f"{one.name}#part" for one in run.evaluations]
    yield fact("study.what", text, "config.toml#method", *sources, stamped=not run.honest)
    for key, (line, where) in LINES.items():
        told = [(one, line(one, run)) for one in run.evaluations]
        kept = [(one, text) for one, text in told if text]
        if kept:
            lines = [f"{one.head}: {text}" for one, text in kept]
            places = [f"{one.name}#{where}" for one, _ in kept]
            yield fact(key, lines, *places, stamped=all(one.stamps for one, _ in kept))


def row_bounds(data: dict[str, Any], code: str) -> dict[str, Any]:
    """The intervals of one label; empty where none were made."""
    rows = data.get("intervals", {}).get("per_class", [])
    return next((row for row in rows if row["code"] == code), {})


def _what(one: Evaluation, run: Run) -> str:
    data = one.data
    cohort, split = data["cohort"], data.get("split_hash")
    eyes = ", visits with both eyes only" if data.get("both_eyes_only") else ""
    place = f"{data['part']} part of split `{split[:12]}`" if split else "every visit with a photograph"
    return f"layout `{cohort['layout']}`, {place}{eyes}; {data['probabilities']} probabilities."


def _audit(one: Evaluation, run: Run) -> str:
    audit = one.data["leak_audit"]
    return f"leak audit {'passed' if audit.get('passed') else 'NOT passed'}: {audit.get('text', 'no text')}."


def _flow(one: Evaluation, run: Run) -> str:
    data, cohort = one.data, one.data["cohort"]
    gone = [count(len(data.get("unreadable", [])), "unreadable photograph")]
    if "not_there" in data:
        gone.append(f"{count(len(data['not_there']), 'photograph')} not there any more")
    read = (
        f"{cohort['visits']:,} visits in the cohort, {cohort['with_images']:,} with a photograph, {data['n']:,} judged"
    )
    return f"{read}; {', '.join(gone)}."


def _outcomes(one: Evaluation, run: Run) -> str:
    rows = ", ".join(f"{row['code']} {row['n_pos']} of {row['n']}" for row in one.data["per_class"])
    return f"visits with the label: {rows}."


def _characteristics(one: Evaluation, run: Run) -> str | None:
    return people(one.data["judged"]) if "judged" in one.data else None


def _overall(keys: tuple[str, ...]) -> Line:
    def line(one: Evaluation, run: Run) -> str | None:
        data, bounds = one.data, one.data.get("intervals", {})
        told = [f"{NAMES[key]} {bounded(data[key], bounds.get(key))}" for key in keys if key in data]
        return f"n = {data['n']:,} visits; {', '.join(told)}." if told else None

    return line


def _labels(one: Evaluation, run: Run) -> str:
    told = []
    for row in one.data["per_class"]:
        auc = bounded(row["auc"], row_bounds(one.data, row["code"]).get("auc"))
        told.append(f"{row['code']} {auc} with {row['n_pos']} of {row['n']}")
    return f"AUC of each label: {'; '.join(told)}."


def _operating(one: Evaluation, run: Run) -> str:
    told = []
    for row in one.data["per_class"]:
        bounds = row_bounds(one.data, row["code"])
        pair = [f"{key} {bounded(row[key], bounds.get(key))}" for key in ("sensitivity", "specificity")]
        told.append(f"{row['code']} ({row['n_pos']} of {row['n']}) {', '.join(pair)}")
    return f"at the bundle's thresholds: {'; '.join(told)}."


def _measures(one: Evaluation, run: Run) -> str:
    ours = ("auc", "ap", "kappa", "sensitivity", "specificity", "ppv", "npv", "f1", "brier", "log_loss", "ece")
    there = [key for key in ours if key in one.data["per_class"][0]]
    challenge = "the challenge's kappa, cell accuracy, pooled AUC and their mean beside macro means"
    return f"per label {', '.join(there)}; {challenge}."


def _intervals(one: Evaluation, run: Run) -> str | None:
    found = one.data.get("intervals")
    if not found:
        return None
    methods = found.get("methods", {})
    own = methods.get("per_class", {})
    named = ", ".join(f"{key} {how}" for key, how in own.items()) or "methods not recorded"
    drawn = f"{found['draws']:,} draws of {found['patients']:,} patients, seed {found['seed']}"
    return f"{found['level']:.0%} intervals, {drawn}; per label: {named}."


def _subgroups(one: Evaluation, run: Run) -> str | None:
    found = one.data.get("subgroups")
    if not found:
        return None
    told = [f"{by['title']} ({', '.join(str(group['group']) for group in by['groups'])})" for by in found["by"]]
    small = f"cells with fewer than {found['suppressed_below']} suppressed (tables in card.md)"
    return f"results by {'; '.join(told)}; {small}."


def _gaps(one: Evaluation, run: Run) -> str | None:
    told = []
    for by in (one.data.get("subgroups") or {}).get("by", []):
        gap = (by.get("largest_gap") or {}).get("macro_auc")
        if gap:
            told.append(f"{by['title']}: {gap['best']} over {gap['worst']} by {bounded(gap['gap'], gap['interval'])}")
    return f"largest gap of macro AUC: {'; '.join(told)}." if told else None


def _clusters(one: Evaluation, run: Run) -> str | None:
    told = []
    for by in (one.data.get("subgroups") or {}).get("by", []):
        if by["name"].lower() in CLUSTERS:
            gap = (by.get("largest_gap") or {}).get("macro_auc")
            said = (
                f"largest gap of macro AUC {bounded(gap['gap'], gap['interval'])}" if gap else "no two can be compared"
            )
            told.append(f"{by['title']} ({', '.join(str(group['group']) for group in by['groups'])}): {said}")
    return f"{'; '.join(told)}." if told else None


def _groups(one: Evaluation, run: Run) -> str | None:
    found = one.data.get("details", {}).get("by_label_count")
    if not found:
        return None
    told = []
    for name, words in (("one_label", "one label"), ("several_labels", "several labels")):
        group = found[name]
        auc = bounded(group["macro_auc"], group.get("intervals", {}).get("macro_auc"))
        told.append(f"visits with {words}: n = {group['n']}, macro AUC {auc} over {group['macro_n']} labels")
    return f"{'; '.join(told)}."


def _one_eye(one: Evaluation, run: Run) -> str | None:
    found = one.data.get("one_eye")
    if not found:
        return None
    unseen = f"{found['labels_of_the_unseen_eye']:,} of them with a label that this eye does not bear out"
    return f"{count(found['visits'], 'visit')} judged by one eye, {unseen}."


def _internal(one: Evaluation, run: Run) -> str | None:
    if one.data.get("split_hash") != run.split["hash"]:
        return None
    return f"{one.data['part']} part of the bundle's own split: the same source as the training visits."


def _elsewhere(one: Evaluation, run: Run) -> str | None:
    if one.data.get("split_hash") == run.split["hash"]:
        return None
    ours, theirs = run.bundle.config["data"]["layout"], one.data["cohort"]["layout"]
    layout = "the same layout" if ours == theirs else f"layout `{theirs}`, trained on `{ours}`"
    return f"not the bundle's own split, {layout}. That it is another source is for the authors to say."


def _failures(one: Evaluation, run: Run) -> str:
    told = []
    for row in one.data["per_class"]:
        missed = None if row["sensitivity"] is None else round(row["n_pos"] * (1 - row["sensitivity"]))
        false = None if row["specificity"] is None else round(row["n_neg"] * (1 - row["specificity"]))
        many = [
            f"undefined {what}" if value is None else f"{value} of {total} {what}"
            for value, total, what in ((missed, row["n_pos"], "missed"), (false, row["n_neg"], "called falsely"))
        ]
        told.append(f"{row['code']} {', '.join(many)}")
    return f"{'; '.join(told)}."


LINES: dict[str, tuple[Line, str]] = {
    "judged.what": (_what, "cohort"),
    "judged.audit": (_audit, "leak_audit"),
    "judged.flow": (_flow, "cohort"),
    "judged.outcomes": (_outcomes, "per_class"),
    "judged.characteristics": (_characteristics, "judged"),
    "judged.performance": (_overall(("macro_auc", "macro_ap", "final")), "macro_auc"),
    "judged.calibration": (_overall(("brier", "log_loss", "ece")), "brier"),
    "judged.labels": (_labels, "per_class"),
    "judged.operating": (_operating, "per_class"),
    "judged.measures": (_measures, "per_class"),
    "judged.intervals": (_intervals, "intervals"),
    "judged.subgroups": (_subgroups, "subgroups"),
    "judged.gaps": (_gaps, "subgroups"),
    "judged.clusters": (_clusters, "subgroups.by"),
    "judged.groups": (_groups, "details.by_label_count"),
    "judged.one_eye": (_one_eye, "one_eye"),
    "judged.internal": (_internal, "split_hash"),
    "judged.elsewhere": (_elsewhere, "cohort.layout"),
    "judged.failures": (_failures, "per_class"),
}
"""Key to the line of one evaluation, and the place it comes from."""
