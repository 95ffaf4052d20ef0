"""The gate: a mirrored eye is the other eye, exactly; grey and made pictures are refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from conftest import Made
from eyeground.images import fundus_check, laterality
from eyeground.images.cache import CacheEntry, prepare_all
from eyeground.images.prepare import Preprocessing
from eyeground.readings import EyeReading
from eyeground.records import SIDES
from eyeground.runs.gate import pass_gate


@pytest.mark.parametrize("size", [64, 100, 256])
def test_a_mirrored_view_scores_exactly_the_negative(size: int) -> None:
    pixels = np.random.default_rng(size).integers(0, 256, (size, size, 3), dtype=np.uint8)
    model = laterality.fitted()
    assert model.score(np.ascontiguousarray(pixels[:, ::-1])) == -model.score(pixels) != 0


def test_what_is_said_of_a_pair() -> None:
    model = laterality.fitted()
    said = laterality.against_places
    assert said(model, {"left": -9.0, "right": 9.0}) is None
    assert "exchanged" in (said(model, {"left": 9.0, "right": -9.0}) or "")
    assert "Both photographs look like right eyes" in (said(model, {"left": 9.0, "right": 9.0}) or "")
    assert "looks like a left eye" in (said(model, {"right": -9.0}) or "")
    assert said(model, {"left": 1.0, "right": -1.0}) is None


def test_grey_black_and_noise_are_refused() -> None:
    check = fundus_check.fitted()
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    assert "dark" in (check.judge(np.zeros((256, 256, 3), np.uint8)).reason or "")
    assert "grey" in (check.judge(np.repeat(noise[..., :1], 3, 2)).reason or "")
    assert not check.judge(noise).fundus


def test_nothing_is_said_of_the_quality_of_what_is_no_fundus(made: Made, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "black.png"), np.zeros((80, 80, 3), np.uint8))
    how = Preprocessing(size=64)
    pair = prepare_all([tmp_path / "black.png", made.images / "1_right.jpg"], how, None, 1)
    entries = [one for one in pair if isinstance(one, CacheEntry)]
    eyes = [
        EyeReading(side, "read", None, 80, 80, one.geometry.to_dict(), one.quality, tuple(one.flags))
        for side, one in zip(SIDES, entries, strict=True)
    ]
    left, right = pass_gate([*entries], eyes, how).eyes
    assert (left.status, left.crop, left.quality, left.flags) == ("unreadable", None, {}, ())
    assert right == eyes[1] and right.quality
