"""Several systems' prediction files, laid beside one truth: the same patients in each, matched by ID."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeground.errors import DataError, UsageError
from eyeground.metrics.align import align
from eyeground.metrics.compare import compare
from eyeground.metrics.compare_pairs import Rules, System
from eyeground.metrics.compare_words import NAMES
from eyeground.metrics.label_logic import in_words, label_logic
from eyeground.metrics.patients import read_patients
from eyeground.metrics.predictions import Truth, read_predictions, read_truth

Files = Mapping[str, tuple[Path, ...]]
"""A system's name to the prediction files of its training runs."""
Read = tuple[NDArray[np.float64], str | None]
"""Probabilities, and the stamp of a leaky protocol."""


def compare_files(
    truth_file: Path, systems: Files, subset: bool = False, rules: Rules | None = None, people: Path | None = None
) -> dict[str, Any]:
    """Reads the files and compares.

    Rows are matched by ID and columns by name, whatever their order. `truth_patients` and `files` are added to what
    `metrics.compare.compare` returns, and `stamps` to a system whose files carry those of a leaky protocol.

    Args:
        subset: the files may lack patients of the truth, all the same ones.
        people: table of whose each row is, see `read_patients`; every row is a patient when None.

    Raises:
        UsageError: one system only.
        DataError: a file that can't be read or does not fit, patients that differ between files, two runs of a system
            that are the same, or a number to compare by that is not defined.
    """
    rules = rules or Rules()
    if len(systems) < 2:
        raise UsageError("one system can't be compared: give two prediction files or more, or --system NAME=FILE twice")
    truth = read_truth(truth_file)
    rows, read = _read(truth, [path for paths in systems.values() for path in paths], subset)
    stamps = {path: stamp for path, (_, stamp) in read.items() if stamp}
    if len(rows) < 2:
        raise DataError(
            f"{truth_file} and the prediction files share one patient, who can't tell systems apart; give more"
        )
    labels = truth.labels[rows]
    known = ~np.isnan(labels)
    if rules.by == "final" and not known.all():
        raise DataError(
            f"{truth_file} leaves {int((~known).sum())} cells unknown, and 'final' needs all of them; "
            f"compare by macro_auc or macro_ap"
        )
    shown = [c for c in range(len(truth.vocabulary)) if len(np.unique(labels[known[:, c], c])) == 2]
    if rules.by != "final" and not shown:
        raise DataError(
            f"{truth_file} has no label with both a positive and a negative patient: {NAMES[rules.by]} is undefined"
        )
    made = [System(name, tuple(read[path][0] for path in paths)) for name, paths in systems.items()]
    for name, paths in systems.items():
        _check_runs(name, paths, read)
    ids = [truth.ids[row] for row in rows]
    patients = np.array(ids if people is None else read_patients(people, ids))
    found = compare(labels, known, made, truth.vocabulary.codes, patients, rules)
    odd = label_logic(ids, labels, known, truth.vocabulary)
    found["notes"] += in_words(odd)
    for one, paths in zip(found["systems"], systems.values(), strict=True):
        one["files"] = [str(path) for path in paths]
        told = tuple(dict.fromkeys(stamps[path] for path in paths if path in stamps))
        if told:
            one["stamps"] = list(told)
            found["notes"] += [f"{one['name']}: {text}" for text in told]
    return {"truth_patients": len(truth.ids), **found}


def named(files: Sequence[Path], systems: Sequence[str]) -> dict[str, tuple[Path, ...]]:
    """Systems by name: each of `files` is one, called by its file; each of `systems` is 'NAME=FILE,FILE,...'.

    Files of the same name are called by their folder too; the same file again gets a number.

    Raises:
        UsageError: no name or no file in one of `systems`, or a name twice.
    """
    found: dict[str, tuple[Path, ...]] = {}
    for path in files:
        alike = [other for other in files if other.stem == path.stem and other != path]
        name = start = f"{path.parent.name}/{path.stem}" if alike else path.stem
        again = 1
        while name in found:
            again += 1
            name = f"{start} ({again})"
        found[name] = (path,)
    for text in systems:
        name, equals, listed = text.partition("=")
        paths = tuple(Path(part.strip()) for part in listed.split(",") if part.strip())
        if not (equals and name.strip() and paths):
            raise UsageError(f"--system '{text}' is not NAME=FILE,FILE,...: a name, =, and one file per training run")
        if name.strip() in found:
            raise UsageError(f"two systems are called '{name.strip()}'; give each its own name with --system NAME=FILE")
        found[name.strip()] = paths
    return found


def _read(truth: Truth, paths: Sequence[Path], subset: bool) -> tuple[NDArray[np.intp], dict[Path, Read]]:
    """The truth's rows that all files have, and each file's probabilities (m, C) in their order, with its stamp."""
    found: dict[Path, Read] = {}
    shared: NDArray[np.intp] | None = None
    for path in paths:
        predictions = read_predictions(path, truth.vocabulary.codes, by_name=True)
        if not predictions.ids:
            raise DataError(f"{path} has a header but no patients; give it one row per patient")
        rows, probability = align(truth.ids, predictions, reorder=True, subset=True)
        if shared is not None and not np.array_equal(rows, shared):
            _refuse(truth, paths[0], shared, path, rows)
        shared, found[path] = rows, (probability, predictions.stamp)
    if shared is None:
        raise UsageError("there is no prediction file to compare")
    if len(shared) < len(truth.ids) and not subset:
        missing = np.setdiff1d(np.arange(len(truth.ids)), shared)
        raise DataError(
            f"the prediction files lack {len(missing)} of the truth's {len(truth.ids)} patients, first ID "
            f"{truth.ids[missing[0]]}; add them, or compare on the patients they have with --subset"
        )
    return shared, found


def _refuse(truth: Truth, first: Path, expected: NDArray[np.intp], other: Path, rows: NDArray[np.intp]) -> None:
    """Raises `DataError`: two files hold different patients; names the first that only one of them has."""
    row = int(np.setxor1d(expected, rows)[0])
    has, lacks = (first, other) if row in expected else (other, first)
    raise DataError(
        f"{lacks} lacks patient {truth.ids[row]}, which {has} has; systems are compared on the same patients: "
        "give every file the same rows"
    )


def _check_runs(name: str, paths: Sequence[Path], read: Mapping[Path, Read]) -> None:
    """Raises `DataError` when two runs of a system are one and the same."""
    for k, path in enumerate(paths):
        for other in paths[:k]:
            if np.array_equal(read[path][0], read[other][0]):
                raise DataError(
                    f"{path} and {other} hold the same predictions, so they are not two training runs of {name}; "
                    "give one file per run"
                )
