"""The bootstrap over patients at scale: macro AUC and macro average precision of eight labels, beside scikit-learn.

Ours makes all resamples. scikit-learn's loop draws patients, takes their rows and calls `roc_auc_score` and
`average_precision_score`; it is measured over a few resamples and scaled up. Memory is the peak of a process
of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from eyeground.metrics.resample import Plan, bca, estimate, jackknife, prepare, resample

DRAWS = 2000
FEW = 3
SIZES = (1_000, 10_000, 100_000)
PREVALENCE = (0.326, 0.322, 0.061, 0.061, 0.047, 0.029, 0.050, 0.280)
"""Of the eight labels of ODIR-5K."""

LIMIT_S, LIMIT_MIB = 10.0, 2048.0
"""What 100,000 patients may cost on two cores."""


def run() -> dict[str, Any]:
    """Measures, prints a table, and returns the figures (seconds; memory in MiB)."""
    load = list(os.getloadavg()) if hasattr(os, "getloadavg") else None
    rows = [row(n, rounded) for n in SIZES for rounded in (False, True)]
    peak = memory(SIZES[-1])
    print(f"{DRAWS} resamples x {len(PREVALENCE)} labels, AUC and average precision; load before {load}")
    for one in rows:
        print(
            f"  {one['patients']:>7} patients, {'1,001' if one['rounded'] else 'all'} scores: {one['seconds']:.2f} s "
            f"(one thread {one['seconds_one_thread']:.2f} s), BCa's jackknife {one['jackknife_seconds']:.2f} s, "
            f"scikit-learn {one['scikit_learn_seconds']:.0f} s (scaled from {FEW}), {one['times']:.0f} x"
        )
    print(f"  memory at {SIZES[-1]} patients: {peak} MiB   limits: {LIMIT_S:g} s, {LIMIT_MIB:g} MiB")
    limits = {"seconds": LIMIT_S, "mib": LIMIT_MIB}
    return {"draws": DRAWS, "load_before": load, "rows": rows, "peak_mib": peak, "limits": limits, "scaled_from": FEW}


def made(n: int, rounded: bool) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Truth and probabilities (n, 8); `rounded` to three digits, so that there are ties."""
    generator = np.random.default_rng(0)
    truth = generator.random((n, len(PREVALENCE))) < PREVALENCE
    score = 1 / (1 + np.exp(2 - 1.5 * truth - generator.standard_normal(truth.shape)))
    return truth, np.round(score, 3) if rounded else score


def row(n: int, rounded: bool) -> dict[str, Any]:
    """One size, everything from the bare arrays on."""
    truth, score = made(n, rounded)
    start = time.perf_counter()
    ranks = resample(prepare(truth, np.ones_like(truth), score), Plan(DRAWS))
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    alone = resample(prepare(truth, np.ones_like(truth), score), Plan(DRAWS, threads=1))
    seconds_alone = time.perf_counter() - start
    if not np.array_equal(ranks.auc, alone.auc, equal_nan=True):
        raise RuntimeError("the number of threads changed the result")
    sample = prepare(truth, np.ones_like(truth), score)
    start = time.perf_counter()
    left_out = jackknife(sample)
    jackknife_seconds = time.perf_counter() - start
    found = bca(ranks.macro("auc"), float(estimate(sample).macro("auc")[0]), left_out.macro("auc"))
    theirs, gap = scikit_learn(truth, score, ranks.auc)
    return {
        "patients": n,
        "rounded": rounded,
        "seconds": round(seconds, 3),
        "seconds_one_thread": round(seconds_alone, 3),
        "jackknife_seconds": round(jackknife_seconds, 3),
        "scikit_learn_seconds": round(theirs, 1),
        "times": round(theirs / seconds, 1),
        "largest_gap": gap,
        "macro_auc_bca": [round(found.low, 5), round(found.high, 5)],
        "undefined": found.undefined,
    }


def scikit_learn(
    truth: NDArray[np.bool_], score: NDArray[np.float64], ours: NDArray[np.float64]
) -> tuple[float, float]:
    """Seconds that all resamples would take scikit-learn, and the largest difference of an AUC to ours in a few."""
    spent, gap = 0.0, 0.0
    for draw in range(FEW):
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(0, spawn_key=(draw,))))
        rows = generator.integers(0, len(truth), len(truth))
        start = time.perf_counter()
        drawn_truth, drawn_score = truth[rows], score[rows]
        pairs = list(zip(drawn_truth.T, drawn_score.T, strict=True))
        areas = [roc_auc_score(one, other) for one, other in pairs]
        for one, other in pairs:
            average_precision_score(one, other)
        spent += time.perf_counter() - start
        gap = max(gap, float(np.abs(np.array(areas) - ours[draw]).max()))
    return spent / FEW * DRAWS, gap


def memory(n: int) -> float:
    """Peak resident memory of a process that resamples `n` patients, MiB, with the arrays and the libraries."""
    program = (
        "import resource; import numpy as np; from benchmarks.bootstrap import made\n"
        "from eyeground.metrics.resample import Plan, prepare, resample\n"
        f"truth, score = made({n}, False)\n"
        "resample(prepare(truth, np.ones_like(truth), score), Plan(40))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return round(int(done.stdout) / 1024, 1)
