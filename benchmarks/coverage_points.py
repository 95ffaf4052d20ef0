"""How often 95 % intervals at an operating point hold the truth: the other rate, PPV and F1 where sensitivity is 0.9.

Scores are normal, positives shifted; one row a patient. The truth at the threshold of a sensitivity of 0.9 is known.
`drawn` is the bootstrap over patients, each draw with its own threshold; `order` the order statistics of
`metrics.fixed_rate`, which are what the judge tells for the specificity.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from eyeground.metrics.fixed_rate import at_sensitivity
from eyeground.metrics.operating import Point
from eyeground.metrics.operating_interval import Column, operating_bounds
from eyeground.metrics.resample import Plan

WANTED = 0.9
SETS = 600
DRAWS = 500
"""Simulated test sets per line, and draws of each bootstrap."""
WORLDS = tuple(
    (n, share, auc) for auc in (0.75, 0.9) for n, share in ((200, 0.05), (500, 0.05), (500, 0.2), (2000, 0.05))
)


def run() -> dict[str, Any]:
    """Simulates, prints the table, and returns the figures."""
    rows = []
    print(
        "     n  positive   AUC   spec. order  spec. drawn  PPV drawn  F1 drawn   (coverage / mean length)", flush=True
    )
    for n, share, auc in WORLDS:
        row = {"n": n, "prevalence": share, "auc": auc, **_world(n, share, auc)}
        rows.append(row)
        cells = (f"{one['coverage']:.3f}/{one['length']:.2f}" for one in row["methods"].values())
        print(f"{n:>6} {share:>8.0%} {auc:>6}   {'   '.join(cells)}", flush=True)
    return {"wanted_sensitivity": WANTED, "sets": SETS, "draws": DRAWS, "rows": rows}


def _world(n: int, share: float, auc: float) -> dict[str, Any]:
    normal = NormalDist()
    apart = 2**0.5 * normal.inv_cdf(auc)
    specificity = normal.cdf(normal.inv_cdf(1 - WANTED) + apart)
    ppv = WANTED * share / (WANTED * share + (1 - specificity) * (1 - share))
    truths = {
        "specificity order": specificity,
        "specificity drawn": specificity,
        "ppv drawn": ppv,
        "f1 drawn": 2 * ppv * WANTED / (ppv + WANTED),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in truths}
    for seed in range(SETS):
        generator = np.random.default_rng([n, round(1000 * share), round(1000 * auc), seed])
        truth = generator.random(n) < share
        if truth.sum() < 1:
            continue
        score = np.array([normal.cdf(one / 3) for one in generator.standard_normal(n) + apart * truth])
        order = at_sensitivity(truth, score, WANTED)
        column = Column(truth, score, np.arange(n))
        drawn = operating_bounds([column], [Point("sensitivity", WANTED)], n, Plan(DRAWS, seed, 1))[0][0]
        assert order is not None
        found["specificity order"].append((order[0], order[1]))
        for name in ("specificity", "ppv", "f1"):
            found[f"{name} drawn"].append((drawn[name].low, drawn[name].high))
    methods = {}
    for name, pairs in found.items():
        bounds = np.array(pairs)
        inside = (bounds[:, 0] <= truths[name]) & (truths[name] <= bounds[:, 1])
        methods[name] = {"coverage": float(inside.mean()), "length": float((bounds[:, 1] - bounds[:, 0]).mean())}
    return {"truth": truths, "methods": methods}


def table(figures: dict[str, Any]) -> str:
    """The table of docs/intervals.md, in Markdown."""
    names = list(figures["rows"][0]["methods"])
    lines = [f"| n | positive | AUC | {' | '.join(names)} |", f"|{'---|' * (3 + len(names))}"]
    for row in figures["rows"]:
        cells = [f"{one['coverage']:.3f} ({one['length']:.2f})" for one in row["methods"].values()]
        lines.append(f"| {row['n']} | {100 * row['prevalence']:g} % | {row['auc']} | {' | '.join(cells)} |")
    return "\n".join(lines)
