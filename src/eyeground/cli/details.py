"""The closer look of a judgement on the terminal: probabilities, eyes, operating points, groups of visits, refusing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich import box
from rich.table import Table

REFUSED = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""Shares of visits answered that are printed; JSON has more."""

GROUPS = {"one_label": "one", "several_labels": "several"}


def number(value: float | None, digits: int = 3) -> str:
    """A number for a table; undefined is a dash, never 0."""
    return "–" if value is None else f"{value:.{digits}f}"


def interval(bounds: list[float] | None, digits: int = 3, between: str = " to ") -> str:
    """An interval for a table; undefined is a dash."""
    return "–" if bounds is None else between.join(f"{bound:.{digits}f}" for bound in bounds)


def tables(judgement: dict[str, Any]) -> Iterator[Table]:
    """Tables of `metrics.details.details` and the labels' probabilities; none is wider than 80 columns with two points.

    Args:
        judgement: of `metrics.judge.judge`, with `details`.
    """
    found = judgement["details"]
    yield _probabilities(judgement)
    if "by_eyes" in found:
        yield _eyes(found["by_eyes"])
    if found["operating"]:
        yield _points(found["operating"])
    yield _groups(found["by_label_count"])
    yield _refusing(found["abstaining"])
    if "label_sets" in judgement:
        yield _label_sets(judgement["label_sets"])
    if "exclusive" in found:
        yield _exclusive(found["exclusive"])


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _probabilities(judgement: dict[str, Any]) -> Table:
    keys = {"brier": "Brier", "log_loss": "log loss", "ece": "ECE", "harmonic": "harm."}
    table = _table("per label, how far the probabilities are right", *keys.values())
    for row in judgement["per_class"]:
        table.add_row(row["code"], *(number(row[key]) for key in keys))
    table.add_section()
    table.add_row("mean", *(number(judgement[f"macro_{key}"]) for key in keys), style="bold")
    return table


def _eyes(found: dict[str, Any]) -> Table:
    table = _table("per label, ill in one eye or in both", *("n one", "AUC", "95%", "n both", "AUC", "95%"))
    kinds = ("one_eye", "both_eyes")
    for row in found["per_class"]:
        parts = [row[kind] for kind in kinds]
        cells = [(str(one["n_pos"]), number(one["auc"]), interval(one["auc_interval"], 2, "–")) for one in parts]
        table.add_row(row["code"], *(cell for three in cells for cell in three))
    table.add_section()
    means = [("", number(found["macro_auc"][kind]), "") for kind in kinds]
    table.add_row(f"mean of {found['macro_n']}", *(cell for three in means for cell in three), style="bold")
    return table


def _points(found: list[dict[str, Any]]) -> Table:
    prevalence = found[0]["prevalence"]
    of = "PPV" if prevalence is None else f"PPV at a prevalence of {prevalence:.1%}"
    title = f"operating points: sensitivity, specificity, {of}"
    table = _table(title, *(one["point"] for one in found))
    keys = ("sensitivity", "specificity", "ppv" if prevalence is None else "ppv_at_prevalence")
    for rows in zip(*(one["per_class"] for one in found), strict=True):
        table.add_row(rows[0]["code"], *(_at_point(row, keys) for row in rows))
    return table


def _at_point(row: dict[str, Any], keys: tuple[str, ...]) -> str:
    """The numbers at a point; beneath them the intervals of those that it does not hold itself."""
    if row["at"] is None:
        return "–"
    bounds = row.get("intervals", {})
    columns = [(number(row["at"][key], 2), interval(bounds[key], 2, "–") if key in bounds else "") for key in keys]
    lines = [" ".join(f"{cell:>9}" for cell in line).rstrip() for line in zip(*columns, strict=True)]
    return "\n".join(line.ljust(29) for line in lines if line.strip())


def _groups(found: dict[str, Any]) -> Table:
    headings = ("n", "labels", "AUC", "95%", "AP", "95%", "F1+", "exact")
    table = _table("visits with one label and with several (macro AUC and AP over so many labels)", *headings)
    for key, name in GROUPS.items():
        one = found[key]
        ranked = []
        for measure in ("macro_auc", "macro_ap"):
            ranked += [number(one[measure]), interval(one["intervals"][measure], 2, "–")]
        table.add_row(
            name,
            str(one["n"]),
            str(one["macro_n"]),
            *ranked,
            number(one["f1_positive"], 2),
            number(one["exact_match"], 2),
        )
    return table


def _refusing(found: dict[str, Any]) -> Table:
    """The curve at a few shares; the nearest point that answers as many."""
    points = [next((one for one in found["points"] if one["answered"] >= share - 1e-9), None) for share in REFUSED]
    table = _table("when the least certain visits are refused", *(f"{share:.0%}" for share in REFUSED), "area")
    for key, name in (("error", "wrong calls"), ("missed", "missed positives")):
        cells = [number(one[key] if one else None) for one in points]
        table.add_row(name, *cells, number(found[f"area_{key}"]))
    return table


def _label_sets(found: dict[str, Any]) -> Table:
    """How often the truth was in the label set, beside what was promised."""
    visits = {name: _percent(found["visits"][name]) for name in ("uncertain", "abstained")}
    title = (
        f"label sets that promise {found['level']:.0%}: patients whose truth was in the set ({visits['uncertain']} "
        f"are uncertain in some label, {visits['abstained']} that or badly photographed)"
    )
    table = _table(title, "ill", "in the set", "95%", "well", "in the set", "95%", "unsure")
    for row in found["per_class"]:
        if "coverage" not in row:
            table.add_row(row["code"], *["–"] * 7)
            continue
        cells = []
        for one in (row["coverage_present"], row["coverage_absent"]):
            cells += [str(one["n"]), _percent(one), interval(one["interval"], 2, "–")]
        table.add_row(row["code"], *cells, _percent(row["uncertain"]))
    return table


def _percent(share: dict[str, Any]) -> str:
    return "–" if share["value"] is None else f"{share['value']:.0%}"


def _exclusive(found: dict[str, Any]) -> Table:
    keys = ("accuracy", "kappa", "kappa_linear", "kappa_quadratic", "macro_harmonic")
    names = [key for key in keys if key in found]
    table = _table("the most probable class", "n", *(name.replace("_", " ") for name in names))
    table.add_row("", str(found["n"]), *(number(found[name]) for name in names))
    return table
