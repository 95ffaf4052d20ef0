"""Intervals at operating points: order statistics as scipy has them, brute-force resampling, laws, and coverage."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from eyeground.metrics.details import Look, details
from eyeground.metrics.fixed_rate import at_sensitivity, at_specificity, order_statistics
from eyeground.metrics.operating import Point, operate
from eyeground.metrics.operating_interval import MEASURES, Column, operating_bounds
from eyeground.metrics.proportions import wilson
from eyeground.metrics.resample import Plan, percentile, weights_of
from eyeground.vocabulary import Vocabulary

POINTS = [Point("sensitivity", 0.8), Point("specificity", 0.9), Point("threshold", 0.4), Point("sensitivity", 1.0)]


def case(n: int, seed: int = 0, levels: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Scores with ties, some of them 0 and 1."""
    generator = np.random.default_rng(seed)
    truth = generator.random(n) < 0.3
    return truth, np.clip(np.round(generator.normal(0.4, 0.2, n) + 0.25 * truth, 1), 0, 1) * levels / 12


@pytest.mark.parametrize("share", [0.0, 0.05, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("n", [1, 5, 35, 36, 300])
def test_ranks_enclose_a_quantile_by_the_binomial_law(n: int, share: float) -> None:
    low, high = order_statistics(n, share)
    below = stats.binom(n, share)
    assert below.cdf(low - 1) <= 0.025 < below.cdf(low) or low == n
    assert below.sf(high - 1) <= 0.025 and (high == 1 or below.sf(high - 2) > 0.025)


def test_36_positives_are_the_fewest_that_bound_a_sensitivity_of_90_percent() -> None:
    assert order_statistics(35, 0.1)[0] == 0 and order_statistics(36, 0.1)[0] == 1


@pytest.mark.parametrize("seed", range(4))
def test_every_draw_finds_its_own_threshold_as_operate_does(seed: int) -> None:
    truth, score = case(40, seed)
    person = np.random.default_rng(seed).integers(0, 30, 40)
    plan, people = Plan(60, seed), 30
    found = operating_bounds([Column(truth, score, person)], POINTS, people, plan)
    weights = weights_of(people, plan, range(plan.draws))
    for point, (bounds,) in zip(POINTS, found, strict=True):
        drawn: dict[str, list[float]] = {name: [] for name in MEASURES}
        for weight in weights:
            rows = np.repeat(np.arange(40), weight[person])
            at = operate(truth[rows], score[rows], point)
            for name in MEASURES:
                drawn[name].append(getattr(at.counts, name) if at else math.nan)
        assert set(bounds) == set(MEASURES) - {point.kind}
        for name, one in bounds.items():
            want = percentile(drawn[name])
            assert one.undefined == want.undefined
            np.testing.assert_allclose([one.low, one.high], [want.low, want.high], atol=1e-12)


def test_classes_exchanged_is_the_other_point() -> None:
    truth, score = case(80)
    assert at_specificity(truth, score, 0.9) == at_sensitivity(~truth, -score, 0.9)
    assert at_sensitivity(truth, score, 0.9) == at_sensitivity(truth, np.exp(3 * score), 0.9), "only order matters"


def test_few_positives_do_not_tell_from_below() -> None:
    truth, score = np.arange(100) < 10, np.linspace(1, 0, 100)
    bounds = at_sensitivity(truth, score, 0.9)
    assert bounds is not None and bounds[0] == 0 and bounds[1] == 1
    assert at_sensitivity(truth, score, 1.0) is not None
    assert at_sensitivity(np.zeros(5), np.ones(5), 0.9) is None and at_sensitivity(np.ones(5), np.ones(5), 0.9) is None


def test_details_tell_each_interval_with_its_method() -> None:
    truth, score = case(200)
    vocabulary = Vocabulary.multilabel("one", ("X",))
    arrays = truth[:, None].astype(float), np.ones((200, 1), bool), score[:, None]
    look = Look([Point("sensitivity", 0.9), Point("threshold", 0.5)], draws=50)
    found = details(*arrays, vocabulary, look=look)["operating"]
    first, second = (one["per_class"][0] for one in found)
    assert first["methods"] == {
        "specificity": "order-statistics",
        **dict.fromkeys(("ppv", "npv", "f1"), "percentile"),
    }
    low, high = first["intervals"]["specificity"]
    assert low <= first["at"]["specificity"] <= high
    called = score > 0.5
    assert second["intervals"]["sensitivity"] == wilson(int((called & truth).sum()), int(truth.sum()))
    twice = details(*arrays, vocabulary, look=Look(look.points, patients=np.arange(200) // 2, draws=50))["operating"]
    assert set(twice[0]["per_class"][0]["methods"].values()) == {"percentile"}, "eyes of a patient are not independent"


@pytest.mark.parametrize("wanted", [0.9, 0.8])
def test_it_covers_where_drawing_patients_does_not(wanted: float) -> None:
    """60 cases, 12 of them positive, AUC .85: every draw of the bootstrap covers .71 at a like place."""
    apart = math.sqrt(2) * stats.norm.ppf(0.85)
    right = stats.norm.cdf(stats.norm.ppf(1 - wanted) + apart)
    hits = 0
    for seed in range(400):
        score = np.random.default_rng(seed).standard_normal(60)
        truth = np.arange(60) < 12
        bounds = at_sensitivity(truth, score + apart * truth, wanted)
        assert bounds is not None
        hits += bounds[0] <= right <= bounds[1]
    assert hits / 400 >= 0.93


def test_predictive_values_elsewhere_have_intervals_too() -> None:
    truth, score = case(200)
    arrays = truth[:, None].astype(float), np.ones((200, 1), bool), score[:, None]
    look = Look([Point("sensitivity", 0.9)], prevalence=0.05, draws=100)
    (row,) = details(*arrays, Vocabulary.multilabel("one", ("X",)), look=look)["operating"][0]["per_class"]
    for name in ("ppv_at_prevalence", "npv_at_prevalence"):
        low, high = row["intervals"][name]
        assert low <= row["at"][name] <= high
    at_home = details(*arrays, Vocabulary.multilabel("one", ("X",)), look=Look(look.points, truth.mean(), draws=100))
    (row,) = at_home["operating"][0]["per_class"]
    assert row["at"]["ppv_at_prevalence"] == pytest.approx(row["at"]["ppv"])


def test_the_page_holds_what_was_measured() -> None:
    from benchmarks.coverage_points import table

    root = Path(__file__).resolve().parents[1]
    figures = json.loads((root / "benchmarks/results/coverage_points.json").read_text(encoding="utf-8"))["figures"]
    assert table(figures) in (root / "docs" / "intervals.md").read_text(encoding="utf-8")
