"""Losses over labels of which some are unknown: a cell that is not known has no part in value or gradient."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from eyeground.errors import UsageError


def mean_known(values: Tensor, known: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean of `values` over the cells that are `known` (same shape); 0 with a zero gradient when there are none.

    Args:
        weight: float (B,), how much the cells of each first-axis row count; None is 1 each. All 0 gives 0.
    """
    if weight is None:
        return torch.where(known, values, 0.0).sum() / known.sum().clamp(min=1)
    counted = known * weight.reshape(-1, *[1] * (known.dim() - 1))
    total = counted.sum()
    return (torch.where(known, values, 0.0) * counted).sum() / torch.where(total > 0, total, 1.0)


def require_eye_labels(known: Tensor) -> None:
    """Raises `UsageError` where no eye of the training part has a known label: a method of eyes would learn nothing.

    Args:
        known: bool (n, C), what is known of the training eyes' labels.
    """
    if not known.any():
        raise UsageError("no eye of the training part has a known label; give it its visit's: --eye-labels visit")


def binary_cross_entropy(
    logits: Tensor, labels: Tensor, known: Tensor, pos_weight: Tensor | None = None, weight: Tensor | None = None
) -> Tensor:
    """Masked binary cross-entropy.

    Args:
        logits, labels: float (..., C); known: bool (..., C).
        pos_weight: float (C,), the weight of a present label; None is 1.
        weight: float (B,), the weight of a visit (`Batch.weight`); None is 1.
    """
    safe = torch.where(known, logits, 0.0)
    values = F.binary_cross_entropy_with_logits(safe, labels, reduction="none", pos_weight=pos_weight)
    return mean_known(values, known, weight)


def asymmetric(
    logits: Tensor,
    labels: Tensor,
    known: Tensor,
    weight: Tensor | None = None,
    negative: float = 4.0,
    positive: float = 0.0,
    margin: float = 0.05,
) -> Tensor:
    """Masked asymmetric loss (Ben-Baruch et al., ICCV 2021, "Asymmetric Loss for Multi-Label Classification", eq. 7).

    Args:
        logits, labels: float (..., C); known: bool (..., C).
        weight: float (B,), the weight of a visit (`Batch.weight`); None is 1.
        negative, positive: focusing exponents of absent and present labels; margin: probability shift of absent ones.

    With both exponents and the margin 0 it is binary cross-entropy.
    """
    safe = torch.where(known, logits, 0.0)
    p = torch.sigmoid(safe)
    shifted = (p - margin).clamp(min=0)
    present = labels * (1 - p) ** positive * F.logsigmoid(safe)
    log_absent = F.logsigmoid(-safe) if margin == 0 else torch.log((1 - shifted).clamp(min=1e-8))
    absent = (1 - labels) * shifted**negative * log_absent
    return mean_known(-(present + absent), known, weight)
