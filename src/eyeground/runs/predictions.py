"""What a model says of visits, in numpy, whatever computed it: how a network's answer becomes the visit's.

Laterality and mirrored averaging are here once, for every engine: a photograph may have gone into the network
mirrored, so its maps come back mirrored, and so does the place where their elements sit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eyeground.images.geometry import Placement

if TYPE_CHECKING:
    from eyeground.augment import Laterality

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Predictions:
    """Logits of n visits (n, C) and their eyes (n, E, C), NaN where not seen; evidence (n, E, C, h, w); or None.

    `map_shift` (E, 2): for each eye (dx, dy) in elements of its evidence, from a regular cell's centre to the true one.
    `placement`: what is known of it, before any mirroring.
    """

    ids: tuple[str, ...]
    visit_logits: Array
    eye_logits: Array | None
    evidence: Array | None
    map_shift: Array
    placement: Placement

    def shift(self, eye: int) -> tuple[float, float]:
        """(dx, dy) of one eye, 0 left and 1 right, as numbers."""
        dx, dy = self.map_shift[eye].tolist()
        return dx, dy


class Raw(NamedTuple):
    """A network's answer to B visits: logits (B, C), (B, E, C) or None, evidence (B, E, C, h, w) or None."""

    visit_logits: Array
    eye_logits: Array | None
    evidence: Array | None


def answer(one: Raw, two: Raw | None, laterality: Laterality, placed: Placement) -> tuple[Raw, Array]:
    """The answer to visits as they were photographed.

    Args:
        one: what the network said of them.
        two: what it said of their mirror images (eyes exchanged too), or None where they were not asked for; then the
            mean of both is the answer. Where the two maps of an eye sit apart they are put on one grid first.
        laterality: 'canonical' where the network had right eyes mirrored.
        placed: where the network's maps sit.

    Returns:
        the answer, and where its maps sit: float32 (E, 2), (dx, dy) in elements.
    """
    one, shift = _mirrored_back(one, laterality), _shift(placed, laterality)
    if two is None:
        return one, shift
    two = _mirrored_back(two, laterality)
    eyes, maps = two.eye_logits, two.evidence
    two = Raw(
        two.visit_logits,
        None if eyes is None else eyes[:, ::-1],
        None if maps is None else maps[:, ::-1, ..., ::-1],
    )
    return _mean(one, two, shift, shift[::-1] * np.array([-1, 1], np.float32) + np.float32(0))


def gather(ids: tuple[str, ...], parts: Sequence[Raw], shift: Array, placed: Placement) -> Predictions:
    """Joins the answers of batches, in their order."""

    def joined(name: str) -> Array | None:
        found = [getattr(part, name) for part in parts]
        return None if found[0] is None else np.concatenate(found)

    assert parts, "no visits to predict"
    logits = joined("visit_logits")
    assert logits is not None
    return Predictions(ids, logits, joined("eye_logits"), joined("evidence"), shift, placed)


def _mirrored_back(raw: Raw, laterality: Laterality) -> Raw:
    """The answer with evidence placed on the photographs as they came."""
    maps = raw.evidence
    if maps is None or laterality != "canonical":
        return raw
    return raw._replace(evidence=np.stack([maps[:, 0], maps[:, 1, ..., ::-1]], 1))


def _shift(placed: Placement, laterality: Laterality) -> Array:
    """(E, 2): where the maps of left and right eye sit; a map mirrored back sits mirrored."""
    dx, dy = placed.shift
    return np.array([[dx, dy], [-dx if laterality == "canonical" else dx, dy]], np.float32) + np.float32(0)  # no -0


def _mean(one: Raw, two: Raw, shift: Array, shift_two: Array) -> tuple[Raw, Array]:
    """The mean of two answers and where its maps sit, (E, 2)."""
    if one.evidence is not None and two.evidence is not None and not np.array_equal(shift, shift_two):
        one = one._replace(evidence=_on_grid(one.evidence, shift[:, 0]))
        two = two._replace(evidence=_on_grid(two.evidence, shift_two[:, 0]))
        shift = shift * np.array([0, 1], np.float32)

    def half(a: Array | None, b: Array | None) -> Array | None:
        return None if a is None or b is None else (a + b) * np.float32(0.5)

    visit = (one.visit_logits + two.visit_logits) * np.float32(0.5)
    return Raw(visit, half(one.eye_logits, two.eye_logits), half(one.evidence, two.evidence)), shift


def _on_grid(maps: Array, shift: Array) -> Array:
    """Maps (B, E, C, h, w) that sit `shift` (E,) elements to the right, at the centres of a regular grid instead.

    Linear between elements, the outermost one's value beyond it; each map keeps its mean, which is a logit.
    """
    width = maps.shape[-1]
    moved = []
    for eye, by in enumerate(shift):
        at = np.clip(np.arange(width, dtype=np.float32) - by, 0, width - 1)
        first = np.minimum(np.floor(at).astype(int), max(width - 2, 0))
        part = at - first.astype(np.float32)
        own = maps[:, eye]
        moved.append(own[..., first] * (1 - part) + own[..., np.minimum(first + 1, width - 1)] * part)
    resampled = np.stack(moved, 1)
    return resampled + (maps - resampled).mean((3, 4), keepdims=True)
