"""How long does a pair take, from two 12-megapixel JPEG files to a reading with its 16 maps?

Contenders live in processes of their own and do one round in turn, so that a busy machine slows all alike; times are
the median and the best of the rounds. Beside them: the whole command from a cold start, and a table of pairs read by
worker processes and by threads. Without --photographs the pairs are made (phantom eyes, enlarged, with sensor noise);
with it they are the largest JPEG files below that folder.

    python -m benchmarks.read_speed [--bundle FOLDER] [--photographs FOLDER] [--quick]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import cv2
import numpy as np

from benchmarks import read_speed_work as work
from benchmarks import record
from eyeground.progress import cores
from eyeground.runs.read_pairs import read_pairs
from eyeground.runs.read_table import Plan, read_table

WIDTH, HEIGHT = 4288, 2848
AIMS = {"warm_s": 0.5, "cold_s": 2.0, "peak_mib": 600}
"""Seconds of a warm pair and of the cold command, resident memory."""


def run(bundle: Path | None = None, photographs: Path | None = None, quick: bool = False) -> dict[str, Any]:
    """Measures and prints; returns the figures."""
    with tempfile.TemporaryDirectory(prefix="read_speed.") as place:
        folder = Path(place)
        pairs = real(photographs, 4) if photographs else made(folder, 2)
        figures: dict[str, Any] = {"aims": AIMS, "pair": described(pairs[0], photographs is not None)}
        figures["warm"] = warm(bundle, pairs[0], 5 if quick else 15)
        figures["cold_json"] = cold(bundle, pairs[0], None, 2 if quick else 5)
        figures["cold"] = cold(bundle, pairs[0], folder / "cold", 2 if quick else 5)
        figures["tables"] = tables(bundle, pairs, folder, 40 if quick else 1000, 40 if quick else 200)
        figures["load_per_core"] = round(os.getloadavg()[0] / cores(), 2)
    print(f"load {figures['load_per_core']} per core; aims: {AIMS}")
    return figures


def warm(bundle: Path | None, pair: tuple[Path, Path], rounds: int) -> list[dict[str, Any]]:
    """Every contender's rounds, in turn."""
    context = multiprocessing.get_context("spawn")
    running = []
    rows: list[dict[str, Any]] = []
    for name in work.CONTENDERS:
        here, there = context.Pipe()
        process = context.Process(target=work.serve, args=(name, bundle, pair, there), daemon=True)
        process.start()
        there.close()  # or nobody would hear of its death
        try:
            first = here.recv()
        except EOFError:
            first = "its process died"
        if isinstance(first, str):
            rows.append({"name": name, "left_out": first})
            print(f"{name:<38} left out: {first}", flush=True)
        else:
            running.append((name, here, []))
    for _ in range(rounds):
        for _, link, seconds in running:
            link.send(True)
            seconds.append(link.recv())
    for name, link, seconds in running:
        link.send(False)
        row = {"name": name, "median_s": round(median(seconds), 4), "best_s": round(min(seconds), 4)}
        rows.append({**row, "rounds": rounds, "peak_mib": link.recv()})
        print(f"{name:<38} {median(seconds):7.3f} s, best {min(seconds):.3f} s, {rows[-1]['peak_mib']:6.0f} MiB")
    return rows


def cold(bundle: Path | None, pair: tuple[Path, Path], out: Path | None, rounds: int) -> dict[str, Any]:
    """The command line, from a new interpreter to the end, printing JSON, or with `out` writing page and pictures."""
    command = [
        sys.executable,
        "-m",
        "eyeground",
        "read",
        *map(str, pair),
        *(["--out", str(out)] if out else ["--json"]),
    ]
    command += [] if bundle is None else ["--bundle", str(bundle)]
    seconds, peaks = [], []
    for _ in range(rounds):
        if out:
            shutil.rmtree(out, ignore_errors=True)
        started = perf_counter()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit(process.stderr.read().decode() if process.stderr else "the command failed")
        seconds.append(perf_counter() - started)
        peaks.append(usage.ru_maxrss / 1024)
    row = {"median_s": round(median(seconds), 3), "best_s": round(min(seconds), 3), "rounds": rounds}
    name = "cold command, page and pictures" if out else "cold command, JSON"
    print(f"{name:<38} {row['median_s']:7.3f} s, best {row['best_s']:.3f} s, ", end="")
    print(f"{max(peaks):6.0f} MiB")
    return {**row, "peak_mib": round(max(peaks), 1)}


def tables(
    bundle: Path | None, pairs: Sequence[tuple[Path, Path]], folder: Path, visits: int, by_threads: int
) -> list[dict[str, Any]]:
    """A table of `visits` by worker processes (their start included), and `by_threads` of them by threads."""
    listed = [pairs[number % len(pairs)] for number in range(visits)]
    table = folder / "pairs.csv"
    table.write_text("left,right\n" + "".join(f'"{left}","{right}"\n' for left, right in listed), encoding="utf-8")
    peaks: list[int] = []

    def watched(items: Iterable[Any], label: str, total: int | None = None) -> Iterator[Any]:
        for row, answer in items:
            peaks.append(answer[2])
            yield row, answer

    started = perf_counter()
    tally = read_table(read_pairs(table), Plan(bundle, folder / "out"), watched)
    seconds = perf_counter() - started
    early = max(peaks[: max(len(peaks) // 10, 2)]) / 2**20
    rows = [
        {
            "name": f"{cores()} processes",
            "visits": visits,
            "counts": dict(tally.counts),
            "visits_per_s": round(visits / seconds, 3),
            "peak_mib_each": round(tally.peak / 2**20, 1),
            "peak_mib_each_after_a_tenth": round(early, 1),
        }
    ]
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    context.Process(target=work.in_threads, args=(bundle, listed[:by_threads], cores(), there), daemon=True).start()
    there.close()
    taken, peak = here.recv()
    rate = round(len(listed[:by_threads]) / taken, 3)
    rows.append({"name": f"{cores()} threads", "visits": by_threads, "visits_per_s": rate, "peak_mib": peak})
    for row in rows:
        print(f"table by {row['name']:<29} {row['visits_per_s']:7.2f} visits/s of {row['visits']}", flush=True)
    print(f"memory of a process: {early:.0f} MiB after a tenth, {tally.peak / 2**20:.0f} MiB at the end")
    return rows


def made(folder: Path, count: int) -> list[tuple[Path, Path]]:
    """Phantom pairs as a 12-megapixel camera would save them."""
    from eyeground.phantom import make_cohort

    make_cohort(folder / "phantom", patients=count, size=512, seed=0)
    generator = np.random.default_rng(0)
    pairs = []
    for left in sorted((folder / "phantom").rglob("*_left.jpg")):
        names = []
        for path in (left, left.with_name(left.name.replace("_left", "_right"))):
            eye = cv2.resize(cv2.imread(str(path)), (HEIGHT, HEIGHT), interpolation=cv2.INTER_CUBIC)
            wide = np.zeros((HEIGHT, WIDTH, 3), np.int16)
            wide[:, (WIDTH - HEIGHT) // 2 : (WIDTH + HEIGHT) // 2] = eye
            wide += generator.normal(0, 2.5, (HEIGHT, WIDTH, 1)).astype(np.int16)
            names.append(folder / path.name)
            cv2.imwrite(str(names[-1]), np.clip(wide, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 92])
        pairs.append((names[0], names[1]))
    return pairs


def real(folder: Path, count: int) -> list[tuple[Path, Path]]:
    """Pairs of the largest JPEG files below a folder; neighbours, not eyes of one person."""
    files = sorted((path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg")), key=_size)[::-1]
    if len(files) < 2:
        raise SystemExit(f"no two JPEG files below {folder}")
    return list(zip(files[: 2 * count : 2], files[1 : 2 * count : 2], strict=False))


def _size(path: Path) -> tuple[int, str]:
    return path.stat().st_size, path.name


def described(pair: tuple[Path, Path], photographs: bool) -> dict[str, Any]:
    """Sizes of a pair's files; no names."""
    from eyeground.images.decode import size_of

    sizes = [list(size_of(path)) for path in pair]
    return {"photographs": photographs, "pixels": sizes, "bytes": [path.stat().st_size for path in pair]}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.read_speed", description=__doc__.partition("\n")[0])
    parser.add_argument("--bundle", type=Path, help="the bundle that reads, with model.onnx; default the box")
    parser.add_argument("--photographs", type=Path, help="folder of large JPEG files to make pairs of")
    parser.add_argument("--quick", action="store_true", help="few rounds and visits; nothing is recorded")
    arguments = parser.parse_args(argv)
    figures = run(arguments.bundle, arguments.photographs, arguments.quick)
    if arguments.quick:
        print(json.dumps(figures))
    else:
        print(f"recorded in {record.write('read_speed', figures)}")


if __name__ == "__main__":
    main()
