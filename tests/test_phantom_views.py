"""Made photographs on the way to a model: their truth survives the crop and the way back; a sheet beside real ones."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from eyeground.errors import UsageError
from eyeground.images.geometry import Geometry
from eyeground.images.prepare import Preprocessing, crop, crop_bytes
from eyeground.phantom.draw import patient
from eyeground.phantom.render import render, without_findings
from eyeground.phantom.traits import Difficulty, EyeTraits

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = Preprocessing(size=256)


def every_eye(count: int) -> Iterator[EyeTraits]:
    for number in range(1, count + 1):
        yield from patient(0, number, Difficulty.at(0.5)).eyes


def in_a_frame(pixels: Any) -> Any:
    """The picture in a wider and higher black frame, as cameras deliver it."""
    return cv2.copyMakeBorder(pixels, 30, 60, 200, 140, cv2.BORDER_CONSTANT)


def test_lesions_survive_the_crop_to_a_view_and_the_way_back(tmp_path: Path) -> None:
    checked = 0
    for eye in [eye for eye in every_eye(60) if eye.grade >= 2 and eye.labels == ("D",)][:4]:
        photograph, healthy = render(eye, 640), render(without_findings(eye), 640)
        original, bare = in_a_frame(photograph.pixels), in_a_frame(healthy.pixels)
        path = tmp_path / "eye.png"
        cv2.imwrite(str(path), cv2.cvtColor(original, cv2.COLOR_RGB2BGR))
        decoded, field, view = crop_bytes(path.read_bytes(), OPTIONS, path)
        assert np.array_equal(decoded.pixels, original)
        fellow = crop(dataclasses.replace(decoded, pixels=bare), field, OPTIONS)
        change, change_seen = (
            np.abs(a.astype(int) - b).max(axis=2) for a, b in ((original, bare), (view.pixels, fellow.pixels))
        )
        assert_masks_move(in_a_frame(photograph.masks["D"]), change_seen, view.geometry)
        disc, fovea = (
            view.geometry.to_view(np.argwhere(in_a_frame(photograph.masks[name])).mean(axis=0)[::-1] + 0.5)[0]
            for name in ("disc", "fovea")
        )
        assert disc > fovea if eye.side == "right" else disc < fovea
        for box in lesion_boxes(in_a_frame(photograph.masks["D"])):
            seen = view.geometry.to_view(box)
            there = centroid(change_seen, np.array([np.floor(seen[0]), np.ceil(seen[1])]).astype(int))
            here = centroid(change, box.astype(int))
            assert np.hypot(*(view.geometry.to_original(there) - here)) < 1
            checked += 1
    assert checked >= 12


def assert_masks_move(mask: Any, change: Any, geometry: Geometry) -> None:
    """A mask read at the places where the view's pixels come from lies where the view differs from a healthy one."""
    grid = np.stack(np.meshgrid(np.arange(geometry.size), np.arange(geometry.size)), axis=2) + 0.5
    x, y = np.moveaxis(np.floor(geometry.to_original(grid)).astype(int), 2, 0)
    inside = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
    moved = np.zeros(change.shape, bool)
    moved[inside] = mask[y[inside], x[inside]] > 0
    near = cv2.dilate(moved.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    assert change[moved].mean() > 10
    assert change[~near].mean() < 0.5
    assert change[moved].sum() > 0.45 * change.sum()


def lesion_boxes(mask: Any) -> Iterator[Any]:
    """Boxes [[left, top], [right, bottom]] around lesions that stand alone, with a margin of 6 pixels."""
    grown = cv2.dilate(mask, np.ones((15, 15), np.uint8))
    _, names, stats, _ = cv2.connectedComponentsWithStats(grown)
    for left, top, wide, high, _ in stats[1:]:
        alone = len(np.unique(names[top - 4 : top + high + 4, left - 4 : left + wide + 4])) == 2
        if alone and min(wide, high) > 20 and max(wide, high) < 60:
            yield np.array([[left, top], [left + wide, top + high]])


def centroid(weights: Any, box: Any) -> Any:
    """Where the weight lies in a box, (x, y) in continuous coordinates."""
    (left, top), (right, bottom) = box
    part = np.where(weights[top:bottom, left:right] > 8, weights[top:bottom, left:right], 0).astype(float)
    y, x = np.mgrid[top:bottom, left:right] + 0.5
    return np.array([(part * x).sum(), (part * y).sum()]) / part.sum()


def test_the_sheet_of_real_and_made_eyes_refuses_without_real_ones(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("no benchmarks folder beside the tests (an installed package)")
    monkeypatch.syspath_prepend(str(ROOT))
    beside = importlib.import_module("benchmarks.phantom_beside")
    assert beside.main(["--real", str(tmp_path), "--out", str(tmp_path / "sheet.png")]) == UsageError.exit_code
    assert "holds no odir5k folder" in capsys.readouterr().err
    (tmp_path / "odir5k").mkdir()
    assert beside.main(["--real", str(tmp_path), "--out", str(ROOT / "sheet.png")]) == UsageError.exit_code
    assert "lies in the repository" in capsys.readouterr().err
    assert not (ROOT / "sheet.png").exists()
