"""The card's tables of numbers. Undefined is a word, suppressed stays suppressed, a stamp is in every heading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from eyeground.metrics.reasons import INFINITE
from eyeground.report.card_input import Evaluation
from eyeground.report.facts import bounded, count, number, safe
from eyeground.report.facts_judged import row_bounds

Row = tuple[str, ...]
OVERALL = (
    ("kappa", "kappa (challenge)"),
    ("f1", "F1 (challenge: cell accuracy)"),
    ("auc", "AUC, pooled (challenge)"),
    ("final", "final (challenge: mean of the three)"),
    ("macro_auc", "macro AUC"),
    ("macro_ap", "macro AP"),
    ("macro_f1", "macro F1"),
    ("exact_match", "all labels right"),
    ("brier", "Brier score"),
    ("log_loss", "log loss"),
    ("ece", "ECE"),
)
SUPPRESSED = "suppressed"


@dataclass(frozen=True)
class Table:
    """A table: title, where its numbers come from, columns, rows of text and lines below it."""

    title: str
    source: str
    columns: Row
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"title": self.title, "source": self.source, "rows": rows, "notes": list(self.notes)}

    def markdown(self) -> str:
        """A pipe table with its title, source and notes."""
        lines = [
            f"**{safe(self.title)}** (source: `{self.source}`)",
            "",
            _pipes(self.columns),
            _pipes(["---"] * len(self.columns)),
        ]
        lines += [_pipes(row) for row in self.rows]
        return "\n".join([*lines, *(f"\n{safe(note)}" for note in self.notes)])


def tables_of(one: Evaluation) -> tuple[Table, ...]:
    """All tables of one evaluation but those of subgroups."""
    return (_overall(one), _ranking(one), _operating(one), *_calibration(one))


def _overall(one: Evaluation) -> Table:
    data, bounds, baselines = one.data, one.data.get("intervals", {}), one.data.get("baselines", {})
    rows = []
    for key, words in OVERALL:
        if key in data:
            blank = [_of(baselines, name, key) for name in ("all_zeros", "prevalence")]
            rows.append((words, bounded(data[key], bounds.get(key)), *blank))
    level = f"{bounds['level']:.0%} interval" if bounds else "no intervals"
    columns = ("all labels together", f"value ({level})", "a blank sheet", "prevalences")
    notes = [f"n = {count(data['n'], 'visit')}; macro means are over {count(data['macro_n'], 'label')}."]
    notes += _reasons(data.get("undefined"), [key for key, _ in OVERALL if key in data and data[key] is None])
    if "log_loss" in baselines.get("all_zeros", {}) and baselines["all_zeros"]["log_loss"] is None:
        notes.append(f"Undefined: log_loss of a blank sheet: {INFINITE}.")
    return _table(one, "all labels", one.name, columns, rows, notes)


def _ranking(one: Evaluation) -> Table:
    rows, notes = [], []
    for row in one.data["per_class"]:
        bounds = row_bounds(one.data, row["code"])
        cells = [bounded(row[key], bounds.get(key)) for key in ("auc", "ap")]
        rows.append((row["code"], row.get("name", ""), str(row["n"]), str(row["n_pos"]), *cells))
        notes += _row_reasons(row, ("auc", "ap"))
    return _table(one, "ranking", f"{one.name}#per_class", ("label", "name", "n", "n_pos", "AUC", "AP"), rows, notes)


def _operating(one: Evaluation) -> Table:
    keys = ("sensitivity", "specificity", "ppv", "npv")
    rows, notes = [], []
    for row in one.data["per_class"]:
        bounds = row_bounds(one.data, row["code"])
        cells = [bounded(row[key], bounds.get(key)) for key in keys]
        rows.append((row["code"], str(row["n_pos"]), str(row["n_neg"]), number(row["threshold"]), *cells))
        notes += _row_reasons(row, keys)
    columns = ("label", "n_pos", "n_neg", "threshold", "sensitivity", "specificity", "PPV", "NPV")
    notes.append("PPV and NPV are those of this share of ill visits.")
    return _table(one, "at the frozen thresholds", f"{one.name}#per_class", columns, rows, notes)


def _calibration(one: Evaluation) -> Iterator[Table]:
    bins = {row["code"]: row["bins"] for row in one.data.get("details", {}).get("reliability", [])}
    if not bins:
        return
    rows, notes = [], []
    for row in one.data["per_class"]:
        bounds = row_bounds(one.data, row["code"])
        said = mean_said(bins.get(row["code"], []))
        share = row["n_pos"] / row["n"] if row["n"] else None
        cells = [bounded(row[key], bounds.get(key)) for key in ("ece", "brier")]
        rows.append((row["code"], str(row["n"]), str(row["n_pos"]), number(said), number(share), *cells))
        notes += _row_reasons(row, ("ece", "brier"))
    columns = ("label", "n", "n_pos", "mean probability", "share positive", "ECE", "Brier score")
    yield _table(one, "calibration", f"{one.name}#details.reliability", columns, rows, notes)


def mean_said(bins: Sequence[dict[str, Any]]) -> float | None:
    """The mean probability over bins; None without cases."""
    n = sum(one["n"] for one in bins)
    return sum(one["n"] * one["mean"] for one in bins) / n if n else None


def subgroup_tables(one: Evaluation) -> tuple[Table, ...]:
    """Two tables per trait: AUC, sensitivity and specificity of each label in each group, and the largest gaps."""
    found = one.data.get("subgroups") or {"by": []}
    tables = ([_subgroup(one, by, found["suppressed_below"]), *_gaps(one, by)] for by in found["by"])
    return tuple(table for each in tables for table in each)


def _subgroup(one: Evaluation, by: dict[str, Any], below: int) -> Table:
    rows, notes = [], []
    for group in by["groups"]:
        macro = bounded(group["macro_auc"], group.get("macro_auc_interval"))
        rows.append((str(group["group"]), f"all ({group['macro_n']})", str(group["n"]), "", macro, "", ""))
        notes += _reasons(
            group.get("undefined"), ["macro_auc"] if group["macro_auc"] is None else [], str(group["group"])
        )
        for row in group["per_class"]:
            if row["suppressed"]:
                rows.append((str(group["group"]), row["code"], str(row["n"]), *[SUPPRESSED] * 4))
                continue
            keys = ("auc", "sensitivity", "specificity")
            cells = [bounded(row[key], row.get(f"{key}_interval")) for key in keys]
            rows.append((str(group["group"]), row["code"], str(row["n"]), str(row["n_pos"]), *cells))
            notes += _row_reasons(row, keys, str(group["group"]))
    notes.append(
        f"Suppressed: fewer than {below} with or without the label. From {by['source']}; not known of "
        f"{count(by['unknown'], 'visit')}."
    )
    if by.get("macro_labels"):
        notes.append(f"All: the mean over the labels that every compared group has ({', '.join(by['macro_labels'])}).")
    where = f"{one.name}#subgroups.by"
    columns = ("group", "label", "n", "n_pos", "AUC", "sensitivity", "specificity")
    return _table(one, f"by {by['title'].lower()}", where, columns, rows, notes)


def _gaps(one: Evaluation, by: dict[str, Any]) -> Iterator[Table]:
    """The largest gap between two groups for every measure that has one; none where no two groups can be compared."""
    largest = by.get("largest_gap") or {}
    macro = largest.get("macro_auc")
    found = [("all", "macro AUC", macro)] if macro else []
    found += [(gap["code"], gap["measure"], gap) for gap in largest.get("per_class") or []]
    rows = []
    for code, measure, gap in found:
        p = number(gap["p_holm"]) if gap.get("p_holm") is not None else "not told"
        rows.append((code, measure, str(gap["best"]), str(gap["worst"]), bounded(gap["gap"], gap["interval"]), p))
    if rows:
        columns = ("label", "measure", "best group", "worst group", "gap", "p after Holm")
        where = f"{one.name}#subgroups.by"
        notes = ["The best and the worst were picked after looking."]
        yield _table(one, f"largest gaps by {by['title'].lower()}", where, columns, rows, notes)


def _table(
    one: Evaluation, what: str, source: str, columns: Sequence[str], rows: Sequence[Row], notes: Sequence[str]
) -> Table:
    """A table headed by its evaluation, its stamps and what it shows."""
    stamp = f" [STAMPED: {'; '.join(one.stamps)}]" if one.stamps else ""
    return Table(f"{one.title}: {what}{stamp}", source, tuple(columns), tuple(rows), tuple(notes))


def _of(baselines: dict[str, Any], name: str, key: str) -> str:
    row = baselines.get(name, {})
    return number(row[key]) if key in row else "not told"


def _row_reasons(row: dict[str, Any], keys: Sequence[str], group: str = "") -> list[str]:
    return _reasons(row.get("undefined"), [key for key in keys if row[key] is None], f"{group} {row['code']}".strip())


def _reasons(undefined: dict[str, str] | None, missing: Sequence[str], where: str = "") -> list[str]:
    """A line for each undefined number, with the reason that the evaluation gives."""
    of = f" of {where}" if where else ""
    return [f"Undefined: {key}{of}: {(undefined or {}).get(key, 'no reason recorded')}." for key in missing]


def _pipes(cells: Sequence[str]) -> str:
    return f"| {' | '.join(safe(cell).replace('|', chr(92) + '|') for cell in cells)} |"
