"""The healthy retina without its vessels: choroid, pigment, nerve fibres, macula, disc and cup."""

from __future__ import annotations

import math

import cv2
import numpy as np

from eyeground.phantom.canvas import Canvas, Floats, Patch, noise, ramp
from eyeground.phantom.traits import Anatomy

WHOLE = (slice(None), slice(None))


def paint_background(canvas: Canvas, anatomy: Anatomy) -> None:
    """The choroid seen through the pigment epithelium: mottling, and choroidal vessels where pigment is thin."""
    size = canvas.frame.size
    rng = np.random.default_rng([anatomy.seed, 2])
    broad, hue = noise(rng, 5, size, 2), noise(rng, 7, size, 2)
    grain = noise(rng, 91, size, 2)
    mottle = np.float32(anatomy.mottling) * (np.float32(0.025) * broad + np.float32(0.026) * grain)
    shift = np.float32(0.02 * anatomy.mottling) * hue
    veil = np.float32(anatomy.tessellation + 0.1) * (1 - 0.85 * ramp(np.hypot(canvas.x, canvas.y), 0.5, 0.12))
    bare = veil * choroid(canvas, anatomy)
    planes = [
        1 + np.float32(m) * mottle + np.float32(s) * shift + np.float32(b) * bare
        for m, s, b in ((0.65, 0.5, 0.17), (1.0, -0.5, 0.16), (1.0, -1.2, 0.07))
    ]
    cv2.multiply(canvas.pixels, cv2.merge(planes), canvas.pixels)


def choroid(canvas: Canvas, anatomy: Anatomy) -> Floats:
    """Choroidal vessels, (H, W) from -1 (pigment between) to 1 (vessel).

    They run from the posterior pole outwards and gather towards the four vortex veins: ribbons along the zeros of
    noise that is stretched along the way out, fewer near the pole, with islands of pigment between.
    """
    size = canvas.frame.size
    rng = np.random.default_rng([anatomy.seed, 3])
    bend = noise(rng, 9, size, 2)
    polar = cv2.cartToPolar(canvas.x - np.float32(0.4), canvas.y + np.float32(rng.normal(0, 0.1)))
    radius, angle = np.asarray(polar[0], np.float32), np.asarray(polar[1], np.float32)
    gathered = angle + 0.16 * radius * np.sin(4 * angle + np.float32(np.pi)) + 0.045 * bend / (radius + 0.35)
    total = np.zeros((size, size), np.float32)
    outer = ramp(radius, 0.25, 0.9)
    for around, outwards, weight in ((44, 4.0, 1 - outer), (80, 4.5, outer), (131, 8.0, np.float32(0.5))):
        table = rng.standard_normal((24, around), dtype=np.float32)
        wrapped = np.pad(table, ((0, 0), (3, 3)), mode="wrap")
        u = gathered * np.float32(around / (2 * np.pi)) % around + 3
        lines = 1 - 1.9 * np.abs(_sample(wrapped, u, outwards * radius + 0.25 * bend + 2))
        total += weight * np.maximum(lines, -1)
    pattern = np.clip(total, -1, 1) * ramp(radius, 0.08, 0.4)
    return np.asarray(cv2.GaussianBlur(pattern, (0, 0), 0.0035 * canvas.frame.radius))


def _sample(table: Floats, u: Floats, v: Floats) -> Floats:
    """Bicubic samples of a coarse table at (u, v)."""
    samples = cv2.remap(
        table, u.astype(np.float32), v.astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(samples, np.float32)


def paint_nerve_fibres(canvas: Canvas, anatomy: Anatomy) -> None:
    """The pale sheen of the nerve fibre bundles that arch from the disc, with fine striae."""
    dx, dy = canvas.x - anatomy.disc_x, canvas.y - anatomy.disc_y
    distance, turn = (np.asarray(part, np.float32) for part in cv2.cartToPolar(dx, dy))
    angle = np.float32(np.pi) - turn
    rng = np.random.default_rng([anatomy.seed, 4])
    table = rng.standard_normal((3, 240), dtype=np.float32)
    table[:, -1] = table[:, 0]
    bend = angle + 0.5 * np.sin(angle) * np.clip(distance, 0, 1)
    striae = _sample(table, (bend / (2 * np.pi) + 0.5) % 1.0 * 239, np.clip(distance, 0, 1.9))
    poles = np.exp(-(((np.abs(bend) - 1.2) / 0.5) ** 2))
    near = np.exp(-((distance / 0.62) ** 2)) * (1 + 0.3 * noise(rng, 7, canvas.frame.size, 2))
    sheen = anatomy.nerve_fibres * near * (0.25 + poles) * (1 + 0.22 * striae)
    canvas.gain(sheen, (0.12, 0.27, 0.36))


def paint_macula(canvas: Canvas, anatomy: Anatomy) -> None:
    """Macular pigment, the dark fovea and, in the young, its reflex."""
    square = np.square(canvas.x) + np.square(canvas.y)
    wide, core = (np.exp(square * np.float32(-((k * anatomy.macula_size) ** -2))) for k in (2.5, 0.75))
    canvas.gain(np.float32(anatomy.macula_depth) * (0.5 * wide + 0.55 * core), (-0.42, -0.52, -0.52))
    if anatomy.foveal_reflex > 0:
        window = canvas.window(0.0, 0.0, 0.25)
        distance = np.sqrt(square[window])
        dot = np.exp(-((distance / 0.016) ** 2)) + 0.12 * np.exp(-(((distance - 0.16) / 0.03) ** 2))
        canvas.pixels[window] += (anatomy.foveal_reflex * dot)[..., None] * np.array([0.25, 0.4, 0.45], np.float32)


def disc_distance(
    canvas: Canvas, anatomy: Anatomy, window: tuple[slice, slice] = WHOLE
) -> tuple[Floats, Floats, Floats]:
    """Distance from the disc's centre in disc radii (1 is the rim), and the offsets (nasal, down) it is made of."""
    dx, dy = canvas.x[window] - anatomy.disc_x, canvas.y[window] - anatomy.disc_y
    cos, sin = math.cos(anatomy.disc_tilt), math.sin(anatomy.disc_tilt)
    across = (cos * dx + sin * dy) / (anatomy.disc_radius / anatomy.disc_ratio)
    along = (cos * dy - sin * dx) / anatomy.disc_radius
    return np.hypot(across, along), across, along


def cup_distance(across: Floats, along: Floats, anatomy: Anatomy) -> Floats:
    """Distance from the cup's centre in cup radii (1 is its edge), from offsets in disc radii.

    The edge wavers sideways only, so the vertical cup/disc ratio stays what the anatomy says.
    """
    phase = np.random.default_rng([anatomy.seed, 6]).uniform(0, 2 * np.pi, 2)
    x, y = (across + 0.08) / anatomy.cup_ratio_width, along / anatomy.cup_ratio
    angle = np.arctan2(y, x)
    waver = 0.07 * np.sin(2 * angle + phase[0]) + 0.05 * np.sin(3 * angle + phase[1])
    return np.hypot(x, y) * (1 + waver * np.cos(angle) ** 2)


def paint_disc(canvas: Canvas, anatomy: Anatomy) -> None:
    """Neuroretinal rim, pink and paler on the temporal side, and the cup. Marks `disc` and `cup`."""
    window = canvas.window(anatomy.disc_x, anatomy.disc_y, 1.5 * anatomy.disc_radius)
    rim, across, along = disc_distance(canvas, anatomy, window)
    cup = cup_distance(across, along, anatomy)
    rng = np.random.default_rng([anatomy.seed, 5])
    side = max(rim.shape)
    rough, lamina = (noise(rng, cells, side, 2)[: rim.shape[0], : rim.shape[1]] for cells in (6, 16))
    canvas.tint(Patch(window, ramp(rim, 1.4, 1.0)), (1.05, 1.1, 1.1))
    canvas.tint(Patch(window, ramp(rim, 1.12, 1.04) * ramp(across, 0.9, -0.6)), (0.94, 0.9, 0.9))
    alpha = ramp(rim + 0.02 * rough, 1.08, 0.9)
    temporal = np.clip(-across, -1, 1)
    tone = 1 + 0.045 * rough
    near = ramp(cup - rim, 1.3, 0.0)
    colour = np.stack(
        (
            (1.5 + 0.1 * temporal + 0.1 * near) * tone,
            (1.4 + 0.26 * temporal + 0.4 * near) * tone,
            (1.35 + 0.34 * temporal + 0.5 * near) * tone,
        ),
        axis=2,
    )
    view = canvas.pixels[window]
    view += (canvas.opaque(colour) - view) * alpha[..., None]
    slope = 0.14 + 0.22 * ramp(across, 0.3, -0.5)
    inside = ramp((cup - 1) / slope, 1.0, -1.0) * alpha
    shade = 1 + 0.05 * lamina - 0.08 * ramp(cup, 0.3, 0.9)
    pale = np.stack((1.92 * shade, 2.4 * shade, 2.65 * shade), axis=2)
    view += (canvas.opaque(pale) - view) * (0.92 * inside)[..., None]
    for name, found in (("disc", rim <= 1), ("cup", (cup <= 1) & (rim <= 1))):
        canvas.masks[name] = np.zeros(canvas.pixels.shape[:2], np.uint8)
        canvas.masks[name][window][found] = 255
