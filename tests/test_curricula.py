"""Laws of the curricula: equal steps, the pace's formulas, rare labels first; and weights by group."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from batches_made import made_batch
from eyeground.batches import VisitSet
from eyeground.errors import DataError, UsageError
from eyeground.losses.masked import binary_cross_entropy
from eyeground.records import Eye, Visit
from eyeground.runs.recipe import Recipe
from eyeground.runs.train import taught
from eyeground.sampling import Rows, Sampling, make_sampler
from eyeground.sampling.curriculum import Growing, by_rarity, counts, group_weights, pace_at

N, D, H = 0, 1, 2
EVERY = (True, False, False)


def made_rows(normal: int = 60, diabetic: int = 60, hypertensive: int = 4, both: int = 20) -> Rows:
    """Rows of one label, rows with D and H, and one row without any; in this order."""
    kinds = ([1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1], [0, 0, 0])
    sizes = (normal, diabetic, hypertensive, both, 1)
    labels = np.repeat(np.array(kinds, np.float32), sizes, axis=0)
    return Rows(labels, np.ones(labels.shape, bool), ("N", "D", "H"), EVERY)


def drawn(rows: Rows, epochs: int = 4, seed: int = 0, **settings: Any) -> np.ndarray[Any, Any]:
    """Rows of all epochs, one epoch a line."""
    sampler = make_sampler(Sampling(**settings), rows)
    generators = (np.random.Generator(np.random.PCG64([seed, epoch])) for epoch in range(epochs))
    found = [sampler.draw(epoch, epochs, generator) for epoch, generator in enumerate(generators)]
    assert all(len(one) == sampler.count == len(rows) for one in found), "as many rows as without a curriculum"
    return np.stack(found)


@pytest.mark.parametrize("name", ["single_first", "multi_first", "single_only", "paced", "paced_reverse", "rarity"])
@pytest.mark.parametrize("pace", ["linear", "root", "step"])
def test_every_curriculum_takes_the_steps_of_natural_drawing_and_ends_with_it(name: str, pace: str) -> None:
    rows, pace = made_rows(), pace if name.startswith(("paced", "rarity")) else "linear"
    found = drawn(rows, curriculum=name, pace=pace, phase_fraction=0.4)
    assert np.array_equal(found, drawn(rows, curriculum=name, pace=pace, phase_fraction=0.4)), (
        "drawn from the generator"
    )
    assert not np.array_equal(found, drawn(rows, curriculum=name, pace=pace, phase_fraction=0.4, seed=1))
    if name != "single_only":
        for line in found[2:]:
            assert sorted(line) == list(range(len(rows))), "every row once an epoch, as without a curriculum"


@pytest.mark.parametrize(("name", "first"), [("single_first", True), ("multi_first", False)])
def test_a_phase_ends_where_its_part_of_all_steps_does(name: str, first: bool) -> None:
    rows = made_rows()
    several = counts(rows)
    for epochs, fraction in ((1, 0.5), (2, 0.3), (5, 0.5)):
        line = drawn(rows, epochs, curriculum=name, phase_fraction=fraction).ravel()
        end = round(fraction * epochs * len(rows))
        assert ((several[line[:end]] == 1) == first).all()
        assert ((several[line[:end]] > 1) != first).all()
        assert len(set(several[line[end:]])) == 3, "then all kinds of rows"


def test_a_phase_shows_its_rows_equally_often() -> None:
    rows = made_rows()
    line = drawn(rows, epochs=2, curriculum="single_first")[0]
    times = np.bincount(line, minlength=len(rows))[counts(rows) == 1]
    assert times.min() >= 1
    assert times.max() - times.min() == 1


def test_single_only_has_no_row_with_several_labels_and_normal_can_be_left_out() -> None:
    rows = made_rows()
    assert set(counts(rows)[drawn(rows, curriculum="single_only").ravel()]) == {1}
    without = drawn(rows, curriculum="single_only", phase_normal=False)
    assert rows.labels[without, N].sum() == 0
    assert rows.labels[drawn(rows, curriculum="single_first")[0], N].sum() > 0


@pytest.mark.parametrize("name", ["single_first", "single_only"])
def test_balanced_draws_do_not_starve_the_rare_label(name: str) -> None:
    rows = made_rows()
    shown = rows.labels[drawn(rows, epochs=2, curriculum=name, phase_balance=True)[0]].sum(0)
    assert shown.max() - shown.min() <= 1, "every label equally often, also the one of four rows"
    starved = rows.labels[drawn(rows, epochs=2, curriculum=name)[0]].sum(0)
    assert starved[H] < 8


def test_pace_formulas() -> None:
    t = np.array([0.0, 0.1, 0.2, 0.4, 0.5, 0.9])
    np.testing.assert_allclose(pace_at(t, 0.4, "linear"), [0, 0.25, 0.5, 1, 1, 1])
    np.testing.assert_allclose(pace_at(t, 0.4, "root"), [0, 0.5, np.sqrt(0.5), 1, 1, 1])
    np.testing.assert_allclose(pace_at(t, 0.4, "step"), [0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize("name", ["paced", "paced_reverse"])
@pytest.mark.parametrize("pace", ["linear", "root", "step"])
def test_the_share_of_a_group_follows_the_pace(name: str, pace: Any) -> None:
    rows = made_rows(both=100)
    several = counts(rows) > 1
    runs = np.stack([drawn(rows, seed=seed, curriculum=name, pace=pace).ravel() for seed in range(60)])
    rising = several[runs] == (name == "paced")
    t = np.arange(runs.shape[1]) / runs.shape[1]
    natural = (several == (name == "paced")).mean()
    expected = natural * pace_at(t, 0.5, pace)
    for part in np.array_split(np.arange(runs.shape[1]), 8):
        cells = rising[:, part]
        error = 4 * np.sqrt(natural * (1 - natural) / cells.size)
        assert abs(cells.mean() - expected[part].mean()) < error
    if pace == "step":
        assert not rising[:, t < 0.5].any(), "a step is two phases"


def test_rarity_goes_from_rare_to_frequent_and_from_one_label_to_several() -> None:
    rows = made_rows(diabetic=90)
    order = by_rarity(rows)
    several = counts(rows)[order]
    assert several[-1] == 0, "a row without a label teaches no presence and comes last"
    assert (np.diff(several[:-1]) >= 0).all()
    assert [int(row) for row in rows.labels[order[:64]].argmax(1)] == [H] * 4 + [N] * 60
    times = np.bincount(drawn(rows, epochs=20, curriculum="rarity", phase_fraction=1.0).ravel(), minlength=len(rows))
    alone = counts(rows) == 1
    each = {label: times[alone & (rows.labels[:, label] == 1)].mean() for label in (H, N, D)}
    assert each[H] > each[N] > each[D] > times[counts(rows) > 1].mean(), "the rarer, the more often"
    assert each[H] > 20, "more often than once an epoch"


def test_rarity_opens_the_order_with_the_pace() -> None:
    growing = Growing(np.arange(100), Sampling(curriculum="rarity", phase_fraction=0.5))
    assert growing.open(np.array([0.0, 0.25, 0.5])).tolist() == [10, 55, 100]
    found = growing.draw(0, 1, np.random.Generator(np.random.PCG64(0)))
    assert found[:10].max() < 30
    assert len(found) == 100


def test_unknown_labels_count_as_absent() -> None:
    labels = np.array([[0, 1, 1], [0, 1, 1], [0, 0, 1]], np.float32)
    known = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], bool)
    assert counts(Rows(labels, known, ("N", "D", "H"))).tolist() == [2, 1, 0]


@pytest.mark.parametrize("name", ["single_first", "multi_first", "single_only", "paced", "paced_reverse", "rarity"])
def test_a_cohort_without_one_of_the_groups_is_refused(name: Any) -> None:
    with pytest.raises(DataError, match="no row with several labels; use --curriculum none"):
        make_sampler(Sampling(curriculum=name), made_rows(both=0))
    with pytest.raises(DataError, match="no row with one label; use --curriculum none"):
        make_sampler(Sampling(curriculum=name), made_rows(0, 0, 0))


def test_without_normal_a_row_must_be_left() -> None:
    with pytest.raises(DataError, match="leave --no-phase-normal out"):
        make_sampler(Sampling(curriculum="single_only", phase_normal=False), made_rows(60, 0, 0))


@pytest.mark.parametrize(
    ("values", "flag"),
    [
        ({"phase_fraction": 0.0}, "--phase-fraction"),
        ({"phase_fraction": 1.5}, "--phase-fraction"),
        ({"single_weight": -1.0}, "--single-weight"),
        ({"single_weight": 0.0, "multi_weight": 0.0}, "not both 0"),
        ({"multi_weight": float("nan")}, "--multi-weight"),
        ({"pace": "root"}, "--pace has an effect with --curriculum paced"),
        ({"curriculum": "paced", "phase_balance": True}, "--phase-balance has an effect"),
        ({"curriculum": "multi_first", "phase_normal": False}, "--no-phase-normal has an effect"),
        ({"mix_share": 0.0}, "--mix-share"),
        ({"mix_share": 0.3}, "--mix-share has an effect with --mix"),
        ({"phase_fraction": 0.3}, "--phase-fraction has an effect with --curriculum single_first"),
        ({"curriculum": "single_only", "phase_fraction": 0.3}, "--phase-fraction has an effect"),
        ({"lr_decay": float("nan")}, "--lr-decay must be a number from 0 on"),
    ],
)
def test_settings_that_can_not_be_or_do_nothing_are_refused(values: dict[str, Any], flag: str) -> None:
    with pytest.raises(UsageError, match=flag):
        Recipe(**values)


def test_weights_by_group_make_the_weighted_mean() -> None:
    batch = made_batch(20)
    rows = Rows(batch.labels.numpy(), batch.known.numpy(), ())
    assert group_weights(Sampling(), rows) is None
    weight = group_weights(Sampling(single_weight=0.5, multi_weight=3.0), rows)
    assert weight is not None
    several = (batch.labels * batch.known).sum(1)
    assert weight.tolist() == [{0: 1.0, 1: 0.5}.get(int(one), 3.0) for one in several]
    assert len(set(weight.tolist())) > 1
    logits, known = torch.randn(20, 8), torch.ones(20, 8, dtype=torch.bool)
    each = F.binary_cross_entropy_with_logits(logits, batch.labels, reduction="none").mean(1)
    w = torch.from_numpy(weight)
    torch.testing.assert_close(binary_cross_entropy(logits, batch.labels, known, weight=w), (w * each).sum() / w.sum())


@pytest.mark.parametrize("unit", ["visit", "eye"])
def test_training_gives_each_row_the_weight_of_its_group(unit: Any) -> None:
    normal, one, two = (1, 0, 0), (0, 1, 0), (0, 1, 1)
    view: Any = SimpleNamespace(geometry=SimpleNamespace(size=8), load=lambda: np.zeros((8, 8, 3), np.uint8))
    visits, entries = [], []
    for number, (left, right, visit) in enumerate(((normal, normal, normal), (normal, one, one), (one, two, two))):
        eyes = (Eye("left", "l", None, left), Eye("right", "r", None, right))
        visits.append(Visit(str(number), str(number), eyes, visit))
        entries.append((view, view))
    data = VisitSet(visits, entries, 3, "memory", torch.device("cpu"))
    assert taught(data, Recipe(unit=unit)).weight is None
    heavy = taught(data, Recipe(unit=unit, single_weight=0.25, multi_weight=2.0))
    assert heavy.weight is not None
    assert heavy.weight.tolist() == ([0.25, 0.25, 2.0] if unit == "visit" else [0.25] * 5 + [2.0])
    order = torch.tensor([2, 0])
    (batch,) = heavy.batches([order])
    assert batch.weight is not None
    assert torch.equal(batch.weight, heavy.weight[order])
