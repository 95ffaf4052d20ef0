"""Photographs that are the same though their names differ: fingerprints, duplicates, and the leak audit.

A perceptual hash does not separate fundus photographs: all of them are a bright disc, so what differs is fine. Each
photograph keeps a small signature instead: grey, cut to the field of view, made small, the smooth part taken away,
normalised. The correlation of two signatures is the similarity; mirrored copies are found by mirroring one of them.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from eyeground.errors import LeakError
from eyeground.progress import Track, quiet
from eyeground.records import Side, Visit

SIDE = 24
"""Signatures are SIDE x SIDE pixels, one signed byte each."""
SIMILAR = 0.995
"""Correlation from which two photographs count as the same."""
BLOCK = 1024
"""Rows of a similarity matrix held at once."""

Kind = Literal["identical", "similar", "mirrored", "known"]


@dataclass(frozen=True)
class Fingerprint:
    """One photograph. `signature` is base64 of SIDE*SIDE signed bytes, empty when the file can't be decoded."""

    visit: str
    patient: str
    side: Side
    sha256: str
    signature: str

    @property
    def name(self) -> str:
        return f"{self.visit} {self.side}"


@dataclass(frozen=True)
class Pair:
    """Two photographs that are one; similarity is their correlation (1 for identical bytes)."""

    a: Fingerprint
    b: Fingerprint
    kind: Kind
    similarity: float

    def __str__(self) -> str:
        return f"{self.a.name} = {self.b.name} ({self.kind}, {self.similarity:.3f})"

    def to_dict(self) -> dict[str, Any]:
        return {"a": self.a.name, "b": self.b.name, "kind": self.kind, "similarity": round(self.similarity, 4)}


def fingerprints(visits: Sequence[Visit], workers: int = 2, track: Track = quiet) -> tuple[Fingerprint, ...]:
    """Fingerprints of every photograph on disk, in cohort order, left eye first.

    Args:
        visits: eyes without a file are passed over.
        workers: threads; decoding leaves Python's lock.
        track: shows how far it is.
    """
    eyes = [(visit, eye.side, eye.path) for visit in visits for eye in visit.listed() if eye.path is not None]
    with ThreadPoolExecutor(workers) as pool:
        prints = pool.map(lambda item: _fingerprint(*item), eyes)
        return tuple(track(prints, "fingerprints", len(eyes)))


def _fingerprint(visit: Visit, side: Side, path: Path) -> Fingerprint:
    data = path.read_bytes()
    return Fingerprint(visit.id, visit.patient, side, hashlib.sha256(data).hexdigest(), signature_of(data))


def signature_of(data: bytes) -> str:
    """Signature of an encoded photograph, base64; empty when it can't be decoded."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("L", (128, 128))
            grey = np.asarray(image.convert("L"), dtype=np.uint8)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""
    return base64.b64encode(signature(grey).tobytes()).decode()


def signature(grey: NDArray[np.uint8]) -> NDArray[np.int8]:
    """High-passed thumbnail of a grey photograph (H, W): int8 (SIDE, SIDE), cut to the field of view."""
    small = cv2.resize(_field(grey), (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    fine = small - cv2.GaussianBlur(small, (0, 0), 2.0)
    fine /= max(float(np.abs(fine).max()), 1e-6)
    return np.round(fine * 127).astype(np.int8)


def _field(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The box of the bright disc; the whole picture when there is none."""
    bright = grey > 16
    rows, columns = bright.mean(1) > 0.05, bright.mean(0) > 0.05
    if not rows.any() or not columns.any():
        return grey
    top, left = int(rows.argmax()), int(columns.argmax())
    bottom, right = len(rows) - int(rows[::-1].argmax()), len(columns) - int(columns[::-1].argmax())
    return grey[top:bottom, left:right]


def find_duplicates(prints: Sequence[Fingerprint], other: Sequence[Fingerprint] | None = None) -> list[Pair]:
    """Pairs of one photograph: identical bytes, or similar as it is or mirrored.

    Args:
        prints: compared with each other, or with `other` where that is given.
        other: a second set; pairs within one set are then not looked for.
    """
    pairs = []
    for i, j, similarity, mirrored in _alike(prints, prints if other is None else other, other is None):
        a, b = prints[i], (prints if other is None else other)[j]
        kind: Kind = "identical" if a.sha256 == b.sha256 else "mirrored" if mirrored else "similar"
        pairs.append(Pair(a, b, kind, 1.0 if kind == "identical" else similarity))
    return pairs + _identical_unreadable(prints, other)


def _identical_unreadable(prints: Sequence[Fingerprint], other: Sequence[Fingerprint] | None) -> list[Pair]:
    """Same bytes among files that can't be decoded."""
    seen: dict[str, Fingerprint] = {}
    pairs = []
    for one in prints:
        if not one.signature:
            if other is None and one.sha256 in seen:
                pairs.append(Pair(seen[one.sha256], one, "identical", 1.0))
            seen.setdefault(one.sha256, one)
    return pairs + [Pair(seen[two.sha256], two, "identical", 1.0) for two in other or () if two.sha256 in seen]


def _alike(
    one: Sequence[Fingerprint], two: Sequence[Fingerprint], same: bool
) -> Iterator[tuple[int, int, float, bool]]:
    """Index pairs at or above SIMILAR, with the similarity and whether one is mirrored; (BLOCK, n) held at once."""
    a, a_index = _matrix(one)
    b, b_index = _matrix(two)
    mirror = np.ascontiguousarray(b.reshape(-1, SIDE, SIDE)[:, :, ::-1]).reshape(len(b), SIDE * SIDE)
    for start in range(0, len(a), BLOCK):
        straight, flipped = a[start : start + BLOCK] @ b.T, a[start : start + BLOCK] @ mirror.T
        best = np.maximum(straight, flipped)
        for i, j in np.argwhere(best >= SIMILAR):
            if not same or start + i < j:
                mirrored = bool(flipped[i, j] > straight[i, j])
                yield int(a_index[start + i]), int(b_index[j]), float(best[i, j]), mirrored


def _matrix(prints: Sequence[Fingerprint]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Unit signatures (n, SIDE*SIDE) of the decodable photographs, and their places in `prints`."""
    index = np.array([i for i, one in enumerate(prints) if one.signature], dtype=np.int64)
    rows = [np.frombuffer(base64.b64decode(prints[i].signature), dtype=np.int8) for i in index]
    values = np.array(rows, dtype=np.float32).reshape(len(rows), SIDE * SIDE)
    values -= values.mean(1, keepdims=True)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6), index


def groups(prints: Iterable[Fingerprint], pairs: Iterable[Pair]) -> dict[str, str]:
    """Which visits belong together: by patient and by shared photographs.

    Returns:
        visit id to the id of the first visit of its group.
    """
    parent: dict[str, str] = {}

    def find(item: str) -> str:
        parent.setdefault(item, item)
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    def join(one: str, two: str) -> None:
        roots = find(one), find(two)
        first, second = sorted(roots, key=order.__getitem__)
        parent[second] = first

    prints = list(prints)
    order = {visit: i for i, visit in enumerate(dict.fromkeys(one.visit for one in prints))}
    by_patient: dict[str, str] = {}
    for one in prints:
        join(by_patient.setdefault(one.patient, one.visit), one.visit)
    for pair in pairs:
        join(pair.a.visit, pair.b.visit)
    return {visit: find(visit) for visit in order}


@dataclass(frozen=True)
class LeakAudit:
    """What training and evaluation share. `unreadable` photographs could only be compared by their bytes."""

    passed: bool
    shared_patients: tuple[str, ...]
    exact: tuple[Pair, ...]
    similar: tuple[Pair, ...]
    unreadable: tuple[str, ...]
    text: str

    def to_dict(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "shared_patients": list(self.shared_patients),
            "exact": [pair.to_dict() for pair in self.exact],
            "similar": [pair.to_dict() for pair in self.similar],
            "unreadable": list(self.unreadable),
            "text": self.text,
        }

    def require(self) -> None:
        """Raises `LeakError` naming the first few leaks when the audit did not pass."""
        if not self.passed:
            raise LeakError(self.text)


def audit(train: Sequence[Fingerprint], test: Sequence[Fingerprint], same_cohort: bool) -> LeakAudit:
    """Compares training with evaluation by patient, bytes and pixels.

    Args:
        train: photographs that the model has seen, training and validation.
        test: photographs it is judged on.
        same_cohort: patient ids mean the same persons; the ids of two cohorts may coincide by accident.
    """
    patients = {one.patient for one in train} if same_cohort else set()
    shared = tuple(dict.fromkeys(one.patient for one in test if one.patient in patients))
    pairs = find_duplicates(train, test)
    exact = tuple(pair for pair in pairs if pair.kind == "identical")
    similar = tuple(pair for pair in pairs if pair.kind != "identical")
    unreadable = tuple(dict.fromkeys(one.name for one in [*train, *test] if not one.signature))
    passed = not (shared or exact or similar)
    text = _audit_text(len(train), len(test), shared, exact, similar)
    return LeakAudit(passed, shared, exact, similar, unreadable, text)


def _audit_text(train: int, test: int, shared: Sequence[str], exact: Sequence[Pair], similar: Sequence[Pair]) -> str:
    if not (shared or exact or similar):
        return f"no shared patient or photograph between {train} training and {test} evaluation photographs"
    found = [
        (f"{len(shared)} shared patients", [str(patient) for patient in shared]),
        (f"{len(exact)} identical photographs", [str(pair) for pair in exact]),
        (f"{len(similar)} near-identical photographs", [str(pair) for pair in similar]),
    ]
    parts = [f"{what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" for what, names in found if names]
    return f"training and evaluation share {'; '.join(parts)}; split by patient and duplicates (eyeground cohort split)"
