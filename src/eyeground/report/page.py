"""The reading as one self-contained HTML page: no network, no script needed for numbers, pictures and maps.

The page shows the eyes as one sees them when facing the patient: the right eye (OD) on the left, the left eye (OS) on
the right. Labels are chosen by radio buttons and plain CSS, contours by a check box; the script
moves the opacity slider and listens to keys.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import cv2
import jinja2
import numpy as np
from numpy.typing import NDArray

from eyeground.explain import contours, paint
from eyeground.readings import EyeReading, Reading
from eyeground.records import Side
from eyeground.report import overlay, templates, words

Pictures = Mapping[Side, NDArray[np.uint8] | None]
Evidence = Mapping[Side, NDArray[np.float32] | None]


@dataclass(frozen=True)
class EyeBox:
    """One eye as the page shows it; `image` is None where there is nothing to show and `absence` says why.

    `cold` when no disease's map reaches the first contour; `warmth` says so, or what does. Both empty without maps.
    """

    eye: EyeReading
    title: str
    image: str | None
    absence: str
    heats: tuple[overlay.Heat, ...]
    quality: tuple[tuple[str, str], ...]
    cold: bool = False
    warmth: str = ""


def render(reading: Reading, pictures: Pictures, evidence: Evidence, size: int = 512) -> str:
    """Draws the page.

    Args:
        reading: what was read.
        pictures: by side, the view RGB uint8 (S, S, 3), or None where there is none.
        evidence: by side, maps float32 (C, h, w) over that view in `reading.map_unit`, C in the order of the findings,
            placed by the eye's `map_shift`; or None.
        size: largest side of the pictures in the page, in pixels.

    Returns:
        the HTML text; about 150 kB for two pictures and 20 kB for each map that has colour.

    Raises:
        ValueError: evidence whose number of maps is not the number of findings.
    """
    boxes = [_box(eye, reading, pictures.get(eye.side), evidence.get(eye.side), size) for eye in reading.eyes]
    chosen = reading.notable
    return _template().render(
        reading=reading,
        boxes=boxes[::-1],
        chosen=reading.findings.index(chosen) if chosen else None,
        has_maps=any(box.heats for box in boxes),
        legend=overlay.legend(reading),
        levels=words.listed(contours.levels(reading.evidence_scale)),
        summary=words.summary(reading),
        facts=words.facts(reading),
        sources=words.sources(reading),
        eyes_note=words.of_eyes(reading),
        style=templates.part("page.css"),
        script=templates.part("page.js"),
    )


def _box(
    eye: EyeReading, reading: Reading, picture: NDArray[np.uint8] | None, maps: NDArray[np.float32] | None, size: int
) -> EyeBox:
    title = words.EYES[eye.side]
    image = None
    if picture is not None:
        image = templates.picture("jpeg", paint.jpeg(_fit(picture, size)))
    heats: tuple[overlay.Heat, ...] = ()
    if maps is not None and image is not None:
        if maps.ndim != 3 or len(maps) != len(reading.findings):
            raise ValueError(f"{eye.side} eye: {len(reading.findings)} findings, but maps of shape {maps.shape}")
        heats = tuple(
            overlay.heat(index, finding, eye, maps[index], reading) for index, finding in enumerate(reading.findings)
        )
    quality = tuple((name.replace("_", " "), words.number(value)) for name, value in eye.quality.items())
    cold, warmth = overlay.warmth(heats, reading) if heats else (False, "")
    return EyeBox(eye, title, image, words.absence(eye), heats, quality, cold, warmth)


def _fit(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The picture no larger than `size`; never enlarged, the browser does that."""
    longest = max(picture.shape[:2])
    if longest <= size:
        return picture
    height, width = (max(1, round(side * size / longest)) for side in picture.shape[:2])
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


@cache
def _template() -> jinja2.Template:
    made = templates.environment()
    made.filters.update(percent=words.percent, signed=words.signed, when=words.when, sentence=words.sentence)
    made.globals.update(verdict=words.verdict, promise=words.promise, nan=math.isnan)
    return made.get_template("page.html")
