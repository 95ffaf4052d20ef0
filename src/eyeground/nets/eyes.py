"""Two eyes through one network, and what stands for an eye that is not there.

A photograph that is not `seen` is never run through a trunk, so it reaches neither answer, gradient nor the running
means of batch normalisation. Methods that need two eyes' values take them from `stand_in`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def per_eye(net: Callable[[Tensor], Tensor], fundus: Tensor, seen: Tensor) -> Tensor:
    """Runs the seen eyes through a network.

    Args:
        net: (n, 3, H, W) to (n, ...); may be a trunk, or a function around one.
        fundus: (B, E, 3, H, W); seen: bool (B, E).

    Returns:
        (B, E, ...), NaN where an eye is not seen. While a graph is exported all eyes are run, for a fixed flow.
    """
    (values,) = per_eye_each(lambda pixels: (net(pixels),), fundus, seen)
    return values


def per_eye_each(net: Callable[[Tensor], tuple[Tensor, ...]], fundus: Tensor, seen: Tensor) -> tuple[Tensor, ...]:
    """`per_eye` for a network with several results, each (n, ...)."""
    if not torch.compiler.is_exporting():
        return tuple(spread(values, seen) for values in net(fundus[seen]))
    whole = (values.unflatten(0, (-1, fundus.shape[1])) for values in net(fundus.flatten(0, 1)))
    return tuple(torch.where(_beside(seen, values), values, torch.nan) for values in whole)


def per_side(
    left: Callable[[Tensor], Tensor], right: Callable[[Tensor], Tensor], fundus: Tensor, seen: Tensor
) -> Tensor:
    """`per_eye` with a network for each side, which may be one and the same; then all eyes go through it at once."""
    if left is right:
        return per_eye(left, fundus, seen)
    return torch.cat([per_eye(left, fundus[:, :1], seen[:, :1]), per_eye(right, fundus[:, 1:], seen[:, 1:])], 1)


def spread(values: Tensor, seen: Tensor) -> Tensor:
    """(n, ...) of the n seen eyes back to their places (B, E, ...), NaN where there is no eye."""
    placed = values.new_full((*seen.shape, *values.shape[1:]), torch.nan)
    placed[seen] = values
    return placed


def stand_in(values: Tensor, seen: Tensor) -> Tensor:
    """Values (B, 2, ...) with the fellow eye's where an eye is not seen, and zeros where neither is."""
    here = _beside(seen, values)
    kept = torch.where(here, values, 0.0)
    return torch.where(here, values, kept.flip(1))


def _beside(seen: Tensor, values: Tensor) -> Tensor:
    """`seen` with as many axes as `values`."""
    return seen.reshape(*seen.shape, *[1] * (values.dim() - 2))
