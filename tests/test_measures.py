"""Probabilities, agreement, operating points, exclusive classes, groups and refusing: references first, then laws."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as reference
from sklearn.calibration import calibration_curve

from cells_made import case, eye_labels
from eyeground.metrics.abstain import curve, doubt
from eyeground.metrics.agreement import confusion, kappa
from eyeground.metrics.averages import exact_match, weighted_mean
from eyeground.metrics.details import Look, details
from eyeground.metrics.exclusive import Classes, classify
from eyeground.metrics.judge import judge
from eyeground.metrics.operating import Point, operate, predictive
from eyeground.metrics.probability import brier, calibration_error, log_loss, reliability
from eyeground.vocabulary import ODIR, Label, Vocabulary

THREE = Vocabulary.multilabel("three", ("N", "X", "Y"))


# someone else's numbers


def test_brier_and_log_loss_equal_scikit_learn() -> None:
    for seed in range(20):
        truth, _, score = case(50, 1, seed)
        y, p = truth[:, 0], score[:, 0]
        assert brier(y, p) == pytest.approx(reference.brier_score_loss(y, p), abs=1e-14)
        assert log_loss(y, p) == pytest.approx(reference.log_loss(y, p, labels=[0, 1]), abs=1e-14)


def test_bins_equal_scikit_learn_s_quantile_bins() -> None:
    generator = np.random.default_rng(1)
    p = generator.random(200)
    y = (generator.random(200) < p).astype(int)
    share, mean = calibration_curve(y, p, n_bins=10, strategy="quantile")
    bins = reliability(y, p)
    assert [one.n for one in bins] == [20] * 10
    np.testing.assert_allclose([one.share for one in bins], share, atol=1e-14)
    np.testing.assert_allclose([one.mean for one in bins], mean, atol=1e-14)
    assert calibration_error(bins) == pytest.approx(np.abs(share - mean).mean(), abs=1e-14)


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
def test_kappa_equals_scikit_learn(weights: Any) -> None:
    generator = np.random.default_rng(2)
    for _ in range(30):
        y, z = generator.integers(0, 5, (2, 40))
        theirs = reference.cohen_kappa_score(y, z, labels=range(5), weights=None if weights == "none" else weights)
        assert kappa(confusion(y, z, 5), weights) == pytest.approx(theirs, abs=1e-14)
    np.testing.assert_array_equal(confusion(y, z, 5), reference.confusion_matrix(y, z, labels=range(5)))


def test_kappa_of_cohen_s_own_example() -> None:
    """Cohen 1960, table 1, 200 patients in three classes: kappa 0.492; weighted by 1968's quadratic costs by hand."""
    table = np.array([[88, 14, 18], [10, 40, 10], [2, 6, 12]])
    assert kappa(table) == pytest.approx(0.4915, abs=5e-5)
    chance = np.outer(table.sum(axis=1), table.sum(axis=0)) / 200
    cost = np.array([[0, 1, 4], [1, 0, 1], [4, 1, 0]])
    assert kappa(table, "quadratic") == pytest.approx(1 - (cost * table).sum() / (cost * chance).sum(), abs=1e-14)


MM_AMD = [
    (
        [[20, 0, 0, 0], [0, 32, 0, 6], [0, 0, 39, 8], [0, 0, 5, 33]],
        ([1, 0.8421, 0.8298, 0.8684], [1, 1, 0.9479, 0.8667], [1, 0.9143, 0.8849, 0.8675], 0.9167, 0.8671),
    ),
    (
        [[20, 0, 0, 0], [1, 16, 1, 2], [0, 1, 15, 4], [1, 3, 8, 8]],
        ([1, 0.8, 0.75, 0.4], [0.9667, 0.9333, 0.85, 0.9], [0.9831, 0.8615, 0.7969, 0.5538], 0.7988, 0.7375),
    ),
    (
        [[20, 0, 0, 0], [1, 34, 1, 2], [0, 0, 36, 11], [0, 1, 9, 28]],
        (
            [1, 0.8947, 0.766, 0.7368],
            [0.9919, 0.9905, 0.8958, 0.8762],
            [0.9959, 0.9402, 0.8258, 0.8005],
            0.8906,
            0.8252,
        ),
    ),
]
"""MM-AMD's confusion matrices (rows: normal, dry, PCV, wet): sensitivity, specificity, F1 each; mean F1, accuracy."""


@pytest.mark.parametrize(("table", "told"), MM_AMD, ids=["MM-CNN-da", "CFP-CNN", "OCT-CNN"])
def test_harmonic_means_of_the_published_confusion_matrices(table: Any, told: Any) -> None:
    sensitivity, specificity, harmonic, mean, accuracy = told
    found = Classes(tuple(map(tuple, table)))
    assert [one.sensitivity for one in found.counts()] == pytest.approx(sensitivity, abs=5.1e-5)
    assert [one.specificity for one in found.counts()] == pytest.approx(specificity, abs=5.1e-5)
    assert [one.harmonic for one in found.counts()] == pytest.approx(harmonic, abs=5.1e-5)
    assert (found.macro_harmonic, found.accuracy) == pytest.approx((mean, accuracy), abs=5.1e-5)


def test_averages_equal_scikit_learn() -> None:
    truth, known, score = case(120, 8, 3)
    found = judge(truth, known, score, ODIR)
    for name, theirs in (("auc", reference.roc_auc_score), ("ap", reference.average_precision_score)):
        for average in ("micro", "macro", "weighted"):
            expected = theirs(truth, score, average=average)
            assert found[f"{average}_{name}"] == pytest.approx(expected, abs=1e-12), (average, name)
    assert found["weighted_f1"] == pytest.approx(reference.f1_score(truth, score > 0.5, average="weighted"), abs=1e-12)
    assert found["macro_sensitivity"] == pytest.approx(reference.recall_score(truth, score > 0.5, average="macro"))
    for name, measure in (("precision", reference.precision_score), ("recall", reference.recall_score)):
        assert found[f"micro_{name}"] == pytest.approx(measure(truth, score > 0.5, average="micro"), abs=1e-14)
    assert found["micro_f1"] == pytest.approx(reference.f1_score(truth, score > 0.5, average="micro"), abs=1e-14)
    assert found["micro_f1"] == found["f1_positive"], "every cut is 0.5"
    assert found["exact_match"] == pytest.approx(reference.accuracy_score(truth, score > 0.5), abs=1e-14)
    assert found["brier"] == pytest.approx(reference.brier_score_loss(truth.ravel(), score.ravel()), abs=1e-14)
    assert found["macro_log_loss"] == pytest.approx(
        np.mean([reference.log_loss(y, p) for y, p in zip(truth.T, score.T, strict=True)]), abs=1e-12
    )
    assert found["exact_match_n"] == 120 and found["undefined"] == {}


def test_calls_of_all_labels_are_at_the_labels_own_cuts() -> None:
    truth, known, score = case(80)
    known[:7, 1] = False
    cuts = np.array([0.2, 0.7, 0.45])
    found = judge(truth, known, score, THREE, cuts)
    yes, called = truth[known], (score > cuts)[known]
    theirs = reference.precision_recall_fscore_support(yes, called, average="binary")[:3]
    ours = [found[f"micro_{name}"] for name in ("precision", "recall", "f1")]
    assert ours == pytest.approx(theirs, abs=1e-14)
    bfpc = 2 * 0.9909 * 0.9923 / (0.9909 + 0.9923)  # the published F1 is the harmonic mean of the published rates
    assert bfpc == pytest.approx(0.9916, abs=5e-5)
    blank = judge(truth, known, score * 0, THREE)
    assert blank["micro_precision"] is None and blank["micro_recall"] == blank["micro_f1"] == 0
    assert blank["undefined"]["micro_precision"] == "nothing is called"
    healthy = judge(truth * 0, known, score * 0, THREE)["undefined"]
    assert healthy["micro_recall"] == "no known cell is positive" and "nothing is called" in healthy["micro_f1"]


def test_operating_points_lie_on_scikit_learn_s_curve() -> None:
    for seed in range(20):
        truth, _, score = case(60, 1, seed)
        y, p = truth[:, 0], score[:, 0]
        fpr, tpr, _ = reference.roc_curve(y, p, drop_intermediate=False)
        for wanted in (0, 0.5, 0.8, 0.9, 1):
            sensitive, specific = (operate(y, p, Point(kind, wanted)) for kind in ("sensitivity", "specificity"))
            assert sensitive and specific
            assert sensitive.counts.specificity == pytest.approx(1 - fpr[tpr >= wanted - 1e-12].min(), abs=1e-12)
            assert specific.counts.sensitivity == pytest.approx(tpr[1 - fpr >= wanted - 1e-12].max(), abs=1e-12)
            assert sensitive.counts.sensitivity >= wanted and specific.counts.specificity >= wanted


def test_predictive_values_by_bayes() -> None:
    """A test of 90 % and 91 % on 1 % of 100,000 people: 900 of 9,810 calls are right, 90,090 of 90,190 others."""
    assert predictive(0.9, 0.91, 0.01) == pytest.approx((900 / 9810, 90090 / 90190), abs=1e-14)
    truth, _, score = case(200, 1, 4)
    at = operate(truth[:, 0], score[:, 0], Point("threshold", 0.5))
    assert at
    told = at.to_dict(float(truth.mean()))
    assert told["ppv_at_prevalence"] == pytest.approx(told["ppv"], abs=1e-12)
    assert told["npv_at_prevalence"] == pytest.approx(told["npv"], abs=1e-12)
    assert math.isnan(predictive(0.0, 1.0, 0.5)[0]) and math.isnan(predictive(math.nan, 1.0, 0.5)[0])


def test_refusing_equals_sorting_by_hand() -> None:
    """Geifman's area: the mean of the errors of the 1, 2, ..., n most certain."""
    truth, known, score = case(40, 3, 5)
    score += np.random.default_rng(0).random(score.shape) / 1000  # no ties
    known[3, 1] = False
    unsure = np.minimum(score, 1 - score).mean(axis=1)
    np.testing.assert_allclose(doubt(score), unsure, atol=1e-15)
    order, errors, missed = np.argsort(unsure), [], []
    for count in range(1, 41):
        rows = order[:count]
        cells = known[rows]
        y, called = truth[rows][cells], score[rows][cells] > 0.5
        errors.append((y != called).mean())
        missed.append((~called[y == 1]).mean() if y.any() else math.nan)
    found = curve(truth, known, score)
    np.testing.assert_allclose(found.error, errors, atol=1e-14)
    np.testing.assert_allclose(found.missed, missed, atol=1e-14)
    assert found.area() == pytest.approx(np.mean(errors)) and found.area("missed") == pytest.approx(np.nanmean(missed))


# laws


def same(one: Any, other: Any) -> None:
    """Equal JSON, floats up to rounding."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            same(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            same(a, b)
    else:
        assert one == (pytest.approx(other, abs=1e-12) if isinstance(one, float) else other)


def test_the_order_of_rows_does_not_matter() -> None:
    truth, known, score = case(90)
    known[5, 2] = False
    eyes, seen = eye_labels(truth)
    order = np.random.default_rng(1).permutation(90)
    patients = np.arange(90) // 2
    one = details(truth, known, score, THREE, look=Look(patients=patients, eyes=(eyes, seen)))
    rows = [array[order] for array in (truth, known, score)]
    look = Look(patients=patients[order], eyes=(eyes[order], seen[order]))
    for part in ("reliability", "operating", "abstaining"):
        same(one[part], details(*rows, THREE, look=look)[part])  # type: ignore[misc]
    other = details(*rows, THREE, look=look)  # type: ignore[misc]
    same(one["by_label_count"], other["by_label_count"])
    for a, b in zip(one["by_eyes"]["per_class"], other["by_eyes"]["per_class"], strict=True):
        assert a["one_eye"]["auc"] == pytest.approx(b["one_eye"]["auc"]) and a["left_out"] == b["left_out"]
    same(judge(truth, known, score, THREE), judge(*rows, THREE))  # type: ignore[misc]


def test_patients_twice_change_no_number() -> None:
    truth, known, score = case(60)
    twice = [np.repeat(array, 2, axis=0) for array in (truth, known, score)]
    one, other = judge(truth, known, score, THREE), judge(*twice, THREE)  # type: ignore[misc]
    for key, value in one.items():
        if isinstance(value, float):
            assert other[key] == pytest.approx(value, abs=1e-12), key
    found, again = curve(truth, known, score), curve(*twice)
    assert again.error[-1] == found.error[-1] and again.missed[-1] == found.missed[-1]
    for point in (Point("sensitivity", 0.8), Point("specificity", 0.8)):
        once, both = operate(truth[:, 0], score[:, 0], point), operate(twice[0][:, 0], twice[2][:, 0], point)
        assert once and both and once.threshold == both.threshold
        assert both.counts.tp == 2 * once.counts.tp


def test_constant_scores() -> None:
    truth, known, _ = case(50)
    flat = np.full(truth.shape, 0.25)
    found = curve(truth, known, flat)
    np.testing.assert_allclose(found.error, truth.mean(), atol=1e-14)  # nobody is more certain: the curve is flat
    np.testing.assert_array_equal(found.missed, 1)
    bins = reliability(truth[:, 0], flat[:, 0])
    assert len(bins) == 1 and calibration_error(bins) == pytest.approx(abs(truth[:, 0].mean() - 0.25))
    point = operate(truth[:, 0], flat[:, 0], Point("sensitivity", 0.5))
    assert point and point.counts.sensitivity == 1 and point.counts.specificity == 0
    point = operate(truth[:, 0], flat[:, 0], Point("specificity", 0.5))
    assert point and point.counts.sensitivity == 0 and point.counts.specificity == 1
    judged = judge(truth, known, flat, THREE)
    assert judged["micro_auc"] == judged["weighted_auc"] == 0.5
    assert judged["per_class"][0]["harmonic"] == 0 and judged["per_class"][0]["undefined"] == {
        "ppv": "nothing is called"
    }


def test_ties_share_a_bin_and_bins_hold_everybody() -> None:
    generator = np.random.default_rng(3)
    for _ in range(50):
        n = int(generator.integers(1, 60))
        p = generator.integers(0, 5, n) / 4
        bins = reliability(generator.integers(0, 2, n), p, 4)
        assert sum(one.n for one in bins) == n and len(bins) <= 4
        for one, after in itertools.pairwise(bins):
            assert one.high < after.low
    perfect = reliability([0, 0, 1, 1], [0, 0, 1, 1])
    assert calibration_error(perfect) == 0 and brier([0, 1], [0, 1]) == log_loss([0, 1], [0, 1]) == 0


def test_truth_as_prediction_is_perfect() -> None:
    truth, known, _ = case(40)
    judged = judge(truth, known, truth.astype(float), THREE)
    for key in ("micro_ap", "weighted_auc", "exact_match", "macro_harmonic", "macro_kappa"):
        assert judged[key] == 1, key
    assert judged["brier"] == judged["log_loss"] == judged["ece"] == 0
    assert curve(truth, known, truth.astype(float)).area() == 0


def test_undefined_is_none_with_the_reason() -> None:
    truth, known, score = case(30)
    truth[:, 2] = 0
    row = judge(truth, known, score, THREE)["per_class"][2]
    assert row["harmonic"] is None and row["brier"] is not None
    assert row["undefined"] == dict.fromkeys(("auc", "ap", "sensitivity", "harmonic"), "no positive")
    at = details(truth, known, score, THREE)["operating"][0]["per_class"][2]
    assert at == {"code": "Y", "at": None, "undefined": "no positive"}
    score[0, 0] = 1 - truth[0, 0]
    judged = judge(truth, known, score, THREE)
    assert judged["log_loss"] is None and "infinite" in judged["undefined"]["log_loss"]
    assert judged["macro_log_loss"] is None and judged["per_class"][1]["log_loss"] is not None
    known[:, 1] = False
    judged = judge(truth, known, score, THREE)
    assert judged["undefined"]["final"] == "30 of 90 truth cells are unknown"
    assert judged["undefined"]["exact_match"] == "no row has every label known"
    assert set(judged["per_class"][1]["undefined"].values()) == {"no known row"}
    for number, why in judged["undefined"].items():
        assert judged[number] is None and why
    json.dumps([judged, details(truth, known, score, THREE)], allow_nan=False)


def test_nothing_and_one_patient() -> None:
    nothing = np.zeros((0, 3))
    json.dumps(details(nothing, nothing.astype(bool), nothing, THREE), allow_nan=False)
    empty = judge(nothing, nothing.astype(bool), nothing, THREE)
    assert empty["undefined"]["brier"] == "no known cell" and empty["exact_match"] is None
    one = np.array([[1, 0, 0]]), np.ones((1, 3), bool), np.array([[0.8, 0.1, 0.3]])
    found = details(*one, THREE, look=Look(eyes=eye_labels(one[0])))
    assert found["by_label_count"]["one_label"]["n"] == 1 and found["by_eyes"]["macro_n"] == 0
    assert found["abstaining"]["area_error"] == 0
    json.dumps(found, allow_nan=False)
    assert judge(*one, THREE)["exact_match"] == 1


@pytest.mark.parametrize("function", [brier, log_loss, reliability])
def test_what_is_no_probability_is_refused(function: Any) -> None:
    for bad in (math.nan, -0.1, 1.1):
        with pytest.raises(ValueError, match="outside"):
            function([0, 1], [0.2, bad])
    with pytest.raises(ValueError, match="shape"):
        function([0, 1], [0.2])
    with pytest.raises(ValueError, match="0 and 1"):
        function([0, 2], [0.2, 0.3])


def test_refusals() -> None:
    for bad in ("sensitivity=2", "sens=0.9", "threshold=x", "", "specificity=nan"):
        with pytest.raises(ValueError, match="operating point"):
            Point.parse(bad)
    assert str(Point.parse("sensitivity=0.90")) == "sensitivity=0.9"
    for point in (Point("threshold", 0.5), Point("sensitivity", 0.5)):
        with pytest.raises(ValueError, match="nan"):
            operate([0, 1], [0.1, math.nan], point)
    with pytest.raises(ValueError, match="prevalence"):
        predictive(0.9, 0.9, 1.5)
    with pytest.raises(ValueError, match="numbers"):
        curve([[1]], [[True]], [[math.nan]])
    with pytest.raises(ValueError, match="shape"):
        curve([[1]], [[True]], [[0.1, 0.2]])
    with pytest.raises(ValueError, match="classes 0 to 1"):
        confusion([0, 2], [0, 1], 2)
    with pytest.raises(ValueError, match="square"):
        kappa([[1, 2]])
    with pytest.raises(ValueError, match="exactly one 1"):
        classify([[1, 1], [0, 1]], [[0.5, 0.5], [0.5, 0.5]])
    with pytest.raises(ValueError, match="one at least"):
        reliability([0], [0.5], 0)
    with pytest.raises(ValueError, match="shape"):
        exact_match([[1, 0]], [[True]], [[0.2, 0.3]], 0.5)
    assert operate([1, 0], [0.0, 0.5], Point("sensitivity", 1)) is None  # strictly above: 0 is never called
    assert math.isnan(kappa(confusion([1, 1], [1, 1], 2))) and math.isnan(weighted_mean([0.5, None], [1, 1]))


def test_classes_and_grades() -> None:
    generator = np.random.default_rng(7)
    y, score = generator.integers(0, 4, 90), generator.dirichlet(np.ones(4), 90)
    truth = np.eye(4, dtype=int)[y]
    grades = Vocabulary("dr", "grades", tuple(Label(str(c), f"grade {c}") for c in range(4)))
    found = details(truth, np.ones(truth.shape, bool), score, grades)["exclusive"]
    called = score.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(y, called))
    assert found["kappa_quadratic"] == pytest.approx(reference.cohen_kappa_score(y, called, weights="quadratic"))
    np.testing.assert_array_equal(found["confusion"], reference.confusion_matrix(y, called))
    assert [row["f1"] for row in found["per_class"]] == pytest.approx(reference.f1_score(y, called, average=None))
    plain = Vocabulary("amd", "exclusive", grades.labels)
    found = details(truth, np.ones(truth.shape, bool), score, plain)["exclusive"]
    assert "kappa_quadratic" not in found
    assert found["kappa"] == pytest.approx(reference.cohen_kappa_score(y, called))


def test_docs_name_every_number() -> None:
    page = (Path(__file__).parents[1] / "docs" / "scoring.md").read_text(encoding="utf-8")
    truth, known, score = case(40)
    judged = judge(truth, known, score, THREE)
    found = details(truth, known, score, THREE, look=Look(eyes=eye_labels(truth)))
    told = {key for key in judged if f"`{key}`" in page}
    names = {key.removeprefix("macro_").removeprefix("weighted_") for key in judged.keys() - told}
    for name in names | judged["per_class"][0].keys() | found.keys():
        assert f"`{name}`" in page, name
