"""Draws healthy eyes and cameras: what both eyes of a patient share, and how each departs from it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from eyeground.phantom.traits import Anatomy, Camera, Difficulty, rounded

# Median pixel values of the field of view in 600 of ODIR-5K's training photographs: red is about log-normal (natural
# log, 0 to 255); a quarter of the cameras show the retina orange, almost without blue, the others brown, pink or grey.
_RED_LOG = (4.94, 0.26)
_ORANGE = 0.25
_GREEN_BY_RED = {True: (0.50, 0.075), False: (0.66, 0.08)}
_BLUE_BY_GREEN = {True: (0.22, 0.09), False: (0.60, 0.10)}


@dataclass(frozen=True)
class Shared:
    """The patient's means, around which `eye` draws each eye."""

    anatomy: Anatomy
    camera: Camera

    @staticmethod
    def draw(rng: np.random.Generator, age: int, difficulty: Difficulty) -> Shared:
        """Draws what the two eyes of a patient of this age have in common."""
        old = np.clip((age - 40) / 40, 0, 1)
        radius = rng.normal(0.142, 0.009)
        cup = float(np.clip(rng.normal(0.36, 0.1), 0.12, 0.56))
        anatomy = Anatomy(
            disc_x=rng.normal(0.70, 0.025),
            disc_y=rng.normal(-0.06, 0.03),
            disc_radius=float(np.clip(radius, 0.12, 0.17)),
            disc_ratio=float(np.clip(rng.normal(1.08, 0.04), 1.0, 1.2)),
            disc_tilt=rng.normal(0, 0.15),
            cup_ratio=cup,
            cup_ratio_width=cup * rng.uniform(0.95, 1.1),
            arcade_up=rng.normal(0.63, 0.04),
            arcade_down=rng.normal(0.66, 0.04),
            arcade_reach=rng.normal(0.86, 0.05),
            vessel_width=rng.normal(0.027, 0.0022),
            artery_ratio=float(np.clip(rng.normal(0.71, 0.04), 0.6, 0.82)),
            tortuosity=float(np.clip(rng.normal(1.0, 0.25), 0.5, 1.8)),
            macula_depth=float(np.clip(rng.normal(0.62, 0.16), 0.25, 0.95)),
            macula_size=rng.normal(0.125, 0.015),
            foveal_reflex=max(0.0, rng.normal(0.5 - 0.8 * old, 0.25)),
            nerve_fibres=max(0.1, rng.normal(1.0 - 0.5 * old, 0.25)),
            tessellation=max(0.0, rng.normal(0.08 + 0.1 * old, 0.13)),
            mottling=rng.uniform(0.6, 1.5),
            seed=int(rng.integers(2**31)),
        )
        return Shared(anatomy, _camera(rng, old, difficulty.faults))

    def eye(self, rng: np.random.Generator) -> tuple[Anatomy, Camera]:
        """One eye of this patient, and one photograph of it."""
        a, c = self.anatomy, self.camera
        cup = float(np.clip(a.cup_ratio * rng.normal(1, 0.05), 0.1, 0.6))
        anatomy = replace(
            a,
            disc_x=a.disc_x * rng.normal(1, 0.015),
            disc_y=a.disc_y + rng.normal(0, 0.015),
            disc_radius=a.disc_radius * rng.normal(1, 0.02),
            disc_tilt=a.disc_tilt + rng.normal(0, 0.08),
            cup_ratio=cup,
            cup_ratio_width=a.cup_ratio_width * cup / a.cup_ratio,
            arcade_up=a.arcade_up * rng.normal(1, 0.04),
            arcade_down=a.arcade_down * rng.normal(1, 0.04),
            macula_depth=a.macula_depth * rng.normal(1, 0.08),
            tessellation=a.tessellation * rng.uniform(0.85, 1.15),
            seed=int(rng.integers(2**31)),
        )
        light = rng.normal(1, 0.06)
        tone = np.exp(rng.normal(0, 0.025, 3)) * light
        camera = replace(
            c,
            offset_x=rng.normal(0, 0.006),
            offset_y=rng.normal(0, 0.006),
            fovea_x=float(np.clip(c.fovea_x + rng.normal(0, 0.05), -0.45, 0.0)),
            fovea_y=c.fovea_y + rng.normal(0, 0.04),
            rotation=rng.normal(0, 0.05),
            red=c.red * tone[0],
            green=c.green * tone[1],
            blue=c.blue * tone[2],
            light_angle=rng.uniform(0, 6.28),
            light_slope=abs(rng.normal(0, 0.5)) * c.light_slope,
            rim=c.rim * rng.uniform(0.3, 1.2),
            rim_angle=rng.uniform(0, 6.28),
            blur=c.blur * rng.uniform(0.8, 1.3),
            arc=c.arc if rng.random() < 0.5 else 0.0,
            dust=int(rng.poisson(c.dust * 0.5)),
            seed=int(rng.integers(2**31)),
        )
        return rounded(anatomy), rounded(camera)


def _camera(rng: np.random.Generator, old: float, faults: float) -> Camera:
    red, green, blue = _colour(rng, min(1.0, 0.5 + 0.5 * faults))
    style = rng.random()
    return Camera(
        field=rng.uniform(0.965, 0.995) if style < 0.8 else rng.uniform(0.86, 0.95),
        offset_x=0.0,
        offset_y=0.0,
        fovea_x=rng.normal(-0.22, 0.1),
        fovea_y=rng.normal(0.04, 0.04),
        rotation=0.0,
        cut=1.0 if rng.random() < 0.6 else rng.uniform(0.8, 0.94),
        notch=float(rng.choice((-0.9, -1.571))) if rng.random() < 0.2 else None,
        red=red,
        green=green,
        blue=blue,
        vignette=float(np.clip(rng.normal(0.28, 0.15), 0.0, 0.6)),
        light_angle=0.0,
        light_slope=0.28 * faults,
        rim=float(np.clip(rng.exponential(0.22) * faults, 0, 0.75)),
        rim_angle=0.0,
        rim_spread=rng.uniform(0.15, 0.45),
        blur=(0.0008 + 0.0017 * faults * rng.gamma(1.5, 0.7)) * (1 + 0.3 * old),
        noise=rng.uniform(0.8, 2.6) * faults,
        arc=rng.uniform(0.3, 0.9) if rng.random() < 0.12 * faults else 0.0,
        dust=int(rng.poisson(0.9 * faults)),
        jpeg=int(rng.integers(86, 96)),
        seed=0,
    )


def _colour(rng: np.random.Generator, spread: float) -> tuple[float, float, float]:
    """A camera's rendering of a typical retina: pixel values of red, green and blue, within those that cameras give."""
    orange = bool(rng.random() < _ORANGE)
    red, green, blue = rng.standard_normal(3) * spread
    red = float(np.clip(np.exp(_RED_LOG[0] + _RED_LOG[1] * red), 90, 225))
    ratio = float(np.clip(_GREEN_BY_RED[orange][0] + _GREEN_BY_RED[orange][1] * green, 0.36, 0.8))
    share = float(np.clip(_BLUE_BY_GREEN[orange][0] + _BLUE_BY_GREEN[orange][1] * blue, 0.08, min(0.78, 0.56 / ratio)))
    return red, ratio * red, share * ratio * red
