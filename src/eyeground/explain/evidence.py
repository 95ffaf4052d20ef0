"""The model's own evidence maps: `Output.evidence`, from the pass that gives its logits, for all labels at once.

What a map adds up to is the method's promise (`methods.<name>.maps(config)` says it); mostly its mean is the eye's
logit. Unit: logits. Costs nothing beyond the pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from eyeground.batches import Batch, Output
from eyeground.errors import UsageError
from eyeground.explain import Target


def maps(network: nn.Module, batch: Batch, labels: Sequence[int], target: Target) -> Tensor:
    """Evidence of every label, float32 (B, E, labels, h, w), signed, NaN where an eye is not seen.

    Raises:
        UsageError: the method has no evidence maps, or they explain other logits than those of `target`.
    """
    with torch.no_grad():
        output: Output = network(batch)
    if output.evidence is None:
        raise UsageError("the method has no evidence maps; use grad_cam, hires_cam or occlusion")
    explained: Target = "visit" if output.eye_logits is None else "eye"
    if target not in ("auto", explained):
        raise UsageError(f"the method's evidence maps explain the logits of {explained}s; use target '{explained}'")
    return output.evidence[:, :, list(labels)]
