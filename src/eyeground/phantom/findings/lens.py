"""What clouds the way to the retina: cataract, and opacities that are not called cataract."""

from __future__ import annotations

import cv2
import numpy as np

from eyeground.phantom.canvas import Canvas, Floats, noise, ramp
from eyeground.phantom.findings.place import Place
from eyeground.phantom.traits import Finding


def draw(place: Place, severity: float) -> list[Finding]:
    """The lens of one eye with cataract; `severity` 0 (early) to 1 (mature)."""
    return [place.finding("lens_opacity", "C", (0.0, 0.0), 1.0, strength=0.48 + 0.5 * severity)]


def draw_opacity(place: Place) -> list[Finding]:
    """One cloud in the refractive media, of the label O."""
    where = place.somewhere(0.1, 0.6, margin=0.3)
    return [place.finding("media_opacity", "O", where, place.rng.uniform(0.3, 0.5), strength=0.75)]


def lens_opacity(canvas: Canvas, finding: Finding) -> None:
    """Haze: the picture blurs, loses contrast and turns yellow unevenly, most about the middle, and dim outside."""
    rng = np.random.default_rng(finding.seed)
    strength = min(finding.strength, 1.25)
    cloud = noise(rng, 3, canvas.frame.size, 3)
    at_x, at_y = rng.normal(0, 0.2, 2)
    radius = np.hypot(canvas.field_x - np.float32(at_x), canvas.field_y - np.float32(at_y))
    weight = np.clip(strength * (0.8 + 0.14 * cloud - 0.2 * radius), 0.08, 0.93)
    glow = rng.uniform(0.95, 1.15)
    yellow = 0.6 + 0.3 * rng.random()
    _haze(canvas, weight.astype(np.float32), 0.006 + 0.022 * strength, (glow, 1.02 * glow, yellow * glow))
    dim = np.float32(0.14 * strength) * ramp(radius, 0.3, 1.2)
    canvas.pixels *= (1 - dim)[..., None]
    canvas.mark(canvas.whole(np.ones_like(weight)), finding.kind, finding.label)


def media_opacity(canvas: Canvas, finding: Finding) -> None:
    """A cloud with soft borders that hides a part of the retina."""
    rng = np.random.default_rng(finding.seed)
    distance = np.hypot(canvas.x - finding.x, canvas.y - finding.y) / finding.size
    ragged = distance + 0.18 * noise(rng, 6, canvas.frame.size)
    weight = min(finding.strength, 1.0) * ramp(ragged, 1.15, 0.35)
    shade = rng.uniform(0.55, 1.15)
    _haze(canvas, weight, 0.012, (shade, 1.05 * shade, 1.1 * shade))
    canvas.mark(canvas.whole(weight), finding.kind, finding.label)


def _haze(canvas: Canvas, weight: Floats, blur: float, colour: tuple[float, float, float]) -> None:
    """Blurs (sigma in field radii) and mixes with a veil where `weight` (H, W) is high."""
    soft = cv2.GaussianBlur(canvas.pixels, (0, 0), blur * canvas.frame.radius)
    mix = np.minimum(1.6 * weight, 1)[..., None]
    canvas.pixels += (soft - canvas.pixels) * mix
    canvas.pixels += (canvas.opaque(np.asarray(colour)) - canvas.pixels) * weight[..., None]
