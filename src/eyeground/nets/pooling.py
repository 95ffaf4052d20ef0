"""From an evidence map to one logit per label."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn


class MapPooling(nn.Module):
    """(n, C, h, w) logits per place -> (n, C) logits per eye.

    `mean` is global average pooling. `lse` is log-sum-exp, (1/r) log mean exp(r e), a soft maximum with sharpness r
    (Pinheiro & Collobert, "From image-level to pixel-level labeling with convolutional networks", CVPR 2015, eq. 6):
    the mean for r → 0, the maximum for r → ∞, so that one small lesion is not averaged away.
    """

    def __init__(self, kind: Literal["mean", "lse"], sharpness: float) -> None:
        super().__init__()
        self.kind, self.sharpness = kind, sharpness

    def forward(self, maps: Tensor) -> Tensor:
        if self.kind == "mean":
            return maps.mean((2, 3))
        places = maps.shape[2] * maps.shape[3]
        return (torch.logsumexp(self.sharpness * maps, (2, 3)) - math.log(places)) / self.sharpness
