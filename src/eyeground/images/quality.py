"""Is a photograph good enough to judge? Numbers from the view, and flags where they leave the ordinary range."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.images.field import Field
from eyeground.images.geometry import View
from eyeground.records import Flag

WORK = 256
"""Side at which the view is judged, so that the numbers do not depend on the size asked for."""

RIM = 0.06
"""Share of the radius left out at the rim."""

DARK = 0.14
"""Mean luma (0 to 1): the first percentile of the 4,904 ODIR-5K training photographs; none of IDRiD's 384 is below."""

BRIGHT = 0.72
"""Mean luma: the 99th percentile of ODIR-5K; IDRiD's brightest has 0.55."""

BLUR = 3.3
"""Standard deviation of the Laplacian: under 1 % of ODIR-5K's photographs called normal are below, and half of those
called cataract or refractive media opacity; IDRiD's lowest has 3.7. It can't tell a bad focus from a veiled eye."""

CLIPPED = 0.02
"""Share of the field at luma 250 or more: exceeded by 0.8 % of ODIR-5K, none of IDRiD."""

DIAMETER = 224.0
"""Diameter of the field in original pixels: fewer than the smallest input that most trunks were trained on."""


@dataclass(frozen=True)
class Quality:
    """Numbers by name, and the flags they raise."""

    numbers: dict[str, float]
    flags: tuple[Flag, ...]


def measure(view: View, field: Field, scale: int = 1) -> Quality:
    """Judges a view.

    Args:
        view: before any enhancement.
        field: the field of view, in pixels of the decoded picture.
        scale: original pixels per decoded pixel.
    """
    pixels = view.pixels
    if pixels.shape[0] != WORK:
        how = cv2.INTER_AREA if pixels.shape[0] > WORK else cv2.INTER_LINEAR
        pixels = np.asarray(cv2.resize(pixels, (WORK, WORK), interpolation=how), dtype=np.uint8)
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    inside = _inside(view, field, scale)
    mean, deviation = cv2.meanStdDev(luma, mask=inside)
    edges = cv2.Laplacian(cv2.GaussianBlur(luma, (3, 3), 0), cv2.CV_16S, ksize=3)
    count = max(cv2.countNonZero(inside), 1)
    numbers = {
        "brightness": float(mean[0, 0]) / 255,
        "contrast": float(deviation[0, 0]) / 255,
        "sharpness": float(cv2.meanStdDev(edges, mask=inside)[1][0, 0]),
        "clipped": cv2.countNonZero(cv2.bitwise_and(cv2.inRange(luma, 250, 255), inside)) / count,
        "coverage": field.coverage,
        "diameter": 2 * field.radius * scale,
    }
    return Quality(numbers, _flags(numbers, field.found))


def _inside(view: View, field: Field, scale: int) -> NDArray[np.uint8]:
    """The field without its rim, in the view reduced to WORK: 255 inside, 0 outside."""
    g = view.geometry
    zoom = WORK / g.side
    mask = np.zeros((WORK, WORK), np.uint8)
    centre = round((field.cx * scale - g.x) * zoom), round((field.cy * scale - g.y) * zoom)
    radius = field.radius * scale * zoom * (1 - RIM)
    axes = round(radius / max(field.aspect, 1.0)), round(radius * min(field.aspect, 1.0))
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 255, cv2.FILLED)
    left, top = math.ceil((field.x * scale - g.x) * zoom + 2), math.ceil((field.y * scale - g.y) * zoom + 2)
    right = int(((field.x + field.width) * scale - g.x) * zoom - 2)
    bottom = int(((field.y + field.height) * scale - g.y) * zoom - 2)
    inner = np.zeros_like(mask)
    inner[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = 255
    return np.asarray(cv2.bitwise_and(mask, inner), dtype=np.uint8)


def _flags(numbers: dict[str, float], found: bool) -> tuple[Flag, ...]:
    brightness, sharpness, clipped = numbers["brightness"], numbers["sharpness"], numbers["clipped"]
    flags = []
    if not found:
        flags.append(Flag("no_field", "no field of view was found; the whole picture is used"))
    if brightness < DARK:
        flags.append(Flag("too_dark", f"the retina is dark: mean brightness {brightness:.2f}, usual is above {DARK}"))
    if brightness > BRIGHT:
        flags.append(
            Flag("too_bright", f"the retina is pale: mean brightness {brightness:.2f}, usual is below {BRIGHT}")
        )
    if sharpness < BLUR:
        flags.append(
            Flag("blurred", f"the picture is blurred or veiled: sharpness {sharpness:.2f}, usual is above {BLUR}")
        )
    if clipped > CLIPPED:
        flags.append(Flag("clipped", f"{clipped:.0%} of the retina is over-exposed, usual is below {CLIPPED:.0%}"))
    if numbers["diameter"] < DIAMETER:
        text = f"the field of view is {numbers['diameter']:.0f} pixels wide, usual is at least {DIAMETER:.0f}"
        flags.append(Flag("low_resolution", text))
    return tuple(flags)
