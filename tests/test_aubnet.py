"""AUBNet: its equations against loops, its laws, its switches, and the eye weights."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from batches_made import made_batch
from eyeground.batches import Batch
from eyeground.errors import UsageError
from eyeground.methods.aubnet import RECIPE, AubNet, Config, Weighing, build, eye_weights, loss, maps, swap
from eyeground.runs.recipe import Recipe
from eyeground.settings import fill
from eyeground.vocabulary import ODIR

SIZE, WIDE = 64, 5
LEVELS = ("first", "second", "both")
FUSIONS = ("sum", "product", "concat", *LEVELS)
SWITCHES: tuple[dict[str, Any], ...] = (
    {},
    {"normalise": False},
    {"weight_shape": "channel"},
    {"weight_shape": "channel", "normalise": False},
)


def model_of(**values: Any) -> AubNet:
    torch.manual_seed(0)
    return build(Config("test_resnet", "none", **values), ODIR, SIZE).eval()


def exchanged(batch: Batch) -> Batch:
    return replace(batch, fundus=batch.fundus.flip(1), seen=batch.seen.flip(1))


def made_weighing(**values: Any) -> Weighing:
    torch.manual_seed(1)
    weighing = Weighing(Config(**values), WIDE)
    for one in weighing.parameters():
        torch.nn.init.normal_(one)
    return weighing


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def dense(layer: Any, values: list[float]) -> list[float]:
    """σ(w · values + b), one number for every row of w."""
    rows = zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
    return [sigmoid(sum(w * v for w, v in zip(row, values, strict=True)) + b) for row, b in rows]


def by_loops(weighing: Weighing, eyes: list[list[float]]) -> tuple[list[float], list[float]]:
    """h and g of one visit's seen eyes, number by number."""
    config = weighing.config
    every = range(WIDE)

    def mixed(weights: list[list[float]]) -> list[float]:
        found = []
        for k in every:
            own = [weight[k if len(weight) > 1 else 0] for weight in weights]
            total = sum(w * f[k] for w, f in zip(own, eyes, strict=True))
            found.append(total / sum(own) if config.normalise else total)
        return found

    alpha = [[1.0] for _ in eyes] if weighing.alpha is None else [dense(weighing.alpha, eye) for eye in eyes]
    g = mixed(alpha)
    if config.fusion == "first":
        return g, g
    beta = [dense(weighing.beta, eye + g) for eye in eyes]
    if config.fusion == "second" or not config.keep_alpha:
        return mixed(beta), g
    return mixed([[a * b for a, b in zip(*pair, strict=True)] for pair in zip(alpha, beta, strict=True)]), g


@pytest.mark.parametrize("keep_alpha", [True, False])
@pytest.mark.parametrize("switches", SWITCHES)
@pytest.mark.parametrize("fusion", LEVELS)
def test_the_levels_are_their_equations(fusion: str, switches: dict[str, Any], keep_alpha: bool) -> None:
    if fusion == "first" and not keep_alpha:
        return
    weighing = made_weighing(fusion=fusion, keep_alpha=keep_alpha, **switches)
    features = torch.randn(3, 2, WIDE)
    seen = torch.tensor([[True, True], [True, False], [False, True]])
    features[~seen] = torch.nan
    with torch.no_grad():
        h, g, _, _ = weighing(features, seen)
    for row in range(3):
        eyes = [features[row, e].tolist() for e in range(2) if seen[row, e]]
        expected_h, expected_g = by_loops(weighing, eyes)
        assert h[row].tolist() == pytest.approx(expected_h, abs=1e-5)
        assert g[row].tolist() == pytest.approx(expected_g, abs=1e-5)


@pytest.mark.parametrize("fusion", LEVELS)
def test_equal_eyes_and_a_single_eye_give_their_own_vector(fusion: str) -> None:
    one = torch.randn(4, WIDE)
    both = torch.stack([one, one], dim=1)
    alone = torch.stack([one, torch.full_like(one, torch.nan)], dim=1)
    for shape in ("scalar", "channel"):
        weighing = made_weighing(fusion=fusion, weight_shape=shape)
        torch.testing.assert_close(weighing(both, torch.ones(4, 2, dtype=torch.bool))[0], one)
        torch.testing.assert_close(weighing(alone, torch.tensor([[True, False]] * 4))[0], one)
    nobody = weighing(torch.full_like(both, torch.nan), torch.zeros(4, 2, dtype=torch.bool))
    assert torch.equal(nobody[0], torch.zeros(4, WIDE))


def test_tiny_weights_still_have_a_ratio() -> None:
    weighing = made_weighing(fusion="both")
    assert weighing.alpha is not None
    assert weighing.beta is not None
    with torch.no_grad():
        for layer in (weighing.alpha, weighing.beta):
            layer.weight.zero_()
            layer.bias.fill_(-300.0)  # the sigmoid itself is 0
    features = torch.randn(2, 2, WIDE)
    h = weighing(features, torch.ones(2, 2, dtype=torch.bool))[0]
    torch.testing.assert_close(h, features.mean(1))


@pytest.mark.parametrize("values", [{}, {"weight_shape": "channel"}, {"fusion": "first"}, {"head_input": "hg"}])
def test_an_exchange_of_eyes_exchanges_the_weights_and_leaves_the_logits(values: dict[str, Any]) -> None:
    model, batch = model_of(**values), made_batch(size=SIZE)
    there, back = eye_weights(model, batch), eye_weights(model, exchanged(batch))
    for one, two in zip(there, back, strict=True):
        torch.testing.assert_close(two.flip(1), one, equal_nan=True)
    torch.testing.assert_close(model(exchanged(batch)).visit_logits, model(batch).visit_logits)
    alpha, beta = there
    assert alpha.shape == (6, 2)
    assert torch.equal(torch.isnan(alpha), ~batch.seen)
    assert ((alpha > 0) & (alpha < 1))[batch.seen].all()
    has_beta = values.get("fusion") != "first"
    assert torch.equal(torch.isnan(beta), ~batch.seen if has_beta else torch.ones_like(batch.seen))


def test_alpha_is_what_the_eye_has_by_itself_and_beta_looks_at_both() -> None:
    model, batch = model_of(), made_batch(size=SIZE)
    other = replace(batch, fundus=torch.cat([batch.fundus[:, :1], batch.fundus[:, 1:].flip(0)], dim=1))
    rows = batch.seen.all(1) & batch.seen.flip(0).all(1)
    (alpha, beta), (alpha_2, beta_2) = eye_weights(model, batch), eye_weights(model, other)
    torch.testing.assert_close(alpha[rows, 0], alpha_2[rows, 0])
    assert not torch.allclose(beta[rows, 0], beta_2[rows, 0], atol=1e-9, rtol=0)


def test_both_without_alpha_is_second() -> None:
    both, second = model_of(keep_alpha=False), model_of(fusion="second")
    second.load_state_dict(both.state_dict())
    batch = made_batch(size=SIZE)
    assert torch.equal(both(batch).visit_logits, second(batch).visit_logits)
    strict = model_of(fusion="second", keep_alpha=False)
    assert not any("alpha" in name for name, _ in strict.named_parameters())
    assert torch.isnan(eye_weights(strict, batch)[0]).all()


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_learns_with_all_its_weights(fusion: Any, shared: bool) -> None:
    config = Config("test_resnet", "none", fusion=fusion, shared=shared)
    model, batch = build(config, ODIR, SIZE), made_batch(size=SIZE)
    loss(model, batch, config)["total"].backward()
    assert all(one.grad is not None and torch.isfinite(one.grad).all() for one in model.parameters())
    same = torch.allclose(model.eval()(exchanged(batch)).visit_logits, model(batch).visit_logits, atol=1e-5, rtol=1e-4)
    assert same == (swap(config) == "same")
    assert "no maps" in maps(config)
    assert model(batch).evidence is None


def test_a_trunk_of_one_side_is_not_spoilt_by_a_batch_without_that_side() -> None:
    config = Config("test_resnet", "none", shared=False)
    model, batch = build(config, ODIR, SIZE).train(), made_batch(size=SIZE)
    seen = torch.tensor([[True, False]]).repeat(6, 1)
    loss(model, replace(batch, seen=seen), config)["total"].backward()
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_the_heads_have_the_papers_width() -> None:
    with torch.device("meta"):
        found = {trunk: build(Config(trunk, "none"), ODIR, 448) for trunk in ("resnet18", "resnet50")}
        beside = build(Config("resnet50", "none", head_input="hg"), ODIR, 448)
    shapes = {name: [tuple(one.weight.shape) for one in model.classifier[::2]] for name, model in found.items()}
    assert shapes == {"resnet18": [(512, 512), (8, 512)], "resnet50": [(512, 2048), (8, 512)]}
    assert beside.classifier[0].weight.shape == (512, 4096)
    count = sum(one.numel() for one in found["resnet50"].parameters())
    assert count == 23_508_032 + (2048 + 1) + (4096 + 1) + (2048 * 512 + 512) + (512 * 8 + 8)


def test_the_recipe_is_the_papers() -> None:
    recipe = fill(Recipe, RECIPE, "aubnet")
    assert recipe.lr_at(0, 100, 50) == 0.007
    assert recipe.lr_at(50, 100, 50) == pytest.approx(0.007 * 0.5**0.9)
    assert (recipe.optimizer, recipe.momentum, recipe.size, recipe.epochs) == ("sgd", 0.9, 448, 50)


def test_what_has_no_part_is_refused() -> None:
    bad: tuple[tuple[dict[str, Any], str], ...] = (
        ({"fusion": "first", "head_input": "hg"}, "second level"),
        ({"fusion": "sum", "head_input": "hg"}, "second level"),
        ({"fusion": "first", "keep_alpha": False}, "second level"),
        ({"fusion": "sum", "weight_shape": "channel"}, "no weights"),
        ({"fusion": "concat", "normalise": False}, "no weights"),
    )
    for values, why in bad:
        with pytest.raises(UsageError, match=why):
            Config(**values)
    with pytest.raises(UsageError, match="fusion 'sum' has no eye weights"):
        eye_weights(model_of(fusion="sum"), made_batch(size=SIZE))


def test_a_rival_is_the_plain_operator() -> None:
    batch = made_batch(size=SIZE)
    for fusion in ("sum", "product"):
        model = model_of(fusion=fusion)
        found: list[Tensor] = []
        model.classifier.register_forward_pre_hook(lambda _, given: found.append(given[0]))  # noqa: B023
        model(batch)
        left, right = model.features(batch)[2:].unbind(1)
        torch.testing.assert_close(found[0][2:], left + right if fusion == "sum" else left * right)
