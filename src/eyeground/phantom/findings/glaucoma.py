"""Glaucoma: a large cup, a notch in the rim, a wedge without nerve fibres."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from eyeground.phantom.anatomy import cup_distance, disc_distance
from eyeground.phantom.canvas import Canvas, Patch, ramp
from eyeground.phantom.findings.place import Place
from eyeground.phantom.traits import Anatomy, Finding


def draw(place: Place, severity: float) -> tuple[Anatomy, list[Finding]]:
    """The changed disc and the findings of one glaucomatous eye; `severity` 0 (suspect) to 1 (advanced)."""
    rng, anatomy = place.rng, place.anatomy
    ratio = min(0.66 + 0.24 * severity + rng.normal(0, 0.02), 0.92)
    width = ratio * rng.uniform(0.86, 0.98)
    changed = dataclasses.replace(anatomy, cup_ratio=round(ratio, 4), cup_ratio_width=round(width, 4))
    found = [place.finding("cupping", "G", (anatomy.disc_x, anatomy.disc_y), anatomy.disc_radius * ratio)]
    side = rng.choice((-1.0, 1.0), p=(0.35, 0.65))
    angle = side * rng.uniform(0.95, 1.35)
    if severity > 0.2 and rng.random() < 0.8:
        where = (anatomy.disc_x, anatomy.disc_y)
        found.append(place.finding("rim_notch", "G", where, anatomy.disc_radius * 0.4, angle=angle))
        found.append(place.finding("nerve_fibre_defect", "G", where, rng.uniform(0.12, 0.25), angle=angle))
    if rng.random() < 0.45:
        where, size = (anatomy.disc_x, anatomy.disc_y), rng.uniform(0.18, 0.32)
        found.append(place.finding("peripapillary_atrophy", "G", where, size, angle=rng.normal(0, 0.3), strength=0.8))
    if rng.random() < 0.2:
        where = place.near_disc(0.95, 1.1)
        found.append(place.finding("flame_haemorrhage", "G", where, 0.025, angle=place.fibre_angle(*where)))
    return changed, found


def cupping(canvas: Canvas, finding: Finding, anatomy: Anatomy) -> None:
    """Pales the enlarged cup, which the disc's painter has drawn, and marks it."""
    window = canvas.window(anatomy.disc_x, anatomy.disc_y, 1.3 * anatomy.disc_radius)
    _, across, along = disc_distance(canvas, anatomy, window)
    cup = cup_distance(across, along, anatomy)
    canvas.tint(Patch(window, ramp(cup, 1.03, 0.9)), (1.06, 1.12, 1.2), finding.strength)
    canvas.mark(canvas.whole(canvas.masks["cup"].astype(np.float32) / 255), finding.kind, finding.label)


def rim_notch(canvas: Canvas, finding: Finding, anatomy: Anatomy) -> None:
    """The cup reaches the disc's edge at one clock hour (`angle`: 0 temporal, positive down)."""
    rim, across, along = disc_distance(canvas, anatomy)
    angle = np.arctan2(along, -across)
    sector = np.exp(-(((angle - finding.angle) / 0.38) ** 2))
    alpha = sector * ramp(rim, 1.0, 0.86) * ramp(rim, 0.25, 0.55)
    canvas.cover(canvas.whole(alpha), (1.95, 2.45, 2.75), 0.85 * finding.strength)
    canvas.mark(canvas.whole(alpha), finding.kind, finding.label)


def nerve_fibre_defect(canvas: Canvas, finding: Finding, anatomy: Anatomy) -> None:
    """A dark wedge along the arching fibres, from the disc outwards."""
    dx, dy = canvas.x - anatomy.disc_x, canvas.y - anatomy.disc_y
    distance = np.hypot(dx, dy)
    angle = np.arctan2(dy, -dx)
    bent = angle + 0.55 * np.sign(finding.angle) * np.clip(distance, 0, 1.1)
    middle = finding.angle + 0.15 * math.copysign(1, finding.angle)
    sector = np.exp(-(((bent - middle) / finding.size) ** 6))
    alpha = sector * ramp(distance, anatomy.disc_radius, 1.5 * anatomy.disc_radius) * ramp(distance, 1.1, 0.6)
    canvas.tint(canvas.whole(alpha), (0.88, 0.76, 0.74), finding.strength)
    canvas.mark(canvas.whole(alpha), finding.kind, finding.label)
