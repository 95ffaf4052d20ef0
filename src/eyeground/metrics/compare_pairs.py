"""Two systems, all their numbers at once: what the tables of a comparison are made from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eyeground.metrics.cells import Array
from eyeground.metrics.compare_areas import Gap, Moves, gap, moves_of
from eyeground.metrics.compare_numbers import OVERALL, Ground, alone, resampled, side_by_side, swapped, themselves
from eyeground.metrics.compare_runs import Runs, mixed, patient_variance
from eyeground.metrics.permutation import is_exact, p_values
from eyeground.metrics.quantiles import LARGE
from eyeground.metrics.resample import Plan, percentile


@dataclass(frozen=True)
class System:
    """A name and the predictions of one or more training runs, each (n, C) in [0, 1]."""

    name: str
    runs: tuple[Array, ...]


@dataclass(frozen=True)
class Rules:
    """How to compare.

    Attributes:
        draws: resamples of patients. permutations: swaps of patients; all swaps where there are no more.
        seed: of both. level: of the intervals; 1 less it is where p values count as a difference shown.
        by: the number that ranks and that the verdicts are about, of `OVERALL`.
        threads: at most; None means one for each core. It changes no number.
    """

    draws: int = 2000
    permutations: int = 10_000
    seed: int = 0
    level: float = 0.95
    by: str = "macro_auc"
    threads: int | None = None


@dataclass(frozen=True)
class Pair:
    """Two systems, all numbers (k,) at once; `areas` has DeLong's answer by column."""

    first: int
    second: int
    difference: Array
    interval: Array
    error: Array
    degrees: Array
    undefined: NDArray[np.int64]
    p_permutation: Array
    p_runs: Array | None
    areas: dict[int, Gap]
    identical: bool

    @property
    def p(self) -> Array:
        """The p value that counts: over patients and runs where there are several runs, else by permutation."""
        return self.p_permutation if self.p_runs is None else self.p_runs


def runs_of(ground: Ground, systems: Sequence[System], rules: Rules) -> list[Runs]:
    """Numbers of every run as they are and in the same resamples of patients."""
    sheets = [alone(ground, run) for one in systems for run in one.runs]
    values = np.stack([themselves(one) for one in sheets])
    drawn = resampled(sheets, Plan(rules.draws, rules.seed, rules.threads))
    ends = np.cumsum([len(one.runs) for one in systems])
    return [
        Runs(part, again) for part, again in zip(np.split(values, ends[:-1]), np.split(drawn, ends[:-1]), strict=True)
    ]


def moves_by_label(ground: Ground, runs: Sequence[Array]) -> list[Moves | None]:
    """DeLong's per label; None where a class has fewer than two patients."""
    found = []
    for c, mask in enumerate(ground.known.T):
        scores = np.stack([run[mask, c] for run in runs])
        found.append(moves_of(ground.labels[mask, c], scores, ground.patient[mask], ground.people))
    return found


def pair_of(
    ground: Ground,
    systems: Sequence[System],
    runs: Sequence[Runs],
    moves: Sequence[Moves | None],
    which: tuple[int, int, Rules],
) -> Pair:
    """Everything about two of the systems, `which` by their places.

    Args:
        runs: of `runs_of`; moves: of `moves_by_label`.
    """
    i, j, rules = which
    difference = runs[i].mean - runs[j].mean
    between = runs[i].drawn.mean(axis=0) - runs[j].drawn.mean(axis=0)
    error, degrees = np.sqrt(patient_variance(runs[i], runs[j])), np.full(len(difference), 2 * LARGE)
    bounds = [percentile(column, rules.level) for column in between.T]
    interval, p_runs = np.array([[one.low, one.high] for one in bounds]), None
    if max(len(one.values) for one in (runs[i], runs[j])) > 1:
        both = mixed(runs[i], runs[j])
        error, degrees, interval, p_runs = both.error, both.degrees, both.interval(rules.level), both.p()
    return Pair(
        i,
        j,
        difference,
        interval,
        error,
        degrees,
        np.array([one.undefined for one in bounds]),
        _permuted(ground, systems[i], systems[j], difference, rules),
        p_runs,
        _areas(moves, ground.both, _weights(systems, i, j)),
        _alike(systems[i], systems[j]),
    )


def _permuted(ground: Ground, first: System, second: System, observed: Array, rules: Rules) -> Array:
    """p values (k,): each patient's predictions of all runs are swapped together, run by run in their order."""
    times = math.lcm(len(first.runs), len(second.runs))
    sheets = [
        side_by_side(ground, first.runs[t % len(first.runs)], second.runs[t % len(second.runs)]) for t in range(times)
    ]
    plan = Plan(rules.permutations, rules.seed, rules.threads)
    return p_values(observed, swapped(sheets, plan), is_exact(ground.people, plan))


def _weights(systems: Sequence[System], first: int, second: int) -> Array:
    """What each run counts in the difference of the means of two systems."""
    signs = {first: 1.0, second: -1.0}
    return np.concatenate([np.full(len(one.runs), signs.get(k, 0.0) / len(one.runs)) for k, one in enumerate(systems)])


def _areas(moves: Sequence[Moves | None], both: list[int], weights: Array) -> dict[int, Gap]:
    found = {len(OVERALL) + c: gap([one], weights) for c, one in enumerate(moves) if one is not None}
    averaged = [moves[c] for c in both]
    usable = [one for one in averaged if one is not None]
    if usable and len(usable) == len(averaged):
        found[0] = gap(usable, weights)
    return found


def _alike(first: System, second: System) -> bool:
    return len(first.runs) == len(second.runs) and all(
        np.array_equal(one, other) for one, other in zip(first.runs, second.runs, strict=True)
    )
