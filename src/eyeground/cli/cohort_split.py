"""`eyeground cohort split`: patients into folds, grouped by patient and duplicate photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich import box
from rich.table import Table

from eyeground import leaks
from eyeground.cli.cohort_options import CohortSource
from eyeground.cli.console import out, parse, print_json, track, warn
from eyeground.cohorts.known import read_known_duplicates
from eyeground.leaks import Pair
from eyeground.records import Cohort
from eyeground.splits import Scheme, Split, find_all_duplicates, make_split

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class MakeSplit:
    """Parts the visits that have a photograph into training, validation and test.

    Visits of one patient stay together, and so do those that share a photograph or show the same eye. Rare labels are
    spread evenly. With --folds 2 or more each fold is the test part once; --folds 1 is one hold-out.
    """

    source: tyro.conf.OmitArgPrefixes[CohortSource]
    out: Path
    """Where to write the split, a JSON file."""
    folds: int = 3
    """Number of folds; 1 for a hold-out."""
    seed: int = 0
    """Breaks ties; the same seed gives the same split."""
    test_share: float = 0.2
    """Hold-out only: share of the visits that are tested on."""
    val_share: float = 0.1
    """Share of all visits for validation (thresholds, calibration, early stopping)."""
    known_duplicates: Path | None = None
    """CSV of duplicates known beforehand: patient_id, eye, neardup_group, identical_group."""
    json: bool = False
    """Print one JSON object and nothing else."""
    workers: int = 2
    """Threads that open photographs."""


def main(argv: Sequence[str]) -> int:
    """Writes the split and prints sizes, labels per part, duplicates and the hash."""
    config = parse(MakeSplit, argv, "cohort split")
    cohort = config.source.read()
    prints = leaks.fingerprints(cohort.visits, config.workers, track)
    unreadable = [one.name for one in prints if not one.signature]
    if unreadable:
        some = f"{len(unreadable)} photograph{'s' * (len(unreadable) > 1)}"
        warn(f"{some} can't be decoded ({_few(unreadable)}); see cohort check")
    pairs = find_all_duplicates(cohort.visits, prints, config.workers, track)
    if config.known_duplicates is not None:
        known, absent = read_known_duplicates(config.known_duplicates, prints)
        pairs += known
        if absent:
            warn(f"not here, though {config.known_duplicates.name} lists them: {_few(absent)}")
    scheme = Scheme(config.folds, config.test_share, config.val_share)
    split = make_split(cohort, prints, scheme, config.seed, pairs)
    split.save(config.out)
    if config.json:
        print_json(summary(split, cohort) | {"out": str(config.out)})
    else:
        _show(split, cohort, pairs)
        out.print(f"{config.out}: hash {split.hash}", markup=False)
    return 0


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def summary(split: Split, cohort: Cohort) -> dict[str, Any]:
    """Sizes and label counts of each part, groups, duplicates and the hash."""
    labels = {visit.id: visit.labels for visit in cohort.visits}
    folds = []
    for fold in split.folds:
        parts = {}
        for name in PARTS:
            ids = fold.part(name)
            counts = [sum(labels[one][c] == 1 for one in ids) for c in range(len(split.vocabulary))]
            parts[name] = {"visits": len(ids), "labels": dict(zip(split.vocabulary, counts, strict=True))}
        folds.append(parts)
    return {
        "hash": split.hash,
        "seed": split.seed,
        "scheme": split.scheme,
        "visits": len(split.folds[0].part("all")),
        "groups": [list(group) for group in split.groups],
        "duplicates": list(split.duplicates),
        "folds": folds,
    }


def _show(split: Split, cohort: Cohort, pairs: Sequence[Pair]) -> None:
    table = Table(title=f"{split.scheme['kind']}, seed {split.seed}", title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("fold", "part", "visits", *split.vocabulary):
        table.add_column(name, justify="left" if name in ("fold", "part") else "right")
    for number, parts in enumerate(summary(split, cohort)["folds"]):
        for name, part in parts.items():
            counts = map(str, part["labels"].values())
            table.add_row(str(number), name, str(part["visits"]), *counts, end_section=name == PARTS[-1])
    out.print(table)
    kinds = {kind: sum(pair.kind == kind for pair in pairs) for kind in dict.fromkeys(pair.kind for pair in pairs)}
    told = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in kinds.items())
    out.print(f"Duplicate photographs: {told or 'none'}. Visits that stay together:", markup=False)
    for group in split.groups:
        out.print(f"  {', '.join(group)}", markup=False)
    if not split.groups:
        out.print("  none")
