"""Occlusion (Zeiler and Fergus, ECCV 2014): how far the logit falls when a patch of the eye is hidden.

The picture is divided into CELLS × CELLS cells. A patch of 2 × 2 cells takes every place on that grid and shows the
mean colour of the eye's lit pixels; a cell's value is the mean, over the patches that cover it, of the logit with the
eye whole less the logit behind the patch. Positive: what is there speaks for the label. No gradients, right for any
network to the resolution of a patch. Unit: logits. Costs (CELLS - 1)² passes for all labels, twice that where eyes have
a part in each other's score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from eyeground.batches import Batch, Output
from eyeground.explain import Target
from eyeground.explain.base import logits_of, run, trunks_of

CELLS = 16
LIT = 12 / 255
"""Pixels whose three channels are all at most this are the black surround."""


def maps(network: nn.Module, batch: Batch, labels: Sequence[int], target: Target) -> Tensor:
    """Occlusion of every label, float32 (B, E, labels, CELLS, CELLS), signed, NaN where an eye is not seen.

    Raises:
        UsageError: see `explain.base.run`.
    """
    made = run(network, batch, target, "features" if trunks_of(network) else "pixels")
    whole = made.logits.detach()[..., list(labels)]
    fundus = batch.fundus.detach()
    hidden, colour = fundus.clone(), mean_colour(fundus)
    rows, columns = (_edges(length) for length in fundus.shape[3:])
    total = torch.zeros(*fundus.shape[:2], len(labels), CELLS, CELLS, device=fundus.device)
    count = torch.zeros(CELLS, CELLS, device=fundus.device)
    sides = made.sides()
    for i, j in ((i, j) for i in range(CELLS - 1) for j in range(CELLS - 1)):
        count[i : i + 2, j : j + 2] += 1
        down, across = slice(rows[i], rows[i + 2]), slice(columns[j], columns[j + 2])
        for side in sides:
            hidden[:, side, :, down, across] = colour[:, side, :, None, None]
            fallen = whole - _logits(network, replace(batch, fundus=hidden), target)[..., list(labels)]
            hidden[:, side, :, down, across] = fundus[:, side, :, down, across]
            found = fallen[:, side] if made.eyes else fallen[:, None]
            total[:, side, :, i : i + 2, j : j + 2] += found[..., None, None]
    return total / count


def mean_colour(fundus: Tensor) -> Tensor:
    """Mean colour of the lit pixels, (B, E, 3, H, W) to (B, E, 3); black where there are none."""
    lit = (fundus.amax(2, keepdim=True) > LIT).to(fundus.dtype)
    return (fundus * lit).sum((3, 4)) / lit.sum((3, 4)).clamp(min=1)


@torch.no_grad()
def _logits(network: nn.Module, batch: Batch, target: Target) -> Tensor:
    output: Output = network(batch)
    return logits_of(output, target)[0]


def _edges(length: int) -> list[int]:
    """Where the cells of a side of so many pixels begin and end."""
    return [round(length * i / CELLS) for i in range(CELLS + 1)]
