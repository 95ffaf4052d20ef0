"""`eyeground calibrate`: calibration, thresholds and label sets chosen again, frozen in a new bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich import box
from rich.table import Table

from eyeground.cli.cohort_options import CohortSource
from eyeground.cli.console import note, out, parse, print_json, track, warn
from eyeground.cli.tables import number
from eyeground.metrics.calibration import Method
from eyeground.runs.bundle import check_new
from eyeground.runs.calibrate import Wish, calibrate
from eyeground.runs.engine import open_model
from eyeground.runs.held import hold
from eyeground.runs.place import Place
from eyeground.runs.unseen import Asked
from eyeground.splits import Split

FLAT = tyro.conf.arg(name="")
MEASURES = {"log_loss": "log loss", "brier": "Brier score", "ece": "ECE"}


@dataclass(frozen=True)
class Flags:
    """Fits calibration and label sets on the validation part and writes a new bundle; the old one stays as it is."""

    bundle: Path
    """The trained model's folder."""
    source: Annotated[CohortSource, FLAT]
    out: Path
    """Folder of the new bundle."""
    split: Path | None = None
    """A split whose validation part is used; default the bundle's own."""
    part: str = "val"
    """The validation part; any other is refused."""
    other_cohort: bool = False
    """Patient ids have nothing to do with those of the training data; photographs are still compared."""
    allow_leaky: bool = False
    """Go on where the split is of a leaky protocol; the new bundle is stamped as the old one."""
    method: Method | Literal["auto"] = "auto"
    """How logits become probabilities; auto chooses by cross-validation over patients."""
    alpha: float = 0.1
    """Share of patients with (and without) a label whose label set may miss the truth."""
    draws: int = 2000
    """Bootstrap draws over patients for the intervals."""
    json: bool = False
    """Print one JSON object and nothing else."""
    place: Annotated[Place, FLAT] = field(default_factory=Place)


def main(argv: Sequence[str]) -> int:
    flags = parse(Flags, argv, "calibrate")
    wish = Wish(flags.method, flags.alpha, flags.draws)
    model = open_model(flags.bundle, "auto", flags.place)
    check_new(model.bundle, flags.out)
    split = Split.load(flags.split) if flags.split else None
    asked = Asked(flags.source.read(), split, flags.part, flags.other_cohort, flags.allow_leaky)
    held = hold(model, asked, flags.place, track, note)
    report = calibrate(model.bundle, held, wish, flags.out)
    if "stamp" in report:
        warn(report["stamp"])
    if flags.json:
        print_json(report)
        return 0
    n = report["chosen_on"]["n"]
    out.print(f"{report['words']}: {report['reason']}; {n} validation visits\n", markup=False)
    _print_scores(report["scores"])
    out.print(_measures(report["reliability"]))
    out.print(_labels(report))
    for line in _legend(report):
        out.print(line, markup=False)
    note(f"{flags.out} written")
    return 0


def _print_scores(scores: dict[str, dict[str, float]]) -> None:
    """Each method's cross-validated log loss; nothing when there was nothing to choose."""
    if len(scores) < 2:
        return
    table = Table(title="cross-validated log loss, nats per cell", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("", "log loss", "behind the best", "standard error"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, row in scores.items():
        table.add_row(name, *(number(row[key], 4) for key in ("log_loss", "behind", "standard_error")))
    out.print(table)


def _measures(report: dict[str, Any]) -> Table:
    """Before and after over all labels."""
    pooled = report["pooled"]
    title = f"all labels, {pooled['n']} cells of {report['patients']} patients"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    names = ("uncalibrated", "before", "after")
    for heading in ("", *names, "change"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for key, words in MEASURES.items():
        cells = [_bounded(pooled[name][key]) for name in names]
        change = pooled["differences"]["before"].get(key)
        table.add_row(words, *cells, _bounded(change) if change else "")
    table.add_row("ECE by chance", *(number(pooled[name]["chance"], 4) for name in names), "", style="dim")
    return table


def _labels(report: dict[str, Any]) -> Table:
    table = Table(title="per label", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("", "n pos", "log loss", "after", "ECE", "after", "cut", "after", "uncertain"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    rows = zip(report["reliability"]["per_class"], report["thresholds"], report["sets"]["uncertain"], strict=True)
    for row, cut, unsure in rows:
        cells = [number(row[name][key]["value"]) for key in ("log_loss", "ece") for name in ("before", "after")]
        share = "–" if unsure is None else f"{100 * unsure:.0f} %"
        table.add_row(row["code"], str(row["n_pos"]), *cells, number(cut["before"]), number(cut["after"]), share)
    return table


def _legend(report: dict[str, Any]) -> list[str]:
    sets = report["sets"]
    lines = [
        "Beneath each number its 95 % interval; 'before' is as the bundle was, 'after' is cross-validated.",
        "ECE by chance: what perfectly calibrated probabilities like these have on average.",
        f"uncertain: visits whose label set at {100 * (1 - sets['alpha']):g} % holds both answers; {sets['note']}.",
    ]
    few = [f"{row['code']} ({row['reason']})" for row in sets["labels"] if row["reason"]]
    return lines + ([f"no label sets: {'; '.join(few)}."] if few else [])


def _bounded(value: dict[str, Any]) -> str:
    bounds = value["interval"]
    return number(value["value"]) + ("" if bounds is None else f"\n{bounds[0]:.3f} – {bounds[1]:.3f}")
