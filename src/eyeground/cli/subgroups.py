"""Results by group on the terminal: AUCs of every group, and the largest gap with its interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from eyeground.cli.details import interval, number
from eyeground.metrics.compare_words import p_text

LABELS = 8
"""Labels side by side; more go into a further table."""

NAME = 15
"""Characters of a group's name in a line; longer ones are broken."""

SHORT = {"auc": "AUC", "sensitivity": "sens.", "specificity": "spec."}


def tables(found: dict[str, Any]) -> Iterator[RenderableType]:
    """Tables of `metrics.subgroups.subgroups`, at most 80 columns wide, and what to know to read them."""
    codes = [row["code"] for row in found["by"][0]["groups"][0]["per_class"]] if found["by"] else []
    for one in found["by"]:
        for start in range(0, len(codes), LABELS):
            yield _aucs(one, found, range(start, min(start + LABELS, len(codes))))
    if found["by"]:
        yield _macro(found)
        yield from _shown(found)
        yield Text(
            f"n<{found['suppressed_below']}: suppressed, fewer positive or negative patients.\n"
            "A macro AUC is over the labels shown in every group that shows any.\n"
            f"A gap's {found['level']:.0%} interval knows that the pair was picked as the farthest apart."
        )
    for line in found.get("left_out", []):
        yield Text(f"not parted by {line}")


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.padding = 0
    table.add_column("", max_width=NAME, overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _aucs(one: dict[str, Any], found: dict[str, Any], labels: range) -> Table:
    """A grouping: one row for each group, one column for each label, the gaps below."""
    rows = one["groups"]
    codes = [row["code"] for row in rows[0]["per_class"]][labels.start : labels.stop]
    unknown = f", unknown in {one['unknown']}" if one["unknown"] else ""
    title = f"AUC by {one['title'][0].lower()}{one['title'][1:]} ({one['source']}{unknown})"
    table = _table(title, "n", "macro", *codes)
    for row in rows:
        cells = [_cell(row["per_class"][c], found["suppressed_below"]) for c in labels]
        table.add_row(row["group"], str(row["n"]), number(row["macro_auc"]), *cells)
    gaps = {gap["code"]: gap for gap in one["largest_gap"]["per_class"] if gap["measure"] == "auc"}
    listed = [one["largest_gap"]["macro_auc"], *(gaps.get(code) for code in codes)]
    if not any(listed):
        return table
    table.add_section()
    table.add_row("largest gap", "", *(number(gap["gap"] if gap else None) for gap in listed), style="bold")
    for end, name in enumerate(("at least", "at most")):
        table.add_row(name, "", *(number(gap["interval"][end] if gap else None) for gap in listed))
    return table


def _cell(row: dict[str, Any], below: int) -> str:
    return f"n<{below}" if row["suppressed"] else number(row["auc"])


def _macro(found: dict[str, Any]) -> Table:
    """The largest gap in macro AUC of every grouping."""
    table = _table("largest gaps in macro AUC", "labels", "best", "worst", "gap", f"{found['level']:.0%}", "p, Holm")
    _spaced(table)
    for one in found["by"]:
        gap = one["largest_gap"]["macro_auc"]
        cells = _words(gap) if gap else ["–"] * 5
        table.add_row(one["name"], str(len(one["macro_labels"])), *cells)
    return table


def _shown(found: dict[str, Any]) -> Iterator[RenderableType]:
    """The labels' gaps that are left after Holm's correction."""
    gaps = [(one["name"], gap) for one in found["by"] for gap in one["largest_gap"]["per_class"]]
    if not gaps:
        yield Text("No label is shown in two groups: there are no gaps of labels.")
        return
    shown = [(name, gap) for name, gap in gaps if gap["p_holm"] <= 1 - found["level"]]
    if not shown:
        yield Text(f"{len(gaps)} gaps of labels in AUC, sensitivity, specificity: none beyond chance (Holm).")
        return
    title = f"gaps of labels beyond chance, of {len(gaps)}"
    table = _table(title, "", "", "best", "worst", "gap", f"{found['level']:.0%}", "p, Holm")
    _spaced(table)
    for name, gap in shown:
        table.add_row(name, gap["code"], SHORT[gap["measure"]], *_words(gap))
    yield table


def _words(gap: dict[str, Any]) -> Sequence[str]:
    p = p_text(gap["p_holm"]).removeprefix("p ").removeprefix("= ")
    bounds = interval(gap["interval"], 3, "–")
    return [*(_short(gap[key]) for key in ("best", "worst")), number(gap["gap"]), bounds, p]


def _short(name: str) -> str:
    """A group's name in so many characters; the tables above have it in full."""
    return name if len(name) <= NAME else name[: NAME - 2] + ".."


def _spaced(table: Table) -> None:
    table.padding = (0, 1, 0, 0)
