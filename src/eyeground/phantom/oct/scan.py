"""From an eye's traits to its B-scan, masks and measures. Pure: the same traits give the same pixels."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from eyeground.phantom.canvas import Bytes, Floats
from eyeground.phantom.oct import layers, paint, surface
from eyeground.phantom.oct.draw import draw
from eyeground.phantom.oct.layers import Stack
from eyeground.phantom.oct.section import Section, cross, macular_oedema, vessels_crossed
from eyeground.phantom.oct.traits import HEIGHT, UM_X, UM_Z, WIDTH, Exposure, ScanTraits
from eyeground.phantom.traits import Difficulty, EyeTraits

_LEAST_ROWS = 1.0
_EVERY = 32
_GRAIN = 35.0
"""Standard deviation of even random bytes after the blur."""


@dataclass(frozen=True)
class Bscan:
    """`pixels` uint8 (H, W), temporal left in a right eye; `masks` uint8 (H, W) of 0 and 255, only where present;
    `truth` what can be measured in it, as `truth.json` keeps it."""

    pixels: Bytes
    masks: dict[str, Bytes]
    truth: dict[str, Any]


def scan(eye: EyeTraits, difficulty: Difficulty) -> Bscan:
    """Draws and takes the B-scan through the fovea of an eye, 496 rows of 3.87 um and 768 columns of 11.5 um."""
    section = cross(eye)
    return take(eye, draw(eye, section, macular_oedema(eye), difficulty), section)


def take(eye: EyeTraits, traits: ScanTraits, section: Section) -> Bscan:
    """The B-scan of an eye whose scan is drawn already, from back to front, and mirrored for a left eye."""
    stack = layers.build(eye, traits, section)
    picture = paint.Slice(paint.paint_layers(stack), {})
    paint.add_choroid(picture, stack, traits)
    paint.texture(picture, stack, traits)
    paint.add_cysts(picture, stack, traits)
    paint.add_polyps(picture, stack, traits.of("polyp"))
    paint.add_exudates(picture, stack, section, traits)
    surface.add_vessels(picture, stack, vessels_crossed(eye.anatomy))
    surface.add_blood(picture, stack, section)
    surface.add_membrane(picture, stack, section, traits.tissue.seed)
    surface.add_hyaloid(picture, stack, traits)
    _mark(picture, stack)
    pixels = expose(picture.light, traits.exposure)
    left = eye.side == "left"
    masks = {name: _turned(mask, left) for name, mask in picture.masks.items() if mask.any()}
    return Bscan(_turned(pixels, left), masks, _truth(stack, masks, traits, left))


def expose(light: Floats, exposure: Exposure) -> Bytes:
    """The instrument: blur, speckle that grows with the signal, a noisy floor, gain, eight bits."""
    rng = np.random.default_rng(exposure.seed)
    bytes_ = rng.integers(0, 256, (HEIGHT + 40, WIDTH + 40), dtype=np.uint8)
    smooth = cv2.GaussianBlur(bytes_, (0, 0), 0.6)  # a sum of many even numbers is nearly normal
    noise = (smooth.astype(np.float32) - np.float32(127.5)) * np.float32(1 / _GRAIN)
    speckle, floor = noise[:HEIGHT, :WIDTH], noise[40:, 40:]
    signal = cv2.GaussianBlur(light, (0, 0), exposure.blur)
    grain = cv2.multiply(signal, speckle, scale=255 * exposure.gain * exposure.speckle)
    grain = cv2.scaleAdd(signal, 255 * exposure.gain, grain)
    grain = cv2.addWeighted(grain, 1.0, floor, 255 * 0.6 * exposure.floor, 255 * 0.9 * exposure.floor)
    return np.asarray(np.clip(grain, 0, 255, out=grain), np.uint8)


def _mark(picture: paint.Slice, stack: Stack) -> None:
    """The masks that are bands between two boundaries."""
    outside = stack.disc < 0.02
    raised = stack.drusen >= stack.detached
    spaces = {
        "oct_subretinal_fluid": ("subretinal_fluid", outside),
        "oct_hyperreflective": ("shrm", outside),
        "oct_drusen": ("sub_rpe", raised & outside),
        "oct_ped": ("sub_rpe", ~raised & outside),
    }
    for name, (layer, where) in spaces.items():
        if np.any((stack.bottom(layer) - stack.top(layer) > _LEAST_ROWS) & where):
            inside = paint.between(stack.top(layer), stack.bottom(layer), _LEAST_ROWS) & where
            if inside.any():
                picture.mark(name, inside)
    picture.mark("oct_retina", paint.between(stack.tops[0], stack.bottom("rpe")) & outside)
    if (stack.atrophy > 0.5).any():
        sunk = paint.between(stack.top("elm"), stack.tops[-1]) & (stack.atrophy > 0.5) & outside
        if sunk.any():
            picture.mark("oct_atrophy", sunk)
    for name in ("oct_subretinal_fluid", "oct_intraretinal_fluid"):
        if name in picture.masks:
            picture.mark("oct_fluid", picture.masks[name] > 0)


def _turned(image: Bytes, left: bool) -> Bytes:
    return np.ascontiguousarray(image[:, ::-1]) if left else image


def _truth(stack: Stack, masks: dict[str, Bytes], traits: ScanTraits, left: bool) -> dict[str, Any]:
    """Positions in pixels of the scan as written, thicknesses in micrometres, mask areas in pixels."""

    def column(index: float) -> float:
        return round(WIDTH - 1 - index if left else index, 2)

    fovea = float(np.interp(0.0, stack.x, np.arange(WIDTH)))
    edge = int(np.argmax(stack.disc > 0.5))
    thickness = stack.thickness_um
    central = np.abs(stack.x) <= 0.5
    weight = np.abs(stack.x[central])
    every = np.arange(_EVERY // 2, WIDTH, _EVERY)
    lines = {"ilm": stack.tops[0], "rpe": stack.top("rpe"), "bruch": stack.tops[-1]}
    boundaries = {name: _turned(line[None], left)[0][every].round(1).tolist() for name, line in lines.items()}
    return {
        "size": [WIDTH, HEIGHT],
        "um_per_pixel": [UM_X, UM_Z],
        "fovea_column": column(fovea),
        "disc_edge_column": column(edge) if stack.disc.max() > 0.5 else None,
        "central_thickness_um": round(float(np.average(thickness[central], weights=weight)), 1),
        "foveal_thickness_um": round(float(np.interp(0.0, stack.x, thickness)), 1),
        "boundaries": {"columns": every.tolist(), **boundaries},
        "masks": {name: int(np.count_nonzero(mask)) for name, mask in masks.items()},
        "traits": dataclasses.asdict(traits),
    }
