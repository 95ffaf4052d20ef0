"""CAM (Zhou et al., CVPR 2016) by algebra: what the head says of every place of the trunk's maps.

Where a logit is y = Σ_eyes w · GAP(A) + b, the map of an eye is

    M(i, j) = Σ_k w_k A_k(i, j) + b / (number of eyes in the sum),

so that the means of the maps add up to the logit: of the eye's one map for its own logit, of both eyes' for a visit's.
For `pair` with gap this is its evidence map. What a net reads from the black half of a missing eye counts as b. Unit:
logits.

Heads have many shapes (a 1×1 convolution, a layer on sums or on eyes side by side), so w is not looked up but taken as
h·w times the head's gradient, from one pass in which the trunk needs no graph. That the head *is* linear in GAP is
checked, never supposed: the gradient must be the same at every place, and the logits of DRAWS random feature maps must
be the ones that w and b tell.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from eyeground.batches import Batch
from eyeground.errors import UsageError
from eyeground.explain import Target
from eyeground.explain.base import Pass, rerun, run, taken_apart

DRAWS, TOLERANCE = 4, 1e-3
_ELSE = "use evidence where the method has it, else hires_cam or grad_cam"


def maps(network: nn.Module, batch: Batch, labels: Sequence[int], target: Target) -> Tensor:
    """CAM of every label, float32 (B, E, labels, h, w), signed, NaN where an eye is not seen.

    Raises:
        UsageError: a head that is not linear in the trunk's mean features.
    """
    made = run(network, batch, target, "features")
    features, seen = made.features(), made.batch.seen[..., None]
    slopes = torch.stack([made.feature_gradients(label) for label in labels], 2)  # (B, E, L, K, h, w)
    weight = slopes.sum((4, 5))
    if _largest(slopes - slopes[..., :1, :1]) > TOLERANCE * _largest(slopes):
        raise UsageError(f"the score weighs or pools places otherwise than by their mean, so there is no CAM; {_ELSE}")
    _require_linear(network, made, weight, labels)
    found = torch.einsum("belk,bekhw->belhw", weight, features)
    added = torch.where(seen, found.mean((3, 4)), 0.0)
    logits = made.logits.detach()[..., list(labels)]
    bias = logits - added if made.eyes else (logits - added.sum(1))[:, None] / seen.sum(1, keepdim=True)
    return found + bias[..., None, None]


def _require_linear(network: nn.Module, made: Pass, weight: Tensor, labels: Sequence[int]) -> None:
    """Refuses a head that answers to other feature maps otherwise than `weight` (B, E, L, K) says."""
    generator = torch.Generator().manual_seed(0)
    features, seen, before = made.features(), made.batch.seen, made.logits.detach()[..., list(labels)]
    far = 3 * features[seen].std()
    for _ in range(DRAWS):
        change = torch.where(seen[..., None, None, None], far * _noise(features, generator), 0.0)
        told = torch.einsum("belk,bek->bel", weight.nan_to_num(), change.mean((3, 4)))
        said = rerun(network, made, taken_apart(made.calls, features + change))[..., list(labels)] - before
        told = told if made.eyes else told.sum(1)
        if _largest(said - told) > TOLERANCE * _largest(said):
            raise UsageError(f"the score is not linear in the trunk's mean features, so there is no CAM; {_ELSE}")


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    """Normal noise, half of it the same at all places of a channel, so that a mean over places does not lose it."""
    whole = torch.randn(like.shape[:3], generator=generator)[..., None, None]
    return (whole + torch.randn(like.shape, generator=generator)).to(like)


def _largest(values: Tensor) -> float:
    return float(values.nan_to_num().abs().max()) if values.numel() else 0.0
