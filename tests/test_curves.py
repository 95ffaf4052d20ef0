"""Curves and mistakes: scikit-learn's numbers, hand numbers, then laws."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

from eyeground.metrics.curves import everyone, net_benefit, precision_recall, roc, trace
from eyeground.metrics.mistakes import called_where, worst
from eyeground.metrics.ranking import auc, average_precision


def made(seed: int, n: int = 200, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = (random.random(n) < 0.2).astype(float)
    score = 1 / (1 + np.exp(-random.normal(truth, 1)))
    return truth, np.round(score, 1) if ties else score


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_curves_are_those_of_scikit_learn(seed: int, ties: bool) -> None:
    truth, score = made(seed, ties=ties)
    false, true, cuts = roc_curve(truth, score, drop_intermediate=False)
    ours = roc(truth, score)
    assert ours is not None
    np.testing.assert_allclose(ours.false_rate, false, atol=1e-15)
    np.testing.assert_allclose(ours.true_rate, true, atol=1e-15)
    np.testing.assert_array_equal(ours.score, cuts)
    precision, recall, cuts = precision_recall_curve(truth, score)
    pr = precision_recall(truth, score)
    assert pr is not None
    np.testing.assert_allclose(pr.precision, precision[-2::-1], atol=1e-15)
    np.testing.assert_allclose(pr.recall, recall[-2::-1], atol=1e-15)
    np.testing.assert_array_equal(pr.score, cuts[::-1])


@pytest.mark.parametrize("ties", [False, True])
def test_areas_under_the_curves_are_the_numbers_beside_them(ties: bool) -> None:
    truth, score = made(5, ties=ties)
    ours, pr = roc(truth, score), precision_recall(truth, score)
    assert ours is not None and pr is not None
    assert np.trapezoid(ours.true_rate, ours.false_rate) == pytest.approx(auc(truth, score), abs=1e-13)
    steps = np.diff(pr.recall, prepend=0) * pr.precision
    assert steps.sum() == pytest.approx(average_precision(truth, score), abs=1e-13)


def test_net_benefit_by_hand() -> None:
    truth, probability = [1, 1, 0, 0, 0], [0.9, 0.3, 0.6, 0.2, 0.1]
    # above 0.5: one hit, one false alarm of five; odds 1. Above 0.25: two hits, one false alarm; odds 1/3. At 0: all.
    np.testing.assert_allclose(net_benefit(truth, probability, [0.0, 0.25, 0.5]), [0.4, 0.4 - 0.2 / 3, 0.0], atol=1e-15)
    np.testing.assert_allclose(everyone(truth, [0.0, 0.25, 0.4]), [0.4, 0.4 - 0.6 / 3, 0.0], atol=1e-15)
    assert net_benefit(truth, probability, [0.3])[0] == pytest.approx(0.2 - 0.2 * 3 / 7)  # 0.3 itself is not called


def test_net_benefit_is_that_of_the_counts_at_every_threshold() -> None:
    truth, score = made(2, ties=True)
    at = np.linspace(0, 0.99, 34)
    for t, found in zip(at, net_benefit(truth, score, at), strict=True):
        called = score > t
        tp, fp = (called & (truth == 1)).sum(), (called & (truth == 0)).sum()
        assert found == pytest.approx((tp - fp * t / (1 - t)) / len(truth), abs=1e-14)
    perfect = net_benefit(truth, truth, at)
    np.testing.assert_allclose(perfect, truth.mean())
    np.testing.assert_array_equal(net_benefit(truth, np.zeros(len(truth)), at), 0)
    np.testing.assert_allclose(net_benefit(truth, np.ones(len(truth)), at), everyone(truth, at), atol=1e-14)


def test_what_is_undefined_is_no_curve() -> None:
    assert roc([1, 1], [0.2, 0.3]) is None and roc([0], [0.2]) is None and roc([], []) is None
    assert precision_recall([0, 0], [0.2, 0.3]) is None and precision_recall([], []) is None
    assert precision_recall([1], [0.2]) is not None
    assert np.isnan(net_benefit([], [], [0.1])).all() and np.isnan(everyone([], [0.1])).all()
    with pytest.raises(ValueError, match="below 1"):
        net_benefit([1], [0.5], [1.0])
    with pytest.raises(ValueError, match="nan"):
        roc([1, 0], [0.5, np.nan])
    with pytest.raises(ValueError, match="shape"):
        roc([1, 0], [0.5])


def test_order_of_rows_does_not_matter_and_unknown_rows_take_no_part() -> None:
    truth, score = made(7, ties=True)
    order = np.random.default_rng(0).permutation(len(truth))
    one, two = roc(truth, score), roc(truth[order], score[order])
    assert one is not None and two is not None
    np.testing.assert_array_equal(one.true_rate, two.true_rate)
    known = np.arange(len(truth)) < 120
    part = trace(truth[:, None], known[:, None], score[:, None], [0.4])[0]
    alone = trace(truth[:120, None], np.ones((120, 1), bool), score[:120, None], [0.4])[0]
    assert part.counts == alone.counts and part.highest == score[:120].max()
    assert part.roc is not None and alone.roc is not None
    np.testing.assert_array_equal(part.roc.true_rate, alone.roc.true_rate)
    nothing = trace(truth[:, None], np.zeros((len(truth), 1), bool), score[:, None])[0]
    assert nothing.roc is None and nothing.counts.n == 0 and np.isnan(nothing.highest)


def test_which_label_is_called_where_which_is_true() -> None:
    truth = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]])
    known = np.ones((5, 3), bool)
    known[4, 1] = False
    called = np.array([[1, 1, 0], [1, 1, 1], [1, 0, 0], [0, 0, 1], [0, 0, 0]], float)
    found = called_where(truth, known, called)
    # first label: rows 0, 1, 4; called in 0 and 1; known to be without the second only in 0, where the second is called
    assert found.hits.tolist() == [[2, 1, 1], [1, 1, 1], [0, 0, 0]]
    assert found.of.tolist() == [[3, 1, 3], [1, 2, 2], [0, 0, 0]]
    assert found.nothing.tolist() == [1, 0, 0] and found.n_pos.tolist() == [3, 2, 0]
    assert found.without == 1 and found.false_alone.tolist() == [0, 0, 1]


def test_the_worst_are_the_most_confident() -> None:
    truth = np.array([[1], [1], [1], [0], [0], [0], [0]])
    score = np.array([[0.1], [0.3], [0.1], [0.9], [0.95], [0.5], [0.99]])
    known = np.array([[True]] * 6 + [[False]])
    found = worst(truth, known, score, [0.5], per_label=2)
    assert [(one.row, one.kind) for one in found] == [
        (0, "missed"),
        (2, "missed"),
        (4, "false call"),
        (3, "false call"),
    ]
    assert found[0].probability == 0.1 and found[0].threshold == 0.5
    assert worst(truth, known, truth) == ()
