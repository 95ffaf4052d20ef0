"""Hue-constrained sensitivity (Quellec et al., Medical Image Analysis 39:178-193, 2017).

A pixel may change its intensity but not its hue: it is multiplied by a factor m, and the logit y is differentiated by
m at m = 1,

    omega(i, j) = |Σ_c I_c(i, j) dy/dI_c(i, j)|.

I is the picture as the network takes it, after normalisation: the paper's is centred on its background, so that I is 0
where nothing stands out. Here I is what a network's `centred(pixels)` returns where it has such a method; otherwise
I = (x - mean) / std of its trunk, and then I dy/dI = (x - mean) dy/dx in which std has no part. So for a trunk with
ImageNet's record a pixel of ImageNet's mean colour has no sensitivity; pictures prepared by `graham` are centred on
0.502, and a trunk made for them has a mean of 0.5 (as the nets of `deep_image_mining`).

`signed` is the sum before its absolute value: multiplying I at a pixel by 1 + d moves the logit by about d times it.
Unit: logits per relative change of the pixel. One backward pass per label serves all visits and eyes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from eyeground.batches import Batch
from eyeground.errors import UsageError
from eyeground.explain import Target
from eyeground.explain.base import Call, join, replaced, rows_of, run, trunks_of


def maps(network: nn.Module, batch: Batch, labels: Sequence[int], target: Target) -> Tensor:
    """omega, float32 (B, E, labels, H, W), 0 and above, NaN where an eye is not seen.

    Raises:
        UsageError: a network that tells nothing of how it centres pixels, or whose first step passes no gradient.
    """
    return signed(network, batch, labels, target).abs()


def signed(network: nn.Module, batch: Batch, labels: Sequence[int], target: Target) -> Tensor:
    """Σ_c I_c dy/dI_c, (B, E, labels, H, W)."""
    if hasattr(network, "centred"):
        return _by_method(network, batch, labels, target)
    mean = _mean(network)
    made = run(network, batch, target, "pixels")
    away = made.batch.fundus.detach() - mean
    return torch.stack([(away * made.pixel_gradients(label)).sum(2) for label in labels], 2)


def _mean(network: nn.Module) -> Tensor:
    """What the trunks take from the pixels, (3, 1, 1)."""
    means = [getattr(trunk, "mean", None) for trunk in trunks_of(network).values()]
    found = [mean.detach().reshape(3, 1, 1) for mean in means if isinstance(mean, Tensor)]
    if not found or len(found) < len(means):
        raise UsageError("the network does not tell what its pixels are centred on; use sensitivity")
    if any(not torch.equal(found[0], other) for other in found):
        raise UsageError("the network's trunks centre pixels on different colours; use sensitivity")
    return found[0]


def _by_method(network: nn.Module, batch: Batch, labels: Sequence[int], target: Target) -> Tensor:
    """With I from the network's own `centred`, wherever in the pass it is called."""
    calls: list[Call] = []

    def centred(own: Callable[[Tensor], Tensor], pixels: Tensor) -> Tensor:
        made = own(pixels)
        mask, wide = rows_of("centred", pixels, batch)
        calls.append(Call(pixels, made, mask, wide))
        return made

    owner, name = network, "centred"
    with replaced({(owner, name): partial(centred)}):
        made = run(network, batch, target, "pixels")
    if not calls:
        raise UsageError("the network has a method `centred` that its forward pass never calls; use sensitivity")
    taken = [call.given for call in calls]

    def place(slopes: Sequence[Tensor]) -> Tensor:
        parts = [(one.detach() * slope).sum(1, keepdim=True) for one, slope in zip(taken, slopes, strict=True)]
        return join(calls, parts).sum(2)

    return torch.stack([made.gradients(label, taken, place) for label in labels], 2)
