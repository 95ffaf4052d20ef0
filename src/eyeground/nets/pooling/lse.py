"""Log-sum-exp pooling, between mean and maximum (Pinheiro & Collobert, CVPR 2015, "From image-level to pixel-level
labeling with convolutional networks", eq. 2; Boyd & Vandenberghe, "Convex optimization", 3.1.5)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from eyeground.nets.pooling.base import Pooling, PoolingOptions


def log_mean_exp(values: Tensor, gamma: Tensor | float) -> Tensor:
    """(1/γ) log mean exp(γ v) over the last two axes, for γ > 0.

    Args:
        values: (n, C, h, w). gamma: one number, or (C,).

    Returns:
        (n, C). As max + (1/γ) log(1 + mean(exp(γ (v - max)) - 1)): nothing overflows, and a small γ keeps its digits.
    """
    if isinstance(gamma, Tensor):
        gamma = gamma.view(-1, 1, 1)
    top = values.detach().amax((2, 3), keepdim=True)
    found = top + torch.log1p(torch.expm1(gamma * (values - top)).mean((2, 3), keepdim=True)) / gamma
    return found[:, :, 0, 0]


class LogSumExp(Pooling):
    """z = (1/γ) log mean exp(γ e), the map is e. γ -> 0 is the mean, γ -> ∞ the maximum.

    With `learned` γ is exp of a learned number of each label, and starts from the given one.
    """

    promise = (
        "Each map explains its eye's score exactly: the eye's logit is the smooth maximum (log-mean-exp) of the map."
    )
    exact = False
    uniform = False

    def __init__(self, options: PoolingOptions) -> None:
        super().__init__(options)
        start = torch.full((options.labels,), math.log(options.gamma))
        self.log_gamma = nn.Parameter(start) if options.learned else None

    def forward(self, evidence: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        gamma = self.options.gamma if self.log_gamma is None else self.log_gamma.exp()
        return log_mean_exp(evidence, gamma), evidence
