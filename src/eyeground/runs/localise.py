"""Whether a bundle's maps show where the findings are: the pointing game and the lesion score, map by map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eyeground.cohorts.lesion_types import explaining_label
from eyeground.cohorts.masks import MaskFile, find_masks
from eyeground.errors import DataError, UsageError
from eyeground.explain import EXPLAINERS, find_explainer
from eyeground.metrics.pointing import EVERYWHERE, TOLERANCE
from eyeground.metrics.resample import Plan
from eyeground.progress import Track
from eyeground.records import SIDES, Cohort, Eye
from eyeground.runs.data import PreparedVisits, prepare_visits
from eyeground.runs.explained import Explained, Key, blurred, explained
from eyeground.runs.lesions import Lesioned, floors, is_healthy, lesion_scores
from eyeground.runs.model import Model
from eyeground.runs.place import Place
from eyeground.runs.pointings import Pointing, play, rates
from eyeground.runs.unseen import Asked, Unseen, choose


@dataclass(frozen=True)
class Wanted:
    """What is to be held against the masks.

    Attributes:
        maps: explainers by name.
        label: the model's label whose maps are held against all masks; None is each code's own (see `lesion_types`).
        healthy: a cohort whose healthy eyes are negatives of the image-level areas, chosen like the others.
        draws, seed: of the intervals.
        blur: sigma of a Gaussian over every map, as a part of the field's diameter; 0 leaves maps as they are.
    """

    maps: tuple[str, ...] = ("evidence",)
    label: str | None = None
    healthy: Asked | None = None
    draws: int = 2000
    seed: int = 0
    blur: float = 0.0

    def __post_init__(self) -> None:
        """Raises `UsageError` for an explainer that is unknown or named twice, or numbers out of range."""
        if self.draws < 0:
            raise UsageError(f"--resamples must be 0 or more, not {self.draws}")
        if not 0 <= self.blur <= 0.1:
            raise UsageError(f"--blur is a part of the field's diameter, from 0 to 0.1, not {self.blur}")
        for name in self.maps:
            find_explainer(name)
        if not self.maps or len(set(self.maps)) < len(self.maps):
            raise UsageError(f"--maps takes explainers, each once: {', '.join(EXPLAINERS)}")


@dataclass(frozen=True)
class Localisation:
    """The record (JSON-able), and what it is made of: each explainer's maps and pointings, and the lesions."""

    record: dict[str, Any]
    maps: tuple[Explained, ...]
    pointings: tuple[tuple[Pointing, ...], ...]
    lesioned: Lesioned
    labels: tuple[str, ...]

    @property
    def stamps(self) -> tuple[str, ...]:
        """Warnings that go with every number."""
        audits = (self.record["leak_audit"], (self.record["healthy"] or {}).get("leak_audit", {}))
        return tuple(dict.fromkeys(audit["stamp"] for audit in audits if "stamp" in audit))


@dataclass(frozen=True)
class _Eyes:
    """Visits that may be judged, prepared: of one cohort."""

    unseen: Unseen
    prepared: PreparedVisits


def localise(
    model: Model, asked: Asked, wanted: Wanted, place: Place, track: Track, say: Callable[[str], None]
) -> Localisation:
    """Holds the maps of the visits asked for against their masks.

    Raises:
        LeakError: a visit was in training.
        UsageError: a label or explainer that the model does not have.
        DataError: no masks, none on these visits, or a mask of another size than its photograph.
    """
    bundle = model.bundle
    codes = tuple(dict.fromkeys(mask.code for mask in find_masks(asked.cohort)))
    explained_by = {code: explaining_label(code, bundle.vocabulary.codes, wanted.label) for code in codes}
    labels = tuple(dict.fromkeys(explained_by.values()))
    here = _eyes(model, asked, place, track, say)
    healthy = _healthy(model, wanted, place, track, say)
    masks = _masks(here, explained_by)
    if not masks:
        raise DataError(f"no mask of {asked.cohort.root} belongs to a visit of part '{here.unseen.part}'")
    together = _joined(here.prepared, healthy[0], len(bundle.vocabulary))
    numbers = [bundle.vocabulary.index(label) for label in labels]
    made = (explained(model, together, name, numbers, track) for name in wanted.maps)
    maps = tuple(blurred(one, wanted.blur) for one in made)
    every = (*maps, *floors(max(maps, key=lambda one: one.elements)))
    played = tuple(zip(*track(play(masks, every, explained_by, labels), "pointing", len(masks)), strict=True))
    lesioned = _lesioned(here, healthy, masks, explained_by, played[0])
    rows = [_row(every[k], played[k], lesioned, labels, wanted, track) for k in range(len(every))]
    record = {
        "part": here.unseen.part,
        "split_hash": here.unseen.split.hash if here.unseen.split else None,
        "bundle": bundle.digest,
        "explained_by": explained_by,
        "healthy": {"eyes": len(lesioned.healthy), "leak_audit": healthy[1]} if wanted.healthy else None,
        "blur": wanted.blur,
        "tolerance": TOLERANCE,
        "everywhere": EVERYWHERE,
        "leak_audit": here.unseen.audit,
        **({"stamp": here.unseen.stamp} if here.unseen.stamp else {}),
        "maps": rows[: len(maps)],
        "floors": rows[len(maps) :],
    }
    return Localisation(record, maps, played[: len(maps)], lesioned, labels)


def _eyes(model: Model, asked: Asked, place: Place, track: Track, say: Callable[[str], None]) -> _Eyes:
    """The visits asked for, past the leak audit."""
    bundle = model.bundle
    unseen = choose(bundle, replace(asked, other_labels=True), place.workers, track, say)
    prepared = prepare_visits(unseen.visits, bundle.preprocessing, place.cache_path(), place.workers, track)
    for text in prepared.unreadable:
        say(f"left out: {text}")
    return _Eyes(unseen, prepared)


def _healthy(
    model: Model, wanted: Wanted, place: Place, track: Track, say: Callable[[str], None]
) -> tuple[_Eyes | None, Any]:
    """The visits with healthy eyes only, named apart from all others; and the audit's record."""
    if wanted.healthy is None:
        return None, None
    found = _eyes(model, wanted.healthy, place, track, say)
    cohort: Cohort = found.unseen.cohort
    keep = [v for v in found.prepared.visits if all(is_healthy(v, eye, cohort) for eye in v.listed())]
    if not keep:
        raise DataError(f"no healthy eye in part '{found.unseen.part}' of {cohort.root}; give another cohort or part")
    named = tuple(replace(visit, id=f"healthy: {visit.id}", patient=f"healthy: {visit.patient}") for visit in keep)
    eyes = {f"healthy: {visit.id}": found.prepared.eyes[visit.id] for visit in keep}
    return _Eyes(found.unseen, PreparedVisits(named, eyes, ())), found.unseen.audit


def _masks(here: _Eyes, explained_by: dict[str, str]) -> list[MaskFile]:
    """The masks of the eyes that could be prepared."""
    seen = set(_readable(here.prepared))
    found = find_masks(here.unseen.cohort, tuple(explained_by))
    return [mask for mask in found if (mask.visit, mask.side) in seen]


def _readable(prepared: PreparedVisits) -> list[Key]:
    """The eyes whose photographs could be prepared."""
    pairs = prepared.eyes.items()
    return [
        (visit, side) for visit, pair in pairs for side, entry in zip(SIDES, pair, strict=True) if entry is not None
    ]


def _joined(one: PreparedVisits, two: _Eyes | None, labels: int) -> PreparedVisits:
    """Both, with unknown labels: what these photographs show is in their masks."""
    visits = one.visits + (two.prepared.visits if two else ())
    unknown = (None,) * labels

    def bare(eye: Eye | None) -> Eye | None:
        return None if eye is None else replace(eye, labels=unknown)

    blank = tuple(replace(visit, labels=unknown, eyes=(bare(visit.left), bare(visit.right))) for visit in visits)
    return PreparedVisits(blank, one.eyes | (two.prepared.eyes if two else {}), one.unreadable)


def _lesioned(
    here: _Eyes,
    healthy: tuple[_Eyes | None, Any],
    masks: Sequence[MaskFile],
    explained_by: dict[str, str],
    played: Sequence[Pointing],
) -> Lesioned:
    """What there is to find. A code whose masks are everywhere (a cataract) has no lesions to count."""
    placed = dict.fromkeys(one.code for one in played if one.result.local)
    types: dict[str, tuple[str, ...]] = {}
    for code in placed:
        types[explained_by[code]] = (*types.get(explained_by[code], ()), code)
    by_eye: dict[Key, tuple[MaskFile, ...]] = {}
    for mask in masks:
        key = (mask.visit, mask.side)
        by_eye[key] = (*by_eye.get(key, ()), mask)
    visits = (*here.prepared.visits, *(healthy[0].prepared.visits if healthy[0] else ()))
    patients = {visit.id: visit.patient for visit in visits}
    well = _readable(healthy[0].prepared) if healthy[0] else []
    return Lesioned(by_eye, types, patients, frozenset(well))


def _row(
    found: Explained,
    played: Sequence[Pointing],
    lesioned: Lesioned,
    labels: tuple[str, ...],
    wanted: Wanted,
    track: Track,
) -> dict[str, Any]:
    """All that is told of one explainer."""
    codes = dict.fromkeys(one.code for one in played)
    return {
        "map": found.name,
        "unit": found.unit,
        "map_elements": list(found.elements),
        "map_shift": sorted({eye.shift for eye in found.eyes.values()}),
        "notes": list(found.notes),
        "pointing": rates(played, codes),
        "lesions": lesion_scores(found, labels, lesioned, Plan(wanted.draws, wanted.seed), track),
    }
