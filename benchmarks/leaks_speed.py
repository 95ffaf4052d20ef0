"""Seconds and memory of comparing 100,000 signatures with each other, in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

from eyeground.leaks.search import Frames, find_matches
from eyeground.leaks.signature import SIDE, disc, read_signatures

MANY = 100_000
COPIES = 1000


def speed(signatures: list[str], many: int = MANY) -> dict[str, Any]:
    """Compares `many` made signatures in a process of its own; see `main`."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.leaks_speed", str(many)],
        input=json.dumps(signatures),
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def made(real: Frames, many: int) -> Frames:
    """The real signatures, then new ones, each of the tiles of four real ones; the last COPIES repeat the first, noisy.

    A made picture has the statistics of real ones, and resembles each of its four parents in a quarter only.
    """
    generator = np.random.default_rng(0)
    pictures = np.zeros((many, SIDE, SIDE), np.int8)
    discs = np.tile(np.array([0, 0, 1, 1], np.float32), (many, 1))
    count = len(real[0])
    pictures[:count], discs[:count] = real[0], real[1]
    half = SIDE // 2
    for place in range(count, many):
        for top in (0, half):
            for left in (0, half):
                tile = np.s_[top : top + half, left : left + half]
                pictures[(place, *tile)] = real[0][(generator.integers(count), *tile)]
    noise = generator.normal(0, 1.2, (COPIES, SIDE, SIDE))
    pictures[-COPIES:] = np.clip(np.round(pictures[:COPIES] + noise), -7, 7) * disc()
    discs[-COPIES:] = discs[:COPIES]
    return pictures, discs


def main() -> None:
    """Reads signatures from standard input, writes seconds, peak memory and copies found to standard output."""
    many = int(sys.argv[1])
    frames = made(read_signatures(json.load(sys.stdin)), many)
    wall, cpu = time.perf_counter(), time.process_time()
    found = find_matches(frames)
    seconds, cpu = time.perf_counter() - wall, time.process_time() - cpu
    again = sum(match.two - match.one == many - COPIES for match in found)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"photographs": many, "seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1)}
    figures |= {"peak_mib": round(peak), "copies_made": COPIES, "copies_found": again, "pairs_told": len(found)}
    sys.stdout.write(json.dumps(figures))


if __name__ == "__main__":
    main()
