"""Forest plots as rows of a table: a name, its counts, and for each number a mark with its interval on one axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Axis:
    """What is drawn, from where to where, in steps; `reference` is where chance lies, None where it differs by row."""

    title: str
    low: float
    high: float
    reference: float | None

    @property
    def ticks(self) -> list[float]:
        """From the low end to the high one, six or fewer."""
        step = 0.1 if self.high - self.low <= 0.55 else 0.25 if self.low == 0 else 0.2
        count = round((self.high - self.low) / step)
        return [round(self.high - step * k, 2) for k in range(count, -1, -1)]

    def place(self, value: float) -> float:
        """Per cent of the axis, held within it."""
        return round(100 * min(1.0, max(0.0, (value - self.low) / (self.high - self.low))), 2)


@dataclass(frozen=True)
class Mark:
    """One number of a row. `reference` is chance for this row; `reason` says why there is no number."""

    value: float | None
    interval: Sequence[float] | None
    reason: str = ""
    reference: float | None = None

    @property
    def text(self) -> str:
        """The number and its interval, three decimals and two; a dash where undefined."""
        return said(self.value, self.interval)


@dataclass(frozen=True)
class Row:
    """`kind` is "mean", "heading" or ""; `note` stands where a row has no marks (a suppressed cell)."""

    name: str
    counts: tuple[str, ...]
    marks: tuple[Mark, ...] = ()
    kind: str = ""
    note: str = ""


@dataclass(frozen=True)
class Forest:
    """A whole plot: headings of the counts, one axis for each mark, the rows."""

    caption: str
    counts: tuple[str, ...]
    axes: tuple[Axis, ...]
    rows: tuple[Row, ...]


def said(value: float | None, interval: Sequence[float] | None = None) -> str:
    """`0.893 (0.87–0.91)`; a dash where undefined."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.3f}" + (f" ({interval[0]:.2f}–{interval[1]:.2f})" if interval else "")


def axis(title: str, marks: Sequence[Mark], reference: float | None) -> Axis:
    """An axis to 1 that begins at a tenth below everything drawn; at 0 where chance differs by row."""
    ends = [mark.value for mark in marks if mark.value is not None]
    ends += [mark.interval[0] for mark in marks if mark.interval]
    low = 0.0 if reference is None else math.floor(10 * min([reference, *ends]) + 1e-9) / 10
    return Axis(title, low, 1.0, reference)


def labels(judgement: Mapping[str, Any]) -> Forest:
    """AUC and average precision of every label and their macro means, with intervals where there are any."""
    bounds = judgement.get("intervals") or {}
    rows = []
    of = dict(zip([row["code"] for row in judgement["per_class"]], bounds.get("per_class", ()), strict=False))
    for row in judgement["per_class"]:
        mine, why = of.get(row["code"], {}), row["undefined"]
        share = row["n_pos"] / row["n"] if row["n"] else None
        marks = (
            Mark(row["auc"], mine.get("auc"), why.get("auc", "")),
            Mark(row["ap"], mine.get("ap"), why.get("ap", ""), share),
        )
        rows.append(Row(named(row), (str(row["n_pos"]), str(row["n"])), marks))
    why = judgement["undefined"]
    means = tuple(Mark(judgement[key], bounds.get(key), why.get(key, "")) for key in ("macro_auc", "macro_ap"))
    rows.append(Row(f"Mean of {judgement['macro_n']} labels", ("", ""), means, kind="mean"))
    auc = axis("AUC", [row.marks[0] for row in rows], 0.5)
    return Forest("", ("positive", "visits"), (auc, axis("Average precision", [], None)), tuple(rows))


def subgroups(by: Mapping[str, Any], names: Mapping[str, str], floor: int) -> list[Forest]:
    """One subgrouping as two plots: macro AUC of its groups; and AUC, sensitivity and specificity label by label.

    Args:
        by: one of `judgement["subgroups"]["by"]`.
        names: label names by code.
        floor: cells with fewer positives or negatives are suppressed.
    """
    rows = []
    for group in by["groups"]:
        mark = Mark(group["macro_auc"], group["macro_auc_interval"], group["undefined"].get("macro_auc", ""))
        counts = (str(group["n"]), str(group["patients"]), str(group["macro_n"]))
        rows.append(Row(str(group["group"]), counts, (mark,)))
    top = axis("macro AUC", [row.marks[0] for row in rows], 0.5)
    cells = [(str(group["group"]), row) for group in by["groups"] for row in group["per_class"]]
    below: list[Row] = []
    for code in dict.fromkeys(row["code"] for _, row in cells):
        told = [_cell(name, row, floor) for name, row in cells if row["code"] == code]
        nothing = not any(row.marks for row in told)
        note = f"suppressed in every group: fewer than {floor} positives or negatives" if nothing else ""
        below += [Row(names.get(code, code), (), note=note, kind="heading"), *([] if nothing else told)]
    auc = axis("AUC", [row.marks[0] for row in below if row.marks], 0.5)
    axes = (auc, Axis("Sensitivity", 0, 1, None), Axis("Specificity", 0, 1, None))
    return [
        Forest("", ("visits", "patients", "labels"), (top,), tuple(rows)),
        Forest("Label by label", ("positive", "visits"), axes, tuple(below)),
    ]


def _cell(group: str, row: Mapping[str, Any], floor: int) -> Row:
    """One label in one group; a suppressed one says so and shows no number, not even its small count."""
    if row["suppressed"]:
        return Row(group, ("", ""), note=f"suppressed: fewer than {floor} positives or negatives")
    keys = ("auc", "sensitivity", "specificity")
    why = row["undefined"]
    marks = tuple(Mark(row[key], row[f"{key}_interval"], why.get(key, "")) for key in keys)
    return Row(group, (str(row["n_pos"]), str(row["n"])), marks)


def named(row: Mapping[str, Any]) -> str:
    """`Glaucoma (G)`, or the code alone where it is the name too."""
    return str(row["code"]) if row["code"] == row["name"] else f"{row['name']} ({row['code']})"
