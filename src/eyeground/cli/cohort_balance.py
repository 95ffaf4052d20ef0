"""`eyeground cohort balance`: what class-balance factors make of a cohort, before anything is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from rich import box
from rich.table import Table

from eyeground.cli.cohort_options import CohortSource
from eyeground.cli.console import out, parse, print_json
from eyeground.errors import DataError
from eyeground.records import Cohort, State, Visit, label_arrays
from eyeground.sampling import Rows
from eyeground.sampling.balance import Balance, make_balanced, table
from eyeground.splits import Split


@dataclass(frozen=True)
class CohortBalance:
    """Counts every label: as it is, by the published rule N (1 + k) or N / k, and as an epoch really draws it."""

    source: tyro.conf.OmitArgPrefixes[CohortSource]
    balance: Literal["over", "under"] = "over"
    """over: rows of rare labels are repeated; under: rows of frequent labels are left out."""
    balance_factors: tuple[str, ...] = ()
    """Factors as LABEL=k, such as H=12 A=7; none are DKCNet's for ODIR's labels."""
    unit: Literal["eye", "visit"] = "eye"
    """What is counted and drawn: photographs by their eye's labels, or visits."""
    split: Path | None = None
    """Count the training part of this split alone, as a training does."""
    fold: int = 0
    """Which fold of the split, from 0."""
    listed: bool = False
    """Also count eyes that are listed without a photograph."""
    json: bool = False
    """Print one JSON object and nothing else."""


def main(argv: Sequence[str]) -> int:
    """Prints the table."""
    config = parse(CohortBalance, argv, "cohort balance")
    settings = Balance(config.balance, config.balance_factors)
    settings.check_balance()
    cohort, visits, what = _visits(config, config.source.read())
    rows = _rows(config, cohort, visits)
    if not len(rows):
        raise DataError(f"{cohort.root} has no photographs to draw from; --listed counts eyes without one")
    lines, drawn = table(settings, rows), make_balanced(settings, rows).count
    if config.json:
        labels = [dataclasses.asdict(line) for line in lines]
        found = {"unit": config.unit, "balance": config.balance, "rows": len(rows), "drawn": drawn, "labels": labels}
        print_json(found)
        return 0
    rule = "N (1 + k)" if config.balance == "over" else "N / k"
    shown = Table(title=f"{config.balance}-sampling, {what}", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("", "k", "natural N", f"rule {rule}", "drawn"):
        shown.add_column(name, justify="right" if name else "left")
    for line in lines:
        shown.add_row(line.code, f"{line.factor:g}", str(line.natural), str(line.rule), f"{line.drawn:.0f}")
    out.print(shown)
    decides = "largest" if config.balance == "over" else "smallest"
    out.print(f"{len(rows)} rows; an epoch draws {drawn}, a row with several labels by the {decides} k of them.")
    return 0


def _visits(config: CohortBalance, cohort: Cohort) -> tuple[Cohort, tuple[Visit, ...], str]:
    """The visits that count, as the split's protocol sees them, and what they are in words."""
    if config.split is None:
        return (
            cohort,
            cohort.visits if config.listed else cohort.with_images(),
            "all that is listed" if config.listed else "all photographs",
        )
    split = Split.load(config.split)
    cohort = split.protocol.view(cohort)
    split.check_against(cohort)
    wanted = set(split.fold(config.fold).train)
    visits = tuple(visit for visit in cohort.visits if visit.id in wanted)
    return cohort, visits, f"training part of {config.split}"


def _rows(config: CohortBalance, cohort: Cohort, visits: Sequence[Visit]) -> Rows:
    states: list[tuple[State, ...]] = [visit.labels for visit in visits]
    if config.unit == "eye":
        eyes = [eye for visit in visits for eye in visit.listed() if config.listed or eye.path is not None]
        states = [eye.labels for eye in eyes]
    return Rows(*label_arrays(states, len(cohort.vocabulary)), cohort.vocabulary.codes)
