"""Made truths and predictions, cell by cell."""

from __future__ import annotations

import numpy as np


def case(n: int = 80, labels: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, known (everything) and probabilities with ties, some of them wrong."""
    generator = np.random.default_rng(seed)
    truth = (generator.random((n, labels)) < 0.35).astype(int)
    score = np.clip(0.3 * truth + 0.7 * generator.random((n, labels)), 0.01, 0.99).round(2)
    return truth, np.ones(truth.shape, bool), score


def eye_labels(truth: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Eye labels that give these visit labels: the disease in the left, the right or both."""
    where = np.random.default_rng(seed).integers(0, 3, truth.shape)
    eyes = np.stack([truth * (where != 0), truth * (where != 1)], axis=1)
    return eyes, np.ones(eyes.shape, bool)
