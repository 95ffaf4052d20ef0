"""Integrated gradients (Sundararajan et al., ICML 2017) from a black picture, summed over the channels.

    map(i, j) = Σ_c x_c(i, j) ∫₀¹ dy/dx_c (a x) da,

by Gauss-Legendre quadrature with `STEPS` nodes. Signed. Completeness: the eye's map (for a visit's logit both eyes'
maps) adds up to y(x) - y(black), as far as the quadrature is exact. Black is what surrounds the field of view, not a
healthy eye: the map says what made the score differ from that of no picture. Unit: logits per pixel.
Costs STEPS passes and STEPS backward passes per label; memory that of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from eyeground.batches import Batch
from eyeground.explain import Target
from eyeground.explain.base import run

STEPS = 32


def maps(network: nn.Module, batch: Batch, labels: Sequence[int], target: Target, steps: int | None = None) -> Tensor:
    """Integrated gradients of every label, float32 (B, E, labels, H, W), signed, NaN where an eye is not seen.

    Raises:
        UsageError: a network whose first step passes no gradient, such as histogram equalisation.
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps or STEPS)
    size = (*batch.fundus.shape[:2], len(labels), *batch.fundus.shape[3:])
    total = torch.zeros(size, device=batch.fundus.device)
    apart: bool | None = None
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        made = run(network, replace(batch, fundus=batch.fundus * float(node)), target, "pixels", apart)
        apart = made.apart
        for number, label in enumerate(labels):
            total[:, :, number] += float(weight) * (made.pixel_gradients(label) * batch.fundus).sum(2)
    return total
