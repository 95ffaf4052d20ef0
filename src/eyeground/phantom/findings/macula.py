"""Age-related macular degeneration: drusen, geographic atrophy, blood and scar under the retina; and drusen alone."""

from __future__ import annotations

import numpy as np

from eyeground.phantom.canvas import Canvas, blob, noise
from eyeground.phantom.findings.blood import spot
from eyeground.phantom.findings.place import Place
from eyeground.phantom.traits import Finding

DRY = "dry age-related macular degeneration"
WET = "wet age-related macular degeneration"
_DRUSE = (1.22, 1.38, 1.15)


def draw_dry(place: Place, severity: float) -> list[Finding]:
    """Many and large drusen around the fovea; late, an atrophy with sharp borders."""
    rng = place.rng
    found = []
    for _ in range(place.count(3, 6)):
        angle, reach = rng.uniform(0, 6.28), rng.uniform(0.03, 0.28)
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
        found.append(place.finding("subretinal_haemorrhage", "A", where, rng.uniform(0.16, 0.22 + 0.14 * severity)))
        found.append(place.finding("membrane", "A", where, rng.uniform(0.07, 0.12)))
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
    """A group of soft yellow spots over `size`; `angle` scales their radius (small 0.5, soft 2)."""
    rng = np.random.default_rng(finding.seed)
    count = int(10 + 130 * finding.size)
    points = np.array([finding.x, finding.y]) + rng.normal(0, 0.5, (count, 2)) * finding.size
    sizes = rng.gamma(2.5, 0.0034, count) * finding.angle * canvas.frame.radius + 0.4
    outlines = [blob(rng, at, size, 0.12) for at, size in zip(canvas.frame.pixels(points), sizes, strict=True)]
    patch = canvas.shape(outlines, 0.0045)
    if patch is not None:
        canvas.tint(patch, _DRUSE, 0.85 * finding.strength)
        canvas.mark(patch, finding.kind, finding.label)


def geographic_atrophy(canvas: Canvas, finding: Finding) -> None:
    """A pale patch with a sharp border in which the choroid shows, dark pigment clumps at its edge."""
    rng = np.random.default_rng(finding.seed)
    patch = spot(canvas, finding, rough=0.3, soft=0.006, stretch=float(rng.uniform(0.9, 1.15)))
    if patch is None:
        return
    inside = canvas.pixels[patch.window]
    smooth = np.full_like(inside, 1.0) + (inside - inside.mean(axis=(0, 1))) * 0.6
    inside += (smooth - inside) * (0.8 * patch.alpha)[..., None]
    canvas.tint(patch, (1.25, 1.5, 1.3), finding.strength)
    texture(canvas, patch.window, patch.alpha, rng, 0.1)
    canvas.mark(patch, finding.kind, finding.label)
    clumps(canvas, finding, rng, 7)


def subretinal_haemorrhage(canvas: Canvas, finding: Finding) -> None:
    """A large dark red pool, duller than blood in the retina."""
    patch = spot(canvas, finding, rough=0.22, soft=0.014, stretch=1.1)
    if patch is not None:
        canvas.tint(patch, (0.56, 0.4, 0.52), finding.strength)
        canvas.mark(patch, finding.kind, finding.label)


def membrane(canvas: Canvas, finding: Finding) -> None:
    """A grey-yellow neovascular membrane or its scar."""
    patch = spot(canvas, finding, rough=0.22, soft=0.014)
    if patch is not None:
        rng = np.random.default_rng([finding.seed, 1])
        canvas.cover(patch, (1.2, 1.5, 1.15), 0.75 * finding.strength)
        texture(canvas, patch.window, patch.alpha, rng, 0.16)
        canvas.mark(patch, finding.kind, finding.label)
        clumps(canvas, finding, rng, int(rng.integers(1, 5)))


def clumps(canvas: Canvas, finding: Finding, rng: np.random.Generator, count: int) -> None:
    """Dark pigment along the edge of a patch."""
    angle = rng.uniform(0, 6.28, count)
    reach = finding.size * rng.uniform(0.6, 1.05, count)
    points = np.stack((finding.x + reach * np.cos(angle), finding.y + reach * np.sin(angle)), axis=1)
    sizes = rng.lognormal(-4.5, 0.4, count) * canvas.frame.radius
    outlines = [
        blob(rng, at, size, 0.4, float(rng.uniform(0.7, 1.6)))
        for at, size in zip(canvas.frame.pixels(points), sizes, strict=True)
    ]
    patch = canvas.shape(outlines, 0.006)
    if patch is not None:
        canvas.tint(patch, (0.55, 0.5, 0.6), rng.uniform(0.4, 0.9) * finding.strength)


def texture(
    canvas: Canvas, window: tuple[slice, slice], alpha: np.ndarray, rng: np.random.Generator, depth: float
) -> None:
    """Mottles a window of the picture where `alpha` is high."""
    height, width = alpha.shape
    grain = noise(rng, 8, max(height, width), 2)[:height, :width]
    canvas.pixels[window] *= 1 + (depth * grain * alpha)[..., None]
