"""From a 4288 x 2848 JPEG to a cropped 512 x 512 view, on one core: ours beside the bare decode and plain OpenCV.

Every contender reads the same file from disk, in turn, within the same round, so that a busy machine slows all alike.
A file's time is its best round (what the work costs when nothing interferes), the figure the median over the files.
Ours is all of `prepare`: read, hash, scaled decode, field of view, crop, quality.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from eyeground.images.decode import decode
from eyeground.images.prepare import Preprocessing, crop_bytes, prepare

SIZE = 512
SCALE = cv2.IMREAD_REDUCED_COLOR_4
LIMIT = 1.35
"""`prepare` should take at most this many times the bare decode."""

OPTIONS = Preprocessing(size=SIZE)


def bare(path: Path) -> None:
    """libjpeg's decode at 1/4, the scale that ours uses: what no cropping can be faster than."""
    cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), SCALE)


def ours(path: Path) -> None:
    prepare(path, OPTIONS)


def ours_crop_only(path: Path) -> None:
    crop_bytes(path.read_bytes(), OPTIONS, path)


def plain(path: Path) -> None:
    """What a script does: full decode, threshold, bounding box, pad to a square, resize."""
    picture = np.asarray(cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR))
    x, y, wide, high = cv2.boundingRect((cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) > 10).astype(np.uint8))
    side = max(wide, high)
    top, left = (side - high) // 2, (side - wide) // 2
    square = cv2.copyMakeBorder(
        picture[y : y + high, x : x + wide], top, side - high - top, left, side - wide - left, cv2.BORDER_CONSTANT
    )
    cv2.resize(square, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


CONTENDERS: dict[str, Callable[[Path], None]] = {
    "bare decode at 1/4": bare,
    "eyeground prepare": ours,
    "eyeground, crop only": ours_crop_only,
    "plain OpenCV": plain,
}


def run(rounds: int = 8, repeats: int = 200) -> dict[str, Any]:
    """Measures, prints a table, and returns the figures (milliseconds per image; memory in MiB)."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            files, source = _files(Path(folder))
            scale = decode(files[0], SIZE).scale
            if scale != 4:
                raise RuntimeError(f"{files[0]} is decoded at 1/{scale}; the comparison is for 1/4")
            times = {name: np.full((len(files), rounds), np.inf) for name in CONTENDERS}
            for turn in range(rounds):
                for k, path in enumerate(files):
                    for name in _turned(list(CONTENDERS), turn):
                        start = time.perf_counter()
                        CONTENDERS[name](path)
                        times[name][k, turn] = time.perf_counter() - start
            memory = _memory(files, repeats)
    finally:
        cv2.setNumThreads(threads)
    best = {name: 1000 * spent.min(axis=1) for name, spent in times.items()}
    base = best["bare decode at 1/4"]
    rows = [
        {"name": name, "ms": round(float(np.median(ms)), 2), "times_bare": round(float(np.median(ms / base)), 3)}
        for name, ms in best.items()
    ]
    _show(rows, len(files), source, memory)
    return {"images": len(files), "source": source, "size": SIZE, "rows": rows, "limit": LIMIT, "memory": memory}


def _turned(names: list[str], turn: int) -> list[str]:
    """Another first one every round: who comes after whom changes what is in the processor's cache."""
    turn %= len(names)
    return names[turn:] + names[:turn]


def _files(folder: Path) -> tuple[list[Path], str]:
    """IDRiD's originals, or one made photograph of the same size."""
    root = Path(os.environ.get("EYEGROUND_DATA", Path(__file__).resolve().parents[1] / "../shared/data"))
    real = sorted((root / "idrid/A. Segmentation/1. Original Images/a. Training Set").glob("*.jpg"))
    if real:
        return real, "IDRiD originals"
    y, x = np.mgrid[:2848, :4288].astype(np.float32)
    far = np.hypot(x - 2000, y - 1420) / 1714
    light = (1 - 0.4 * far**2 + 0.05 * np.sin(x / 37) * np.sin(y / 41)) * (far < 1)
    picture = np.stack([45 * light, 95 * light, 180 * light], axis=2)
    picture += np.tile(np.random.default_rng(0).normal(2, 2, (356, 536, 3)).astype(np.float32), (8, 8, 1))
    path = folder / "made.jpg"
    cv2.imwrite(str(path), np.clip(picture, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])
    return [path] * 4, "one made photograph (no IDRiD here: set EYEGROUND_DATA)"


def _memory(files: list[Path], repeats: int) -> dict[str, float | int | None]:
    """Resident memory after a few crops and after `repeats` more, MiB; None where the system does not tell."""
    for k in range(20):
        ours(files[k % len(files)])
    before = highest = _resident()
    for k in range(repeats):
        ours(files[k % len(files)])
        highest = max(highest or 0.0, _resident() or 0.0) if before is not None else None
    growth = None if before is None or highest is None else round(highest - before, 1)
    return {"crops": repeats, "before_mib": before, "highest_mib": highest, "growth_mib": growth}


def _resident() -> float | None:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return None
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def _show(rows: list[dict[str, Any]], count: int, source: str, memory: dict[str, float | int | None]) -> None:
    print(f"4288 x 2848 JPEG to {SIZE} x {SIZE}, one core, {count} files: {source}")
    for row in rows:
        print(f"  {row['name']:<22} {row['ms']:8.2f} ms {row['times_bare']:7.2f} x bare")
    print(f"  (limit for prepare: {LIMIT} x)   memory over {memory['crops']} crops: +{memory['growth_mib']} MiB")
