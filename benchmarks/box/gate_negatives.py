"""Made pictures that are no fundus photographs: `generic` ones to fit the gate with, and named kinds to test it on.

The two draw differently: generic ones are random shapes, colours and textures, and real photographs made impossible
(grey, inverted, channels exchanged, tiles shuffled). The named kinds take no part in fitting or in the threshold.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Rng = np.random.Generator
SIDE = 384


def _noise(rng: Rng, sigma: float) -> Floats:
    """Smooth noise (SIDE, SIDE) of deviation 1."""
    small = max(int(SIDE / max(sigma, 1)), 2)
    field = cv2.resize(rng.normal(size=(small, small)).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.asarray(field / (field.std() + 1e-6), np.float32)


def _grid() -> tuple[Floats, Floats]:
    axis = np.arange(SIDE, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    return x, y


def _out(picture: Floats, rng: Rng, noise: float = 2.0) -> Pixels:
    return np.clip(picture + rng.normal(size=picture.shape) * noise, 0, 255).astype(np.uint8)


def generic(rng: Rng) -> Pixels:
    """One random picture uint8 (SIDE, SIDE, 3): a coloured texture, shaped as a disc, a rectangle, or the frame."""
    x, y = _grid()
    base = rng.uniform(5, 255, 3) if rng.random() < 0.6 else np.sort(rng.uniform(10, 255, 3))[::-1]
    if rng.random() < 0.15:
        base = np.repeat(base[:1], 3)
    picture = np.ones((SIDE, SIDE, 1), np.float32) * base.astype(np.float32)
    for _ in range(rng.integers(0, 4)):
        colour = rng.normal(size=3) * rng.uniform(0, 45)
        if rng.random() < 0.5:
            colour = base / 255 * rng.uniform(0, 50)
        picture = picture + (_noise(rng, float(2 ** rng.uniform(0, 7)))[..., None] * colour).astype(np.float32)
    for _ in range(rng.integers(0, 10) if rng.random() < 0.5 else 0):
        _shape(rng, picture)
    light = rng.normal(size=2) * rng.uniform(0, 0.8)
    picture *= np.clip(1 + light[0] * (x / SIDE - 0.5) + light[1] * (y / SIDE - 0.5), 0.1, 2)[..., None]
    form = rng.random()
    if form < 0.6:
        radius = np.hypot(x - rng.normal(SIDE / 2, 15), y - rng.normal(SIDE / 2, 15)) / rng.uniform(110, 195)
        round_ = np.sqrt(np.clip(1 - radius * radius, 0, 1)) ** rng.choice([0, 0.2, 0.5, 1.0])
        picture *= ((radius < 1) * round_)[..., None]
    elif form < 0.75:
        keep = np.zeros((SIDE, SIDE, 1), np.float32)
        left, top = rng.integers(0, 120, 2)
        keep[top : SIDE - rng.integers(1, 120), left : SIDE - rng.integers(1, 120)] = 1
        picture *= keep
    return _out(picture, rng, float(rng.uniform(0, 6)))


def _shape(rng: Rng, picture: Floats) -> None:
    """Draws a line, a disc or a box of one colour."""
    colour = rng.uniform(0, 255, 3).tolist()
    a, b = (tuple(int(v) for v in rng.integers(0, SIDE, 2)) for _ in range(2))
    kind = rng.integers(3)
    if kind == 0:
        cv2.line(picture, a, b, colour, int(rng.integers(1, 12)))
    elif kind == 1:
        cv2.circle(picture, a, int(rng.integers(4, 120)), colour, -1)
    else:
        cv2.rectangle(picture, a, b, colour, int(rng.choice([-1, 2, 5])))


def impossible(view: Pixels, rng: Rng) -> Pixels:
    """A fundus view (S, S, 3) made impossible: grey, inverted, channels exchanged, or its tiles shuffled."""
    kind = rng.integers(4)
    lit = view.max(2, keepdims=True) > 12
    if kind == 0:
        grey = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY) if rng.random() < 0.5 else view[..., 1]
        return np.repeat(grey[..., None], 3, 2)
    if kind == 1:
        return np.where(lit, 255 - view, view).astype(np.uint8)
    if kind == 2:
        order = [(2, 1, 0), (1, 0, 2), (1, 2, 0), (2, 0, 1)][rng.integers(4)]
        return np.ascontiguousarray(view[..., order])
    n = int(rng.choice([4, 8, 16]))
    step = view.shape[0] // n
    tiles = view[: n * step, : n * step].reshape(n, step, n, step, 3).swapaxes(1, 2).reshape(-1, step, step, 3)
    tiles = tiles[rng.permutation(len(tiles))].reshape(n, n, step, step, 3)
    return np.ascontiguousarray(tiles.swapaxes(1, 2).reshape(n * step, n * step, 3))


def _ball(rng: Rng, colour: tuple[float, float, float], ambient: float) -> tuple[Floats, Floats]:
    """A lit ball on black, float (SIDE, SIDE, 3), and the distance from its middle in radii."""
    x, y = _grid()
    cx, cy = rng.uniform(180, 204, 2)
    r = rng.uniform(120, 180)
    d = np.hypot(x - cx, y - cy) / r
    shade = ambient + (1 - ambient) * np.sqrt(
        np.clip(1 - ((x - cx + 0.3 * r) ** 2 + (y - cy + 0.3 * r) ** 2) / (1.9 * r * r), 0, 1)
    )
    picture = (shade * (d < 1))[..., None] * np.array(colour, np.float32)
    return picture.astype(np.float32), d.astype(np.float32)


def orange(rng: Rng) -> Pixels:
    picture, _ = _ball(rng, (240, 140 + rng.normal() * 10, 25), 0.25)
    return _out(picture * (1 + 0.05 * _noise(rng, 3)[..., None]), rng)


def moon(rng: Rng) -> Pixels:
    picture, _ = _ball(rng, (200, 198, 190), 0.5)
    for _ in range(40):
        at = tuple(int(v) for v in rng.integers(60, 320, 2))
        stain = np.zeros((SIDE, SIDE), np.float32)
        cv2.circle(stain, at, int(rng.integers(3, 30)), 1.0, -1)
        picture *= 1 - rng.uniform(-0.1, 0.25) * cv2.GaussianBlur(stain, (0, 0), 2)[..., None]
    return _out(picture, rng)


def plate(rng: Rng) -> Pixels:
    picture, d = _ball(rng, (228, 225, 215), 0.9)
    picture *= (1 - 0.15 * (np.abs(d - 0.7) < 0.02))[..., None]
    return _out(picture, rng)


def red_disc(rng: Rng) -> Pixels:
    x, y = _grid()
    d = np.hypot(x - SIDE / 2, y - SIDE / 2) / rng.uniform(120, 185)
    colour = np.array([rng.uniform(150, 230), rng.uniform(20, 80), rng.uniform(0, 50)])
    return _out((d < 1)[..., None] * colour, rng, 1.0)


def external_eye(rng: Rng) -> Pixels:
    """Skin, lids, sclera, iris and pupil."""
    skin = np.array([rng.uniform(120, 230), rng.uniform(85, 170), rng.uniform(65, 140)])
    picture = np.ones((SIDE, SIDE, 3), np.float32) * skin.astype(np.float32)
    picture += _noise(rng, 40)[..., None] * 8
    c = (int(rng.normal(192, 12)), int(rng.normal(192, 12)))
    wide, high = int(rng.uniform(110, 175)), int(rng.uniform(45, 85))
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.ellipse(mask, c, (wide, high), 0, 0, 360, 255, -1)
    inner = picture.copy()
    inner[:] = (225, 215, 208)
    iris = [(90, 60, 35), (60, 95, 130), (95, 110, 70)][rng.integers(3)]
    cv2.circle(inner, c, int(high * 0.95), iris, -1)
    cv2.circle(inner, c, int(high * 0.4), (12, 10, 10), -1)
    cv2.circle(inner, (c[0] - 12, c[1] - 14), 6, (250, 250, 250), -1)
    picture = np.where(mask[..., None] > 0, inner, picture)
    for angle in np.linspace(200, 340, 40):
        t = np.deg2rad(angle)
        a = (int(c[0] + wide * np.cos(t)), int(c[1] + high * np.sin(t)))
        cv2.line(picture, a, (a[0] + int(rng.normal(0, 6)), a[1] - int(rng.uniform(8, 26))), (40, 30, 25), 1)
    return _out(cv2.GaussianBlur(picture, (0, 0), 1.0), rng)


def skin(rng: Rng) -> Pixels:
    """Skin with a mole: reddish all over, as a retina that fills the frame."""
    colour = np.array([rng.uniform(150, 235), rng.uniform(105, 175), rng.uniform(85, 150)])
    picture = colour + _noise(rng, 60)[..., None] * 10 + _noise(rng, 4)[..., None] * 4
    x, y = _grid()
    mole = np.hypot(x - 192, (y - 192) * rng.uniform(0.7, 1.3)) < rng.uniform(25, 90)
    soft = cv2.GaussianBlur(mole.astype(np.float32), (0, 0), 4)[..., None]
    return _out(picture * (1 - soft) + soft * np.array([95, 55, 40]) * (1 + 0.15 * _noise(rng, 6)[..., None]), rng)


def text_page(rng: Rng) -> Pixels:
    picture = np.full((SIDE, SIDE, 3), rng.integers(200, 256), np.uint8)
    for row in range(20, SIDE - 10, int(rng.integers(12, 22))):
        words = "".join(rng.choice(list("abcdefghijklmnop rstuvw  xyz"), 60).tolist())
        cv2.putText(picture, words, (15, row), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (30, 30, 30), 1, cv2.LINE_AA)
    return _out(picture.astype(np.float32), rng, 3)


def noise(rng: Rng) -> Pixels:
    return rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def uniform(rng: Rng) -> Pixels:
    return np.full((SIDE, SIDE, 3), rng.integers(0, 256, 3), np.uint8)


def black(rng: Rng) -> Pixels:
    return rng.integers(0, 6, (SIDE, SIDE, 3), dtype=np.uint8)


KINDS: dict[str, Callable[[Rng], Pixels]] = {
    "external eye, drawn": external_eye,
    "skin, drawn": skin,
    "orange on black, drawn": orange,
    "moon on black, drawn": moon,
    "plate on black, drawn": plate,
    "red disc on black, drawn": red_disc,
    "page of text, drawn": text_page,
    "noise": noise,
    "uniform frame": uniform,
    "black frame": black,
}
