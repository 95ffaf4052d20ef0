"""Is a photograph good enough to judge? Numbers from the view, and flags where they leave the ordinary range."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.images.field import Field
from eyeground.records import Flag

WORK = 256
"""Side at which the view is judged, so that the numbers do not depend on the size asked for."""

DARK = 0.12
BRIGHT = 0.80
BLUR = 1.0
CLIPPED = 0.08
DIAMETER = 224.0


@dataclass(frozen=True)
class Quality:
    """Numbers by name, and the flags they raise."""

    numbers: dict[str, float]
    flags: tuple[Flag, ...]


def measure(pixels: NDArray[np.uint8], field: Field, diameter: float) -> Quality:
    """Judges a view.

    Args:
        pixels: uint8 (S, S, 3) RGB view, before any enhancement.
        field: the field of view that was found.
        diameter: of the field, in original pixels.
    """
    if pixels.shape[0] != WORK:
        pixels = cv2.resize(pixels, (WORK, WORK), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    inside = cv2.erode((pixels.max(axis=2) > 12).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    values = luma[inside] if inside.any() else luma.ravel()
    edges = cv2.Laplacian(cv2.GaussianBlur(luma, (0, 0), 1.0), cv2.CV_32F)
    numbers = {
        "brightness": float(values.mean()) / 255,
        "contrast": float(values.std()) / 255,
        "sharpness": float(edges[inside].std()) if inside.any() else 0.0,
        "clipped": float((values >= 250).mean()),
        "coverage": field.coverage,
        "diameter": diameter,
    }
    return Quality(numbers, _flags(numbers, field.found))


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
        flags.append(Flag("blurred", f"the picture is blurred: sharpness {sharpness:.2f}, usual is above {BLUR}"))
    if clipped > CLIPPED:
        flags.append(Flag("clipped", f"{clipped:.0%} of the retina is over-exposed, usual is below {CLIPPED:.0%}"))
    if numbers["diameter"] < DIAMETER:
        text = f"the field of view is {numbers['diameter']:.0f} pixels wide, usual is at least {DIAMETER:.0f}"
        flags.append(Flag("low_resolution", text))
    return tuple(flags)
