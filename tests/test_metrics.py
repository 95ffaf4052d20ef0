"""Measures against scikit-learn and the challenge's published numbers, then their laws."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import sklearn.metrics as reference

from eyeground.metrics.counts import Counts, count
from eyeground.metrics.judge import judge
from eyeground.metrics.official import official, positive_f1
from eyeground.metrics.ranking import auc, average_precision
from eyeground.vocabulary import ODIR, Vocabulary

PATIENTS = 3500
POSITIVES = (1140, 1128, 215, 212, 164, 103, 174, 979)
"""Patients per label in the ODIR-5K training sheet; the sanity rows depend on nothing else."""


def training_labels() -> np.ndarray:
    return np.stack([np.arange(PATIENTS) < n for n in POSITIVES], axis=1).astype(int)


def random_case(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Truth and scores with many ties."""
    n, levels = int(generator.integers(2, 60)), int(generator.integers(1, 12))
    return generator.integers(0, 2, n), generator.integers(0, levels + 1, n) / levels


def test_all_zeros_scores_what_the_challenge_gives_a_blank_sheet() -> None:
    truth = training_labels()
    numbers = official(truth, np.zeros(truth.shape))
    assert numbers.kappa == 0
    assert numbers.f1 == pytest.approx(0.853036, abs=5e-7)
    assert numbers.auc == 0.5
    assert numbers.final == pytest.approx(0.451012, abs=5e-7)


def test_prevalence_rows_score_without_seeing_an_image() -> None:
    truth = training_labels()
    numbers = official(truth, np.broadcast_to(truth.mean(axis=0), truth.shape))
    assert (numbers.kappa, numbers.f1) == (0, pytest.approx(0.853036, abs=5e-7))
    assert numbers.auc == pytest.approx(0.758120, abs=5e-7)
    assert numbers.final == pytest.approx(0.537052, abs=5e-7)


def test_official_equals_the_script_written_with_scikit_learn() -> None:
    generator = np.random.default_rng(1)
    for _ in range(50):
        truth = generator.integers(0, 2, (20, 8))
        probability = generator.integers(0, 21, (20, 8)) / 20  # 0.5 itself occurs and counts as absent
        ours = official(truth, probability)
        flat, called = truth.ravel(), probability.ravel() > 0.5
        assert ours.kappa == pytest.approx(reference.cohen_kappa_score(flat, called), abs=1e-12)
        assert ours.f1 == pytest.approx(reference.f1_score(flat, called, average="micro"), abs=1e-12)
        assert ours.auc == pytest.approx(reference.roc_auc_score(flat, probability.ravel()), abs=1e-12)
        assert ours.final == pytest.approx((ours.kappa + ours.f1 + ours.auc) / 3, abs=1e-12)


def test_micro_f1_is_cell_accuracy() -> None:
    generator = np.random.default_rng(2)
    truth, probability = generator.integers(0, 2, (30, 8)), generator.random((30, 8))
    assert official(truth, probability).f1 == ((probability > 0.5) == truth).mean()


def test_official_is_undefined_without_a_positive() -> None:
    numbers = official(np.zeros((3, 8)), np.zeros((3, 8)))
    assert math.isnan(numbers.kappa) and math.isnan(numbers.auc) and math.isnan(numbers.final)
    assert numbers.f1 == 1


@pytest.mark.parametrize(
    ("accuracy", "kappa", "expected"),
    [(0.892, 0.535, 0.60), (0.886, 0.513, 0.58), (0.901, 0.548, 0.60), (0.925, 0.690, 0.73)],
    ids=["BFENet off-site", "BFENet on-site", "two EfficientNet-B3", "3-fold"],
)
def test_positive_f1_of_published_pairs(accuracy: float, kappa: float, expected: float) -> None:
    assert positive_f1(accuracy, kappa, 0.147) == pytest.approx(expected, abs=0.005)


def test_positive_f1_recovers_the_counted_one() -> None:
    counts = Counts(tp=310, fp=120, fn=280, tn=3290)
    assert positive_f1(counts.accuracy, counts.kappa, counts.n_pos / counts.n) == pytest.approx(counts.f1, abs=1e-12)
    assert math.isnan(positive_f1(0.9, 0.5, 0.5))


def test_ranking_equals_scikit_learn_with_ties() -> None:
    generator = np.random.default_rng(3)
    for _ in range(300):
        truth, score = random_case(generator)
        if truth.any():
            expected = reference.average_precision_score(truth, score)
            assert average_precision(truth, score) == pytest.approx(expected, abs=1e-12)
        if 0 < truth.sum() < len(truth):
            assert auc(truth, score) == pytest.approx(reference.roc_auc_score(truth, score), abs=1e-12)


def test_ranking_laws() -> None:
    generator = np.random.default_rng(4)
    truth, score = generator.integers(0, 2, 200), generator.random(200)
    assert auc(truth, -score) == pytest.approx(1 - auc(truth, score), abs=1e-15)
    assert auc(1 - truth, -score) == auc(truth, score)
    assert auc(truth, score**3) == auc(truth, score)
    assert average_precision(truth, score**3) == average_precision(truth, score)
    shuffled = generator.permutation(200)
    assert auc(truth[shuffled], score[shuffled]) == auc(truth, score)
    assert auc(truth, np.ones(200)) == 0.5
    assert average_precision(truth, np.ones(200)) == pytest.approx(truth.mean(), abs=1e-15)
    assert auc(truth, truth) == average_precision(truth, truth) == 1


def test_ranking_undefined() -> None:
    assert math.isnan(auc([0, 0], [0.1, 0.2])) and math.isnan(auc([1, 1], [0.1, 0.2])) and math.isnan(auc([], []))
    assert math.isnan(average_precision([0, 0], [0.1, 0.2])) and math.isnan(average_precision([], []))
    with pytest.raises(ValueError, match="nan"):
        auc([0, 1], [0.1, np.nan])
    with pytest.raises(ValueError, match="0 and 1"):
        auc([0, 2], [0.1, 0.2])
    with pytest.raises(ValueError, match="shape"):
        auc([0, 1], [0.1])


def test_counts_equal_scikit_learn() -> None:
    generator = np.random.default_rng(5)
    for _ in range(100):
        truth, score = random_case(generator)
        called = score > 0.5
        counts = count(truth, score, 0.5)
        tn, fp, fn, tp = reference.confusion_matrix(truth, called, labels=[False, True]).ravel()
        assert (counts.tp, counts.fp, counts.fn, counts.tn) == (tp, fp, fn, tn)
        assert (counts.n, counts.n_pos, counts.n_neg) == (len(truth), truth.sum(), len(truth) - truth.sum())
        if not math.isnan(counts.kappa):
            assert counts.kappa == pytest.approx(reference.cohen_kappa_score(truth, called), abs=1e-12)
        for ours, label, score_function in (
            (counts.sensitivity, 1, reference.recall_score),
            (counts.specificity, 0, reference.recall_score),
            (counts.ppv, 1, reference.precision_score),
            (counts.npv, 0, reference.precision_score),
            (counts.f1, 1, reference.f1_score),
        ):
            theirs = score_function(truth, called, pos_label=label, zero_division=np.nan)
            assert ours == pytest.approx(theirs, abs=1e-12, nan_ok=True)


def test_counts_undefined_never_zero() -> None:
    nothing = count([0, 0], [0.1, 0.2], 0.5)
    assert all(math.isnan(value) for value in (nothing.sensitivity, nothing.ppv, nothing.f1, nothing.kappa))
    assert (nothing.specificity, nothing.npv, nothing.n_pos) == (1, 1, 0)
    assert math.isnan(count([], [], 0.5).accuracy)


def test_a_float32_score_next_to_the_threshold_is_compared_exactly() -> None:
    score = np.array([0.3], dtype=np.float32)  # slightly above 0.3 in float64
    assert count([1], score, 0.3).tp == 1
    assert count([1], score, float(score[0])).tp == 0


def three_labels() -> Vocabulary:
    return Vocabulary.multilabel("three", ("N", "X", "Y"))


def test_judge_numbers_and_macro() -> None:
    generator = np.random.default_rng(6)
    truth, probability = generator.integers(0, 2, (80, 8)), generator.random((80, 8))
    cuts = np.linspace(0.2, 0.7, 8)
    result = judge(truth, np.ones(truth.shape, bool), probability, ODIR, cuts)
    assert {key: result[key] for key in ("kappa", "f1", "auc", "final")} == official(truth, probability).to_dict()
    assert result["macro_auc"] == pytest.approx(reference.roc_auc_score(truth, probability, average="macro"), abs=1e-12)
    expected = reference.average_precision_score(truth, probability, average="macro")
    assert result["macro_ap"] == pytest.approx(expected, abs=1e-12)
    assert result["macro_n"] == 8 and result["n"] == 80 and result["notes"] == []
    for c, row in enumerate(result["per_class"]):
        counts = count(truth[:, c], probability[:, c], cuts[c])
        assert (row["code"], row["threshold"]) == (ODIR.codes[c], cuts[c])
        assert (row["sensitivity"], row["f1"], row["n_pos"]) == (counts.sensitivity, counts.f1, counts.n_pos)
    assert result["f1_positive"] == pytest.approx(reference.f1_score(truth.ravel(), probability.ravel() > 0.5))
    json.dumps(result, allow_nan=False)


def test_judge_baselines_are_the_sanity_rows() -> None:
    truth = training_labels()
    result = judge(truth, np.ones(truth.shape, bool), truth * 0.9, ODIR)
    zeros, prevalence = result["baselines"]["all_zeros"], result["baselines"]["prevalence"]
    assert zeros["final"] == pytest.approx(0.451012, abs=5e-7)
    assert prevalence["final"] == pytest.approx(0.537052, abs=5e-7)
    assert zeros["macro_auc"] == prevalence["macro_auc"] == 0.5
    assert "this same truth" in prevalence["description"]
    assert (result["kappa"], result["macro_auc"], result["final"]) == (1, 1, 1)


def test_judge_with_unknown_cells_leaves_official_numbers_undefined() -> None:
    truth, known = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0.0]]), np.ones((3, 3), bool)
    known[2, 1] = False
    truth[2, 1] = np.nan
    probability = np.array([[0.9, 0.2, 0.6], [0.1, 0.8, 0.3], [0.7, 0.4, 0.2]])
    result = judge(truth, known, probability, three_labels())
    assert all(result[key] is None for key in ("kappa", "f1", "auc", "final"))
    assert result["baselines"]["all_zeros"]["final"] is None
    assert "1 of 9 truth cells" in result["notes"][0]
    assert (result["macro_auc"], result["macro_n"]) == (1, 3)
    assert [row["n"] for row in result["per_class"]] == [3, 2, 3]
    json.dumps(result, allow_nan=False)


def test_judge_leaves_a_label_without_positives_out_of_the_mean() -> None:
    truth = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0]])
    probability = np.array([[0.9, 0.2, 0.6], [0.1, 0.8, 0.3], [0.7, 0.4, 0.2]])
    result = judge(truth, np.ones((3, 3), bool), probability, three_labels())
    last = result["per_class"][2]
    assert (last["auc"], last["ap"], last["sensitivity"], last["n_pos"]) == (None, None, None, 0)
    assert (result["macro_n"], result["macro_auc"], result["macro_ap"]) == (2, 1, 1)
    assert result["notes"] == ["Y (Y) has no positive and is left out of the macro means"]


def test_judge_of_nothing_is_undefined() -> None:
    nothing = np.zeros((0, 3))
    result = judge(nothing, nothing.astype(bool), nothing, three_labels())
    assert (result["n"], result["final"], result["macro_auc"], result["macro_n"]) == (0, None, None, 0)
    json.dumps(result, allow_nan=False)


@pytest.mark.parametrize("bad", [np.nan, -0.1, 1.1])
def test_judge_refuses_what_is_no_probability(bad: float) -> None:
    probability = np.full((2, 3), 0.5)
    probability[1, 1] = bad
    with pytest.raises(ValueError, match="outside"):
        judge(np.zeros((2, 3)), np.ones((2, 3), bool), probability, three_labels())
