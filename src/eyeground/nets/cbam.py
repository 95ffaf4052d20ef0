"""Channel and spatial gates over feature maps, and a residual bottleneck that holds them.

Squeeze and excitation: Hu et al., CVPR 2018. CBAM: Woo et al., "CBAM: Convolutional Block Attention Module", ECCV 2018,
equations 1 to 3:

| equation | here |
|---|---|
| M_c = sigmoid(MLP(GAP F) + MLP(GMP F)), MLP: K -> K/r -> K, shared by both | `ChannelGate` (`pools` mean and max) |
| the same with the mean alone: squeeze and excitation | `ChannelGate` (`pools` mean) |
| M_s = sigmoid(conv7x7 [mean over channels ; max over channels]) | `SpatialGate` |
| F' = M_c · F, then F'' = M_s · F' | `cbam` |
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ChannelGate(nn.Module):
    """One number in (0, 1) for each channel: (n, K, h, w) to (n, K, h, w), scaled."""

    def __init__(self, channels: int, reduction: int = 16, pools: tuple[str, ...] = ("mean", "max")) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.pools = pools
        self.mlp = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))

    def gate(self, maps: Tensor) -> Tensor:
        """M_c, (n, K)."""
        pooled = {"mean": maps.mean((2, 3)), "max": maps.amax((2, 3))}
        return torch.sigmoid(torch.stack([self.mlp(pooled[name]) for name in self.pools]).sum(0))

    def forward(self, maps: Tensor) -> Tensor:
        return maps * self.gate(maps)[..., None, None]


class SpatialGate(nn.Module):
    """One number in (0, 1) for each place: (n, K, h, w) to (n, K, h, w), scaled."""

    def __init__(self, kernel: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2)

    def gate(self, maps: Tensor) -> Tensor:
        """M_s, (n, 1, h, w)."""
        return torch.sigmoid(self.conv(torch.cat([maps.mean(1, keepdim=True), maps.amax(1, keepdim=True)], 1)))

    def forward(self, maps: Tensor) -> Tensor:
        return maps * self.gate(maps)


def cbam(channels: int, reduction: int = 16, pools: tuple[str, ...] = ("mean", "max"), kernel: int = 7) -> nn.Module:
    """The channel gate, then the spatial gate."""
    return nn.Sequential(ChannelGate(channels, reduction, pools), SpatialGate(kernel))


class GatedBottleneck(nn.Module):
    """ReLU(F + gate(conv1x1 conv3x3 conv1x1 F)): a residual bottleneck K -> K/4 -> K that gates its residual.

    Every convolution is followed by batch normalisation, the first two by ReLU too. The map keeps its size.
    """

    def __init__(self, channels: int, gate: nn.Module) -> None:
        super().__init__()
        inner = max(1, channels // 4)
        self.residual = nn.Sequential(
            *_convolution(channels, inner, 1),
            nn.ReLU(),
            *_convolution(inner, inner, 3),
            nn.ReLU(),
            *_convolution(inner, channels, 1),
        )
        self.gate = gate

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(maps + self.gate(self.residual(maps)))


def _convolution(channels: int, wanted: int, kernel: int) -> tuple[nn.Module, nn.Module]:
    made = nn.Conv2d(channels, wanted, kernel, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    return made, nn.BatchNorm2d(wanted)
