"""Thresholds, the map to 0.5, temperature and intervals."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import sklearn.metrics as reference
from scipy import optimize, stats

from eyeground.metrics.ap_interval import ap_interval
from eyeground.metrics.auc_interval import auc_interval
from eyeground.metrics.calibration import HIGHEST, LOWEST, Calibration, fit_temperature, log_loss, sigmoid
from eyeground.metrics.details import Look, details
from eyeground.metrics.intervals import Bootstrap, intervals
from eyeground.metrics.judge import judge
from eyeground.metrics.macro_interval import macro_ap_interval, macro_auc_interval
from eyeground.metrics.operating import Point
from eyeground.metrics.proportions import wilson
from eyeground.metrics.ranking import auc
from eyeground.metrics.resample import Plan, prepare, weights_of
from eyeground.metrics.thresholds import candidates, choose, map_to_half
from eyeground.vocabulary import Vocabulary

ONE = Vocabulary.multilabel("one", ("X",))
RULES = ("f1", "youden", "fixed")


def column(values: np.ndarray | list[float]) -> np.ndarray:
    return np.asarray(values, dtype=float)[:, None]


def made(seed: int, n: int = 120, levels: int = 30) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 2, n)
    return truth, np.round(np.clip(truth * 0.3 + generator.random(n) * 0.7, 0, 1) * levels) / levels


def pick(truth: np.ndarray, score: np.ndarray, rule: str) -> float:
    mask = np.ones((len(truth), 1), bool)
    return choose(column(truth), mask, column(score), ONE, rule)[0].value  # type: ignore[arg-type]


def test_f1_threshold_is_the_best_of_scikit_learn_s_curve() -> None:
    for seed in range(20):
        truth, score = made(seed)
        precision, recall, _ = reference.precision_recall_curve(truth, score)
        best = np.nanmax(2 * precision * recall / np.where(precision + recall, precision + recall, np.nan))
        assert reference.f1_score(truth, score > pick(truth, score, "f1")) == pytest.approx(best, abs=1e-12)


def test_youden_threshold_is_the_best_of_scikit_learn_s_curve() -> None:
    for seed in range(20):
        truth, score = made(seed)
        false_rate, true_rate, _ = reference.roc_curve(truth, score, drop_intermediate=False)
        called = score > pick(truth, score, "youden")
        ours = called[truth == 1].mean() - called[truth == 0].mean()
        assert ours == pytest.approx((true_rate - false_rate).max(), abs=1e-12)


def test_threshold_lies_midway_and_ties_go_to_the_lowest() -> None:
    truth = np.repeat([0, 1], 10)
    assert pick(truth, np.repeat([0.2, 0.6], 10), "f1") == pytest.approx(0.4)
    # calling the upper two groups or only the uppermost is equally good for Youden
    truth = np.repeat([0, 1, 0, 1], (10, 10, 10, 10))
    score = np.repeat([0.1, 0.3, 0.5, 0.7], 10)
    assert pick(truth, score, "youden") == pytest.approx(0.2)


def test_threshold_needs_ten_of_each() -> None:
    truth, score = np.repeat([0, 1], (50, 9)), np.repeat([0.1, 0.3], (50, 9))
    few = choose(column(truth), np.ones((59, 1), bool), column(score), ONE)[0]
    assert (few.value, few.rule, few.n, few.n_pos) == (0.5, "fixed", 59, 9)
    assert "9 positives" in few.reason
    none_known = choose(column(truth), np.zeros((59, 1), bool), column(score), ONE)[0]
    assert (none_known.value, none_known.n) == (0.5, 0)
    assert "negatives" in choose(column(1 - truth), np.ones((59, 1), bool), column(score), ONE)[0].reason


def test_thresholds_ignore_unknown_rows_and_row_order() -> None:
    truth, score = made(3)
    known = np.random.default_rng(0).random((120, 1)) < 0.7
    spoiled = np.where(known, column(truth), np.nan)
    one = choose(spoiled, known, column(score), ONE)[0]
    turn = np.random.default_rng(1).permutation(120)
    assert choose(spoiled[turn], known[turn], column(score)[turn], ONE)[0] == one
    assert one.value == pick(truth[known[:, 0]], score[known[:, 0]], "f1")
    json.dumps(one.to_dict())


def test_candidates_separate_even_neighbouring_floats() -> None:
    low = 0.3
    high = np.nextafter(low, 1)
    cuts = candidates(np.array([low, high, 0.0, 1.0]))
    for below, over in ((0.0, low), (low, high), (high, 1.0)):
        assert ((cuts >= below) & (cuts < over)).any()
    assert candidates(np.zeros(3)).tolist() == [0.5] and candidates(np.ones(3)).tolist() == [0.5]


def awkward_floats() -> np.ndarray:
    around = [0.0, 5e-324, 1e-310, 1e-17, 1e-9, 0.1, 0.25, 0.3, 0.5, 0.7, 0.9, 1 - 1e-9, 1 - 1e-16, 1.0]
    near = [np.nextafter(value, way) for value in around for way in (0.0, 1.0)]
    return np.unique(np.concatenate([around, near, np.random.default_rng(0).random(200)]))


def test_map_to_half_keeps_every_call() -> None:
    floats = awkward_floats()
    for threshold in floats:
        mapped = map_to_half(floats, threshold)
        assert np.array_equal(mapped > 0.5, floats > threshold)
        assert np.array_equal(mapped < 0.5, floats < threshold)
        assert mapped[floats == threshold] == 0.5
        assert (np.diff(mapped) >= 0).all() and mapped.min() >= 0 and mapped.max() <= 1


def test_map_to_half_is_the_logit_shift() -> None:
    generator = np.random.default_rng(2)
    p, t = generator.random((50, 8)), generator.random(8)
    expected = sigmoid(np.log(p / (1 - p)) - np.log(t / (1 - t)))
    np.testing.assert_allclose(map_to_half(p, t), expected, rtol=1e-12)
    np.testing.assert_allclose(map_to_half(p, 0.5), p, rtol=1e-15)
    np.testing.assert_allclose(map_to_half(map_to_half(p, t), 1 - t), p, rtol=1e-9)
    truth = generator.integers(0, 2, 50)
    assert auc(truth, map_to_half(p[:, 0], 0.2)) == auc(truth, p[:, 0])


def test_map_to_half_of_the_ends_and_float32() -> None:
    np.testing.assert_array_equal(map_to_half([0.0, 0.3, 1.0], 0.3), [0, 0.5, 1])
    scores = np.random.default_rng(3).random(500).astype(np.float32)
    cut = float(scores[7])
    assert np.array_equal(map_to_half(scores, cut) > 0.5, scores.astype(float) > cut)
    with pytest.raises(ValueError, match="outside"):
        map_to_half([0.5], 1.5)


def test_temperature_equals_scipy_s_minimum() -> None:
    generator = np.random.default_rng(4)
    logits = generator.normal(-1, 3, (400, 8))
    truth = generator.random((400, 8)) < sigmoid(logits / 2.5)
    known = generator.random((400, 8)) < 0.8
    fitted = fit_temperature(logits, truth, known)
    z, y = logits[known], truth[known].astype(float)
    best = optimize.minimize_scalar(lambda t: log_loss(z / t, y), bounds=(0.1, 10), options={"xatol": 1e-9})
    assert fitted.temperature == pytest.approx(best.x, rel=1e-5)
    assert fitted.temperature == pytest.approx(2.5, rel=0.1)
    assert fitted.n == known.sum()
    assert fitted.log_loss_before == pytest.approx(reference.log_loss(y, sigmoid(z)), abs=1e-9)
    assert fitted.log_loss_after == pytest.approx(reference.log_loss(y, fitted.apply(z)), abs=1e-9)
    assert fitted.log_loss_after < fitted.log_loss_before


def test_temperature_laws() -> None:
    generator = np.random.default_rng(5)
    logits, truth = generator.normal(0, 2, (300, 2)), generator.integers(0, 2, (300, 2))
    truth[:200] = logits[:200] > 0
    known = np.ones((300, 2), bool)
    once = fit_temperature(logits, truth, known)
    assert fit_temperature(logits / once.temperature, truth, known).temperature == pytest.approx(1, abs=1e-9)
    assert fit_temperature(3 * logits, truth, known).temperature == pytest.approx(3 * once.temperature, rel=1e-9)
    assert auc(truth[:, 0], once.apply(logits)[:, 0]) == auc(truth[:, 0], logits[:, 0])
    assert Calibration.from_dict(json.loads(json.dumps(once.to_dict(), allow_nan=False))) == once


def test_temperature_stays_within_bounds() -> None:
    truth, known = np.array([[0.0], [1.0]]), np.ones((2, 1), bool)
    assert fit_temperature([[-1.0], [1.0]], truth, known).temperature == pytest.approx(LOWEST)
    assert fit_temperature([[1.0], [-1.0]], truth, known).temperature == pytest.approx(HIGHEST)
    assert fit_temperature([[0.0], [0.0]], truth, known).temperature == 1
    nothing = fit_temperature([[1.0], [2.0]], truth, ~known)
    assert (nothing.temperature, nothing.n) == (1, 0) and math.isnan(nothing.log_loss_after)
    assert nothing.to_dict()["log_loss_after"] is None
    assert math.isnan(Calibration.from_dict(nothing.to_dict()).log_loss_after)
    with pytest.raises(ValueError, match="finite"):
        fit_temperature([[np.inf], [0.0]], truth, known)
    with pytest.raises(ValueError, match="positive"):
        Calibration.from_dict({"temperature": 0, "n": 1})


def test_apply_does_not_overflow() -> None:
    with np.errstate(all="raise", under="ignore"):
        probability = Calibration(0.5).apply([-1e4, -800.0, 0.0, 800.0, 1e4])
    np.testing.assert_array_equal(probability, [0, 0, 0.5, 1, 1])


def test_wilson_equals_scipy() -> None:
    for hits, n in ((0, 7), (7, 7), (3, 11), (120, 400)):
        theirs = stats.binomtest(hits, n).proportion_ci(method="wilson")
        assert wilson(hits, n) == pytest.approx([theirs.low, theirs.high], abs=1e-12)
    assert wilson(0, 0) is None


def bootstrap_case() -> tuple[np.ndarray, np.ndarray, np.ndarray, Vocabulary]:
    generator = np.random.default_rng(6)
    truth = (generator.random((60, 3)) < [0.5, 0.3, 0.2]).astype(float)
    score = np.round(np.clip(truth * 0.3 + generator.random((60, 3)) * 0.7, 0, 1), 1)
    return truth, np.ones((60, 3), bool), score, Vocabulary.multilabel("three", ("N", "X", "Y"))


POOLED_CALLS = ("micro_precision", "micro_recall", "micro_f1")


def test_drawn_intervals_equal_judging_each_draw() -> None:
    truth, known, score, words = bootstrap_case()
    known[3:9, 1] = False
    cuts = np.array([0.4, 0.5, 0.35])
    everything = ("kappa", "f1", "auc", "final", "macro_f1", "macro_harmonic", "weighted_auc", "weighted_ap")
    for mask, keys in ((known, ("macro_kappa", "micro_ap", "weighted_f1")), (known | True, everything)):
        ours = intervals(truth, mask, score, words, cuts, bootstrap=Bootstrap(40, seed=3))
        weights = weights_of(60, Plan(40, 3), range(40))
        draws = [np.repeat(np.arange(60), row) for row in weights]
        judged = [judge(truth[rows], mask[rows], score[rows], words, cuts) for rows in draws]
        for key in (*keys, *POOLED_CALLS, "f1_positive", "brier", "macro_brier", "micro_auc"):
            expected = np.quantile([one[key] for one in judged], [0.025, 0.975])
            assert ours[key] == pytest.approx(expected, abs=1e-12), key
            assert ours["methods"][key] == "percentile" and ours["undefined_draws"][key] == 0
        for key in ("kappa", "f1", "harmonic", "brier"):
            expected = np.quantile([one["per_class"][1][key] for one in judged], [0.025, 0.975])
            assert ours["per_class"][1][key] == pytest.approx(expected, abs=1e-12), key
        assert ("final" in ours) == bool(mask.all())
        json.dumps(ours, allow_nan=False)


def test_every_interval_is_the_engine_s_and_says_so() -> None:
    truth, known, score, words = bootstrap_case()
    patients = np.arange(60) // 2
    ours = intervals(truth, known, score, words, patients=patients, bootstrap=Bootstrap(50))
    sample = prepare(truth, known, score, patients)
    assert ours["macro_auc"] == macro_auc_interval(sample) and ours["macro_ap"] == macro_ap_interval(sample)
    methods = ours["methods"]
    for c, row in enumerate(ours["per_class"]):
        assert row["auc"] == auc_interval(truth[:, c], score[:, c], patients)
        assert row["ap"] == ap_interval(truth[:, c], score[:, c], patients)
        assert {key for key, value in row.items() if isinstance(value, list)} == set(methods["per_class"])
    assert {key for key, value in ours.items() if isinstance(value, list)} == {*methods}
    assert methods["per_class"]["auc"] == "score" and methods["per_class"]["f1"] == "percentile"
    assert methods["per_class"]["ppv"] == methods["exact_match"] == "wilson-effective"
    alone = intervals(truth, known, score, words, bootstrap=Bootstrap(50))
    assert alone["methods"]["per_class"]["ppv"] == alone["methods"]["exact_match"] == "wilson"
    called = score[:, 0] > 0.5
    assert alone["per_class"][0]["ppv"] == wilson(int((called & (truth[:, 0] == 1)).sum()), int(called.sum()))


def test_a_few_eyes_that_are_all_found_do_not_prove_a_sensitivity_of_1() -> None:
    truth = np.repeat([1.0, 0.0], [6, 94])[:, None]
    score = 0.2 + 0.6 * truth
    patients = np.arange(100) // 2
    ours = intervals(truth, truth >= 0, score, Vocabulary.multilabel("x", "A"), None, patients, Bootstrap(50))
    assert ours["per_class"][0]["sensitivity"] == wilson(3, 3)  # three patients, not [1, 1]
    point = Point("threshold", 0.5)
    look = Look([point], patients=patients, draws=50)
    row = details(truth, truth >= 0, score, Vocabulary.multilabel("x", "A"), look=look)["operating"][0]["per_class"][0]
    assert row["intervals"]["sensitivity"] == wilson(3, 3) and row["methods"]["ppv"] == "wilson-effective"


def test_one_patient_leaves_no_drawn_interval() -> None:
    one = np.array([[1.0, 0.0]]), np.ones((1, 2), bool), np.array([[0.8, 0.1]])
    ours = intervals(*one, Vocabulary.multilabel("x", "AB"), bootstrap=Bootstrap(50))
    assert ours["f1"] is ours["brier"] is ours["ece"] is ours["per_class"][0]["brier"] is None
    assert ours["undefined_draws"]["brier"] == 50 and ours["per_class"][0]["sensitivity"] == wilson(1, 1)


def test_intervals_draw_whole_patients() -> None:
    truth, known, score, words = bootstrap_case()
    doubled = [np.repeat(array, 2, axis=0) for array in (truth, known, score)]
    alone = intervals(truth, known, score, words)
    together = intervals(*doubled, words, patients=np.repeat(np.arange(60), 2))  # type: ignore[misc]
    assert together["patients"] == 60
    for key in ("kappa", "f1", "auc", "final", "brier", "weighted_auc"):
        assert together[key] == pytest.approx(alone[key], abs=1e-12)  # twice the rows, no more evidence
    for key in ("macro_auc", "macro_ap"):  # these take the rows of a patient for half dependent where few show it
        assert together[key] == pytest.approx(alone[key], abs=0.02)


def test_intervals_do_not_see_the_order_of_the_rows() -> None:
    truth, known, score, words = bootstrap_case()
    patients = np.arange(60) // 2
    order = np.random.default_rng(8).permutation(60)
    one = intervals(truth, known, score, words, patients=patients, bootstrap=Bootstrap(60))
    other = intervals(truth[order], known, score[order], words, patients=patients[order], bootstrap=Bootstrap(60))
    for key in one["methods"].keys() - {"per_class"}:
        assert one[key] == pytest.approx(other[key], abs=1e-12), key


def test_draws_without_a_positive_are_counted() -> None:
    truth, known, score, words = bootstrap_case()
    truth[:, 2] = 0
    truth[0, 2] = 1
    result = intervals(truth, known, score, words, bootstrap=Bootstrap(400))
    weights = weights_of(60, Plan(400, 0), range(400))
    lacking = int((weights[:, 0] == 0).sum())
    assert 100 < lacking < 200  # about 1 / e of the draws
    assert result["undefined_draws"]["macro_f1"] == lacking
    assert result["per_class"][2]["undefined_draws"]["harmonic"] == lacking
    assert result["macro_f1"] is not None and result["undefined_draws"]["f1_positive"] == 0
    one = intervals(truth[:1], known[:1], score[:1], words, bootstrap=Bootstrap(20))
    assert one["patients"] == 1 and one["macro_auc"] is None and one["per_class"][0]["auc"] is None


def test_an_infinite_log_loss_has_no_interval() -> None:
    truth, known, score, words = bootstrap_case()
    score[np.flatnonzero(truth[:, 1] == 1)[0], 1] = 0
    result = intervals(truth, known, score, words, bootstrap=Bootstrap(30))
    assert result["log_loss"] is None and result["undefined_draws"]["log_loss"] == 30
    assert result["per_class"][1]["log_loss"] is None and result["per_class"][0]["log_loss"] is not None


def test_interval_of_an_undefined_number_is_none() -> None:
    truth, known, score, words = bootstrap_case()
    truth[:, 2] = 0
    result = intervals(truth, known, score, words, bootstrap=Bootstrap(20))
    assert result["per_class"][2]["auc"] is None and result["per_class"][2]["sensitivity"] is None
    assert result["macro_auc"] is not None
    empty = np.zeros((0, 3))
    assert intervals(empty, empty.astype(bool), empty, words)["patients"] == 0
