"""Faithfulness of maps: others' numbers first, then laws whose answers are known beforehand."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from pytorch_grad_cam.metrics.road import NoisyLinearImputer
from scipy.stats import spearmanr
from torch import Tensor, nn

from batches_made import made_batch
from eyeground.batches import Batch, Output
from eyeground.explain.faithful.curves import area, baseline, curves
from eyeground.explain.faithful.impute import impute
from eyeground.explain.faithful.pixels import blur, field_of, first_parts, placed, removal_order
from eyeground.explain.faithful.randomise import LIMIT, cascade, depths, layers, randomised, verdict
from eyeground.explain.faithful.road import road
from eyeground.explain.faithful.scoring import EyeScore, eyes_apart
from eyeground.explain.faithful.similar import displacement, spearman, ssim
from eyeground.explain.faithful.sources import CONTROLS, source
from eyeground.explain.faithful.stability import Move, moves
from eyeground.images.geometry import Geometry
from eyeground.methods import pair
from eyeground.metrics.patient_means import patient_mean
from eyeground.vocabulary import ODIR

SIZE = 32


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def view(size: int = SIZE, seed: int = 0) -> Tensor:
    return 0.2 + 0.6 * torch.rand(3, size, size, generator=generator(seed))


def network(size: int = SIZE) -> nn.Module:
    torch.manual_seed(0)
    return pair.build(pair.Config(trunk="test_resnet", trunk_weights="none"), ODIR, size).eval()


def linear(weights: Tensor):
    """Score of a network that sums pixels: the map of its true contributions is known."""
    return lambda versions: (versions * weights).sum((1, 2, 3))


# others' numbers


@pytest.mark.parametrize("part", [0.1, 0.6, 0.95])
def test_imputation_is_that_of_the_reference(part: float) -> None:
    pixels = blur(torch.rand(2, 3, 24, 29, generator=generator()), 1.0).double()
    missing = torch.rand(2, 24, 29, generator=generator(1)) < part
    missing[1, 5:20, 0:12] = True  # a hole at the picture's edge
    found = impute(pixels, missing, tolerance=1e-10)
    reference = NoisyLinearImputer(noise=0.0)
    for one, gone, mine in zip(pixels, missing, found, strict=True):
        theirs = reference(one.float(), (~gone).float())
        assert torch.allclose(mine.float(), theirs, atol=1e-5)
    coarse = impute(pixels.float(), missing)
    assert (coarse - found).abs().max() < 0.02
    assert torch.equal(coarse[~missing[:, None].expand_as(coarse)], pixels.float()[~missing[:, None].expand_as(coarse)])
    with pytest.raises(ValueError, match="without a known pixel"):
        impute(pixels, torch.ones_like(missing))


def test_rank_correlation_is_that_of_scipy() -> None:
    a = torch.randint(0, 9, (16, 16), generator=generator()).float()
    b = a + torch.randn(16, 16, generator=generator(1)) * 4
    field = torch.rand(16, 16, generator=generator(2)) < 0.6
    assert spearman(a, b, field) == pytest.approx(spearmanr(a[field], b[field]).statistic, abs=1e-12)
    assert np.isnan(spearman(torch.ones(16, 16), b, field))


def test_structural_similarity_is_that_of_torchmetrics() -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure as theirs

    a, b = (torch.rand(40, 40, generator=generator(seed)).double() for seed in range(2))
    b = (a + b) / 2
    whole = torch.ones(40, 40, dtype=torch.bool)
    x, y = ((one - one.min()) / (one.max() - one.min()) for one in (a, b))
    # theirs reflects the border and averages it too: held against on the inner windows
    _, full = theirs(x[None, None], y[None, None], data_range=1.0, return_full_image=True)
    assert ssim(a, b, whole) == pytest.approx(float(full[0, 0, 5:-5, 5:-5].mean()), abs=1e-6)
    assert ssim(a, 7 * a + 3, whole) == pytest.approx(1)


def test_a_map_lies_on_the_view_as_on_the_photograph() -> None:
    values = torch.rand(3, 5, generator=generator())
    geometry = Geometry(SIZE, SIZE, 0.0, 0.0, float(SIZE), SIZE)
    for shift in ((0.0, 0.0), (-0.5, 0.25)):
        assert np.allclose(placed(values, SIZE, shift), geometry.place(values.numpy(), shift), atol=1e-6)


# laws of the curves


def test_the_true_map_of_a_sum_has_the_best_areas_and_random_orders_are_straight() -> None:
    pixels, weights = view(), torch.rand(3, SIZE, SIZE, generator=generator(5))
    field = field_of(pixels)
    nothing = baseline(pixels, field, "black")
    score, true = linear(weights), (weights * pixels).sum(0)

    def areas(values: Tensor, seed: int = 0) -> tuple[float, float]:
        found = curves(score, pixels, nothing, removal_order(values, field, generator(seed)), 16)
        numbers = found.areas()
        return numbers["deletion_logit"], numbers["insertion_logit"]

    best, worst = areas(true), areas(-true)
    drawn = [areas(torch.rand(SIZE, SIZE, generator=generator(seed)), seed) for seed in range(20)]
    assert all(best[0] < one[0] < worst[0] and worst[1] < one[1] < best[1] for one in drawn)
    assert np.mean(drawn, 0) == pytest.approx([0.5, 0.5], abs=0.01)
    assert best[0] + best[1] == pytest.approx(1)  # of a sum, what deletion takes insertion brings
    ranked = (true[field].sort(descending=True).values.cumsum(0) / true[field].sum()).tolist()
    counts = [round(k / 16 * len(ranked)) for k in range(17)]
    left = torch.tensor([1 - (ranked[n - 1] if n else 0) for n in counts])
    assert best[0] == pytest.approx(area(left), abs=1e-4)


def test_curves_begin_and_end_where_they_must() -> None:
    pixels = view()
    field = field_of(pixels)
    for kind in ("blurred", "mean", "black"):
        nothing = baseline(pixels, field, kind)
        assert torch.equal(nothing[:, ~field], pixels[:, ~field])
        score = linear(torch.ones(3, SIZE, SIZE))
        found = curves(score, pixels, nothing, removal_order(pixels[0], field, generator()), 4)
        ends = score(torch.stack([pixels, nothing]))
        assert torch.allclose(found.deletion[[0, -1]], ends)
        assert torch.allclose(found.insertion[[-1, 0]], ends)
    even = torch.full((3, SIZE, SIZE), 0.5)
    assert torch.allclose(baseline(even, field, "blurred"), even, atol=1e-5)  # the surround has no part in the blur
    flat = curves(
        lambda versions: versions.new_zeros(len(versions)), pixels, nothing, field.flatten().nonzero()[:, 0], 4
    )
    assert np.isnan(flat.areas()["deletion_logit"])
    assert flat.areas()["deletion_probability"] == 0.5


def test_the_order_is_of_the_field_highest_first_and_ties_are_mixed() -> None:
    pixels = view()
    pixels[:, :6] = 0
    field = field_of(pixels)
    assert not field[:6].any()
    assert field[16].any()
    assert not field[0, 0]
    values = torch.arange(SIZE * SIZE).reshape(SIZE, SIZE).float()
    order = removal_order(values, field, generator())
    assert torch.equal(order, field.flatten().nonzero()[:, 0].flip(0))
    same = removal_order(torch.zeros(SIZE, SIZE), field, generator())
    assert not torch.equal(same, order)
    assert torch.equal(same.sort().values, order.sort().values)
    masks = first_parts(order, torch.tensor([0.0, 0.5, 1.0]), SIZE)
    assert [int(mask.sum()) for mask in masks] == [0, round(len(order) / 2), len(order)]
    with pytest.raises(ValueError, match="finite"):
        removal_order(values / 0, field, generator())


def test_road_knows_where_the_score_is() -> None:
    pixels = view()
    field = field_of(pixels)
    where = torch.zeros(SIZE, SIZE)
    where[10:16, 12:20] = 1
    pixels = torch.where(where > 0, 1.0, 0.3 + 0 * pixels)
    score = linear(where.expand(3, -1, -1) / 10)

    def combined(values: Tensor) -> float:
        return road(score, pixels, removal_order(values, field, generator()), (0.2, 0.5), generator()).combined()[
            "road_logit"
        ]

    assert combined(where) > 1
    assert combined(-where) == pytest.approx(-combined(where), abs=0.1)
    assert abs(np.mean([combined(torch.rand(SIZE, SIZE, generator=generator(s))) for s in range(12)])) < 0.4


# scores of eyes


def test_an_eyes_score_is_the_networks_with_the_fellow_eye_as_it_was() -> None:
    net, batch = network(), made_batch(visits=1, size=SIZE)
    assert eyes_apart(net, batch)
    with torch.no_grad():
        logits = net(batch).eye_logits
    for alone in (True, False):
        score = EyeScore(net, batch, 1, 3, alone, chunk=2)
        found = score(torch.stack([score.pixels, score.pixels * 0, score.pixels]))
        assert torch.allclose(found[[0, 2]], logits[0, 1, 3].expand(2), atol=1e-5)
        assert found[1] != found[0]

    class Mixed(nn.Module):
        def forward(self, batch: Batch) -> Output:
            output = net(batch)
            return Output(output.visit_logits, output.eye_logits + output.eye_logits.nan_to_num().flip(1), None)

    assert not eyes_apart(Mixed(), batch)


# random weights


def test_random_weights_go_from_the_head_down_on_copies_only() -> None:
    net, batch = network(), made_batch(visits=3, size=SIZE)
    before = copy.deepcopy(net.state_dict())
    state = torch.get_rng_state()
    names = layers(net, batch)
    assert names[-1] == "evidence"
    assert names[0].startswith("trunk.body.conv1") or "stem" in names[0]
    sets = depths(names, 4)
    assert sets[0] == ["evidence"]
    assert sets[-1] == names
    assert all(set(a) < set(b) for a, b in itertools.pairwise(sets))
    made = list(cascade(net, batch, 0, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    for changed, known in zip(made, sets, strict=True):
        assert not changed.training
        moved = {
            name.rsplit(".", 1)[0]
            for name, value in changed.named_parameters()
            if value.dim() > 1 and not torch.equal(value, before[name])
        }
        weighty = {n for n in known if any(p.dim() > 1 for p in net.get_submodule(n).parameters(recurse=False))}
        assert moved == weighty
    again = randomised(net, names, batch, 0).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in made[-1].state_dict().items())
    other = randomised(net, names, batch, 1).state_dict()
    assert not torch.equal(other["evidence.weight"], again["evidence.weight"])


def test_maps_change_with_the_weights_and_edges_survive() -> None:
    net, batch = network(64), made_batch(visits=2, size=64)
    field = field_of(batch.fundus[0, 0])
    found = {name: [] for name in ("evidence", "sensitivity", *CONTROLS)}
    changed = [randomised(net, layers(net, batch), batch, seed) for seed in range(3)]
    for name, kept in found.items():
        row = source(name, net, 64)
        before = row.maps(net, batch, [1], generator())
        for other in changed:
            after = row.maps(other, batch, [1], generator(len(kept) + 1))
            kept += [abs(spearman(before[0, eye, 0], after[0, eye, 0], field)) for eye in range(2)]
    means = {name: float(np.mean(kept)) for name, kept in found.items()}
    words = {
        name: verdict(*(getattr(patient_mean(kept, range(len(kept))), k) for k in ("mean", "low", "high")))
        for name, kept in found.items()
    }
    assert means["edges"] == pytest.approx(1)
    assert words["edges"] == words["centre"] == "survives"
    assert words["random"] == "changes"
    assert words["sensitivity"] == "changes"
    assert means["evidence"] < 0.9
    assert LIMIT == 0.5


@pytest.mark.parametrize(
    ("numbers", "word"),
    [((0.8, 0.6, 0.9), "survives"), ((0.2, 0.1, 0.4), "changes"), ((0.5, 0.4, 0.6), "unclear")],
)
def test_the_verdict_needs_its_interval(numbers: tuple[float, float, float], word: str) -> None:
    assert verdict(*numbers) == word
    assert verdict(numbers[0], np.nan, np.nan) == "unclear"
    assert verdict(np.nan, np.nan, np.nan) == "undefined"


# moves


def test_a_move_and_its_way_back() -> None:
    values = torch.rand(SIZE, SIZE, generator=generator())
    field = torch.ones(SIZE, SIZE, dtype=torch.bool)
    assert torch.equal(Move(0, 0).apply(values), values)
    moved = Move(3, -2).apply(values)
    assert moved[0, 3] == values[2, 0]
    kept = Move(3, -2).kept(field)
    assert int(kept.sum()) == (SIZE - 3) * (SIZE - 2)
    assert torch.equal(Move(3, -2).back(moved)[kept], values[kept])
    assert spearman(values, Move(0, 0).back(Move(0, 0).apply(values)), field) == pytest.approx(1)
    smooth = placed(torch.rand(4, 4, generator=generator()), SIZE)
    for move in moves(SIZE):
        kept = move.kept(field)
        assert 0.7 < kept.float().mean() < 1
        assert spearman(smooth, move.back(move.apply(smooth)), kept) > 0.98
    quarter = Move(degrees=90.0).apply(values)
    assert torch.allclose(quarter, torch.rot90(values, 1, (0, 1)), atol=1e-4)
    peak = torch.zeros(SIZE, SIZE)
    peak[4, 4] = 1
    assert displacement(peak, Move(3, 4).apply(peak), field) == pytest.approx(5 / SIZE)


def test_a_mean_over_cases_draws_patients() -> None:
    values = [1.0, 1.0, 1.0, 5.0, np.nan]
    found = patient_mean(values, ["a", "a", "a", "b", "b"])
    assert (found.mean, found.n, found.patients, found.left_out) == (2.0, 4, 2, 1)
    assert (found.low, found.high) == (1.0, 5.0)
    assert patient_mean([1.0, 2.0], ["a", "a"]).to_dict()["interval"] is None
    assert patient_mean([np.nan], ["a"]).to_dict()["mean"] is None
