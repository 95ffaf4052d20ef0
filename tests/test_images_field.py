"""The field of view: known discs with everything that goes wrong at their edge, and real photographs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from eyeground.images.decode import decode
from eyeground.images.field import Field, find_field

TOLERANCE = 0.015
"""Error of centre and radius, as a share of the radius."""

WIDE, HIGH = 1072, 712
Picture = np.ndarray


def disc(
    cx: float, cy: float, radius: float, size: tuple[int, int] = (WIDE, HIGH), vignette: float = 0.3, seed: int = 0
) -> Picture:
    """A retina-coloured disc on a nearly black ground, with texture, noise and a rim darker by `vignette`."""
    wide, high = size
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:high, :wide] + 0.5
    far = np.hypot(x - cx, y - cy) / radius
    texture = cv2.resize(
        rng.normal(0, 1, (high // 16 + 1, wide // 16 + 1)), (wide, high), interpolation=cv2.INTER_CUBIC
    )
    light = (1 - vignette * far**2) * (1 + 0.06 * texture)
    edge = np.clip((1 - far) * radius + 0.5, 0, 1)  # antialiased
    picture = np.stack([170 * light, 90 * light, 45 * light], axis=2) * edge[..., None]
    return np.clip(picture + rng.normal(2, 1.5, picture.shape), 0, 255).astype(np.uint8)


def notch(picture: Picture) -> Picture:
    """The little triangle at the rim by which cameras mark the eye's upper side."""
    return cv2.fillPoly(picture, [np.array([[875, 130], [905, 120], [900, 165]])], (150, 80, 40))


def corner(picture: Picture) -> Picture:
    """A bright reflex in a corner."""
    return cv2.circle(picture, (WIDE - 20, 20), 90, (250, 250, 240), -1)


def reflex(picture: Picture) -> Picture:
    """A reflex large enough to run into the disc."""
    return cv2.circle(picture, (WIDE - 20, 20), 260, (250, 250, 240), -1)


def text(picture: Picture) -> Picture:
    """The patient line in the black border."""
    cv2.putText(picture, "OD 2019-03-02", (10, 40), cv2.FONT_HERSHEY_SIMPLEX, 1.1, (255, 255, 255), 3)
    return cv2.putText(picture, "45 deg", (10, HIGH - 20), cv2.FONT_HERSHEY_SIMPLEX, 1.1, (255, 255, 255), 3)


def flare(picture: Picture) -> Picture:
    """A crescent of over-exposure inside the rim."""
    bright = cv2.circle(np.zeros_like(picture), (420, 250), 300, (110, 110, 90), -1)
    inside = (picture.max(axis=2) > 20)[..., None]
    return np.where(inside, cv2.add(picture, cv2.GaussianBlur(bright, (0, 0), 40)), picture)


def shadow(picture: Picture) -> Picture:
    """A third of the rim nearly as dark as the border (an eyelid, a small pupil)."""
    fade = np.clip((np.arange(picture.shape[1]) - 230) / 220, 0.12, 1)
    return (picture * fade[None, :, None]).astype(np.uint8)


def glow(picture: Picture) -> Picture:
    """Stray light around the disc."""
    return cv2.max(picture, (cv2.GaussianBlur(picture, (0, 0), 25) * 0.12).astype(np.uint8))


def jpeg(picture: Picture) -> Picture:
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_COLOR)


def same(picture: Picture) -> Picture:
    return picture


SPOILS = [same, notch, corner, reflex, text, flare, shadow, glow, jpeg]
PLACES = {"whole": (540.3, 352.7, 330.0), "cut": (520.0, 350.0, 428.0), "offset": (610.5, 300.2, 390.0)}


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_known_disc_is_found(spoil: Callable[[Picture], Picture], place: tuple[float, float, float]) -> None:
    field = find_field(spoil(disc(*place)))
    assert field.found and field.aspect == 1
    error = np.abs(np.array([field.cx, field.cy, field.radius]) - place) / place[2]
    assert error.max() <= TOLERANCE, error


@pytest.mark.parametrize("vignette", [0.0, 0.5, 0.75, 0.85])
def test_vignetting_does_not_shrink_the_disc(vignette: float) -> None:
    field = find_field(disc(500, 356, 340, vignette=vignette))
    assert abs(field.radius - 340) <= TOLERANCE * 340


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_the_sampling_step_does_not_move_it(step: int) -> None:
    wide, high = 280 * step, 186 * step
    cx, cy, radius = 141.0 * step, 95.0 * step, 80.0 * step
    field = find_field(disc(cx, cy, radius, (wide, high)))
    error = np.array([field.cx - cx, field.cy - cy, field.radius - radius])
    assert np.abs(error).max() <= 0.007 * radius, error / step


def test_bounding_box_is_what_is_visible() -> None:
    field = find_field(disc(520, 350, 428))
    assert (field.y, field.height) == (0, HIGH)
    assert field.x == pytest.approx(92, abs=6) and field.x + field.width == pytest.approx(948, abs=6)
    assert field.coverage == pytest.approx(0.71, abs=0.03)


def test_a_squashed_disc_is_an_ellipse() -> None:
    squashed = cv2.resize(disc(536, 356, 340), (256, 256), interpolation=cv2.INTER_AREA)
    field = find_field(squashed)
    tall, broad = 340 * 256 / HIGH, 340 * 256 / WIDE
    assert field.aspect == pytest.approx(tall / broad, rel=0.03)
    assert field.radius == pytest.approx(tall, rel=2 * TOLERANCE)


def test_a_crop_without_border_is_the_whole_picture() -> None:
    picture = disc(500, 350, 700)[100:600, 250:750]
    field = find_field(picture)
    assert field.found and (field.x, field.y, field.width, field.height) == (0, 0, 500, 500)
    assert (field.cx, field.cy, field.radius, field.coverage) == (250, 250, 250, 1.0)


def test_white_paper_around_the_photograph() -> None:
    paper = cv2.copyMakeBorder(disc(300, 300, 260, (600, 600)), 40, 40, 90, 90, cv2.BORDER_CONSTANT, value=(255,) * 3)
    field = find_field(paper)
    error = np.abs(np.array([field.cx - 390, field.cy - 340, field.radius - 260])) / 260
    assert field.found and error.max() <= TOLERANCE, error


def test_a_straight_edge_is_no_arc_of_a_giant_disc() -> None:
    picture = disc(300, 300, 900, (600, 600), vignette=0.1)
    picture[:40] = 2
    field = find_field(picture)
    assert field.found and field.radius < 360


NOTHING = {
    "black": np.zeros((300, 400, 3), np.uint8),
    "grey": np.full((300, 400, 3), 120, np.uint8),
    "white page": cv2.putText(np.full((300, 400, 3), 255, np.uint8), "letter", (20, 150), 0, 3, (0, 0, 0), 4),
    "noise": np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8),
    "stripe": cv2.rectangle(np.zeros((300, 700, 3), np.uint8), (0, 120), (699, 200), (160, 160, 160), -1),
    "speck": cv2.circle(np.zeros((300, 400, 3), np.uint8), (200, 150), 20, (200, 90, 40), -1),
}


@pytest.mark.parametrize("picture", NOTHING.values(), ids=NOTHING)
def test_no_field_is_said_and_the_whole_picture_named(picture: Picture) -> None:
    field = find_field(picture)
    assert not field.found
    high, wide = picture.shape[:2]
    assert (field.width, field.height, field.radius) == (wide, high, max(wide, high) / 2)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 1), (1, 500), (9, 9)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_tiny_pictures_do_no_harm(size: tuple[int, int], value: int) -> None:
    assert isinstance(find_field(np.full((*size, 3), value, np.uint8)), Field)


@pytest.mark.real
@pytest.mark.parametrize(
    "folder, every", [("odir5k/ODIR-5K_Training_Images", 16), ("idrid/B. Disease Grading/1. Original Images", 8)]
)
def test_real_photographs_have_a_field(real_data: Path, folder: str, every: int) -> None:
    files = sorted((real_data / folder).rglob("*.jpg"))[::every]
    if not files:
        pytest.skip(f"no images in {real_data / folder}")
    fields = [find_field(decode(file, 256).pixels) for file in files]
    assert np.mean([field.found for field in fields]) > 0.99


@pytest.mark.real
def test_real_originals_agree_at_every_scale(real_data: Path) -> None:
    files = sorted((real_data / "idrid/A. Segmentation").rglob("*.jpg"))[:3]
    if not files:
        pytest.skip("no IDRiD originals")
    for file in files:
        whole = find_field(decode(file).pixels)
        for target in (256, 512):
            small = decode(file, target)
            field = find_field(small.pixels)
            got = np.array([field.cx, field.cy, field.radius]) * small.scale
            assert np.abs(got - (whole.cx, whole.cy, whole.radius)).max() <= 0.01 * whole.radius
