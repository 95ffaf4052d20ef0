"""A comparison in plain words: one verdict for each pair of systems, and what a reader should know beside it."""

from __future__ import annotations

import math
from typing import Any

NAMES = {"macro_auc": "macro AUC", "macro_ap": "macro AP", "final": "final"}
FEW_RUNS = 10
FEW_POSITIVES = 10


def verdict(pair: dict[str, Any], found: dict[str, Any]) -> str:
    """Who is better by how much, or what could have been found.

    Args:
        pair: one of `compare`'s pairs; found: the comparison's own keys (`by`, `level`, `patients`, `tests`).
    """
    number, name = pair[found["by"]], NAMES[found["by"]]
    first, second = pair["first"], pair["second"]
    if pair["identical"]:
        return f"{first} and {second} hold the same predictions: there is nothing to compare"
    if number["difference"] is None or number["p"] is None:
        return f"{first} and {second} can't be compared: their {name} is not defined or does not vary here"
    if number["difference"] < 0:
        first, second = second, first
    size, bounds = abs(number["difference"]), _interval(number)
    tests = found["tests"][found["by"]]
    after = f" after Holm over {tests} pairs" if tests > 1 else ""
    if number["p_holm"] <= 1 - found["level"]:
        return f"{first} is better than {second} by {size:.3f} {name}{bounds}, {p_text(number['p_holm'])}{after}"
    shown = (
        f"no difference shown: {first} less {second} is {size:.3f} {name}{bounds}, {p_text(number['p_holm'])}{after}"
    )
    if number["detectable"] is None:
        return f"{shown}; these {found['patients']} patients do not tell what difference would be found"
    found_often = f"a difference of {number['detectable']:.3f} would be found about {found['power']:.0%} of the time"
    return f"{shown}; with these {found['patients']} patients {found_often}, a smaller one less often"


def notes(found: dict[str, Any]) -> list[str]:
    """What the numbers do not say, or say badly, in sentences."""
    return [*_about_runs(found), *_about_labels(found)]


def p_text(p: float) -> str:
    """'p = 0.012', 'p < 0.001'."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _interval(number: dict[str, Any]) -> str:
    if number["interval"] is None:
        return " (no interval: most resamples lack a label)"
    low, high = number["interval"]
    if number["difference"] < 0:
        low, high = -high, -low
    return f" ({low:.3f} to {high:.3f})".replace("-0.000", "0.000")


def _about_runs(found: dict[str, Any]) -> list[str]:
    lines = []
    single = [one["name"] for one in found["systems"] if one["runs"] == 1]
    if single:
        lines.append(
            f"training variance is not in the intervals of {_listed(single)}: one training run each, another run may "
            "rank otherwise"
        )
    for one in found["systems"]:
        runs = one["runs"]
        if 1 < runs < FEW_RUNS:
            share = 1 / math.sqrt(2 * (runs - 1))
            lines.append(
                f"{one['name']} has {runs} training runs: the spread between runs is poorly known (give or take about "
                f"{share:.0%}), which Student's t allows for"
            )
    return lines


def _about_labels(found: dict[str, Any]) -> list[str]:
    labels = found["pairs"][0]["per_class"]
    lines = [
        f"{one['code']} has no {'positive' if not one['n_pos'] else 'negative'} and is left out of the macro means"
        for one in labels
        if not (one["n_pos"] and one["n_neg"])
    ]
    few = [f"{one['code']} {one['n_pos']}" for one in labels if 0 < one["n_pos"] < FEW_POSITIVES and one["n_neg"]]
    if few:
        lines.append(
            f"few positives ({', '.join(few)}): their bootstrap intervals and detectable differences are too "
            "small, and those of macro means a little"
        )
    if found["pairs"][0]["final"]["first"] is None:
        lines.append("final is undefined: a cell of the truth is unknown, or a system's calls leave no kappa")
    return lines


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
