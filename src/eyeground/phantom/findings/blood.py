"""Painters of blood outside the vessels, and of what leaks from them; several diseases share these."""

from __future__ import annotations

import cv2
import numpy as np

from eyeground.phantom.canvas import Canvas, Floats, Patch, Points, blob, blobs, noise, ramp, splinters, turned
from eyeground.phantom.traits import Finding

BLOOD = (0.73, 0.42, 0.55)
EXUDATE = (1.66, 2.05, 1.75)
WOOL = (1.4, 1.7, 1.7)


def spot(canvas: Canvas, finding: Finding, rough: float, soft: float, stretch: float = 1.0) -> Patch | None:
    """One irregular spot at the finding's place, turned by its angle."""
    rng = np.random.default_rng(finding.seed)
    centre = _centre(canvas, finding)
    outline = blob(rng, centre, max(finding.size * canvas.frame.radius, 0.9), rough, stretch)
    return canvas.shape([turned(outline, centre, finding.angle * canvas.frame.mirror)], soft)


def lobes(canvas: Canvas, finding: Finding, rng: np.random.Generator, count: int, soft: float) -> Patch | None:
    """An organic patch of about the finding's size: overlapping lobes, longer along its angle, with ragged bays.

    `soft` is the width of its edge in field radii.
    """
    size = finding.size * canvas.frame.radius
    centre = _centre(canvas, finding)
    offset = rng.normal(0, 0.36, (count, 2)) * size * (1.0, rng.uniform(0.5, 0.9))
    offset[0] = 0
    radii = size * rng.uniform(0.3, 0.65, count)
    radii[0] = 0.75 * size
    turn = finding.angle if canvas.frame.mirror > 0 else np.pi - finding.angle
    outlines = blobs(rng, centre + offset, radii, 0.3)
    blurred = canvas.shape([turned(outline, centre, turn) for outline in outlines], 0.16 * finding.size)
    if blurred is None:
        return None
    ragged = blurred.alpha + 0.09 * _around(canvas, blurred, finding, rng) * ramp(blurred.alpha, 0.02, 0.3)
    half = float(np.clip(2.2 * soft / max(finding.size, 1e-6), 0.1, 0.45))
    return Patch(blurred.window, ramp(ragged, 0.5 - half, 0.5 + half))


def _around(canvas: Canvas, patch: Patch, finding: Finding, rng: np.random.Generator) -> Floats:
    """Smooth noise over a patch, the same on the retina at every size of the picture: coarse numbers, sampled."""
    table = rng.standard_normal((24, 24), dtype=np.float32)
    scale = np.float32(4.5 / max(finding.size, 1e-6))
    u = (canvas.x[patch.window] - np.float32(finding.x)) * scale + np.float32(11.5)
    v = (canvas.y[patch.window] - np.float32(finding.y)) * scale + np.float32(11.5)
    return np.asarray(cv2.remap(table, u, v, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT), np.float32)


def _centre(canvas: Canvas, finding: Finding) -> Points:
    return canvas.frame.pixels(np.array([[finding.x, finding.y]]))[0]


def microaneurysm(canvas: Canvas, finding: Finding) -> None:
    """A tiny round red dot."""
    _bleed(canvas, finding, spot(canvas, finding, rough=0.04, soft=0.002), 0.9)


def haemorrhage(canvas: Canvas, finding: Finding) -> None:
    """A dot or blot haemorrhage: dark red, ragged, darker where the blood lies thicker."""
    rng = np.random.default_rng(finding.seed)
    size = max(finding.size * canvas.frame.radius, 0.9)
    count = int(rng.integers(4, 9))
    offsets = rng.normal(0, 0.34, (count, 2)) * size * (1.0, rng.uniform(0.5, 1.0))
    radii = size * rng.uniform(0.25, 0.65, count)
    centre = _centre(canvas, finding)
    outlines = [turned(outline, centre, finding.angle) for outline in blobs(rng, centre + offsets, radii, 0.3)]
    depth = rng.uniform(0.55, 1.05)
    _bleed(canvas, finding, canvas.shape(outlines, float(rng.uniform(0.004, 0.008))), depth)
    heart = canvas.shape(outlines[:2], 0.006)
    if heart is not None:
        canvas.tint(heart, (0.8, 0.72, 0.8), finding.strength * rng.uniform(0.2, 1))


def flame(canvas: Canvas, finding: Finding) -> None:
    """A flame haemorrhage: splinters side by side along the nerve fibres, their ends feathered."""
    rng = np.random.default_rng(finding.seed)
    turn = finding.angle if canvas.frame.mirror > 0 else np.pi - finding.angle
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    size = finding.size * canvas.frame.radius
    count = int(rng.integers(8, 20))
    lane = rng.normal(0, rng.uniform(0.12, 0.32), count)
    shift = rng.normal(0, 0.6, count)
    length = size * rng.uniform(0.3, 1.2, count) * np.exp(-((lane / 0.6) ** 2))
    fan = rng.normal(0, 0.05, count) + rng.uniform(-0.3, 0.3) * lane
    middles = _centre(canvas, finding) + size * (shift[:, None] * along + lane[:, None] * across)
    halves = length[:, None] * (np.cos(fan)[:, None] * along + np.sin(fan)[:, None] * across)
    strands = splinters(middles, halves, size * rng.uniform(0.04, 0.13, count) + 0.3, rng.normal(0, 0.06, count))
    _bleed(canvas, finding, canvas.shape(list(strands), 0.0035), rng.uniform(0.6, 1.0))


def _bleed(canvas: Canvas, finding: Finding, patch: Patch | None, depth: float) -> None:
    if patch is not None:
        canvas.tint(patch, BLOOD, depth * finding.strength)
        canvas.mark(patch, finding.kind, finding.label)


def exudates(canvas: Canvas, finding: Finding) -> None:
    """Hard exudates over `size`: from dust to waxy plaques, in clumps, often along a ring around what leaks."""
    rng = np.random.default_rng(finding.seed)
    nests = int(rng.integers(5, 11))
    if rng.random() < 0.55:
        angle = rng.uniform(0, 2 * np.pi) + rng.uniform(0, rng.uniform(2.0, 6.0), nests)
        reach = rng.normal(0.85, 0.12, nests)
    else:
        angle, reach = rng.uniform(0, 2 * np.pi, nests), rng.uniform(0, 1, nests)
    middles = reach[:, None] * np.stack((np.cos(angle), np.sin(angle)), axis=1) * (1.0, rng.uniform(0.6, 1.0))
    weight = rng.lognormal(0, 0.8, nests)
    home = rng.choice(nests, int(25 + 520 * finding.size), p=weight / weight.sum())
    offset = middles[home] + rng.normal(0, 1, (len(home), 2)) * (0.1 + 0.26 * rng.random(nests))[home, None]
    scale = 0.75 + 0.35 * rng.random(nests)[home]
    _grains(canvas, finding, np.array([finding.x, finding.y]) + finding.size * offset, rng, scale)


def star(canvas: Canvas, finding: Finding) -> None:
    """A macular star: exudates on rays around the fovea."""
    rng = np.random.default_rng(finding.seed)
    rays = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.uniform(0.2, 0.7, 13))
    length = rng.uniform(0.6, 1.4, 13) * np.where(np.cos(rays) > 0, 1.15, 0.8)  # longer towards the disc
    ray = rng.integers(0, 13, 110)
    reach = 0.4 + length[ray] * rng.beta(1.0, 1.6, 110)
    angle = rays[ray] + rng.normal(0, 0.035, 110)
    points = reach[:, None] * np.stack((np.cos(angle), np.sin(angle)), axis=1) * finding.size
    _grains(canvas, finding, points, rng, 0.85 / (0.6 + 0.6 * reach))


def _grains(canvas: Canvas, finding: Finding, points: Points, rng: np.random.Generator, scale: Points) -> None:
    """Grains of very different sizes with sharp edges; the largest are plaques."""
    sizes = np.minimum(rng.lognormal(-6.1, 0.85, len(points)) * scale, 0.034)
    at = canvas.frame.pixels(points)
    outlines = blobs(rng, at, sizes * canvas.frame.radius + 0.25, 0.6)
    patch = canvas.shape(list(outlines), 0.0016)
    if patch is not None:
        canvas.cover(patch, EXUDATE, 0.8 * finding.strength)
        canvas.mark(patch, finding.kind, finding.label)
        plaques = canvas.shape(list(outlines[sizes > 0.009]), 0.004)
        if plaques is not None:
            canvas.tint(plaques, (1.08, 1.12, 1.0), finding.strength)


def cotton_wool(canvas: Canvas, finding: Finding) -> None:
    """A cotton-wool spot: a fluffy pale patch without a sharp edge."""
    patch = spot(canvas, finding, rough=0.25, soft=0.014, stretch=1.2)
    if patch is not None:
        rng = np.random.default_rng([finding.seed, 1])
        side = max(patch.alpha.shape)
        cloud = 1 + 0.2 * noise(rng, 5, side)[: patch.alpha.shape[0], : patch.alpha.shape[1]]
        canvas.cover(patch.times(np.clip(cloud, 0.4, 1.2)), WOOL, 0.62 * finding.strength)
        canvas.mark(patch, finding.kind, finding.label)
