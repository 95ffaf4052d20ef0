"""Ablation-CAM (Desai and Ramaswamy, WACV 2020): map = ReLU(Σ_k (y - y_k) A_k), y_k the logit with A_k set to 0.

No gradients. The paper divides the drop by y, which scales a whole map and turns it over where the logit is negative;
here the drop stays in logits, so values compare. Unit: logits times activation. The trunk runs once; the head runs once
per channel for all labels, and once more per channel for the second eye where eyes have a part in each other's score.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from eyeground.batches import Batch
from eyeground.explain import Target
from eyeground.explain.base import rerun, run, taken_apart
from eyeground.explain.grad_cam import weighed


def maps(network: nn.Module, batch: Batch, labels: Sequence[int], target: Target) -> Tensor:
    """Ablation-CAM of every label, float32 (B, E, labels, h, w), 0 and above, NaN where an eye is not seen.

    Raises:
        UsageError: see `explain.base.run`.
    """
    made = run(network, batch, target, "features")
    features = made.features()
    logits = made.logits.detach()
    drops = torch.empty(*features.shape[:3], len(labels), device=features.device)  # (B, E, K, L)
    for sides in made.sides():
        for k in range(features.shape[2]):
            without = features.clone()
            without[:, sides, k] = 0
            fallen = logits - rerun(network, made, taken_apart(made.calls, without))
            drops[:, sides, k] = (fallen[:, sides] if made.eyes else fallen[:, None])[..., list(labels)].to(drops)
    return torch.stack([weighed(features, drops[..., number]) for number in range(len(labels))], 2)
