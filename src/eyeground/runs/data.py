"""From a cohort's files to visits in memory: prepare, count what can't be read, hold them for batching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from eyeground.batches import VisitSet
from eyeground.errors import DataError, ImageError
from eyeground.images.cache import CacheEntry, prepare_all
from eyeground.images.prepare import Preprocessing
from eyeground.progress import Track
from eyeground.records import Visit
from eyeground.runs.machine import Machine

Pairs = dict[str, tuple[CacheEntry | None, CacheEntry | None]]


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

    def hold(self, ids: Sequence[str], labels: int, machine: Machine, device: torch.device) -> VisitSet:
        """The visits of these ids, in this order; those without a readable eye (see `unreadable`) are left out."""
        known = {visit.id: visit for visit in self.visits}
        chosen = [known[i] for i in ids if i in known]
        eyes = [self.eyes[visit.id] for visit in chosen]
        return VisitSet(chosen, eyes, labels, machine.keep, device, machine.workers)


def prepare_visits(
    visits: Sequence[Visit], preprocessing: Preprocessing, cache: Path, workers: int, track: Track
) -> PreparedVisits:
    """Crops every photograph of the visits through the cache.

    Raises:
        DataError: not one photograph can be read.
    """
    places = [(visit.id, side, eye.path) for visit in visits for side, eye in enumerate(visit.eyes) if eye is not None]
    places = [place for place in places if place[2] is not None]
    results = prepare_all([path for _, _, path in places if path], preprocessing, cache, workers, track)
    pairs: dict[str, list[CacheEntry | None]] = {}
    unreadable = []
    for (visit, side, _), result in zip(places, results, strict=True):
        if isinstance(result, ImageError):
            unreadable.append(str(result))
        else:
            pairs.setdefault(visit, [None, None])[side] = result
    if not pairs:
        first = f"; the first: {unreadable[0]}" if unreadable else ""
        raise DataError(f"none of {len(places)} photographs can be read{first}")
    eyes = {visit: (pair[0], pair[1]) for visit, pair in pairs.items()}
    return PreparedVisits(tuple(visit for visit in visits if visit.id in eyes), eyes, tuple(unreadable))
