"""HiResCAM (Draelos and Carin 2020, arXiv 2011.08891): map = Σ_k dy/dA_k ⊙ A_k, place by place.

Signed: the usual picture is its positive part. Where the logit is affine in the trunk's maps A, as with a linear head
on GAP or on the flattened maps, the eye's map (for a visit's logit both eyes' maps) adds up to the logit less its bias,
and with GAP h·w times the map is the CAM less the bias. Unit: logits per element. One backward pass through the head
per label.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from eyeground.batches import Batch
from eyeground.explain import Target
from eyeground.explain.base import run


def maps(network: nn.Module, batch: Batch, labels: Sequence[int], target: Target) -> Tensor:
    """HiResCAM of every label, float32 (B, E, labels, h, w), signed, NaN where an eye is not seen.

    Raises:
        UsageError: see `explain.base.run`.
    """
    made = run(network, batch, target, "features")
    features = made.features()
    return torch.stack([(features * made.feature_gradients(label)).sum(2) for label in labels], 2)
