"""A judgement on the terminal: the challenge's numbers beside the macro ones and beside what a blank sheet scores."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from eyeground.cli import subgroups
from eyeground.cli.console import out
from eyeground.cli.details import interval, number, tables

POOLED = (("kappa", "kappa"), ("f1", "F1 (cell accuracy)"), ("auc", "AUC (pooled)"), ("final", "final"))
MACRO = (("macro_auc", "macro AUC"), ("macro_ap", "macro AP"))
CELLS = (
    ("micro_ap", "AP (pooled)"),
    ("micro_precision", "precision at cuts"),
    ("micro_recall", "recall at cuts"),
    ("micro_f1", "F1+ at cuts"),
    ("exact_match", "exact match"),
    ("brier", "Brier score"),
    ("log_loss", "log loss"),
    ("ece", "calibration error"),
)
CLOSER = (
    "ECE: calibration error. harm.: harmonic mean of sensitivity and specificity. F1+: F1 of positive cells, at 0.5.",
    "exact: visits with every call right. Thresholds of operating points are found on these same visits: optimistic.",
    "Certain is a visit whose calls are right with a high chance, by the probabilities, in the mean over labels.",
)
PER_CLASS = {
    "auc": "AUC",
    "ap": "AP",
    "kappa": "kappa",
    "sensitivity": "sens.",
    "specificity": "spec.",
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
    "threshold": "cut",
}


def print_judgement(judgement: dict[str, Any], title: str = "", console: Console | None = None) -> None:
    """Prints what `metrics.judge.judge` returned, as tables.

    Args:
        judgement: the dict; `intervals` (`metrics.intervals`) and `details` (`metrics.details`) are shown when there.
        title: what was judged, such as 'test part, 510 patients'.
        console: standard output when None.
    """
    target = console or out
    if judgement.get("stamp"):
        target.print(judgement["stamp"], markup=False, style="bold red")
    target.print(_summary(judgement, title))
    target.print(_per_class(judgement))
    for table in tables(judgement) if "details" in judgement else ():
        target.print(table)
    for part in subgroups.tables(judgement["subgroups"]) if "subgroups" in judgement else ():
        target.print(part)
    positive = number(judgement["f1_positive"])
    lines = [
        "kappa, F1, AUC and final are the challenge's: all cells pooled, called when strictly above 0.5.",
        f"Its F1 is cell accuracy; F1+, F1 of the positive cells, is {positive} at 0.5. At cuts: at the labels' own.",
        f"Means are over {judgement['macro_n']} of {len(judgement['per_class'])} labels; wtd. counts each as often as "
        "it has a positive. – is undefined.",
        *_left_out(judgement.get("intervals")),
        *(CLOSER if "details" in judgement else ()),
        *_legend(judgement),
        *(f"note: {line}" for line in judgement["notes"]),
    ]
    for line in lines:
        target.print(line, markup=False)


def _summary(judgement: dict[str, Any], title: str) -> Table:
    table = Table(
        title=title or f"{judgement['n']} patients", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("", no_wrap=True)
    table.add_column("predictions", justify="right", style="bold")
    intervals = judgement.get("intervals")
    if intervals:
        table.add_column(f"{intervals['level']:.0%} interval", justify="right")
    table.add_column("all zeros", justify="right", style="dim")
    table.add_column("prevalences", justify="right", style="dim")
    for group in (POOLED, MACRO, CELLS):
        for key, name in group:
            cells = [number(judgement[key], 4)]
            if intervals:
                cells.append(interval(intervals.get(key)))
            cells += [number(judgement["baselines"][row][key], 4) for row in ("all_zeros", "prevalence")]
            table.add_row(name, *cells, end_section=key in ("final", "macro_ap"))
    return table


def _per_class(judgement: dict[str, Any]) -> Table:
    """One row per label; fits 80 columns. The n is left out where it is everyone; the codes are explained below."""
    rows = judgement["per_class"]
    bounds = [row.get("auc") for row in judgement["intervals"]["per_class"]] if "intervals" in judgement else None
    all_known = all(row["n"] == judgement["n"] for row in rows)
    table = Table(title="per label, called when above its cut", title_justify="left", box=box.SIMPLE_HEAD)
    table.padding = 0
    headings = ["n", "pos.", *PER_CLASS.values()]
    table.add_column("", min_width=max(len(row["code"]) for row in rows))
    for heading in headings[all_known:]:
        width = 3 if heading in ("n", "pos.") else 5
        table.add_column(heading, justify="right", no_wrap=True, min_width=width)
        if heading == "AUC" and bounds:
            table.add_column(f"{judgement['intervals']['level']:.0%}", justify="right", no_wrap=True, min_width=9)
    for i, row in enumerate(rows):
        cells = [] if all_known else [str(row["n"])]
        cells.append(str(row["n_pos"]))
        for key in PER_CLASS:
            cells.append(number(row[key]))
            if key == "auc" and bounds:
                cells.append(interval(bounds[i], 2, "–"))
        table.add_row(row["code"], *cells)
    table.add_section()
    for average, name in (("macro", "mean"), ("weighted", "wtd.")):
        means: list[str] = [name, *([] if all_known else [""])]
        for key in PER_CLASS:
            means.append(number(judgement[f"{average}_{key}"]) if f"{average}_{key}" in judgement else "")
            if key == "auc" and bounds:
                means.append(interval(judgement["intervals"].get(f"{average}_auc"), 2, "–"))
        table.add_row("", *means, style="bold" if average == "macro" else "")
    return table


def _left_out(intervals: dict[str, Any] | None) -> list[str]:
    """How many draws lack a number, where some do."""
    if not intervals:
        return []
    parts = [intervals, *intervals["per_class"]]
    most = max((count for part in parts for count in part.get("undefined_draws", {}).values()), default=0)
    return (
        [f"Up to {most} of {intervals['draws']} draws lack a number and are left out of its interval."] if most else []
    )


def _legend(judgement: dict[str, Any]) -> list[str]:
    """What the label codes mean, where they are codes."""
    pairs = [f"{row['code']} {row['name']}" for row in judgement["per_class"] if row["code"] != row["name"]]
    return [", ".join(pairs) + "."] if pairs else []
