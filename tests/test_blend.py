"""The blend's parts: trees equal to scikit-learn's, the dense net's numpy equal to torch, rows, eyes exchanged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from eyeground.errors import DataError
from eyeground.metrics.compare import compare
from eyeground.metrics.compare_pairs import Rules, System
from eyeground.nets import dense_blend
from eyeground.nets.dense_blend import MaxoutNet, Maxouts, learn
from eyeground.nets.trees import Growth, Trees, grow, kept
from eyeground.runs.blend_features import Said
from eyeground.runs.blender import (
    Blender,
    Settings,
    Truth,
    fit,
    from_arrays,
    part,
    rows_of,
    to_arrays,
    without_own_fold,
)
from eyeground.vocabulary import Vocabulary

LABELS = Vocabulary.multilabel("made", ("N", "D"))
SMALL = Settings(growth=Growth(20, 2, 0), nets=2, fewest=1)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer steps of the dense nets."""
    monkeypatch.setattr(dense_blend, "STEPS", 200)
    monkeypatch.setattr(dense_blend, "EPOCHS", 1)
    monkeypatch.setattr(dense_blend, "RATE", 5e-3)


def rows_made(n: int, columns: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(n, columns)).astype(np.float32).round(1)  # ties with the thresholds' neighbours
    return values, values[:, 0] + values[:, 1] ** 2 + generator.normal(size=n) > 1


@pytest.mark.parametrize(("seed", "leaf", "features"), [(0, 1, "sqrt"), (1, 5, "sqrt"), (2, 3, None)])
def test_trees_answer_like_scikit_learn(seed: int, leaf: int, features: str | None) -> None:
    values, positive = rows_made(300, 7, seed)
    new = np.concatenate([rows_made(500, 7, seed + 10)[0], values, np.full((1, 7), 1e30, np.float32)])
    forest = RandomForestClassifier(30, min_samples_leaf=leaf, max_features=features, random_state=seed)
    forest.fit(values, positive)
    trees = kept([one.tree_ for one in forest.estimators_])
    np.testing.assert_allclose(trees.probability(new), forest.predict_proba(new)[:, 1], rtol=0, atol=1e-14)
    again = Trees.from_arrays("x", trees.arrays("x"))
    assert np.array_equal(again.probability(new), trees.probability(new))
    assert np.array_equal(trees.probability(new)[:5], trees.probability(new[:5])), "one row does not know of another"


def test_a_forest_is_grown_by_its_seed() -> None:
    values, positive = rows_made(200, 5, 0)
    one, same, other = (grow(values, positive, Growth(5, 2, seed)).probability(values) for seed in (0, 0, 1))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


@pytest.mark.parametrize("name", ["first", "left", "right", "feature", "threshold", "value"])
def test_trees_that_are_not_whole_are_refused(name: str) -> None:
    values, positive = rows_made(100, 3, 0)
    arrays = grow(values, positive, Growth(3, 5, 0)).arrays("x")
    with pytest.raises(ValueError, match="have no"):
        Trees.from_arrays("x", {key: value for key, value in arrays.items() if key != f"x.{name}"})
    with pytest.raises(ValueError, match=r"not whole|follow|child"):
        Trees.from_arrays("x", {**arrays, f"x.{name}": arrays[f"x.{name}"][1:]})


def test_trees_that_walk_in_a_circle_are_refused() -> None:
    values, positive = rows_made(100, 3, 0)
    trees = grow(values, positive, Growth(3, 5, 0))
    for child in (0, len(trees.left)):
        left = trees.left.copy()
        left[np.flatnonzero(left != -1)[-1]] = child
        with pytest.raises(ValueError, match="child"):
            replace(trees, left=left).check("x")


def test_the_dense_blend_answers_in_numpy_as_in_torch() -> None:
    values, positive = rows_made(64, 6, 0)
    labels = np.stack([positive, ~positive], 1).astype(np.float32)
    found = learn(values, labels, np.ones(labels.shape, bool), nets=2, seed=3)
    each = []
    for k in range(2):
        net = MaxoutNet(6, 2)
        net.load_state_dict({name: torch.from_numpy(value[k]) for name, value in found.weights.items()})
        each.append(torch.sigmoid(net(torch.from_numpy(values)).double()).detach().numpy())
    np.testing.assert_allclose(found.probability(values), np.mean(each, axis=0), atol=1e-6)
    assert not np.allclose(each[0], each[1]), "two seeds, two nets"
    assert found.probability(values)[positive, 0].mean() > found.probability(values)[~positive, 0].mean() + 0.2
    with pytest.raises(ValueError, match=r"has no last\.bias"):
        Maxouts.from_arrays({name: value for name, value in found.weights.items() if name != "last.bias"})


def test_the_dense_blend_learns_nothing_from_unknown_cells() -> None:
    values, positive = rows_made(40, 3, 1)
    labels = np.stack([positive, positive], 1).astype(np.float32)
    known = np.ones(labels.shape, bool)
    known[::2, 1] = False
    changed = np.where(known, labels, 1 - labels).astype(np.float32)
    one, two = (learn(values, given, known, nets=1, seed=0).probability(values) for given in (labels, changed))
    assert np.array_equal(one, two)


def made(n: int = 60, nets: int = 2, views: bool = False, seed: int = 0) -> tuple[list[Said], Truth]:
    """Networks' logits of two labels: D of an eye shows in its logit, N is its opposite; every sixth visit has one
    eye."""
    generator = np.random.default_rng(seed)
    ill = generator.random((n, 2)) < 0.4
    seen = np.ones((n, 2), bool)
    seen[::6, 0] = False
    seen[3::12] = [True, False]
    said = []
    for _ in range(nets):
        logit = np.where(ill, 1.5, -1.5) + generator.normal(size=(n, 2))
        mean = np.where(seen[..., None], np.stack([-logit, logit], 2), np.nan)
        deviation = np.abs(generator.normal(size=mean.shape)) * np.where(seen[..., None], 1.0, np.nan)
        eyes = 1 / (1 + np.exp(-mean))
        visit = np.stack([np.nanmin(eyes[..., 0], 1), np.nanmax(eyes[..., 1], 1)], 1)
        said.append(Said(mean, deviation if views else None, np.zeros((n, 0)), visit, eyes))
    eye_labels = np.stack([~ill, ill], 2).astype(np.float32)
    known = np.repeat(seen[..., None], 2, 2)
    shown = ill & seen
    labels = np.stack([~shown.any(1), shown.any(1)], 1).astype(np.float32)
    patients = np.array([f"p{k // 2}" for k in range(n)])
    return said, Truth(labels, np.ones(labels.shape, bool), eye_labels, known, patients)


def exchanged(said: list[Said], truth: Truth) -> tuple[list[Said], Truth]:
    """The same visits with left and right eye exchanged."""
    turned = [
        replace(
            one,
            mean=one.mean[:, ::-1],
            deviation=None if one.deviation is None else one.deviation[:, ::-1],
            eye_probability=one.eye_probability[:, ::-1],
        )
        for one in said
    ]
    return turned, replace(truth, eye_labels=truth.eye_labels[:, ::-1], eye_known=truth.eye_known[:, ::-1])


def test_a_row_is_this_eye_its_fellow_and_what_is_there() -> None:
    said, _ = made(views=True)
    rows = rows_of(said, right_eye=True)
    seen = ~np.isnan(said[0].mean).all(2)
    assert len(rows.values) == seen.sum() and rows.values.shape[1] == 2 * 2 * 2 * 2
    row = int(np.flatnonzero((rows.visit == 1) & (rows.side == 1))[0])
    this = [one.mean[1, 1] for one in said]
    fellow = [one.mean[1, 0] for one in said]
    spread = [*(one.deviation[1, 1] for one in said), *(one.deviation[1, 0] for one in said)]  # type: ignore[index]
    assert np.array_equal(rows.values[row], np.concatenate([*this, *fellow, *spread]))
    assert rows.flags[row].tolist() == [1.0, 1.0]
    alone = int(np.flatnonzero(rows.visit == 3)[0])
    assert rows.flags[alone].tolist() == [0.0, 0.0] and np.isnan(rows.values[alone][4:8]).all()
    assert rows_of(said, right_eye=False).flags.shape[1] == 1


@pytest.mark.parametrize("kind", ["forest", "dense", "mean"])
@pytest.mark.parametrize("eyes_labelled", [True, False])
def test_exchanged_eyes_change_no_visit(kind: str, eyes_labelled: bool) -> None:
    said, truth = made()
    if not eyes_labelled:
        truth = replace(truth, eye_known=np.zeros_like(truth.eye_known))
    blender = fit(said, truth, LABELS, replace(SMALL, kind=kind), "made")  # type: ignore[arg-type]
    assert blender.target == ("eye" if eyes_labelled else "visit")
    turned, _ = exchanged(said, truth)
    visits, eyes = blender.answer(said)
    again, eyes_again = blender.answer(turned)
    np.testing.assert_allclose(again, visits, atol=1e-7)
    np.testing.assert_allclose(eyes_again, eyes[:, ::-1], atol=1e-7)
    assert np.array_equal(np.isnan(eyes), np.isnan(said[0].eye_probability))


def test_told_which_eye_is_right_an_exchange_can_matter() -> None:
    said, truth = made()
    labels = truth.eye_labels.copy()
    labels[:, 1, 1] = 1  # every right eye is ill
    told = fit(said, replace(truth, eye_labels=labels), LABELS, replace(SMALL, right_eye=True), "made")
    assert not np.allclose(told.answer(exchanged(said, truth)[0])[0], told.answer(said)[0])


def test_the_visit_is_its_worst_eye() -> None:
    said, truth = made()
    visits, eyes = (blender := fit(said, truth, LABELS, SMALL, "made")).answer(said)
    assert np.array_equal(visits[:, 0], np.nanmin(eyes[..., 0], 1)), "Normal: the least normal eye"
    assert np.array_equal(visits[:, 1], np.nanmax(eyes[..., 1], 1))
    assert np.array_equal(blender.of_visits(eyes), visits)


def test_a_missing_fellow_says_no_more_than_that_it_is_missing() -> None:
    said, truth = made()
    blender = fit(said, truth, LABELS, SMALL, "made")
    rows = rows_of(said, False)
    alone = rows.flags[:, 0] == 0
    given = blender.given(rows)
    assert (given[alone][:, 4:8] == 0).all() and not (given[~alone][:, 4:8] == 0).all()


@pytest.mark.parametrize("kind", ["forest", "dense", "mean"])
def test_a_blend_comes_back_from_its_arrays(kind: str) -> None:
    said, truth = made(views=True)
    blender: Blender = fit(said, truth, LABELS, replace(SMALL, kind=kind), "made")  # type: ignore[arg-type]
    again = from_arrays(vars(blender), to_arrays(blender))
    for one, two in zip(blender.answer(said), again.answer(said), strict=True):
        assert np.array_equal(one, two, equal_nan=True)


def test_a_forest_for_other_features_is_refused() -> None:
    said, truth = made()
    blender = fit(said, truth, LABELS, SMALL, "made")
    arrays = {**to_arrays(blender), "centre": blender.centre[:2], "scale": blender.scale[:2]}
    with pytest.raises(ValueError, match="more than 3 features"):
        from_arrays(vars(blender), arrays)


def test_a_rare_label_is_refused_or_answered_by_the_mean() -> None:
    said, truth = made()
    labels = truth.eye_labels.copy()
    labels[..., 1] = 0
    labels[:3, 1, 1] = 1  # visits 0 to 2 are two patients
    rare = replace(truth, eye_labels=labels)
    with pytest.raises(DataError, match=r"has 2 patients with D and \d+ without, 3 of each.*--rare-by-mean"):
        fit(said, rare, LABELS, replace(SMALL, fewest=3), "the validation part")
    blender = fit(said, rare, LABELS, replace(SMALL, fewest=3, rare_by_mean=True), "")
    assert blender.by_mean == (False, True) and blender.forests[1] is None
    _, eyes = blender.answer(said)
    mean = np.mean([one.eye_probability for one in said], 0)
    assert np.array_equal(eyes[..., 1], mean[..., 1], equal_nan=True)
    _, crossed = without_own_fold(said, rare, LABELS, blender, replace(SMALL, fewest=3, rare_by_mean=True))
    assert np.array_equal(crossed[..., 1], mean[..., 1], equal_nan=True), "thresholds are chosen on what will answer"
    assert not np.array_equal(crossed[..., 0], mean[..., 0], equal_nan=True)
    fit(said, rare, LABELS, replace(SMALL, fewest=2), "")


def test_cross_fitted_answers_do_not_know_their_patient() -> None:
    said, truth = made()
    labels = truth.eye_labels.copy()
    one = truth.patients == "p4"
    labels[one] = 1 - labels[one]
    whole = fit(said, truth, LABELS, SMALL, "")
    before, _ = without_own_fold(said, truth, LABELS, whole, SMALL)
    after, _ = without_own_fold(said, replace(truth, eye_labels=labels), LABELS, whole, SMALL)
    assert np.array_equal(before[one], after[one]) and not np.array_equal(before, after)
    fitted = fit(said, truth, LABELS, SMALL, "").answer(said)[0]
    refitted = fit(said, replace(truth, eye_labels=labels), LABELS, SMALL, "").answer(said)[0]
    assert not np.array_equal(fitted[one], refitted[one]), "without cross-fitting it would"


def test_the_blend_of_two_eyes_and_networks_beats_one_network_where_there_is_something_to_gain() -> None:
    said, truth = made(400, nets=3)
    new, wanted = made(400, nets=3, seed=1)
    _, eyes = fit(said, truth, LABELS, replace(SMALL, growth=Growth(50, 5, 0)), "").answer(new)
    known = wanted.eye_known[..., 1]
    ill = wanted.eye_labels[..., 1][known] > 0.5

    def auc(scores: NDArray[np.float64]) -> float:
        return float((scores[ill][:, None] > scores[~ill]).mean() + 0.5 * (scores[ill][:, None] == scores[~ill]).mean())

    assert auc(eyes[..., 1][known]) > auc(new[0].eye_probability[..., 1][known]) + 0.02


def test_a_part_of_what_was_said() -> None:
    said, _ = made(views=False)
    which = np.arange(60) < 3
    assert part(said[0], which).mean.shape == (3, 2, 2) and part(said[0], which).deviation is None


def test_numbers_that_most_draws_do_not_have_are_compared_as_undefined() -> None:
    """Three labels of one patient each: the macro AUC is there, but not in most resamples; several runs beside one."""
    generator = np.random.default_rng(0)
    truth = np.zeros((18, 3))
    truth[[0, 1, 2], [0, 1, 2]] = 1
    one, two, other = generator.random((3, 18, 3))
    systems = [System("runs", (one, two)), System("blend", (other,))]
    found = compare(truth, np.ones(truth.shape, bool), systems, ("A", "B", "C"), None, Rules(200, 100))
    macro = found["pairs"][0]["macro_auc"]
    assert macro["difference"] is not None and macro["interval"] is None and macro["p"] is None
