"""`eyeground replicate`: a grid of trainings from a TOML file, and what it says of the papers' claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich import box
from rich.table import Table

from eyeground.cli.cohort_options import CohortSource
from eyeground.cli.console import note, out, parse, print_json, track, warn
from eyeground.cohorts.options import CohortOptions
from eyeground.errors import UsageError
from eyeground.runs.replicate.estimate import total_minutes
from eyeground.runs.replicate.grid import Grid, read_grid
from eyeground.runs.replicate.plan import Item, Site
from eyeground.runs.replicate.replicate import Asked, Session, devices_here
from eyeground.runs.replicate.table import markdown, write_block
from eyeground.settings import plain

FLAT = tyro.conf.arg(name="")
Several = Annotated[tuple[str, ...], tyro.conf.UseAppendAction]


@dataclass(frozen=True)
class Flags:
    """Trains and judges every run of a grid, and tells which claims hold. Called again after a stop, it goes on.

    OUT gets a row for each run, table.md, results.json and claims.svg. One process per GPU; one on a processor.
    """

    grid: tyro.conf.Positional[Path]
    """The grid, a TOML file; see docs/replication.md."""
    source: Annotated[CohortSource, FLAT]
    out: Path
    """Folder of splits, runs, rows and tables."""
    trunk_weights: Several = ()
    """TRUNK=FILE, or a value for all trunks: imagenet, none, FILE. May be given several times."""
    rounds: int | None = None
    """Only the runs up to this round."""
    only: Several = ()
    """Only the runs of this system. May be given several times."""
    devices: str | None = None
    """GPUs such as 0,1, or cpu; default all GPUs that are here, else the processor."""
    minutes: float | None = None
    """Start no run that would end later than so many minutes from now; 0 only draws the tables."""
    dry_run: bool = False
    """Say what there is to do and how long it will take, from a few timed steps of each kind, and stop."""
    again: bool = False
    """Try failed runs again."""
    docs: Path | None = None
    """A page whose block between the marks of this grid's name is written anew with the tables."""
    allow_leaky: bool = False
    """Go on where a protocol is leaky; every number is stamped."""
    draws: int = 2000
    """Bootstrap draws over patients for the claims' intervals."""
    permutations: int = 2000
    """Swaps of patients for the claims' p values."""
    cache: Path | None = None
    """Folder of prepared photographs; default EYEGROUND_CACHE or ~/.cache/eyeground."""
    workers: int = 2
    """Processes that prepare photographs, for each run."""
    threads: int = 0
    """Processor threads for torch, for each run; 0 leaves its default."""
    keep: Literal["auto", "device", "memory", "disk"] = "auto"
    """Where cropped photographs live while training."""
    json: bool = False
    """Print one JSON object, what results.json holds, and nothing else."""


def main(argv: Sequence[str]) -> int:
    """Exit code 0; 1 when a run failed."""
    flags = parse(Flags, argv, "replicate")
    for name in ("draws", "permutations"):
        if getattr(flags, name) < 100:
            raise UsageError(f"--{name} {getattr(flags, name)} are too few to tell chance from skill; give 100 or more")
    grid = read_grid(flags.grid, flags.trunk_weights)
    chosen = grid.chosen(flags.rounds, flags.only)
    asked = Asked(flags.again, flags.minutes, flags.draws, flags.permutations)
    with Session(grid, site_of(flags), flags.source.read(), asked, track) as session:
        items = session.plan(chosen, note, timing=flags.dry_run or bool(flags.minutes))
        if not flags.json:
            _show(grid, items, len(session.site.devices))
        if flags.dry_run:
            return 0
        late = session.work(items, note)
        if late:
            warn(f"{len(late)} runs are left, for they would end after --minutes; the same command goes on with them")
        found = session.tell()
    if flags.docs:
        write_block(flags.docs, grid.name, markdown(found))
    if flags.json:
        print_json(found)
    else:
        out.print(markdown(found), markup=False)
    return 1 if found["runs"]["failed"] else 0


def site_of(flags: Flags) -> Site:
    """This machine's side of the flags."""
    source = ["--layout", flags.source.layout, "--root", str(flags.source.root.absolute())]
    usual = plain(CohortOptions())
    for name, value in plain(flags.source.options).items():
        if value != usual[name]:
            source += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    machine = ["--threads", str(flags.threads), "--keep", flags.keep]
    place = ["--workers", str(flags.workers)]
    place += ["--cache", str(flags.cache.absolute())] if flags.cache else []
    devices = devices_here(flags.devices)
    if devices == (None,):
        place += ["--accelerator", "cpu"]
    out_folder = flags.out.absolute()
    return Site(out_folder, tuple(source), tuple(machine), tuple(place), devices, flags.allow_leaky)


def _show(grid: Grid, items: Sequence[Item], workers: int) -> None:
    """Every run with its state and time, and the sum."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("round", "run", "state", "minutes", "by"):
        table.add_column(heading, justify="right" if heading in ("round", "minutes") else "left")
    for item in items:
        minutes = f"{item.seconds / 60:.1f}" if item.seconds else "?" if item.state == "left" else ""
        table.add_row(str(item.run.round), item.run.name, item.state, minutes, item.basis)
    out.print(table)
    left = [item for item in items if item.state == "left"]
    unknown = sum(item.seconds is None for item in left)
    done = sum(item.state == "done" for item in items)
    time = total_minutes(items) / workers
    about = f"{time:.0f} minutes" if time < 180 else f"{time / 60:.1f} hours"
    more = f", and {unknown} of unknown length" if unknown else ""
    on = f" on {workers} devices" if workers > 1 else ""
    out.print(f"{grid.name}: {done} of {len(items)} runs are done, {len(left)} left: about {about}{on}{more}.")
    for item in items:
        if item.state == "failed":
            out.print(f"{item.run.name} failed: {item.reason} (--again tries it once more)", markup=False)
