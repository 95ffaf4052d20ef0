"""Curricula: does a network learn several diseases in one eye better when it has seen them one by one first?

A row of training has one label or several: the number of its labels that are *known to be present*. An unknown label
counts as absent, so among partly labelled rows some with `one` may in truth have several. Rows without a present label
belong to neither group. Time t runs from 0 to 1 over all rows that the run draws, so a phase may end inside an epoch.

| rule | here |
|---|---|
| two phases, one group and then all | `Phased` |
| p(t) = p_nat · pace(t / T0), the chance that a drawn row has several labels | `Paced` |
| order by the number of labels, then by class frequency | `by_rarity`, `Growing` |
| L = Σ w_g(i) BCE_i / Σ w_g(i), g the row's group | `group_weights`, `losses.masked` |
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eyeground.errors import DataError, UsageError
from eyeground.sampling.rows import Rows, Sampler

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Pace = Literal["linear", "root", "step"]
Name = Literal["none", "single_first", "multi_first", "single_only", "paced", "paced_reverse", "rarity"]
FIRST_SHARE = 0.1
"""Part of the rows in `rarity`'s order that may be drawn from the start."""


@dataclass(frozen=True)
class Curriculum:
    """In which order rows with one label and with several are drawn, and what each group counts in the loss."""

    curriculum: Name = "none"
    """none; single_first: rows with one label, then all; multi_first: rows with several, then all; single_only; paced:
    the share of rows with several labels rises; paced_reverse: that of all others does; rarity: rare ones first."""
    phase_fraction: float = 0.5
    """Part of all steps after which single_first, multi_first, paced, paced_reverse and rarity draw all rows evenly."""
    pace: Pace = "linear"
    """How paced, paced_reverse and rarity get there: t/T0, its square root, or a step at T0."""
    phase_normal: bool = True
    """Rows whose one label is Normal take part in the first phase of single_first and in single_only."""
    phase_balance: bool = False
    """The first phase of single_first and multi_first, and single_only, draw every label equally often."""
    single_weight: float = 1.0
    """What a row with one label counts in the loss."""
    multi_weight: float = 1.0
    """What a row with several labels counts in the loss."""

    def check_curriculum(self) -> None:
        """Raises `UsageError` for values that can't be, or that would have no effect."""
        if not 0 < self.phase_fraction <= 1:
            raise UsageError(f"--phase-fraction must be in (0, 1], not {self.phase_fraction}")
        weights = (self.single_weight, self.multi_weight)
        if not all(math.isfinite(one) and one >= 0 for one in weights) or max(weights) == 0:
            raise UsageError("--single-weight and --multi-weight must be numbers from 0 on, and not both 0")
        ordered = ("single_first", "multi_first", "paced", "paced_reverse", "rarity")
        limits = {
            "--phase-fraction": (self.phase_fraction != Curriculum.phase_fraction, ordered),
            "--pace": (self.pace != "linear", ("paced", "paced_reverse", "rarity")),
            "--no-phase-normal": (not self.phase_normal, ("single_first", "single_only")),
            "--phase-balance": (self.phase_balance, ("single_first", "multi_first", "single_only")),
        }
        for flag, (given, fitting) in limits.items():
            if given and self.curriculum not in fitting:
                raise UsageError(f"{flag} has an effect with --curriculum {', '.join(fitting)} only; leave it out")


def counts(rows: Rows) -> Ints:
    """Labels of each row that are known to be present, (n,)."""
    return rows.present().sum(1, dtype=np.int64)


def group_weights(settings: Curriculum, rows: Rows) -> NDArray[np.float32] | None:
    """What each row counts in the loss, (n,): its group's weight, 1 in neither group; None where all count 1."""
    if settings.single_weight == settings.multi_weight == 1:
        return None
    several = counts(rows)
    weights = np.where(several == 1, settings.single_weight, np.where(several > 1, settings.multi_weight, 1.0))
    return weights.astype(np.float32)


def pace_at(t: Floats, t0: float, pace: Pace) -> Floats:
    """How far a paced curriculum is at times t, 0 to 1: min(1, t/T0), its root, or [t >= T0]."""
    if pace == "step":
        return (t >= t0).astype(np.float64)
    along = np.minimum(1.0, t / t0)
    return np.sqrt(along) if pace == "root" else along


def by_rarity(rows: Rows) -> Ints:
    """Row numbers by the number of labels, then by how many rows have the row's rarest label (rare first).

    Rows without a label come last; ties stay in the order of the rows.
    """
    present, several = rows.present(), counts(rows)
    frequency = np.where(present, present.sum(0), len(rows) + 1).min(1)
    return np.lexsort((frequency, np.where(several == 0, present.shape[1] + 1, several)))


def rounds(pool: Ints, count: int, generator: np.random.Generator) -> Ints:
    """`count` rows of a pool in whole shuffled rounds: none is drawn again before all others were."""
    times = -(-count // len(pool))
    return np.concatenate([generator.permutation(pool) for _ in range(times)] or [pool])[:count]


def balanced(pool: Ints, present: NDArray[np.bool_], count: int, generator: np.random.Generator) -> Ints:
    """`count` rows of a pool, every label that the pool has equally often asked for, rows of a label in rounds."""
    labels = np.flatnonzero(present[pool].any(0))
    asked = rounds(labels, count, generator)
    drawn = np.empty(count, np.int64)
    for label in labels:
        here = asked == label
        drawn[here] = rounds(pool[present[pool, label]], int(here.sum()), generator)
    return drawn


class Phased:
    """A first phase from a pool, then every row once an epoch.

    Args:
        pool: rows of the first phase. until: part of the run that it lasts.
        balance: labels (n, C) that are drawn equally often in the first phase; None draws the pool in rounds.
    """

    def __init__(self, rows: Rows, pool: Ints, until: float, balance: NDArray[np.bool_] | None = None) -> None:
        self.count, self.pool, self.until, self.balance = len(rows), pool, until, balance

    def draw(self, epoch: int, epochs: int, generator: np.random.Generator) -> Ints:
        first = int(np.clip(round(self.until * epochs * self.count) - epoch * self.count, 0, self.count))
        if self.balance is None:
            early = rounds(self.pool, first, generator)
        else:
            early = balanced(self.pool, self.balance, first, generator)
        return np.concatenate([early, generator.permutation(self.count)[: self.count - first]])


class Paced:
    """Rows of one group with a chance that rises from 0 to their natural share, then every row once an epoch."""

    def __init__(self, rows: Rows, rising: NDArray[np.bool_], settings: Curriculum) -> None:
        self.count, self.until, self.pace = len(rows), settings.phase_fraction, settings.pace
        self.rising, self.others = np.flatnonzero(rising), np.flatnonzero(~rising)

    def draw(self, epoch: int, epochs: int, generator: np.random.Generator) -> Ints:
        t = _times(epoch, epochs, self.count)
        early = t[t < self.until]
        chance = len(self.rising) / self.count * pace_at(early, self.until, self.pace)
        late = generator.random(len(early)) < chance
        drawn = np.empty(len(early), np.int64)
        drawn[late] = rounds(self.rising, int(late.sum()), generator)
        drawn[~late] = rounds(self.others, int((~late).sum()), generator)
        return np.concatenate([drawn, generator.permutation(self.count)[: self.count - len(early)]])


class Growing:
    """Any of the first rows of an order, of which ever more may be drawn, then every row once an epoch."""

    def __init__(self, order: Ints, settings: Curriculum) -> None:
        self.order, self.count, self.until, self.pace = order, len(order), settings.phase_fraction, settings.pace

    def open(self, t: Floats) -> Ints:
        """How many rows of the order may be drawn at times t."""
        share = FIRST_SHARE + (1 - FIRST_SHARE) * pace_at(t, self.until, self.pace)
        return np.clip(np.rint(share * self.count), 1, self.count).astype(np.int64)

    def draw(self, epoch: int, epochs: int, generator: np.random.Generator) -> Ints:
        t = _times(epoch, epochs, self.count)
        early = t[t < self.until]
        drawn = self.order[(generator.random(len(early)) * self.open(early)).astype(np.int64)]
        return np.concatenate([drawn, generator.permutation(self.count)[: self.count - len(early)]])


def make_curriculum(settings: Curriculum, rows: Rows) -> Sampler:
    """The sampler of a curriculum other than none.

    Raises:
        DataError: no row with one label, or none with several.
    """
    several, name = counts(rows), settings.curriculum
    for what, there in (("with one label", several == 1), ("with several labels", several > 1)):
        if not there.any():
            raise DataError(
                f"--curriculum {name} orders rows with one label and with several, and the training part has no row "
                f"{what}; use --curriculum none"
            )
    if name in ("paced", "paced_reverse"):
        return Paced(rows, (several > 1) == (name == "paced"), settings)
    if name == "rarity":
        return Growing(by_rarity(rows), settings)
    pool = several > 1 if name == "multi_first" else several == 1
    if not settings.phase_normal:
        pool = pool & ~(rows.present() & np.array(rows.every or [False])).any(1)
        if not pool.any():
            raise DataError("without Normal no training row with one label is left; leave --no-phase-normal out")
    until = 1.0 if name == "single_only" else settings.phase_fraction
    return Phased(rows, np.flatnonzero(pool), until, rows.present() if settings.phase_balance else None)


def _times(epoch: int, epochs: int, count: int) -> Floats:
    """When each row of an epoch is drawn, as a part of the run."""
    return (epoch * count + np.arange(count)) / (epochs * count)
