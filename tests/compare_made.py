"""Made systems to compare."""

from __future__ import annotations

import numpy as np

from eyeground.metrics.compare_pairs import Rules

CODES = ("N", "D", "G")
QUICK = Rules(draws=200, permutations=300, threads=1)


def made(n: int = 60, seed: int = 0, gains: tuple[float, ...] = (1.5, 1.0)) -> tuple[np.ndarray, list[np.ndarray]]:
    """Truth (n, 3) and the predictions of one system for each gain; errors of the systems are correlated."""
    generator = np.random.default_rng(seed)
    truth = generator.random((n, 3)) < np.array([0.5, 0.3, 0.2])
    truth[:2] = [[True] * 3, [False] * 3]
    common = generator.standard_normal((n, 3))
    noisy = [gain * truth + 0.7 * (common + generator.standard_normal((n, 3))) for gain in gains]
    return truth.astype(float), [1 / (1 + np.exp(0.8 - one)) for one in noisy]
