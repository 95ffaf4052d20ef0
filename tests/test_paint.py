"""Evidence as colours: one absolute scale, true to the values, on the right pixels, readable by everybody."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from scipy.interpolate import PchipInterpolator

from eyeground.explain import contours, paint
from eyeground.images.geometry import Geometry
from readings_made import made_evidence, made_picture

SIGHTS = {  # Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
FUNDUS = np.array([[190, 95, 40], [120, 45, 20], [235, 190, 120], [150, 110, 60], [90, 20, 15]])


def seen_lab(rgb: np.ndarray, sight: str) -> np.ndarray:
    """CIE L*a*b* (n, 3), D65, of sRGB 0..255 (n, 3), as somebody with this sight has it."""
    share = np.asarray(rgb, float) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.asarray(SIGHTS[sight]).T, 0, 1)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.119192, 0.9503041]]
    )
    xyz = linear @ to_xyz.T / [0.95047, 1, 1.08883]
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


@pytest.mark.parametrize("sight", SIGHTS)
def test_lightness_rises_all_along_the_ramp_for_every_sight(sight):
    lightness = seen_lab(paint.RAMP[:, :3], sight)[:, 0]
    assert np.diff(lightness[::8]).min() > 0
    if sight == "normal":
        assert np.abs(lightness - np.linspace(lightness[0], lightness[-1], 256)).max() < 1.0


@pytest.mark.parametrize("sight", SIGHTS)
def test_strong_evidence_stands_off_from_every_fundus_colour(sight):
    full = np.tile(paint.RAMP[-1, :3].astype(float), (len(FUNDUS), 1))
    drawn = FUNDUS + 0.6 * (full - FUNDUS)
    apart = np.linalg.norm(seen_lab(drawn, sight) - seen_lab(FUNDUS, sight), axis=1)
    assert apart.min() > 15


def test_smooth_is_monotone_cubic_interpolation():
    values = np.random.default_rng(0).normal(0, 3, (9, 1)).astype(np.float32)
    ours = paint.smooth(values, 90, 1)[:, 0]
    centres = (np.arange(9) + 0.5) * 10
    at = np.arange(90) + 0.5
    inner = (at > centres[1]) & (at < centres[-2])  # at the ends our slope is 0, scipy's is one-sided
    np.testing.assert_allclose(ours[inner], PchipInterpolator(centres, values[:, 0])(at[inner]), atol=1e-5)


def test_smooth_never_invents_evidence_and_keeps_the_cells():
    values = np.random.default_rng(1).normal(-1, 4, (8, 8)).astype(np.float32)
    large = paint.smooth(values, 8 * 31, 8 * 31)
    assert values.min() <= large.min()
    assert large.max() <= values.max()
    np.testing.assert_allclose(large[15::31, 15::31], values, atol=1e-5)
    np.testing.assert_allclose(paint.smooth(values, 8, 8), values, atol=1e-6)
    np.testing.assert_allclose(paint.smooth(values[:, ::-1], 96, 96), paint.smooth(values, 96, 96)[:, ::-1], atol=1e-5)
    assert paint.smooth(np.full((1, 1), 2.0), 5, 7).tolist() == [[2.0] * 7] * 5


def test_one_absolute_scale():
    values = np.array([[-9.0, 0.0, 5.0, 10.0, 80.0, np.nan]])
    colours = paint.paint(values, 10.0)
    alpha = colours[0, :, 3].tolist()
    assert alpha[0] == alpha[1] == alpha[5] == 0
    assert 0 < alpha[2] < 255
    assert alpha[3] == alpha[4] == 255
    alone = paint.paint(np.array([[5.0]]), 10.0)
    assert (alone[0, 0] == colours[0, 2]).all(), "a value's colour must not depend on the rest of its map"
    assert (paint.paint(values / 2, 5.0) == colours).all()


def test_healthy_stays_without_colour():
    for values in made_evidence(hot=None):
        assert not paint.paint(paint.smooth(values, 64, 64))[..., 3].any()


@pytest.mark.parametrize(("values", "scale"), [(np.zeros(3), 1.0), (np.zeros((2, 2)), 0.0), (np.zeros((2, 2)), np.nan)])
def test_paint_refuses(values, scale):
    with pytest.raises(ValueError, match="scale above 0"):
        paint.paint(values, scale)


def test_the_heatmap_lands_on_the_original_pixels():
    geometry = Geometry(width=300, height=200, x=50.0, y=-20.0, side=240.0, size=64)
    values = np.full((8, 8), -3.0, np.float32)
    values[2, 6] = 12.0  # its centre lies at (6.5, 2.5) cells of 30 pixels: x 50 + 195, y -20 + 75
    pixels = np.full((200, 300, 3), 100, np.uint8)
    drawn = paint.draw_on_original(pixels, values, geometry, opacity=1.0)
    assert drawn.shape == pixels.shape
    touched = np.argwhere((drawn != pixels).any(axis=2))
    np.testing.assert_allclose(touched.mean(axis=0) + 0.5, (55, 245), atol=1.0)
    assert (drawn[55, 245] == paint.RAMP[-1, :3]).all()
    assert (paint.draw_on_original(pixels, values, geometry, opacity=0.0) == pixels).all()
    with pytest.raises(ValueError, match="its geometry"):
        paint.draw_on_original(pixels[:-1], values, geometry, 0.5)


def test_overlay_png_covers_the_crop_and_agrees_with_the_drawing():
    geometry = Geometry(width=300, height=200, x=50.0, y=0.0, side=200.0, size=64)
    values = made_evidence()[1]
    overlay = np.asarray(Image.open(io.BytesIO(paint.overlay_png(values, geometry, 1024))).convert("RGBA"))
    assert (overlay == paint.paint(paint.smooth(values, 200, 200))).all()
    assert overlay.shape == (200, 200, 4)
    pixels = np.random.default_rng(0).integers(0, 255, (200, 300, 3)).astype(np.uint8)
    laid = pixels.copy()
    laid[:, 50:250] = paint.blend(pixels[:, 50:250], overlay, 0.6)
    drawn = paint.draw_on_original(pixels, values, geometry, 0.6)
    assert np.abs(laid.astype(int) - drawn).max() <= 1
    assert Image.open(io.BytesIO(paint.overlay_png(values, geometry, 64))).size == (64, 64)


@pytest.mark.parametrize("content", [paint.png(made_picture()), paint.jpeg(made_picture())])
def test_pictures_carry_no_metadata(content):
    picture = Image.open(io.BytesIO(content))
    assert not picture.getexif()
    assert not set(picture.info) & {"exif", "xmp", "comment", "icc_profile", "Software"}
    np.testing.assert_allclose(np.asarray(picture).astype(int).mean(), made_picture().mean(), atol=2.0)


def test_legend_tells_the_scale():
    svg = paint.legend(7.5)
    ET.fromstring(svg)
    assert re.findall(r"<text[^>]*>([^<]*)</text>", svg) == ["≤ 0", "+3.75", "≥ +7.5"]
    marked = paint.legend(8.0, marks=(2, 4, 6), unit="votes")
    ET.fromstring(marked)
    assert re.findall(r"<text[^>]*>([^<]*)</text>", marked) == ["≤ 0", "+2", "+4", "+6", "≥ +8"]
    assert "8 votes" in marked


def test_contours_lie_at_their_levels():
    values = np.full((8, 8), -3.0, np.float32)
    values[3, 4] = 12
    assert contours.levels(10.0) == (2.5, 5.0, 7.5)
    assert contours.contour(values, 12.5) == []
    assert contours.contour(np.full((4, 4), np.nan), 0.0) == []
    reach = []
    for level in contours.levels(10.0):
        (line,) = contours.contour(values, level, (-0.5, 0.0))
        np.testing.assert_allclose(line.mean(0), (4.0 / 8, 3.5 / 8), atol=0.01)
        reach.append(np.ptp(line[:, 0]))
        drawn = paint.smooth(values, 400, 400, (-0.5, 0.0))
        at = np.array([drawn[int(400 * y), int(400 * x)] for x, y in line])
        assert np.abs(at - level).max() < 0.6
    assert reach == sorted(reach, reverse=True)
