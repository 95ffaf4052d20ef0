"""Which visits of a cohort a bundle may be judged on: those of the part asked for, and none it has learnt from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from eyeground.errors import DataError, LeakError
from eyeground.leaks import NOTHING, Fingerprint, audit, fingerprints
from eyeground.progress import Track
from eyeground.protocols.leakage import elsewhere
from eyeground.records import Cohort, Visit
from eyeground.runs.bundle import Bundle
from eyeground.runs.chosen import chosen_on
from eyeground.splits import Split

ENOUGH = 50
"""Visits of patients with a known id that are looked at to tell whether two cohorts are one."""


@dataclass(frozen=True)
class Asked:
    """Which visits are wanted.

    Without `split` and `part` every visit with an image; with one of them the missing other is the bundle's own split,
    or its test part. `other_cohort`: patient ids here have nothing to do with those of the training data.
    `allow_leaky`: go on where split and model were made under a leaky protocol; what comes of it is stamped.
    `other_labels`: only photographs and masks are looked at, so the cohort may have other labels than the bundle.
    """

    cohort: Cohort
    split: Split | None = None
    part: str | None = None
    other_cohort: bool = False
    allow_leaky: bool = False
    other_labels: bool = False


@dataclass(frozen=True)
class Unseen:
    """The visits and their photographs' fingerprints, where they come from, the photographs that are not on disk any
    more, the cohort as the split's protocol sees it, and the leak audit's record.

    `stamp` is a leaky protocol's, None elsewhere.
    """

    visits: Sequence[Visit]
    split: Split | None
    part: str
    gone: tuple[str, ...]
    audit: dict[str, Any]
    prints: tuple[Fingerprint, ...]
    cohort: Cohort
    stamp: str | None = None


_Visits = tuple[Split | None, str, Cohort, Sequence[Visit]]


def choose(bundle: Bundle, asked: Asked, workers: int, track: Track, say: Callable[[str], None]) -> Unseen:
    """The visits asked for, after the leak audit.

    Raises:
        LeakError: a visit's patient or photograph was in training (unless the part asked for is training itself, or
            both split and model are of one leaky protocol and that was allowed).
        DataError: another vocabulary, or photographs that are not those of the split.
    """
    cohort = asked.cohort
    if bundle.vocabulary.codes != cohort.vocabulary.codes and not asked.other_labels:
        ours, theirs = ", ".join(bundle.vocabulary.codes), ", ".join(cohort.vocabulary.codes)
        raise DataError(
            f"the bundle answers {ours}, the cohort {cohort.root} has {theirs}; judge it on the same labels"
        )
    split, part, cohort, visits = _visits(bundle, asked, say)
    prints = fingerprints(visits, workers, track)
    gone = _against_split(split, part, prints, bundle)
    for name in gone:
        say(f"not there any more: {name}")
    record, stamp = _audit(bundle, asked, split, part, prints)
    return Unseen(visits, split, part, gone, record, tuple(prints), cohort, stamp)


def _visits(bundle: Bundle, asked: Asked, say: Callable[[str], None]) -> _Visits:
    """The visits asked for, with the split they come from, the part's name, and the cohort as the protocol sees it."""
    cohort = asked.cohort
    if asked.split is None and asked.part is None:
        return None, "all", cohort, cohort.with_images()
    split = asked.split or Split.load(bundle.split)
    split.protocol.require_allowed(asked.allow_leaky, "the split")
    part, cohort = asked.part or "test", split.protocol.view(cohort)
    unknown = split.check_against(cohort)
    if unknown:
        say(f"{len(unknown)} visits with images are not in the split and are not judged: {', '.join(unknown[:5])}")
    wanted = set(split.fold(_fold(bundle, split)).part(part))
    return split, part, cohort, [visit for visit in cohort.with_images() if visit.id in wanted]


def _fold(bundle: Bundle, split: Split) -> int:
    """The bundle's own fold; a hold-out has only one."""
    return int(bundle.config["data"]["fold"]) if len(split.folds) > 1 else 0


def _against_split(split: Split | None, part: str, prints: Sequence[Fingerprint], bundle: Bundle) -> tuple[str, ...]:
    """Photographs of the part that are not on disk any more.

    Raises:
        DataError: photographs that are not those the split was made on.
    """
    if split is None:
        return ()
    listed = split.fingerprints_of(split.fold(_fold(bundle, split)).part(part))
    known = {(one.visit, one.side): one for one in listed}
    there = {(one.visit, one.side): one for one in prints}
    changed = [
        two.name
        for key, two in there.items()
        if key not in known or (two.signature and two.sha256 != known[key].sha256)
    ]
    if changed:
        raise DataError(
            f"{len(changed)} photographs are not those the split was made on ({', '.join(changed[:3])}); "
            "use the cohort it was made for, or make the split again"
        )
    return tuple(one.name for key, one in known.items() if key not in there)


def _audit(
    bundle: Bundle, asked: Asked, split: Split | None, part: str, prints: Sequence[Fingerprint]
) -> tuple[dict[str, Any], str | None]:
    """The leak audit as a record, and the stamp of a leaky protocol.

    Parts that hold training visits on purpose are stamped, and so is the very split of a leaky protocol that the model
    was made on (`_visits` saw to it that this was allowed); a leak elsewhere fails.
    """
    own = Split.load(bundle.split)
    parts = own.fold(int(bundle.config["data"]["fold"]))
    trained = own.fingerprints_of(parts.train + (() if part == "val" else parts.val))
    found = audit(trained, prints, same_people(asked, own.layout, trained))
    record, fold = found.to_dict(), int(bundle.config["data"]["fold"])
    own_leaky = split is not None and split.hash == own.hash and own.protocol.leaky
    on_purpose = part in ("train", "all") and (asked.split is not None or asked.part is not None)
    stamps = [_stamp(own, fold, split, _fold(bundle, split) if split else 0)]
    remembered = on_purpose and not found.passed
    if remembered:
        stamps.append(f"part '{part}' holds training visits: these numbers say how well the model remembers")
    elif part == "val":
        stamps.append("the validation part chose epoch, calibration and thresholds: these numbers are optimistic")
    if not remembered and not own_leaky:
        found.require()
    if not remembered and part != "val":
        _require_unchosen(bundle, asked, prints)
    told = [one for one in stamps if one]
    return record | ({"stamp": "; ".join(told)} if told else {}), stamps[0]


def _stamp(own: Split, fold: int, split: Split | None, number: int) -> str | None:
    """The leaky protocol's stamp: that of the split judged on, else of the model's own; None where both are clean."""
    if split is not None and split.protocol.leaky:
        return split.stamp(number)
    stamped = own.stamp(fold)
    return elsewhere(stamped) if stamped else None


def _require_unchosen(bundle: Bundle, asked: Asked, prints: Sequence[Fingerprint]) -> None:
    """Raises `LeakError` when photographs chose calibration, label sets or thresholds after training."""
    for used in chosen_on(bundle):
        found = audit(used.fingerprints, prints, same_people(asked, used.layout, used.fingerprints))
        if not found.passed:
            raise LeakError(f"some of these photographs were used by `{used.by}` of this bundle: {found.text}")


def same_people(asked: Asked, layout: str, prints: Sequence[Fingerprint]) -> bool:
    """Whether patient ids of the cohort mean the persons of these photographs, which are of a cohort of this layout.

    They do where layout and flags say so, and wherever one of the photographs is in the cohort under its own patient:
    a bundle may have been calibrated on the very cohort that is other than that of its training.
    """
    if not asked.other_cohort and _family(layout) == _family(asked.cohort.layout):
        return True
    known = {(one.patient, one.sha256) for one in prints if one.sha256 != NOTHING}
    patients = {patient for patient, _ in known}
    visits = (visit for visit in asked.cohort.visits if visit.patient in patients and any(visit.seen))
    return any((one.patient, one.sha256) in known for one in fingerprints(list(islice(visits, ENOUGH))))


def _family(layout: str) -> str:
    """Layouts whose patient ids mean the same persons."""
    return "odir" if layout.startswith("odir") else layout
