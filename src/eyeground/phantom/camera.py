"""From the retina to the photograph: light, lens and sensor, the field of view and the camera's faults."""

from __future__ import annotations

import cv2
import numpy as np

from eyeground.phantom.canvas import Bytes, Canvas, Floats, noise, ramp
from eyeground.phantom.traits import Camera


def field_mask(canvas: Canvas, camera: Camera) -> Bytes:
    """The field of view, uint8 (H, W) 0 or 255: a circle, perhaps cut above and below, perhaps with a notch."""
    mask = (np.hypot(canvas.field_x, canvas.field_y) <= 1) & (np.abs(canvas.field_y) <= camera.cut)
    image = np.where(mask, 255, 0).astype(np.uint8)
    if camera.notch is not None:
        reach = 1.0 if camera.cut == 1 else min(1.0, camera.cut / max(abs(np.sin(camera.notch)), 1e-6))
        x = canvas.frame.centre[0] + canvas.frame.radius * reach * np.cos(camera.notch)
        y = canvas.frame.centre[1] + canvas.frame.radius * reach * np.sin(camera.notch)
        tooth = 0.035 * canvas.frame.radius
        corners = np.array(
            [[x - tooth, y - tooth], [x + tooth, y - tooth], [x + tooth, y + tooth], [x - tooth, y + tooth]]
        )
        cv2.fillPoly(image, [np.round(corners * 16).astype(np.int32)], 255, cv2.LINE_8, 4)
    return image


def expose(canvas: Canvas, camera: Camera, field: Bytes) -> Bytes:
    """Takes the photograph.

    Args:
        canvas: the painted retina in relative colours.
        camera: the exposure.
        field: the field of view.

    Returns:
        uint8 (H, W, 3) RGB.
    """
    size = canvas.frame.size
    rng = np.random.default_rng([camera.seed, 7])
    pixels = canvas.pixels * np.array([camera.red, camera.green, camera.blue], np.float32)
    pixels *= _light(canvas, camera, rng)[..., None]
    _veil(pixels, canvas, camera)
    if camera.arc > 0:
        _arc(pixels, canvas, camera)
    for _ in range(camera.dust):
        _dust(pixels, canvas, rng)
    sigma = camera.blur * canvas.frame.radius
    if sigma > 0.3:
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma))
    pixels = _shoulder(pixels)
    edge = cv2.GaussianBlur(field, (0, 0), 0.0035 * canvas.frame.radius + 0.3).astype(np.float32) / 255
    pixels *= edge[..., None]
    pixels += (
        rng.standard_normal((size, size, 1), dtype=np.float32)
        * np.float32(camera.noise)
        * (0.15 + 0.85 * edge[..., None])
    )
    pixels += rng.uniform(0, 5)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _light(canvas: Canvas, camera: Camera, rng: np.random.Generator) -> Floats:
    """Illumination: brighter in the middle, a slope across, slow unevenness."""
    radius2 = canvas.field_x**2 + canvas.field_y**2
    slope = canvas.field_x * np.cos(camera.light_angle) + canvas.field_y * np.sin(camera.light_angle)
    uneven = noise(rng, 3, canvas.frame.size)
    return (1 + camera.vignette * (0.35 - radius2)) * (1 + camera.light_slope * slope) * (1 + 0.05 * uneven)


def _veil(pixels: Floats, canvas: Canvas, camera: Camera) -> None:
    """Stray light along the rim of the field, pale green-grey, strongest towards one side."""
    if camera.rim <= 0:
        return
    radius = np.hypot(canvas.field_x, canvas.field_y)
    side = (canvas.field_x * np.cos(camera.rim_angle) + canvas.field_y * np.sin(camera.rim_angle)) / np.maximum(
        radius, 0.1
    )
    weight = (
        camera.rim * ramp(radius + 0.1 * side, 1.08 - camera.rim_spread, 1.08) * (0.35 + 0.65 * ramp(side, -0.7, 0.9))
    )
    level = 0.6 * camera.red + 70
    colour = np.array([0.92, 1.0, 0.8], np.float32) * np.float32(level)
    pixels += (colour - pixels) * weight[..., None]


def _arc(pixels: Floats, canvas: Canvas, camera: Camera) -> None:
    """A crescent of light reflected in the camera's lenses, near the rim."""
    x, y = canvas.field_x - 1.25 * np.cos(camera.rim_angle), canvas.field_y - 1.25 * np.sin(camera.rim_angle)
    radius = np.hypot(x, y)
    along = np.exp(
        -(
            (
                np.hypot(
                    canvas.field_x - 0.8 * np.cos(camera.rim_angle), canvas.field_y - 0.8 * np.sin(camera.rim_angle)
                )
                / 0.28
            )
            ** 2
        )
    )
    weight = camera.arc * along * np.exp(-(((radius - 0.5) / 0.07) ** 2))
    pixels += weight[..., None] * np.array([120, 130, 140], np.float32)


def _dust(pixels: Floats, canvas: Canvas, rng: np.random.Generator) -> None:
    """One defocused speck on the lens: a pale or dark small disc."""
    x, y = rng.uniform(-0.7, 0.7, 2)
    size, strength = rng.uniform(0.012, 0.04), rng.choice((-0.16, 0.22)) * rng.uniform(0.4, 1)
    distance = np.hypot(canvas.field_x - np.float32(x), canvas.field_y - np.float32(y))
    pixels *= (1 + strength * ramp(distance, 1.3 * size, 0.7 * size))[..., None]


def _shoulder(pixels: Floats) -> Floats:
    """The sensor's response: linear below 170, then rolling off towards 255."""
    over = np.maximum(pixels - 170, 0)
    return np.minimum(pixels, 170) + 85 * (1 - np.exp(-over / 85))
