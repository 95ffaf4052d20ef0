"""The discriminative kernel convolution (DKC) block of Bhati et al. (2023): a feature map in, one of its shape out.

Channel shuffle, three 2 x 2 convolutions of different dilation, element-wise products with the map they read, dropout,
squeeze-excitation. The block's own choices are `DkcChoices`; which of them the paper states, `methods/dkcnet.py` tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eyeground.errors import UsageError

DILATIONS = (2, 3, 4)


@dataclass(frozen=True)
class DkcChoices:
    """What the block is made of."""

    product: Literal["separate", "chained"] = "separate"
    r_source: Literal["shuffled", "trunk"] = "shuffled"
    dconv: Literal["dense", "depthwise"] = "dense"
    groups: int = 8
    se_ratio: int = 16
    dropout: float = 0.3


def channel_shuffle(features: Tensor, groups: int) -> Tensor:
    """Channel g·n + j of (B, K, h, w) goes to place j·groups + g, with n = K / groups (Zhang et al., CVPR 2018)."""
    return features.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)


class DilatedBranch(nn.Module):
    """A 2 x 2 convolution with dilation d, batch normalisation, ReLU: (B, K, h, w) to (B, K, h, w).

    The kernel spans d + 1 pixels, so d rows and columns of zeros keep h x w: floor(d/2) before, ceil(d/2) after.
    """

    def __init__(self, channels: int, dilation: int, depthwise: bool) -> None:
        super().__init__()
        before, after = dilation // 2, dilation - dilation // 2
        self.padding = (before, after, before, after)
        parts = channels if depthwise else 1
        self.conv = nn.Conv2d(channels, channels, kernel_size=2, dilation=dilation, groups=parts, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(F.pad(features, self.padding))))


class SqueezeExcitation(nn.Module):
    """x · sigmoid(W2 ReLU(W1 GAP(x))), one weight per channel (Hu et al., CVPR 2018)."""

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, max(1, channels // ratio))
        self.excite = nn.Linear(self.squeeze.out_features, channels)

    def forward(self, features: Tensor) -> Tensor:
        weight = torch.sigmoid(self.excite(F.relu(self.squeeze(features.mean((2, 3))))))  # (B, K)
        return features * weight[..., None, None]


class DkcBlock(nn.Module):
    """The whole block: (B, K, h, w) to (B, K, h, w).

    With R the map that is multiplied and P_d the branches over the shuffled map: R·P_2 + R·P_3 + R·P_4 (separate) or
    R·P_2·P_3·P_4 (chained).

    Raises:
        UsageError: `groups` does not divide the channels; the sentence names the divisors next to it.
    """

    def __init__(self, channels: int, choices: DkcChoices) -> None:
        super().__init__()
        require_divisor(channels, choices.groups)
        self.choices = choices
        depthwise = choices.dconv == "depthwise"
        self.branches = nn.ModuleList(DilatedBranch(channels, dilation, depthwise) for dilation in DILATIONS)
        self.dropout = nn.Dropout(choices.dropout)
        self.excitation = SqueezeExcitation(channels, choices.se_ratio)

    def forward(self, features: Tensor) -> Tensor:
        shuffled = channel_shuffle(features, self.choices.groups)
        source = shuffled if self.choices.r_source == "shuffled" else features
        two, three, four = (branch(shuffled) for branch in self.branches)
        kernel = two + three + four if self.choices.product == "separate" else two * three * four
        scaled: Tensor = self.excitation(self.dropout(source * kernel))
        return scaled


def require_divisor(channels: int, groups: int) -> None:
    """Raises `UsageError`, with the nearest divisors, when `groups` does not divide `channels`."""
    if groups >= 1 and channels % groups == 0:
        return
    divisors = [number for number in range(1, channels + 1) if channels % number == 0]
    below = max((one for one in divisors if one < groups), default=None)
    above = min((one for one in divisors if one > groups), default=None)
    near = " or ".join(str(one) for one in (below, above) if one is not None)
    raise UsageError(f"--groups {groups} does not divide the trunk's {channels} channels; take {near}")
