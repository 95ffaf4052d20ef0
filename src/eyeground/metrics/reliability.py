"""Probabilities before and after a calibration, side by side on the same patients, with intervals.

Brier score, log loss and the expected calibration error (ECE) are those of `probability`. Intervals draw patients. That
of the ECE needs care, as chance alone makes it larger than 0 (Bröcker & Smith, Weather and Forecasting 22, 2007): it
reaches down to 0 where the ECE is no larger than chance makes it in 95 of 100 samples of calibrated probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.delong import people_of
from eyeground.metrics.probability import cell_losses, reliability
from eyeground.metrics.resample import Plan, weights_of

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
MEASURES = ("log_loss", "brier", "ece")
LEVEL = 0.95
BLOCK = 4_000_000
"""Most draws x patients held at once."""


def compare(
    truth: ArrayLike,
    known: ArrayLike,
    versions: Mapping[str, ArrayLike],
    patients: ArrayLike,
    codes: Sequence[str],
    plan: Plan | None = None,
) -> dict[str, Any]:
    """Log loss, Brier score and ECE of several versions of the same probabilities.

    Args:
        truth: (n, C), 0 or 1 where known.
        known: (n, C) bool.
        versions: by name, probabilities (n, C) in [0, 1], such as "before" and "after"; the last is compared with the
            others. Cells that are nan in any of them take no part.
        patients: (n,) who each row belongs to.
        codes: C label codes.
        plan: 2000 draws when None.

    Returns:
        JSON-able: `level, draws, seed, patients`, `pooled` over all cells, and `per_class`, a list with `code`. Each
        has `n`, `n_pos`, and by version `log_loss`, `brier`, `ece` as `{value, interval}`, `chance` (the ECE that
        calibrated probabilities like these have on average) and `bins`; `differences` by version: the last version
        less that one. Undefined and infinite is None.

    Raises:
        ValueError: shapes differ, a known truth is not 0/1, or a probability is outside [0, 1].
    """
    plan = plan or Plan()
    scores = {name: np.asarray(value, np.float64) for name, value in versions.items()}
    mask = np.asarray(known, bool) & ~np.isnan(np.sum(list(scores.values()), axis=0))
    labels = np.where(mask, np.asarray(truth, np.float64), 0.0)
    who = people_of(patients, len(labels))
    drawn = weights_of(int(who.max(initial=-1)) + 1, plan, range(plan.draws)) if len(who) else np.zeros((0, 0))
    rows = []
    for columns in (range(len(codes)), *([c] for c in range(len(codes)))):
        part = np.zeros_like(mask)
        part[:, columns] = mask[:, columns]
        person = np.nonzero(part)[0]
        cells = {name: value[part] for name, value in scores.items()}
        rows.append(_compared(labels[part], cells, who[person], drawn, plan.seed))
    per_class = [{"code": code, **row} for code, row in zip(codes, rows[1:], strict=True)]
    head = {"level": LEVEL, "draws": plan.draws, "seed": plan.seed, "patients": len(np.unique(who))}
    return {**head, "pooled": rows[0], "per_class": per_class}


def ece_intervals(
    truth: ArrayLike,
    known: ArrayLike,
    probability: ArrayLike,
    patients: ArrayLike | None = None,
    plan: Plan | None = None,
) -> list[list[float] | None]:
    """The 95 % intervals of the ECE over all known cells, then of each label's; arguments as in `compare`."""
    plan = plan or Plan()
    mask, scores = np.asarray(known, bool), np.asarray(probability, np.float64)
    labels = np.where(mask, np.asarray(truth, np.float64), 0.0)
    who = people_of(patients, len(labels))
    people = int(who.max(initial=-1)) + 1
    parts = []
    for columns in (slice(None), *(slice(c, c + 1) for c in range(mask.shape[1]))):
        rows, cells = np.nonzero(mask[:, columns])[0], mask[:, columns]
        parts.append((labels[:, columns][cells], scores[:, columns][cells], who[rows]))
    groups = [_groups(truth, probability) for truth, probability, _ in parts]
    each = [_gaps(*part, group, people) for part, group in zip(parts, groups, strict=True)]
    ends = np.cumsum([one.shape[1] for one in each])[:-1]
    table, drawn = np.concatenate(each, axis=1), []
    size = max(1, BLOCK // max(people, 1))
    for start in range(0, plan.draws if people > 1 else 0, size):  # one patient says nothing of others
        block = range(start, min(start + size, plan.draws))
        sums = np.split(weights_of(people, plan, block).astype(np.float64) @ table, ends, axis=1)
        drawn.append(np.stack([_eces(one) for one in sums]))
    resampled = np.concatenate(drawn, axis=1) if drawn else np.full((len(parts), 0), np.nan)
    return [
        _ece_interval(float(_eces(one.sum(axis=0, keepdims=True))[0]), row, _by_chance(*part, group, plan.seed))
        for one, row, part, group in zip(each, resampled, parts, groups, strict=True)
    ]


def _groups(truth: Array, probability: Array) -> NDArray[np.int64]:
    """The bin of each cell."""
    return np.searchsorted([one.low for one in reliability(truth, probability)], probability, side="right") - 1


def _gaps(
    truth: Array, probability: Array, who: NDArray[np.int64], group: NDArray[np.int64], people: int
) -> NDArray[np.float64]:
    """For each patient the number of cells, and in each bin the sum of truth less probability."""
    bins = int(group.max(initial=-1)) + 1
    gaps = np.zeros((people, 1 + bins))
    gaps[:, 0] = np.bincount(who, minlength=people)
    np.add.at(gaps, (who, 1 + group), truth - probability)
    return gaps


def _eces(sums: Array) -> Array:
    """ECE (draws,) from sums of `_gaps` (draws, 1 + bins); nan without a cell."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(sums[:, 0] > 0, np.abs(sums[:, 1:]).sum(axis=1) / sums[:, 0], np.nan)


def _compared(
    truth: Array, versions: dict[str, Array], who: NDArray[np.int64], drawn: NDArray[Any], seed: int
) -> dict[str, Any]:
    """One label's (or all) cells: each version's numbers, and the last one's difference from the others."""
    result: dict[str, Any] = {"n": len(truth), "n_pos": int(truth.sum())}
    values, draws = {}, {}
    for name, probability in versions.items():
        bins, group = reliability(truth, probability), _groups(truth, probability)
        found, resampled = _measured(truth, probability, group, who, drawn)
        chance = _by_chance(truth, probability, who, group, seed)
        values[name], draws[name] = found, resampled
        row: dict[str, Any] = {
            key: {"value": _number(found[key]), "interval": _percentile(resampled[key])} for key in MEASURES
        }
        row["ece"]["interval"] = _ece_interval(found["ece"], resampled["ece"], chance)
        row["chance"] = _number(float(chance.mean())) if len(chance) else None
        result[name] = {**row, "bins": [one.to_dict() for one in bins]}
    *others, last = versions
    result["differences"] = {
        name: {
            key: {
                "value": _number(values[last][key] - values[name][key]),
                "interval": _percentile(draws[last][key] - draws[name][key]),
            }
            for key in ("log_loss", "brier")
        }
        for name in others
    }
    return result


def _measured(
    truth: Array, probability: Array, group: NDArray[np.int64], who: NDArray[np.int64], drawn: NDArray[Any]
) -> tuple[dict[str, float], dict[str, Array]]:
    """The measures, and in every draw: the bins stay, the patients in them change."""
    square, loss = cell_losses(truth == 1, probability)
    columns = [np.ones(len(truth)), loss, square]
    columns += [np.where(group == one, truth - probability, 0.0) for one in range(int(group.max(initial=-1)) + 1)]
    people = drawn.shape[1]
    each = np.stack([np.bincount(who, column, people) for column in columns], axis=1)

    def measures(sums: Array) -> dict[str, Array]:
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = sums[:, 1:] / sums[:, :1]
        return {"log_loss": shares[:, 0], "brier": shares[:, 1], "ece": np.abs(shares[:, 2:]).sum(axis=1)}

    with np.errstate(invalid="ignore"):  # an infinite loss of a patient who was not drawn
        own, resampled = measures(each.sum(axis=0, keepdims=True)), measures(drawn.astype(np.float64) @ each)
    if not len(truth):
        own["ece"] = np.full(1, math.nan)
    return {key: float(value[0]) for key, value in own.items()}, resampled


def _by_chance(
    truth: Array, probability: Array, who: NDArray[np.int64], group: NDArray[np.int64], seed: int, draws: int = 400
) -> Array:
    """ECEs (draws,) of calibrated probabilities: truth drawn by the probabilities themselves, cell by cell.

    Cells of one patient go together (two eyes, labels that exclude each other): the draws are widened by the square
    root of the design effect, what the patients' sums vary beyond what their cells vary (Kish 1965).
    """
    if not len(probability):
        return np.zeros(0)
    generator = np.random.default_rng(seed)
    bins = int(group.max()) + 1
    out = np.empty(draws)
    for draw in range(draws):
        gap = (generator.random(len(probability)) < probability) - probability
        out[draw] = np.abs(np.bincount(group, gap, bins)).sum() / len(probability)
    return out * math.sqrt(_design_effect(truth - probability, who, group, bins))


def _design_effect(gaps: Array, who: NDArray[np.int64], group: NDArray[np.int64], bins: int) -> float:
    """Variance of the bins' sums of gaps, patients drawn, over that with cells drawn; 1 where that is 0, never less."""
    centred = gaps - (np.bincount(group, gaps, bins) / np.maximum(np.bincount(group, minlength=bins), 1))[group]
    place = who * bins + group
    sums = np.bincount(np.unique(place, return_inverse=True)[1], centred)
    cells = float((centred**2).sum())
    return max(float((sums**2).sum()) / cells, 1.0) if cells > 0 else 1.0


def _ece_interval(value: float, drawn: Array, chance: Array) -> list[float] | None:
    """From 0, or where the ECE is beyond chance from what the draws' excess leaves, to the draws' upper bound."""
    bounds = _percentile(drawn)
    if bounds is None or math.isnan(value):
        return None
    beyond = value > np.quantile(chance, LEVEL)
    return [max(2 * value - bounds[1], 0.0) if beyond else 0.0, max(bounds[1], value)]


def _percentile(drawn: Array) -> list[float] | None:
    """The middle 95 % of the draws that are defined; None where half are not, or a bound is infinite."""
    defined = drawn[np.isfinite(drawn)]
    if not len(defined) or 2 * len(defined) < len(drawn):
        return None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return [float(low), float(high)]


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
