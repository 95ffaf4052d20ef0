"""Global average pooling: every element counts the same (Lin et al., ICLR 2014, "Network in network"; Zhou et al.,
CVPR 2016, "Learning deep features for discriminative localization")."""

from __future__ import annotations

from torch import Tensor

from eyeground.nets.pooling.base import Pooling


class AveragePooling(Pooling):
    """z = mean e, the map is e."""

    promise = "Each map explains its eye's score exactly: its mean is the eye's logit."
    exact = True
    uniform = True

    def forward(self, evidence: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        return evidence.mean((2, 3)), evidence
