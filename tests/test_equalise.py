"""Histogram equalisation inside a network against OpenCV's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from eyeground.nets.equalise import COLOURS, grey, levels, luma, spread_levels

Pixels = NDArray[np.uint8]


def pictures() -> list[Pixels]:
    """Noise, a dark blot on a black surround, two levels, one level and all colours there are in steps of 17."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (48, 96, 3))
    blot = np.zeros((48, 96, 3), dtype=np.int64)
    blot[8:40, 20:70] = rng.normal((150, 80, 40), (20, 15, 10), (32, 50, 3)).clip(0, 255)
    two = np.where(rng.random((48, 96, 1)) < 0.3, (200, 90, 10), (30, 60, 90))
    one = np.full((48, 96, 3), 77)
    cube = np.stack(np.meshgrid(*[np.arange(0, 256, 17)] * 3), -1).reshape(-1, 3)
    cube = np.resize(cube, (48, 96, 3))
    return [one_.astype(np.uint8) for one_ in (noise, blot, two, one, cube)]


def tensor(pixels: list[Pixels]) -> Tensor:
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255


def back(values: Tensor) -> Pixels:
    return (values.permute(0, 2, 3, 1) * 255).round().numpy().astype(np.uint8)


def test_grey_is_opencvs_to_the_level() -> None:
    found = back(grey(tensor(pictures())))
    for given, mine in zip(pictures(), found, strict=True):
        wanted = cv2.equalizeHist(cv2.cvtColor(given, cv2.COLOR_RGB2GRAY))
        assert (mine == wanted[..., None]).all()


def test_the_luma_of_every_colour_is_opencvs() -> None:
    rng = np.random.default_rng(1)
    colours = rng.integers(0, 256, (1, 200_000, 3)).astype(np.uint8)
    wanted = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)
    found = luma(torch.from_numpy(colours).permute(0, 2, 1)[..., None].long())
    assert (found[0, 0, :, 0].numpy() == wanted[0]).all()


def test_each_channel_is_opencvs_to_the_level() -> None:
    found = back(COLOURS["rgb"](tensor(pictures())))
    for given, mine in zip(pictures(), found, strict=True):
        for channel in range(3):
            assert (mine[..., channel] == cv2.equalizeHist(np.ascontiguousarray(given[..., channel]))).all()


def test_y_is_opencvs_within_its_rounding_of_colour_differences() -> None:
    found = back(COLOURS["y"](tensor(pictures())))
    for given, mine in zip(pictures(), found, strict=True):
        whole = cv2.cvtColor(given, cv2.COLOR_RGB2YCrCb)
        whole[..., 0] = cv2.equalizeHist(np.ascontiguousarray(whole[..., 0]))
        wanted = cv2.cvtColor(whole, cv2.COLOR_YCrCb2RGB)
        assert np.abs(mine.astype(int) - wanted).max() <= 2


def test_v_is_that_of_exact_hsv() -> None:
    found = COLOURS["v"](tensor(pictures())).permute(0, 2, 3, 1).numpy()
    for given, mine in zip(pictures(), found, strict=True):
        hsv = cv2.cvtColor(given.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
        hsv[..., 2] = cv2.equalizeHist(given.max(2)).astype(np.float32) / 255
        assert np.abs(mine - cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)).max() < 1e-4


def test_a_picture_does_not_depend_on_its_batch() -> None:
    whole = spread_levels(levels(tensor(pictures())))
    alone = torch.cat([spread_levels(levels(tensor([one]))) for one in pictures()])
    assert torch.equal(whole, alone)


@pytest.mark.parametrize("name", COLOURS)
def test_what_is_out_of_range_is_clipped_and_no_gradient_passes(name: str) -> None:
    pixels = (tensor(pictures()[:1]) * 3 - 1).requires_grad_()
    found = COLOURS[name](pixels)
    assert found.min() >= 0 and found.max() <= 1
    assert torch.equal(found, COLOURS[name](pixels.clamp(0, 1)))
    assert not found.requires_grad
