"""The leak audit: whether training and evaluation share a patient or a photograph. It fails, it does not warn.

Only what may be the same eye photographed again is a warning: a list to look at, see `LeakAudit.suspects`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eyeground.errors import LeakError
from eyeground.leaks.duplicates import find_duplicates
from eyeground.leaks.prints import WITHHELD, Fingerprint, Pair

PHOTOGRAPHS = (
    "SHA-256 of the bytes, the photographs' thumbnails and the correlation of their fine detail, also resized, "
    "compressed, mirrored or lit anew"
)
METHOD = f"patient ids, {PHOTOGRAPHS}"
EARLIER = (
    "patient ids, SHA-256 of the bytes, and the 16 x 16 signature of an earlier version, which misses copies whose "
    "light or border was changed; make the split again for the stronger test"
)
BYTES = (
    "patient ids and SHA-256 of the bytes; the split was passed on without the small pictures of its photographs, so "
    "copies that were saved anew are not found"
)
FALSE_ALARMS = {"found": 0, "pairs": 4_172_840}
"""Measured on pairs of photographs of different data sets, see docs/leaks.md."""


@dataclass(frozen=True)
class LeakAudit:
    """What training and evaluation share.

    Attributes:
        shared_patients, exact, similar: what makes it fail.
        suspects: pairs whose fine detail agrees more than that of different eyes mostly does, too little to fail.
        unreadable: photographs that could only be compared by their bytes, since they can't be decoded.
        method: how photographs were compared.
        false_alarms: `found` in `pairs` of different eyes, as measured; None for an earlier signature or none.
    """

    passed: bool
    shared_patients: tuple[str, ...]
    exact: tuple[Pair, ...]
    similar: tuple[Pair, ...]
    suspects: tuple[Pair, ...]
    unreadable: tuple[str, ...]
    method: str
    false_alarms: dict[str, int] | None
    text: str

    def to_dict(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "shared_patients": list(self.shared_patients),
            "exact": [pair.to_dict() for pair in self.exact],
            "similar": [pair.to_dict() for pair in self.similar],
            "suspects": [pair.to_dict() for pair in self.suspects],
            "unreadable": list(self.unreadable),
            "method": self.method,
            "false_alarms": self.false_alarms,
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
    pairs = find_duplicates(train, test, suspects=True)
    exact = tuple(pair for pair in pairs if pair.kind == "identical")
    suspects = tuple(pair for pair in pairs if pair.kind == "suspect")
    similar = tuple(pair for pair in pairs if pair.kind not in ("identical", "suspect"))
    unreadable = tuple(dict.fromkeys(one.shown for one in [*train, *test] if not one.signature))
    passed = not (shared or exact or similar)
    earlier = any(one.is_earlier for one in [*train, *test])
    text = _audit_text(len(train), len(test), shared, exact, similar) + _notes(train, test, unreadable, suspects)
    withheld = any(one.signature == WITHHELD for one in [*train, *test])
    method, rate = (BYTES, None) if withheld else (EARLIER, None) if earlier else (METHOD, FALSE_ALARMS)
    return LeakAudit(passed, shared, exact, similar, suspects, unreadable, method, rate, text)


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


def _notes(
    train: Sequence[Fingerprint], test: Sequence[Fingerprint], unreadable: Sequence[str], suspects: Sequence[Pair]
) -> str:
    """What limits the audit, each as a clause to append."""
    text = f"; {len(unreadable)} can't be decoded and were compared by their bytes only" if unreadable else ""
    bare = sum(one.signature == WITHHELD for one in [*train, *test])
    if bare:
        text += (
            f"; {bare} were compared by patient and bytes only, without their small pictures: copies saved anew would "
        )
        text += "not be found"
    if suspects:
        text += f"; {len(suspects)} pairs may be one eye photographed again ({suspects[0]}): look at them"
    if any(one.is_earlier for one in [*train, *test]):
        text += "; compared by the weaker thumbnail of an earlier version (make the split again for the stronger one)"
    return text
