"""The convolutions of nets A and B, which deep image mining trains (Quellec et al., MedIA 39:178-193, 2017).

The nets are team o_O's of the Kaggle contest on diabetic retinopathy, 2015 (public code: sveitser/kaggle_diabetic).
Layers keep the numbers of their table, also in the weights' names (`conv2`, `conv3`, ...), so that a deeper net finds
by name what a shallower one has learnt. A leaky ReLU of 0.01 follows every convolution.

| layer | units | net A, filter/stride | net B, filter/stride (padding) |
|---|---|---|---|
| 2, 3 | 32 | 5/2, 3 | 4/2 (1), 4 (2) |
| 4 | | max-pool 3/2 | max-pool 3/2 |
| 5, 6, 7 | 64 | 5/2, 3, 3 | 4/2 (1), 4 (2), 4 (1) |
| 8 | | max-pool 3/2 | max-pool 3/2 |
| 9, 10, 11 | 128 | 3, 3, 3 | 4 (2), 4 (1), 4 (2) |
| 12 | | max-pool 3/2 | max-pool 3/2 |
| 13, 14, 15 | 256 | 3, 3, 3 | 4 (2), 4 (1), 4 (2) |
| 16 | | max-pool 3/2 | max-pool 3/2 |
| 17, 18 | 512 | 3, 3 | 4 (1), none |

Odd filters are padded by half their side, pools are not padded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eyeground.errors import UsageError
from eyeground.nets.watched import WatchedTrunk

LEAK = 0.01
BIAS = 0.05
WIDTH = 32
"""Channels of the first layer as published."""


@dataclass(frozen=True)
class Layer:
    """A row of the table. `units` are channels per channel of the first layer; 0 is a max-pool."""

    number: int
    units: int
    side: int
    stride: int = 1
    padding: int = 0

    @property
    def name(self) -> str:
        return f"conv{self.number}" if self.units else f"pool{self.number}"

    def after(self, size: int) -> int:
        """Side of the map after this layer."""
        return (size + 2 * self.padding - self.side) // self.stride + 1


def _pool(number: int) -> Layer:
    return Layer(number, 0, 3, 2)


NETS: dict[str, tuple[Layer, ...]] = {
    "a": (
        Layer(2, 1, 5, 2, 2),
        Layer(3, 1, 3, 1, 1),
        _pool(4),
        Layer(5, 2, 5, 2, 2),
        *(Layer(number, 2, 3, 1, 1) for number in (6, 7)),
        _pool(8),
        *(Layer(number, 4, 3, 1, 1) for number in (9, 10, 11)),
        _pool(12),
        *(Layer(number, 8, 3, 1, 1) for number in (13, 14, 15)),
        _pool(16),
        *(Layer(number, 16, 3, 1, 1) for number in (17, 18)),
    ),
    "b": (
        Layer(2, 1, 4, 2, 1),
        Layer(3, 1, 4, 1, 2),
        _pool(4),
        Layer(5, 2, 4, 2, 1),
        Layer(6, 2, 4, 1, 2),
        Layer(7, 2, 4, 1, 1),
        _pool(8),
        *(Layer(number, 4, 4, 1, padding) for number, padding in ((9, 2), (10, 1), (11, 2))),
        _pool(12),
        *(Layer(number, 8, 4, 1, padding) for number, padding in ((13, 2), (14, 1), (15, 2))),
        _pool(16),
        Layer(17, 16, 4, 1, 1),
    ),
}
RMS_STRIDE = {"a": 3, "b": 2}
"""Layer 19, the RMS-pool: filter 3, with this stride."""
STAGES = {112: 11, 224: 15, 448: 18}
"""Progressive growth: side of the picture, and the last convolution of the net that is trained on it."""


def last_layer(size: int) -> int:
    """The last convolution for pictures of `size` pixels: that of the published stage nearest in ratio."""
    return next((last for side, last in STAGES.items() if size < side * 2**0.5), STAGES[448])


def sizes(net: Literal["a", "b"], size: int, last: int) -> dict[int, int]:
    """Side of the map after every layer up to `last`, and after the RMS-pool, which is layer 19; layer 1 is the input.

    Raises:
        UsageError: a picture so small that a layer has nothing left to look at.
    """
    found = {1: size}
    for layer in NETS[net]:
        if layer.number <= last:
            size = layer.after(size)
            found[layer.number] = size
    found[19] = (size - 3) // RMS_STRIDE[net] + 1
    if min(found.values()) < 1:
        raise UsageError(
            f"net {net} up to layer {last} has nothing left of a picture of {found[1]} px; raise --size (published: "
            "448 with all layers, 224 with --last-layer 15, 112 with --last-layer 11)"
        )
    return found


class UntiedBias(nn.Module):
    """A bias for every place of a map (K, h, w), kept flat: it is no weight that decay should reach."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.shape = (channels, size, size)
        self.bias = nn.Parameter(torch.full((channels * size * size,), BIAS))

    def forward(self, maps: Tensor) -> Tensor:
        if maps.shape[-1] != self.shape[-1]:
            raise UsageError(
                "a net with a bias for every place takes pictures of one size; leave --start-size out, or "
                "use --no-untied-bias"
            )
        return maps + self.bias.view(self.shape)


class MiningTrunk(WatchedTrunk):
    """(n, 3, H, W) RGB in [0, 1] -> the last convolution's map (n, K, h, w), before the RMS-pool.

    `channels` is K.
    """

    def __init__(
        self,
        net: Literal["a", "b"],
        size: int,
        last: int,
        width: int = WIDTH,
        untied: bool = False,
        mean: tuple[float, ...] = (0.5, 0.5, 0.5),
        std: tuple[float, ...] = (0.5, 0.5, 0.5),
    ) -> None:
        super().__init__(mean, std)
        self.rows = tuple(layer for layer in NETS[net] if layer.number <= last)
        sides, channels = sizes(net, size, last), 3
        for row in self.rows:
            if row.units:
                wanted = row.units * width
                conv = nn.Conv2d(channels, wanted, row.side, row.stride, row.padding, bias=not untied)
                nn.init.orthogonal_(conv.weight)
                if conv.bias is not None:
                    nn.init.constant_(conv.bias, BIAS)
                self.add_module(row.name, conv)
                if untied:
                    self.add_module(f"untied{row.number}", UntiedBias(wanted, sides[row.number]))
                channels = wanted
        self.channels, self.untied = channels, untied
        feeds = [1, *(row.number for row in self.rows)]
        self.feeding = tuple(before for before, row in zip(feeds, self.rows, strict=False) if row.stride > 1)
        self.feeding += (feeds[-1],)  # the RMS-pool follows

    def forward(self, pixels: Tensor) -> Tensor:
        values = self.watch(1, (pixels - self.mean) / self.std)
        for row in self.rows:
            if row.units:
                values = self.get_submodule(row.name)(values)
                if self.untied:
                    values = self.get_submodule(f"untied{row.number}")(values)
                values = F.leaky_relu(values, LEAK)
            else:
                values = F.max_pool2d(values, row.side, row.stride)
            values = self.watch(row.number, values)
        return values

    def adopt(self, theirs: Mapping[str, Tensor]) -> str | None:
        """Takes over a shallower or equal net's layers by name; later ones stay as they are, and so do biases of
        places, which belong to one picture size.

        Args:
            theirs: the other trunk's state. Its mean and deviation of pixels must be these: its filters know no other.

        Returns:
            the first name that does not fit, after which nothing was changed; None when all is taken over.
        """
        ours = self.state_dict()
        wanted = {key: value for key, value in theirs.items() if not key.startswith("untied")}
        for key, value in wanted.items():
            if key not in ours or ours[key].shape != value.shape:
                return key
        other = self.other_pixels(theirs)
        if other is not None:
            return other
        whole = ("conv2.weight", "conv11.weight")
        if not wanted or any(key in ours and key not in theirs for key in whole):
            return whole[0]
        fitting = {key: value for key, value in theirs.items() if key in ours and ours[key].shape == value.shape}
        self.load_state_dict(fitting, strict=False)
        return None
