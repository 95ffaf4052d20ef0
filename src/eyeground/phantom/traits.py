"""What is drawn by chance, kept as plain records: a picture is a pure function of its `EyeTraits` and a size.

Retinal coordinates, used by every record here: the origin is the fovea, +x points to the nose (towards the disc),
+y down (inferior), and the unit is the radius of the camera's field of view. They are the same for both eyes;
the left eye is mirrored only when it is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeVar

from eyeground.records import Side

Record = TypeVar("Record", bound=Any)

Subtype = Literal["dry", "pcv", "wet"]
"""Age-related macular degeneration: dry, polypoidal choroidal vasculopathy, wet."""


@dataclass(frozen=True)
class Anatomy:
    """One healthy eye: positions and radii in field radii, ratios without unit, the rest strengths around 1.

    `artery_ratio` is the artery/vein width ratio (about 2/3 in health), `cup_ratio` the vertical cup/disc ratio.
    """

    disc_x: float
    disc_y: float
    disc_radius: float
    disc_ratio: float
    disc_tilt: float
    cup_ratio: float
    cup_ratio_width: float
    arcade_up: float
    arcade_down: float
    arcade_reach: float
    vessel_width: float
    artery_ratio: float
    tortuosity: float
    macula_depth: float
    macula_size: float
    foveal_reflex: float
    nerve_fibres: float
    tessellation: float
    mottling: float
    seed: int


@dataclass(frozen=True)
class Camera:
    """One exposure: the field (pixels relative to the picture's half side), the light, the colour, the faults.

    `red, green, blue` are the typical retina's pixel values (0 to 255). `cut` is the half height at which the field
    is cut off above and below (1: not at all). Angles in radians. `fovea_x, fovea_y`: the fovea seen from
    the centre of the field, in retinal axes.
    """

    field: float
    offset_x: float
    offset_y: float
    fovea_x: float
    fovea_y: float
    rotation: float
    cut: float
    notch: float | None
    red: float
    green: float
    blue: float
    vignette: float
    light_angle: float
    light_slope: float
    rim: float
    rim_angle: float
    rim_spread: float
    blur: float
    noise: float
    arc: float
    dust: int
    jpeg: int
    seed: int


@dataclass(frozen=True)
class Finding:
    """One thing that is not healthy, owned by the label that it is evidence for.

    `size` is a radius in field radii; `strength` scales the contrast (about 1); `seed` makes its outline.
    """

    kind: str
    label: str
    x: float = 0.0
    y: float = 0.0
    size: float = 0.0
    angle: float = 0.0
    strength: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class EyeTraits:
    """One eye on one photograph, and the words a reader would write about it. `grade` is the ICDR grade, 0 to 4."""

    side: Side
    anatomy: Anatomy
    camera: Camera
    findings: tuple[Finding, ...]
    labels: tuple[str, ...]
    keywords: tuple[str, ...]
    grade: int

    def of(self, kind: str) -> Iterator[Finding]:
        """The findings of one kind."""
        return (finding for finding in self.findings if finding.kind == kind)

    @property
    def amd(self) -> Subtype | None:
        """The subtype of age-related macular degeneration that was drawn: polyps before membrane before the rest."""
        own = {finding.kind for finding in self.findings if finding.label == "A"}
        if not own:
            return None
        return "pcv" if "polyp" in own else "wet" if "membrane" in own else "dry"


@dataclass(frozen=True)
class PatientTraits:
    """One made patient; eyes left first."""

    id: int
    age: int
    sex: Literal["Female", "Male"]
    labels: tuple[str, ...]
    eyes: tuple[EyeTraits, EyeTraits]


@dataclass(frozen=True)
class Difficulty:
    """How hard the findings are to see: multipliers of lesion contrast, lesion counts and camera faults."""

    contrast: float = 1.0
    count: float = 1.0
    faults: float = 1.0

    @staticmethod
    def at(level: float) -> Difficulty:
        """The difficulty of a level between 0 (plain) and 1 (hard); 0.5 is the default."""
        return Difficulty(contrast=1.5 - level, count=1.35 - 0.7 * level, faults=0.25 + 1.5 * level)


def field_point(camera: Camera, x: float, y: float) -> tuple[float, float]:
    """A retinal point seen from the centre of the field (nasal, down), in field radii."""
    cos, sin = math.cos(camera.rotation), math.sin(camera.rotation)
    return cos * x - sin * y + camera.fovea_x, sin * x + cos * y + camera.fovea_y


def rounded(record: Record) -> Record:
    """A record with its numbers at five decimals, as the truth file keeps them."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return replace(record, **{k: round(float(v), 5) for k, v in values.items() if isinstance(v, float)})
