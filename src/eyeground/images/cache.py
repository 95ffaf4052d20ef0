"""Prepared views on disk, one file each, so that training never decodes a photograph twice.

    FOLDER/files.jsonl                               path, size, mtime_ns -> SHA-256 (append only; spares hashing again)
    FOLDER/<preprocessing digest>/<ab>/<sha256>.view  one JSON line (geometry, quality, flags), then S*S*3 raw RGB bytes

Every view is written aside and renamed, so the folder is valid whenever the process is killed, and the next call goes
on where it stopped. A view of the wrong length or with a broken line is made again.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.errors import DataError, ImageError
from eyeground.files import aside, disk_errors
from eyeground.images.decode import read_bytes
from eyeground.images.geometry import Geometry
from eyeground.images.prepare import Prepared, Preprocessing, prepare_bytes
from eyeground.progress import Track, quiet
from eyeground.records import Flag

POOL_FROM = 32
"""Fewer images than this are prepared in this process; starting others would take longer."""


@dataclass(frozen=True)
class CacheEntry:
    """One prepared image: where it came from, its geometry and quality. `load` gives the pixels.

    `view` is the cache file, or None when the pixels are kept in memory (no cache folder).
    """

    path: Path
    sha256: str
    geometry: Geometry
    quality: dict[str, float]
    flags: tuple[Flag, ...]
    view: Path | None = None
    pixels: NDArray[np.uint8] | None = None

    def load(self) -> NDArray[np.uint8]:
        """The view's pixels, uint8 (S, S, 3) RGB. Raises `DataError` when the cache file was removed or altered."""
        if self.pixels is not None:
            return self.pixels
        size = self.geometry.size
        count = size * size * 3
        assert self.view is not None
        try:
            with self.view.open("rb") as stream:
                stream.seek(-count, os.SEEK_END)
                data = stream.read(count)
        except OSError as error:
            raise DataError(
                f"the cached view {self.view} can't be read ({error.strerror}); run again to remake it"
            ) from None
        return np.frombuffer(data, np.uint8).reshape(size, size, 3)


def prepare_all(
    paths: Sequence[Path],
    preprocessing: Preprocessing,
    folder: Path | None = None,
    workers: int = 1,
    track: Track = quiet,
) -> list[CacheEntry | ImageError]:
    """Prepares images, or takes them from the cache.

    Args:
        paths: image files; may repeat.
        preprocessing: what to do with them.
        folder: the cache; None keeps the pixels in memory.
        workers: processes; 1 or less works in this one.
        track: shows progress.

    Returns:
        one entry per path, in the same order; an `ImageError` (not raised) stands for a file that can't be used.

    Raises:
        DataError: the cache folder can't be written, or a worker process was killed.
    """
    paths = [Path(path) for path in paths]
    if folder is None:
        return list(_run(partial(_make, preprocessing=preprocessing, place=None), paths, workers, track))
    place = folder / preprocessing.digest[:16]
    with disk_errors(folder):
        place.mkdir(parents=True, exist_ok=True)
    index = _Index(folder / "files.jsonl")
    results: dict[Path, CacheEntry | ImageError] = {}
    for path in paths:
        entry = _cached(path, index.sha256(path), preprocessing, place)
        if entry is not None:
            results[path] = entry
    missing = list(dict.fromkeys(path for path in paths if path not in results))
    if missing:
        make = partial(_make, preprocessing=preprocessing, place=place)
        with index:
            for path, made in zip(missing, _run(make, missing, workers, track), strict=True):
                results[path] = made
                if isinstance(made, CacheEntry):
                    index.add(path, made.sha256)
    return [results[path] for path in paths]


def _run(make: Any, paths: Sequence[Path], workers: int, track: Track) -> Iterator[CacheEntry | ImageError]:
    """`make` of every path in order, in this process or a pool."""
    if not paths:
        return
    workers = min(workers, len(paths))
    if workers <= 1 or len(paths) < POOL_FROM:
        yield from map(make, track(paths, "preparing images", len(paths)))
        return
    chunk = max(1, min(16, len(paths) // (4 * workers)))
    context = multiprocessing.get_context("spawn")  # forking a process that holds threads can hang
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread)
    try:
        made: Iterable[CacheEntry | ImageError] = pool.map(make, paths, chunksize=chunk)
        yield from track(made, "preparing images", len(paths))
    except BrokenProcessPool:
        raise DataError("a process that prepares images was killed (memory?); run again with fewer workers") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    cv2.setNumThreads(1)


def _make(path: Path, preprocessing: Preprocessing, place: Path | None) -> CacheEntry | ImageError:
    """Prepares one file; with a cache, an image that another path already brought there is not decoded again."""
    try:
        data = read_bytes(path)
        if place is not None:
            known = _cached(path, hashlib.sha256(data).hexdigest(), preprocessing, place)
            if known is not None:
                return known
        prepared = prepare_bytes(data, preprocessing, path)
    except ImageError as error:
        return error
    entry = CacheEntry(
        path=path,
        sha256=prepared.sha256,
        geometry=prepared.view.geometry,
        quality=prepared.quality.numbers,
        flags=(*prepared.notes, *prepared.quality.flags),
        view=None if place is None else _file(place, prepared.sha256),
        pixels=prepared.view.pixels if place is None else None,
    )
    if entry.view is not None:
        _write(entry, prepared)
    return entry


def _file(place: Path, sha256: str) -> Path:
    return place / sha256[:2] / f"{sha256}.view"


def _write(entry: CacheEntry, prepared: Prepared) -> None:
    """The view's file: one JSON line, then the pixels."""
    assert entry.view is not None
    record = {
        "sha256": entry.sha256,
        "geometry": entry.geometry.to_dict(),
        "quality": entry.quality,
        "flags": [[flag.code, flag.text] for flag in entry.flags],
    }
    with aside(entry.view) as temporary, temporary.open("wb") as stream:
        stream.write(json.dumps(record, separators=(",", ":"), allow_nan=False).encode() + b"\n")
        stream.write(prepared.view.pixels.tobytes())


def _cached(path: Path, sha256: str | None, preprocessing: Preprocessing, place: Path) -> CacheEntry | None:
    """The entry of a file whose hash is known, or None when its view is not there or not whole."""
    if sha256 is None:
        return None
    view = _file(place, sha256)
    try:
        with view.open("rb") as stream:
            line = stream.readline(1 << 16)
            length = os.fstat(stream.fileno()).st_size
        record = json.loads(line)
        geometry = Geometry.from_dict(record["geometry"])
        flags = tuple(Flag(code, text) for code, text in record["flags"])
        entry = CacheEntry(path, record["sha256"], geometry, record["quality"], flags, view)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    whole = length == len(line) + preprocessing.size**2 * 3 and geometry.size == preprocessing.size
    return entry if whole and entry.sha256 == sha256 else None


class _Index:
    """Hashes of files already read, by path, size and time of change. Lines that a kill cut short are passed over."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[tuple[str, int, int], str] = {}
        self.keys: dict[Path, tuple[str, int, int] | None] = {}
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            lines = []
        for line in lines:
            try:
                name, size, mtime_ns, sha256 = json.loads(line)
            except (ValueError, TypeError):
                continue
            self.known[name, size, mtime_ns] = sha256

    def __enter__(self) -> _Index:
        with disk_errors(self.path):
            self.stream = self.path.open("a", encoding="utf-8")
            self.stream.write("\n" if self.known else "")  # ends a line that a kill cut short
        return self

    def __exit__(self, *_: object) -> None:
        with disk_errors(self.path):
            self.stream.close()

    def sha256(self, path: Path) -> str | None:
        """The file's hash, or None when the file is new, changed or not there."""
        key = self.keys[path] = _key(path)
        return None if key is None else self.known.get(key)

    def add(self, path: Path, sha256: str) -> None:
        """Notes the hash of a file that `sha256` was asked for before it was read."""
        key = self.keys[path]
        if key is not None:
            self.known[key] = sha256
            with disk_errors(self.path):
                self.stream.write(json.dumps([*key, sha256]) + "\n")
                self.stream.flush()


def _key(path: Path) -> tuple[str, int, int] | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return str(path.absolute()), facts.st_size, facts.st_mtime_ns
