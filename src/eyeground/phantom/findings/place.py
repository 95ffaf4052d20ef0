"""Where on the retina a finding may be: inside the field of view, off the disc, in the region its disease prefers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eyeground.phantom.traits import Anatomy, Camera, Difficulty, Finding, field_point


@dataclass(frozen=True)
class Place:
    """One eye to draw findings in: its anatomy, its field of view, its difficulty and its source of chance."""

    anatomy: Anatomy
    camera: Camera
    difficulty: Difficulty
    rng: np.random.Generator

    def seen(self, x: float, y: float, margin: float = 0.08) -> bool:
        """Whether a retinal point is in the field of view, at least `margin` from its edge."""
        fx, fy = field_point(self.camera, x, y)
        return math.hypot(fx, fy) < 1 - margin and abs(fy) < self.camera.cut - margin

    def disc_distance(self, x: float, y: float) -> float:
        """Distance from the disc's centre in disc radii."""
        return math.hypot(x - self.anatomy.disc_x, y - self.anatomy.disc_y) / self.anatomy.disc_radius

    def somewhere(self, low: float = 0.15, high: float = 1.1, margin: float = 0.08) -> tuple[float, float]:
        """A point seen, off the disc, between two distances from the fovea."""
        return self._sample(lambda: self._polar(0.0, 0.0, low, high), margin, 1.25)

    def near_disc(self, low: float, high: float, margin: float = 0.05) -> tuple[float, float]:
        """A point seen between two distances (disc radii) from the disc's centre."""
        radius = self.anatomy.disc_radius
        centre = (self.anatomy.disc_x, self.anatomy.disc_y)
        return self._sample(lambda: self._polar(*centre, low * radius, high * radius), margin, low)

    def near_arcade(self, spread: float = 0.08, margin: float = 0.08) -> tuple[float, float]:
        """A point seen near one of the temporal arcades."""

        def draw() -> tuple[float, float]:
            t = self.rng.uniform(0.5, 1.9)
            up = self.rng.random() < 0.5
            height = -self.anatomy.arcade_up if up else self.anatomy.arcade_down
            x = self.anatomy.disc_x - self.anatomy.arcade_reach * (1 - math.cos(t))
            return x + self.rng.normal(0, spread), height * math.sin(t) + self.rng.normal(0, spread)

        return self._sample(draw, margin, 1.3)

    def fibre_angle(self, x: float, y: float) -> float:
        """Direction of the nerve fibres at a point: away from the disc, bent around the fovea."""
        away = math.atan2(y - self.anatomy.disc_y, x - self.anatomy.disc_x)
        return away + self.rng.normal(0, 0.2)

    def finding(
        self,
        kind: str,
        label: str,
        where: tuple[float, float],
        size: float,
        angle: float = 0.0,
        strength: float = 1.0,
    ) -> Finding:
        """A finding at a point with its own seed; the contrast follows the difficulty."""
        contrast = strength * self.difficulty.contrast * self.rng.uniform(0.7, 1.2)
        seed = int(self.rng.integers(2**31))
        x, y = _short(where[0]), _short(where[1])
        return Finding(kind, label, x, y, _short(size), _short(angle), _short(contrast), seed)

    def count(self, low: int, high: int) -> int:
        """A number of lesions in a range that the difficulty stretches; at least 1."""
        return max(1, round(self.rng.integers(low, high + 1) * self.difficulty.count))

    def _polar(self, x: float, y: float, low: float, high: float) -> tuple[float, float]:
        distance = math.sqrt(self.rng.uniform(low**2, high**2))
        angle = self.rng.uniform(0, 2 * math.pi)
        return x + distance * math.cos(angle), y + distance * math.sin(angle)

    def _sample(self, draw: Callable[[], tuple[float, float]], margin: float, off_disc: float) -> tuple[float, float]:
        for _ in range(200):
            x, y = draw()
            if self.seen(x, y, margin) and self.disc_distance(x, y) >= off_disc:
                return x, y
        return 0.2, 0.25


def _short(value: float) -> float:
    return round(float(value), 4)
