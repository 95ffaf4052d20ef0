"""The tests of one kind of map, eye by eye."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eyeground.batches import Batch
from eyeground.explain.faithful.curves import Curves, baseline, curves
from eyeground.explain.faithful.pixels import field_of, removal_order
from eyeground.explain.faithful.randomise import cascade
from eyeground.explain.faithful.road import road
from eyeground.explain.faithful.scoring import EyeScore
from eyeground.explain.faithful.similar import displacement, spearman, ssim
from eyeground.explain.faithful.sources import Source
from eyeground.explain.faithful.stability import moves
from eyeground.progress import Track
from eyeground.runs.faithful_options import Options

Pairs = tuple[tuple[int, int], ...]
NDArrays = Any


@dataclass(frozen=True)
class Held:
    """Visits and the (eye, label) pairs of them that are explained; where there are several visits, of `rows`."""

    batch: Batch
    pairs: Pairs
    rows: tuple[int, ...] = ()
    patients: tuple[str, ...] = ()

    @staticmethod
    def of(batches: Sequence[Batch], wanted: Sequence[Pairs], patients: Sequence[str] = ()) -> Held:
        """Several visits as one batch."""
        values: dict[str, Any] = {}
        for field in fields(Batch):
            parts = [getattr(batch, field.name) for batch in batches]
            if isinstance(parts[0], Tensor):
                values[field.name] = torch.cat(parts)
            else:
                values[field.name] = sum(parts, ()) if field.name == "ids" else None
        rows = tuple(row for row, pairs in enumerate(wanted) for _ in pairs)
        people = tuple(patients[row] for row in rows) if patients else ()
        return Held(Batch(**values), tuple(pair for pairs in wanted for pair in pairs), rows, people)

    @property
    def labels(self) -> list[int]:
        return list(dict.fromkeys(label for _, label in self.pairs))

    def pick(self, maps: Tensor) -> list[Tensor]:
        """(B, E, labels, S, S) to one map (S, S) per pair."""
        rows = self.rows or (0,) * len(self.pairs)
        labels = self.labels
        return [maps[row, eye, labels.index(label)] for row, (eye, label) in zip(rows, self.pairs, strict=True)]


@dataclass(frozen=True)
class Case:
    """One kind of map on one eye and label: its numbers, and its relative curves (K + 1,) by `deletion` and so on."""

    map: str
    visit: str
    patient: str
    side: str
    code: str
    numbers: dict[str, float]
    curves: dict[str, list[float]]


def judge_case(
    network: nn.Module, row: Source, held: Held, names: Sequence[Sequence[str]], options: Options, apart: bool
) -> Iterator[Case]:
    """Deletion, insertion, ROAD and stability of one visit's maps of one kind.

    Args:
        held: one visit.
        names: for each pair visit, patient, side and label.
        apart: the fellow eye has no part in an eye's score.
    """
    batch = held.batch
    generator = torch.Generator().manual_seed(_seed(options.seed, row.name, batch.ids[0]))
    maps = held.pick(row.maps(network, batch, held.labels, generator))
    moved = _stability(network, row, held, maps, generator)
    for number, ((eye, label), values) in enumerate(zip(held.pairs, maps, strict=True)):
        score = EyeScore(network, batch, eye, label, apart)
        pixels = score.pixels
        field = field_of(pixels)
        order = removal_order(values, field, generator)
        found = curves(score, pixels, baseline(pixels, field, options.baseline), order, options.steps)
        filled = road(score, pixels, order, options.road_parts, generator)
        numbers = {"logit": float(found.deletion[0]), "drop": found.drop, **found.areas(), **filled.combined()}
        visit, patient, side, code = names[number]
        yield Case(row.name, visit, patient, side, code, {**numbers, **moved[number]}, _drawn(found))


def _drawn(found: Curves) -> dict[str, list[float]]:
    deletion, insertion = found.relative()
    both = {"deletion_logit": deletion, "insertion_logit": insertion}
    both |= {"deletion_probability": found.deletion.sigmoid(), "insertion_probability": found.insertion.sigmoid()}
    return {name: curve.tolist() for name, curve in both.items()}


def _seed(seed: int, *words: str) -> int:
    """A number of its own for every row and visit, the same on every machine."""
    mixed = seed
    for letter in "/".join(words).encode():
        mixed = (mixed * 1_000_003 + letter) % (2**62)
    return mixed


def _stability(
    network: nn.Module, row: Source, held: Held, maps: Sequence[Tensor], generator: torch.Generator
) -> list[dict[str, float]]:
    """Per pair the means over the moves: `stability_shift`, `stability_turn` (Spearman) and `displacement_...`."""
    batch, kinds = held.batch, ("shift", "turn")
    found: list[dict[str, list[float]]] = [{} for _ in held.pairs]
    for move in moves(batch.fundus.shape[-1]):
        kind = kinds[bool(move.degrees)]
        changed = _with_pixels(batch, move.apply(batch.fundus))
        again = held.pick(move.back(row.maps(network, changed, held.labels, generator).nan_to_num()))
        for one, (eye, _), before, after in zip(found, held.pairs, maps, again, strict=True):
            field = move.kept(field_of(batch.fundus[0, eye]))
            one.setdefault(f"stability_{kind}", []).append(spearman(before, after, field))
            one.setdefault(f"displacement_{kind}", []).append(displacement(before, after, field))
    return [{name: _mean(values) for name, values in one.items()} for one in found]


def _with_pixels(batch: Batch, fundus: Tensor) -> Batch:
    values: dict[str, Any] = {field.name: getattr(batch, field.name) for field in fields(Batch)}
    return Batch(**{**values, "fundus": fundus})


def randomisation(
    network: nn.Module, rows: Sequence[Source], held: Held, options: Options, track: Track
) -> dict[str, dict[str, NDArrays]]:
    """Maps of networks with random weights against those of the trained one.

    Returns:
        Per kind of map `absolute` (|Spearman|), `signed` and `ssim`, each (pairs, depths) as means over the seeds, and
        `patients` (pairs,).
    """
    generator = torch.Generator().manual_seed(options.seed)
    fields_ = [field_of(held.batch.fundus[row, eye]) for row, (eye, _) in zip(held.rows, held.pairs, strict=True)]
    before = {row.name: held.pick(row.maps(network, held.batch, held.labels, generator)) for row in rows}
    seeds = range(options.seed, options.seed + options.random_weights)
    found: dict[str, list[list[tuple[float, float]]]] = {row.name: [] for row in rows}
    total = options.random_weights * options.depths * len(rows)
    work = (
        (row, seed, depth, changed)
        for seed in seeds
        for depth, changed in enumerate(cascade(network, held.batch, 1000 + seed, options.depths))
        for row in rows
    )
    for row, _, _, changed in track(work, "random weights", total):
        after = held.pick(row.maps(changed, held.batch, held.labels, generator))
        pairs = zip(before[row.name], after, fields_, strict=True)
        found[row.name].append([(spearman(a, b, field), ssim(a, b, field)) for a, b, field in pairs])
    return {name: _gathered(values, options.random_weights, held) for name, values in found.items()}


def _gathered(values: list[list[tuple[float, float]]], seeds: int, held: Held) -> dict[str, NDArrays]:
    """(seeds · depths) lists over pairs to means over the seeds."""
    array = np.array(values).reshape(seeds, -1, len(held.pairs), 2)
    rank, alike = (array[..., k].transpose(0, 2, 1) for k in range(2))  # (seeds, pairs, depths)
    made = {"absolute": np.abs(rank).mean(0), "signed": rank.mean(0), "ssim": alike.mean(0)}
    return {**made, "patients": np.array(held.patients)}


def _mean(values: Sequence[float]) -> float:
    """Of those that are defined."""
    here = [value for value in values if not math.isnan(value)]
    return float(np.mean(here)) if here else float("nan")
