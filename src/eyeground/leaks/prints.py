"""Fingerprints of photographs, and pairs of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from eyeground.leaks.signature import VERSION, signature_of
from eyeground.progress import Track, quiet
from eyeground.records import Eye, Side, Visit

NOTHING = hashlib.sha256(b"").hexdigest()
"""Hash of an empty file."""
WITHHELD = "-"
"""In place of a signature that was left out when a split was passed on: it is a small picture of the photograph."""

Kind = Literal["identical", "copy", "mirrored", "same_eye", "known", "suspect"]


@dataclass(frozen=True)
class Fingerprint:
    """One photograph. `signature` is text, see `leaks.signature`; empty when the file can't be decoded, or `WITHHELD`.

    `side_known` is False where nobody told which eye it is; splits of earlier versions did not keep that.
    """

    visit: str
    patient: str
    side: Side
    sha256: str
    signature: str
    side_known: bool = field(default=True, compare=False)

    @property
    def name(self) -> str:
        """Tells photographs apart, also in stored splits; `shown` is for people."""
        return f"{self.visit} {self.side}"

    @property
    def shown(self) -> str:
        """The name, without a side that nobody told."""
        return self.name if self.side_known else self.visit

    def to_row(self) -> list[str | bool]:
        """For JSON; `Fingerprint(*row)` reads it."""
        row: list[str | bool] = [self.visit, self.patient, self.side, self.sha256, self.signature]
        return row if self.side_known else [*row, False]

    @property
    def pictured(self) -> bool:
        """Whether it can be compared by its fine detail or thumbnail."""
        return self.signature not in ("", WITHHELD)

    def without_picture(self) -> Fingerprint:
        """The same without its small picture, for passing on: it can be compared by patient and bytes only."""
        return replace(self, signature=WITHHELD) if self.signature else self

    @property
    def is_earlier(self) -> bool:
        """Whether this fingerprint comes from a split of an earlier version."""
        return self.pictured and not self.signature.startswith(VERSION)

    @property
    def thumbnail(self) -> str:
        """The 16 x 16 thumbnail in base64: all that a signature of an earlier version is, a part of today's."""
        return self.signature.rpartition(":")[2]


@dataclass(frozen=True)
class Pair:
    """Two photographs that are one, or of one eye.

    `similarity` is the correlation of their fine detail (nan where it is unknown); `evidence` says in words what
    decided.
    """

    a: Fingerprint
    b: Fingerprint
    kind: Kind
    similarity: float
    evidence: str = ""

    def __str__(self) -> str:
        return f"{self.a.shown} = {self.b.shown} ({self.kind.replace('_', ' ')})"

    def to_shown(self) -> dict[str, Any]:
        """As `to_dict`, with the names that people are shown."""
        return {**self.to_dict(), "a": self.a.shown, "b": self.b.shown}

    def to_dict(self) -> dict[str, Any]:
        similarity = None if np.isnan(self.similarity) else round(self.similarity, 4)
        names = {"a": self.a.name, "b": self.b.name}
        return {**names, "kind": self.kind, "similarity": similarity, "evidence": self.evidence}


def fingerprints(visits: Sequence[Visit], workers: int = 2, track: Track = quiet) -> tuple[Fingerprint, ...]:
    """Fingerprints of every photograph on disk, in cohort order, left eye first.

    Args:
        visits: eyes without a file are passed over.
        workers: threads; decoding leaves Python's lock.
        track: shows how far it is.
    """
    eyes = [(visit, eye, eye.path) for visit in visits for eye in visit.listed() if eye.path is not None]
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        prints = pool.map(lambda item: _fingerprint(*item), eyes)
        return tuple(track(prints, "fingerprints", len(eyes)))


def _fingerprint(visit: Visit, eye: Eye, path: Path) -> Fingerprint:
    """An unreadable file has no signature; one that can't even be opened has the hash of nothing."""
    try:
        data = path.read_bytes()
    except OSError:
        data = b""
    found = hashlib.sha256(data).hexdigest(), signature_of(data, path)
    return Fingerprint(visit.id, visit.patient, eye.side, *found, eye.side_known)
