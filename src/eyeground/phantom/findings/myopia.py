"""Pathological myopia: a choroid laid bare, a crescent beside the disc, patches of atrophy."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from eyeground.phantom.anatomy import disc_distance
from eyeground.phantom.canvas import Canvas, noise, ramp
from eyeground.phantom.findings.blood import spot
from eyeground.phantom.findings.macula import clumps, texture
from eyeground.phantom.findings.place import Place
from eyeground.phantom.traits import Anatomy, Finding


def draw(place: Place, severity: float) -> tuple[Anatomy, list[Finding]]:
    """The changed fundus and the findings of one eye; `severity` 0 to 1."""
    rng, anatomy = place.rng, place.anatomy
    changed = dataclasses.replace(
        anatomy,
        tessellation=round(min(0.45 + 0.5 * severity + rng.normal(0, 0.05), 1.1), 4),
        disc_ratio=round(anatomy.disc_ratio * (1.08 + 0.14 * severity), 4),
        macula_depth=round(anatomy.macula_depth * 0.7, 4),
    )
    where = (anatomy.disc_x, anatomy.disc_y)
    size = rng.uniform(0.35, 0.6) + 0.9 * severity * rng.uniform(0.6, 1.2)
    found = [place.finding("crescent", "M", where, size, angle=rng.normal(0, 0.35))]
    if severity > 0.35:
        for _ in range(place.count(1, 3 + int(4 * severity))):
            at = place.somewhere(0.08, 0.75)
            found.append(place.finding("patchy_atrophy", "M", at, rng.uniform(0.04, 0.1 + 0.08 * severity)))
    return changed, found


def draw_tessellation(place: Place) -> tuple[Anatomy, list[Finding]]:
    """A tessellated fundus alone: the label O, not M."""
    changed = dataclasses.replace(place.anatomy, tessellation=round(place.rng.uniform(0.6, 0.95), 4))
    return changed, [place.finding("tessellation", "O", (0.0, 0.0), 0.35)]


def draw_atrophy(place: Place) -> list[Finding]:
    """Scars of the choroid and retina: the label O."""
    rng = place.rng
    return [
        place.finding("chorioretinal_atrophy", "O", place.somewhere(0.15, 0.8), rng.uniform(0.05, 0.14))
        for _ in range(place.count(1, 4))
    ]


def tessellation(canvas: Canvas, finding: Finding) -> None:
    """Marks where the choroid shows, which the background's painter has drawn: outside the macula."""
    weight = ramp(np.hypot(canvas.x, canvas.y), 0.8 * finding.size, 1.2 * finding.size)
    canvas.mark(canvas.whole(weight), finding.kind, finding.label)


def crescent(canvas: Canvas, finding: Finding, anatomy: Anatomy) -> None:
    """A white crescent or ring of bare sclera, widest on the temporal side (`size` in disc radii)."""
    rng = np.random.default_rng(finding.seed)
    rim, across, along = disc_distance(canvas, anatomy)
    side = (-across * math.cos(finding.angle) + along * math.sin(finding.angle)) / np.maximum(rim, 0.2)
    width = finding.size * (0.12 + 0.88 * ramp(side, -0.6, 1.0)) + 0.06 * noise(rng, 10, canvas.frame.size)
    alpha = ramp((rim - 1) / np.maximum(width, 0.05), 1.1, 0.85) * ramp(rim, 0.9, 1.02)
    patch = canvas.whole(alpha.astype(np.float32))
    canvas.cover(patch, (1.42, 1.95, 2.2), 0.75 * finding.strength)
    texture(canvas, patch.window, patch.alpha, rng, 0.06)
    canvas.mark(patch, finding.kind, finding.label)


def atrophy(canvas: Canvas, finding: Finding) -> None:
    """A white-yellow patch through which the sclera shines, with some pigment."""
    rng = np.random.default_rng(finding.seed)
    patch = spot(canvas, finding, rough=0.28, soft=0.007)
    if patch is not None:
        canvas.cover(patch, (1.38, 1.8, 1.9), 0.72 * finding.strength)
        texture(canvas, patch.window, patch.alpha, rng, 0.08)
        canvas.mark(patch, finding.kind, finding.label)
        clumps(canvas, finding, rng, int(rng.integers(0, 4)))
