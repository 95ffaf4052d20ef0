"""`eyeground operating-point`: thresholds for what is wanted of them, frozen in a new bundle."""

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
from eyeground.cli.tables import number
from eyeground.metrics.aims import Aim
from eyeground.runs.bundle import check_new
from eyeground.runs.calibrate import operating_point
from eyeground.runs.engine import open_model
from eyeground.runs.held import hold
from eyeground.runs.place import Place
from eyeground.runs.unseen import Asked
from eyeground.splits import Split

FLAT = tyro.conf.arg(name="")
RATES = {"sensitivity": "sens.", "specificity": "spec.", "ppv": "PPV"}


@dataclass(frozen=True)
class Flags:
    """Chooses thresholds on the validation part and writes a new bundle; the old one stays as it is."""

    bundle: Path
    """The trained model's folder."""
    source: Annotated[CohortSource, FLAT]
    at: str
    """What is wanted: sensitivity=0.9, specificity=0.9, ppv=0.5, youden or f1."""
    out: Path
    """Folder of the new bundle."""
    label: tuple[str, ...] = ()
    """Codes of the labels to set; default all that it can be chosen for."""
    confidence: float | None = None
    """How sure it shall be that new patients have it (0.95); default: they have it on average."""
    split: Path | None = None
    """A split whose validation part is used; default the bundle's own."""
    part: str = "val"
    """The validation part; any other is refused."""
    other_cohort: bool = False
    """Patient ids have nothing to do with those of the training data; photographs are still compared."""
    allow_leaky: bool = False
    """Go on where the split is of a leaky protocol; the new bundle is stamped as the old one."""
    json: bool = False
    """Print one JSON object and nothing else."""
    place: Annotated[Place, FLAT] = field(default_factory=Place)


def main(argv: Sequence[str]) -> int:
    flags = parse(Flags, argv, "operating-point")
    aim = Aim.parse(flags.at, flags.confidence)
    model = open_model(flags.bundle, "auto", flags.place)
    check_new(model.bundle, flags.out)
    split = Split.load(flags.split) if flags.split else None
    asked = Asked(flags.source.read(), split, flags.part, flags.other_cohort, flags.allow_leaky)
    held = hold(model, asked, flags.place, track, note)
    report = operating_point(model.bundle, held, aim, flags.label, flags.out)
    if "stamp" in report:
        warn(report["stamp"])
    if flags.json:
        print_json(report)
        return 0
    for row in report["unchanged"]:
        warn(f"threshold stays {row['threshold']:.3f}: {row['reason']}")
    out.print(_table(report))
    out.print(
        "Beneath each rate Clopper and Pearson's 95 % interval; ≥ is the one-sided 95 % lower bound.", markup=False
    )
    out.print("The other rates were seen on the visits that chose the cut; judge them on the test part.", markup=False)
    note(f"{flags.out} written")
    return 0


def _table(report: dict[str, Any]) -> Table:
    """One row per label, its intervals beneath; fits 80 columns."""
    title = f"{report['aim']}, chosen on {report['chosen_on']['n']} validation visits"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("", "was", "is", *RATES.values()):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for row in report["labels"]:
        rates = [_rate(row["achieved"][key], report["aim"].startswith(key)) for key in RATES]
        table.add_row(row["code"], number(row["before"]), number(row["after"]), *rates)
    return table


def _rate(found: dict[str, Any] | None, wanted: bool) -> str:
    """Such as '0.912 (31/34)', beneath it the interval, and the lower bound where it is what was asked for."""
    if found is None:
        return "–"
    low, high = found["interval"]
    bound = f"\n≥ {found['at_least']:.3f}" if wanted else ""
    return f"{found['value']:.3f} ({found['hits']}/{found['n']})\n{low:.3f} – {high:.3f}{bound}"
