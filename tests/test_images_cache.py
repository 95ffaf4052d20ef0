"""The prepared cache: the same pixels as fresh ones, whole at every moment, nothing dropped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from eyeground.errors import DataError, ImageError
from eyeground.images import cache
from eyeground.images.cache import CacheEntry, prepare_all
from eyeground.images.prepare import Preprocessing, prepare

OPTIONS = Preprocessing(size=64)


@pytest.fixture(autouse=True)
def _pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "POOL_FROM", 8)


def made(folder: Path, count: int) -> list[Path]:
    """Small discs that differ."""
    folder.mkdir(exist_ok=True)
    paths = []
    for k in range(count):
        picture = cv2.circle(np.zeros((90, 120, 3), np.uint8), (60, 45), 35 + k % 8, (180, 90 + k % 100, 40), -1)
        paths.append(folder / f"{k:03}.png")
        Image.fromarray(picture).save(paths[-1])
    return paths


def views(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.view"))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("keep", [False, True])
def test_entries_equal_fresh_views_in_order(tmp_path: Path, workers: int, keep: bool) -> None:
    paths = made(tmp_path / "in", 12)
    order = [paths[i] for i in (5, 0, 11, 5, *range(1, 5), *range(6, 11))]
    folder = tmp_path / "cache" if keep else None
    for _ in range(2):
        entries = prepare_all(order, OPTIONS, folder, workers)
        assert [entry.path for entry in entries] == order
        for entry, path in zip(entries, order, strict=True):
            fresh = prepare(path, OPTIONS)
            assert isinstance(entry, CacheEntry)
            np.testing.assert_array_equal(entry.load(), fresh.view.pixels)
            assert (entry.geometry, entry.sha256) == (fresh.view.geometry, fresh.sha256)
            assert (entry.quality, entry.flags) == (fresh.quality.numbers, (*fresh.notes, *fresh.quality.flags))


def test_a_second_call_neither_reads_nor_decodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = made(tmp_path / "in", 5)
    first = prepare_all(paths, OPTIONS, tmp_path / "cache")

    def never(*_: object, **__: object) -> None:
        raise AssertionError("read a file that the cache has")

    monkeypatch.setattr(cache, "read_bytes", never)
    assert prepare_all(paths, OPTIONS, tmp_path / "cache") == first


def test_a_changed_file_and_other_options_are_other_views(tmp_path: Path) -> None:
    paths = made(tmp_path / "in", 3)
    prepare_all(paths, OPTIONS, tmp_path / "cache")
    Image.fromarray(np.asarray(Image.open(paths[1])) // 2).save(paths[0])
    changed = prepare_all(paths, OPTIONS, tmp_path / "cache")
    np.testing.assert_array_equal(changed[0].load(), prepare(paths[0], OPTIONS).view.pixels)
    other = prepare_all(paths, Preprocessing(size=32), tmp_path / "cache")
    assert other[0].load().shape == (32, 32, 3)
    assert len(views(tmp_path / "cache")) == 7


@pytest.mark.parametrize(
    "harm", [lambda d: d[:-1], lambda d: d + b"x", lambda d: b"{" + d, lambda d: b"", lambda d: b"\0" * len(d)]
)
def test_a_damaged_view_is_made_again(tmp_path: Path, harm) -> None:
    paths = made(tmp_path / "in", 2)
    first = prepare_all(paths, OPTIONS, tmp_path / "cache")
    for view in views(tmp_path / "cache"):
        view.write_bytes(harm(view.read_bytes()))
    again = prepare_all(paths, OPTIONS, tmp_path / "cache")
    for entry, path in zip(again, paths, strict=True):
        np.testing.assert_array_equal(entry.load(), prepare(path, OPTIONS).view.pixels)
    assert again == first


def test_a_damaged_index_costs_only_time(tmp_path: Path) -> None:
    paths = made(tmp_path / "in", 3)
    first = prepare_all(paths, OPTIONS, tmp_path / "cache")
    index = tmp_path / "cache/files.jsonl"
    index.write_text(index.read_text()[:-40] + '\n7\n{"a": 1}\n')
    assert prepare_all(paths, OPTIONS, tmp_path / "cache") == first
    assert prepare_all(paths, OPTIONS, tmp_path / "cache") == first


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_files_come_back_as_errors_in_their_place(tmp_path: Path, workers: int) -> None:
    paths = made(tmp_path / "in", 10)
    paths[2].write_bytes(paths[2].read_bytes()[:60])
    paths[7] = tmp_path / "gone.png"
    for _ in range(2):
        entries = prepare_all(paths, OPTIONS, tmp_path / "cache", workers)
        assert [isinstance(entry, ImageError) for entry in entries] == [k in (2, 7) for k in range(10)]
        assert "002.png" in str(entries[2]) and "gone.png" in str(entries[7])


def test_a_removed_view_is_a_sentence(tmp_path: Path) -> None:
    (entry,) = prepare_all(made(tmp_path / "in", 1), OPTIONS, tmp_path / "cache")
    assert isinstance(entry, CacheEntry) and entry.view is not None
    entry.view.unlink()
    with pytest.raises(DataError, match="run again"):
        entry.load()


def test_a_folder_that_can_not_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="can't write"):
        prepare_all(made(tmp_path / "in", 1), OPTIONS, tmp_path / "file" / "cache")


KILLED = """
import sys
from pathlib import Path
from eyeground.images.cache import prepare_all
from eyeground.images.prepare import Preprocessing
if __name__ == "__main__":
    prepare_all(sorted(Path(sys.argv[1]).iterdir()), Preprocessing(size=64), Path(sys.argv[2]), int(sys.argv[3]))
"""


def test_killed_at_any_moment_it_goes_on(tmp_path: Path) -> None:
    paths = made(tmp_path / "in", 400)
    script = tmp_path / "run.py"
    script.write_text(KILLED)
    folder = tmp_path / "cache"
    process = subprocess.Popen([sys.executable, str(script), str(tmp_path / "in"), str(folder), "1"])
    deadline = time.monotonic() + 60
    while len(views(folder)) < 20 and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = {view: view.stat().st_mtime_ns for view in views(folder)}
    assert len(kept) >= 20
    entries = prepare_all(paths, OPTIONS, folder)
    assert all(view.stat().st_mtime_ns == then for view, then in kept.items()), "a whole view was made again"
    for k in (0, 19, 20, len(kept) - 1, 399):
        np.testing.assert_array_equal(entries[k].load(), prepare(paths[k], OPTIONS).view.pixels)


def test_views_load_quickly(tmp_path: Path) -> None:
    """4,904 views of 256 px should load in a few seconds; here 400 of them, well within their share."""
    (entry,) = prepare_all(made(tmp_path / "in", 1), Preprocessing(size=256), tmp_path / "cache")
    start = time.perf_counter()
    block = np.empty((400, 256, 256, 3), np.uint8)
    for row in block:
        row[:] = entry.load()
    assert time.perf_counter() - start < 2
