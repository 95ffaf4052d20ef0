"""One softmax over labels of which several may be present: cross-entropy with a multi-hot target that sums to 1."""

from __future__ import annotations

import torch
from torch import Tensor

from eyeground.losses.masked import mean_known


def softmax_cross_entropy(logits: Tensor, labels: Tensor, known: Tensor, weight: Tensor | None = None) -> Tensor:
    """-Σ_c t_c log softmax(logits)_c with t = y / Σ y, over the known cells of a row; mean over the rows.

    The softmax runs over the known labels alone, so that an unknown one has no part in value or gradient. A row of
    which no known label is present has no target and is left out. With two labels present the least possible value is
    log 2, not 0.

    Args:
        logits: float (..., C), of a softmax: a constant may be added to a row.
        labels, known: (..., C).
        weight: float (B,), the weight of a visit (`Batch.weight`); None is 1.
    """
    present = torch.where(known, labels, 0.0)
    count = present.sum(-1)  # (...)
    among = logits.masked_fill(~known, -torch.inf)
    has = count > 0  # a row without any known cell would be all -inf: nan even in an unused gradient
    log_p = torch.log_softmax(torch.where(has[..., None], among, 0.0), -1)
    target = present / count.clamp(min=1)[..., None]
    values = -(target * torch.where(target > 0, log_p, 0.0)).sum(-1)
    return mean_known(values, has, weight)


def sigmoid_logits(logits: Tensor) -> Tensor:
    """What sigmoid has to be given for the probabilities of a softmax: log p_c / (1 - p_c) = z_c - log Σ_{j≠c} e^{z_j}.

    `logits` (..., C) of two labels or more; the result has the same shape.
    """
    itself = torch.eye(logits.shape[-1], dtype=torch.bool, device=logits.device)
    apart = logits[..., None, :].masked_fill(itself, -torch.inf)  # (..., C, C): the row of c without c
    return logits - torch.logsumexp(apart, -1)
