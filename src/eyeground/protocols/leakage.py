"""What a leaky protocol lets through, measured, and the stamp that goes with every number made under it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eyeground.leaks import Fingerprint
from eyeground.protocols.protocol import Protocol

MARK = "LEAKY PROTOCOL"
"""How every stamp begins."""


@dataclass(frozen=True)
class Leak:
    """What the test part of one fold shares with the training part.

    `patients`: of the test part. `other_eye`: those with a photograph of their other eye in training;
    `other_photograph`: with any photograph of theirs there; `with_validation`: there or in the validation part.
    `photographs`: of the test part; `duplicates`: those that have a copy, or a photograph of the same eye, in training.
    """

    patients: int
    other_eye: int
    other_photograph: int
    with_validation: int
    photographs: int
    duplicates: int

    def to_dict(self) -> dict[str, Any]:
        """The counts, and the shares of patients; None when there are no test patients."""
        counts = {key: getattr(self, key) for key in self.__dataclass_fields__}
        names = ("other_eye", "other_photograph", "with_validation")
        shares = {f"{name}_share": getattr(self, name) / self.patients if self.patients else None for name in names}
        return counts | shares


def measure(
    train: Sequence[Fingerprint],
    val: Sequence[Fingerprint],
    test: Sequence[Fingerprint],
    duplicates: Iterable[Mapping[str, Any]],
) -> Leak:
    """Counts what the parts share.

    Args:
        train, val, test: photographs of the parts.
        duplicates: pairs as `leaks.Pair.to_dict` tells them; `a` and `b` are names of photographs.
    """
    mine: dict[str, set[str]] = {}
    for one in train:
        mine.setdefault(one.patient, set()).add(one.side)
    chosen = {one.patient for one in val} | mine.keys()
    sides: dict[str, set[str]] = {}
    for one in test:
        sides.setdefault(one.patient, set()).add(one.side)
    learnt, judged = {one.name for one in train}, {one.name for one in test}
    twins = {two for pair in duplicates for two, one in _both_ways(pair) if two in judged and one in learnt}
    return Leak(
        patients=len(sides),
        other_eye=sum(
            any(other != side for other in mine.get(patient, ()) for side in here) for patient, here in sides.items()
        ),
        other_photograph=sum(patient in mine for patient in sides),
        with_validation=sum(patient in chosen for patient in sides),
        photographs=len(test),
        duplicates=len(twins),
    )


def elsewhere(stamped: str) -> str:
    """The stamp of a number that a model trained under a leaky protocol got on photographs of another split."""
    return f"{stamped}; the model was trained under this protocol and is judged on other photographs here"


def _both_ways(pair: Mapping[str, Any]) -> tuple[tuple[str, str], tuple[str, str]]:
    return (pair["a"], pair["b"]), (pair["b"], pair["a"])


def stamp(protocol: Protocol, leak: Leak) -> str:
    """One sentence for every number, such as
    'LEAKY PROTOCOL image-80-20-leaky: 81 % of test patients have their other eye in training; not comparable with
    patient-level results'.
    """
    what, count = "another photograph", leak.other_photograph
    if protocol.unit == "photograph":
        what, count = "their other eye", leak.other_eye
    if not leak.patients:
        told = "patients are not kept together (no test patients to measure it on)"
    else:
        told = f"{100 * count / leak.patients:.0f} % of test patients have {what} in training"
    if leak.duplicates:
        told += f", {leak.duplicates} of {leak.photographs} test photographs a duplicate"
    return f"{MARK} {protocol.name}: {told}; not comparable with patient-level results"
