"""Maps of a bundle for the photographs asked for, by any explainer, placed where they belong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from eyeground.augment import canonical
from eyeground.batches import VisitSet
from eyeground.errors import UsageError
from eyeground.explain import EXPLAINERS, explain
from eyeground.explain.base import features_placement
from eyeground.images.cache import CacheEntry
from eyeground.progress import Track
from eyeground.records import SIDES, Side
from eyeground.runs.data import PreparedVisits
from eyeground.runs.model import Model

AT_ONCE = 4
"""Visits per step: gradients at full resolution need room."""

Key = tuple[str, Side]


@dataclass(frozen=True)
class EyeMaps:
    """One eye's maps (L, h, w) of the labels asked for, and its logits (L,) of them (nan where it has none).

    `entry` is its prepared photograph, `shift` (dx, dy) in elements is where its elements truly sit.
    """

    entry: CacheEntry
    values: NDArray[np.float32]
    logits: NDArray[np.float32]
    shift: tuple[float, float]


@dataclass(frozen=True)
class Explained:
    """The eyes' maps by visit and side. `unit` of their values; `notes` are sentences on what limits them."""

    name: str
    unit: str
    eyes: dict[Key, EyeMaps]
    notes: tuple[str, ...]

    @property
    def elements(self) -> tuple[int, int]:
        """Rows and columns of the maps."""
        high, wide = next(iter(self.eyes.values())).values.shape[-2:]
        return high, wide


def blurred(found: Explained, sigma: float) -> Explained:
    """The maps smoothed by a Gaussian, `sigma` being a part of the field's diameter; their unit stays."""
    if sigma == 0:
        return found
    eyes = {key: replace(eye, values=_smooth(eye.values, sigma)) for key, eye in found.eyes.items()}
    return replace(found, eyes=eyes, notes=(*found.notes, f"smoothed, sigma {sigma:.2%} of the field's diameter"))


def _smooth(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    width = values.shape[-1]
    one = (0, 0)
    made = [cv2.GaussianBlur(plane, one, sigma * width, borderType=cv2.BORDER_REPLICATE) for plane in values]
    return np.stack(made).astype(np.float32)


def explained(model: Model, prepared: PreparedVisits, name: str, labels: Sequence[int], track: Track) -> Explained:
    """Makes maps of every seen eye.

    Args:
        name: a row of `explain.EXPLAINERS`.
        labels: numbers of labels.

    Raises:
        UsageError: an unknown explainer, or one that this method's network has no maps of.
    """
    if name == "evidence":
        return _evidence(model, prepared, labels)
    pairs = [prepared.eyes[visit.id] for visit in prepared.visits]
    data = VisitSet(prepared.visits, pairs, len(model.bundle.vocabulary), "auto", model.device)
    eyes: dict[Key, EyeMaps] = {}
    laterality, notes = model.recipe.laterality, list[str]()
    steps = list(torch.arange(len(data)).split(AT_ONCE))
    for rows, batch in zip(steps, track(data.batches(steps), f"maps: {name}", len(steps)), strict=True):
        batch = canonical(batch, laterality)
        maps = explain(name, model.network, batch, labels)
        with torch.inference_mode():
            answer = model.network(batch)
        logits = answer.visit_logits[:, None].expand(-1, 2, -1) if answer.eye_logits is None else answer.eye_logits
        shift = (0.0, 0.0)
        if name != "occlusion" and maps.shape[-1] != batch.fundus.shape[-1]:  # neither patches nor pixels: features
            place = features_placement(model.network, batch.fundus.shape[-1])
            shift, notes = place.shift, [*notes, *([place.why] if place.why else [])]
        for i, row in enumerate(rows.tolist()):
            for e, side in enumerate(SIDES):
                entry = pairs[row][e]
                if entry is None:
                    continue
                flipped = laterality == "canonical" and side == "right"
                values = maps[i, e].flip(-1) if flipped else maps[i, e]
                own = (-shift[0] + 0.0, shift[1]) if flipped else shift
                eyes[data.ids[row], side] = EyeMaps(
                    entry, values.cpu().numpy(), logits[i, e, list(labels)].float().cpu().numpy(), own
                )
    if model.bundle.config["predict"]["mirrored"]:
        notes.append("the bundle answers with the mean over a visit and its mirror image; these maps are of the visit")
    return Explained(name, EXPLAINERS[name].unit, eyes, tuple(dict.fromkeys(notes)))


def _evidence(model: Model, prepared: PreparedVisits, labels: Sequence[int]) -> Explained:
    """The network's own maps, as a reading shows them."""
    pairs = [prepared.eyes[visit.id] for visit in prepared.visits]
    found = model.predict(prepared.visits, pairs, evidence=True)
    if found.evidence is None or found.eye_logits is None:
        method = model.bundle.config["method"]["name"]
        raise UsageError(f"method {method} has no evidence maps of single eyes; ask for others: --maps hue grad_cam")
    chosen = list(labels)
    eyes = {
        (visit.id, side): EyeMaps(
            entry, found.evidence[row, e][chosen], found.eye_logits[row, e][chosen], found.shift(e)
        )
        for row, visit in enumerate(prepared.visits)
        for e, side in enumerate(SIDES)
        if (entry := pairs[row][e]) is not None
    }
    notes = (found.placement.why,) if found.placement.why else ()
    return Explained("evidence", EXPLAINERS["evidence"].unit, eyes, notes)
