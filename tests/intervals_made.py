"""Made test sets for the tests of intervals: small ones with ties, unknown cells and patients of several rows."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from eyeground.metrics.resample import (
    Sample,
    prepare,
)

ROOT = Path(__file__).resolve().parents[1]


def made(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Truth, known, scores with ties and patients of a small test set with three labels."""
    generator = np.random.default_rng(seed)
    n = int(generator.integers(1, 45))
    levels = int(generator.choice([1, 4, 1000]))
    patients = generator.integers(0, int(generator.integers(1, n + 1)), n)
    known = generator.random((n, 3)) < 0.8
    return generator.integers(0, 2, (n, 3)), known, generator.integers(0, levels, (n, 3)) / levels, patients


def shifted(seed: int, n: int, prevalence: float = 0.3, shift: float = 1.2) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.random(n) < prevalence
    return truth, generator.standard_normal(n) + shift * truth


def whole(truth: np.ndarray, score: np.ndarray, patients: np.ndarray | None = None) -> Sample:
    return prepare(truth[:, None], np.ones((len(truth), 1), bool), score[:, None], patients)


def same(ours: float, theirs: float) -> None:
    assert math.isnan(ours) == math.isnan(theirs)
    assert math.isnan(ours) or ours == pytest.approx(theirs, abs=1e-12)
