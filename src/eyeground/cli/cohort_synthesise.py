"""`eyeground cohort synthesise`: a cohort with changed copies of photographs with rare labels, before any split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from eyeground.cli.cohort_options import CohortSource
from eyeground.cli.console import note, out, parse, track, warn
from eyeground.errors import DataError
from eyeground.runs.synthesise import disk_need, plan, synthesise

GIB = 2**30


@dataclass(frozen=True)
class CohortSynthesise:
    """Writes a cohort's photographs and changed copies of those with rare labels, in the layout `folder`.

    For studying what copies made *before* a split do; `train --balance over` draws them after it, and needs no disk.
    """

    source: tyro.conf.OmitArgPrefixes[CohortSource]
    out: Path
    """Folder to write; called again with the same flags it goes on where it stopped."""
    balance_factors: tuple[str, ...] = ()
    """Copies as LABEL=k, such as H=12 A=7; the largest k of an eye's labels counts. None are DKCNet's for ODIR."""
    seed: int = 0
    """Chooses the changes; a photograph's are the same whatever else is in the cohort."""
    workers: int = 2
    """Threads that open photographs."""


def main(argv: Sequence[str]) -> int:
    """Tells how much disk it needs, writes the cohort, says how to read it."""
    config = parse(CohortSynthesise, argv, "cohort synthesise")
    work = plan(config.source.read(), config.balance_factors, config.seed)
    need, free = disk_need(work, config.out)
    what = f"{len(work.sources)} photographs and {work.copies} copies"
    note(f"{what}: about {need / GIB:.2f} GiB to write to {config.out}, {free / GIB:.1f} GiB are free")
    if need > free:
        raise DataError(f"{what} need about {need / GIB:.2f} GiB, {config.out} has {free / GIB:.2f} GiB free")
    bad = synthesise(work, config.out, config.workers, track)
    if bad:
        warn(f"{len(bad)} photographs can't be decoded and have no copies ({', '.join(bad[:3])}); see cohort check")
    out.print(f"{config.out}: read it with --layout folder --root {config.out}", markup=False)
    return 0
