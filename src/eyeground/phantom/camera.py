"""From the retina to the photograph: light, lens and sensor, the field of view and the camera's faults."""

from __future__ import annotations

import math

import cv2
import numpy as np

from eyeground.phantom.canvas import Bytes, Canvas, Floats, Frame, noise, ramp
from eyeground.phantom.traits import Camera


def field_mask(canvas: Canvas, camera: Camera) -> Bytes:
    """The field of view, uint8 (H, W) 0 or 255: a circle, perhaps cut above and below, perhaps with a notch."""
    mask = (np.hypot(canvas.field_x, canvas.field_y) <= 1) & (np.abs(canvas.field_y) <= camera.cut)
    image = np.where(mask, 255, 0).astype(np.uint8)
    if camera.notch is not None:
        reach = 1.0 if camera.cut == 1 else min(1.0, camera.cut / max(abs(np.sin(camera.notch)), 1e-6))
        x = canvas.frame.centre[0] + canvas.frame.radius * reach * np.cos(camera.notch)
        y = canvas.frame.centre[1] + canvas.frame.radius * reach * np.sin(camera.notch)
        out, side = (
            np.array([np.cos(camera.notch), np.sin(camera.notch)]),
            np.array([-np.sin(camera.notch), np.cos(camera.notch)]),
        )
        tooth = 0.03 * canvas.frame.radius
        at = np.array([x, y])
        corners = np.array([at - 2 * tooth * out - tooth * side, at + tooth * out, at - 2 * tooth * out + tooth * side])
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
    gain, stray = _light(camera, Frame.of(camera, (size + 1) // 2, canvas.frame.mirror), rng)
    pixels = cv2.multiply(canvas.pixels, cv2.resize(gain, (size, size)))
    pixels = cv2.add(pixels, cv2.resize(stray, (size, size)))
    sigma = camera.blur * canvas.frame.radius
    if sigma > 0.3:
        pixels = cv2.GaussianBlur(pixels, (0, 0), sigma)
    pixels = _shoulder(np.asarray(pixels))
    edge = cv2.GaussianBlur(field, (0, 0), 0.0035 * canvas.frame.radius + 0.3).astype(np.float32) / 255
    grain = rng.standard_normal((size, size), dtype=np.float32) * np.float32(camera.noise) * (0.15 + 0.85 * edge)
    grain += np.float32(rng.uniform(0, 5) - 0.5)  # the half, because bytes are rounded below
    pixels = cv2.add(cv2.multiply(pixels, cv2.merge([edge] * 3)), cv2.merge([grain] * 3))
    return np.asarray(cv2.convertScaleAbs(np.maximum(pixels, 0)), np.uint8)


def _light(camera: Camera, frame: Frame, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The light that the retina sends back and the light that never reached it, float32 (h, w, 3) each.

    Illumination is brighter in the middle and about the disc, with a slope across and slow unevenness, and redder
    where it is dim; stray light veils the rim.
    """
    x, y = frame.field_grid()
    radius = np.hypot(x, y)
    slope = x * math.cos(camera.light_angle) + y * math.sin(camera.light_angle)
    gain = (1 + camera.vignette * (0.35 - radius**2)) * (1 + camera.light_slope * slope)
    gain *= 1 + 0.07 * noise(rng, 3, frame.size)
    glow_x, glow_y = rng.normal((0.3, 0.0), (0.25, 0.2)).astype(np.float32)
    glow = np.exp((np.square(x - glow_x) + np.square(y - glow_y)) * np.float32(-1 / rng.uniform(0.15, 0.6)))
    gain *= 1 + np.float32(min(camera.vignette, 0.5)) * (1.1 * glow - 0.3)
    for _ in range(camera.dust):
        gain *= _dust(x, y, rng)
    veil = _veil(x, y, radius, camera)
    colour = np.array([camera.red, camera.green, camera.blue], np.float32)
    pale = np.array([0.92, 1.0, 0.8], np.float32) * np.float32(0.6 * camera.red + 70)
    stray = veil[..., None] * pale
    if camera.arc > 0:
        stray = stray + _arc(x, y, camera)[..., None] * np.array([120, 130, 140], np.float32)
    shadow = (gain * (1 - veil))[..., None] * (1 + (1 - gain)[..., None] * np.array([0.12, 0.0, -0.15], np.float32))
    return (shadow * colour).astype(np.float32), stray.astype(np.float32)


def _veil(x: Floats, y: Floats, radius: Floats, camera: Camera) -> Floats:
    """Weight (h, w) of stray light along the rim of the field, strongest towards one side."""
    side = (x * math.cos(camera.rim_angle) + y * math.sin(camera.rim_angle)) / np.maximum(radius, 0.1)
    ring = ramp(radius + 0.1 * side, 1.08 - camera.rim_spread, 1.08)
    return camera.rim * ring * (0.35 + 0.65 * ramp(side, -0.7, 0.9))


def _arc(x: Floats, y: Floats, camera: Camera) -> Floats:
    """Weight (h, w) of a crescent of light reflected in the camera's lenses, near the rim."""
    cos, sin = math.cos(camera.rim_angle), math.sin(camera.rim_angle)
    along = np.exp(-((np.hypot(x - 0.8 * cos, y - 0.8 * sin) / 0.28) ** 2))
    across = np.exp(-(((np.hypot(x - 1.25 * cos, y - 1.25 * sin) - 0.5) / 0.07) ** 2))
    return camera.arc * along * across


def _dust(x: Floats, y: Floats, rng: np.random.Generator) -> Floats:
    """Gain (h, w) of one defocused speck on the lens: a pale or dark small disc."""
    at_x, at_y = rng.uniform(-0.7, 0.7, 2)
    size, strength = rng.uniform(0.012, 0.04), rng.choice((-0.16, 0.22)) * rng.uniform(0.4, 1)
    distance = np.hypot(x - np.float32(at_x), y - np.float32(at_y))
    return 1 + strength * ramp(distance, 1.3 * size, 0.7 * size)


def _shoulder(pixels: Floats) -> Floats:
    """The sensor's response: linear below 170, then rolling off towards 255."""
    over = np.subtract(pixels, np.float32(170))
    np.maximum(over, 0, out=over)
    pixels = np.minimum(pixels, np.float32(170), out=pixels)
    rolled = cv2.divide(over, over + np.float32(85), scale=85)
    return np.asarray(np.add(pixels, rolled, out=pixels), np.float32)
