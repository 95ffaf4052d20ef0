"""Candidates of one map against the lesions of one photograph, under one set of rules, ready to be summed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eyeground.metrics.candidates import Peaks, Regions, peaks, regions, tops
from eyeground.metrics.froc import Counts, Scored, count
from eyeground.metrics.hits import Pairs, best_scores, credited, point_pairs, region_pairs
from eyeground.metrics.lesion_rules import Rules
from eyeground.metrics.lesions import Ints, Lesions, cells_of
from eyeground.metrics.map_grid import Blocks, Bools, Floats, LesionImage

POOLED = "all"
"""The lesions of all types together."""
FALSE = ("any", "same_type")
"""What makes a candidate false: it hits no lesion of any type, or none of the type in question."""


@dataclass(frozen=True)
class Held:
    """Candidates against lesions: for each type, which candidates are on one, and at what score each is found.

    `scores` (n,); `on[type]` (n,) bool; `best[type]` (lesions,), -inf for never.
    """

    scores: Floats
    on: dict[str, Bools]
    best: dict[str, Floats]

    def false(self, kind: str, convention: str) -> Bools:
        """(n,) which candidates are false for this type."""
        parts = self.on.values() if convention == "any" or kind == POOLED else (self.on[kind],)
        return ~np.logical_or.reduce([np.zeros(len(self.scores), bool), *parts])

    def found(self, kind: str) -> Floats:
        """Scores at which this type's counted lesions are found; of `POOLED` those of all types."""
        return np.concatenate([*self.best.values(), np.empty(0)]) if kind == POOLED else self.best[kind]


@dataclass(frozen=True)
class Swept:
    """The same for components at K falling thresholds: numbers of lesions found and of false components.

    `hits[type]` (K,), `false[convention, type]` (K,), `lesions[type]`, `candidates` (K,).
    """

    hits: dict[str, Ints]
    false: dict[tuple[str, str], Ints]
    lesions: dict[str, int]
    candidates: Ints


def hold(scores: Floats, pairs: Mapping[str, Pairs], lesions: Mapping[str, Lesions], rules: Rules) -> Held:
    """Pairs of each type turned into what counts."""
    on, best = {}, {}
    for kind, one in pairs.items():
        on[kind] = np.zeros(len(scores), bool)
        on[kind][one.candidate] = True
        counted = lesions[kind].counted
        keep = counted[one.lesion]
        asked = credited(Pairs(one.candidate[keep], one.lesion[keep], one.gap[keep]), rules.credit)
        best[kind] = best_scores(asked, scores, len(counted))[counted]
    return Held(scores, on, best)


def peaks_held(image: LesionImage, lesions: Mapping[str, Lesions], rules: Rules) -> tuple[Peaks, Held]:
    """Peaks of a map against lesions."""
    lesions = {kind: one.asking(rules.smallest_lesion) for kind, one in lesions.items()}
    found = peaks(image, rules.radius, rules.above)
    reach = rules.tolerance * image.diameter if rules.hit == "near" else 0.0
    return found, hold(
        found.scores, {kind: point_pairs(found.points, one, reach) for kind, one in lesions.items()}, lesions, rules
    )


@dataclass(frozen=True)
class Sweep:
    """Rules that share their components, and the thresholds of the sweep, falling."""

    rules: tuple[Rules, ...]
    levels: Floats


def swept(
    image: LesionImage, placed: Floats, blocks: Blocks, lesions: Mapping[str, Lesions], sweep: Sweep
) -> list[Swept]:
    """Components of a map (on blocks) against lesions at every level: one result for each of the rules."""
    asked = [{kind: one.asking(rules.smallest_lesion) for kind, one in lesions.items()} for rules in sweep.rules]
    cells = {kind: cells_of(one, blocks) for kind, one in lesions.items()}
    size = float(np.isfinite(placed).sum())
    steps: list[list[Held]] = [[] for _ in sweep.rules]
    for level in sweep.levels:
        found = regions(placed, level, sweep.rules[0].smallest_component)
        for rules, own, into in zip(sweep.rules, asked, steps, strict=True):
            small = found.areas <= rules.largest * size
            pairs = _region_pairs(image, placed, blocks, found, own, cells, rules)
            into.append(
                hold(np.zeros(len(found)), {kind: _only(one, small) for kind, one in pairs.items()}, own, rules)
            )
    return [_summed(held, own) for held, own in zip(steps, asked, strict=True)]


def _summed(steps: Sequence[Held], lesions: Mapping[str, Lesions]) -> Swept:
    kinds = [*lesions, POOLED]
    return Swept(
        {kind: np.array([np.isfinite(one.found(kind)).sum() for one in steps], np.int64) for kind in kinds},
        {(c, kind): np.array([one.false(kind, c).sum() for one in steps], np.int64) for c in FALSE for kind in kinds},
        {kind: sum(int(lesions[one].counted.sum()) for one in lesions if kind in (one, POOLED)) for kind in kinds},
        np.array([len(one.scores) for one in steps], np.int64),
    )


def _region_pairs(
    image: LesionImage,
    placed: Floats,
    blocks: Blocks,
    found: Regions,
    lesions: Mapping[str, Lesions],
    cells: Mapping[str, tuple[Ints, Ints]],
    rules: Rules,
) -> dict[str, Pairs]:
    if rules.extent:
        least = rules.iou if rules.hit == "iou" else 0.0
        return {kind: region_pairs(found, cells[kind], len(one), least) for kind, one in lesions.items()}
    rows, columns = np.divmod(tops(found, placed), blocks.shape[1])
    points = (np.stack([columns, rows], axis=1) + 0.5) * blocks.factor
    reach = rules.tolerance * image.diameter if rules.hit == "near" else 0.0
    return {kind: point_pairs(points, one, reach) for kind, one in lesions.items()}


def _only(pairs: Pairs, keep: Bools) -> Pairs:
    here = keep[pairs.candidate]
    return Pairs(pairs.candidate[here], pairs.lesion[here], pairs.gap[here])


def counts_of(found: Sequence[Held | Swept], kind: str, convention: str, rules: Rules, levels: Floats) -> Counts:
    """Counts of one lesion type over photographs, for `froc.curve` and `froc.numbers`.

    Args:
        convention: of `FALSE`.
        levels: thresholds of the sweep; peaks need none.
    """
    over = np.array([_counts_for_fpi(one, kind, convention, rules) for one in found], bool)
    if rules.candidates == "peaks":
        held = [one for one in found if isinstance(one, Held)]
        return count([Scored(one.found(kind), one.scores[one.false(kind, convention)]) for one in held], over)
    sweeps = [one for one in found if isinstance(one, Swept)]
    hits = np.array([one.hits[kind] for one in sweeps]).reshape(len(sweeps), len(levels))
    false = np.array([one.false[convention, kind] for one in sweeps]).reshape(len(sweeps), len(levels))
    lesions = np.array([one.lesions[kind] for one in sweeps], np.int64)
    return Counts(levels, hits, np.where(over[:, None], false, 0), lesions, over)


def _counts_for_fpi(found: Held | Swept, kind: str, convention: str, rules: Rules) -> bool:
    if rules.fpi_over == "all":
        return True
    one = POOLED if convention == "any" else kind
    return not (len(found.found(one)) if isinstance(found, Held) else found.lesions[one])
