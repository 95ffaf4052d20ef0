"""The pointing game of whole cohorts: every map's peak against the mask of what its label is to show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeground.cohorts.masks import MaskFile
from eyeground.errors import DataError
from eyeground.images.geometry import Geometry
from eyeground.metrics.pointing import Pointed, Reach, peak, reach, tally
from eyeground.records import Side
from eyeground.runs.explained import Explained


@dataclass(frozen=True)
class Pointing:
    """One true finding and where a map is strongest: `at` (x, y) in original pixels.

    `code` names the mask, `label` whose map it was, `eye_logit` what the eye got for that label before calibration.
    """

    visit: str
    side: Side
    code: str
    label: str
    photograph: Path
    width: int
    height: int
    mask: MaskFile
    at: tuple[float, float]
    eye_logit: float
    result: Pointed


def play(
    masks: Iterable[MaskFile], every: Sequence[Explained], explained_by: Mapping[str, str], labels: Sequence[str]
) -> Iterator[tuple[Pointing, ...]]:
    """Plays with every mask; each is read once, whatever the number of explainers.

    Args:
        masks: of eyes that all explainers have maps of.
        every: one or several explainers' maps.
        explained_by: code of a mask to the label whose map is held against it.
        labels: codes in the order of the maps.

    Yields:
        for each mask, the pointing of each explainer.

    Raises:
        DataError: an empty mask, or one of another size than its photograph.
    """
    for mask in masks:
        geometry = every[0].eyes[mask.visit, mask.side].entry.geometry
        drawn = mask.read(geometry.width, geometry.height)
        if not drawn.any():
            raise DataError(f"{mask.path} is empty: a label that is not there has no mask")
        target = reach(drawn, field_of(geometry), geometry.side)
        label = explained_by[mask.code]
        yield tuple(_point(mask, one, target, label, labels.index(label)) for one in every)


def _point(mask: MaskFile, found: Explained, target: Reach, label: str, index: int) -> Pointing:
    eye = found.eyes[mask.visit, mask.side]
    geometry = eye.entry.geometry
    x, y = peak(eye.values[index], eye.shift)
    (at,) = geometry.to_original([(x * geometry.size, y * geometry.size)])
    where = (float(at[0]), float(at[1]))
    about = (mask.visit, mask.side, mask.code, label, eye.entry.path, geometry.width, geometry.height)
    return Pointing(*about, mask, where, float(eye.logits[index]), target.point(where))


def rates(pointings: Iterable[Pointing], codes: Iterable[str]) -> dict[str, Any]:
    """`per_class`, and `local` over the findings of all codes that have a place (a cataract is everywhere)."""
    every = list(pointings)
    rows = [{"code": code, **tally([one.result for one in every if one.code == code])} for code in codes]
    return {
        "per_class": [row for row in rows if row["n"]],
        "local": tally([one.result for one in every if one.result.local]),
        "everywhere_n": sum(not one.result.local for one in every),
    }


def field_of(geometry: Geometry) -> NDArray[np.bool_]:
    """The circle inscribed in the crop, (H, W): the field of view as far as the picture shows it."""
    rows, columns = np.ogrid[: geometry.height, : geometry.width]
    half = geometry.side / 2
    away = (columns + 0.5 - geometry.x - half) ** 2 + (rows + 0.5 - geometry.y - half) ** 2
    return np.asarray(away <= half**2)
