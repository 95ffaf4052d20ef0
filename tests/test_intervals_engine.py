"""The statistical engine: bootstrap, jackknife, DeLong and intervals against references, then their laws."""

from __future__ import annotations

import json
import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics as reference
from scipy import stats

from eyeground.metrics.ap_interval import ap_interval
from eyeground.metrics.auc_interval import METHODS, auc_interval, difference_interval
from eyeground.metrics.cells import rank_weighted, sort_cells
from eyeground.metrics.delong import areas, placements
from eyeground.metrics.jackknife import leave_one_out
from eyeground.metrics.macro_interval import macro_ap_interval, macro_auc_interval, together
from eyeground.metrics.proportions import clopper_pearson, wilson
from eyeground.metrics.quantiles import beta_cdf, beta_quantile, student_quantile
from eyeground.metrics.ranking import auc, average_precision
from eyeground.metrics.resample import (
    Plan,
    bca,
    estimate,
    jackknife,
    percentile,
    prepare,
    resample,
    strata_of,
    weights_of,
)
from intervals_made import made, same, shifted, whole

ROOT = Path(__file__).resolve().parents[1]


# resampling


@pytest.mark.parametrize("seed", range(40))
def test_every_resample_is_what_scikit_learn_says_with_sample_weight(seed: int) -> None:
    truth, known, score, patients = made(seed)
    sample = prepare(truth, known, score, patients)
    who = np.unique(patients, return_inverse=True)[1]
    weights = np.random.default_rng(seed).integers(0, 4, (3, sample.people)).astype(np.uint8)
    for c, here in enumerate(known.T):
        area, precision = rank_weighted(sample.labels[c], weights)
        for k, drawn in enumerate(weights):
            weight = drawn[who[here]]
            left = truth[here, c][weight > 0]
            wanted = [math.nan, math.nan]
            if left.any():
                wanted[1] = reference.average_precision_score(truth[here, c], score[here, c], sample_weight=weight)
            if len(np.unique(left)) == 2:
                wanted[0] = reference.roc_auc_score(truth[here, c], score[here, c], sample_weight=weight)
            same(area[k], wanted[0])
            same(precision[k], wanted[1])


def test_a_resample_is_drawn_patients_with_all_their_rows() -> None:
    """Rows written out as often as they are drawn give the same numbers as weights."""
    truth, score = shifted(0, 40)
    patients = np.repeat(np.arange(20), 2)
    ranks = resample(whole(truth, score, patients), Plan(draws=5, seed=3))
    weights = weights_of(20, Plan(seed=3), range(5))
    np.testing.assert_array_equal(weights.sum(axis=1), 20)
    for k, drawn in enumerate(weights):
        rows = np.repeat(np.arange(40), np.repeat(drawn, 2))
        same(ranks.auc[k, 0], reference.roc_auc_score(truth[rows], score[rows]))
        same(ranks.ap[k, 0], reference.average_precision_score(truth[rows], score[rows]))


def test_threads_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, score = shifted(5, 90)
    sample = whole(truth, score, np.random.default_rng(0).integers(0, 50, 90))
    one = resample(sample, Plan(draws=60, seed=1, threads=1))
    monkeypatch.setattr("eyeground.metrics.resample.BLOCK", 100)
    for threads in (1, 2, 5):
        other = resample(sample, Plan(draws=60, seed=1, threads=threads))
        np.testing.assert_array_equal(other.auc, one.auc)
        np.testing.assert_array_equal(other.ap, one.ap)
    longer = resample(sample, Plan(draws=80, seed=1))
    np.testing.assert_array_equal(longer.auc[:60], one.auc)
    assert not np.array_equal(resample(sample, Plan(draws=60, seed=2)).auc, one.auc)


def test_a_patient_drawn_more_often_than_a_byte_can_count() -> None:
    truth, score = np.array([1, 0, 1, 0]), np.array([0.9, 0.1, 0.2, 0.3])
    cells = sort_cells(truth, score, np.arange(4))
    weights = np.array([[300, 1, 70_000, 2_000_000]])
    area, precision = rank_weighted(cells, weights)
    same(area[0], reference.roc_auc_score(truth, score, sample_weight=weights[0]))
    same(precision[0], reference.average_precision_score(truth, score, sample_weight=weights[0]))


def test_strata_fix_the_number_of_positive_patients() -> None:
    truth, score = shifted(1, 100, prevalence=0.03)
    sample = whole(truth, score)
    assert 0 < truth.sum() < 5
    assert np.isnan(resample(sample, Plan(draws=300)).auc).any()
    strata = strata_of(sample, 0)
    np.testing.assert_array_equal(strata, truth)
    ranks = resample(sample, Plan(draws=300), strata)
    assert not np.isnan(ranks.auc).any()
    # one stratum is the plain bootstrap
    plain = resample(sample, Plan(draws=20))
    np.testing.assert_array_equal(resample(sample, Plan(draws=20), np.zeros(100)).auc, plain.auc)
    with pytest.raises(ValueError, match="one for each patient"):
        resample(sample, strata=np.zeros(99))


def test_undefined_draws_are_counted_and_too_many_leave_no_interval() -> None:
    truth, score = np.arange(30) == 3, np.linspace(0, 1, 30)
    drawn = resample(whole(truth, score), Plan(draws=400)).auc[:, 0]
    found = percentile(drawn)
    assert found.undefined == np.isnan(drawn).sum() > 80
    assert found.draws == 400 and found.low <= auc(truth, score) <= found.high
    few = percentile(np.where(np.arange(400) < 150, 0.5, np.nan))
    assert math.isnan(few.low) and few.undefined == 250


def test_a_macro_mean_is_over_all_its_labels_or_undefined() -> None:
    generator = np.random.default_rng(0)
    truth = np.stack([generator.random(60) < 0.4, np.arange(60) < 1, np.zeros(60, bool)], axis=1)
    sample = prepare(truth, np.ones_like(truth), generator.random((60, 3)))
    ranks = resample(sample, Plan(draws=200))
    assert sample.both() == [0, 1]
    np.testing.assert_array_equal(np.isnan(ranks.macro("auc")), np.isnan(ranks.auc[:, 1]))
    np.testing.assert_allclose(ranks.macro("ap"), ranks.ap[:, :2].mean(axis=1))
    assert np.isnan(ranks.auc[:, 2]).all()


@pytest.mark.parametrize("seed", range(40))
def test_jackknife_is_the_number_without_each_patient(seed: int) -> None:
    truth, known, score, patients = made(seed)
    sample = prepare(truth, known, score, patients)
    left = jackknife(sample)
    for c, who in product(range(3), range(sample.people)):
        here = known[:, c] & (np.unique(patients, return_inverse=True)[1] != who)
        same(left.auc[who, c], auc(truth[here, c], score[here, c]))
        same(left.ap[who, c], average_precision(truth[here, c], score[here, c]))


def test_estimate_is_the_plain_number() -> None:
    truth, known, score, patients = made(8)
    value = estimate(prepare(truth, known, score, patients))
    for c, here in enumerate(known.T):
        same(value.auc[0, c], auc(truth[here, c], score[here, c]))
        same(value.ap[0, c], average_precision(truth[here, c], score[here, c]))


def test_bca_is_scipy_s() -> None:
    """The same draws of a mean, so that only the correction can differ."""
    data = np.random.default_rng(0).exponential(size=40)
    theirs = stats.bootstrap((data,), np.mean, n_resamples=3000, method="BCa", rng=np.random.default_rng(1))
    left = (data.sum() - data) / 39
    ours = bca(theirs.bootstrap_distribution, float(data.mean()), left)
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=1e-12)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=1e-12)
    plain = stats.bootstrap((data,), np.mean, bootstrap_result=theirs, n_resamples=0, method="percentile")
    assert percentile(theirs.bootstrap_distribution).low == pytest.approx(plain.confidence_interval.low, abs=1e-12)


def test_bca_is_undefined_where_its_correction_is() -> None:
    perfect = whole(np.arange(20) < 8, -np.arange(20.0))
    drawn = resample(perfect, Plan(draws=100)).auc[:, 0]
    assert (drawn == 1).all()
    found = bca(drawn, 1.0, jackknife(perfect).auc[:, 0])
    assert (found.low, found.high) == (1, 1)  # half of equal draws count: no bias, no spread
    lonely = whole(np.arange(20) == 4, np.arange(20.0))
    drawn = resample(lonely, Plan(draws=100)).auc[:, 0]
    found = bca(drawn, estimate(lonely).auc[0, 0], jackknife(lonely).auc[:, 0])
    assert math.isnan(found.low) and found.undefined == np.isnan(drawn).sum()
    assert math.isnan(bca(np.linspace(0.5, 0.6, 50), 0.7, np.linspace(0, 1, 9)).low)


# intervals


def test_quantiles_are_scipy_s() -> None:
    for p, degrees in product((0.6, 0.975, 0.01, 0.9999), (0.7, 1, 2, 4.3, 30, 1e4, 1e6)):
        assert student_quantile(p, degrees) == pytest.approx(stats.t.ppf(p, degrees), rel=1e-9)
    for a, b in product((0.5, 1, 3, 1e3, 1e5), (0.5, 1, 7, 1e4, 1e6)):
        for p in (0.025, 0.5, 0.975):
            assert beta_quantile(p, a, b) == pytest.approx(stats.beta.ppf(p, a, b), rel=1e-8)
            assert beta_cdf(p, a, b) == pytest.approx(stats.beta.cdf(p, a, b), abs=1e-11)


@pytest.mark.parametrize("n", [1, 5, 40, 1000])
def test_proportions_are_scipy_s(n: int) -> None:
    for hits, level in product(sorted({0, 1, n // 3, n - 1, n}), (0.95, 0.8)):
        for ours, method in ((clopper_pearson, "exact"), (wilson, "wilson")):
            theirs = stats.binomtest(hits, n).proportion_ci(level, method=method)
            assert ours(hits, n, level) == pytest.approx([theirs.low, theirs.high], abs=1e-12)
    assert clopper_pearson(0, 0) is None
    with pytest.raises(ValueError, match="3 hits of 2"):
        clopper_pearson(3, 2)


@pytest.mark.parametrize("method", METHODS)
def test_auc_intervals_narrow_with_patients_and_widen_with_level(method: str) -> None:
    truth, score = shifted(0, 300)
    inner, outer = (auc_interval(truth, score, None, level, method) for level in (0.8, 0.99))
    assert inner is not None and outer is not None
    assert 0 <= outer[0] < inner[0] < auc(truth, score) < inner[1] < outer[1] <= 1
    many = auc_interval(np.tile(truth, 9), np.tile(score, 9), None, 0.8, method)
    assert many is not None and many[1] - many[0] == pytest.approx((inner[1] - inner[0]) / 3, rel=0.15)


@pytest.mark.parametrize("method", METHODS)
def test_auc_intervals_know_no_order_scale_or_side(method: str) -> None:
    truth, score = shifted(1, 90)
    score = np.round(score, 1)
    patients = np.random.default_rng(0).integers(0, 60, 90)
    turn = np.random.default_rng(1).permutation(90)
    one = auc_interval(truth, score, patients, method=method)
    assert one is not None
    assert auc_interval(truth[turn], score[turn], patients[turn], method=method) == pytest.approx(one, abs=1e-12)
    assert auc_interval(truth, np.exp(score), [f"p{i}" for i in patients], method=method) == pytest.approx(one)
    mirrored = auc_interval(truth, -score, patients, method=method)
    assert mirrored == pytest.approx([1 - one[1], 1 - one[0]], abs=1e-12)
    exchanged = auc_interval(~truth, -score, patients, method=method)
    assert exchanged == pytest.approx(one, abs=1e-12)


def test_score_interval_has_an_answer_where_the_others_have_none() -> None:
    truth, score = np.arange(200) < 10, -np.arange(200.0)
    low, high = auc_interval(truth, score) or (0, 0)
    assert high == 1 and 0.8 < low < 0.95  # ten of ten above everything: not certainty
    assert [auc_interval(truth, score, method=name) for name in ("delong", "logit", "logit-t")] == [None] * 3
    low, high = auc_interval(np.arange(200) == 0, score) or (0, 0)
    assert high == 1 and low < 0.5  # one positive proves nothing
    low, high = auc_interval(truth, np.zeros(200)) or (0, 0)
    assert low < 0.5 < high and low + high == pytest.approx(1)
    assert auc_interval(np.zeros(5), np.arange(5)) is None
    assert ap_interval(np.zeros(5), np.arange(5)) is None and ap_interval(np.ones(5), np.arange(5)) is None


def test_score_interval_becomes_delong_s_with_many_patients() -> None:
    truth, score = shifted(3, 60_000, 0.3)
    ours, theirs = auc_interval(truth, score), auc_interval(truth, score, method="delong")
    assert ours is not None and ours == pytest.approx(theirs, abs=1e-4)


def test_ap_interval_has_the_laws_of_a_proportion() -> None:
    truth, score = shifted(1, 120, 0.1)
    value = average_precision(truth, score)
    low, high = ap_interval(truth, score) or (1, 0)
    assert 0 < low < value < high < 1
    turn = np.random.default_rng(1).permutation(120)
    assert ap_interval(truth[turn], np.exp(score[turn])) == pytest.approx([low, high], abs=1e-12)
    twice = ap_interval(np.repeat(truth, 2), np.repeat(score, 2), np.repeat(np.arange(120), 2))
    apart = ap_interval(np.repeat(truth, 2), np.repeat(score, 2))
    assert twice == pytest.approx([low, high], abs=0.03)
    assert apart is not None and apart[1] - apart[0] < 0.85 * (high - low)
    perfect = ap_interval(np.arange(50) < 4, -np.arange(50.0))
    assert perfect is not None and perfect[1] == 1 and 0.3 < perfect[0] < 0.9


def test_macro_intervals_are_the_label_s_own_when_labels_agree() -> None:
    truth, score = shifted(2, 200, 0.2)
    mask = np.ones((200, 3), bool)
    three = prepare(np.stack([truth] * 3, axis=1), mask, np.stack([score] * 3, axis=1))
    assert macro_auc_interval(three) == pytest.approx(auc_interval(truth, score), abs=1e-9)
    own, value, left = ap_interval(truth, score), estimate(three).ap[0, 0], jackknife(three).ap[:, 0]
    bias = 199 * (left.mean() - value)
    assert own is not None and bias > 0
    assert macro_ap_interval(three) == pytest.approx([own[0] - bias, own[1]], abs=1e-9)
    # independent labels: half the length for four of them
    rows = [shifted(seed, 4000, 0.2) for seed in range(4)]
    four = prepare(np.stack([r[0] for r in rows], 1), np.ones((4000, 4), bool), np.stack([r[1] for r in rows], 1))
    found, alone = macro_auc_interval(four), auc_interval(*rows[0])
    assert found is not None and alone is not None
    assert found[1] - found[0] == pytest.approx((alone[1] - alone[0]) / 2, rel=0.15)
    nothing = prepare(np.zeros((5, 2)), np.ones((5, 2), bool), np.random.default_rng(0).random((5, 2)))
    assert macro_auc_interval(nothing) is None and macro_ap_interval(nothing) is None


def test_together_is_the_sum_of_independent_errors() -> None:
    found = together(
        np.array([0.5, 0.7]), np.array([[0.4, 0.6], [0.3, 0.8]]), np.array([[1.0, -1, 0, 0], [0, 0, 2, -2]])
    )
    assert found == pytest.approx([0.6 - math.hypot(0.1, 0.4) / 2, 0.6 + math.hypot(0.1, 0.1) / 2])


def test_unknown_cells_have_no_part() -> None:
    truth, known, score, patients = made(11)
    spoiled = np.where(known, score, np.nan), np.where(known, truth, 7)
    one = resample(prepare(truth, known, score, patients), Plan(draws=30))
    other = resample(prepare(spoiled[1], known, spoiled[0], patients), Plan(draws=30))
    np.testing.assert_array_equal(one.auc, other.auc)


def test_a_single_patient_can_be_judged_but_not_resampled_apart() -> None:
    truth, score = np.array([1, 0, 1]), np.array([0.3, 0.2, 0.1])
    sample = whole(truth, score, np.zeros(3))
    drawn = resample(sample, Plan(draws=10)).auc[:, 0]
    assert (drawn == 0.5).all() and np.isnan(jackknife(sample).auc).all()
    assert math.isnan(bca(drawn, 0.5, jackknife(sample).auc[:, 0]).low)
    assert np.isnan(areas(truth, score, np.zeros(3)).covariance).all()
    low, high = auc_interval(truth, score, np.zeros(3)) or (1, 0)
    assert low < 0.1 and high > 0.9
    assert auc_interval(truth, score, np.zeros(3), method="logit") is None
    assert difference_interval(truth, np.stack([score, -score]), np.zeros(3)) is None


def test_refusals() -> None:
    truth, score = np.array([0, 1, 1]), np.array([0.1, np.nan, 0.3])
    for refused in (areas, placements, auc_interval, ap_interval):
        with pytest.raises(ValueError, match="a score is nan"):
            refused(truth, score)
    with pytest.raises(ValueError, match="a score is nan"):
        whole(truth, score)
    with pytest.raises(ValueError, match="other than 0 and 1"):
        areas([0, 1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="0 positives and 3 negatives"):
        areas([0, 0, 0], [1, 2, 3])
    with pytest.raises(ValueError, match="patients have shape"):
        auc_interval(truth, [1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="a patient is nan"):
        auc_interval(truth, [1, 2, 3], [1, 2, np.nan])
    with pytest.raises(ValueError, match="there are score, delong"):
        auc_interval(truth, [1, 2, 3], method="wald")
    with pytest.raises(ValueError, match="level lies between"):
        auc_interval(truth, [1, 2, 3], level=95)
    with pytest.raises(ValueError, match="level lies between"):
        percentile([0.1, 0.2], level=0)
    with pytest.raises(ValueError, match="no rows"):
        prepare(np.zeros((0, 2)), np.zeros((0, 2), bool), np.zeros((0, 2)))
    with pytest.raises(ValueError, match="0 draws"):
        resample(whole(np.array([0, 1]), np.array([0.0, 1.0])), Plan(draws=0))


def test_leaving_out_is_defined_by_what_is_left() -> None:
    area, precision = leave_one_out(sort_cells([1, 0, 0], [3, 2, 1], [0, 1, 1]), 3)
    assert np.isnan(area[:2]).all() and area[2] == 1
    assert math.isnan(precision[0]) and precision[1] == precision[2] == 1


# coverage


def test_score_interval_covers_with_ten_positives_where_the_logit_scale_does_not() -> None:
    """200 patients, 5 % positive, AUC 0.90, seeded; 600 test sets have a standard error of 0.009 at 0.95."""
    generator, shift = np.random.default_rng(2024), math.sqrt(2) * stats.norm.ppf(0.9)
    hits = {"score": 0, "logit": 0}
    for _ in range(600):
        truth = generator.random(200) < 0.05
        score = generator.standard_normal(200) + shift * truth
        for name in hits:
            found = auc_interval(truth, score, method=name)
            hits[name] += found is not None and found[0] <= 0.9 <= found[1]
    assert hits["score"] / 600 >= 0.93
    assert hits["logit"] / 600 < 0.92


def test_the_page_holds_the_measured_coverage() -> None:
    figures = json.loads((ROOT / "benchmarks" / "results" / "coverage.json").read_text(encoding="utf-8"))["figures"]
    page = (ROOT / "docs" / "intervals.md").read_text(encoding="utf-8")
    from benchmarks.coverage import tables

    for table in tables(figures).values():
        assert table in page
