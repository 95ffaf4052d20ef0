"""Painters of blood outside the vessels, and of what leaks from them; several diseases share these."""

from __future__ import annotations

import numpy as np

from eyeground.phantom.canvas import Canvas, Patch, Points, blob, noise, turned
from eyeground.phantom.traits import Finding

BLOOD = (0.66, 0.38, 0.47)
EXUDATE = (1.6, 2.2, 1.55)
WOOL = (1.4, 1.7, 1.7)


def spot(canvas: Canvas, finding: Finding, rough: float, soft: float, stretch: float = 1.0) -> Patch | None:
    """One irregular spot at the finding's place, turned by its angle."""
    rng = np.random.default_rng(finding.seed)
    centre = _centre(canvas, finding)
    outline = blob(rng, centre, max(finding.size * canvas.frame.radius, 0.9), rough, stretch)
    return canvas.shape([turned(outline, centre, finding.angle * canvas.frame.mirror)], soft)


def _centre(canvas: Canvas, finding: Finding) -> Points:
    return canvas.frame.pixels(np.array([[finding.x, finding.y]]))[0]


def microaneurysm(canvas: Canvas, finding: Finding) -> None:
    """A tiny round red dot."""
    _bleed(canvas, finding, spot(canvas, finding, rough=0.04, soft=0.002), 0.9)


def haemorrhage(canvas: Canvas, finding: Finding) -> None:
    """A dot or blot haemorrhage: dark red, irregular."""
    _bleed(canvas, finding, spot(canvas, finding, rough=0.2, soft=0.005), 1.0)


def flame(canvas: Canvas, finding: Finding) -> None:
    """A flame haemorrhage: feathered strands along the nerve fibres."""
    rng = np.random.default_rng(finding.seed)
    centre = _centre(canvas, finding)
    size = finding.size * canvas.frame.radius
    strands = []
    for _ in range(int(rng.integers(5, 9))):
        middle = centre + rng.normal(0, 0.28, 2) * size * np.array([1.6, 0.7])
        strands.append(blob(rng, middle, size * rng.uniform(0.25, 0.5), 0.15, rng.uniform(1.7, 2.6)))
    turn = finding.angle if canvas.frame.mirror > 0 else np.pi - finding.angle
    _bleed(canvas, finding, canvas.shape([turned(strand, centre, turn) for strand in strands], 0.006), 0.9)


def _bleed(canvas: Canvas, finding: Finding, patch: Patch | None, depth: float) -> None:
    if patch is not None:
        canvas.tint(patch, BLOOD, depth * finding.strength)
        canvas.mark(patch, finding.kind, finding.label)


def exudates(canvas: Canvas, finding: Finding) -> None:
    """A cluster of hard exudates: small waxy yellow grains, denser in the middle."""
    rng = np.random.default_rng(finding.seed)
    count = int(10 + 330 * finding.size)
    offset = rng.normal(0, 0.45, (count, 2)) * finding.size
    _grains(canvas, finding, np.array([finding.x, finding.y]) + offset, rng)


def star(canvas: Canvas, finding: Finding) -> None:
    """A macular star: exudates on rays around the fovea."""
    rng = np.random.default_rng(finding.seed)
    rays = rng.uniform(0, 2 * np.pi, 9)
    angle = np.repeat(rays, 7) + rng.normal(0, 0.07, 63)
    reach = np.tile(np.linspace(0.5, 1.4, 7), 9) * finding.size * rng.uniform(0.8, 1.1, 63)
    _grains(canvas, finding, np.stack((reach * np.cos(angle), reach * np.sin(angle)), axis=1), rng)


def _grains(canvas: Canvas, finding: Finding, points: Points, rng: np.random.Generator) -> None:
    sizes = np.minimum(rng.lognormal(-5.45, 0.6, len(points)), 0.02) * canvas.frame.radius + 0.35
    outlines = [blob(rng, at, size, 0.32) for at, size in zip(canvas.frame.pixels(points), sizes, strict=True)]
    patch = canvas.shape(outlines, 0.0025)
    if patch is not None:
        canvas.cover(patch, EXUDATE, 0.66 * finding.strength)
        canvas.mark(patch, finding.kind, finding.label)


def cotton_wool(canvas: Canvas, finding: Finding) -> None:
    """A cotton-wool spot: a fluffy pale patch without a sharp edge."""
    patch = spot(canvas, finding, rough=0.25, soft=0.014, stretch=1.2)
    if patch is not None:
        rng = np.random.default_rng([finding.seed, 1])
        side = max(patch.alpha.shape)
        cloud = 1 + 0.2 * noise(rng, 5, side)[: patch.alpha.shape[0], : patch.alpha.shape[1]]
        canvas.cover(patch.times(np.clip(cloud, 0.4, 1.2)), WOOL, 0.62 * finding.strength)
        canvas.mark(patch, finding.kind, finding.label)
