"""BFPC-Net: its equations computed by themselves, its two heads, and the arms of its ablation."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from batches_made import made_batch
from eyeground.batches import Batch
from eyeground.errors import UsageError
from eyeground.methods import bfpc_net
from eyeground.methods.bfpc_net import BfpcNet, Config, build, loss
from eyeground.vocabulary import ODIR, Vocabulary
from variants_checked import check_variant

SIZE = 64
TINY = Config("test_resnet", "none", fusion_channels=24)
ARMS = [
    *((attention, "concat_conv") for attention in ("cbam_residual", "se", "ungated", "none")),
    *((attention, "none") for attention in ("cbam_residual", "none")),
]


def made(config: Config, seed: int = 0) -> BfpcNet:
    torch.manual_seed(seed)
    model = build(config, ODIR, SIZE)
    for layer in model.modules():  # batch normalisation that is not the identity
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean, 0, 0.1)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    return model.eval()


def count(**choices: Any) -> float:
    """Millions of parameters at 224 px."""
    with torch.device("meta"):
        model = build(Config(trunk_weights="none", **choices), ODIR, 224)
    return sum(one.numel() for one in model.parameters()) / 1e6


@pytest.mark.parametrize(("attention", "fusion"), ARMS)
def test_every_arm_of_the_ablation_keeps_the_contract(attention: Any, fusion: Any) -> None:
    check_variant(bfpc_net, replace(TINY, attention=attention, fusion=fusion))


@pytest.mark.parametrize("fusion", ["concat_conv", "none"])
@pytest.mark.parametrize("choice", [{"shared": False}, {"head": "softmax"}, {"channel_pools": "mean_max"}])
def test_every_switch_keeps_the_contract(fusion: Any, choice: dict[str, Any]) -> None:
    check_variant(bfpc_net, replace(TINY, fusion=fusion, **choice))


def norm(maps: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    assert isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None and layer.running_var is not None
    scale = layer.weight / (layer.running_var + layer.eps).sqrt()
    return (maps - layer.running_mean[:, None, None]) * scale[:, None, None] + layer.bias[:, None, None]


def convolve(maps: torch.Tensor, layer: nn.Module) -> torch.Tensor:
    """A convolution as a sum over its places."""
    assert isinstance(layer, nn.Conv2d)
    side, (height, width) = layer.kernel_size[0], maps.shape[2:]
    around = F.pad(maps, [side // 2] * 4)
    found = torch.zeros(len(maps), layer.out_channels, height, width)
    for v, u in product(range(side), repeat=2):
        found += torch.einsum("nkhw,ck->nchw", around[:, :, v : v + height, u : u + width], layer.weight[:, :, v, u])
    return found if layer.bias is None else found + layer.bias[:, None, None]


def attend(maps: torch.Tensor, block: nn.Module) -> torch.Tensor:
    """A = ReLU(F + M_s M_c R), written out."""
    one, norm_one, _, two, norm_two, _, three, norm_three = block.residual  # type: ignore[misc, union-attr]
    rest = norm(convolve(maps, one), norm_one).clamp(min=0)
    rest = norm(convolve(rest, two), norm_two).clamp(min=0)
    rest = norm(convolve(rest, three), norm_three)
    channel, place = block.gate  # type: ignore[misc, union-attr]
    first, _, second = channel.mlp
    hidden = (rest.mean((2, 3)) @ first.weight.T + first.bias).clamp(min=0)
    rest = rest * torch.sigmoid(hidden @ second.weight.T + second.bias)[:, :, None, None]
    summary = torch.stack([rest.mean(1), rest.max(1).values], 1)
    rest = rest * torch.sigmoid(convolve(summary, place.conv))
    return (maps + rest).clamp(min=0)


def test_the_whole_network_is_its_equations() -> None:
    model, batch = made(TINY), made_batch(size=SIZE)
    both = batch.seen.all(1)
    with torch.no_grad():
        left, right = (attend(model.trunk(batch.fundus[both, e]), model.attention) for e in (0, 1))
        assert left.shape[1:] == (192, 4, 4), "the map keeps stride 16"
        assert model.fusion is not None
        first, normal, _, last = model.fusion.joined
        joined = norm(convolve(torch.cat([left, right], 1), first), normal).clamp(min=0)
        fused = (0.5 * convolve(joined, last)).clamp(min=0)
        wanted = fused.mean((2, 3)) @ model.head.weight.T + model.head.bias
        torch.testing.assert_close(model(batch).visit_logits[both], wanted, atol=1e-5, rtol=1e-4)


def test_one_eye_answers_as_this_eye_on_both_sides() -> None:
    model, batch = made(TINY), made_batch(size=SIZE)
    doubled = batch.fundus.clone()
    doubled[0, 1], doubled[1, 0] = batch.fundus[0, 0], batch.fundus[1, 1]
    twice = replace(batch, fundus=doubled, seen=batch.seen | True)
    torch.testing.assert_close(model(twice).visit_logits, model(batch).visit_logits, atol=1e-5, rtol=1e-4)


def test_the_learned_number_starts_at_a_half_and_at_nothing_leaves_the_bias() -> None:
    model, batch = made(TINY), made_batch(size=SIZE)
    assert model.fusion is not None and model.fusion.scale.item() == 0.5
    with torch.no_grad():
        model.fusion.scale.zero_()
        torch.testing.assert_close(model(batch).visit_logits, model.head.bias.expand(6, -1))


def test_none_is_the_plain_trunk_and_single_eyes() -> None:
    model, batch = made(replace(TINY, attention="none", fusion="none")), made_batch(size=SIZE)
    with torch.no_grad():
        for e in (0, 1):
            here = batch.seen[:, e]
            wanted = model.head(model.trunk(batch.fundus[here, e]).mean((2, 3)))
            torch.testing.assert_close(model(batch).eye_logits[here, e], wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("fusion", ["concat_conv", "none"])
def test_the_softmax_head_gives_a_softmax_and_learns_its_targets(fusion: Any) -> None:
    config = replace(TINY, head="softmax", fusion=fusion)
    model, batch = made(config), made_batch(size=SIZE)
    out = model(batch)
    p = torch.sigmoid(out.visit_logits if fusion == "concat_conv" else out.eye_logits[batch.seen])
    torch.testing.assert_close(p.sum(-1), torch.ones(len(p)))
    if fusion == "concat_conv":
        rows = torch.tensor([r for r in range(6) if r != 2 and batch.labels[r].any()])  # visit 2 has unknown labels
        target = batch.labels[rows] / batch.labels[rows].sum(1, keepdim=True)
        wanted = F.cross_entropy(torch.log(p[rows]), target)
        weight = torch.zeros(6).index_fill(0, rows, 1.0)
        found = loss(model, replace(batch, weight=weight), config)["total"]
        torch.testing.assert_close(found, wanted)


def test_the_softmax_head_comes_close_to_the_entropy_of_its_targets() -> None:
    config = replace(TINY, head="softmax")
    torch.manual_seed(0)
    model, batch = build(config, ODIR, 32).train(), with_known_labels()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(80):
        value = loss(model, batch, config)["total"]
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    least = sum(math.log(n) for n in batch.labels.sum(1).tolist()) / len(batch)
    assert least < float(value.detach()) < least + 0.2


def with_known_labels() -> Batch:
    batch = made_batch(6, size=32)
    labels = batch.labels.clone()
    labels[:, 4] = 1
    return replace(batch, labels=labels, known=batch.known | True)


def test_without_shared_weights_each_side_has_its_own() -> None:
    config = replace(TINY, shared=False, fusion="none")
    model, batch = made(config), made_batch(size=SIZE)
    keys = model.state_dict()
    assert any(key.startswith("trunk_right") for key in keys)
    assert not any(key.startswith(("trunk_right", "attention_right")) for key in made(TINY).state_dict())
    before = model(batch).eye_logits
    with torch.no_grad():
        for one in model.attention_right.parameters():  # type: ignore[union-attr]
            one.add_(0.1)
    after = model(batch).eye_logits
    torch.testing.assert_close(after[:, 0], before[:, 0], equal_nan=True)
    assert not torch.allclose(after[2:, 1], before[2:, 1])


def test_a_side_that_no_visit_shows_learns_nothing_and_breaks_nothing() -> None:
    config = replace(TINY, shared=False)
    model, batch = build(config, ODIR, SIZE).train(), made_batch(size=SIZE)
    left = torch.tensor([[True, False]]).expand(6, 2)
    loss(model, replace(batch, seen=left), config)["total"].backward()
    for name, values in model.state_dict().items():
        assert torch.isfinite(values.float()).all(), name
    assert all(torch.isfinite(one.grad).all() for one in model.parameters() if one.grad is not None)


def test_parameters() -> None:
    assert count() == pytest.approx(19.50, abs=0.005)
    assert count(attention="se") == pytest.approx(19.50, abs=0.005)
    assert count(attention="ungated") == pytest.approx(19.37, abs=0.005)
    assert count(attention="none", fusion="none") == pytest.approx(23.51 + 0.016, abs=0.005), "the plain ResNet-50"
    assert count(shared=False) == pytest.approx(29.29, abs=0.005)


def test_what_can_not_be_built() -> None:
    with pytest.raises(UsageError, match="--fusion-channels must be at least 1"):
        Config(fusion_channels=0)
    with pytest.raises(UsageError, match="--head softmax needs two labels"):
        build(replace(TINY, head="softmax"), Vocabulary.multilabel("one", ("G",)), SIZE)
