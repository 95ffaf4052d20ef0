"""Calibrations, operating points and label sets: against scikit-learn and scipy, by their laws, and as commands."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss as reference_loss

from eyeground.errors import DataError, UsageError
from eyeground.metrics import conformal
from eyeground.metrics.aims import Aim, Cases, achieved, aim_at, rank_needed
from eyeground.metrics.calibration import METHODS, Calibration, Method, fit, fit_temperature, sigmoid
from eyeground.metrics.calibration_choice import deal, select
from eyeground.metrics.calibrators import HIGHEST, LOWEST, Line, Steps, curve_from_dict, fit_line, fit_steps, pool
from eyeground.metrics.conformal import Conformal, Cuts, conformal_report, needed
from eyeground.vocabulary import Vocabulary

TWO = Vocabulary.multilabel("two", ("X", "Y"))


def one(seed: int, n: int = 400, slope: float = 0.5, offset: float = -1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits of one label, and truths whose chance is sigmoid(slope * logit + offset)."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(-1, 3, n)
    return logits, (generator.random(n) < sigmoid(slope * logits + offset)).astype(float)


def many(seed: int, n: int = 200, labels: int = 3, slope: float = 0.6, offset: float = -0.5) -> tuple[np.ndarray, ...]:
    generator = np.random.default_rng(seed)
    logits = generator.normal(-1, 2, (n, labels))
    truth = (generator.random((n, labels)) < sigmoid(slope * logits + offset)).astype(float)
    return logits, truth, np.ones((n, labels), bool)


# calibrators


def test_platt_s_line_equals_logistic_regression_without_penalty() -> None:
    for seed in range(8):
        logits, truth = one(seed, slope=0.3 + 0.2 * seed, offset=seed - 4)
        theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=2000).fit(logits[:, None], truth)
        ours = fit_line(logits, truth)
        assert ours.slope == pytest.approx(theirs.coef_[0, 0], abs=1e-5)
        assert ours.offset == pytest.approx(theirs.intercept_[0], abs=1e-5)


def test_isotonic_equals_scikit_learn_s_between_and_beyond_the_knots() -> None:
    places = np.linspace(-15, 15, 999)
    for seed in range(8):
        logits, truth = one(seed, 300)
        logits = np.round(logits, seed % 3)  # with ties
        edge = 1 / (len(truth) + 2)
        theirs = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip").fit(logits, truth)
        np.testing.assert_allclose(fit_steps(logits, truth).apply(places), theirs.predict(places), atol=1e-12)


def test_pooling_by_hand() -> None:
    np.testing.assert_allclose(pool([1, 3, 2, 4], [1, 1, 3, 1]), [1, 2.25, 2.25, 4])
    np.testing.assert_allclose(pool([3, 2, 1], [1, 1, 1]), [2, 2, 2])
    assert pool([], []).tolist() == []


def test_a_line_stays_within_its_bounds() -> None:
    z, y = np.array([-1.0, 1.0] * 20), np.array([0.0, 1.0] * 20)
    assert fit_line(z, y).slope == pytest.approx(1 / LOWEST), "separable"
    assert fit_line(z, 1 - y).slope == pytest.approx(1 / HIGHEST), "the order is never turned round"
    assert fit_line(z / 1000, y).slope == pytest.approx(1 / LOWEST)
    skewed = np.array([0.0] * 30 + [1.0] * 10)
    assert fit_line(np.zeros(40), skewed).apply(0.0) == pytest.approx(0.25)


@pytest.mark.parametrize("method", METHODS)
def test_laws_of_every_method(method: Method) -> None:
    logits, truth, known = many(1)
    known = np.random.default_rng(0).random(known.shape) < 0.8
    fitted = fit(method, logits, np.where(known, truth, np.nan), known)
    probability = fitted.apply(logits)
    assert probability.min() >= 0 and probability.max() <= 1
    for c in range(3):  # the order is kept; only isotonic regression makes ties
        order = np.argsort(logits[:, c])
        assert (np.diff(probability[order, c]) >= 0).all()
        assert method == "isotonic" or (np.diff(probability[order, c]) > 0).all()
    np.testing.assert_array_equal(np.concatenate([fitted.apply(row[None]) for row in logits]), probability)
    np.testing.assert_array_equal(fitted.apply(np.stack([logits, logits])), np.stack([probability, probability]))
    assert np.isnan(fitted.apply(np.full((1, 3), np.nan))).all()
    back = Calibration.from_dict(json.loads(json.dumps(fitted.to_dict(), allow_nan=False)))
    assert back == fitted
    np.testing.assert_array_equal(back.apply(logits), probability)
    expected = reference_loss(truth[known], probability[known])
    assert fitted.log_loss_after == pytest.approx(expected, abs=1e-9)
    assert fitted.log_loss_after < fitted.log_loss_before
    with pytest.raises(ValueError, match="differ in shape"):
        fit(method, logits, truth[:5], known)


@pytest.mark.parametrize("method", METHODS)
def test_calibrated_logits_stay_as_they_are_in_the_limit(method: Method) -> None:
    logits, truth, known = many(2, 60_000, 1, slope=1, offset=0)
    places = np.linspace(-3, 2, 50)[:, None]
    np.testing.assert_allclose(fit(method, logits, truth, known).apply(places), sigmoid(places), atol=0.03)


def test_labels_with_few_cases_share_the_temperature() -> None:
    logits, truth, known = many(3)
    truth[:, 1] = 0
    truth[:9, 1] = 1
    for method in METHODS[1:]:
        fitted = fit(method, logits, truth, known)
        shared = fitted.curves[1]
        assert isinstance(shared, Line)
        assert (shared.slope, shared.offset) == (1 / fitted.temperature, 0)
        assert "only 9 positives, 10 are wanted" in shared.reason
        assert "(1 of 3 labels have too few" in fitted.words
        assert fitted.temperature == fit_temperature(logits, truth, known).temperature
    assert fit("platt", logits, truth, ~known) == fit_temperature(logits, truth, ~known)


def test_bad_calibrations_are_refused() -> None:
    fitted = fit("platt", *many(4))
    data = fitted.to_dict()
    for change, words in (
        ({"method": "magic"}, "not known"),
        ({"labels": []}, "not known"),
        ({"method": "temperature"}, "not known"),
        ({"temperature": 0}, "positive"),
    ):
        with pytest.raises(ValueError, match=words):
            Calibration.from_dict({**data, **change})
    with pytest.raises(ValueError, match="3 labels"):
        fitted.apply(np.zeros((2, 4)))
    for bad in ({"kind": "spline"}, {"kind": "line", "slope": -1.0}, {"kind": "line", "tilt": 1.0}):
        with pytest.raises(ValueError, match="calibration"):
            curve_from_dict(bad)
    for at, value in (((0.0, 0.0), (0.1, 0.2)), ((0.0, 1.0), (0.2, 0.1)), ((0.0,), (1.2,)), ((), ())):
        with pytest.raises(ValueError, match="rise"):
            Steps(at, value)
    with pytest.raises(ValueError, match="no calibration 'magic'"):
        fit("magic", *many(4))  # type: ignore[arg-type]


# the choice


def test_parts_hold_whole_patients_and_every_rare_label() -> None:
    truth = np.zeros((120, 2))
    truth[:12, 1] = 1
    truth[::3, 0] = 1
    who = np.repeat(np.arange(60), 2)
    part = deal(truth, np.ones_like(truth, bool), who, 0, folds=5)
    assert all(len(set(part[who == person])) == 1 for person in range(60))
    assert np.bincount(part).tolist() == [24] * 5
    assert set(part[:12]) == set(range(5)), "6 patients with the rare label, one at least in each of 5 parts"


def test_the_method_that_made_the_logits_wrong_is_chosen_to_right_them() -> None:
    generator = np.random.default_rng(5)
    wanted: list[tuple[Method, Callable[[np.ndarray], np.ndarray]]] = [
        ("temperature", lambda z: sigmoid(z / 2.5)),
        ("temperature-per-label", lambda z: sigmoid(z * [0.2, 3.0])),
        ("platt", lambda z: sigmoid(z + np.array([2.0, -2.0]))),
        ("isotonic", lambda z: np.where(z < 0, 0.1, 0.8)),
    ]
    for method, chance in wanted:
        logits = generator.normal(0, 2, (400, 2))
        truth = (generator.random((400, 2)) < chance(logits)).astype(float)
        found = select(logits, truth, np.ones((400, 2), bool), np.arange(400))
        assert found.calibration.method == method, found.scores
        assert found.scores[method]["behind"] <= found.scores[method]["standard_error"]


def test_what_is_foretold_of_a_patient_does_not_depend_on_that_patient() -> None:
    logits, truth, known = many(6, 120)
    who = np.repeat(np.arange(60), 2)
    before = select(logits, truth, known, who, "platt").foretold
    part = deal(truth, known, who, 0)
    mine = part == part[0]
    exchanged = truth.reshape(60, 2, 3)[:, ::-1].reshape(120, 3)  # a patient's visits: the parts stay as they are
    changed = np.where(mine[:, None], exchanged, truth)
    after = select(logits, changed, known, who, "platt").foretold
    assert (changed != truth).any()
    np.testing.assert_array_equal(after[mine], before[mine])
    assert (after[~mine] != before[~mine]).any()
    loss = reference_loss(truth.ravel(), before.ravel())
    assert loss > fit("platt", logits, truth, known).log_loss_after, "not flattered by having been fitted on"
    assert select(logits, truth, known, who, "platt").scores["platt"]["log_loss"] == pytest.approx(loss)
    alone = select(logits[:1], truth[:1], known[:1], ["a"])
    assert alone.calibration.method == "temperature" and np.isnan(alone.foretold).all()


# operating points


def cases(seed: int = 0, m: int = 40, n: int = 100) -> Cases:
    generator = np.random.default_rng(seed)
    score = stats.norm.cdf(np.concatenate([generator.normal(1.5, 1, m), generator.normal(0, 1, n)]))
    return Cases.of("X", np.repeat([1, 0], [m, n]), score, np.arange(m + n))


def test_a_wanted_sensitivity_holds_for_the_next_patient() -> None:
    """True sensitivities of thresholds chosen on 30 positives: on average, and with the confidence asked for."""
    for text, test in (
        ("sensitivity=0.85", lambda s: s.mean() >= 0.85 - 0.01 and s.mean() < 0.89),
        ("sensitivity=0.85 with confidence 0.9", lambda s: 0.87 <= (s >= 0.85).mean() <= 0.97),
    ):
        cuts = [aim_at(cases(seed, 30, 40), Aim.parse(text)).value for seed in range(500)]
        assert test(stats.norm.sf(stats.norm.ppf(cuts) - 1.5)), text


def test_a_wanted_specificity_is_the_same_with_classes_exchanged() -> None:
    some = cases(3)
    turned = Cases.of("X", ~some.positive, 1 - some.score, some.who)
    for confidence in (None, 0.9):
        one = achieved(some, aim_at(some, Aim("specificity", 0.9, confidence)).value)
        two = achieved(turned, aim_at(turned, Aim("sensitivity", 0.9, confidence)).value)
        assert one["specificity"] == two["sensitivity"]


def test_bounds_are_clopper_and_pearson_s() -> None:
    some = cases(1)
    numbers = achieved(some, aim_at(some, Aim("sensitivity", 0.8)).value)["sensitivity"]
    theirs = stats.binomtest(numbers["hits"], numbers["n"])
    assert numbers["interval"] == pytest.approx(list(theirs.proportion_ci(method="exact")), abs=1e-9)
    one_sided = stats.binomtest(numbers["hits"], numbers["n"], alternative="greater").proportion_ci(method="exact").low
    assert numbers["at_least"] == pytest.approx(one_sided, abs=1e-9)
    assert rank_needed(59, Aim("sensitivity", 0.95, 0.95)) == 59, "the classical 59 samples"
    assert rank_needed(58, Aim("sensitivity", 0.95, 0.95)) == 59, "one more than there are"


def test_what_can_not_be_promised_is_said() -> None:
    for aim, words in (
        ("sensitivity=0.99", r"the most is 0\.976; 99 such patients"),
        ("sensitivity=0.95 with confidence 0.95", r"the most is 0\.928; 59 such patients"),
        ("specificity=0.995", "100 patients without the label"),
        ("ppv=0.999", "can't be reached"),
    ):
        with pytest.raises(DataError, match=words):
            aim_at(cases(), Aim.parse(aim))
    with pytest.raises(DataError, match="only 9 patients with the label"):
        aim_at(cases(0, 9), Aim.parse("youden"))
    for text in (
        "sens=0.9",
        "sensitivity",
        "sensitivity=1",
        "f1=0.5",
        "sensitivity=high",
        "youden with confidence 0.9",
    ):
        with pytest.raises(UsageError):
            Aim.parse(text)
    with pytest.raises(UsageError, match="no --confidence"):
        Aim.parse("f1", 0.9)
    for text in ("sensitivity=0.9", "youden", "ppv=0.5 with confidence 0.95"):
        assert str(Aim.parse(text)) == text


def test_the_visits_of_a_patient_count_once() -> None:
    some = cases(2)
    twice = Cases.of("X", np.tile(some.positive, 2), np.tile(some.score, 2), np.tile(some.who, 2))
    aim = Aim("sensitivity", 0.9)
    assert aim_at(twice, aim).value == aim_at(some, aim).value
    cut = aim_at(some, aim).value
    assert achieved(twice, cut)["sensitivity"] == achieved(some, cut)["sensitivity"]
    ppv = aim_at(some, Aim("ppv", 0.7))
    assert some.positive[some.score > ppv.value].mean() >= 0.7


# label sets


def drawn(generator: np.random.Generator, people: int, visits: int) -> tuple[np.ndarray, ...]:
    who = np.repeat(np.arange(people), visits)
    truth = (generator.random((people, 2)) < [0.3, 0.6])[who].astype(float)
    of_patient = generator.normal(0, 1, (people, 2))[who]
    return (
        of_patient + generator.normal(0, 0.7, truth.shape) + [1.0, 4.0] * truth,
        truth,
        np.ones_like(truth, bool),
        who,
    )


@pytest.mark.parametrize("visits", [1, 3])
def test_coverage_is_as_promised_in_each_class(visits: int) -> None:
    """Chosen on 50 patients, held against others: at least 1 - alpha on average, in both classes of both labels."""
    generator, found = np.random.default_rng(8), []
    for _ in range(250):
        sets = conformal.fit(*drawn(generator, 50, visits), TWO, 0.2)
        report = conformal_report(sets, *drawn(generator, 100, visits))
        found.append([[row[f"coverage_{a}"]["value"] for a in ("present", "absent")] for row in report["per_class"]])
    coverage = np.mean(found, axis=0)  # standard error about 0.006
    assert (coverage >= 0.79).all(), coverage
    assert coverage[0].max() < 0.87, "no wider than it needs to be where the classes overlap"


def test_quantile_is_the_finite_sample_one() -> None:
    values = np.random.default_rng(0).permutation(np.arange(1.0, 20))
    assert conformal.quantile(values, 0.1) == 18, "ceil(20 * 0.9)"
    assert conformal.quantile(values, 0.05) == 19
    assert conformal.quantile(values, 0.04) is None
    assert [needed(alpha) for alpha in (0.2, 0.1, 0.05)] == [4, 9, 19]
    assert conformal.quantile(values[:9], 0.1) is not None and conformal.quantile(values[:8], 0.1) is None


def test_sets_of_overlapping_and_of_separate_classes() -> None:
    overlapping = Cuts("X", -1.0, 1.0, 20, 20)
    assert [overlapping.answers(z) for z in (-2.0, 0.0, 2.0)] == [("absent",), ("absent", "present"), ("present",)]
    separate = Cuts("X", 1.0, -1.0, 20, 20)
    assert separate.answers(0.0) == ("absent", "present"), "like neither class: nothing is sure"
    assert (separate.answers(-2.0), separate.answers(2.0)) == (("absent",), ("present",))
    assert overlapping.answers(float("nan")) is None
    assert Cuts("X", None, 1.0, 3, 20, "only 3 positives").answers(0.0) is None
    both = Conformal(0.1, (overlapping, separate, Cuts("Z", None, 1.0, 3, 20)))
    logits = np.random.default_rng(0).normal(0, 2, (50, 3))
    for row, absent, present in zip(logits, *both.contains(logits), strict=True):
        for z, cut, a, p in zip(row, both.cuts, absent, present, strict=True):
            assert cut.answers(z) == (tuple(n for n, there in (("absent", a), ("present", p)) if there) or None)


def test_label_sets_do_not_depend_on_the_calibration_and_go_there_and_back() -> None:
    logits, truth, known, who = drawn(np.random.default_rng(1), 80, 1)
    sets = conformal.fit(logits, truth, known, who, TWO)
    curves = fit("platt", logits, truth, known).curves
    other = conformal.fit(np.stack([c.apply(logits[:, i]) for i, c in enumerate(curves)], 1), truth, known, who, TWO)
    for c, (a, b) in enumerate(zip(sets.cuts, other.cuts, strict=True)):
        assert curves[c].apply(a.present_from or 0) == pytest.approx(b.present_from)
    assert Conformal.from_dict(json.loads(json.dumps(sets.to_dict()))) == sets
    truth[:, 1] = 0
    truth[:5, 1] = 1
    few = conformal.fit(logits, truth, known, who, TWO).cuts[1]
    assert not few.usable and "only 5 positives, 9 are needed for 90 %" in few.reason
    report = conformal_report(conformal.fit(logits, truth, known, who, TWO), logits, truth, known, who, who < 80)
    assert "coverage" not in report["per_class"][1]
    assert report["visits"]["abstained"]["value"] == 1, "every visit was flagged"
    for bad in ({"alpha": 2.0}, {"labels": [{"code": "X"}]}):
        with pytest.raises(ValueError, match=r"alpha|label sets"):
            Conformal.from_dict({**sets.to_dict(), **bad})
    with pytest.raises(ValueError, match="shapes differ"):
        conformal_report(sets, logits[:5], truth, known, who)
