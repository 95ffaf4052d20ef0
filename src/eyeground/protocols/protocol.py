"""A protocol says how a cohort is parted for a study: what a unit is, what stays together, which shares. TOML on disk.

Its hash is the SHA-256 of everything it says, the prose too, in canonical form: comments and the order of keys do not
count. Protocol and seed together give the same ids on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import tomli_w

from eyeground.errors import DataError, LeakError, UsageError, nearest
from eyeground.files import digest
from eyeground.records import SIDES, Cohort, Eye, Visit
from eyeground.settings import fill, plain, read_toml

NAMES = ("odir-3fold", "odir-holdout", "patient-80-20", "image-80-20", "image-80-20-leaky")
"""The protocols that come with eyeground, each a TOML file beside this module."""
CUSTOM = "custom"
"""Name of what the flags --folds, --test-share and --val-share make."""


@dataclass(frozen=True)
class Protocol:
    """How a cohort is parted. Shares are of all units with a photograph.

    `unit`: a patient's visit with both of its eyes, or each photograph by itself. `labels`: what a photograph by itself
    is said to show, `visit` (the patient's labels, right or wrong for this eye) or `eye` (its own). `eyes`: units with
    any photograph, or only visits with both. `layouts`: cohorts it is meant for, all when empty.
    """

    name: str
    version: int
    rule: str
    source: str
    unit: Literal["patient", "photograph"] = "patient"
    eyes: Literal["any", "both"] = "any"
    labels: Literal["visit", "eye"] = "visit"
    folds: int = 1
    test_share: float | None = None
    val_share: float = 0.1
    keep_together: Literal["patients and duplicates", "nothing"] = "patients and duplicates"
    stratify: Literal["labels", "nothing"] = "labels"
    layouts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        where = f"protocol '{self.name}'"
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", self.name) or self.version < 1:
            raise UsageError(f"{where}: a name is of small letters, digits and hyphens, a version 1 or more")
        if (self.folds > 1) == (self.test_share is not None):
            raise UsageError(
                f"{where} needs either folds of 2 or more or a test_share: each fold is the test part once"
            )
        if self.labels == "eye" and self.unit != "photograph":
            raise UsageError(f'{where}: labels = "eye" is for unit = "photograph"; a visit has the labels of the visit')
        if self.eyes == "both" and self.unit == "photograph":
            raise UsageError(f'{where}: eyes = "both" is for unit = "patient"; a photograph shows one eye')
        if self.leaky != self.name.endswith("-leaky"):
            ends = "must end" if self.leaky else "must not end"
            raise UsageError(f"{where} keeps {self.keep_together} together, so its name {ends} with '-leaky'")

    @property
    def leaky(self) -> bool:
        """Whether a patient, or a photograph under two names, may be in training and in the test part."""
        return self.keep_together == "nothing"

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the content, hexadecimal."""
        return digest(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """The content as plain values; `test_share` is left out of a k-fold."""
        return plain(self)

    def brief(self) -> dict[str, Any]:
        """What a result tells of its protocol."""
        return {"name": self.name, "version": self.version, "hash": self.hash, "leaky": self.leaky}

    def to_toml(self) -> str:
        """The content as TOML, to be edited and given as a file."""
        return tomli_w.dumps(self.to_dict())

    def differences(self, other: Protocol) -> tuple[str, ...]:
        """The keys in which two protocols differ."""
        ours, theirs = self.to_dict(), other.to_dict()
        return tuple(key for key in dict.fromkeys([*ours, *theirs]) if ours.get(key) != theirs.get(key))

    def require_allowed(self, allow_leaky: bool, what: str) -> None:
        """Raises `LeakError` when the protocol is leaky and that was not allowed; `what` names what was made under it.

        Args:
            what: such as 'the split'.
        """
        if self.leaky and not allow_leaky:
            raise LeakError(
                f"{what} was made under {self.name}, which keeps patients and duplicates apart on purpose; "
                "--allow-leaky goes on all the same and stamps every number"
            )

    def require_layout(self, layout: str) -> None:
        """Raises `UsageError` when the protocol is meant for other cohorts."""
        if self.layouts and layout not in self.layouts:
            raise UsageError(
                f"protocol {self.name} is for the layout {' or '.join(self.layouts)}, not {layout}; "
                "patient-80-20 takes any"
            )

    def view(self, cohort: Cohort) -> Cohort:
        """The cohort as this protocol sees it; give it the cohort as it was read.

        Photographs by themselves become visits `<visit>_left` and `<visit>_right` of one eye, visit and eye labels the
        same; the patient stays.

        Raises:
            DataError: nothing is left.
        """
        visits: Iterable[Visit] = cohort.visits
        if self.unit == "photograph":
            visits = (self._alone(visit, eye) for visit in visits for eye in visit.listed())
        elif self.eyes == "both":
            visits = (visit for visit in visits if all(visit.seen))
        seen = tuple(visits)
        if not any(any(visit.seen) for visit in seen):
            raise DataError(f"{cohort.root} has no photographs that protocol {self.name} can part")
        return replace(cohort, visits=seen)

    def _alone(self, visit: Visit, eye: Eye) -> Visit:
        labels = visit.labels if self.labels == "visit" else eye.labels
        mine = replace(eye, labels=labels)
        pair = (mine, None) if eye.side == SIDES[0] else (None, mine)
        return replace(visit, id=f"{visit.id}_{eye.side}", eyes=pair, labels=labels)


def custom(folds: int, test_share: float, val_share: float) -> Protocol:
    """The protocol that flags stand for: patients and duplicates together, labels spread evenly."""
    return Protocol(
        name=CUSTOM,
        version=1,
        rule="Visits with a photograph, patients and duplicates together, labels spread evenly.",
        source="flags of the command",
        folds=folds,
        test_share=None if folds > 1 else test_share,
        val_share=val_share,
    )


def find_protocol(name: str) -> Protocol:
    """A protocol by its name, or from a TOML file.

    Raises:
        UsageError: no such protocol or file, an unknown key, a value that can't be, or one of eyeground's own names
            on another content.
    """
    if name in NAMES:
        with resources.as_file(resources.files(__package__) / f"{name}.toml") as path:
            return _read(path)
    path = Path(name)
    if path.suffix != ".toml" and not path.is_file():
        raise UsageError(f"no protocol '{name}'{nearest(name, NAMES)} (there are {', '.join(NAMES)}, or a .toml file)")
    found = _read(path)
    if found.name == CUSTOM:
        raise UsageError(f"{path}: '{CUSTOM}' is what the flags of cohort split make; give the protocol another name")
    if found.name in NAMES:
        changed = found.differences(find_protocol(found.name))
        if changed:
            raise UsageError(
                f"{path} is called {found.name} but differs from it in {', '.join(changed)}; give it a name of its own"
            )
    return found


def from_dict(values: dict[str, Any], where: str) -> Protocol:
    """Builds a protocol from plain values. Raises `UsageError` for an unknown or missing key or an impossible value."""
    for key in ("name", "version", "rule", "source"):
        if key not in values:
            raise UsageError(f"{where} has no '{key}', which every protocol says")
    return fill(Protocol, values, where)


def _read(path: Path) -> Protocol:
    if not path.is_file():
        raise UsageError(f"no protocol file {path}; eyeground protocol show NAME prints one to begin with")
    found = from_dict(read_toml(path), str(path))
    test = found.test_share if found.test_share is not None else 1 / found.folds
    if found.folds < 1 or min(test, found.val_share) < 0 or test == 0 or test + found.val_share >= 1:
        raise UsageError(
            f"{path}: folds {found.folds}, test share {test:.2f} and val_share {found.val_share:.2f} can't be: "
            "there must be a test part, and something left for training"
        )
    return found
