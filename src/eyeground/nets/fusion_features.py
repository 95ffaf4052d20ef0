"""From two eyes' feature vectors to one visit's: named operators behind one interface, with a law for a missing eye.

An operator is an `nn.Module` made with the number of feature channels K. It takes features (B, 2, K) and `seen` bool
(B, 2), left eye first, and gives (B, `channels`). An eye that is not seen is never looked at: what stands there, NaN
too, reaches neither the output nor a gradient. Its fellow stands in for it, so that a visit with one eye answers as if
both eyes had this eye's features; only `concat` has a learned vector instead. A visit without any eye counts as zeros.

`symmetric` operators do not care which eye is the left one. Operators that need feature *maps* rather than vectors,
such as dilated convolutions over stacked maps or attention between the pixels of two eyes, are not here.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from eyeground.nets.eyes import stand_in


class FeatureFusion(nn.Module):
    """What all operators promise. Attributes: `channels` of the output; `symmetric`: blind to an exchange of eyes."""

    symmetric: ClassVar[bool] = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, features: Tensor, seen: Tensor) -> Tensor:
        """Fuses features (B, 2, K) of the `seen` (B, 2) eyes to (B, `channels`)."""
        left, right = stand_in(features, seen).unbind(1)
        return self.combine(left, right)

    def combine(self, left: Tensor, right: Tensor) -> Tensor:
        """The operator on left and right (B, K). One with its own way about a missing eye has a `forward` instead."""
        raise NotImplementedError(f"{type(self).__name__} has no combine")


class SumFeatures(FeatureFusion):
    """f_L + f_R; with one eye twice that eye."""

    def combine(self, left: Tensor, right: Tensor) -> Tensor:
        return left + right


class MeanFeatures(FeatureFusion):
    """(f_L + f_R) / 2; with one eye that eye. Under a linear head it differs from the sum in scale only."""

    def combine(self, left: Tensor, right: Tensor) -> Tensor:
        return left / 2 + right / 2


class MaxFeatures(FeatureFusion):
    """The larger eye in every channel; with one eye that eye."""

    def combine(self, left: Tensor, right: Tensor) -> Tensor:
        return torch.maximum(left, right)


class MinFeatures(FeatureFusion):
    """The smaller eye in every channel; with one eye that eye."""

    def combine(self, left: Tensor, right: Tensor) -> Tensor:
        return torch.minimum(left, right)


class ProductFeatures(FeatureFusion):
    """f_L · f_R in every channel; with one eye its square."""

    def combine(self, left: Tensor, right: Tensor) -> Tensor:
        return left * right


class DifferenceFeatures(FeatureFusion):
    """|f_L - f_R|; with one eye 0, so that its visit gets the head's bias, whatever the eye shows."""

    def combine(self, left: Tensor, right: Tensor) -> Tensor:
        return (left - right).abs()


class SignedDifferenceFeatures(FeatureFusion):
    """f_L - f_R, whose sign turns when the eyes are exchanged; with one eye 0, as in `DifferenceFeatures`."""

    symmetric = False

    def combine(self, left: Tensor, right: Tensor) -> Tensor:
        return left - right


class SumDifferenceFeatures(FeatureFusion):
    """[f_L + f_R, |f_L - f_R|]: what the eyes share beside how far they are apart; with one eye [2 f, 0]."""

    def __init__(self, channels: int) -> None:
        super().__init__(2 * channels)

    def combine(self, left: Tensor, right: Tensor) -> Tensor:
        return torch.cat([left + right, (left - right).abs()], dim=1)


class ConcatFeatures(FeatureFusion):
    """[f_L, f_R] side by side; a learned vector stands for an eye that is not there, one for each side."""

    symmetric = False

    def __init__(self, channels: int) -> None:
        super().__init__(2 * channels)
        self.missing = nn.Parameter(torch.zeros(2, channels))

    def forward(self, features: Tensor, seen: Tensor) -> Tensor:
        return torch.where(seen[..., None], features, self.missing).flatten(1)


class BilinearFeatures(FeatureFusion):
    """(U f_L) · (V f_R), U and V of shape (R, K): R learned bilinear forms of rank one, R = 256 but at most K.

    The full outer product f_L f_Rᵀ has K² entries, four million for a ResNet-50. With a linear head on top, every label
    reads a bilinear form f_Lᵀ M f_R with M of rank R or less (low-rank bilinear pooling; Kim et al., ICLR 2017, there
    with tanh and a projection). With one eye (U f) · (V f).
    """

    symmetric = False
    rank: ClassVar[int] = 256

    def __init__(self, channels: int) -> None:
        super().__init__(min(self.rank, channels))
        self.left = nn.Linear(channels, self.channels, bias=False)
        self.right = nn.Linear(channels, self.channels, bias=False)

    def combine(self, left: Tensor, right: Tensor) -> Tensor:
        return self.left(left) * self.right(right)


class GatedFeatures(FeatureFusion):
    """g · f_L + (1 - g) · f_R with g = sigmoid(W [f_L, f_R] + b), a gate for every channel; with one eye that eye.

    W has shape (K, 2 K): it may trust the sides differently, so an exchange of eyes changes the answer.
    """

    symmetric = False

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.gate = nn.Linear(2 * channels, channels)

    def combine(self, left: Tensor, right: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate(torch.cat([left, right], dim=1)))
        return gate * left + (1 - gate) * right


class AttentionFeatures(FeatureFusion):
    """Σ a_e f_e, a = softmax over the seen eyes of the score w · f_e, one w for both sides; with one eye that eye."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.score = nn.Linear(channels, 1, bias=False)

    def forward(self, features: Tensor, seen: Tensor) -> Tensor:
        kept = torch.where(seen[..., None], features, 0.0)
        return (self.weights(features, seen)[..., None] * kept).sum(1)

    def weights(self, features: Tensor, seen: Tensor) -> Tensor:
        """How much each eye counts, (B, 2), summing to 1; 0 and 1 where one eye is seen, halves where none is."""
        score = self.score(torch.where(seen[..., None], features, 0.0))[..., 0]  # (B, 2)
        return torch.softmax(score.masked_fill(~seen, torch.finfo(score.dtype).min), dim=1)


FEATURE_FUSIONS: dict[str, type[FeatureFusion]] = {
    "sum": SumFeatures,
    "product": ProductFeatures,
    "concat": ConcatFeatures,
    "feature_mean": MeanFeatures,
    "feature_max": MaxFeatures,
    "feature_min": MinFeatures,
    "difference": DifferenceFeatures,
    "signed_difference": SignedDifferenceFeatures,
    "sum_difference": SumDifferenceFeatures,
    "bilinear": BilinearFeatures,
    "gated": GatedFeatures,
    "attention": AttentionFeatures,
}
"""Name to operator. No name is also that of a fusion of logits (`fusion.LOGIT_FUSIONS`)."""
