"""The leak audit: what it finds on lists of known pairs, also changed; false alarms; seconds for 100,000 photographs.

Needs the folder of real data (`EYEGROUND_DATA`, by default ../shared/data): odir5k/, idrid/ and tvhl/, each with the
duplicates.csv beside it. Photographs of different sets come from different countries, so every pair across sets is a
pair of different eyes; pairs within a set are so where the patient differs and no list names them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.leaks_changes import CHANGES, KnownPairs, known_pairs, photographs
from benchmarks.leaks_speed import speed
from eyeground.images.decode import decode
from eyeground.leaks import Fingerprint, find_duplicates
from eyeground.leaks.signature import signature, signature_of

WORKERS = 2


def run() -> dict[str, Any]:
    """Measures, prints a table, and returns the figures."""
    root = Path(os.environ.get("EYEGROUND_DATA", "../shared/data"))
    files = photographs(root)
    start, cpu = time.perf_counter(), time.process_time()
    prints = take(files)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    known = known_pairs(root)
    figures = {
        "photographs": len(files),
        "fingerprints_per_second": round(len(files) / seconds, 1),
        "fingerprints_per_cpu_second": round(len(files) / cpu, 1),
        "found": recall(files, prints, known),
        "false_alarms": false_alarms(list(prints.values()), known),
        "speed": speed([one.signature for one in prints.values()]),
    }
    show(figures)
    return figures


def take(files: Mapping[str, Path]) -> dict[str, Fingerprint]:
    """Fingerprints by name. `visit` is the name, `patient` what stands before the first dot."""

    def one(name: str) -> Fingerprint:
        return Fingerprint(
            name, name.split(".", maxsplit=1)[0], "left", name, signature_of(files[name].read_bytes(), files[name])
        )

    with ThreadPoolExecutor(WORKERS) as pool:
        return dict(zip(files, pool.map(one, files), strict=True))


def recall(files: Mapping[str, Path], prints: Mapping[str, Fingerprint], known: KnownPairs) -> dict[str, Any]:
    """Per list and change: known pairs, those found as a copy, those told at least as suspects, and by thumbnail."""
    changed: dict[tuple[str, str], str] = {}
    for name in sorted({b for pairs in known.values() for _, b in pairs}):
        pixels = decode(files[name], 512).pixels
        for change, act in CHANGES.items():
            changed[name, change] = signature(act(pixels))
    table: dict[str, Any] = {}
    for title, pairs in known.items():
        for change in CHANGES:
            counts = {"known": len(pairs), "found": 0, "told": 0, "by_thumbnail": 0}
            for a, b in pairs:
                new = Fingerprint("new", "new", "left", "new", changed[b, change])
                told = find_duplicates([prints[a]], [new], suspects=True)
                counts["found"] += any(pair.kind != "suspect" for pair in told)
                counts["told"] += bool(told)
                counts["by_thumbnail"] += bool(find_duplicates([_earlier(prints[a])], [_earlier(new)]))
            table.setdefault(title, {})[change] = counts
    return table


def _earlier(one: Fingerprint) -> Fingerprint:
    """As a split of an earlier version holds it."""
    return Fingerprint(one.visit, one.patient, one.side, one.sha256, one.thumbnail)


def false_alarms(prints: list[Fingerprint], known: KnownPairs) -> dict[str, Any]:
    """Copies and suspects told among pairs of different eyes, across the sets and between patients of each set."""
    listed = {frozenset(pair) for pairs in known.values() for pair in pairs}
    by_set: dict[str, list[Fingerprint]] = {}
    for one in prints:
        by_set.setdefault(one.visit.split(" ")[0], []).append(one)
    counts = {name: len(members) for name, members in by_set.items()}
    across = sum(counts[a] * counts[b] for a, b in combinations(counts, 2))
    told = [pair for pair in find_duplicates(prints, suspects=True) if pair.a.patient != pair.b.patient]
    told = [pair for pair in told if frozenset((pair.a.visit, pair.b.visit)) not in listed]
    result: dict[str, Any] = {}
    for place, pairs in (("across sets", across), *((name, n * (n - 1) // 2) for name, n in counts.items())):
        here = [pair for pair in told if _place(pair.a.visit, pair.b.visit) == place]
        copies = [f"{pair} {pair.evidence}" for pair in here if pair.kind != "suspect"]
        result[place] = {"pairs": pairs, "copies": copies, "suspects": len(here) - len(copies)}
    return result


def _place(a: str, b: str) -> str:
    one, two = a.split(" ", maxsplit=1)[0], b.split(" ", maxsplit=1)[0]
    return one if one == two else "across sets"


def show(figures: dict[str, Any]) -> None:
    """The figures as tables."""
    print(f"{figures['photographs']} photographs, {figures['fingerprints_per_second']} fingerprints a second")
    for title, rows in figures["found"].items():
        print(title)
        for change, counts in rows.items():
            text = f"found {counts['found']}, told {counts['told']} of {counts['known']}"
            print(f"  {change:<26} {text}; by the thumbnail alone {counts['by_thumbnail']}")
    for place, row in figures["false_alarms"].items():
        print(
            f"false alarms {place}: {len(row['copies'])} copies, {row['suspects']} suspects in {row['pairs']:,} pairs"
        )
        for text in row["copies"]:
            print(f"  {text}")
    print(figures["speed"], np.__version__)
