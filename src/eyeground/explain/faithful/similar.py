"""How alike two maps of one eye are: rank correlation, structural similarity, and how far their peaks are apart."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

SIGMA, REACH = 1.5, 5
C1, C2 = 0.01**2, 0.03**2


def spearman(a: Tensor, b: Tensor, field: Tensor) -> float:
    """Spearman's rank correlation of two maps (S, S) over the field, bool (S, S); equal values share their mean rank.

    NaN where one of the maps is the same everywhere.
    """
    return pearson(_ranks(a[field]), _ranks(b[field]))


def pearson(a: Tensor, b: Tensor) -> float:
    """Correlation of (n,) and (n,), NaN where one is constant."""
    x, y = a.double() - a.double().mean(), b.double() - b.double().mean()
    size = float((x * x).sum() * (y * y).sum())
    return float((x * y).sum()) / math.sqrt(size) if size > 0 else math.nan


def _ranks(values: Tensor) -> Tensor:
    _, where, counts = torch.unique(values, return_inverse=True, return_counts=True)
    return (counts.cumsum(0).double() - (counts.double() - 1) / 2)[where]


def ssim(a: Tensor, b: Tensor, field: Tensor) -> float:
    """Structural similarity (Wang, Bovik, Sheikh and Simoncelli, 2004) of two maps (S, S), each on its own range.

    A Gaussian window of 11 × 11, standard deviation 1.5; the mean over windows that lie wholly in the field. Maps are
    brought to [0, 1] first, as Adebayo et al. do: there is no common scale for maps of other weights. NaN where a map
    is constant or no window fits.
    """
    pair = [_stretched(one, field) for one in (a, b)]
    inside = _window(field.to(torch.float64)) > 1 - 1e-6
    if not inside.any() or any(one is None for one in pair):
        return math.nan
    x, y = (one for one in pair if one is not None)
    mean_x, mean_y = _window(x), _window(y)
    var_x, var_y = _window(x * x) - mean_x**2, _window(y * y) - mean_y**2
    both = _window(x * y) - mean_x * mean_y
    same = (2 * mean_x * mean_y + C1) * (2 * both + C2) / ((mean_x**2 + mean_y**2 + C1) * (var_x + var_y + C2))
    return float(same[inside].mean())


def _stretched(values: Tensor, field: Tensor) -> Tensor | None:
    low, high = values[field].min().double(), values[field].max().double()
    return ((values.double() - low) / (high - low)).where(field, torch.zeros(())) if high > low else None


def _window(values: Tensor) -> Tensor:
    index = torch.arange(-REACH, REACH + 1, dtype=torch.float64, device=values.device)
    line = torch.exp(-(index**2) / (2 * SIGMA**2))
    line = line / line.sum()
    across = F.conv2d(values[None, None], line[None, None, None])
    return F.conv2d(across, line[None, None, :, None])[0, 0]


def displacement(a: Tensor, b: Tensor, field: Tensor) -> float:
    """Way between the highest pixels of two maps (S, S) within the field, in parts of the view's side, which is the
    field's diameter."""
    places = [divmod(int(one.masked_fill(~field, -torch.inf).argmax()), one.shape[-1]) for one in (a, b)]
    return math.dist(*places) / a.shape[-1]
