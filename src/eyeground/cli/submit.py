"""`eyeground submit`: the challenge's submission file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from eyeground.cli.console import note, parse, track
from eyeground.runs.engine import Engine, open_model
from eyeground.runs.place import Place
from eyeground.runs.submit import Order, submit


@dataclass(frozen=True)
class Flags:
    """Writes one row of probabilities a patient, in the challenge's format."""

    images: Path
    """Folder that holds <ID>_left.jpg and <ID>_right.jpg."""
    out: Path
    """The file to write; the challenge wants TEAM_ODIR.csv."""
    bundle: Path | None = None
    """The trained model's folder; default the model in the box."""
    template: Path | None = None
    """CSV or workbook whose IDs say which patients and in which order; default: all, by ascending ID."""
    map_thresholds: bool = False
    """Map each label's frozen threshold to 0.5, where the challenge's script cuts."""
    engine: Engine = "auto"
    """What computes: ONNX Runtime, torch, or the first of them that can."""
    place: Annotated[Place, tyro.conf.arg(name="")] = field(default_factory=Place)


def main(argv: Sequence[str]) -> int:
    flags = parse(Flags, argv, "submit")
    model = open_model(flags.bundle, flags.engine, flags.place)
    order = Order(flags.images, flags.template, flags.out, flags.map_thresholds)
    rows = submit(model, order, flags.place, track, note)
    note(f"{flags.out} written, {rows} patients")
    return 0
