"""BFENet: its modules against loops, its laws, its ablations, its sizes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from batches_made import made_batch
from eyeground.errors import UsageError
from eyeground.methods.bfenet import BFENet, Config, FeatureEnhancement, Scales, build, loss
from eyeground.vocabulary import ODIR

SIZE = 64
ABLATIONS: tuple[dict[str, Any], ...] = (
    {},
    {"multiscale": False},
    {"enhancement": False},
    {"multiscale": False, "enhancement": False},
    {"order": "fe_ms"},
    {"head_input": "4096"},
    {"ms_shared": False, "ms_1x1": True},
    {"ms_branch": 20, "ms_merge": True, "spatial_attention": True},
    {"ms_branch": 10, "order": "fe_ms"},
)


def small(**changes: Any) -> Config:
    return Config("test_resnet", "none", **{"dropout": 0.0, **changes})


def made_model(**changes: Any) -> BFENet:
    torch.manual_seed(0)
    return build(small(**changes), ODIR, SIZE).eval()


def both(maps: torch.Tensor) -> torch.Tensor:
    return torch.ones(maps.shape[:2], dtype=torch.bool)


def symmetric(channels: int) -> Any:
    """FE whose joint map and queries do not care which eye is which."""
    torch.manual_seed(3)
    module: Any = FeatureEnhancement(channels).eval()
    with torch.no_grad():
        weight = module.pair[0].weight
        weight[:, channels:] = weight[:, :channels]
        module.query[1].load_state_dict(module.query[0].state_dict())
    return module


def test_the_attention_of_each_eye_equals_a_loop_over_places() -> None:
    torch.manual_seed(2)
    module: Any = FeatureEnhancement(8).eval()
    maps = torch.randn(1, 2, 8, 2, 3)

    def dense(net: Any, place: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(net[0].weight[:, :, 0, 0] @ place + net[0].bias, 0.1)

    sides = torch.cat([maps[0, 0], maps[0, 1]]).flatten(1)  # (16, n)
    joint = F.leaky_relu(module.pair[0].weight[:, :, 0, 0] @ sides / math.sqrt(1 + 1e-5), 0.1)  # a fresh BN
    got = module(maps, both(maps))
    for e in (0, 1):
        own = maps[0, e].flatten(1)
        for i in range(6):
            query = dense(module.query[e], own[:, i])
            products = [float((query @ dense(module.key, joint[:, j])).detach()) / math.sqrt(2) for j in range(6)]
            total = sum(math.exp(p) for p in products)
            gathered = torch.stack(
                [math.exp(products[j]) / total * dense(module.value, joint[:, j]) for j in range(6)]
            ).sum(0)
            wanted = own[:, i] + module.out.weight[:, :, 0, 0] @ gathered + module.out.bias
            torch.testing.assert_close(got[0, e].flatten(1)[:, i], wanted, atol=1e-5, rtol=1e-4)


def test_attention_rows_sum_to_one() -> None:
    module, maps = FeatureEnhancement(8), torch.randn(2, 2, 8, 3, 3)
    for rows in module.attention(maps, torch.randn(2, 8, 3, 3)):
        assert rows.shape == (2, 9, 9)
        torch.testing.assert_close(rows.sum(-1), torch.ones(2, 9))


def test_with_a_symmetric_joint_map_an_exchange_of_eyes_exchanges_the_enhanced_maps() -> None:
    module, maps = symmetric(8), torch.randn(2, 2, 8, 3, 3)
    torch.testing.assert_close(module(maps.flip(1), both(maps)), module(maps, both(maps)).flip(1))
    plain = FeatureEnhancement(8).eval()
    assert not torch.allclose(plain(maps.flip(1), both(maps)), plain(maps, both(maps)).flip(1))


def test_without_its_last_layer_the_enhancement_changes_nothing() -> None:
    module: Any = FeatureEnhancement(8).eval()
    maps = torch.randn(2, 2, 8, 3, 3)
    torch.nn.init.zeros_(module.out.weight)
    torch.nn.init.zeros_(module.out.bias)
    assert torch.equal(module(maps, both(maps)), maps)


@pytest.mark.parametrize(("dilation", "branch"), [(1, 0), (2, 1), (4, 2)])
def test_each_branch_reads_at_its_dilation(dilation: int, branch: int) -> None:
    scales: Any = Scales(2, 6, small())
    assert [one.out_channels for one in scales.branches] == [2, 2, 2]
    picture = torch.zeros(1, 2, 11, 11)
    picture[0, 0, 5, 5] = 1
    answer = scales.branches[branch](picture)[0, 0]
    touched = {(int(y), int(x)) for y, x in torch.nonzero(answer)}
    assert touched == {(5 + dy * dilation, 5 + dx * dilation) for dy in (-1, 0, 1) for dx in (-1, 0, 1)}


def test_the_branches_share_half_of_the_trunk() -> None:
    with torch.device("meta"):
        assert [one.out_channels for one in Scales(2048, 1024, Config()).branches] == [341, 341, 342]
        four: Any = Scales(2048, 1024, Config(ms_1x1=True))
        assert [(one.out_channels, one.kernel_size[0]) for one in four.branches] == [(256, 1), *[(256, 3)] * 3]
        merged = Scales(2048, 1024, Config(ms_branch=512, ms_merge=True))
    assert merged.channels == 1024


@pytest.mark.parametrize("changes", ABLATIONS, ids=str)
def test_every_form_answers_and_learns_where_an_eye_is_missing(changes: Any) -> None:
    model, batch = made_model(**changes), made_batch(size=SIZE)
    out = model(batch)
    assert out.visit_logits.shape == (6, 8)
    assert torch.isfinite(out.visit_logits).all()
    assert out.eye_logits is None
    assert out.evidence is None
    loss(model.train(), batch, small(**changes))["total"].backward()
    for name, one in model.named_parameters():
        assert one.grad is not None, name
        assert torch.isfinite(one.grad).all(), name


def test_separate_branches_stand_a_batch_of_left_eyes() -> None:
    model, batch = made_model(ms_shared=False).train(), made_batch(size=SIZE)
    alone = replace(batch, seen=batch.seen & torch.tensor([True, False]))
    alone = replace(alone, fundus=alone.fundus[2:], seen=alone.seen[2:])
    assert torch.isfinite(model(alone).visit_logits).all()
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_what_the_head_reads() -> None:
    def read(**changes: Any) -> int:
        with torch.device("meta"):
            first: Any = build(Config(trunk_weights="none", **changes), ODIR, 448).head[0]
        assert first.out_features == 4096
        return int(first.in_features)

    assert read() == 8192
    assert read(order="fe_ms") == 8192
    assert read(head_input="4096") == 4096
    assert read(enhancement=False) == read(multiscale=False) == 2 * (2048 + 1024)
    assert read(enhancement=False, multiscale=False) == 2 * 2048


@pytest.mark.parametrize(
    ("changes", "millions"),
    [
        ({}, 83.03),
        ({"ms_branch": 512, "ms_merge": True}, 94.04),
        ({"ms_branch": 512, "ms_merge": True, "ms_shared": False}, 123.93),
        ({"multiscale": False, "enhancement": False}, 42.39),
        ({"trunk": "mobilenetv2_100"}, 25.48),
    ],
)
def test_the_numbers_of_parameters(changes: Any, millions: float) -> None:
    with torch.device("meta"):
        model = build(Config(trunk_weights="none", **changes), ODIR, 448)
    assert sum(one.numel() for one in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.005)


def test_maps_of_14_by_14_at_448_pixels() -> None:
    model = made_model()
    assert model.trunk(torch.zeros(1, 3, 448, 448)).shape[2:] == (14, 14)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dropout": 1.0}, "--dropout"),
        ({"ms_branch": -3}, "--ms-branch"),
        ({"multiscale": False, "ms_1x1": True}, "need --multiscale"),
    ],
)
def test_bad_configurations_are_refused(changes: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Config(**changes)
