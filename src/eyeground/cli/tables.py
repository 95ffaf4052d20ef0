"""A judgement on the terminal: the challenge's numbers beside the macro ones and beside what a blank sheet scores."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from eyeground.cli.console import out

POOLED = (("kappa", "kappa"), ("f1", "F1 (cell accuracy)"), ("auc", "AUC (pooled)"), ("final", "final"))
MACRO = (("macro_auc", "macro AUC"), ("macro_ap", "macro AP"))
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


def number(value: float | None, digits: int = 3) -> str:
    """A number for a table; undefined is a dash, never 0."""
    return "–" if value is None else f"{value:.{digits}f}"


def print_judgement(judgement: dict[str, Any], title: str = "", console: Console | None = None) -> None:
    """Prints what `metrics.judge.judge` returned, as tables.

    Args:
        judgement: the dict; its `intervals` (`metrics.intervals`) are shown when they are there.
        title: what was judged, such as 'test part, 510 patients'.
        console: standard output when None.
    """
    target = console or out
    target.print(_summary(judgement, title))
    target.print(_per_class(judgement))
    positive = number(judgement["f1_positive"])
    lines = [
        "kappa, F1, AUC and final are the challenge's: all cells pooled, called when strictly above 0.5.",
        f"Its F1 is cell accuracy; the F1 of the positive cells is {positive}.",
        f"Macro means are over {judgement['macro_n']} of {len(judgement['per_class'])} labels. – is undefined.",
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
    for group in (POOLED, MACRO):
        for key, name in group:
            cells = [number(judgement[key], 4)]
            if intervals:
                cells.append(_interval(intervals.get(key)))
            cells += [number(judgement["baselines"][row][key], 4) for row in ("all_zeros", "prevalence")]
            table.add_row(name, *cells, end_section=key == "final")
    return table


def _per_class(judgement: dict[str, Any]) -> Table:
    """One row per label; fits 80 columns. The n is left out where it is everyone; the codes are explained below."""
    rows = judgement["per_class"]
    bounds = [row.get("auc") for row in judgement["intervals"]["per_class"]] if "intervals" in judgement else None
    all_known = all(row["n"] == judgement["n"] for row in rows)
    table = Table(title="per label, called when above its cut", title_justify="left", box=box.SIMPLE_HEAD)
    table.padding = 0
    headings = ["n", "n pos", *PER_CLASS.values()]
    table.add_column("", min_width=max(len(row["code"]) for row in rows))
    for heading in headings[all_known:]:
        table.add_column(heading, justify="right", no_wrap=True, min_width=5)
        if heading == "AUC" and bounds:
            table.add_column(f"{judgement['intervals']['level']:.0%}", justify="right", no_wrap=True, min_width=9)
    for i, row in enumerate(rows):
        cells = [] if all_known else [str(row["n"])]
        cells.append(str(row["n_pos"]))
        for key in PER_CLASS:
            cells.append(number(row[key]))
            if key == "auc" and bounds:
                cells.append(_interval(bounds[i], 2, "–"))
        table.add_row(row["code"], *cells)
    table.add_section()
    means: list[str] = ["mean", *([] if all_known else [""])]
    for key in PER_CLASS:
        means.append(number(judgement[f"macro_{key}"]) if f"macro_{key}" in judgement else "")
        if key == "auc" and bounds:
            means.append(_interval(judgement["intervals"].get("macro_auc"), 2, "–"))
    table.add_row("", *means, style="bold")
    return table


def _legend(judgement: dict[str, Any]) -> list[str]:
    """What the label codes mean, where they are codes."""
    pairs = [f"{row['code']} {row['name']}" for row in judgement["per_class"] if row["code"] != row["name"]]
    return [", ".join(pairs) + "."] if pairs else []


def _interval(bounds: list[float] | None, digits: int = 3, between: str = " to ") -> str:
    return "–" if bounds is None else between.join(f"{bound:.{digits}f}" for bound in bounds)
