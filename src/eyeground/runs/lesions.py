"""Maps against lesions drawn by hand, for whole cohorts: joins maps, masks and healthy eyes into one lesion score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeground.cohorts.masks import MaskFile
from eyeground.metrics.lesion_rules import QUELLEC, Rules
from eyeground.metrics.lesion_score import Asking, score_lesions
from eyeground.metrics.map_floors import floor_maps
from eyeground.metrics.map_grid import LesionImage
from eyeground.metrics.resample import Plan
from eyeground.progress import Track
from eyeground.records import Cohort, Eye, Visit
from eyeground.runs.explained import Explained, EyeMaps, Key

RULES = {
    "near": Rules(),
    "wide": Rules(tolerance=0.03, radius=0.03),
    "touch": Rules(candidates="components", hit="touch", levels=32),
    "touch_any": replace(QUELLEC, levels=32),
}
"""Ways of counting that are always told: peaks within 1 % of the field's diameter of a lesion, within the pointing
game's 3 %, components that touch one, and the same without a limit on their size, as the paper is read."""


@dataclass(frozen=True)
class Lesioned:
    """What there is to find: masks by photograph and, for each label, the lesion types its maps are held against."""

    masks: Mapping[Key, tuple[MaskFile, ...]]
    types: Mapping[str, tuple[str, ...]]
    patients: Mapping[str, str]
    healthy: frozenset[Key] = frozenset()


def is_healthy(visit: Visit, eye: Eye, cohort: Cohort) -> bool:
    """Whether an eye is known to have no retinopathy: where there are grades DR 0 and no macular oedema, whose grade is
    one of hard exudates; else Normal, or all labels absent."""
    grades = dict(eye.grades)
    if "dr" in grades:
        return grades["dr"] == 0 and grades.get("dme", 0) == 0
    states = dict(zip(cohort.vocabulary.codes, eye.labels, strict=True))
    for normal in ("N", "normal", "Normal"):
        if normal in states:
            return states[normal] == 1
    return bool(states) and all(state == 0 for state in states.values())


def lesion_images(found: Explained, label: int, types: Sequence[str], asked: Lesioned) -> dict[Key, LesionImage]:
    """Photographs with masks, and the healthy ones, with the map of one label (its number among those explained).

    Raises:
        DataError: a mask of another size than its photograph, when the score reads it.
    """
    return {
        key: _image(key, eye, label, [mask for mask in asked.masks.get(key, ()) if mask.code in types], asked)
        for key, eye in found.eyes.items()
        if key in asked.healthy or key in asked.masks
    }


def _image(key: Key, eye: EyeMaps, label: int, drawn: list[MaskFile], asked: Lesioned) -> LesionImage:
    geometry = eye.entry.geometry

    def masks() -> dict[str, NDArray[np.bool_]]:
        return {mask.code: mask.read(geometry.width, geometry.height) for mask in drawn}

    return LesionImage(
        f"{key[0]}, {key[1]} eye", eye.values[label], geometry, masks, eye.shift, patient=asked.patients[key[0]]
    )


def lesion_scores(found: Explained, labels: Sequence[str], asked: Lesioned, plan: Plan, track: Track) -> dict[str, Any]:
    """The score of one explainer's maps, label by label.

    Args:
        labels: codes of the labels explained, in the maps' order.

    Returns:
        JSON-able: label code to `metrics.lesion_score.score_lesions`, its `froc` by name of `RULES`.
    """
    asking = Asking(plan=plan)

    def images(label: str, types: Sequence[str]) -> list[LesionImage]:
        return list(lesion_images(found, labels.index(label), types, asked).values())

    steps = track(asked.types.items(), f"lesions: {found.name}", len(asked.types))
    return {
        label: _named(score_lesions(images(label, types), types, list(RULES.values()), asking))
        for label, types in steps
    }


def _named(score: dict[str, Any]) -> dict[str, Any]:
    """The score with each way of counting under its name."""
    return {**score, "froc": dict(zip(RULES, score["froc"], strict=True))}


def floors(found: Explained) -> tuple[Explained, ...]:
    """Maps that know nothing, as fine as those given, on a regular grid: the middle of the field, and smooth noise."""
    keys = list(found.eyes)
    made = floor_maps([found.eyes[key].values.shape[-2:] for key in keys], seeds=(0,))
    return (_floor(found, keys, "centre", made["centre"]), _floor(found, keys, "noise", made["noise-0"]))


def _floor(found: Explained, keys: list[Key], name: str, maps: Sequence[NDArray[np.float64]]) -> Explained:
    """One map for each eye, the same for all labels."""
    eyes = {
        key: replace(
            found.eyes[key],
            values=np.broadcast_to(one.astype(np.float32), found.eyes[key].values.shape),
            shift=(0.0, 0.0),
        )
        for key, one in zip(keys, maps, strict=True)
    }
    return Explained(name, "none: a floor", eyes, ())
