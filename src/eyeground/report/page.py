"""The reading as one self-contained HTML page: no network, no script needed for numbers, pictures and maps.

The page shows the eyes as one sees them when facing the patient: the right eye (OD) on the left, the left eye (OS) on
the right. Labels are chosen by radio buttons and plain CSS; the only script moves the opacity slider.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import cv2
import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from eyeground.explain import paint
from eyeground.readings import EyeReading, Finding, Reading
from eyeground.records import Side
from eyeground.report import templates, words

Pictures = Mapping[Side, NDArray[np.uint8] | None]
Evidence = Mapping[Side, NDArray[np.float32] | None]


@dataclass(frozen=True)
class Heat:
    """One label's map over one eye. `index` is the label's place among the findings."""

    index: int
    image: str
    alt: str
    caption: str


@dataclass(frozen=True)
class EyeBox:
    """One eye as the page shows it; `image` is None where there is nothing to show and `absence` says why."""

    eye: EyeReading
    title: str
    image: str | None
    absence: str
    heats: tuple[Heat, ...]
    quality: tuple[tuple[str, str], ...]


def render(reading: Reading, pictures: Pictures, evidence: Evidence, size: int = 512) -> str:
    """Draws the page.

    Args:
        reading: what was read.
        pictures: by side, the view RGB uint8 (S, S, 3), or None where there is none.
        evidence: by side, logits float32 (C, h, w) over that view, C in the order of the findings, or None.
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
        legend=Markup(paint.legend(reading.evidence_scale)),
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
    heats: tuple[Heat, ...] = ()
    if maps is not None and image is not None:
        if maps.ndim != 3 or len(maps) != len(reading.findings):
            raise ValueError(f"{eye.side} eye: {len(reading.findings)} findings, but maps of shape {maps.shape}")
        heats = tuple(
            _heat(index, finding, eye, maps[index], reading.evidence_scale)
            for index, finding in enumerate(reading.findings)
        )
    quality = tuple((name.replace("_", " "), words.number(value)) for name, value in eye.quality.items())
    return EyeBox(eye, title, image, words.absence(eye), heats, quality)


def _heat(index: int, finding: Finding, eye: EyeReading, values: NDArray[np.float32], scale: float) -> Heat:
    side = min(256, 32 * max(values.shape))
    colours = paint.paint(paint.smooth(values, side, side), scale)
    probability = finding.eye_probability[0 if eye.side == "left" else 1]
    strength = words.strength(values)
    scored = "" if probability is None else f" {words.percent(probability)}"
    return Heat(
        index,
        templates.picture("png", paint.png(colours)),
        f"Evidence for {finding.name}, {eye.side} eye: {strength}",
        f"This eye{scored}: {strength}",
    )


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
    made.filters.update(percent=words.percent, when=words.when, sentence=words.sentence)
    made.globals.update(verdict=words.verdict, promise=words.promise, nan=math.isnan)
    return made.get_template("page.html")
