"""Grad-CAM (Selvaraju et al., ICCV 2017).

| equation | here |
|---|---|
| a_k = mean over i, j of dy/dA_k(i, j) (1) | `weights` |
| map = ReLU(Σ_k a_k A_k) (2) | `maps` |

A are the trunk's maps on their own grid h × w, y is the logit. Nothing is scaled, unlike in the usual pictures, so
values compare between labels, eyes and visits. For a linear head on GAP the map is the positive part of the
CAM without its bias, divided by h·w; for other heads it may show places that did not move the score (Draelos and
Carin 2020), `hires_cam` does not.

The trunk runs once and without a graph; each label costs one backward pass through the head alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from eyeground.batches import Batch
from eyeground.explain import Target
from eyeground.explain.base import run


def maps(network: nn.Module, batch: Batch, labels: Sequence[int], target: Target) -> Tensor:
    """Grad-CAM of every label, float32 (B, E, labels, h, w), 0 and above, NaN where an eye is not seen.

    Raises:
        UsageError: see `explain.base.run`.
    """
    made = run(network, batch, target, "features")
    features = made.features()
    return torch.stack([weighed(features, weights(made.feature_gradients(label))) for label in labels], 2)


def weights(gradients: Tensor) -> Tensor:
    """(B, E, K, h, w) to a, (B, E, K)."""
    return gradients.mean((3, 4))


def weighed(features: Tensor, a: Tensor) -> Tensor:
    """ReLU(Σ_k a_k A_k), (B, E, h, w)."""
    return torch.einsum("bek,bekhw->behw", a, features).relu()
