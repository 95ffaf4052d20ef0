"""The shallow CNN: its size, its exact maps, its worse eye."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from batches_made import made_batch
from eyeground.errors import UsageError
from eyeground.methods import shallow_cnn
from eyeground.methods.shallow_cnn import RECIPE, Config, build
from eyeground.runs.recipe import Recipe
from eyeground.vocabulary import ODIR
from variants_checked import check_variant


@pytest.mark.parametrize("head", ["flatten", "gap"])
def test_both_heads_keep_the_contract(head: Any) -> None:
    out = check_variant(shallow_cnn, Config(head=head))
    assert (out.evidence is None) == (head == "flatten")


@pytest.mark.parametrize(("head", "count"), [("flatten", 1_081_736), ("gap", 278_792)])
def test_it_is_as_small_as_the_paper_says(head: Any, count: int) -> None:
    size = Recipe(**RECIPE).size
    model = build(Config(head=head), ODIR, size)
    assert size == 224
    assert sum(one.numel() for one in model.parameters()) == count <= 1.2e6


def test_the_network_is_its_layers() -> None:
    torch.manual_seed(0)
    model, batch = build(Config(), ODIR, 64).eval(), made_batch(size=64)
    assert model.dense is not None
    with torch.no_grad():
        maps = batch.fundus[3:, 0] * 2 - 1
        convolutions = [layer for layer in model.stages if isinstance(layer, torch.nn.Conv2d)]
        assert [layer.out_channels for layer in convolutions] == [32, 64, 64, 128, 128]
        for layer in convolutions:
            maps = F.conv2d(maps, layer.weight, layer.bias, padding=1).clamp(min=0)
            quarter = [maps[:, :, v::2, u::2] for v in (0, 1) for u in (0, 1)]
            maps = torch.stack(quarter).amax(0)
        assert maps.shape == (3, 128, 2, 2)
        first, _, last = model.dense  # type: ignore[misc]
        wanted = (maps.flatten(1) @ first.weight.T + first.bias).clamp(min=0) @ last.weight.T + last.bias
        torch.testing.assert_close(model(batch).eye_logits[3:, 0], wanted, atol=1e-5, rtol=1e-4)


def test_a_visit_is_its_worse_eye_and_for_normal_its_less_normal_one() -> None:
    model, batch = build(Config(), ODIR, 64).eval(), made_batch(size=64)
    out = model(batch)
    assert out.eye_logits is not None
    eyes = out.eye_logits[2:]
    torch.testing.assert_close(out.visit_logits[2:, 1:], eyes[:, :, 1:].amax(1))
    torch.testing.assert_close(out.visit_logits[2:, 0], eyes[:, :, 0].amin(1))


@pytest.mark.parametrize("head", ["flatten", "gap"])
def test_sizes_that_five_pools_do_not_divide_are_refused(head: Any) -> None:
    for size, near in ((250, 256), (225, 224), (16, 32)):
        with pytest.raises(UsageError, match=f"multiple of 32, not {size}; try --size {near}"):
            build(Config(head=head), ODIR, size)


def test_the_flatten_head_takes_one_size_and_the_gap_head_any() -> None:
    with pytest.raises(UsageError, match="leave --start-size out"):
        build(Config(), ODIR, 64)(made_batch(size=96))
    assert build(Config(head="gap"), ODIR, 64)(made_batch(size=96)).evidence.shape[3:] == (3, 3)
