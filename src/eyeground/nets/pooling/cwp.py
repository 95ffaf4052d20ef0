"""Confidence-weighted pooling: the network says of each element how far it can be believed (Hu, Wang & Lin, CVPR 2017,
"FC4: fully convolutional color constancy with confidence-weighted pooling", eq. 4).

Ours: confidences are softplus of a linear map of the features, one map for all labels, and start out equal.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from eyeground.nets.pooling.base import Pooling, PoolingOptions, contributions


class ConfidenceWeighted(Pooling):
    """z_c = Σ w e_c, w = s / Σ s, s = softplus(u · F + v) > 0. The maps are contributions."""

    promise = (
        "Each map adds up to its eye's score: its mean is the eye's logit. It shows evidence times the confidence that "
        "the network gives each place, the same for all labels."
    )
    exact = True
    uniform = True

    def __init__(self, options: PoolingOptions) -> None:
        super().__init__(options)
        self.confidence = nn.Conv2d(options.channels, 1, kernel_size=1)
        nn.init.zeros_(self.confidence.weight)
        nn.init.zeros_(self.confidence.bias)  # type: ignore[arg-type]

    def forward(self, evidence: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        return contributions(evidence, self.weights(features))

    def weights(self, features: Tensor) -> Tensor:
        """(n, 1, h, w), positive, adding up to 1."""
        confidence = F.softplus(self.confidence(features).float()).clamp(min=1e-6)
        return confidence / confidence.sum((2, 3), keepdim=True)
