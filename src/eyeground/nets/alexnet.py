"""AlexNet's convolutions and dense layers, with the sizes of Krizhevsky, "One weird trick for parallelizing
convolutional neural networks", arXiv 1404.5997, 2014: the variant that torchvision has.

11/4-64, pool, 5-192, pool, 3-384, 3-256, 3-256, pool; then mean values on a grid of 6 × 6 and two dense layers of 4096.
Every max-pool has filter 3 and stride 2. Weights are drawn after He et al., ICCV 2015, biases are 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from eyeground.errors import UsageError
from eyeground.nets.watched import WatchedTrunk

GRID = 6


class Row(NamedTuple):
    """A convolution: channels per channel of the first one's 64, filter, stride, padding, whether a pool follows."""

    units: float
    side: int
    stride: int
    padding: int
    pooled: bool


ROWS = (
    Row(1, 11, 4, 2, True),
    Row(3, 5, 1, 2, True),
    Row(6, 3, 1, 1, False),
    Row(4, 3, 1, 1, False),
    Row(4, 3, 1, 1, True),
)


class AlexNetTrunk(WatchedTrunk):
    """(n, 3, H, W) RGB in [0, 1] -> the last pool's map (n, K, h, w). Layer 1 is the picture, i + 1 convolution i."""

    def __init__(self, size: int, width: int, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__(mean, std)
        if size < 63:
            raise UsageError(f"AlexNet's strides leave nothing of a picture of {size} px; raise --size to 63 or more")
        channels = 3
        for number, row in enumerate(ROWS, start=1):
            wanted = int(row.units * 2 * width)
            conv = nn.Conv2d(channels, wanted, row.side, row.stride, row.padding)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            assert conv.bias is not None
            nn.init.zeros_(conv.bias)
            self.add_module(f"conv{number}", conv)
            channels = wanted
        self.channels = channels
        self.feeding = (1, *(number + 1 for number, row in enumerate(ROWS, start=1) if row.pooled))

    def forward(self, pixels: Tensor) -> Tensor:
        values = self.watch(1, (pixels - self.mean) / self.std)
        for number, row in enumerate(ROWS, start=1):
            values = self.watch(number + 1, F.relu(self.get_submodule(f"conv{number}")(values)))
            if row.pooled:
                values = F.max_pool2d(values, 3, 2)
        return values

    def adopt(self, theirs: Mapping[str, Tensor]) -> str | None:
        """Takes over another AlexNet's convolutions; returns the first name that does not fit, else None."""
        ours = self.state_dict()
        for key in (*ours, *theirs):
            if key not in ours or key not in theirs or ours[key].shape != theirs[key].shape:
                return key
        other = self.other_pixels(theirs)
        if other is not None:
            return other
        self.load_state_dict(dict(theirs))
        return None


class AlexNetHead(nn.Module):
    """(n, K, h, w) to (n, outputs): means on a grid of 6 × 6, two dense layers with ReLU and dropout, a linear one."""

    def __init__(self, channels: int, units: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(channels * GRID**2, units), nn.Linear(units, units)
        self.last = nn.Linear(units, outputs)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.first, self.second, self.last):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, maps: Tensor) -> Tensor:
        values = F.adaptive_avg_pool2d(maps, GRID).flatten(1)
        for layer in (self.first, self.second):
            values = F.relu(layer(self.dropout(values)))
        logits: Tensor = self.last(values)
        return logits
