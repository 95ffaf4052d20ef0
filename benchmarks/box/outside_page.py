"""The tables of docs/outside.md, made from the record of `benchmarks.box.outside`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.pages import fill

PAGE = Path(__file__).parents[2] / "docs" / "outside.md"
GRADES = {
    "idrid": {"0": "none", "1": "mild NPDR", "2": "moderate NPDR", "3": "severe NPDR", "4": "PDR"},
    "tvhl": {"0": "none", "1": "NPDR", "2": "PDR", "unknown": "not told"},
}
ENDPOINTS = {
    "any_dr": "any DR",
    "referable_dr": "referable DR",
    "severe_dr": "severe DR",
    "proliferative_dr": "PDR",
    "dme": "macular oedema",
}


def write_page(path: Path, page: Path = PAGE) -> None:
    """Puts the tables between the page's `<!-- NAME -->` and `<!-- end -->`."""
    figures = json.loads(path.read_text(encoding="utf-8"))["figures"]
    tables = {
        "as read": as_read(figures),
        "grades": grades(figures),
        "variants": variants(figures),
        "fields": fields(figures),
    }
    fill(page, tables)


def fields(figures: Mapping[str, Any]) -> Iterator[str]:
    """TVHL's wide-field patients and the others, as read."""
    yield "| TVHL, any DR | n (with) | AUC | sensitivity | specificity |"
    yield "|---|---|---|---|---|"
    for row in figures["cohorts"]["tvhl"]["variants"]["as read"]["fields"]:
        cells = [
            row["fields"],
            f"{row['n']} ({row['n_pos']})",
            *(_with(row, name) for name in ("sensitivity", "specificity")),
        ]
        cells.insert(2, _with(row, "auc", 3))
        yield f"| {' | '.join(cells)} |"


def as_read(figures: Mapping[str, Any]) -> Iterator[str]:
    """Every target, at the full read path."""
    yield "| cohort | answer | against | n (with) | AUC | sensitivity | specificity | mean probability too high by |"
    yield "|---|---|---|---|---|---|---|---|"
    for layout, found in figures["cohorts"].items():
        for row in found["variants"]["as read"]["targets"]:
            cells = [
                f"`{layout}`",
                row["label"],
                ENDPOINTS[row["endpoint"]],
                f"{row['n']} ({row['n_pos']})",
                _with(row, "auc", 3),
                _with(row, "sensitivity"),
                _with(row, "specificity"),
                _with(row, "too_high_by", 2, "+"),
            ]
            yield f"| {' | '.join(cells)} |"


def grades(figures: Mapping[str, Any]) -> Iterator[str]:
    """D by grade, as read."""
    yield "| cohort | worst grade of the visit | n | mean probability of D | above the threshold |"
    yield "|---|---|---|---|---|"
    for layout, found in figures["cohorts"].items():
        for row in found["variants"]["as read"]["by_grade"]:
            name = GRADES[layout].get(row["grade"], row["grade"])
            mean = f"{row['mean_probability']:.2f}{_range(row['mean_interval'])}"
            yield f"| `{layout}` | {name} | {row['n']} | {mean} | {_with(row, 'called')} |"


def variants(figures: Mapping[str, Any]) -> Iterator[str]:
    """D against any and referable DR, by variant, with the paired difference of the AUC."""
    yield "| cohort | against | variant | AUC | less that as read | sensitivity | specificity | mean probability |"
    yield "|---|---|---|---|---|---|---|---|"
    for layout, found in figures["cohorts"].items():
        for endpoint in ("any_dr", "referable_dr"):
            for name, variant in found["variants"].items():
                row = _target(variant["targets"], endpoint)
                if row is None:
                    continue
                gain = _with(row, "auc_gain", 3, "+") if "auc_gain" in row else ""
                cells = [f"`{layout}`", ENDPOINTS[endpoint], name, _with(row, "auc", 3), gain]
                cells += [f"{row[one]:.2f}" for one in ("sensitivity", "specificity", "mean_probability")]
                yield f"| {' | '.join(cells)} |"


def _target(rows: Sequence[Mapping[str, Any]], endpoint: str) -> Mapping[str, Any] | None:
    return next((row for row in rows if row["label"] == "D" and row["endpoint"] == endpoint), None)


def _with(row: Mapping[str, Any], name: str, digits: int = 2, sign: str = "") -> str:
    return f"{row[name]:{sign}.{digits}f}{_range(row[f'{name}_interval'], digits, sign)}"


def _range(bounds: Sequence[float] | None, digits: int = 2, sign: str = "") -> str:
    return "" if bounds is None else f" ({bounds[0]:{sign}.{digits}f} to {bounds[1]:{sign}.{digits}f})"
