"""`eyeground faithfulness`: whether maps name what moved the score."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich import box
from rich.table import Table

from eyeground.cli.cohort_options import CohortSource
from eyeground.cli.console import note, out, parse, print_json, track, warn
from eyeground.cli.judged_options import JudgedOn
from eyeground.files import disk_errors, write_json
from eyeground.report.faithful_figure import faithful_figure
from eyeground.runs.faithful import faithfulness
from eyeground.runs.faithful_options import Options
from eyeground.runs.model import load
from eyeground.runs.place import Place

FLAT = tyro.conf.arg(name="")


@dataclass(frozen=True)
class Flags:
    """Holds every kind of map to tests of faithfulness: deletion, insertion, ROAD, random weights, small moves."""

    bundle: Path
    """The trained model's folder."""
    source: Annotated[CohortSource, FLAT]
    judged: Annotated[JudgedOn, FLAT] = field(default_factory=JudgedOn)
    options: Annotated[Options, FLAT] = field(default_factory=Options)
    out: Path | None = None
    """Also write faithfulness.json and faithfulness.png into this folder."""
    json: bool = False
    """Print one JSON object and nothing else."""
    place: Annotated[Place, FLAT] = field(default_factory=Place)


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    flags = parse(Flags, argv, "faithfulness")
    model = load(flags.bundle, flags.place)
    found = faithfulness(model, flags.judged.of(flags.source.read()), flags.options, flags.place, track, note)
    if flags.out:
        with disk_errors(flags.out):
            cases = [{**vars(case), "numbers": _defined(case.numbers)} for case in found.cases]
            for case in cases:
                del case["curves"]
            write_json(flags.out / "faithfulness.json", {**found.record, "cases": cases})
            faithful_figure(found.record, flags.out / "faithfulness.png")
    if "stamp" in found.record["leak_audit"]:
        warn(found.record["leak_audit"]["stamp"])
    if flags.json:
        print_json(found.record)
        return 0
    _print(found.record)
    return 0


def _defined(numbers: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in numbers.items()}


def _print(record: dict[str, Any]) -> None:
    score, labels = record["score"], record["labels"]
    title = (
        f"do the maps name what moved the score? {record['part']} part, {len(record['visits'])} visits, "
        f"{record['eyes']} eyes, {', '.join(f'{code} {n}' for code, n in labels.items() if n)}"
    )
    _table(record["rows"], title, ("deletion ↓", "insertion ↑", "ROAD ↑"), lambda row: _removed(row, score))
    heads = ("random ↓", "verdict", "shifted ↑", "turned ↑", "peak ↓")
    _table(record["rows"], "do they hang on what was learnt, and go along with the picture?", heads, _kept)
    words = "the part of the logit's full drop that is left" if score == "logit" else "the probability"
    out.print(
        f"Deletion and insertion: area under {words}; ROAD in "
        f"{'logits' if score == 'logit' else 'probability'}; * beats every control of the lower part but edges "
        "(paired interval over patients). Random weights: mean |rank correlation| with the map of a network that has "
        f"learnt nothing; it survives where its interval lies at {record['limit']:g} or above. Shifted, turned: rank "
        "correlation after the move and back; the peak's way in parts of the field's diameter. 95 % intervals.",
        markup=False,
    )


def _table(
    rows: Sequence[dict[str, Any]], title: str, heads: Sequence[str], cells: Callable[[dict[str, Any]], list[str]]
) -> None:
    """Maps above, controls below."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        if not row["control"]:
            table.add_row(row["map"], *cells(row))
    table.add_section()
    for row in rows:
        if row["control"]:
            table.add_row(row["map"], *cells(row), style="dim")
    out.print(table)


def _removed(row: Mapping[str, Any], score: str) -> list[str]:
    return [_number(row[f"{kind}_{score}"]) + ("*" if row["better"][kind] else " ") for kind in row["better"]]


def _kept(row: Mapping[str, Any]) -> list[str]:
    check = row.get("randomisation")
    forgotten = [_number(check["absolute"][-1]), check["verdict"]] if check else ["", ""]
    moved = [_number(row[key], interval=False) for key in ("stability_turn", "displacement_shift")]
    return [*forgotten, _number(row["stability_shift"]), *moved]


def _number(value: Mapping[str, Any], interval: bool = True) -> str:
    if value["mean"] is None:
        return "–"
    bounds = value["interval"]
    return f"{value['mean']:.2f}" + (f" [{bounds[0]:.2f}, {bounds[1]:.2f}]" if bounds and interval else "")
