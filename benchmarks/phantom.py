"""How fast eyes are made, and in how much memory: whole command lines, files included, on one core."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SIZE, PATIENTS, MORE = 512, 20, 80
WANTED = 8.0
"""Eyes a second and core that the photographs should reach."""


def run() -> dict[str, Any]:
    """Measures and prints; returns the figures."""
    cases = {
        "photographs": (PATIENTS, ()),
        "photographs, more": (MORE, ()),
        "photographs and B-scans": (PATIENTS, ("--oct",)),
    }
    rows = []
    for name, (patients, flags) in cases.items():
        with tempfile.TemporaryDirectory() as folder:
            rows.append({"case": name, "patients": patients, **_make(Path(folder) / "made", patients, flags)})
    for row in rows:
        print(
            f"{row['case']:<24} {2 * row['patients']:>4} eyes  {row['eyes_per_second']:5.1f} eyes/s of one core "
            f"({row['wall_eyes_per_second']:.1f} by the clock)  {row['peak_mib']:.0f} MiB"
        )
    print(f"wanted: {WANTED:.0f} eyes/s a core for photographs of {SIZE} pixels, start of the program included")
    return {"size": SIZE, "wanted_eyes_per_second": WANTED, "cases": rows}


def _make(folder: Path, patients: int, flags: tuple[str, ...]) -> dict[str, float]:
    """One run of the command in a process of its own; its processor time, clock time and peak memory."""
    words = ["phantom", "--patients", str(patients), "--size", str(SIZE), "--out", str(folder), *flags]
    before, started = _used(), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "eyeground", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"},
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"eyeground {' '.join(words)} ended with {process.returncode}")
    clock = time.perf_counter() - started
    return {
        "eyes_per_second": 2 * patients / (_used() - before),
        "wall_eyes_per_second": 2 * patients / clock,
        "peak_mib": usage.ru_maxrss / 1024,
    }


def _used() -> float:
    """Processor seconds of the processes that this one has started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
