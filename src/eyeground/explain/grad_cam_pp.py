"""Grad-CAM++ (Chattopadhay et al., WACV 2018).

| equation | here |
|---|---|
| α_k(i, j) = g² / (2 g² + g³ Σ_ab A_k(a, b)), g = dy/dA_k(i, j) (19) | `weights` |
| w_k = Σ_ij α_k(i, j) ReLU(g) (8) | `weights` |
| map = ReLU(Σ_k w_k A_k) | `explain.grad_cam.weighed` |

α is computed as 1 / (2 + g Σ A), which is the same where g is not 0 and needs no small number against a division by
zero; where 2 + g Σ A is 0 α is 1, where g is 0 it is 0. The paper's y is exp(logit); its factor exp(logit) in front of
every weight scales a whole map and is left out, so that values compare. Unit: logits, up to that factor.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from eyeground.batches import Batch
from eyeground.explain import Target
from eyeground.explain.base import run
from eyeground.explain.grad_cam import weighed


def maps(network: nn.Module, batch: Batch, labels: Sequence[int], target: Target) -> Tensor:
    """Grad-CAM++ of every label, float32 (B, E, labels, h, w), 0 and above, NaN where an eye is not seen.

    Raises:
        UsageError: see `explain.base.run`.
    """
    made = run(network, batch, target, "features")
    features = made.features()
    return torch.stack([weighed(features, weights(features, made.feature_gradients(label))) for label in labels], 2)


def weights(features: Tensor, gradients: Tensor) -> Tensor:
    """A and g, both (B, E, K, h, w), to w (B, E, K)."""
    below = 2 + gradients * features.sum((3, 4), keepdim=True)
    alpha = torch.where(below == 0, 1.0, 1 / below)
    return (alpha * gradients.relu()).sum((3, 4))
