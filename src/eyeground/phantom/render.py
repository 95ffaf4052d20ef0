"""From an eye's traits to its photograph and masks. Pure: the same traits and size give the same pixels."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from eyeground.phantom import anatomy as healthy
from eyeground.phantom import camera as photo
from eyeground.phantom import vessel_layers, vessels
from eyeground.phantom.canvas import Bytes, Canvas, Frame
from eyeground.phantom.findings import blood, diabetes, glaucoma, hypertension, lens, macula, myopia, others, polypoidal
from eyeground.phantom.traits import Anatomy, EyeTraits, Finding

Painter = Callable[[Canvas, Finding], None]
DiscPainter = Callable[[Canvas, Finding, Anatomy], None]

ANATOMY = ("field", "disc", "cup", "fovea", "artery", "vein")
"""Masks that every photograph has."""

BELOW: dict[str, Painter] = {
    "tessellation": myopia.tessellation,
    "geographic_atrophy": macula.geographic_atrophy,
    "patchy_atrophy": myopia.atrophy,
    "chorioretinal_atrophy": myopia.atrophy,
    "laser_scar": others.laser_scar,
    "pigmentation": others.pigmentation,
    "drusen": macula.drusen,
    "subretinal_haemorrhage": macula.subretinal_haemorrhage,
    "membrane": macula.membrane,
    "pigment_detachment": polypoidal.pigment_detachment,
    "polyp": polypoidal.polyp,
    "hard_exudate": blood.exudates,
    "exudate_star": blood.star,
}
"""Painters of what lies under the vessels, in painting order."""

AROUND_DISC: dict[str, DiscPainter] = {
    "crescent": myopia.crescent,
    "peripapillary_atrophy": myopia.crescent,
    "nerve_fibre_defect": glaucoma.nerve_fibre_defect,
}
"""Painters of what surrounds the disc, painted before it."""

ON_DISC: dict[str, DiscPainter] = {"cupping": glaucoma.cupping, "rim_notch": glaucoma.rim_notch}
"""Painters of what is on the disc, under its vessels."""

ABOVE: dict[str, Painter] = {
    "microaneurysm": blood.microaneurysm,
    "haemorrhage": blood.haemorrhage,
    "flame_haemorrhage": blood.flame,
    "cotton_wool": blood.cotton_wool,
    "neovascularisation": diabetes.neovascularisation,
    "myelinated_fibres": others.myelinated_fibres,
    "epiretinal_membrane": others.epiretinal_membrane,
    "preretinal_haemorrhage": diabetes.preretinal,
    "media_opacity": lens.media_opacity,
    "lens_opacity": lens.lens_opacity,
}
"""Painters of what lies over the vessels, in painting order."""

OF_VESSELS = ("narrow_artery", "nicking", "venous_beading")
KINDS = (*BELOW, *AROUND_DISC, *ON_DISC, *OF_VESSELS, *ABOVE)
"""Every kind of finding; each names a mask."""

grown = functools.lru_cache(maxsize=1)(vessels.grow)
"""The vessels of the eye in hand, grown once for its photograph and its B-scan."""


@dataclass(frozen=True)
class Photograph:
    """`pixels` uint8 (H, W, 3) RGB; `masks` uint8 (H, W) of 0 and 255, by anatomy, finding and label."""

    pixels: Bytes
    masks: dict[str, Bytes]


def render(eye: EyeTraits, size: int) -> Photograph:
    """Paints the retina from back to front and takes its photograph at `size` x `size` pixels."""
    canvas = _ground(eye, size)
    anatomy = eye.anatomy
    _paint(canvas, eye, BELOW)
    _paint_around(canvas, eye, AROUND_DISC)
    healthy.paint_disc(canvas, anatomy)
    _paint_around(canvas, eye, ON_DISC)
    _paint_vessels(canvas, eye)
    _paint(canvas, eye, ABOVE)
    field = photo.field_mask(canvas, eye.camera)
    masks = {name: np.minimum(mask, field) for name, mask in canvas.masks.items()}
    return Photograph(photo.expose(canvas, eye.camera, field), {"field": field, **masks})


def _ground(eye: EyeTraits, size: int) -> Canvas:
    """The retina before disc, vessels and findings: smooth, so painted at half the size and enlarged."""
    mirror = 1 if eye.side == "right" else -1
    half = Canvas.blank(Frame.of(eye.camera, (size + 1) // 2, mirror))
    healthy.paint_background(half, eye.anatomy)
    healthy.paint_nerve_fibres(half, eye.anatomy)
    healthy.paint_macula(half, eye.anatomy)
    canvas = Canvas.blank(Frame.of(eye.camera, size, mirror))
    canvas.pixels = np.asarray(cv2.resize(half.pixels, (size, size)), np.float32)
    centre = canvas.x**2 + canvas.y**2 <= (0.25 * eye.anatomy.disc_radius) ** 2
    canvas.masks["fovea"] = centre.astype(np.uint8) * np.uint8(255)
    return canvas


def _paint(canvas: Canvas, eye: EyeTraits, painters: dict[str, Painter]) -> None:
    for kind, painter in painters.items():
        for finding in eye.of(kind):
            painter(canvas, finding)


def _paint_around(canvas: Canvas, eye: EyeTraits, painters: dict[str, DiscPainter]) -> None:
    for kind, painter in painters.items():
        for finding in eye.of(kind):
            painter(canvas, finding, eye.anatomy)


def _paint_vessels(canvas: Canvas, eye: EyeTraits) -> None:
    trees = grown(eye.anatomy)
    beaded = list(eye.of("venous_beading"))
    if beaded:
        trees = tuple(vessel_layers.beaded(vessel, [finding.angle for finding in beaded]) for vessel in trees)
    layers = vessel_layers.draw(trees, canvas.frame, eye.anatomy.vessel_width)
    for finding in eye.of("nicking"):
        layers = hypertension.nick(layers, canvas, finding)
    vessel_layers.paint(layers, canvas, eye.anatomy)
    for finding in eye.of("narrow_artery"):
        hypertension.narrow_artery(layers, canvas, finding)
    for finding in beaded:
        vessel_layers.mark_beading(trees, canvas, finding)


def without_findings(eye: EyeTraits) -> EyeTraits:
    """The same photograph of the same eye with nothing drawn on it (its anatomy stays as it is)."""
    return dataclasses.replace(eye, findings=(), labels=("N",), keywords=("normal fundus",), grade=0)
