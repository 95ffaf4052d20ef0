"""Class balance: every label has a factor k, by which its rows are shown more often, or left out.

Bhati et al. (2023, DKCNet) give for N rows of a label and its factor k

| rule | here |
|---|---|
| over-sampling M = N (1 + k) | a row is drawn 1 + max k times an epoch, over its labels |
| under-sampling M = N / k | of rows with factor k a share 1 / k is drawn; k is the smallest of a row's labels |

The rule counts label by label. A row with several labels can be drawn only once for all of them, so the largest k wins
when rows are added and the smallest when they are left out: its rarest label decides, and a label that often comes with
a rare one gets more rows than its rule says (`table` tells how many). Rows without a present label are drawn once.
Whatever is left out is drawn anew in every epoch; the paper leaves rows out once and for all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eyeground.errors import UsageError, nearest
from eyeground.sampling.rows import Rows

Rule = Literal["over", "under"]
Ints = NDArray[np.int64]

ODIR_FACTORS: dict[Rule, dict[str, float]] = {
    "over": {"N": 0, "D": 0, "G": 5, "C": 5, "A": 7, "H": 12, "M": 6, "O": 0},
    "under": {"N": 12, "D": 11, "G": 2, "C": 2, "A": 2, "H": 1, "M": 2, "O": 10},
}
"""The paper's, for ODIR-5K's eight labels."""


@dataclass(frozen=True)
class Balance:
    """Whether rare labels are drawn more often, or frequent ones less."""

    balance: Literal["none", "over", "under"] = "none"
    """over: a row is drawn 1 + k times an epoch, k the largest factor of its labels; under: one in k is, k the smallest
    factor of its labels."""
    balance_factors: tuple[str, ...] = ()
    """Factors as LABEL=k, such as H=12 A=7; labels not named have 0 (over) or 1 (under). None are DKCNet's for ODIR."""

    def check_balance(self) -> None:
        """Raises `UsageError` for factors that can't be, or that would have no effect."""
        if self.balance_factors and self.balance == "none":
            raise UsageError("--balance-factors has an effect with --balance over or under only; give one, or neither")
        if self.balance != "none":
            _read(self.balance_factors, self.balance)


@dataclass(frozen=True)
class LabelCount:
    """One line of `table`: rows with the label, its factor, what the rule makes of them, what an epoch draws."""

    code: str
    natural: int
    factor: float
    rule: int
    drawn: float


def factors_of(settings: Balance, codes: Sequence[str]) -> NDArray[np.float64]:
    """The factor of every label, (C,): those given, or the paper's.

    Raises:
        UsageError: not LABEL=k, an unknown label, a k that can't be, or no factors where the labels are not ODIR's.
    """
    assert settings.balance != "none"
    given: Mapping[str, float] = _read(settings.balance_factors, settings.balance)
    if not given:
        given = ODIR_FACTORS[settings.balance]
        if set(given) != set(codes):
            example = " ".join(f"{code}=2" for code in codes[:2])
            raise UsageError(
                f"--balance {settings.balance} has factors for the labels {' '.join(given)} only; give those of "
                f"{' '.join(codes)}, such as --balance-factors {example}, or train with --balance none"
            )
    for code in given:
        if code not in codes:
            raise UsageError(
                f"--balance-factors: no label '{code}'{nearest(code, codes)} (there are {' '.join(codes)})"
            )
    rest = 0.0 if settings.balance == "over" else 1.0
    return np.array([given.get(code, rest) for code in codes], dtype=np.float64)


def _read(texts: Sequence[str], rule: Rule) -> dict[str, float]:
    """LABEL=k pairs as a table."""
    factors: dict[str, float] = {}
    for text in texts:
        code, sign, number = text.rpartition("=")
        try:
            k = float(number)
        except ValueError:
            k = math.nan
        if not (code and sign) or not math.isfinite(k):
            raise UsageError(f"--balance-factors takes LABEL=k, such as H=12, not '{text}'")
        if rule == "over" and (k < 0 or k != int(k)):
            raise UsageError(f"--balance-factors {text}: over-sampling adds k copies; k is a whole number from 0 on")
        if rule == "under" and k < 1:
            raise UsageError(f"--balance-factors {text}: under-sampling keeps one in k; k is 1 or more")
        if code in factors:
            raise UsageError(f"--balance-factors names {code} twice; keep one")
        factors[code] = k
    return factors


def row_factors(rows: Rows, factors: NDArray[np.float64], rule: Rule) -> NDArray[np.float64]:
    """The factor that decides each row, (n,): over its present labels the largest (over) or the smallest (under)."""
    present = rows.present()
    if rule == "over":
        return np.where(present, factors, 0.0).max(1, initial=0.0)
    smallest = np.where(present, factors, np.inf).min(1, initial=np.inf)
    return np.where(np.isfinite(smallest), smallest, 1.0)


class OverSampler:
    """Every row 1 + k times an epoch, in a new order; k is its `row_factors`."""

    def __init__(self, rows: Rows, factors: NDArray[np.float64]) -> None:
        copies = 1 + row_factors(rows, factors, "over").astype(np.int64)
        self.expected = copies.astype(np.float64)
        self.repeated = np.repeat(np.arange(len(rows), dtype=np.int64), copies)
        self.count = len(self.repeated)

    def draw(self, epoch: int, epochs: int, generator: np.random.Generator) -> Ints:
        return generator.permutation(self.repeated)


class UnderSampler:
    """Of the n rows that have one factor k, n / k (rounded) in an epoch, drawn anew without repeats."""

    def __init__(self, rows: Rows, factors: NDArray[np.float64]) -> None:
        own = row_factors(rows, factors, "under")
        self.expected = np.zeros(len(rows))
        self.groups: list[tuple[Ints, int]] = []
        for k in np.unique(own):
            members = np.flatnonzero(own == k)
            kept = max(1, round(len(members) / float(k)))
            self.groups.append((members, kept))
            self.expected[members] = kept / len(members)
        self.count = sum(kept for _, kept in self.groups)

    def draw(self, epoch: int, epochs: int, generator: np.random.Generator) -> Ints:
        drawn = [generator.permutation(members)[:kept] for members, kept in self.groups]
        return generator.permutation(np.concatenate([*drawn, np.zeros(0, np.int64)]))


def make_balanced(settings: Balance, rows: Rows) -> OverSampler | UnderSampler:
    """The sampler of a balance other than none. Raises `UsageError`, see `factors_of`."""
    factors = factors_of(settings, rows.codes)
    return OverSampler(rows, factors) if settings.balance == "over" else UnderSampler(rows, factors)


def table(settings: Balance, rows: Rows) -> tuple[LabelCount, ...]:
    """For every label: how many rows have it, what the published rule makes of them, what an epoch really draws.

    `drawn` is the expected number of drawn rows that have the label. The rule's count is rounded (half to even).
    """
    factors, sampler, present = factors_of(settings, rows.codes), make_balanced(settings, rows), rows.present()
    lines = []
    for c, (code, k) in enumerate(zip(rows.codes, factors.tolist(), strict=True)):
        natural = int(present[:, c].sum())
        rule = natural * (1 + k) if settings.balance == "over" else natural / k
        lines.append(LabelCount(code, natural, k, round(rule), float(sampler.expected[present[:, c]].sum())))
    return tuple(lines)
