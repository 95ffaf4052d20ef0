"""`eyeground read`: two photographs to probabilities, heatmaps and a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from eyeground.cli.console import note, out, parse, print_json, warn
from eyeground.errors import UsageError
from eyeground.report import terminal
from eyeground.runs.model import load
from eyeground.runs.read import Request, check_out, read_visit, save


@dataclass(frozen=True)
class Flags:
    """Reads one visit and writes OUT/reading.json, OUT/report.html and OUT/heatmaps/*.png."""

    left: tyro.conf.Positional[str]
    """Photograph of the left eye (OS); `-` when there is none."""
    right: tyro.conf.Positional[str]
    """Photograph of the right eye (OD); `-` when there is none."""
    bundle: Path
    """The trained model's folder."""
    out: Path
    """Folder of the reading."""
    age: float | None = None
    """Age in years; noted in the reading."""
    sex: Literal["F", "M"] | None = None
    """Sex; noted in the reading."""
    visit: str | None = None
    """A name for the visit to be written into the reading; without it no identifier is."""
    json: bool = False
    """Print the reading as one JSON object and nothing else."""


def main(argv: Sequence[str]) -> int:
    flags = parse(Flags, argv, "read")
    if flags.age is not None and not 0 <= flags.age <= 130:
        raise UsageError(f"--age {flags.age:g} is not an age in years")
    left, right = (None if path == "-" else Path(path) for path in (flags.left, flags.right))
    check_out(flags.out)
    model = load(flags.bundle)
    result = read_visit(model, Request(left, right, flags.age, flags.sex, flags.visit))
    save(result, flags.out)
    for text in result.reading.warnings:
        warn(text)
    if flags.json:
        print_json(result.reading.to_dict())
        return 0
    for line in terminal.lines(result.reading):
        out.print(line, markup=False)
    note(f"{flags.out / 'report.html'} shows it")
    return 0
