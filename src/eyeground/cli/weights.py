"""`eyeground weights`: how much a model gave to each eye, and whether the affected eye got more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich import box
from rich.table import Table

from eyeground.cli.cohort_options import CohortSource
from eyeground.cli.console import note, out, parse, print_json, track, warn
from eyeground.cli.judged_options import JudgedOn
from eyeground.errors import UsageError
from eyeground.metrics.resample import Plan
from eyeground.runs.model import load
from eyeground.runs.place import Place
from eyeground.runs.weights import LEVELS, weigh, write_weights

FLAT = tyro.conf.arg(name="")


@dataclass(frozen=True)
class Flags:
    """Tells how much a model that weighs the two eyes gave to each, and whether the affected eye got more."""

    bundle: Path
    """The trained model's folder."""
    source: Annotated[CohortSource, FLAT]
    judged: Annotated[JudgedOn, FLAT] = field(default_factory=JudgedOn)
    draws: int = 2000
    """Bootstrap draws over patients for the 95 % interval; 0 leaves it out."""
    out: Path | None = None
    """Also write the weights of every visit into this CSV file."""
    json: bool = False
    """Print one JSON object and nothing else."""
    place: Annotated[Place, FLAT] = field(default_factory=Place)


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    flags = parse(Flags, argv, "weights")
    if flags.draws < 0:
        raise UsageError(f"--draws must not be negative, not {flags.draws}; 0 leaves the interval out")
    model = load(flags.bundle, flags.place)
    found = weigh(model, flags.judged.of(flags.source.read()), Plan(flags.draws), flags.place, track, note)
    if flags.out:
        write_weights(flags.out, found)
    if "stamp" in found.record["leak_audit"]:
        warn(found.record["leak_audit"]["stamp"])
    if flags.json:
        print_json(found.record)
    else:
        _print(found.record)
    return 0


def _print(record: dict[str, Any]) -> None:
    title = f"does the affected eye weigh more? {record['part']} part, {record['visits']} visits"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("weight", no_wrap=True)
    for heading in ("visits", "affected", "fellow", "difference", "95 %", "larger"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in LEVELS:
        table.add_row(name, *_cells(record[name]))
    out.print(table)
    out.print(
        "Mean weights of the affected and the fellow eye of visits with both eyes seen, of which by eye labels exactly "
        "one has a disease; larger: where the affected eye's is. Alpha weighs an eye by itself, beta beside what both "
        "show. The interval draws patients.",
        markup=False,
    )


def _cells(row: dict[str, Any]) -> list[str]:
    if not row["n"]:
        return ["0", *["–"] * 5]
    interval = "–" if row["interval"] is None else "{:+.3f} to {:+.3f}".format(*row["interval"])
    means = [f"{row['affected']:.3f}", f"{row['fellow']:.3f}", f"{row['difference']:+.3f}"]
    return [str(row["n"]), *means, interval, f"{row['larger']:.0%}"]
