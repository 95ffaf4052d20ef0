"""From two eyes' logits to one visit's: named operators; `fusion_features` has those over features.

Every operator takes `seen` bool (B, E) and never looks at an eye that is not seen.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

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
