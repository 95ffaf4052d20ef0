"""How often the ECE's 95 % interval leaves out 0 although the probabilities are perfectly calibrated: 5 in 100 at most.

Truth is drawn by the probabilities themselves. Worlds: one row a patient; two rows that are the same (two eyes
that agree wholly); and the pooled ECE of eight labels of a patient whose truths go together (a normal copula, 0.5).
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from eyeground.metrics.calibrators import sigmoid
from eyeground.metrics.reliability import ece_intervals
from eyeground.metrics.resample import Plan

SETS, DRAWS = 300, 300
"""Simulated test sets per line, and draws of each interval."""
WORLDS = (("alone", 100), ("alone", 400), ("twice", 100), ("twice", 400), ("labels", 100), ("labels", 400))


def run() -> dict[str, Any]:
    """Simulates, prints the table, and returns the figures."""
    rows = []
    for world, patients in WORLDS:
        left_out = np.mean([_left_out(world, patients, seed) for seed in range(SETS)])
        rows.append({"world": world, "patients": patients, "left_out": float(left_out)})
        print(f"{world:<7} {patients:>4} patients: 0 left out in {left_out:.3f}", flush=True)
    return {"sets": SETS, "draws": DRAWS, "rows": rows}


def _left_out(world: str, patients: int, seed: int) -> bool:
    generator = np.random.default_rng([patients, seed])
    labels = 8 if world == "labels" else 1
    probability = sigmoid(generator.normal(-1.5, 1.5, (patients, labels)))
    shared = np.sqrt(0.5) * generator.standard_normal((patients, 1))
    noise = shared + np.sqrt(0.5) * generator.standard_normal((patients, labels))
    truth = np.vectorize(NormalDist().cdf)(noise) < probability
    who = np.arange(patients)
    if world == "twice":
        truth, probability, who = (np.repeat(array, 2, axis=0) for array in (truth, probability, who))
    bounds = ece_intervals(truth, np.ones(truth.shape, bool), probability, who, Plan(DRAWS, seed, 1))[0]
    return bounds is not None and bounds[0] > 0
