"""The error gallery: the most confident wrong calls, each with its visit's photographs where there are any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from eyeground.explain import paint
from eyeground.images.cache import CacheEntry
from eyeground.metrics.counts import above
from eyeground.metrics.mistakes import Kind, Sheet, worst
from eyeground.metrics.official import HALF

Eyes = Mapping[str, tuple[CacheEntry | None, CacheEntry | None]]
SIZE = 160
"""Side of a thumbnail in pixels."""


@dataclass(frozen=True)
class Photograph:
    """One eye of a missed visit; `jpeg` is None where that eye could not be seen."""

    side: Literal["left", "right"]
    jpeg: bytes | None
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Shown:
    """A wrong call for the page. `eyes` is empty where photographs are not shown."""

    code: str
    kind: Kind
    visit: str
    probability: float
    threshold: float
    true: tuple[str, ...]
    called: tuple[str, ...]
    unknown: tuple[str, ...]
    eyes: tuple[Photograph, ...]


@dataclass(frozen=True)
class Gallery:
    """The worst misses; `no_pictures` says why there are no photographs, "" where there are."""

    misses: tuple[Shown, ...]
    no_pictures: str
    per_label: int


def gather(sheet: Sheet, eyes: Eyes | None, no_pictures: str = "", per_label: int = 3) -> Gallery:
    """Picks the worst misses and, where eyes are given, makes their thumbnails.

    Args:
        eyes: prepared left and right eye by visit; None shows no photographs.
        no_pictures: why, in a sentence, where `eyes` is None.
        per_label: wrong calls of each kind for each label.

    Raises:
        DataError: a prepared view is gone.
    """
    if eyes is None and not no_pictures:
        raise ValueError("a gallery without photographs says why")
    cuts = HALF if sheet.thresholds is None else sheet.thresholds
    states = {
        "true": sheet.known & (np.asarray(sheet.truth) == 1),
        "called": above(sheet.probability, cuts),
        "unknown": ~sheet.known,
    }
    made: dict[str, tuple[Photograph, ...]] = {}
    found = []
    for miss in worst(sheet.truth, sheet.known, sheet.probability, sheet.thresholds, per_label):
        visit = sheet.ids[miss.row]
        if eyes is not None and visit not in made:
            made[visit] = _photographs(eyes.get(visit, (None, None)))
        words = {
            name: tuple(code for code, on in zip(sheet.codes, state[miss.row], strict=True) if on)
            for name, state in states.items()
        }
        pictures = made.get(visit, ())
        code = sheet.codes[miss.label]
        found.append(Shown(code, miss.kind, visit, miss.probability, miss.threshold, eyes=pictures, **words))
    return Gallery(tuple(found), no_pictures, per_label)


def _photographs(pair: tuple[CacheEntry | None, CacheEntry | None]) -> tuple[Photograph, ...]:
    """Right eye first, as one faces the patient."""
    left, right = pair
    return _photograph("right", right), _photograph("left", left)


def _photograph(side: Literal["left", "right"], entry: CacheEntry | None) -> Photograph:
    if entry is None:
        return Photograph(side, None, ())
    pixels = entry.load()
    if len(pixels) > SIZE:
        pixels = np.asarray(cv2.resize(pixels, (SIZE, SIZE), interpolation=cv2.INTER_AREA), np.uint8)
    return Photograph(side, paint.jpeg(pixels), tuple(flag.code.replace("_", " ") for flag in entry.flags))
