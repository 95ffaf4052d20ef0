"""What a model says of its validation part: what calibration, label sets and operating points are chosen on.

Only visits that neither trained the model nor will judge it take part: the validation part of the bundle's own split,
or that of another split, as long as none of its visits is in the bundle's training or test part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeground.errors import DataError, LeakError, UsageError
from eyeground.leaks import Fingerprint, audit
from eyeground.progress import Track
from eyeground.records import label_arrays
from eyeground.runs.bundle import Bundle
from eyeground.runs.data import PreparedVisits, prepare_visits
from eyeground.runs.engine import Reader
from eyeground.runs.place import Place
from eyeground.runs.unseen import Asked, Unseen, choose, same_people
from eyeground.splits import Split


@dataclass(frozen=True)
class Held:
    """What a model says of the validation part, and what is true there.

    Attributes:
        logits: (n, C) before calibration. truth, known: (n, C). patients: (n,).
        place: part, split_hash, fold and n, as thresholds.json tells them.
        layout, prints: of the cohort, and the fingerprints of the visits above.
        seen_before: whether some of these photographs also chose the epoch of the model.
        evidence: (n, E, C, h, w) where asked for, NaN for eyes that are not there.
    """

    logits: NDArray[np.float64]
    truth: NDArray[np.float64]
    known: NDArray[np.bool_]
    patients: NDArray[np.str_]
    place: dict[str, Any]
    seen_before: bool
    layout: str = ""
    prints: tuple[Fingerprint, ...] = ()
    evidence: NDArray[np.float32] | None = None


def hold(
    model: Reader, asked: Asked, place: Place, track: Track, say: Callable[[str], None], evidence: bool = False
) -> Held:
    """Runs the model over the validation part.

    Raises:
        UsageError: another part than `val` is asked for.
        LeakError: a visit of it is in the bundle's training or test part.
        DataError: another vocabulary, or nothing to read.
    """
    if asked.part not in (None, "val"):
        raise UsageError(
            f"--part {asked.part}: calibration and operating points are chosen on the validation part only; "
            "training visits are too well remembered, and the test part must stay unseen"
        )
    bundle = model.bundle
    unseen = choose(bundle, replace(asked, part="val"), place.workers, track, say)
    _apart_from_test(bundle, unseen, asked)
    if not unseen.visits:
        raise DataError("the validation part has no visit with a photograph; use another --split")
    prepared = prepare_visits(unseen.visits, bundle.preprocessing, place.cache_path(), place.workers, track)
    for text in prepared.unreadable:
        say(f"left out: {text}")
    if bundle.config["recipe"].get("one_eye", "seen") == "seen":
        prepared = prepared.seen_labels(bundle.vocabulary)
    visits = prepared.visits
    found = model.predict(visits, [prepared.eyes[visit.id] for visit in visits], evidence)
    truth, known = label_arrays([visit.labels for visit in visits], len(bundle.vocabulary))
    patients = np.array([visit.patient for visit in visits])
    where = {"part": "val", "split_hash": unseen.split.hash if unseen.split else "", "n": len(visits)}
    where["fold"] = int(bundle.config["data"]["fold"]) if unseen.split and len(unseen.split.folds) > 1 else 0
    seen = _seen_before(bundle, prepared)
    ids = {visit.id for visit in visits}
    prints = tuple(one for one in unseen.prints if one.visit in ids)
    arrays = np.asarray(found.visit_logits, np.float64), np.asarray(truth, np.float64), known, patients
    return Held(*arrays, where, seen, asked.cohort.layout, prints, found.evidence)


def _apart_from_test(bundle: Bundle, unseen: Unseen, asked: Asked) -> None:
    """Raises `LeakError` when the validation part of another split holds visits of the bundle's own test part."""
    own = Split.load(bundle.split)
    if unseen.split is None or unseen.split.hash == own.hash:
        return
    test = own.fingerprints_of(own.fold(int(bundle.config["data"]["fold"])).test)
    chosen = unseen.split.fingerprints_of([visit.id for visit in unseen.visits])
    found = audit(test, chosen, same_people(asked, own.layout, test))
    if not found.passed:
        raise LeakError(f"the validation part of this split is in part the bundle's own test part: {found.text}")


def _seen_before(bundle: Bundle, prepared: PreparedVisits) -> bool:
    own = Split.load(bundle.split)
    known = {one.sha256 for one in own.fingerprints_of(own.fold(int(bundle.config["data"]["fold"])).val)}
    return not known.isdisjoint(prepared.hashes().values())
