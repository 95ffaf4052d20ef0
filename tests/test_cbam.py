"""Channel and spatial gates against their equations, computed element by element."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from eyeground.nets.cbam import ChannelGate, GatedBottleneck, SpatialGate, cbam

POOLS = [("mean",), ("mean", "max")]


def maps(seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 32, 5, 6, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("pools", POOLS)
def test_the_channel_gate_is_its_equation(pools: tuple[str, ...]) -> None:
    gate, values = ChannelGate(32, 16, pools), maps()
    first, _, second = gate.mlp
    for n in range(2):
        total = torch.zeros(32)
        for name in pools:
            pooled = torch.stack([values[n, k].mean() if name == "mean" else values[n, k].max() for k in range(32)])
            total = total + second.weight @ (first.weight @ pooled + first.bias).clamp(min=0) + second.bias
        wanted = 1 / (1 + torch.exp(-total))
        torch.testing.assert_close(gate.gate(values)[n], wanted)
        torch.testing.assert_close(gate(values)[n, 7], values[n, 7] * wanted[7])
    assert first.weight.shape == (2, 32), "the reduction is 16"


def test_the_spatial_gate_is_its_equation() -> None:
    gate, values = SpatialGate(7), maps()
    weight, bias = gate.conv.weight[0], gate.conv.bias
    for y, x in ((0, 0), (2, 3), (4, 5)):
        total = bias.clone()
        for v in range(5):
            for u in range(6):
                if abs(v - y) <= 3 and abs(u - x) <= 3:
                    place = v - y + 3, u - x + 3
                    total += (
                        weight[(0, *place)] * values[0, :, v, u].mean() + weight[(1, *place)] * values[0, :, v, u].max()
                    )
        torch.testing.assert_close(gate.gate(values)[0, 0, y, x], torch.sigmoid(total)[0])
    torch.testing.assert_close(gate(values), values * gate.gate(values))


def test_cbam_gates_channels_first() -> None:
    block, values = cbam(32), maps()
    torch.testing.assert_close(block(values), block[1](block[0](values)))
    assert (block(values).abs() <= values.abs()).all() and (block(values).sign() == values.sign()).all()


@pytest.mark.parametrize("pools", POOLS)
def test_the_channel_gate_does_not_care_about_places(pools: tuple[str, ...]) -> None:
    gate, values = ChannelGate(32, 16, pools), maps()
    turned = values.flip(2).transpose(2, 3)
    torch.testing.assert_close(gate.gate(turned), gate.gate(values))


def test_a_closed_gate_leaves_the_identity_and_an_open_one_a_plain_bottleneck() -> None:
    class Times(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return self.factor * values

    values = maps()
    torch.testing.assert_close(GatedBottleneck(32, Times(0.0)).eval()(values), values.clamp(min=0))
    block = GatedBottleneck(32, Times(1.0)).eval()
    torch.testing.assert_close(block(values), (values + block.residual(values)).clamp(min=0))


def test_parameters_at_the_width_of_a_resnet50() -> None:
    def count(net: nn.Module) -> int:
        return sum(one.numel() for one in net.parameters())

    bottleneck = 1024 * 256 + 9 * 256 * 256 + 256 * 1024 + 2 * (256 + 256 + 1024)
    channel = 1024 * 64 + 64 + 64 * 1024 + 1024
    assert count(GatedBottleneck(1024, nn.Identity())) == bottleneck
    assert count(ChannelGate(1024)) == count(ChannelGate(1024, pools=("mean",))) == channel
    assert count(GatedBottleneck(1024, cbam(1024))) == bottleneck + channel + 2 * 49 + 1
