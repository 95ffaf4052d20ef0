"""Grades from cumulative labels, against scikit-learn; and the closer look of a cohort that has all four."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from eyeground.cohorts.grades import ENDPOINTS
from eyeground.metrics.cumulative import RETINOPATHY, grade_agreement, grade_of
from eyeground.metrics.details import details
from eyeground.vocabulary import Label, Vocabulary

STEPS = np.arange(1, 5)


def test_the_endpoints_are_those_of_the_cohorts() -> None:
    assert tuple(code for code, one in ENDPOINTS.items() if one.scale == "dr") == RETINOPATHY


def test_a_grade_is_how_many_labels_hold() -> None:
    grades = np.array([0, 1, 2, 3, 4])
    assert (grade_of(grades[:, None] >= STEPS) == grades).all()
    assert grade_of([[1, 0, 1, 1], [0, 1, 1, 1], [1, 1, 0, 1]]).tolist() == [1, 0, 2]


def test_agreement_is_scikit_learns() -> None:
    draw = np.random.default_rng(3)
    truth = draw.integers(0, 5, 400)
    called = np.clip(truth + draw.integers(-2, 3, 400), 0, 4)
    found = grade_agreement(truth[:, None] >= STEPS, called[:, None] >= STEPS)
    assert found["kappa_quadratic"] == pytest.approx(cohen_kappa_score(truth, called, weights="quadratic"), abs=1e-12)
    assert found["confusion"] == confusion_matrix(truth, called).tolist()
    assert (found["accuracy"], found["contradictory"]) == (pytest.approx((truth == called).mean()), 0)


def test_contradictions_are_counted_and_nothing_is_undefined() -> None:
    found = grade_agreement([[1, 1, 0, 0]] * 2, [[1, 0, 1, 0], [1, 1, 0, 0]])
    assert (found["contradictory"], found["accuracy"]) == (1, 0.5)
    assert grade_agreement(np.zeros((0, 4)), np.zeros((0, 4)))["kappa_quadratic"] is None
    with pytest.raises(ValueError, match="shape"):
        grade_of([1, 0])


def test_the_closer_look_has_the_grade_where_all_four_are_labels() -> None:
    draw = np.random.default_rng(0)
    grades = draw.integers(0, 5, 60)
    codes = ("dme", *RETINOPATHY)
    words = Vocabulary("made", "multilabel", tuple(Label(code, code) for code in codes))
    truth = np.column_stack([draw.integers(0, 2, 60), grades[:, None] >= STEPS]).astype(float)
    known = np.ones(truth.shape, bool)
    known[:7, 1:] = False
    found = details(truth, known, truth * 0.5 + 0.2, words, np.full(5, 0.6))["grade"]
    assert (found["n"], found["kappa_quadratic"], found["accuracy"]) == (53, 1.0, 1.0)
    fewer = Vocabulary("made", "multilabel", words.labels[:4])
    assert "grade" not in details(truth[:, :4], known[:, :4], truth[:, :4], fewer)
