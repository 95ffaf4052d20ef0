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
    broad = noise(rng, 5, size, 2)
    grain = noise(rng, 40, size, 3)
    mottle = 0.045 * broad + 0.022 * grain
    canvas.pixels *= 1 + anatomy.mottling * mottle[..., None] * np.array([0.7, 1.0, 1.1], np.float32)
    if anatomy.tessellation > 0.02:
        pattern = choroid(canvas, anatomy)
        veil = anatomy.tessellation * (1 - 0.75 * ramp(np.hypot(canvas.x, canvas.y), 0.45, 0.1))
        canvas.pixels *= 1 + (veil * pattern)[..., None] * np.array([0.2, 0.15, 0.06], np.float32)


def choroid(canvas: Canvas, anatomy: Anatomy) -> Floats:
    """Choroidal vessels, (H, W) from -1 (pigment between) to 1 (vessel): ribbons along the zeros of smooth noise."""
    size = canvas.frame.size
    rng = np.random.default_rng([anatomy.seed, 3])
    bend_x, bend_y = noise(rng, 6, size), noise(rng, 6, size)
    total = np.zeros((size, size), np.float32)
    for cells, weight in ((21, 1.0), (35, 0.75)):
        table = rng.standard_normal((cells, cells), dtype=np.float32)
        u = (0.36 * canvas.x + 0.5 + 0.025 * bend_x) * (cells - 1)
        v = (0.5 * canvas.y + 0.5 + 0.025 * bend_y) * (cells - 1)
        total += weight * (1 - 3.0 * np.abs(_sample(table, u, v)))
    return np.clip(0.75 * total, -1, 1)


def _sample(table: Floats, u: Floats, v: Floats) -> Floats:
    """Bicubic samples of a coarse table at (u, v)."""
    samples = cv2.remap(
        table, u.astype(np.float32), v.astype(np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(samples, np.float32)


def paint_nerve_fibres(canvas: Canvas, anatomy: Anatomy) -> None:
    """The pale sheen of the nerve fibre bundles that arch from the disc, with fine striae."""
    dx, dy = canvas.x - anatomy.disc_x, canvas.y - anatomy.disc_y
    distance = np.hypot(dx, dy)
    angle = np.arctan2(dy, -dx)
    rng = np.random.default_rng([anatomy.seed, 4])
    table = rng.standard_normal((3, 240), dtype=np.float32)
    table[:, -1] = table[:, 0]
    bend = angle + 0.5 * np.sin(angle) * np.clip(distance, 0, 1)
    striae = _sample(table, (bend / (2 * np.pi) + 0.5) % 1.0 * 239, np.clip(distance, 0, 1.9))
    poles = np.exp(-(((np.abs(bend) - 1.2) / 0.5) ** 2))
    near = np.exp(-((distance / 0.62) ** 2)) * (1 + 0.3 * noise(rng, 7, canvas.frame.size, 2))
    sheen = anatomy.nerve_fibres * near * (0.25 + poles) * (1 + 0.16 * striae)
    canvas.pixels *= 1 + sheen[..., None] * np.array([0.1, 0.24, 0.34], np.float32)


def paint_macula(canvas: Canvas, anatomy: Anatomy) -> None:
    """Macular pigment, the dark fovea and, in the young, its reflex."""
    distance = np.hypot(canvas.x, canvas.y)
    wide = np.exp(-((distance / (2.1 * anatomy.macula_size)) ** 2))
    core = np.exp(-((distance / (0.75 * anatomy.macula_size)) ** 2))
    dark = anatomy.macula_depth * (0.42 * wide + 0.58 * core)
    canvas.pixels *= 1 - dark[..., None] * np.array([0.42, 0.52, 0.52], np.float32)
    if anatomy.foveal_reflex > 0:
        dot = np.exp(-((distance / 0.016) ** 2)) + 0.12 * np.exp(-(((distance - 0.16) / 0.03) ** 2))
        canvas.pixels += (anatomy.foveal_reflex * dot)[..., None] * np.array([0.25, 0.4, 0.45], np.float32)


def disc_distance(
    canvas: Canvas, anatomy: Anatomy, window: tuple[slice, slice] = WHOLE
) -> tuple[Floats, Floats, Floats]:
    """Distance from the disc's centre in disc radii (1 is the rim), and the offsets (nasal, down) it is made of."""
    dx, dy = canvas.x[window] - anatomy.disc_x, canvas.y[window] - anatomy.disc_y
    cos, sin = math.cos(anatomy.disc_tilt), math.sin(anatomy.disc_tilt)
    across = (cos * dx + sin * dy) / (anatomy.disc_radius / anatomy.disc_ratio)
    along = (cos * dy - sin * dx) / anatomy.disc_radius
    return np.hypot(across, along), across, along


def paint_disc(canvas: Canvas, anatomy: Anatomy) -> None:
    """Neuroretinal rim and cup. Marks `disc` and `cup`."""
    window = canvas.window(anatomy.disc_x, anatomy.disc_y, 1.5 * anatomy.disc_radius)
    rim, across, along = disc_distance(canvas, anatomy, window)
    cup = np.hypot((across + 0.08) / anatomy.cup_ratio_width, along / anatomy.cup_ratio)
    rng = np.random.default_rng([anatomy.seed, 5])
    rough = 0.05 * noise(rng, 5, max(rim.shape))[: rim.shape[0], : rim.shape[1]]
    canvas.tint(Patch(window, ramp(rim, 1.35, 1.0)), (1.08, 1.16, 1.2))
    alpha = ramp(rim + 0.5 * rough, 1.1, 0.88)
    pallor = 1 + 0.12 * np.clip(-across, -1, 1) + rough
    colour = np.stack((1.6 * (1 + rough), 1.85 * pallor, 1.9 * pallor), axis=2)
    view = canvas.pixels[window]
    view += (colour - view) * alpha[..., None]
    canvas.cover(Patch(window, ramp(cup, 1.2, 0.5) * alpha), (2.0, 2.9, 3.2), 0.9)
    for name, inside in (("disc", rim <= 1), ("cup", (cup <= 1) & (rim <= 1))):
        canvas.masks[name] = np.zeros(canvas.pixels.shape[:2], np.uint8)
        canvas.masks[name][window][inside] = 255
