"""Plain sensitivity (Simonyan et al., ICLR workshop 2014): max over channels of |dy/dx_c| at every pixel.

x is the picture as it enters the network, RGB in [0, 1], y the logit. Unit: logits per unit of pixel value (from black
to full). What a trunk normalises by is not in it, `hue` is the measure that asks for the normalised picture.
One backward pass per label serves all visits and eyes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from eyeground.batches import Batch
from eyeground.explain import Target
from eyeground.explain.base import run


def maps(network: nn.Module, batch: Batch, labels: Sequence[int], target: Target) -> Tensor:
    """Plain sensitivity, float32 (B, E, labels, H, W), 0 and above, NaN where an eye is not seen.

    Raises:
        UsageError: a network whose first step passes no gradient, such as histogram equalisation.
    """
    made = run(network, batch, target, "pixels")
    return torch.stack([made.pixel_gradients(label).abs().amax(2) for label in labels], 2)
