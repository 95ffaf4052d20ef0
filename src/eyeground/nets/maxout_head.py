"""RMS-pool, maxout and the dense layers of team o_O's nets (Kaggle diabetic retinopathy 2015, layers 19 to 26)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAK = 0.01
BIAS = 0.05


def rms_pool(values: Tensor, side: int, stride: int) -> Tensor:
    """Root of the mean square in windows: sqrt(average_pool(x²) + 1e-12). (n, K, h, w) to (n, K, h', w')."""
    return torch.sqrt(F.avg_pool2d(values.square(), side, stride) + 1e-12)


def maxout(values: Tensor) -> Tensor:
    """The larger of every two neighbouring units (Goodfellow et al., ICML 2013): (..., 2 K) to (..., K)."""
    return values.unflatten(-1, (-1, 2)).amax(-1)


class MaxoutHead(nn.Module):
    """Twice dropout, a dense layer with leaky ReLU and maxout over pairs; then a linear layer: (n, inputs) to
    (n, outputs).

    Args:
        units: of each dense layer before maxout (published: 1024).
    """

    def __init__(self, inputs: int, units: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, units), nn.Linear(units // 2, units)
        self.last = nn.Linear(units // 2, outputs)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.first, self.second, self.last):
            nn.init.orthogonal_(layer.weight)
            nn.init.constant_(layer.bias, BIAS)

    def forward(self, values: Tensor) -> Tensor:
        for layer in (self.first, self.second):
            values = maxout(F.leaky_relu(layer(self.dropout(values)), LEAK))
        logits: Tensor = self.last(values)
        return logits
