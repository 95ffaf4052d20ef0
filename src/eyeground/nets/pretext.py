"""Pretext tasks: what a trunk can be asked about a photograph that nobody has labelled.

A task changes pictures in one of a few ways; the network has to say in which. Nothing is drawn here: the ways come in.
"""

from __future__ import annotations

from itertools import permutations
from typing import Literal

import torch
from torch import Tensor

Pretext = Literal["rotation", "jigsaw"]

ORDERS = tuple(permutations(range(4)))
"""The 24 orders of the four quarters of a picture, which are numbered by row."""
WAYS: dict[str, int] = {"rotation": 4, "jigsaw": len(ORDERS)}
"""Task to its number of ways; way 0 leaves a picture as it is."""


def rotated(pixels: Tensor, ways: Tensor) -> Tensor:
    """Square pictures (n, 3, S, S), each turned by its way (n,) times 90 degrees anti-clockwise.

    Rotation prediction: Gidaris, Singh and Komodakis, ICLR 2018.
    """
    turned = torch.stack([torch.rot90(pixels, turns, (2, 3)) for turns in range(4)])  # (4, n, 3, S, S)
    return turned[ways, torch.arange(len(pixels), device=pixels.device)]


def shuffled(pixels: Tensor, ways: Tensor) -> Tensor:
    """Pictures (n, 3, H, W) with their quarters in the order (n,) of `ORDERS`; an odd last row or column is cut.

    After Noroozi and Favaro, ECCV 2016, who look at nine tiles one by one; here the trunk sees them put together.
    """
    half, side = pixels.shape[2] // 2, pixels.shape[3] // 2
    quarters = torch.stack(
        [pixels[:, :, y * half : (y + 1) * half, x * side : (x + 1) * side] for y in (0, 1) for x in (0, 1)], 1
    )  # (n, 4, 3, H/2, W/2)
    order = torch.tensor(ORDERS, device=pixels.device)[ways]  # (n, 4)
    placed = quarters[torch.arange(len(pixels), device=pixels.device)[:, None], order]
    rows = [torch.cat([placed[:, first], placed[:, first + 1]], 3) for first in (0, 2)]
    return torch.cat(rows, 2)


def changed(task: Pretext, pixels: Tensor, ways: Tensor) -> Tensor:
    """Pictures (n, 3, S, S), each changed in its way (n,), which is below `WAYS[task]`."""
    return rotated(pixels, ways) if task == "rotation" else shuffled(pixels, ways)
