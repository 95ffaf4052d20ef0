"""Pathological myopia: a choroid laid bare, a crescent beside the disc, patches of atrophy."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from eyeground.phantom.anatomy import disc_distance
from eyeground.phantom.canvas import Canvas, Patch, noise, ramp
from eyeground.phantom.findings.blood import lobes
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
    size = rng.uniform(0.35, 0.6) + 1.1 * severity * rng.uniform(0.6, 1.2)
    found = [
        Finding("tessellation", "M", size=0.35),
        place.finding("crescent", "M", where, size, angle=rng.normal(0, 0.35)),
    ]
    if severity > 0.35:
        for _ in range(place.count(1, 3 + int(4 * severity))):
            at = place.somewhere(0.05, 0.55)
            size = rng.uniform(0.04, 0.1 + 0.16 * severity)
            found.append(place.finding("patchy_atrophy", "M", at, size, angle=rng.uniform(0, 3.1)))
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
    width = finding.size * (0.12 + 0.88 * ramp(side, -0.6, 1.0)) + 0.09 * noise(rng, 10, canvas.frame.size, 2)
    alpha = ramp((rim - 1) / np.maximum(width, 0.05), 1.2, 0.7) * ramp(rim, 0.9, 1.02)
    patch = canvas.whole(alpha.astype(np.float32))
    _bare_sclera(canvas, patch, rng, finding.strength)
    canvas.mark(patch, finding.kind, finding.label)


def _bare_sclera(canvas: Canvas, patch: Patch, rng: np.random.Generator, strength: float) -> None:
    """White-yellow sclera crossed by the last large choroidal vessels, with pigment heaped up along its edge."""
    height, width = patch.alpha.shape
    lines, cloud = (noise(rng, cells, max(height, width), 3)[:height, :width] for cells in (6, 3))
    vessels = ramp(np.abs(lines), 0.6, 0.0) * ramp(cloud, -0.6, 1.0)
    shine = 1 + 0.07 * cloud
    rim = 4 * patch.alpha * (1 - patch.alpha) * ramp(cloud, -0.2, 1.4)
    canvas.cover(patch.times((0.86 - 0.3 * vessels) * shine), (1.76, 2.15, 2.3), strength)
    texture(canvas, patch.window, patch.alpha, rng, 0.05)
    canvas.tint(Patch(patch.window, rim), (0.76, 0.72, 0.76), strength)


def atrophy(canvas: Canvas, finding: Finding) -> None:
    """A white-yellow patch through which the sclera shines, with some pigment."""
    rng = np.random.default_rng(finding.seed)
    patch = lobes(canvas, finding, rng, 5, float(rng.uniform(0.012, 0.05)))
    if patch is not None:
        _bare_sclera(canvas, patch, rng, finding.strength)
        canvas.mark(patch, finding.kind, finding.label)
        clumps(canvas, finding, rng, int(rng.integers(0, 4)))
