"""The blend itself: from what the networks say of two eyes to one answer for each eye and for the visit.

Every seen eye is a row: [this eye, its fellow, this eye's deviation, its fellow's, both, fellow seen, right eye]. The
fellow's features are zeros after standardising (the mean) where it is not seen, and `fellow seen` says so; `right eye`
is there only where it was asked for, since with it an exchange of the eyes changes the answer. A row's truth is its
eye's label, and the visit is the worst of its eyes (for Normal the least normal one), or, where a cohort labels visits
alone, its visit's label, and the visit is the mean of its rows. Both rules and the rows are the same whichever eye is
called left.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eyeground.errors import DataError
from eyeground.nets.trees import Growth, Trees, grow
from eyeground.runs.blend_features import Said
from eyeground.vocabulary import Vocabulary

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Kind = Literal["forest", "dense", "mean"]
Target = Literal["eye", "visit"]


@dataclass(frozen=True)
class Rows:
    """Rows of seen eyes: values (m, K) not standardised, NaN where the fellow is not seen; `flags` (m, F) are 0 or 1.

    visit, side int (m,): whose they are. mean (m, C): the networks' mean calibrated probability of this eye.
    """

    values: Array
    flags: Array
    visit: NDArray[np.intp]
    side: NDArray[np.intp]
    mean: Array


def rows_of(said: Sequence[Said], right_eye: bool) -> Rows:
    """The rows of n visits, left eyes first within a visit."""
    means = [one.mean for one in said]
    deviations = [one.deviation for one in said if one.deviation is not None]
    both = np.concatenate([one.both for one in said], 1)
    seen = said[0].seen
    visit, side = np.nonzero(seen)
    columns = []
    for block in (means, deviations):
        if block:
            joined = np.concatenate(block, 2)
            columns += [joined[visit, side], joined[visit, 1 - side]]
    flags = [seen[visit, 1 - side]] + ([side == 1] if right_eye else [])
    mean = np.mean([one.eye_probability for one in said], axis=0)[visit, side]
    values = np.concatenate([*columns, both[visit]], 1)
    return Rows(values, np.stack(flags, 1).astype(np.float64), visit, side, mean)


@dataclass(frozen=True)
class Truth:
    """Labels and what of them is known: of visits (n, C) and of eyes (n, 2, C), and the patients (n,)."""

    labels: NDArray[np.float32]
    known: Mask
    eye_labels: NDArray[np.float32]
    eye_known: Mask
    patients: NDArray[np.str_]

    def of_rows(self, rows: Rows, target: Target) -> tuple[NDArray[np.float32], Mask]:
        """Labels and mask (m, C) of rows."""
        if target == "eye":
            return self.eye_labels[rows.visit, rows.side], self.eye_known[rows.visit, rows.side]
        return self.labels[rows.visit], self.known[rows.visit]

    def take(self, which: Mask) -> Truth:
        """The truth of these visits alone."""
        return Truth(**{name: value[which] for name, value in vars(self).items()})


@dataclass(frozen=True)
class Settings:
    """How a blend is fitted. `fewest` patients with and without a label are wanted; else it is refused, or answered by
    the networks' mean where `rare_by_mean`. nets: of the dense blend. by_mean (C,): labels so answered in any case."""

    kind: Kind = "forest"
    growth: Growth = field(default_factory=Growth)
    nets: int = 6
    fewest: int = 5
    rare_by_mean: bool = False
    right_eye: bool = False
    by_mean: tuple[bool, ...] = ()


@dataclass(frozen=True)
class Blender:
    """A fitted blend. centre, scale (K,) standardise; `by_mean` bool (C,): labels answered by the networks' mean.

    `forests` has Trees or None by label, `dense` the nets' weights; neither with the kind mean.
    """

    kind: Kind
    target: Target
    every: tuple[bool, ...]
    right_eye: bool
    centre: Array
    scale: Array
    by_mean: tuple[bool, ...]
    forests: tuple[Trees | None, ...] = ()
    dense: Any = None

    def given(self, rows: Rows) -> NDArray[np.float32]:
        """What the learner reads of rows: standardised values, 0 where not seen, then the flags; float32 (m, K + F)."""
        standard = (rows.values - self.centre) / self.scale
        return np.concatenate([np.nan_to_num(standard, nan=0.0), rows.flags], 1).astype(np.float32)

    def of_rows(self, rows: Rows) -> Array:
        """Probability of each row's target, (m, C)."""
        if self.kind == "mean":
            return rows.mean
        given = self.given(rows)
        if self.kind == "dense":
            return np.where(self.by_mean, rows.mean, self.dense.probability(given))
        columns = [rows.mean[:, c] if one is None else one.probability(given) for c, one in enumerate(self.forests)]
        return np.stack(columns, 1)

    def answer(self, said: Sequence[Said]) -> tuple[Array, Array]:
        """Probabilities of visits (n, C) and of their eyes (n, 2, C), NaN where not seen; not calibrated."""
        if self.kind == "mean":
            visits = np.mean([one.probability for one in said], axis=0)
            return visits, np.mean([one.eye_probability for one in said], axis=0)
        rows = rows_of(said, self.right_eye)
        eyes = np.full(said[0].eye_probability.shape, np.nan)
        eyes[rows.visit, rows.side] = self.of_rows(rows)
        return self.of_visits(eyes), eyes

    def of_visits(self, eyes: Array) -> Array:
        """(n, 2, C) to (n, C) by the rule of the target; every visit has an eye that is seen."""
        if self.target == "visit":
            return np.asarray(np.nanmean(eyes, axis=1))
        return np.asarray(np.where(self.every, np.nanmin(eyes, axis=1), np.nanmax(eyes, axis=1)))


def fit(said: Sequence[Said], truth: Truth, vocabulary: Vocabulary, settings: Settings, where: str) -> Blender:
    """Fits a blend on visits that the networks were not trained on (or says where it was, see `runs.blend`).

    Raises:
        DataError: a label with too few patients with or without it.
    """
    rows = rows_of(said, settings.right_eye)
    target: Target = "eye" if truth.eye_known.any() else "visit"
    labels, known = truth.of_rows(rows, target)
    every = tuple(label.visit == "all" for label in vocabulary.labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns that nobody has: a fellow eye that is never there
        centre, scale = np.nanmean(rows.values, 0), np.nanstd(rows.values, 0)
    centre, scale = np.nan_to_num(centre, nan=0.0), np.where(scale > 1e-12, scale, 1.0)
    none = (False,) * len(every)
    blank = Blender(settings.kind, target, every, settings.right_eye, centre, scale, none)
    if settings.kind == "mean":
        return blank
    by_mean = tuple(_too_few(labels, known, truth.patients[rows.visit], vocabulary.codes, settings, where))
    blank = replace(blank, by_mean=by_mean)
    given = blank.given(rows)
    if settings.kind == "dense":
        from eyeground.nets.dense_blend import learn

        known = known & ~np.array(by_mean)
        return replace(blank, dense=learn(given, labels, known, settings.nets, settings.growth.seed))
    forests = [
        None if rare else grow(given[known[:, c]], labels[known[:, c], c] > 0.5, settings.growth)
        for c, rare in enumerate(by_mean)
    ]
    return replace(blank, forests=tuple(forests))


def _too_few(
    labels: NDArray[np.float32],
    known: Mask,
    patients: NDArray[np.str_],
    codes: Sequence[str],
    settings: Settings,
    where: str,
) -> list[bool]:
    """Which labels the networks' mean has to answer. Raises `DataError` unless that was allowed."""
    counts = {
        code: [len(set(patients[known[:, c] & (labels[:, c] == state)])) for state in (1, 0)]
        for c, code in enumerate(codes)
    }
    forced = settings.by_mean or (False,) * len(codes)
    rare = [min(pair) < settings.fewest or told for pair, told in zip(counts.values(), forced, strict=True)]
    if any(rare) and not settings.rare_by_mean:
        code, (with_it, without) = next(item for item, few in zip(counts.items(), rare, strict=True) if few)
        raise DataError(
            f"{where} has {with_it} patients with {code} and {without} without, {settings.fewest} of each are wanted "
            f"to fit a blend ({sum(rare)} of {len(rare)} labels have fewer); give --rare-by-mean to answer these by "
            "the networks' mean, or --kind mean"
        )
    return rare


def without_own_fold(
    said: Sequence[Said], truth: Truth, vocabulary: Vocabulary, whole: Blender, settings: Settings, folds: int = 5
) -> tuple[Array, Array]:
    """Answers (n, C) and (n, 2, C) of each visit by a blend that was fitted without its patient.

    Labels that the `whole` blend answers by the networks' mean are so answered here: thresholds are chosen on this.
    """
    patients = np.unique(truth.patients)
    generator = np.random.default_rng(settings.growth.seed)
    fold = dict(zip(generator.permutation(patients).tolist(), np.arange(len(patients)) % folds, strict=True))
    at = np.array([fold[name] for name in truth.patients.tolist()])
    easy = replace(settings, fewest=1, rare_by_mean=True, by_mean=whole.by_mean)
    visits, eyes = np.full(truth.labels.shape, np.nan), np.full(truth.eye_labels.shape, np.nan)
    for number in range(min(folds, len(patients))):
        out = at == number
        blender = fit([part(one, ~out) for one in said], truth.take(~out), vocabulary, easy, "")
        visits[out], eyes[out] = blender.answer([part(one, out) for one in said])
    return visits, eyes


def part(said: Said, which: Mask) -> Said:
    """What was said of these visits alone."""
    chosen: dict[str, Any] = {name: None if value is None else value[which] for name, value in vars(said).items()}
    return Said(**chosen)


def to_arrays(blender: Blender) -> dict[str, NDArray[Any]]:
    """The numbers of a blend, for a safetensors file."""
    arrays: dict[str, NDArray[Any]] = {"centre": blender.centre, "scale": blender.scale}
    for c, trees in enumerate(blender.forests):
        if trees is not None:
            arrays |= trees.arrays(f"forest{c}")
    if blender.dense is not None:
        arrays |= blender.dense.weights
    return arrays


def from_arrays(about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Blender:
    """A blend from its record (`kind`, `target`, `every`, `right_eye`, `by_mean`) and its numbers.

    Raises:
        ValueError: they do not fit each other.
    """
    kind, by_mean = about["kind"], tuple(bool(one) for one in about["by_mean"])
    forests: tuple[Trees | None, ...] = ()
    dense = None
    columns = len(arrays["centre"]) + 1 + bool(about["right_eye"])
    if kind == "forest":
        found = [None if rare else Trees.from_arrays(f"forest{c}", arrays) for c, rare in enumerate(by_mean)]
        if any(one is not None and one.feature.max(initial=0) >= columns for one in found):
            raise ValueError(f"the trees ask for more than {columns} features")
        forests = tuple(found)
    elif kind == "dense":
        from eyeground.nets.dense_blend import Maxouts

        dense = Maxouts.from_arrays(arrays)
    elif kind != "mean":
        raise ValueError(f"kind '{kind}' is not known here")
    every = tuple(bool(one) for one in about["every"])
    standard = np.asarray(arrays["centre"]), np.asarray(arrays["scale"])
    return Blender(kind, about["target"], every, bool(about["right_eye"]), *standard, by_mean, forests, dense)
