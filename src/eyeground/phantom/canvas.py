"""The picture while it is being painted: where retinal points fall, shapes with exact masks, and coloured layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.phantom.traits import Camera

Floats = NDArray[np.floating[Any]]
Bytes = NDArray[np.uint8]
Points = NDArray[np.float64]
Colour = tuple[float, float, float]

_USUAL = (0.63, 0.34)
"""Green and blue beside red in the middle of ODIR-5K's photographs."""
_OWN = 0.6
"""How far what is opaque keeps its own colour whatever the retina's (0 not at all, 1 wholly)."""
_SHIFT = 4  # cv2 draws at 1/16 pixel


@dataclass(frozen=True)
class Frame:
    """Maps retinal coordinates to pixels of one photograph (`mirror` is 1 for a right eye, -1 for a left one).

    `cast` is how much green and blue the typical retina has here, beside red and beside the usual photograph.
    """

    size: int
    centre: tuple[float, float]
    radius: float
    offset: tuple[float, float]
    rotation: float
    mirror: int
    cast: tuple[float, float] = (1.0, 1.0)

    @staticmethod
    def of(camera: Camera, size: int, mirror: int) -> Frame:
        half = size / 2
        centre = (half - 0.5 + camera.offset_x * half, half - 0.5 + camera.offset_y * half)
        fovea, radius = (camera.fovea_x, camera.fovea_y), camera.field * half
        cast = (camera.green / camera.red / _USUAL[0], camera.blue / camera.red / _USUAL[1])
        return Frame(size, centre, radius, fovea, camera.rotation, mirror, cast)

    def pixels(self, points: Points) -> Points:
        """Retinal points (n, 2) to pixel coordinates (n, 2), x right and y down."""
        points = np.asarray(points, dtype=np.float64)
        cos, sin = math.cos(self.rotation), math.sin(self.rotation)
        x = cos * points[:, 0] - sin * points[:, 1] + self.offset[0]
        y = sin * points[:, 0] + cos * points[:, 1] + self.offset[1]
        return np.stack((self.centre[0] + self.mirror * self.radius * x, self.centre[1] + self.radius * y), axis=1)

    def field_grid(self) -> tuple[Floats, Floats]:
        """Per pixel (H, W): nasal and downward distance from the field's centre, in field radii. Read-only."""
        steps = np.arange(self.size, dtype=np.float32)
        x = (steps - np.float32(self.centre[0])) * np.float32(self.mirror / self.radius)
        y = (steps - np.float32(self.centre[1])) * np.float32(1 / self.radius)
        shape = (self.size, self.size)
        return np.broadcast_to(x[None, :], shape), np.broadcast_to(y[:, None], shape)

    def retinal_grid(self, field_x: Floats, field_y: Floats) -> tuple[Floats, Floats]:
        """Retinal coordinates (H, W) of the pixels of `field_grid`."""
        cos, sin = math.cos(self.rotation), math.sin(self.rotation)
        x, y = field_x - np.float32(self.offset[0]), field_y - np.float32(self.offset[1])
        return cos * x + sin * y, cos * y - sin * x


@dataclass(frozen=True)
class Patch:
    """A soft shape: `alpha` float32 (h, w) in 0..1 that covers `window` of the picture."""

    window: tuple[slice, slice]
    alpha: Floats

    def times(self, weight: Floats | float) -> Patch:
        return Patch(self.window, np.asarray(self.alpha * weight, dtype=np.float32))


@dataclass
class Canvas:
    """The retina in painting, in relative colours: 1 is this eye's typical background in each channel.

    `masks` hold what was painted, uint8 (H, W) 0 or 255, by finding and by label.
    """

    frame: Frame
    pixels: Floats
    x: Floats
    y: Floats
    field_x: Floats
    field_y: Floats
    masks: dict[str, Bytes] = field(default_factory=dict)

    @staticmethod
    def blank(frame: Frame) -> Canvas:
        """A featureless retina."""
        field_x, field_y = frame.field_grid()
        x, y = frame.retinal_grid(field_x, field_y)
        return Canvas(frame, np.ones((frame.size, frame.size, 3), np.float32), x, y, field_x, field_y)

    def window(self, x: float, y: float, reach: float) -> tuple[slice, slice]:
        """The rows and columns within `reach` (field radii) of a retinal point."""
        centre = self.frame.pixels(np.array([[x, y]]))[0]
        low = np.floor(centre - reach * self.frame.radius).astype(int).clip(0, self.frame.size)
        high = np.ceil(centre + reach * self.frame.radius + 1).astype(int).clip(0, self.frame.size)
        return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))

    def whole(self, alpha: Floats) -> Patch:
        """A patch as large as the picture."""
        return Patch((slice(None), slice(None)), alpha)

    def shape(self, polygons: Sequence[Points], soft: float) -> Patch | None:
        """Fills closed outlines.

        Args:
            polygons: outlines (n, 2) in pixels.
            soft: standard deviation of the edge in field radii.

        Returns:
            The patch around them, or None when they lie outside the picture.
        """
        sigma = max(soft * self.frame.radius, 0.3)
        margin = 3 * sigma + 2
        if not polygons:
            return None
        every = np.concatenate(list(polygons))
        low = np.floor(every.min(axis=0) - margin).astype(int).clip(0, self.frame.size)
        high = np.ceil(every.max(axis=0) + margin).astype(int).clip(0, self.frame.size)
        if (high <= low).any():
            return None
        layer = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
        for polygon in polygons:
            points = np.round((polygon - low) * (1 << _SHIFT)).astype(np.int32)
            cv2.fillPoly(layer, [points], 255, cv2.LINE_AA, _SHIFT)
        alpha = cv2.GaussianBlur(layer, (0, 0), sigma).astype(np.float32) / 255
        return Patch((slice(low[1], high[1]), slice(low[0], high[0])), alpha)

    def opaque(self, colour: Floats) -> Floats:
        """What an opaque thing (..., 3), coloured as on the usual retina, is in this eye's relative colours.

        White sclera on an orange retina is not orange: what hides the retina keeps most of its own colour.
        """
        green, blue = self.frame.cast
        return np.asarray(colour, np.float32) * np.array([1, green**-_OWN, blue**-_OWN], np.float32)

    def cover(self, patch: Patch, colour: Colour, strength: float = 1.0) -> None:
        """Lays an opaque colour over the picture where the patch is 1."""
        view = self.pixels[patch.window]
        view += (self.opaque(np.asarray(colour)) - view) * (patch.alpha * min(strength, 1.0))[..., None]

    def gain(self, weight: Floats, colour: Colour) -> None:
        """Multiplies the whole picture by 1 + `weight` (H, W) x `colour`."""
        cv2.multiply(self.pixels, cv2.merge([1 + np.float32(c) * weight for c in colour]), self.pixels)

    def tint(self, patch: Patch, colour: Colour, strength: float = 1.0) -> None:
        """Multiplies the picture by a colour where the patch is 1, as blood (below 1) or thinning (above 1) does."""
        factor = np.maximum(1 + (np.asarray(colour, np.float32) - 1) * np.float32(strength), 0.05)
        if patch.alpha.size:
            self.pixels[patch.window] *= cv2.merge([1 + np.float32(f - 1) * patch.alpha for f in factor])

    def mark(self, patch: Patch, *names: str, level: float = 0.4) -> None:
        """Adds what the patch covers to the masks of these names."""
        found = patch.alpha >= min(level, float(patch.alpha.max()) * 0.7)
        for name in names:
            mask = self.masks.setdefault(name, np.zeros(self.pixels.shape[:2], np.uint8))
            mask[patch.window][found] = 255


def noise(rng: np.random.Generator, cells: int, size: int, octaves: int = 1) -> Floats:
    """Smooth noise (size, size), mean 0 and standard deviation about 1: coarse random numbers, upsampled.

    The same generator state gives the same pattern at every size.
    """
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        count = cells << octave
        coarse = rng.standard_normal((count, count), dtype=np.float32)
        total += cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC) * np.float32(0.55**octave)
    return total * np.float32(1.15 if octaves == 1 else 1.0)


def blob(rng: np.random.Generator, centre: Points, radius: float, rough: float = 0.2, stretch: float = 1.0) -> Points:
    """An irregular closed outline (20, 2) in pixels around `centre` (2,), longer along x by `stretch`."""
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    wave = sum(
        rng.normal(0, rough / order) * np.cos(order * angle + rng.uniform(0, 2 * np.pi)) for order in range(2, 6)
    )
    reach = radius * np.maximum(1 + wave, 0.3)
    return centre + np.stack((reach * stretch * np.cos(angle), reach / stretch * np.sin(angle)), axis=1)


def blobs(rng: np.random.Generator, centres: Points, radii: Points, rough: float = 0.2) -> Points:
    """Irregular closed outlines (n, 14, 2) in pixels around `centres` (n, 2), of mean `radii` (n,): many at once."""
    count = len(centres)
    angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    order = np.arange(1, 5)
    height = rng.normal(0, rough, (count, 4, 1)) / order[:, None]
    phase = rng.uniform(0, 2 * np.pi, (count, 4, 1))
    reach = np.asarray(radii)[:, None] * np.maximum(1 + (height * np.cos(order[:, None] * angle + phase)).sum(1), 0.3)
    circle = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    return np.asarray(centres)[:, None] + reach[..., None] * circle


def splinters(centres: Points, halves: Points, widths: Points, bend: Points) -> Points:
    """Pointed slivers (n, 14, 2) in pixels.

    Args:
        centres: (n, 2) in pixels.
        halves: (n, 2), from a centre to its tip.
        widths: (n,), half widths at the middle.
        bend: (n,), how far the middle bows sideways, in half lengths.
    """
    t = np.concatenate((np.linspace(-1, 1, 8), np.linspace(1, -1, 8)[1:-1]))
    side = np.concatenate((np.ones(8), -np.ones(6))) * (1 - np.abs(t) ** 1.6)
    across = np.stack((-halves[:, 1], halves[:, 0]), axis=1)
    unit = across / np.maximum(np.hypot(across[:, 0], across[:, 1]), 1e-9)[:, None]
    bow = (bend[:, None] * (1 - t**2))[..., None] * across[:, None]
    body = side[None, :, None] * (widths[:, None] * unit)[:, None]
    return centres[:, None] + t[None, :, None] * halves[:, None] + bow + body


def turned(outline: Points, centre: Points, angle: float) -> Points:
    """The outline rotated about `centre` by `angle` radians (in pixels, y down)."""
    cos, sin = math.cos(angle), math.sin(angle)
    return (outline - centre) @ np.array([[cos, sin], [-sin, cos]]) + centre


def ramp(values: Floats, low: float, high: float) -> Floats:
    """0 below `low`, 1 above `high`, smooth between (and the reverse when low > high)."""
    t = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))
