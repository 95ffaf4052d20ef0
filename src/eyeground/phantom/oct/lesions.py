"""Draws what only the B-scan shows: fluid, detachments, cysts, thickening."""

from __future__ import annotations

import numpy as np

from eyeground.phantom.oct.section import Section
from eyeground.phantom.oct.traits import Lesion
from eyeground.phantom.traits import Difficulty


def wet(rng: np.random.Generator, section: Section, difficulty: Difficulty) -> list[Lesion]:
    """A fibrovascular detachment or reflective material on the pigment epithelium, and fluid in or under the retina."""
    centre, half = _extent(section, "membrane", 0.45, 1.3)
    found = []
    if rng.random() < 0.55:
        found.append(_raised(rng, "ped", centre, half, rng.uniform(90, 240), 1.6, rng.uniform(0.34, 0.5)))
        found.append(_raised(rng, "ped", centre + 0.55 * half, 0.6 * half, rng.uniform(60, 150), 1.8, 0.4))
        if rng.random() < 0.4:
            found.append(_raised(rng, "shrm", centre, 0.6 * half, rng.uniform(40, 90), 1.6, 0.66))
    else:
        found.append(_raised(rng, "shrm", centre, 0.9 * half, rng.uniform(90, 190), 1.5, rng.uniform(0.6, 0.78)))
        found.append(_raised(rng, "ped", centre, half, rng.uniform(25, 60), 2.0, 0.42))
    fluid = rng.random()
    if fluid < 0.8:
        for side in (-1, 1) if rng.random() < 0.6 else (1 if rng.random() < 0.5 else -1,):
            width = rng.uniform(0.45, 1.0)
            at = centre + side * (half + 0.45 * width)
            found.append(
                _raised(rng, "subretinal_fluid", at, width, rng.uniform(90, 230) * min(1.0, width / 0.75), 2.0, 0.0)
            )
    if fluid > 0.45:
        found += _cysts(rng, centre, half + 0.25, round(rng.integers(4, 12) * difficulty.count), 0.5)
        found.append(_raised(rng, "thickening", centre, half + 0.8, rng.uniform(60, 150), 2.0, 0.0))
    return found


def polypoidal(rng: np.random.Generator, section: Section, difficulty: Difficulty) -> list[Lesion]:
    """A thumb-like peak with a polyp in it, notched against a smoother detachment; a double layer; serous fluid."""
    polyp, _ = _extent(section, "polyp", 0.15, 0.3)
    dome, width = _extent(section, "pigment_detachment", 0.5, 1.1)
    side = 1.0 if polyp >= dome else -1.0
    thumb = rng.uniform(0.26, 0.38)
    peak = rng.uniform(200, 310)
    found = [
        _raised(rng, "ped", polyp, thumb, peak, 3.2, 0.3),
        _raised(rng, "polyp", polyp, rng.uniform(0.09, 0.14), 0.62 * peak, 2.0, 0.8),
    ]
    far = dome - side * (0.35 * width)
    found.append(_raised(rng, "ped", far, 0.85 * width, rng.uniform(130, 300), 2.4, rng.uniform(0.06, 0.16)))
    layer = rng.uniform(0.6, 1.1)
    found.append(_raised(rng, "double_layer", polyp + side * layer, layer, rng.uniform(32, 52), 5.0, 0.36))
    at, spread = (polyp + side * rng.uniform(0.5, 0.9), rng.uniform(0.7, 1.2))
    found.append(_raised(rng, "subretinal_fluid", at, spread, rng.uniform(110, 230), 2.0, 0.0))
    if rng.random() < 0.5:
        found.append(
            _raised(rng, "subretinal_fluid", far - side * width, rng.uniform(0.4, 0.8), rng.uniform(50, 120), 2.0, 0.0)
        )
    if rng.random() < 0.15:
        found += _cysts(rng, polyp, 0.5, round(4 * difficulty.count), 0.5)
    return found


def oedema(rng: np.random.Generator, section: Section, difficulty: Difficulty) -> list[Lesion]:
    """Thickening with cystoid spaces; over the fovea most often, and then the pit is flat or gone."""
    central = rng.random() < 0.72
    runs = section.runs("hard_exudate", "exudate_star")
    near = [0.5 * (start + end) for start, end in runs if abs(start + end) < 4.0]
    if central:
        centre = rng.normal(0, 0.12)
    elif near:
        centre = float(np.clip(near[int(rng.integers(len(near)))], -1.7, 1.7))
    else:
        centre = (1 if rng.random() < 0.5 else -1) * rng.uniform(0.8, 1.5)
    amount = rng.uniform(50, 280)
    half = rng.uniform(0.9, 1.7)
    found = [_raised(rng, "thickening", centre, half, amount, 2.0, 0.0)]
    if central:
        found.append(_raised(rng, "thickening", centre, rng.uniform(0.55, 0.8), rng.uniform(30, 160), 2.0, 0.0))
        if rng.random() < 0.25:
            found.append(
                _raised(rng, "subretinal_fluid", centre, rng.uniform(0.5, 0.95), rng.uniform(50, 130), 2.0, 0.0)
            )
    if rng.random() < 0.5:
        other = centre + (1 if rng.random() < 0.5 else -1) * rng.uniform(1.2, 2.0)
        found.append(_raised(rng, "thickening", other, rng.uniform(0.6, 1.1), rng.uniform(50, 140), 2.0, 0.0))
    count = round(rng.integers(8, 30) * difficulty.count)
    found += _cysts(rng, centre, 0.75 * half, count, 0.55, large=central)
    return found


def _extent(section: Section, kind: str, least: float, most: float) -> tuple[float, float]:
    """Centre and half width (mm) of the widest place where the line crosses a finding; the fovea when it misses it."""
    runs = section.runs(kind)
    if not runs:
        return 0.0, least
    start, end = max(runs, key=lambda run: run[1] - run[0])
    return 0.5 * (start + end), float(np.clip(0.5 * (end - start), least, most))


def _raised(
    rng: np.random.Generator, kind: str, x: float, half: float, height: float, power: float, content: float
) -> Lesion:
    return Lesion(kind, x, half, height, power=power, content=content, seed=int(rng.integers(2**31)))


def _cysts(
    rng: np.random.Generator, centre: float, spread: float, count: int, inner: float, large: bool = False
) -> list[Lesion]:
    """Cystoid spaces around a place: `inner` of them in the inner nuclear layer, the rest in the outer retina."""
    found = []
    for number in range(max(2, count)):
        x = centre + rng.normal(0, 0.55) * spread
        deep = number == 0 or rng.random() > inner
        half = min(rng.lognormal(np.log(0.065 if deep else 0.036), 0.45), 0.2)
        if deep and large:
            half *= 1 + 0.8 * np.exp(-((x / 0.5) ** 2))
        height = 1000 * half * rng.uniform(0.6, 1.5)
        kind = "outer_cyst" if deep else "inner_cyst"
        level = rng.uniform(0.25, 0.75)
        found.append(Lesion(kind, x, half, height, level=level, seed=int(rng.integers(2**31))))
    return found
