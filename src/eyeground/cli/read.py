"""`eyeground read`: two photographs to probabilities, heatmaps and a report, or a table of pairs to one of readings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from eyeground.cli.console import note, out, parse, print_json, track, warn
from eyeground.errors import UsageError
from eyeground.report import terminal
from eyeground.runs.engine import Engine, open_model
from eyeground.runs.read import Request, check_out, read_visit, save


@dataclass(frozen=True)
class Flags:
    """Reads one visit (LEFT RIGHT) and prints it; with --out writes reading.json, report.html and heatmaps/*.png there.

    With --table, reads every visit of a table and writes OUT/readings.csv and one folder per visit; called again after
    it was stopped, it goes on where it was.
    """

    left: tyro.conf.Positional[str | None] = None
    """Photograph of the left eye (OS); `-` when there is none."""
    right: tyro.conf.Positional[str | None] = None
    """Photograph of the right eye (OD); `-` when there is none."""
    out: Path | None = None
    """Folder of the reading, or of the table's readings; without it one reading is printed only."""
    bundle: Path | None = None
    """The trained model's folder; default the model in the box."""
    engine: Engine = "auto"
    """What computes: ONNX Runtime, torch, or the first of them that can."""
    age: float | None = None
    """Age in years; noted in the reading."""
    sex: Literal["F", "M"] | None = None
    """Sex; noted in the reading."""
    visit: str | None = None
    """A name for the visit to be written into the reading; without it no identifier is."""
    table: Path | None = None
    """A table of visits: columns left and right (paths, from the table's folder on), optionally visit, age and sex."""
    reports: bool = False
    """With --table: write the page and the heatmaps of every visit too."""
    workers: int = 0
    """With --table: processes that read; 0 takes one per processor core."""
    fresh: bool = False
    """With --table: remove what an earlier call has read into OUT, and start over."""
    no_fundus_check: bool = False
    """Read a photograph that does not look like a fundus too; the reading says so."""
    json: bool = False
    """Print the reading (with --table: the counts) as one JSON object and nothing else."""


def main(argv: Sequence[str]) -> int:
    flags = parse(Flags, argv, "read")
    return _one(flags) if flags.table is None else _many(flags, flags.table)


def _one(flags: Flags) -> int:
    if flags.left is None or flags.right is None:
        raise UsageError("give two photographs, LEFT and RIGHT ('-' for an eye without one), or --table with many")
    for name in ("reports", "workers", "fresh"):
        if getattr(flags, name):
            raise UsageError(f"--{name} goes with --table")
    if flags.age is not None and not 0 <= flags.age <= 130:
        raise UsageError(f"--age {flags.age:g} is not an age in years")
    left, right = (None if path == "-" else Path(path) for path in (flags.left, flags.right))
    if flags.out:
        check_out(flags.out)
    model = open_model(flags.bundle, flags.engine)
    request = Request(left, right, flags.age, flags.sex, flags.visit, not flags.no_fundus_check)
    result = read_visit(model, request, draw=flags.out is not None)
    if flags.out:
        save(result, flags.out)
    for text in result.reading.warnings:
        warn(text)
    if flags.json:
        print_json(result.reading.to_dict())
        return 0
    for line in terminal.lines(result.reading):
        out.print(line, markup=False)
    note(f"{flags.out / 'report.html'} shows it" if flags.out else "--out FOLDER writes it with report and heatmaps")
    return 0


def _many(flags: Flags, table: Path) -> int:
    from eyeground.runs.read_pairs import read_pairs
    from eyeground.runs.read_table import STATUSES, TABLE, Plan, read_table

    if flags.left is not None:
        raise UsageError("give either two photographs or --table, not both")
    for name in ("age", "sex", "visit"):
        if getattr(flags, name) is not None:
            raise UsageError(f"--{name} is for one visit; with --table it is a column of the table")
    if flags.out is None:
        raise UsageError("--table needs --out, the folder of its readings")
    if flags.workers < 0:
        raise UsageError(f"--workers {flags.workers}: give at least 1, or 0 for one per processor core")
    rows = read_pairs(table)
    check = not flags.no_fundus_check
    plan = Plan(flags.bundle, flags.out, flags.reports, flags.workers, flags.fresh, flags.engine, check)
    tally = read_table(rows, plan, track)
    for reason in tally.reasons:
        warn(reason)
    path = flags.out / TABLE
    if flags.json:
        counts = {status: tally.counts[status] for status in STATUSES}
        print_json({"visits": len(rows), **counts, "finished_before": tally.earlier, "table": str(path)})
        return 0
    told = ", ".join(f"{tally.counts[status]} {status.replace('_', ' ')}" for status in STATUSES)
    before = f" ({tally.earlier} by an earlier call)" if tally.earlier else ""
    out.print(f"{len(rows)} visits{before}: {told}", markup=False)
    note(f"{path} has them")
    return 0
