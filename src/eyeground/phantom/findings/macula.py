"""Age-related macular degeneration: drusen, geographic atrophy, blood and scar under the retina; and drusen alone."""

from __future__ import annotations

import numpy as np

from eyeground.phantom.canvas import Canvas, blobs, noise, ramp
from eyeground.phantom.findings.blood import lobes
from eyeground.phantom.findings.place import Place
from eyeground.phantom.traits import Finding

DRY = "dry age-related macular degeneration"
WET = "wet age-related macular degeneration"
_DRUSE = (1.3, 1.5, 1.35)


def draw_dry(place: Place, severity: float) -> list[Finding]:
    """Many and large drusen around the fovea; late, an atrophy with sharp borders."""
    rng = place.rng
    found = []
    for _ in range(place.count(3, 6)):
        angle, reach = rng.uniform(0, 6.28), abs(rng.normal(0, 0.2))
        where = (reach * np.cos(angle), reach * np.sin(angle))
        found.append(place.finding("drusen", "A", where, rng.uniform(0.12, 0.26), angle=1 + severity))
    if severity > 0.6:
        where = (rng.normal(0, 0.05), rng.normal(0, 0.05))
        found.append(place.finding("geographic_atrophy", "A", where, rng.uniform(0.12, 0.26)))
    return found


def draw_wet(place: Place, severity: float) -> list[Finding]:
    """Blood, membrane or scar under the fovea, exudates around, some drusen."""
    rng = place.rng
    where = (rng.normal(0, 0.06), rng.normal(0, 0.06))
    found = [place.finding("drusen", "A", (0.0, 0.0), rng.uniform(0.2, 0.4), angle=1.3)]
    if rng.random() < 0.65:
        size, side = rng.uniform(0.08, 0.14), rng.uniform(0, 6.28)
        pool = (where[0] + 0.75 * size * np.cos(side), where[1] + 0.75 * size * np.sin(side))
        blood = rng.uniform(0.1, 0.17 + 0.12 * severity)
        found.append(place.finding("subretinal_haemorrhage", "A", pool, blood, angle=side))
        found.append(place.finding("membrane", "A", where, size))
    else:
        found.append(place.finding("membrane", "A", where, rng.uniform(0.14, 0.24)))
    if rng.random() < 0.6:
        angle = rng.uniform(0, 6.28)
        at = (where[0] + 0.28 * np.cos(angle), where[1] + 0.28 * np.sin(angle))
        found.append(place.finding("hard_exudate", "A", at, rng.uniform(0.08, 0.14)))
    return found


def draw_few_drusen(place: Place) -> list[Finding]:
    """Scattered small drusen: the label O in this cohort, not A."""
    return [
        place.finding("drusen", "O", place.somewhere(0.3, 0.75), place.rng.uniform(0.12, 0.22), angle=0.55)
        for _ in range(place.count(3, 6))
    ]


def drusen(canvas: Canvas, finding: Finding) -> None:
    """A group of yellow spots over `size`, from hard dots to soft ones that run together; larger in the middle.

    `angle` scales their radius (small 0.5, soft 2).
    """
    rng = np.random.default_rng(finding.seed)
    count = int(14 + 190 * finding.size)
    offset = rng.normal(0, 0.5, (count, 2)) * (1.0, rng.uniform(0.6, 1.0))
    middle = np.exp(-((offset**2).sum(axis=1)) / 0.35)
    sizes = rng.lognormal(-5.6, 0.6, count) * (0.55 + 0.75 * middle) * finding.angle
    points = canvas.frame.pixels(np.array([finding.x, finding.y]) + offset * finding.size)
    outlines = blobs(rng, points, np.minimum(sizes, 0.035) * canvas.frame.radius + 0.3, 0.25)
    large = sizes > 0.009
    for group, soft, depth in ((outlines[~large], 0.003, 0.55), (outlines[large], 0.007, 0.62)):
        patch = canvas.shape(list(group), soft)
        if patch is not None:
            canvas.cover(patch, _DRUSE, depth * finding.strength)
            canvas.mark(patch, finding.kind, finding.label)


def geographic_atrophy(canvas: Canvas, finding: Finding) -> None:
    """A pale patch with a sharp border in which the choroid shows, dark pigment clumps at its edge."""
    rng = np.random.default_rng(finding.seed)
    patch = lobes(canvas, finding, rng, 6, 0.008)
    if patch is None:
        return
    inside = canvas.pixels[patch.window]
    smooth = np.full_like(inside, 1.0) + (inside - inside.mean(axis=(0, 1))) * 0.6
    inside += (smooth - inside) * (0.8 * patch.alpha)[..., None]
    height, width = patch.alpha.shape
    vessels = ramp(np.abs(noise(rng, 5, max(height, width), 2)[:height, :width]), 0.5, 0.0)
    canvas.cover(patch.times(1 - 0.5 * vessels), (1.36, 1.55, 1.6), 0.75 * finding.strength)
    texture(canvas, patch.window, patch.alpha, rng, 0.06)
    canvas.mark(patch, finding.kind, finding.label)
    clumps(canvas, finding, rng, 7)


def subretinal_haemorrhage(canvas: Canvas, finding: Finding) -> None:
    """A dark red pool with bays and tongues, duller than blood in the retina, thin at its edge."""
    rng = np.random.default_rng(finding.seed)
    patch = lobes(canvas, finding, rng, 7, 0.022)
    if patch is not None:
        height, width = patch.alpha.shape
        thick = 0.75 + 0.25 * noise(rng, 5, max(height, width), 2)[:height, :width]
        canvas.tint(patch.times(np.clip(thick, 0.35, 1)), (0.6, 0.42, 0.52), finding.strength)
        canvas.mark(patch, finding.kind, finding.label)


def membrane(canvas: Canvas, finding: Finding) -> None:
    """A neovascular membrane or its scar: grey-green at the edge, fibrous yellow-white within, some pigment."""
    rng = np.random.default_rng([finding.seed, 1])
    patch = lobes(canvas, finding, rng, 6, 0.022)
    if patch is None:
        return
    height, width = patch.alpha.shape
    side = max(height, width)
    cloud, fibres = (noise(rng, cells, side, 3)[:height, :width] for cells in (3, 9))
    canvas.cover(patch, (0.95, 1.08, 1.0), 0.6 * finding.strength)
    core = ramp(patch.alpha + 0.15 * cloud, 0.4, 1.2) * patch.alpha
    strands = np.clip(0.75 - 0.25 * np.abs(fibres) + 0.25 * cloud, 0.1, 1)
    canvas.cover(patch.times(core * strands), (1.36, 1.68, 1.55), finding.strength)
    canvas.mark(patch, finding.kind, finding.label)
    clumps(canvas, finding, rng, int(rng.integers(0, 4)))


def clumps(canvas: Canvas, finding: Finding, rng: np.random.Generator, count: int) -> None:
    """Dark pigment along the edge of a patch."""
    angle = rng.uniform(0, 6.28, count)
    reach = finding.size * rng.uniform(0.6, 1.05, count)
    points = np.stack((finding.x + reach * np.cos(angle), finding.y + reach * np.sin(angle)), axis=1)
    flecks = int(rng.integers(3, 7))
    points = np.repeat(points, flecks, axis=0) + rng.normal(0, 0.16 * finding.size, (count * flecks, 2))
    sizes = rng.lognormal(-5.2, 0.6, count * flecks) * canvas.frame.radius
    outlines = blobs(rng, canvas.frame.pixels(points), sizes, 0.5)
    patch = canvas.shape(list(outlines), 0.003)
    if patch is not None:
        canvas.cover(patch, (0.3, 0.3, 0.45), rng.uniform(0.4, 0.9) * finding.strength)
        canvas.mark(patch, finding.kind, finding.label)


def texture(
    canvas: Canvas, window: tuple[slice, slice], alpha: np.ndarray, rng: np.random.Generator, depth: float
) -> None:
    """Mottles a window of the picture where `alpha` is high."""
    height, width = alpha.shape
    grain = noise(rng, 7, max(height, width), 3)[:height, :width]
    canvas.pixels[window] *= 1 + (depth * grain * alpha)[..., None]
