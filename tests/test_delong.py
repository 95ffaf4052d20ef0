"""DeLong's variance of areas: the published example, the definition written out, and its laws."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from eyeground.metrics.auc_interval import auc_interval, difference_interval
from eyeground.metrics.delong import areas, influence
from intervals_made import shifted

ROOT = Path(__file__).resolve().parents[1]

OVARIAN = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1  3.8 5.7 5 1
3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0
4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1
4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1
2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""
"""DeLong et al. 1988: albumin, total protein, K-G score, outcome; data as in the SAS/STAT guide, PROC LOGISTIC."""


def ovarian() -> tuple[np.ndarray, np.ndarray]:
    table = np.array(OVARIAN.split(), float).reshape(-1, 4)
    return table[:, 3] == 1, np.stack([table[:, 0], table[:, 1], 10 - table[:, 2]])


def test_delong_s_own_example() -> None:
    """Areas, errors, limits and contrasts of these 43 patients to four digits; the definition gives the same."""
    truth, scores = ovarian()
    found = areas(truth, scores)
    np.testing.assert_allclose(found.covariance, by_definition(truth, scores, np.arange(len(truth))), atol=1e-15)
    np.testing.assert_allclose(found.auc, [0.7366, 0.6478, 0.7258], atol=5e-5)
    errors = np.sqrt(np.diag(found.covariance))
    np.testing.assert_allclose(errors, [0.0927, 0.1000, 0.1028], atol=5e-5)
    assert auc_interval(truth, scores[0], method="delong") == pytest.approx([0.5549, 0.9182], abs=5e-5)
    for system, (gap, error, p) in ((0, (0.0108, 0.0953, 0.9102)), (1, (-0.0780, 0.1046, 0.4561))):
        assert found.difference(system, 2) == pytest.approx((gap, error, p), abs=5e-5)


def test_hanley_and_mcneil_s_example() -> None:
    """Radiology 143, 1982, table II: 109 CT images rated 1 to 5, area 0.893, its error 0.032."""
    ratings = np.arange(1, 6)
    score = np.concatenate([np.repeat(ratings, (33, 6, 6, 11, 2)), np.repeat(ratings, (3, 2, 2, 11, 33))])
    truth = np.repeat([0, 1], (58, 51))
    found = areas(truth, score)
    assert found.auc[0] == pytest.approx(0.893, abs=5e-4)
    assert math.sqrt(found.covariance[0, 0]) == pytest.approx(0.032, abs=2e-3)


def by_definition(truth: np.ndarray, scores: np.ndarray, patients: np.ndarray) -> np.ndarray:
    """Obuchowski 1997, equations for S10, S01 and S11, with the kernel written out pair by pair."""
    positive, negative = np.flatnonzero(truth), np.flatnonzero(~truth)
    kernel = np.array([[[np.sign(s[i] - s[j]) / 2 + 0.5 for j in negative] for i in positive] for s in scores])
    theta = kernel.mean(axis=(1, 2))
    people = np.unique(patients)
    x, y = (np.zeros((len(scores), len(people))) for _ in range(2))
    for k, who in enumerate(people):
        x[:, k] = (kernel[:, patients[positive] == who].mean(axis=2) - theta[:, None]).sum(axis=1)
        y[:, k] = (kernel[:, :, patients[negative] == who].mean(axis=1) - theta[:, None]).sum(axis=1)
    m, n, clusters = len(positive), len(negative), len(people)
    i10, i01 = len(np.unique(patients[positive])), len(np.unique(patients[negative]))
    s10 = i10 / ((i10 - 1) * m) * x @ x.T
    s01 = i01 / ((i01 - 1) * n) * y @ y.T
    s11 = clusters / (clusters - 1) * x @ y.T
    return s10 / m + s01 / n + (s11 + s11.T) / (m * n)


@pytest.mark.parametrize("seed", range(12))
def test_covariance_is_the_definition_written_out(seed: int) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.random(40) < 0.4
    scores = np.round(generator.standard_normal((3, 40)) + truth, seed % 3)
    patients = generator.integers(0, 25, 40) if seed % 2 else np.arange(40)
    found = areas(truth, scores, patients)
    np.testing.assert_allclose(found.covariance, by_definition(truth, scores, patients), atol=1e-14)
    for row, area in zip(scores, found.auc, strict=True):
        u = stats.mannwhitneyu(row[truth], row[~truth]).statistic
        assert area == pytest.approx(u / (truth.sum() * (~truth).sum()), abs=1e-14)


def test_influence_adds_up_to_the_covariance() -> None:
    truth, score = shifted(4, 80)
    patients = np.repeat(np.arange(40), 2)
    moves = influence(truth, score, patients, 40)
    assert moves.sum() == pytest.approx(0, abs=1e-14)
    found = areas(truth, score, patients)
    assert (moves**2).sum() == pytest.approx(found.covariance[0, 0], rel=0.1)  # but for the small-sample factors


def test_two_eyes_that_say_the_same_count_once() -> None:
    truth, score = shifted(2, 150)
    once = areas(truth, score)
    twice = areas(np.repeat(truth, 2), np.repeat(score, 2), np.repeat(np.arange(150), 2))
    np.testing.assert_allclose(twice.covariance, once.covariance, rtol=1e-12)
    apart = areas(np.repeat(truth, 2), np.repeat(score, 2))
    assert apart.covariance[0, 0] < 0.6 * once.covariance[0, 0]
    assert auc_interval(truth, score) == pytest.approx(
        auc_interval(np.repeat(truth, 2), np.repeat(score, 2), np.repeat(np.arange(150), 2)), abs=0.01
    )


def test_the_same_ranking_twice_does_not_differ() -> None:
    truth, score = shifted(2, 150)
    both = np.stack([score, np.exp(score)])
    gap, error, p = areas(truth, both).difference(0, 1)
    assert (gap, error) == (0, 0) and math.isnan(p)
    assert difference_interval(truth, both) == [0, 0]
    forth, back = difference_interval(truth, both * [[1], [-1]]), difference_interval(truth, both[::-1] * [[-1], [1]])
    assert forth is not None and back is not None and forth == pytest.approx([-back[1], -back[0]])
