"""A cohort with changed copies of photographs with rare labels, written to disk before any split.

    cohort.csv           layout `folder`: the photographs and their copies, eye labels and visit labels as they were
    photographs/         <visit>_<side>.<suffix>, byte for byte, and <visit>_<side>_copy<n>.jpg
    copies.csv           what was done to make each copy
    duplicates.csv       which photographs have copies, for `cohort split --known-duplicates`
    synthesised.json     what was asked for

Every copy is a visit of its own with one eye, its patient's visit labels and its eye's own, and the patient's id: a
split that keeps patients together keeps copies with their photograph, one that keeps nothing together does not. The
eye's side is that of the eye that was photographed, also where a copy is mirrored. Each file is whole or not there
and `cohort.csv` comes last, so a killed run goes on where it stopped.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from eyeground.cohorts.folder import RESERVED, TABLE
from eyeground.errors import DataError, ImageError, UsageError
from eyeground.files import aside, digest, disk_errors, write_json, write_text
from eyeground.images.change import Change, Pixels, apply_change, draw_changes
from eyeground.images.decode import decode
from eyeground.progress import Track, quiet
from eyeground.records import Cohort, Eye, State, Visit, label_arrays
from eyeground.sampling.balance import Balance, factors_of, row_factors
from eyeground.sampling.rows import Rows

VERSION = 1
"""Rises when the same seed makes other pictures."""
PHOTOGRAPHS, NOTE, COPIES, KNOWN = "photographs", "synthesised.json", "copies.csv", "duplicates.csv"
QUALITY = 95
SAMPLE = 8
"""Photographs whose copies are made beforehand to tell how much disk all need."""


@dataclass(frozen=True)
class Source:
    """A photograph on disk, the name of its file in the new cohort, and what makes its copies."""

    visit: Visit
    eye: Eye
    path: Path
    stem: str
    changes: tuple[Change, ...]

    @property
    def original(self) -> str:
        return f"{PHOTOGRAPHS}/{self.stem}{self.path.suffix.lower()}"

    def copy(self, number: int) -> str:
        """File of a copy, numbered from 1."""
        return f"{PHOTOGRAPHS}/{self.stem}_copy{number}.jpg"


@dataclass(frozen=True)
class Synthesis:
    """What will be made: `asked` names it, so that a folder can be told from another's."""

    cohort: Cohort
    sources: tuple[Source, ...]
    asked: dict[str, Any]

    @property
    def copies(self) -> int:
        return sum(len(source.changes) for source in self.sources)


def plan(cohort: Cohort, factors: tuple[str, ...] = (), seed: int = 0) -> Synthesis:
    """How many copies of which photographs: k of each, k the largest factor of its eye's labels.

    Args:
        factors: as LABEL=k; none are the published ones for ODIR's labels.

    Raises:
        UsageError: factors that don't fit the labels.
        DataError: no photograph gets a copy, or labels that the layout `folder` can't hold.
    """
    vocabulary = cohort.vocabulary
    taken = set(vocabulary.codes) & set(RESERVED)
    if vocabulary.kind != "multilabel" or taken:
        raise DataError(f"labels of kind {vocabulary.kind} or named {', '.join(RESERVED)} don't go into {TABLE}")
    eyes = [(visit, eye, eye.path) for visit in cohort.visits for eye in visit.listed() if eye.path is not None]
    rows = Rows(*label_arrays([eye.labels for _, eye, _ in eyes], len(vocabulary)), vocabulary.codes)
    k = factors_of(Balance("over", factors), vocabulary.codes)
    counts = row_factors(rows, k, "over").astype(int).tolist()
    if not any(counts):
        raise DataError(f"no photograph of {cohort.root} has an eye label whose factor is above 0: nothing to copy")
    sources = []
    for (visit, eye, path), stem, count in zip(eyes, _stems(eyes), counts, strict=True):
        changes = draw_changes(count, f"{visit.id} {eye.side}", seed)
        sources.append(Source(visit, eye, path, stem, changes))
    asked = {
        "made_by": "eyeground cohort synthesise",
        "version": VERSION,
        "seed": seed,
        "factors": dict(zip(vocabulary.codes, k.tolist(), strict=True)),
        "layout": cohort.layout,
        "photographs": len(sources),
        "copies": sum(counts),
        "of": digest([[one.stem, one.path.stat().st_size, one.visit.labels, one.eye.labels] for one in sources]),
    }
    return Synthesis(cohort, tuple(sources), asked)


def _stems(eyes: Sequence[tuple[Visit, Eye, Path]]) -> Iterator[str]:
    """Names of files, each once also where letters' case does not count."""
    used: set[str] = set()
    for visit, eye, _ in eyes:
        stem = plain = f"{re.sub(r'[^A-Za-z0-9.-]', '-', visit.id)}_{eye.side}"
        number = 2
        while stem.lower() in used:
            stem, number = f"{plain}-{number}", number + 1
        used.add(stem.lower())
        yield stem


def disk_need(work: Synthesis, folder: Path) -> tuple[int, int]:
    """Bytes still to be written, as estimated from a sample, and bytes that are free where the folder is or will be."""
    chosen = [source for source in work.sources if source.changes]
    chosen = chosen[:: max(1, len(chosen) // SAMPLE)]
    sizes: list[int] = []
    for source in chosen:
        try:
            pixels = decode(source.path).pixels
        except ImageError:
            continue
        sizes += [len(_encode(apply_change(pixels, change))) for change in source.changes[:4]]
    originals = sum(source.path.stat().st_size for source in work.sources)
    there = sum(file.stat().st_size for file in (folder / PHOTOGRAPHS).glob("[!.]*"))
    need = originals + round(work.copies * float(np.mean(sizes or [0]))) - there
    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.is_dir())
    return max(need, 0), shutil.disk_usage(place).free


def synthesise(work: Synthesis, folder: Path, workers: int = 2, track: Track = quiet) -> tuple[str, ...]:
    """Writes the cohort, or what is missing of it.

    Returns:
        the photographs that can't be decoded; they are kept, without copies.

    Raises:
        DataError: the folder holds anything else, or can't be written.
    """
    with disk_errors(folder):
        _claim(folder, work.asked)
        (folder / PHOTOGRAPHS).mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(max(workers, 1)) as pool:
            made = pool.map(lambda source: _write(folder, source), work.sources)
            readable = list(track(made, "synthesise", len(work.sources)))
        bad = {id(source) for source, fine in zip(work.sources, readable, strict=True) if not fine}
        copied = [one for one in work.sources if one.changes and id(one) not in bad]
        write_text(folder / COPIES, _copies_csv(copied))
        write_text(folder / KNOWN, _known_csv(copied))
        write_text(folder / TABLE, _cohort_csv(work, bad))
    return tuple(source.eye.file for source in work.sources if id(source) in bad)


def _claim(folder: Path, asked: dict[str, Any]) -> None:
    """Makes sure the folder is ours, and writes down what it will hold."""
    note = folder / NOTE
    if note.is_file():
        try:
            held = json.loads(note.read_text(encoding="utf-8"))
        except ValueError:
            raise DataError(f"{note} is not valid JSON: choose another folder for --out") from None
        if held != asked:
            keys = [key for key in asked if not isinstance(held, dict) or held.get(key) != asked[key]]
            text = f"{folder} holds another synthesised cohort (other {', '.join(keys)})"
            raise DataError(f"{text}: choose another folder for --out")
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is not empty and holds no synthesised cohort: choose a new or empty one for --out")
    write_json(note, asked)


def _write(folder: Path, source: Source) -> bool:
    """Writes a photograph and its copies where they are not there yet; whether it can be decoded."""
    if not (folder / source.original).exists():
        with aside(folder / source.original) as temporary:
            shutil.copyfile(source.path, temporary)
    wanted = [(folder / source.copy(n), change) for n, change in enumerate(source.changes, start=1)]
    missing = [(path, change) for path, change in wanted if not path.exists()]
    if not missing:
        return True
    try:
        pixels = decode(source.path).pixels
    except ImageError:
        return False
    for path, change in missing:
        with aside(path) as temporary:
            temporary.write_bytes(_encode(apply_change(pixels, change)))
    return True


def _encode(pixels: Pixels) -> bytes:
    done, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise UsageError("this OpenCV can't write JPEG; install opencv-python-headless")
    return data.tobytes()


def _cohort_csv(work: Synthesis, bad: set[int]) -> str:
    """For every visit a row with its labels, a row per eye; for every copy the same two."""
    codes = work.cohort.vocabulary.codes
    lines: list[list[str]] = [["patient", "visit", "level", "eye", "file", "age", "sex", "keywords", *codes]]
    stated: set[str] = set()
    for source in work.sources:
        visit, eye = source.visit, source.eye
        person = [visit.patient, f"{visit.age:g}" if visit.age is not None else "", visit.sex or ""]
        for day, file in _visits(source, len(source.changes) if id(source) not in bad else 0):
            name = f"{visit.patient}:{day}"
            if name not in stated:
                lines.append(_line(person, day, ("visit", "", "", ""), visit.labels))
                stated.add(name)
            lines.append(_line(person, day, ("eye", eye.side, file, "，".join(eye.keywords)), eye.labels))
    return _csv(lines)


def _visits(source: Source, copies: int) -> Iterator[tuple[str, str]]:
    """Day and file of the photograph and of its copies, each of which is a visit by itself."""
    visit = source.visit
    day = "" if visit.id == visit.patient else visit.id.removeprefix(f"{visit.patient}:")
    yield day, source.original
    for number in range(1, copies + 1):
        yield f"{day}-{source.eye.side}-copy{number}".lstrip("-"), source.copy(number)


def _line(person: Sequence[str], day: str, row: tuple[str, str, str, str], labels: tuple[State, ...]) -> list[str]:
    """A row; `row` is level, eye, file and keywords."""
    states = ["" if state is None else str(state) for state in labels]
    return [person[0], day, *row[:3], *person[1:], row[3], *states]


def _copies_csv(sources: Sequence[Source]) -> str:
    lines = [["file", "of", "patient", "eye", "change", "amount", "x", "y"]]
    for source in sources:
        for number, one in enumerate(source.changes, start=1):
            place = [source.copy(number), source.original, source.visit.patient, source.eye.side]
            lines.append([*place, one.kind, *(f"{value:g}" for value in (one.amount, one.x, one.y))])
    return _csv(lines)


def _known_csv(sources: Sequence[Source]) -> str:
    """Every copied photograph as a group of its own: all photographs of this patient's eye are in it."""
    groups = dict.fromkeys((source.visit.patient, source.eye.side) for source in sources)
    lines = [[*eye, str(number), "-1"] for number, eye in enumerate(groups)]
    return _csv([["patient_id", "eye", "neardup_group", "identical_group"], *lines])


def _csv(lines: Sequence[Sequence[str]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(lines)
    return stream.getvalue()
