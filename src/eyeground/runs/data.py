"""From a cohort's files to visits in memory: prepare, count what can't be read, hold them for batching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from eyeground.errors import DataError, ImageError
from eyeground.images.cache import CacheEntry, prepare_all
from eyeground.images.prepare import Preprocessing
from eyeground.progress import Track
from eyeground.records import State, Visit
from eyeground.vocabulary import Vocabulary

if TYPE_CHECKING:
    import torch

    from eyeground.batches import VisitSet
    from eyeground.runs.machine import Machine

Pair = tuple[CacheEntry | None, CacheEntry | None]
Pairs = dict[str, Pair]


@dataclass(frozen=True)
class PreparedVisits:
    """Visits with at least one readable eye, their prepared eyes by visit id, and what could not be read, by name."""

    visits: tuple[Visit, ...]
    eyes: Pairs
    unreadable: tuple[str, ...]

    def hashes(self) -> dict[tuple[str, str], str]:
        """SHA-256 of the file of every prepared eye, by (visit id, side)."""
        sides = ("left", "right")
        return {
            (visit, side): entry.sha256
            for visit, pair in self.eyes.items()
            for side, entry in zip(sides, pair, strict=True)
            if entry is not None
        }

    def seen_labels(self, vocabulary: Vocabulary) -> PreparedVisits:
        """The same visits, with the labels that the eyes which are there bear out; see `decided`."""
        visits = tuple(replace(visit, labels=decided(visit, self.eyes[visit.id], vocabulary)) for visit in self.visits)
        return replace(self, visits=visits)

    def hold(
        self, ids: Sequence[str], labels: int, machine: Machine, device: torch.device, findings: Sequence[str] = ()
    ) -> VisitSet:
        """The visits of these ids, in this order; those without a readable eye (see `unreadable`) are left out."""
        from eyeground.batches import VisitSet

        known = {visit.id: visit for visit in self.visits}
        chosen = [known[i] for i in ids if i in known]
        eyes = [self.eyes[visit.id] for visit in chosen]
        return VisitSet(chosen, eyes, labels, machine.keep, device, machine.workers, findings)


def decided(visit: Visit, eyes: Pair, vocabulary: Vocabulary) -> tuple[State, ...]:
    """A visit's labels as far as the eyes that can be seen bear them out.

    A label whose finding is in the eye that is not there (or Normal denied by it) becomes unknown: the photograph that
    would show it is missing. With both eyes seen nothing changes.
    """
    if all(eyes):
        return visit.labels
    shown = next((eye for eye, entry in zip(visit.eyes, eyes, strict=True) if entry is not None), None)
    if shown is None:
        return (None,) * len(vocabulary)
    return tuple(
        state
        if state == mine or (state == 0 and label.visit == "any") or (state == 1 and label.visit == "all")
        else None
        for label, state, mine in zip(vocabulary.labels, visit.labels, shown.labels, strict=True)
    )


def one_eyed(visits: Sequence[Visit], eyes: Pairs, vocabulary: Vocabulary) -> dict[str, int]:
    """How many visits are judged by one eye, and how many of those have a label that this eye does not bear out."""
    alone = [visit for visit in visits if None in eyes[visit.id]]
    hidden = sum(decided(visit, eyes[visit.id], vocabulary) != visit.labels for visit in alone)
    return {"visits": len(alone), "labels_of_the_unseen_eye": hidden}


def prepare_visits(
    visits: Sequence[Visit], preprocessing: Preprocessing, cache: Path, workers: int, track: Track
) -> PreparedVisits:
    """Crops every photograph of the visits through the cache. Unreadable ones are told by the cohort's file names.

    Raises:
        DataError: not one photograph can be read.
    """
    eyes_of = ((visit.id, side, eye) for visit in visits for side, eye in enumerate(visit.eyes) if eye is not None)
    places = [(visit, side, eye.path, eye.file) for visit, side, eye in eyes_of if eye.path is not None]
    results = prepare_all([path for _, _, path, _ in places], preprocessing, cache, workers, track)
    pairs: dict[str, list[CacheEntry | None]] = {}
    unreadable = []
    for (visit, side, path, file), result in zip(places, results, strict=True):
        if isinstance(result, ImageError):
            unreadable.append(str(result).replace(str(path), file))
        else:
            pairs.setdefault(visit, [None, None])[side] = result
    if not pairs:
        first = f"; the first: {unreadable[0]}" if unreadable else ""
        raise DataError(f"none of {len(places)} photographs can be read{first}")
    eyes = {visit: (pair[0], pair[1]) for visit, pair in pairs.items()}
    return PreparedVisits(tuple(visit for visit in visits if visit.id in eyes), eyes, tuple(unreadable))
