"""Histogram equalisation inside a network: per picture, in torch, the same numbers as OpenCV's `equalizeHist`.

A picture is rounded to 256 levels first, as the photograph it came from; no gradient passes. Level v becomes
round((cdf(v) - cdf(v0)) · 255 / (n - cdf(v0))) with v0 the darkest level there is; a picture of one level stays.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

LUMA = (9798, 19235, 3735)
"""Weights of R, G and B in the luma 0.299 R + 0.587 G + 0.114 B, in parts of 2^15 as OpenCV has them."""


def levels(pixels: Tensor) -> Tensor:
    """Values in [0, 1] to int64 levels 0..255; what is beyond is clipped."""
    return (pixels.detach().float().clamp(0, 1) * 255).round().long()


def luma(whole: Tensor) -> Tensor:
    """Levels (n, 3, H, W) of RGB to grey levels (n, 1, H, W), as OpenCV's RGB2GRAY."""
    red, green, blue = whole.unbind(1)
    mixed = (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue + (1 << 14)) >> 15
    return mixed[:, None]


def spread_levels(whole: Tensor) -> Tensor:
    """Equalises every channel of every picture by its own histogram: int64 levels (n, K, H, W) to the same."""
    flat = whole.flatten(2)  # (n, K, H·W)
    counts = torch.zeros(*flat.shape[:2], 256, device=flat.device)
    counts = counts.scatter_add(2, flat, torch.ones_like(flat, dtype=counts.dtype))
    total = counts.cumsum(2)
    first = torch.where(counts > 0, total, torch.inf).amin(2, keepdim=True)  # cdf of the darkest level there is
    rest = flat.shape[2] - first
    table = ((total - first).clamp(min=0) * (255.0 / rest.clamp(min=1))).round().long()
    return torch.where(rest > 0, table.gather(2, flat), flat).view_as(whole)


def grey(pixels: Tensor) -> Tensor:
    """RGB in [0, 1] (n, 3, H, W) to its equalised grey picture in all three channels."""
    return (spread_levels(luma(levels(pixels))).float() / 255).expand(-1, 3, -1, -1)


def rgb(pixels: Tensor) -> Tensor:
    """Each of R, G and B (n, 3, H, W) equalised by itself; colours shift."""
    return spread_levels(levels(pixels)).float() / 255


def y(pixels: Tensor) -> Tensor:
    """The luma equalised and the colour differences kept: R, G and B (n, 3, H, W) move by as much as the luma does."""
    whole = levels(pixels)
    before = luma(whole)
    return (whole + spread_levels(before) - before).clamp(0, 255).float() / 255


def v(pixels: Tensor) -> Tensor:
    """The value V = max(R, G, B) of HSV equalised, hue and saturation kept: R, G and B (n, 3, H, W) scale with V."""
    whole = levels(pixels)
    before = whole.amax(1, keepdim=True)
    return whole * (spread_levels(before) / before.clamp(min=1)) / 255


COLOURS: dict[str, Callable[[Tensor], Tensor]] = {"rgb": rgb, "y": y, "v": v}
"""Name to the equalisation of a colour picture."""
