"""Photographs that are the same though their names differ: fingerprints, duplicates, and the leak audit.

Perceptual hashes don't separate fundus photographs: all of them are a bright disc. Two questions are asked instead.

*Is it the same file, saved again?* Each photograph keeps its SHA-256 and a signature: grey, cut to the box of its
field, 16 x 16 pixels. Copies that were re-encoded, resized, padded or mirrored differ by under 2 grey levels (root mean
square within the disc); the nearest different photographs of ODIR-5K by 3.5.

*Is it the same eye, photographed again?* That needs the pixels; `same_eye` decides it by the vessels.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground import same_eye
from eyeground.errors import ImageError, LeakError
from eyeground.images.decode import decode_bytes
from eyeground.progress import Track, quiet
from eyeground.records import Side, Visit
from eyeground.same_eye import cut, field_box

SIDE = 16
"""Signatures are SIDE x SIDE pixels, one byte each."""
COPY = 2.8
"""Grey levels, root mean square within the disc, up to which two signatures are of one file."""
ALIKE = 0.6
"""Correlation of the fine detail of two signatures from which they may be copies; noise alone stays well below."""
NOTHING = hashlib.sha256(b"").hexdigest()
"""Hash of an empty file."""
BLOCK = 1024
"""Rows of a distance matrix held at once."""

Floats = NDArray[np.float32]
Kind = Literal["identical", "copy", "mirrored", "same_eye", "known"]


@dataclass(frozen=True)
class Fingerprint:
    """One photograph. `signature` is base64 of SIDE*SIDE bytes; empty when the file can't be decoded."""

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
    """Two photographs that are one, or of one eye.

    `similarity` is the correlation of their signatures within the disc (nan where one can't be decoded);
    `evidence` says in words what decided.
    """

    a: Fingerprint
    b: Fingerprint
    kind: Kind
    similarity: float
    evidence: str = ""

    def __str__(self) -> str:
        return f"{self.a.name} = {self.b.name} ({self.kind.replace('_', ' ')})"

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
    eyes = [(visit, eye.side, eye.path) for visit in visits for eye in visit.listed() if eye.path is not None]
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        prints = pool.map(lambda item: _fingerprint(*item), eyes)
        return tuple(track(prints, "fingerprints", len(eyes)))


def _fingerprint(visit: Visit, side: Side, path: Path) -> Fingerprint:
    """An unreadable file has no signature; one that can't even be opened has the hash of nothing."""
    try:
        data = path.read_bytes()
    except OSError:
        data = b""
    return Fingerprint(visit.id, visit.patient, side, hashlib.sha256(data).hexdigest(), signature_of(data, path))


def signature_of(data: bytes, path: Path) -> str:
    """Signature of an encoded photograph, base64; empty when it can't be decoded. The path is for messages."""
    try:
        pixels = decode_bytes(data, 128, path).pixels
    except ImageError:
        return ""
    return base64.b64encode(signature(pixels).tobytes()).decode()


def signature(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey thumbnail uint8 (SIDE, SIDE) of the field of a photograph uint8 (H, W, 3) RGB."""
    small = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (128, 128), interpolation=cv2.INTER_AREA)
    grey: NDArray[np.uint8] = np.asarray(small, dtype=np.uint8)
    return cut(cut(grey, field_box(grey), 4 * SIDE), None, SIDE)


def find_duplicates(
    prints: Sequence[Fingerprint], other: Sequence[Fingerprint] | None = None, track: Track = quiet
) -> list[Pair]:
    """Pairs of one file: identical bytes, or saved again, perhaps mirrored. Needs no pixels.

    Args:
        prints: compared with each other, or with `other` where that is given.
        other: a second set; pairs within one set are then not looked for.
        track: shows how far it is.
    """
    second = prints if other is None else other
    pairs = list(_identical(prints, second, other is None))
    done = {(id(pair.a), id(pair.b)) for pair in pairs}
    a, a_index = _decoded(prints)
    b, b_index = _decoded(second)
    turned = np.ascontiguousarray(b[:, :, ::-1])
    for start in track(range(0, len(a), BLOCK), "copies"):
        block = a[start : start + BLOCK]
        straight, mirrored = _distances(block, b), _distances(block, turned)
        for i, j in np.argwhere(np.minimum(straight, mirrored) <= COPY):
            one, two = prints[a_index[start + i]], second[b_index[j]]
            if (other is not None or start + i < j) and (id(one), id(two)) not in done:
                flip = bool(mirrored[i, j] < straight[i, j])
                distance = float(min(straight[i, j], mirrored[i, j]))
                same = _correlation(a[start + i], turned[j] if flip else b[j])
                if not _correlation(_fine(a[start + i]), _fine(turned[j] if flip else b[j])) >= ALIKE:
                    continue  # two frames without detail (dark, bleached, veiled) lie close to each other by chance
                evidence = f"signatures differ by {distance:.1f} grey levels"
                pairs.append(Pair(one, two, "mirrored" if flip else "copy", same, evidence))
    return pairs


def _identical(one: Sequence[Fingerprint], two: Sequence[Fingerprint], within: bool) -> Iterator[Pair]:
    """Pairs of the same bytes, whether or not they can be decoded; empty files are no photograph."""
    seen: dict[str, list[Fingerprint]] = {}
    for item in [] if within else one:
        seen.setdefault(item.sha256, []).append(item)
    for item in two:
        for twin in [] if item.sha256 == NOTHING else seen.get(item.sha256, []):
            yield Pair(twin, item, "identical", 1.0 if item.signature else float("nan"), "the same bytes")
        if within:
            seen.setdefault(item.sha256, []).append(item)


def find_same_eyes(
    visits: Sequence[Visit], prints: Sequence[Fingerprint], workers: int = 2, track: Track = quiet
) -> list[Pair]:
    """Pairs of different files that show the same eye, told by their vessels. Pairs of one patient are passed over.

    Args:
        visits: where the files are.
        prints: their fingerprints; photographs that can't be decoded take no part.
        workers: threads.
        track: shows how far it is.
    """
    paths = {(visit.id, eye.side): eye.path for visit in visits for eye in visit.listed() if eye.path is not None}
    known = [(one, paths[one.visit, one.side]) for one in prints if one.signature and (one.visit, one.side) in paths]
    files = [path for _, path in known]
    asked = [
        (i, j) for i, j in same_eye.candidates(files, workers, track) if known[i][0].patient != known[j][0].patient
    ]
    pairs = []
    for (i, j), found in zip(asked, same_eye.compare_files(files, asked, workers, track), strict=True):
        if found.same:
            one, two = known[i][0], known[j][0]
            evidence = f"{found.agreeing} of {found.matched} keypoints agree"
            pairs.append(Pair(one, two, "same_eye", _correlation(*_decoded([one, two])[0]), evidence))
    return pairs


def _decoded(prints: Sequence[Fingerprint]) -> tuple[Floats, NDArray[np.int64]]:
    """Signatures (n, SIDE, SIDE) of the decodable photographs, and their places in `prints`."""
    index = np.array([i for i, one in enumerate(prints) if one.signature], dtype=np.int64)
    rows = [np.frombuffer(base64.b64decode(prints[i].signature), dtype=np.uint8) for i in index]
    return np.array(rows, dtype=np.float32).reshape(len(rows), SIDE, SIDE), index


def _distances(a: Floats, b: Floats) -> Floats:
    """Root mean square difference within the disc, grey levels (len(a), len(b))."""
    one, two = a[:, DISC > 0], b[:, DISC > 0]
    square = (one**2).sum(1)[:, None] + (two**2).sum(1)[None] - 2 * one @ two.T
    return np.asarray(np.sqrt(np.maximum(square, 0) / one.shape[1]), dtype=np.float32)


def _fine(signature: Floats) -> Floats:
    """What is left of a signature (SIDE, SIDE) without its smooth part."""
    return np.asarray(signature - cv2.GaussianBlur(signature, (0, 0), 2.0), dtype=np.float32)


def _correlation(a: Floats, b: Floats) -> float:
    """Pearson correlation within the disc; nan for an even picture."""
    one, two = a[DISC > 0] - a[DISC > 0].mean(), b[DISC > 0] - b[DISC > 0].mean()
    length = float(np.linalg.norm(one) * np.linalg.norm(two))
    return float(one @ two) / length if length > 0 else float("nan")


def _disc() -> Floats:
    """1 within nine tenths of the radius, 0 outside: the rim moves with the box."""
    axis = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    return (np.hypot(*np.meshgrid(axis, axis)) < 0.9).astype(np.float32)


DISC = _disc()


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
    if unreadable:
        text += f"; {len(unreadable)} can't be decoded and were compared by their bytes only"
    return LeakAudit(passed, shared, exact, similar, unreadable, text)


def _audit_text(train: int, test: int, shared: Sequence[str], exact: Sequence[Pair], similar: Sequence[Pair]) -> str:
    if not (shared or exact or similar):
        return f"no shared patient or photograph between {train} training and {test} evaluation photographs"
    found = [
        ("shared patient", [str(patient) for patient in shared]),
        ("identical photograph", [str(pair) for pair in exact]),
        ("near-identical photograph", [str(pair) for pair in similar]),
    ]
    parts = [
        f"{len(names)} {what}{'s' * (len(names) > 1)} ({', '.join(names[:3])}{', ...' * (len(names) > 3)})"
        for what, names in found
        if names
    ]
    return f"training and evaluation share {', '.join(parts)}; split by patient and duplicates (eyeground cohort split)"
