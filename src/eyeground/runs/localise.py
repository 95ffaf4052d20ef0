"""Whether the evidence maps point at the lesions: every map's peak against the mask of its label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeground.cohorts.masks import MaskFile, find_masks
from eyeground.errors import DataError, UsageError
from eyeground.images.cache import CacheEntry
from eyeground.images.geometry import Geometry
from eyeground.metrics.pointing import EVERYWHERE, TOLERANCE, Pointed, peak, point, tally
from eyeground.progress import Track
from eyeground.records import SIDES, Side
from eyeground.runs.data import prepare_visits
from eyeground.runs.machine import Place
from eyeground.runs.model import Model
from eyeground.runs.unseen import Asked, choose


@dataclass(frozen=True)
class Pointing:
    """One true finding and where the map of its label is strongest: `at` (x, y) in original pixels.

    `eye_logit` is what the eye got for this label before calibration.
    """

    visit: str
    side: Side
    code: str
    photograph: Path
    width: int
    height: int
    mask: MaskFile
    at: tuple[float, float]
    eye_logit: float
    result: Pointed


@dataclass(frozen=True)
class Localisation:
    """The rates (JSON-able) and the findings they are made of."""

    record: dict[str, Any]
    pointings: tuple[Pointing, ...]


@dataclass(frozen=True)
class _Map:
    """One eye's evidence, (C, h, w), its logits (C,), where its view lies, and where the evidence sits in it."""

    entry: CacheEntry
    evidence: NDArray[np.float32]
    logits: NDArray[np.float32]
    shift: tuple[float, float] = (0.0, 0.0)


def localise(model: Model, asked: Asked, place: Place, track: Track, say: Callable[[str], None]) -> Localisation:
    """Plays the pointing game with every mask of the visits asked for.

    Raises:
        LeakError: a visit was in training.
        UsageError: the method has no evidence maps.
        DataError: no masks, none on these visits, or a mask of another size than its photograph.
    """
    bundle = model.bundle
    find_masks(asked.cohort)  # without masks there is nothing to wait for
    unseen = choose(bundle, asked, place.workers, track, say)
    prepared = prepare_visits(unseen.visits, bundle.preprocessing, place.cache_path(), place.workers, track)
    for text in prepared.unreadable:
        say(f"left out: {text}")
    masks = find_masks(unseen.cohort)
    found = model.predict(prepared.visits, [prepared.eyes[visit.id] for visit in prepared.visits], evidence=True)
    if found.evidence is None or found.eye_logits is None:
        raise UsageError(f"method {bundle.config['method']['name']} has no evidence maps of single eyes")
    maps = {
        (visit.id, side): _Map(entry, found.evidence[row, e], found.eye_logits[row, e], found.shift(e))
        for row, visit in enumerate(prepared.visits)
        for e, side in enumerate(SIDES)
        if (entry := prepared.eyes[visit.id][e]) is not None
    }
    here = [mask for mask in masks if (mask.visit, mask.side) in maps]
    if not here:
        raise DataError(f"no mask of {asked.cohort.root} belongs to a visit of part '{unseen.part}'")
    pointings = tuple(track(_point(here, maps, bundle.vocabulary.codes), "pointing", len(here)))
    record = {
        "part": unseen.part,
        "split_hash": unseen.split.hash if unseen.split else None,
        "bundle": bundle.digest,
        "map_elements": list(found.evidence.shape[-2:]),
        "map_shift": found.map_shift.tolist(),
        "tolerance": TOLERANCE,
        "everywhere": EVERYWHERE,
        "leak_audit": unseen.audit,
        **({"stamp": unseen.stamp} if unseen.stamp else {}),
        **rates(pointings, bundle.vocabulary.codes),
    }
    return Localisation(record, pointings)


def rates(pointings: Iterable[Pointing], codes: Iterable[str]) -> dict[str, Any]:
    """`per_class`, and `local` over the findings of all labels that have a place (a cataract is everywhere)."""
    every = list(pointings)
    rows = [{"code": code, **tally([one.result for one in every if one.code == code])} for code in codes]
    return {
        "per_class": [row for row in rows if row["n"]],
        "local": tally([one.result for one in every if one.result.local]),
        "everywhere_n": sum(not one.result.local for one in every),
    }


def _point(masks: Iterable[MaskFile], maps: dict[tuple[str, Side], _Map], codes: tuple[str, ...]) -> Iterator[Pointing]:
    for mask in masks:
        map_, c = maps[mask.visit, mask.side], codes.index(mask.code)
        geometry = map_.entry.geometry
        drawn = mask.read(geometry.width, geometry.height)
        if not drawn.any():
            raise DataError(f"{mask.path} is empty: a label that is not there has no mask")
        x, y = peak(map_.evidence[c], map_.shift)
        (at,) = geometry.to_original([(x * geometry.size, y * geometry.size)])
        result = point(drawn, (at[0], at[1]), _field(geometry), geometry.side)
        where = (float(at[0]), float(at[1]))
        size = (geometry.width, geometry.height)
        yield Pointing(
            mask.visit, mask.side, mask.code, map_.entry.path, *size, mask, where, float(map_.logits[c]), result
        )


def _field(geometry: Geometry) -> NDArray[np.bool_]:
    """The circle inscribed in the crop, (H, W): the field of view as far as the picture shows it."""
    rows, columns = np.ogrid[: geometry.height, : geometry.width]
    half = geometry.side / 2
    away = (columns + 0.5 - geometry.x - half) ** 2 + (rows + 0.5 - geometry.y - half) ** 2
    return np.asarray(away <= half**2)
