"""Mean of the k strongest elements (Durand et al., CVPR 2016, "WELDON", eq. 3, without its negative instances)."""

from __future__ import annotations

from torch import Tensor

from eyeground.nets.pooling.base import Pooling


class TopK(Pooling):
    """z = mean of the k largest e, the map is e. k = part · elements, rounded, at least 1."""

    promise = "Each map explains its eye's score exactly: the eye's logit is the mean of the map's largest values."
    exact = False
    uniform = False

    def forward(self, evidence: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        flat = evidence.flatten(2)
        k = max(1, round(self.options.part * flat.shape[2]))
        return flat.topk(k, dim=2).values.mean(2), evidence
