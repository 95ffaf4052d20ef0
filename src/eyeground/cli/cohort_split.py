"""`eyeground cohort split`: patients into folds, grouped by patient and duplicate photographs, or by a protocol."""

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
from eyeground.cli.console import out, parse, print_json, track, warn
from eyeground.cohorts import read_cohort
from eyeground.cohorts.known import read_known_duplicates
from eyeground.errors import UsageError
from eyeground.leaks import Fingerprint, Pair
from eyeground.protocols import Protocol, find_protocol
from eyeground.protocols.remake import remake
from eyeground.records import Cohort
from eyeground.splits import PARTS, Scheme, Split, find_all_duplicates, make_split


@dataclass(frozen=True)
class MakeSplit:
    """Parts the visits that have a photograph into training, validation and test.

    Visits of one patient stay together, and so do those that share a photograph or show the same eye. Rare labels are
    spread evenly. With --folds 2 or more each fold is the test part once; --folds 1 is one hold-out.
    """

    source: tyro.conf.OmitArgPrefixes[CohortSource]
    out: Path | None = None
    """Where to write the split, a JSON file."""
    protocol: str | None = None
    """A named protocol or a .toml file that says all of what follows; `eyeground protocol list` names them."""
    allow_leaky: bool = False
    """Take a leaky protocol, such as image-80-20-leaky; every number that comes of it is stamped."""
    verify: Path | None = None
    """Write nothing: make this split again from the cohort, name what differs; code 2 when anything does."""
    folds: int | None = None
    """Number of folds; 1 for a hold-out. Default 3."""
    seed: int = 0
    """Breaks ties; the same seed gives the same split."""
    test_share: float | None = None
    """Hold-out only: share of the visits that are tested on. Default 0.2."""
    val_share: float | None = None
    """Share of all visits for validation (thresholds, calibration, early stopping). Default 0.1."""
    known_duplicates: Path | None = None
    """CSV of duplicates known beforehand: patient_id, eye, neardup_group, identical_group."""
    keep_out_layout: str | None = None
    """Layout of another cohort that models will be judged on, such as idrid-lesions; with --keep-out-root."""
    keep_out_root: Path | None = None
    """Its folder. Visits here that share a photograph with it (or may) belong to no part, nor do their duplicates."""
    json: bool = False
    """Print one JSON object and nothing else."""
    workers: int = 2
    """Threads that open photographs."""


def main(argv: Sequence[str]) -> int:
    """Writes the split and prints sizes, labels per part, duplicates and the hash; or verifies one."""
    config = parse(MakeSplit, argv, "cohort split")
    if config.verify is not None:
        return _verify(config, config.verify)
    protocol, scheme = _asked(config)
    cohort = config.source.read()
    if protocol is not None:
        protocol.require_layout(cohort.layout)
        cohort = protocol.view(cohort)
    prints, pairs = _photographs(config, cohort)
    out_of_it = _keep_out(config, prints, pairs)
    prints = tuple(one for one in prints if one.visit not in out_of_it)
    pairs = [pair for pair in pairs if not {pair.a.visit, pair.b.visit} & set(out_of_it)]
    split = make_split(cohort.without(out_of_it), prints, protocol or scheme, config.seed, pairs)
    split = replace(split, kept_out=out_of_it)
    assert config.out is not None
    split.save(config.out)
    for stamp in filter(None, map(split.stamp, range(len(split.folds)))):
        warn(stamp)
    if config.json:
        print_json(summary(split, cohort) | {"out": str(config.out)})
    else:
        _show(split, cohort, pairs)
        out.print(f"protocol {split.protocol.name}, hash {split.protocol.hash}", markup=False)
        out.print(f"{config.out}: hash {split.hash}", markup=False)
    return 0


def _asked(config: MakeSplit) -> tuple[Protocol | None, Scheme]:
    """The protocol asked for, or the scheme of the flags. Raises `UsageError` for flags that contradict each other."""
    if config.out is None:
        raise UsageError("--out is missing: where shall the split go? (or --verify SPLIT to make one again)")
    given = _given(config)
    scheme = Scheme(**{"folds": 3, "test_share": 0.2, "val_share": 0.1, **given})
    if config.protocol is None:
        return None, scheme
    if given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(
            f"--protocol {config.protocol} and {flags} contradict each other: the protocol says that; leave the flag "
            f"out, or edit what eyeground protocol show {config.protocol} prints and give that file"
        )
    protocol = find_protocol(config.protocol)
    protocol.require_allowed(config.allow_leaky, f"--protocol {config.protocol}")
    return protocol, scheme


def _given(config: MakeSplit) -> dict[str, Any]:
    """The flags of the scheme that were given."""
    values = {name: getattr(config, name) for name in ("folds", "test_share", "val_share")}
    return {name: value for name, value in values.items() if value is not None}


def _photographs(config: MakeSplit, cohort: Cohort) -> tuple[tuple[Fingerprint, ...], list[Pair]]:
    """Fingerprints and duplicates, the listed ones too."""
    prints = leaks.fingerprints(cohort.visits, config.workers, track)
    unreadable = [one.shown for one in prints if not one.signature]
    if unreadable:
        some = f"{len(unreadable)} photograph{'s' * (len(unreadable) > 1)}"
        warn(f"{some} can't be decoded ({_few(unreadable)}); see cohort check")
    pairs = find_all_duplicates(cohort.visits, prints, config.workers, track)
    if config.known_duplicates is not None:
        known, absent = read_known_duplicates(config.known_duplicates, prints)
        pairs += known
        if absent:
            warn(f"not here, though {config.known_duplicates.name} lists them: {_few(absent)}")
    return prints, pairs


def _keep_out(config: MakeSplit, prints: Sequence[Fingerprint], pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Visits that share a photograph with the cohort to be kept out, and those that stay together with them."""
    if config.keep_out_layout is None or config.keep_out_root is None:
        if config.keep_out_layout or config.keep_out_root:
            raise UsageError("--keep-out-layout and --keep-out-root belong together: give both")
        return ()
    other = read_cohort(config.keep_out_layout, config.keep_out_root)
    theirs = leaks.fingerprints(other.visits, config.workers, track)
    shared = leaks.find_duplicates(prints, theirs, suspects=True, track=track)
    group = leaks.groups(prints, pairs)
    found = {group[pair.a.visit] for pair in shared}  # a is ours, b theirs
    gone = tuple(dict.fromkeys(one.visit for one in prints if group[one.visit] in found))
    if not gone:
        warn(f"no photograph here is one of {config.keep_out_root}: nothing is kept out")
    return gone


def _verify(config: MakeSplit, path: Path) -> int:
    """Makes a split again and prints what differs; 2 when anything does."""
    names = (
        *("out", "protocol", "known_duplicates", "folds", "test_share", "val_share"),
        *("keep_out_layout", "keep_out_root"),
    )
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(config, name) is not None]
    if config.seed or given:
        told = ", ".join([*given, *(["--seed"] if config.seed else [])])
        raise UsageError(f"--verify takes all that says how to split from the split itself; leave out {told}")
    split = Split.load(path)
    split.protocol.require_allowed(config.allow_leaky, str(path))
    cohort = split.protocol.view(config.source.read())
    if cohort.vocabulary.codes != split.vocabulary:
        split.check_against(cohort)
    prints, pairs = _photographs(config, cohort)
    found = remake(split, cohort, prints, pairs)
    if config.json:
        print_json(found | {"split": str(path), "split_hash": split.hash, "protocol": split.protocol.brief()})
    else:
        for line in found["differences"]:
            out.print(line, markup=False)
        versions = found["made_with"]
        if not found["same"] and versions["there"] != versions["here"]:
            out.print(f"made with {_versions(versions['there'])}; here {_versions(versions['here'])}", markup=False)
        verdict = "made again, the same" if found["same"] else "differs"
        out.print(f"{path} ({split.protocol.name}, seed {split.seed}): {verdict}; hash {found['hash']}", markup=False)
    return 0 if found["same"] else 2


def _versions(made_with: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in made_with.items()) or "versions that it does not tell"


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
        "protocol": split.protocol.brief(),
        **_leaks(split),
        "seed": split.seed,
        "scheme": split.scheme,
        "visits": len(split.folds[0].part("all")),
        "groups": [list(group) for group in split.groups],
        "duplicates": list(split.duplicates),
        "kept_out": list(split.kept_out),
        "folds": folds,
    }


def _leaks(split: Split) -> dict[str, Any]:
    """What a leaky protocol lets through, a row per fold; nothing for any other."""
    if not split.protocol.leaky:
        return {}
    numbers = range(len(split.folds))
    return {"leaks": [split.leak(one).to_dict() for one in numbers], "stamps": [split.stamp(one) for one in numbers]}


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
    if split.kept_out:
        text = f"{len(split.kept_out)} visits belong to no part, for their photographs are kept out:"
        out.print(f"{text} {', '.join(split.kept_out)}", markup=False)
