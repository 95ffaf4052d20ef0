"""Maps on a view's pixels, the field of view, and the order in which a map would remove its pixels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

DARK = 0.06
"""Rows and columns in which no pixel is brighter than this hold nothing of the eye."""


def field_of(pixels: Tensor) -> Tensor:
    """The field of view of a view: the circle inscribed in it, without the rows and columns that are black.

    Args:
        pixels: (3, S, S) RGB in [0, 1].

    Returns:
        bool (S, S). A view that is black all over keeps its circle.
    """
    size = pixels.shape[-1]
    away = torch.arange(size, device=pixels.device) + 0.5 - size / 2
    circle = away[:, None] ** 2 + away[None, :] ** 2 <= (size / 2) ** 2
    lit = (pixels.amax(0) > DARK) & circle
    if not lit.any():
        return circle
    rows, columns = (_between(lit.any(1 - axis)) for axis in range(2))
    return circle & rows[:, None] & columns[None, :]


def _between(here: Tensor) -> Tensor:
    """True from the first to the last true of (S,)."""
    places = here.nonzero()[:, 0]
    index = torch.arange(len(here), device=here.device)
    return (index >= places[0]) & (index <= places[-1])


def placed(maps: Tensor, size: int, shift: tuple[float, float] = (0.0, 0.0)) -> Tensor:
    """Maps (..., h, w) on the view's pixels, (..., S, S): bilinear, as `Geometry.place` does it on the photograph's.

    Args:
        shift: (dx, dy) in elements, from a regular cell's centre to the true one (`nets.placement`).
    """
    if maps.shape[-2:] == (size, size) and shift == (0.0, 0.0):
        return maps
    down = _hats(size, maps.shape[-2], shift[1], maps)
    across = _hats(size, maps.shape[-1], shift[0], maps)
    return down @ maps @ across.T


def _hats(size: int, cells: int, shift: float, like: Tensor) -> Tensor:
    """For every pixel of an axis the weight of each cell, (size, cells)."""
    pixel = torch.arange(size, device=like.device, dtype=like.dtype)
    position = ((pixel + 0.5) * (cells / size) - 0.5 - shift).clamp(0, cells - 1)
    index = torch.arange(cells, device=like.device, dtype=like.dtype)
    return (1 - (position[:, None] - index).abs()).clamp(min=0)


def removal_order(values: Tensor, field: Tensor, generator: torch.Generator) -> Tensor:
    """The field's pixels from the map's highest value to its lowest, int64 (n,) into the flat view.

    Equal values (a map that is 0 where it finds nothing) come in a random order, so no corner goes first by accident.

    Args:
        values: (S, S), finite within `field`, bool (S, S).

    Raises:
        ValueError: an empty field, or values that are not finite there.
    """
    inside = field.flatten().nonzero()[:, 0]
    chosen = values.flatten()[inside]
    if not len(inside) or not torch.isfinite(chosen).all():
        raise ValueError("a field that is not empty and a map that is finite in it are wanted")
    mixed = torch.randperm(len(inside), generator=generator).to(values.device)
    return inside[mixed[chosen[mixed].argsort(descending=True, stable=True)]]


def first_parts(order: Tensor, parts: Tensor, size: int) -> Tensor:
    """For each part in [0, 1] the mask of so many first pixels of an order: bool (parts, size, size)."""
    rank = torch.full((size * size,), len(order), dtype=torch.long, device=order.device)
    rank[order] = torch.arange(len(order), device=order.device)
    counts = (parts.to(order.device, torch.float64) * len(order)).round().long()
    return (rank < counts[:, None]).reshape(-1, size, size)


def blur(values: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (n, K, H, W), 0 outside, cut at three standard deviations (pixels)."""
    reach = max(1, round(3 * sigma))
    index = torch.arange(-reach, reach + 1, device=values.device, dtype=values.dtype)
    window = torch.exp(-(index**2) / (2 * sigma**2))
    window = (window / window.sum()).expand(values.shape[1], 1, 1, -1)
    across = F.conv2d(values, window, padding=(0, reach), groups=values.shape[1])
    return F.conv2d(across, window.transpose(2, 3), padding=(reach, 0), groups=values.shape[1])
