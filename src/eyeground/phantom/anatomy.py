"""The healthy retina without its vessels: choroid, pigment, nerve fibres, macula, disc and cup."""

from __future__ import annotations

import cv2
import numpy as np

from eyeground.phantom.canvas import Canvas, Floats, noise, ramp
from eyeground.phantom.traits import Anatomy


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
        canvas.pixels *= 1 + (veil * pattern)[..., None] * np.array([0.26, 0.34, 0.2], np.float32)


def choroid(canvas: Canvas, anatomy: Anatomy) -> Floats:
    """Choroidal vessels, (H, W) about -1 (pigment between) to 1 (vessel): a net of ridges of smooth noise."""
    size = canvas.frame.size
    rng = np.random.default_rng([anatomy.seed, 3])
    bend = noise(rng, 7, size)
    dx, dy = canvas.x - anatomy.disc_x + 0.25, canvas.y - anatomy.disc_y
    angle = np.arctan2(dy, dx)
    distance = np.hypot(dx, dy)
    total = np.zeros((size, size), np.float32)
    for cells, weight in ((11, 1.0), (19, 0.6)):
        table = rng.standard_normal((2 * cells, 6 * cells), dtype=np.float32)
        table[:, -1] = table[:, 0]
        u = (angle / (2 * np.pi) + 0.5 + 0.012 * bend) * (table.shape[1] - 1)
        v = np.clip(np.sqrt(distance) + 0.03 * bend, 0, 1.5) / 1.5 * (table.shape[0] - 1) * 0.5
        smooth = _sample(table, u, v)
        total += weight * (1 - 2.2 * np.abs(smooth))
    return np.clip(total / 1.3, -1, 1)


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
    poles = np.exp(-(((np.abs(angle) - 1.15) / 0.5) ** 2))
    near = np.exp(-((distance / 0.5) ** 2))
    sheen = anatomy.nerve_fibres * near * (0.3 + poles) * (1 + 0.35 * striae)
    canvas.pixels *= 1 + sheen[..., None] * np.array([0.1, 0.2, 0.28], np.float32)


def paint_macula(canvas: Canvas, anatomy: Anatomy) -> None:
    """Macular pigment, the dark fovea and, in the young, its reflex. Marks `fovea`."""
    distance = np.hypot(canvas.x, canvas.y)
    wide = np.exp(-((distance / (2.1 * anatomy.macula_size)) ** 2))
    core = np.exp(-((distance / (0.75 * anatomy.macula_size)) ** 2))
    dark = anatomy.macula_depth * (0.5 * wide + 0.5 * core)
    canvas.pixels *= 1 - dark[..., None] * np.array([0.36, 0.5, 0.55], np.float32)
    if anatomy.foveal_reflex > 0:
        dot = np.exp(-((distance / 0.016) ** 2)) + 0.12 * np.exp(-(((distance - 0.16) / 0.03) ** 2))
        canvas.pixels += (anatomy.foveal_reflex * dot)[..., None] * np.array([0.25, 0.4, 0.45], np.float32)
    canvas.masks["fovea"] = np.where(distance <= 0.25 * anatomy.disc_radius, 255, 0).astype(np.uint8)


def disc_distance(canvas: Canvas, anatomy: Anatomy) -> tuple[Floats, Floats, Floats]:
    """Distance from the disc's centre in disc radii (1 is the rim), and the offsets (nasal, down) it is made of."""
    dx, dy = canvas.x - anatomy.disc_x, canvas.y - anatomy.disc_y
    cos, sin = np.float32(np.cos(anatomy.disc_tilt)), np.float32(np.sin(anatomy.disc_tilt))
    across = (cos * dx + sin * dy) / (anatomy.disc_radius / anatomy.disc_ratio)
    along = (cos * dy - sin * dx) / anatomy.disc_radius
    return np.hypot(across, along), across, along


def paint_disc(canvas: Canvas, anatomy: Anatomy) -> None:
    """Neuroretinal rim and cup. Marks `disc` and `cup`."""
    rim, across, along = disc_distance(canvas, anatomy)
    cup = np.hypot((across + 0.08) / anatomy.cup_ratio_width, along / anatomy.cup_ratio)
    rng = np.random.default_rng([anatomy.seed, 5])
    rough = 1 + 0.05 * noise(rng, 9, canvas.frame.size)
    halo = canvas.whole(ramp(rim, 1.35, 1.0))
    canvas.tint(halo, (1.08, 1.16, 1.2))
    alpha = ramp(rim * (1 + 0.02 * rough), 1.07, 0.9)
    pallor = 1 + 0.12 * np.clip(-across, -1, 1)
    colour = np.stack((1.42 * rough, 1.62 * rough * pallor, 1.72 * rough * pallor), axis=2)
    canvas.pixels += (colour - canvas.pixels) * alpha[..., None]
    deep = ramp(cup, 1.12, 0.62)
    canvas.cover(canvas.whole(deep * alpha), (1.68, 2.3, 2.7), 0.9)
    canvas.masks["disc"] = np.where(rim <= 1, 255, 0).astype(np.uint8)
    canvas.masks["cup"] = np.where((cup <= 1) & (rim <= 1), 255, 0).astype(np.uint8)
