"""Probabilities before and after, and the interval of the calibration error."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as reference_loss

from eyeground.metrics.calibration import fit, sigmoid
from eyeground.metrics.probability import calibration_error, reliability
from eyeground.metrics.reliability import compare
from eyeground.metrics.resample import Plan
from eyeground.vocabulary import Vocabulary

TWO = Vocabulary.multilabel("two", ("X", "Y"))


def many(seed: int, n: int = 200, labels: int = 3, slope: float = 0.6, offset: float = -0.5) -> tuple[np.ndarray, ...]:
    generator = np.random.default_rng(seed)
    logits = generator.normal(-1, 2, (n, labels))
    truth = (generator.random((n, labels)) < sigmoid(slope * logits + offset)).astype(float)
    return logits, truth, np.ones((n, labels), bool)


def test_before_and_after_equal_scikit_learn_and_intervals_hold_the_numbers() -> None:
    logits, truth, known = many(7)
    known[:20, 0] = False
    after = fit("platt", logits, truth, known).apply(logits)
    found = compare(truth, known, {"before": sigmoid(logits), "after": after}, np.arange(200), "ABC", Plan(200))
    json.dumps(found, allow_nan=False)
    for name, probability in (("before", sigmoid(logits)), ("after", after)):
        row = found["pooled"][name]
        assert row["log_loss"]["value"] == pytest.approx(reference_loss(truth[known], probability[known]))
        assert row["brier"]["value"] == pytest.approx(brier_score_loss(truth[known], probability[known]))
        bins = reliability(truth[known], probability[known])
        assert row["ece"]["value"] == pytest.approx(calibration_error(bins)), "the same bins"
        for key in ("log_loss", "brier", "ece"):
            low, high = row[key]["interval"]
            assert low <= row[key]["value"] <= high
    change = found["pooled"]["differences"]["before"]["log_loss"]
    assert change["interval"][1] < 0, "paired over patients: clearly better"
    assert found["per_class"][0]["n"] == 180
    unknown = compare(truth, ~np.ones_like(known), {"a": after, "b": after}, np.arange(200), "ABC", Plan(10))
    assert unknown["pooled"]["b"]["ece"] == {"value": None, "interval": None}


def test_the_calibration_error_of_calibrated_probabilities_is_told_from_chance() -> None:
    reaches_zero = 0
    for seed in range(60):
        generator = np.random.default_rng(seed)
        p = sigmoid(generator.normal(-1, 1.5, (150, 1)))
        truth = (generator.random(p.shape) < p).astype(float)
        row = compare(truth, np.ones_like(truth, bool), {"p": p}, np.arange(150), "A", Plan(60))["pooled"]["p"]
        reaches_zero += row["ece"]["interval"][0] == 0
    assert reaches_zero >= 52, "about 57 of 60 are expected"


def test_the_ece_s_interval_is_the_same_alone_and_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    from eyeground.metrics import reliability as module

    logits, truth, known = many(5, 90)
    known[:20, 1] = False
    who, probability = np.arange(90) // 2, sigmoid(2 * logits)
    report = compare(truth, known, {"it": probability}, who, ("X", "Y", "Z"), Plan(80, 3))
    wanted = [report["pooled"]["it"]["ece"]["interval"], *(row["it"]["ece"]["interval"] for row in report["per_class"])]
    for block in (module.BLOCK, 45 * 7):
        monkeypatch.setattr(module, "BLOCK", block)
        found = module.ece_intervals(truth, known, probability, who, Plan(80, 3))
        np.testing.assert_allclose(np.array(found, float), np.array(wanted, float), atol=1e-12)
    once = module.ece_intervals(truth, known, probability, np.arange(90), Plan(80, 3))
    assert once != found, "whose rows they are matters"
    nobody = np.zeros((0, 3))
    assert module.ece_intervals(nobody, nobody.astype(bool), nobody) == [None] * 4
    known[:, 2] = False
    assert module.ece_intervals(truth, known, probability, who, Plan(20))[3] is None


def test_the_same_rows_twice_change_no_interval_of_the_ece() -> None:
    """A patient's rows go together: said twice they are no more evidence, for the draws and for what chance makes."""
    from eyeground.metrics.reliability import ece_intervals

    logits, truth, known = many(7, 120, labels=1)
    probability, who = sigmoid(1.5 * logits), np.arange(120)
    once = ece_intervals(truth, known, probability, who, Plan(200, 1))[0]
    twice = [np.repeat(array, 2, axis=0) for array in (truth, known, probability, who)]
    again = ece_intervals(*twice, Plan(200, 1))[0]
    assert once is not None and again is not None
    np.testing.assert_allclose(again, once, atol=0.01)
    apart = ece_intervals(*twice[:3], np.arange(240), Plan(200, 1))[0]
    assert apart is not None and apart[1] - apart[0] < 0.85 * (again[1] - again[0])
