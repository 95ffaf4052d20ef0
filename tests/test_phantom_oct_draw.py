"""B-scans as they are drawn, without a cohort: lesions, difficulty, shares of the classes."""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np

from eyeground.phantom.draw import patient
from eyeground.phantom.oct import layers, section
from eyeground.phantom.oct.draw import draw
from eyeground.phantom.oct.scan import take
from eyeground.phantom.oct.traits import HEIGHT
from eyeground.phantom.render import render
from eyeground.phantom.traits import Difficulty
from oct_made import kind_of

MIDDLE = Difficulty.at(0.5)
PATIENTS, SIZE = 20, 96
LESIONS = ("subretinal_fluid", "intraretinal_fluid", "fluid", "drusen", "ped", "exudate", "hyperreflective", "polyp")


def test_layers_lie_in_order_and_inside_the_picture() -> None:
    for number in range(1, 25):
        for eye in patient(2, number, MIDDLE).eyes:
            crossed = section.cross(eye)
            stack = layers.build(eye, draw(eye, crossed, section.macular_oedema(eye), MIDDLE), crossed)
            assert (np.diff(stack.tops, axis=0) >= -1e-3).all()
            assert (stack.tops[0] < stack.tops[-1] - 3).all()
            assert stack.tops.min() > 0
            assert stack.tops[-1][stack.disc < 0.02].max() < HEIGHT


def test_pixels_change_where_the_masks_say() -> None:
    """Drawn with and without its findings, on the same tissue with the same noise, only the lesion's columns differ."""
    checked = 0
    for number in range(1, 400):
        for eye in patient(0, number, MIDDLE).eyes:
            if kind_of(eye) not in ("dry", "dme") or checked >= 6:
                continue
            crossed = section.cross(eye)
            traits = draw(eye, crossed, section.macular_oedema(eye), MIDDLE)
            plain = take(eye, dataclasses.replace(traits, lesions=()), section.Section(crossed.x, {}))
            found = take(eye, traits, crossed)
            change = np.abs(found.pixels.astype(int) - plain.pixels)
            lesions = np.max([m for key, m in found.masks.items() if key != "oct_retina"], axis=0) > 0
            assert change[lesions].mean() > 25
            assert not set(plain.masks) - {"oct_retina"}
            columns = lesions.any(axis=0)
            far = cv2.dilate(columns.astype(np.uint8)[None], np.ones((1, 161), np.uint8))[0] == 0
            if kind_of(eye) == "dry" and far.sum() > 60 and "oct_atrophy" not in found.masks:
                assert change[:, far].mean() < 2.5
            checked += 1
    assert checked == 6


def test_oedema_is_exudates_within_a_disc_diameter() -> None:
    agree = 0
    for number in range(1, 60):
        for eye in patient(1, number, MIDDLE).eyes:
            own = [f for f in eye.findings if f.kind in ("hard_exudate", "exudate_star") and f.label == "D"]
            if section.macular_oedema(eye):
                assert any(math.hypot(f.x, f.y) < 2 * eye.anatomy.disc_radius + 2.5 * f.size for f in own)
                agree += 1
            assert not any(math.hypot(f.x, f.y) < eye.anatomy.disc_radius for f in own) or section.macular_oedema(eye)
    assert agree >= 5


def test_subtypes_come_in_their_shares_and_read_as_amd() -> None:
    subtypes = [eye.amd for number in range(1, 801) for eye in patient(0, number, MIDDLE).eyes if "A" in eye.labels]
    shares = {name: subtypes.count(name) / len(subtypes) for name in ("dry", "wet", "pcv")}
    assert abs(shares["dry"] - 0.7) < 0.1
    assert min(shares["wet"], shares["pcv"]) > 0.08
    eye = next(e for n in range(1, 400) for e in patient(0, n, MIDDLE).eyes if e.amd == "pcv")
    assert "wet age-related macular degeneration" in eye.keywords
    assert render(eye, 128).masks["polyp"].any()


def test_difficulty_is_the_instruments_too() -> None:
    eye = patient(0, 1, MIDDLE).eyes[0]
    crossed = section.cross(eye)
    easy, hard = (draw(eye, crossed, False, Difficulty.at(level)).exposure for level in (0.0, 1.0))
    assert hard.speckle > easy.speckle
    assert hard.floor > easy.floor
    assert hard.blur > easy.blur
