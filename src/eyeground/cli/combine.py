"""`eyeground combine`: several trained bundles as one, whose answers are the mean of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from eyeground.cli.cohort_options import CohortSource
from eyeground.cli.console import note, out, parse, print_json, track, warn
from eyeground.metrics.calibration import Method
from eyeground.runs.calibrate import Wish
from eyeground.runs.combine import combine
from eyeground.runs.place import Place
from eyeground.runs.unseen import Asked
from eyeground.splits import Split

FLAT = tyro.conf.arg(name="")


@dataclass(frozen=True)
class Flags:
    """Joins bundles of `pair` that learnt from the same patients, and chooses calibration, thresholds and label sets on
    their validation part anew."""

    bundles: tuple[Path, ...]
    """The trained models' folders, two or more."""
    source: Annotated[CohortSource, FLAT]
    out: Path
    """Folder of the joint bundle."""
    split: Path | None = None
    """A split whose validation part is used; default the bundles' own."""
    method: Method | Literal["auto"] = "auto"
    """How logits become probabilities; auto chooses by cross-validation over patients."""
    alpha: float = 0.1
    """Share of patients with (and without) a label whose label set may miss the truth."""
    allow_leaky: bool = False
    """Go on where the split is of a leaky protocol; the new bundle is stamped as the old ones."""
    json: bool = False
    """Print one JSON object and nothing else."""
    place: Annotated[Place, FLAT] = field(default_factory=Place)


def main(argv: Sequence[str]) -> int:
    flags = parse(Flags, argv, "combine")
    split = Split.load(flags.split) if flags.split else None
    asked = Asked(flags.source.read(), split, "val" if split else None, False, flags.allow_leaky)
    report = combine(flags.bundles, asked, Wish(flags.method, flags.alpha), flags.out, flags.place, track, note)
    if "stamp" in report:
        warn(report["stamp"])
    if flags.json:
        print_json(report)
        return 0
    for folder, member in zip(flags.bundles, report["members"], strict=True):
        auc = member["val_macro_auc"]
        told = "undefined" if auc is None else f"{auc:.3f}"
        out.print(f"{folder}: macro AUC {told} on the validation part", markup=False)
    out.print(f"{report['words']}: {report['reason']}; {report['chosen_on']['n']} validation visits", markup=False)
    note(f"{flags.out} written; evaluate judges it")
    return 0
