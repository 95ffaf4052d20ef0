"""Global maximum pooling: one element decides (Oquab et al., CVPR 2015, "Is object localization for free?")."""

from __future__ import annotations

from torch import Tensor

from eyeground.nets.pooling.base import Pooling


class MaximumPooling(Pooling):
    """z = max e, the map is e. Elements that share the maximum share its gradient."""

    promise = "Each map explains its eye's score exactly: its largest value is the eye's logit."
    exact = False
    uniform = False

    def forward(self, evidence: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        return evidence.amax((2, 3)), evidence
