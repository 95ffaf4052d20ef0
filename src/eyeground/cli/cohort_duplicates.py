"""`eyeground cohort duplicates`: photographs that are there twice, within a cohort or between two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro
from rich import box
from rich.table import Table

from eyeground import leaks
from eyeground.cli.cohort_options import CohortSource
from eyeground.cli.console import out, parse, print_json, track
from eyeground.cohorts import read_cohort
from eyeground.errors import UsageError
from eyeground.files import write_text
from eyeground.leaks import Fingerprint, Pair
from eyeground.leaks.audit import FALSE_ALARMS, PHOTOGRAPHS
from eyeground.records import Cohort
from eyeground.report.duplicates import KINDS, page, rows

WARNINGS = ("same_eye", "suspect")
"""Kinds that are a list to look at, not a finding."""


@dataclass(frozen=True)
class Duplicates:
    """Finds photographs that are there twice: the same bytes, the same picture changed, the same eye once more.

    Leaves with code 2 when a picture of one patient is also there under another patient, or in the other cohort.
    """

    source: tyro.conf.OmitArgPrefixes[CohortSource]
    against: Path | None = None
    """Folder of a second cohort: pairs between the two are looked for, not those within one."""
    against_layout: str | None = None
    """How the second cohort is laid out; as the first when left out."""
    report: Path | None = None
    """Where to write a page with the pairs' photographs side by side (HTML, nothing else needed)."""
    no_same_eye: bool = False
    """Don't compare the vessels: faster, but the same eye photographed again (a warning list) is not looked for."""
    json: bool = False
    """Print one JSON object and nothing else."""
    workers: int = 2
    """Threads that open photographs."""


def main(argv: Sequence[str]) -> int:
    """Prints the pairs; 2 when a picture is shared between patients or cohorts, else 0."""
    config = parse(Duplicates, argv, "cohort duplicates")
    if config.against_layout is not None and config.against is None:
        raise UsageError("--against-layout needs --against, the second cohort's folder")
    one = config.source.read()
    two = _second(config)
    pairs, facts = search(one, two, not config.no_same_eye, config.workers)
    result = facts | {"pairs": rows(pairs, one, two or one)}
    if config.report is not None:
        write_text(config.report, page(pairs, one, two or one, facts))
    if config.json:
        print_json(result)
    else:
        _show(result)
        if config.report is not None:
            out.print(str(config.report), markup=False)
    return 2 if _shared(pairs, two is not None) else 0


def _second(config: Duplicates) -> Cohort | None:
    if config.against is None:
        return None
    if not config.against.is_dir():
        raise UsageError(f"no folder {config.against}; --against names the second cohort's folder")
    return read_cohort(config.against_layout or config.source.layout, config.against, config.source.options)


def search(one: Cohort, two: Cohort | None, same_eye: bool, workers: int) -> tuple[list[Pair], dict[str, Any]]:
    """The pairs within a cohort or between two, and how many photographs were compared, and how."""
    prints = leaks.fingerprints(one.visits, workers, track)
    others = None if two is None else leaks.fingerprints(two.visits, workers, track)
    pairs = leaks.find_duplicates(prints, others, track, suspects=True)
    if same_eye:
        told = {(pair.a, pair.b) for pair in pairs if pair.kind != "suspect"}
        again = _again(one, prints, two, others, workers)
        surer = {(pair.a, pair.b) for pair in again}
        pairs = [pair for pair in pairs if pair.kind != "suspect" or (pair.a, pair.b) not in surer]
        pairs += [pair for pair in again if (pair.a, pair.b) not in told]
    count = len(prints) + len(others or ())
    compared = len(prints) * len(others) if others is not None else count * (count - 1) // 2
    method = PHOTOGRAPHS + (", and the vessels for the same eye photographed again" if same_eye else "")
    facts = {"photographs": count, "compared": compared, "method": method, "false_alarms": FALSE_ALARMS}
    return pairs, facts


def _again(
    one: Cohort,
    prints: Sequence[Fingerprint],
    two: Cohort | None,
    others: Sequence[Fingerprint] | None,
    workers: int,
) -> list[Pair]:
    """The same eye photographed again. Two cohorts are searched as one, their ids kept apart meanwhile."""
    if two is None or others is None:
        return leaks.find_same_eyes(one.visits, prints, workers, track)
    apart = {f"2\0{visit.id}": visit for visit in two.visits}
    visits = [*one.visits, *(replace(visit, id=name) for name, visit in apart.items())]
    theirs = [replace(item, visit=f"2\0{item.visit}", patient=f"2\0{item.patient}") for item in others]
    real = dict(zip(theirs, others, strict=True))
    pairs = leaks.find_same_eyes(visits, [*prints, *theirs], workers, track)
    return [replace(pair, b=real[pair.b]) for pair in pairs if pair.b in real and pair.a not in real]


def _shared(pairs: Sequence[Pair], between: bool) -> bool:
    """Whether a picture leaks: between cohorts, or between patients of one."""
    found = [pair for pair in pairs if pair.kind not in WARNINGS]
    return bool(found) if between else any(pair.a.patient != pair.b.patient for pair in found)


def _show(result: dict[str, Any]) -> None:
    table = Table(title="duplicate photographs", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("kind", "first", "second", "evidence", "labels disagree"):
        table.add_column(name)
    for row in result["pairs"]:
        table.add_row(KINDS[row["kind"]], row["a"], row["b"], row["evidence"], ", ".join(row["disagree"]))
    out.print(table if result["pairs"] else "No duplicate photographs.")
    out.print(f"{result['photographs']:,} photographs, {result['compared']:,} pairs; {result['method']}", markup=False)
