"""One row per kind of map: means over eyes with intervals over patients, and differences from the floors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeground.explain.faithful.randomise import LIMIT, verdict
from eyeground.explain.faithful.sources import CONTROLS, FLOORS
from eyeground.metrics.patient_means import patient_mean
from eyeground.runs.faithful_cases import Case

Array = NDArray[np.float64]
HIGHER = {"deletion": False, "insertion": True, "road": True}
"""Whether more of it is better."""


def summary(
    cases: Sequence[Case], forgotten: Mapping[str, Mapping[str, Any]], score: str, draws: int
) -> dict[str, Any]:
    """`rows`, one per kind of map, `score` of the table, `limit` of the randomisation check."""
    names = list(dict.fromkeys(case.map for case in cases))
    by_map = {name: [case for case in cases if case.map == name] for name in names}
    floors = {name: by_map[name] for name in FLOORS if name in by_map}
    rows = []
    for name in names:
        row = {"map": name, "control": name in CONTROLS, **_row(by_map[name], floors, score, draws)}
        if name in forgotten:
            row["randomisation"] = _randomisation(forgotten[name], draws)
        row["curves"] = _curves(by_map[name])
        rows.append(row)
    return {"score": score, "limit": LIMIT, "eyes": len({(c.visit, c.side) for c in cases}), "rows": rows}


def _row(cases: Sequence[Case], floors: Mapping[str, Sequence[Case]], score: str, draws: int) -> dict[str, Any]:
    patients = [case.patient for case in cases]
    row: dict[str, Any] = {}
    for key in cases[0].numbers:
        if key not in ("logit", "drop"):
            row[key] = patient_mean(_numbers(cases, key), patients, draws).to_dict()
    row["against"] = {
        floor: {
            kind: patient_mean(_numbers(cases, key) - _numbers(others, key), patients, draws).to_dict()
            for kind in HIGHER
            for key in [f"{kind}_{score}"]
        }
        for floor, others in floors.items()
        if cases[0].map != floor
    }
    row["better"] = {kind: _better(row["against"], kind) for kind in HIGHER}
    return row


def _better(against: Mapping[str, Mapping[str, Any]], kind: str) -> bool | None:
    """Whether the paired difference from every floor has its interval on the better side; None without intervals."""
    bounds = [one[kind]["interval"] for one in against.values()]
    if not bounds or any(bound is None for bound in bounds):
        return None
    return all(low > 0 if HIGHER[kind] else high < 0 for low, high in bounds)


def _randomisation(found: Mapping[str, Any], draws: int) -> dict[str, Any]:
    """The cascade and the verdict on its last depth."""
    depths: dict[str, Any] = {
        name: [patient_mean(found[name][:, depth], found["patients"], draws).to_dict() for depth in range(count)]
        for name in ("absolute", "signed", "ssim")
        for count in [found[name].shape[1]]
    }
    last = patient_mean(found["absolute"][:, -1], found["patients"], draws)
    return {**depths, "verdict": verdict(last.mean, last.low, last.high)}


def _curves(cases: Sequence[Case]) -> dict[str, list[float | None]]:
    """Mean curves over the cases in which they are defined."""
    made: dict[str, list[float | None]] = {}
    for name in cases[0].curves:
        values = np.array([case.curves[name] for case in cases], np.float64)
        values = values[~np.isnan(values).any(1)]
        made[name] = values.mean(0).tolist() if len(values) else [None] * len(cases[0].curves[name])
    return made


def _numbers(cases: Sequence[Case], key: str) -> Array:
    return np.array([case.numbers[key] for case in cases], np.float64)
