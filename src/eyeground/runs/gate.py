"""The gate before the model: are these fundus photographs, of the eyes they are said to be, and of two eyes at all?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eyeground import leaks, same_eye
from eyeground.errors import DataError
from eyeground.images import fundus_check, laterality
from eyeground.images.cache import CacheEntry
from eyeground.images.prepare import Preprocessing, prepare
from eyeground.leaks.signature import signature
from eyeground.readings import EyeReading
from eyeground.records import SIDES

SIZE = 256
"""Side of the view that the gate judges."""
NO_FUNDUS = "not a fundus photograph"
"""What the reason of a refused eye begins with."""


@dataclass(frozen=True)
class Passed:
    """What is left after the gate: the entries (None: not to be read), the eyes, and warnings about the visit."""

    pair: list[CacheEntry | None]
    eyes: list[EyeReading]
    warnings: list[str]


def pass_gate(
    pair: list[CacheEntry | None], eyes: list[EyeReading], preprocessing: Preprocessing, check: bool = True
) -> Passed:
    """Refuses what is no fundus photograph, and warns of photographs that can't be of the eyes they are given for.

    Args:
        pair: prepared photographs, left first; None for an eye that is missing or unreadable.
        eyes: what the reading says of each so far.
        preprocessing: that of `pair`.
        check: whether to refuse; else a photograph that does not look like a fundus is read, with a warning.

    Raises:
        DataError: no eye is left.
    """
    pair, eyes, warnings = list(pair), list(eyes), []
    views: list[NDArray[np.uint8] | None] = [None if entry is None else _view(entry, preprocessing) for entry in pair]
    for row, (side, view) in enumerate(zip(SIDES, views, strict=True)):
        verdict = None if view is None else fundus_check.fitted().judge(view)
        if verdict is None or verdict.fundus:
            continue
        words = f"{NO_FUNDUS}: {verdict.reason}"
        if check:
            pair[row] = views[row] = None
            eyes[row] = replace(eyes[row], status="unreadable", reason=words, crop=None, quality={}, flags=())
        else:
            warnings.append(
                f"The photograph given as the {side} eye does not look like a fundus photograph ({verdict.reason}); "
                "it was read all the same, since --no-fundus-check was given."
            )
    if pair == [None, None]:
        reasons = (f"the {eye.side} eye: {eye.reason}" for eye in eyes if eye.status == "unreadable")
        raise DataError(f"no eye can be read: {'; '.join(reasons)}")
    return Passed(pair, eyes, [*_alone(eyes), *_same(pair, views), *_sides(views), *warnings])


def _view(entry: CacheEntry, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """The entry's own pixels where they will do, else the view prepared for the gate."""
    if preprocessing.crop == "field" and not preprocessing.enhance and preprocessing.size >= SIZE:
        return entry.load()
    return prepare(entry.path, Preprocessing(size=SIZE)).view.pixels


def _alone(eyes: list[EyeReading]) -> list[str]:
    """Which eye the answer rests on where there is only one."""
    told = []
    for eye, other in (eyes, eyes[::-1]):
        rests = f"the answer rests on the {other.side} eye alone."
        if eye.status == "missing":
            told.append(f"No photograph of the {eye.side} eye was given; {rests}")
        elif eye.status == "unreadable":
            told.append(f"The {eye.side} eye could not be read ({eye.reason}); {rests}")
    return told


def _same(pair: list[CacheEntry | None], views: list[NDArray[np.uint8] | None]) -> list[str]:
    """Whether two photographs are one, or show one eye."""
    (one, two), (left, right) = pair, views
    if one is None or two is None or left is None or right is None:
        return []
    if one.sha256 == two.sha256:
        return ["Both eyes were given the same photograph: one of them is not what it says."]
    prints = [
        leaks.Fingerprint("visit", "visit", side, entry.sha256, signature(view))
        for side, entry, view in zip(SIDES, (one, two), (left, right), strict=True)
    ]
    for found in leaks.find_duplicates(prints[:1], prints[1:]):
        turned = ", mirrored," if found.kind == "mirrored" else ""
        return [f"Both eyes were given the same photograph{turned} saved twice ({found.evidence}): "
                "one of them is not what it says."]  # fmt: skip
    agreement = same_eye.compare(same_eye.keypoints_of(left), same_eye.keypoints_of(right))
    if agreement.same:
        return [f"Both photographs show the same eye ({agreement.agreeing} of {agreement.matched} points of its "
                "vessels agree): one of them is not what it says."]  # fmt: skip
    return []


def _sides(views: list[NDArray[np.uint8] | None]) -> list[str]:
    model = laterality.fitted()
    scores = {side: model.score(view) for side, view in zip(SIDES, views, strict=True) if view is not None}
    told = laterality.against_places(model, scores)
    return [] if told is None else [told]
