"""From two eyes to one visit: named operators over eye logits or eye features, with eyes that are not there left out.

Every operator takes `seen` bool (n, E) and never looks at an eye that is not seen.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LogitFusion = Callable[[Tensor, Tensor, Tensor], Tensor]


def mean_logits(logits: Tensor, seen: Tensor, every: Tensor) -> Tensor:
    """Mean over the seen eyes. logits (B, E, C), seen (B, E), every bool (C,): unused here. Returns (B, C)."""
    weight = seen[..., None].to(logits.dtype)
    return (torch.where(seen[..., None], logits, 0.0) * weight).sum(1) / weight.sum(1).clamp(min=1)


def max_logits(logits: Tensor, seen: Tensor, every: Tensor) -> Tensor:
    """The worse eye decides: maximum over the seen eyes; for labels that need `every` eye (Normal) the minimum."""
    low = torch.where(seen[..., None], logits, -torch.inf).amax(1)
    high = torch.where(seen[..., None], logits, torch.inf).amin(1)
    return torch.where(every, high, low)


def noisy_or_logits(logits: Tensor, seen: Tensor, every: Tensor) -> Tensor:
    """Present if present in any eye, eyes independent: p = 1 - Π(1 - p_e); with `every` p = Π p_e. In log space."""
    sign = torch.where(every, -1.0, 1.0)
    log_none = torch.where(seen[..., None], F.logsigmoid(-sign * logits), 0.0).sum(1).clamp(max=-1e-12)
    return sign * (torch.log(-torch.expm1(log_none)) - log_none)


LOGIT_FUSIONS: dict[str, LogitFusion] = {"mean": mean_logits, "max": max_logits, "noisy_or": noisy_or_logits}


class SumFeatures(nn.Module):
    """Sum of the two feature vectors; with one eye twice that eye. (B, E, K) -> (B, K)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, features: Tensor, seen: Tensor) -> Tensor:
        kept = torch.where(seen[..., None], features, 0.0)
        return kept.sum(1) * (2 / seen.sum(1, keepdim=True).clamp(min=1))


class ProductFeatures(nn.Module):
    """Element-wise product of the two feature vectors; with one eye its square. (B, E, K) -> (B, K)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, features: Tensor, seen: Tensor) -> Tensor:
        other = torch.where(seen[..., None], features, features.flip(1))
        return other[:, 0] * other[:, 1]


class ConcatFeatures(nn.Module):
    """Left and right side by side; a learned vector stands for an eye that is not there. (B, E, K) -> (B, 2 K)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = 2 * channels
        self.missing = nn.Parameter(torch.zeros(2, channels))

    def forward(self, features: Tensor, seen: Tensor) -> Tensor:
        return torch.where(seen[..., None], features, self.missing).flatten(1)


FEATURE_FUSIONS: dict[str, type[SumFeatures] | type[ProductFeatures] | type[ConcatFeatures]] = {
    "sum": SumFeatures,
    "product": ProductFeatures,
    "concat": ConcatFeatures,
}
