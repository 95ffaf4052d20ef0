"""Which of several systems is better, by how much and how certainly: paired over the same patients.

Every pair of systems is compared by macro AUC, macro AP, the challenge's final number, and each label's AUC and AP: the
difference, its interval (percentiles of a bootstrap over patients, the same draws for all systems), a p value (paired
permutation), DeLong's answer beside it for AUCs, and the difference that would be found with 80 % power. p values are
corrected by Holm. Systems of several training runs are compared over patients and runs (`compare_runs`).
docs/comparing.md says what is corrected over what, and how often two equally good systems were told apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.cells import Array
from eyeground.metrics.compare_numbers import OVERALL, Ground, lay
from eyeground.metrics.compare_pairs import Pair, Rules, System, moves_by_label, pair_of, runs_of
from eyeground.metrics.compare_runs import Runs
from eyeground.metrics.compare_words import notes, verdict
from eyeground.metrics.holm import holm, rank_bands
from eyeground.metrics.permutation import how_many, is_exact
from eyeground.metrics.quantiles import LARGE, student_quantile
from eyeground.metrics.resample import Plan

POWER = 0.8


def compare(
    truth: ArrayLike,
    known: ArrayLike,
    systems: Sequence[System],
    codes: Sequence[str],
    patients: ArrayLike | None = None,
    rules: Rules | None = None,
) -> dict[str, Any]:
    """Compares two or more systems on the same rows.

    Args:
        truth: (n, C), 0 or 1 where known, ignored elsewhere.
        known: (n, C) bool.
        systems: two or more with different names.
        codes: C labels.
        patients: (n,) who each row belongs to; None means that every row is a patient of their own. With names of
            patients, one row each, the order of the rows changes nothing.

    Returns:
        JSON-able, undefined is None; the keys are told in docs/comparing.md.

    Raises:
        ValueError: fewer than two systems, a name twice, shapes that do not fit, a known truth cell that is not 0 or 1,
            a probability outside [0, 1], or rules that make no sense.
    """
    rules = rules or Rules()
    ground = lay(truth, known, patients)
    _check(ground, systems, codes, rules)
    order = np.argsort(ground.patient, kind="stable")
    ground = replace(ground, **{key: getattr(ground, key)[order] for key in ("labels", "known", "patient")})
    systems = [replace(one, runs=tuple(run[order] for run in one.runs)) for one in systems]
    runs = runs_of(ground, systems, rules)
    moves = moves_by_label(ground, [run for one in systems for run in one.runs])
    pairs = [pair_of(ground, systems, runs, moves, (i, j, rules)) for i, j in combinations(range(len(systems)), 2)]
    corrected, tests = _corrected(pairs, len(codes))
    at = OVERALL.index(rules.by)
    better = np.zeros((len(systems), len(systems)), bool)
    for pair, p in zip(pairs, corrected[:, at], strict=True):
        better[pair.first, pair.second] = p <= 1 - rules.level and pair.difference[at] > 0
        better[pair.second, pair.first] = p <= 1 - rules.level and pair.difference[at] < 0
    bands = rank_bands(better)
    plan = Plan(rules.permutations, rules.seed)
    found: dict[str, Any] = {
        "n": len(ground.known),
        "patients": ground.people,
        **{key: getattr(rules, key) for key in ("by", "level", "draws", "seed")},
        "permutations": how_many(ground.people, plan),
        "exact": is_exact(ground.people, plan),
        "power": POWER,
        "macro_n": len(ground.both),
        "tests": {name: int(count) for name, count in zip((*OVERALL, "auc", "ap"), tests, strict=True)},
        "systems": [
            _system(one, run, band, codes) for one, run, band in zip(systems, runs, bands.tolist(), strict=True)
        ],
    }
    found["pairs"] = [
        _record(pair, row, tests, ground, (systems, runs, codes, rules))
        for pair, row in zip(pairs, corrected, strict=True)
    ]
    for one in found["pairs"]:
        one["verdict"] = verdict(one, found)
    return {**found, "notes": notes(found)}


def detectable(error: float, degrees: float, alpha: float, power: float = POWER) -> float:
    """The true difference that a two-sided test at `alpha` finds with this power, from a standard error.

    Args:
        error: of the paired difference; degrees: of Student's t.

    Returns:
        nan where the difference does not vary (both systems perfect, or one patient): that is no precision.
    """
    if not error > 0:
        return math.nan
    return error * (student_quantile(1 - alpha / 2, degrees) + student_quantile(power, degrees))


def _check(ground: Ground, systems: Sequence[System], codes: Sequence[str], rules: Rules) -> None:
    names = [one.name for one in systems]
    if len(systems) < 2 or len(set(names)) < len(names):
        raise ValueError(f"a comparison needs two or more systems of different names, not {', '.join(names) or 'none'}")
    if rules.by not in OVERALL or not 0 < rules.level < 1 or min(rules.draws, rules.permutations) < 1:
        raise ValueError(f"{rules} make no sense: by one of {', '.join(OVERALL)}, with a draw or more of each kind")
    if ground.known.shape[1] != len(codes):
        raise ValueError(f"truth has {ground.known.shape[1]} columns, there are {len(codes)} labels")
    for one in systems:
        for run in one.runs:
            if run.shape != ground.known.shape or not ((run >= 0) & (run <= 1)).all():
                raise ValueError(f"{one.name} has shape {run.shape}, not {ground.known.shape}, or is outside [0, 1]")
        if not one.runs:
            raise ValueError(f"{one.name} has no predictions")


def _corrected(pairs: Sequence[Pair], labels: int) -> tuple[Array, NDArray[np.int64]]:
    """Holm's p values (pairs, k), and how many tests each family has: the overall numbers, then AUC, then AP.

    An overall number is a family over the pairs; the labels' AUCs are one over pairs and labels, and so are their APs.
    """
    p = np.stack([one.p for one in pairs])
    overall = len(OVERALL)
    blocks = [
        *(slice(k, k + 1) for k in range(overall)),
        slice(overall, overall + labels),
        slice(overall + labels, None),
    ]
    out = np.concatenate([holm(p[:, block]) for block in blocks], axis=1)
    return out, np.array([(~np.isnan(p[:, block])).sum() for block in blocks])


def _system(system: System, runs: Runs, band: list[int], codes: Sequence[str]) -> dict[str, Any]:
    """One system's own numbers, each with the standard deviation between its runs."""
    mean, between = runs.mean, runs.between
    cells = [{"value": _number(mean[k]), "sd_runs": _number(between[k])} for k in range(len(mean))]
    start = len(OVERALL)
    labels = [
        {"code": code, "auc": cells[start + c], "ap": cells[start + len(codes) + c]} for c, code in enumerate(codes)
    ]
    return {
        "name": system.name,
        "runs": len(system.runs),
        "rank": band,
        **dict(zip(OVERALL, cells, strict=False)),
        "per_class": labels,
    }


def _record(
    pair: Pair,
    corrected: Array,
    tests: NDArray[np.int64],
    ground: Ground,
    rest: tuple[Sequence[System], Sequence[Runs], Sequence[str], Rules],
) -> dict[str, Any]:
    systems, runs, codes, rules = rest
    start, count = len(OVERALL), len(codes)
    family = np.concatenate([tests[:start], np.repeat(tests[start:], count)])

    def cell(k: int) -> dict[str, Any]:
        area = pair.areas.get(k)
        alpha = (1 - rules.level) / max(int(family[k]), 1)
        found: dict[str, Any] = {
            "first": _number(runs[pair.first].mean[k]),
            "second": _number(runs[pair.second].mean[k]),
            "difference": _number(pair.difference[k]),
            "interval": _bounds(pair.interval[k]),
            "undefined_draws": int(pair.undefined[k]),
            "standard_error": _number(pair.error[k]),
            "p": _number(pair.p[k]),
            "p_holm": _number(corrected[k]),
            "p_permutation": _number(pair.p_permutation[k]),
            "detectable": _number(detectable(float(pair.error[k]), float(pair.degrees[k]), alpha)),
        }
        if pair.p_runs is not None:
            found["degrees"] = _number(pair.degrees[k]) if pair.degrees[k] < LARGE else None
        if area is not None:
            found["delong"] = {
                "standard_error": area.error,
                "interval": area.interval(rules.level),
                "p": _number(area.p),
            }
        return found

    labels = []
    for c, code in enumerate(codes):
        n_pos, n = int(ground.labels[:, c].sum()), int(ground.known[:, c].sum())
        labels.append(
            {"code": code, "n_pos": n_pos, "n_neg": n - n_pos, "auc": cell(start + c), "ap": cell(start + count + c)}
        )
    return {
        "first": systems[pair.first].name,
        "second": systems[pair.second].name,
        "identical": pair.identical,
        **{name: cell(k) for k, name in enumerate(OVERALL)},
        "per_class": labels,
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _bounds(interval: Array) -> list[float] | None:
    return None if np.isnan(interval).any() else [float(bound) for bound in interval]
