"""Gour & Khanna's two-input VGG16: the counts of its heads, and linear heads against a plain dense layer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from batches_made import made_batch
from eyeground.errors import UsageError
from eyeground.methods import gour_khanna
from eyeground.methods.gour_khanna import Config, GourKhanna, build, loss
from eyeground.nets.eyes import stand_in
from eyeground.nets.fusion import max_logits
from eyeground.runs.recipe import Recipe
from eyeground.vocabulary import ODIR
from variants_checked import check_variant

SIZE = 64
TINY = Config("test_resnet", "none")


def made(**choices: Any) -> GourKhanna:
    torch.manual_seed(0)
    return build(replace(TINY, **choices), ODIR, SIZE).eval()


@pytest.mark.parametrize("head", ["gap512", "gap", "flatten"])
@pytest.mark.parametrize("inputs", ["two", "one"])
def test_every_head_keeps_the_contract(head: Any, inputs: Any) -> None:
    check_variant(gour_khanna, replace(TINY, head=head, inputs=inputs))


@pytest.mark.parametrize("head", ["gap512", "flatten"])
def test_a_trunk_for_each_side_keeps_the_contract(head: Any) -> None:
    check_variant(gour_khanna, replace(TINY, head=head, shared=False))


@pytest.mark.parametrize(
    ("head", "size", "millions"),
    [
        ("gap512", 256, 15.24),
        ("gap512", 224, 15.24),
        ("flatten", 256, 15.24),
        ("flatten", 224, 15.12),
        ("gap", 256, 14.72),
    ],
)
def test_the_heads_have_the_parameters_that_were_computed_for_them(head: Any, size: int, millions: float) -> None:
    with torch.device("meta"):
        model = build(Config(trunk_weights="none", head=head), ODIR, size)
    count = sum(one.numel() for one in model.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.005)
    dense = {"gap512": 1024 * 512 + 512 + 512 * 8 + 8, "gap": 1024 * 8 + 8, "flatten": 1024 * (size // 32) ** 2 * 8 + 8}
    assert count == 14_714_688 + dense[head]


@pytest.mark.parametrize("head", ["gap", "flatten"])
def test_a_linear_head_is_a_dense_layer_on_both_eyes_side_by_side(head: Any) -> None:
    model, batch = made(head=head), made_batch(size=SIZE)
    both, linear = batch.seen.all(1), model.linear
    assert linear is not None
    with torch.no_grad():
        eyes = [model.trunk(batch.fundus[both, e]) for e in (0, 1)]
        values = [eye.mean((2, 3)) if head == "gap" else eye.flatten(1) for eye in eyes]
        wanted = torch.cat(values, 1) @ linear.weight.flatten(1).T + linear.bias
        torch.testing.assert_close(model(batch).visit_logits[both], wanted, atol=1e-5, rtol=1e-4)


def test_the_hidden_layer_stands_on_both_eyes_means() -> None:
    model, batch = made(), made_batch(size=SIZE)
    assert model.dense is not None
    first, _, last = model.dense  # type: ignore[misc]
    both = batch.seen.all(1)
    with torch.no_grad():
        means = torch.cat([model.trunk(batch.fundus[both, e]).mean((2, 3)) for e in (0, 1)], 1)
        wanted = (means @ first.weight.T + first.bias).clamp(min=0) @ last.weight.T + last.bias
        torch.testing.assert_close(model(batch).visit_logits[both], wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("head", ["gap", "flatten"])
def test_the_maps_of_two_inputs_add_up_to_the_visit(head: Any) -> None:
    model, batch = made(head=head), made_batch(size=SIZE)
    out = model(batch)
    assert out.evidence is not None and out.eye_logits is None
    assert torch.equal(torch.isnan(out.evidence).flatten(2).all(2), ~batch.seen)
    total = out.evidence.mean((3, 4)).nan_to_num(0).sum(1)
    torch.testing.assert_close(total, out.visit_logits)


@pytest.mark.parametrize("head", ["gap512", "gap", "flatten"])
def test_one_eye_answers_as_this_eye_on_both_sides(head: Any) -> None:
    model, batch = made(head=head), made_batch(size=SIZE)
    doubled = stand_in(batch.fundus, batch.seen)
    twice = model(replace(batch, fundus=doubled, seen=batch.seen | True))
    torch.testing.assert_close(twice.visit_logits, model(batch).visit_logits, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("head", ["gap512", "gap"])
def test_one_input_is_the_worse_eye_of_single_eyes(head: Any) -> None:
    model, batch = made(head=head, inputs="one"), made_batch(size=SIZE)
    out = model(batch)
    assert out.eye_logits is not None
    torch.testing.assert_close(out.visit_logits, max_logits(out.eye_logits, batch.seen, model.every))
    parts = loss(model, batch, replace(TINY, head=head, inputs="one"))
    assert set(parts) == {"eye", "total"} and set(loss(made(), batch, TINY)) == {"visit", "total"}


def test_what_can_not_be_built() -> None:
    with pytest.raises(UsageError, match="leave --no-shared out"):
        Config(inputs="one", shared=False)
    for size, near in ((250, 256), (225, 224), (40, 32)):
        with pytest.raises(UsageError, match=f"multiple of 32, not {size}; try --size {near}"):
            build(replace(TINY, head="flatten"), ODIR, size)
    build(TINY, ODIR, 250)
    model = made(head="flatten")
    with pytest.raises(UsageError, match="built for pictures of 64 px and can't take 96 px"):
        model(made_batch(size=96))


def test_its_recipe_is_sgd() -> None:
    recipe = Recipe(**gour_khanna.RECIPE)
    assert recipe.optimizer == "sgd" and recipe.size == 256


@pytest.mark.parametrize("head", ["gap", "flatten"])
def test_it_can_be_laid_out_for_the_device(head: Any) -> None:
    made(head=head).to(memory_format=torch.channels_last)  # refuses parameters of five axes
