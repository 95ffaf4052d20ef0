"""Noisy linear imputation (Rong, Leemann, Borisov, Kasneci and Kasneci, ICML 2022, section 5).

Every missing pixel x_i is the weighted mean of its eight neighbours, known or missing,

    x_i = Σ_j w_ij x_j,     w = 1/6 beside and above, 1/12 across a corner,

with weights that sum to 1 (at the picture's edge: those that are there, scaled so that they do). That is one sparse
linear system per picture, with the same matrix for the three channels. It is symmetric and positive definite wherever
a pixel is known, so conjugate gradients solve it (Hestenes and Stiefel, 1952), preconditioned by the diagonal and
started from the solution on a grid half as fine (and that from one still coarser); all
pictures and channels go side by side.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

WEIGHTS = ((1 / 12, 1 / 6, 1 / 12), (1 / 6, 0.0, 1 / 6), (1 / 12, 1 / 6, 1 / 12))
TOLERANCE = 3e-4
"""Of the residual against the equations' right sides (Euclidean); pixels are right to some grey levels of 255."""
ROUNDS = 5000
COARSEST = 8
NOISE = 0.01
"""Standard deviation of the noise on imputed pixels, so that their smoothness does not give them away."""


def impute(pixels: Tensor, missing: Tensor, tolerance: float = TOLERANCE) -> Tensor:
    """Pictures with their missing pixels filled in, without noise.

    Args:
        pixels: float (n, K, H, W); what it holds at missing pixels has no part.
        missing: bool (n, H, W).
        tolerance: relative to the right sides of the equations.

    Returns:
        (n, K, H, W).

    Raises:
        ValueError: a picture without a known pixel, or no solution within the rounds.
    """
    gone = missing[:, None].expand(-1, pixels.shape[1], -1, -1)
    if missing.flatten(1).all(1).any():
        raise ValueError("a picture without a known pixel can't be imputed")
    known = pixels.masked_fill(gone, 0.0)
    free = gone.to(pixels.dtype)
    total = _neighbours(torch.ones_like(pixels[:1, :1]))
    right = _neighbours(known) * free

    def left(x: Tensor) -> Tensor:
        return (total * x - _neighbours(x)) * free

    x = _guess(known, ~missing, tolerance) * free
    residual = right - left(x)
    aim = (tolerance**2) * _dot(right, right).clamp(min=torch.finfo(pixels.dtype).tiny)
    step = residual / total
    direction, size = step, _dot(residual, step)
    for _ in range(ROUNDS):
        if (_dot(residual, residual) <= aim).all():
            return torch.where(gone, x, pixels)
        turned = left(direction)
        alpha = _ratio(size, _dot(direction, turned))
        x, residual = x + alpha * direction, residual - alpha * turned
        step = residual / total
        before, size = size, _dot(residual, step)
        direction = step + _ratio(size, before) * direction
    raise ValueError(f"the imputation did not settle in {ROUNDS} rounds")


def _neighbours(values: Tensor) -> Tensor:
    """Σ_j w_ij x_j over the eight neighbours that are in the picture, (n, K, H, W)."""
    beside = F.pad(values, (1, 1, 1, 1))
    rows = beside[:, :, :-2] + beside[:, :, 2:]  # above and below, (n, K, H, W + 2)
    corners = rows[..., :-2] + rows[..., 2:]
    middle = beside[:, :, 1:-1]
    return (rows[..., 1:-1] + middle[..., :-2] + middle[..., 2:]) * WEIGHTS[0][1] + corners * WEIGHTS[0][0]


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((2, 3), keepdim=True)


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """a / b, 0 where b is 0: a system that is solved stays as it is."""
    return torch.where(b > 0, a / b.where(b > 0, torch.ones_like(b)), torch.zeros_like(a))


def _guess(values: Tensor, known: Tensor, tolerance: float) -> Tensor:
    """Missing pixels from the same equations on a grid half as fine, enlarged; (n, K, H, W), `values` where known."""
    if known.all() or min(values.shape[2:]) < COARSEST:
        return values
    weight = known[:, None].to(values.dtype)
    share = F.avg_pool2d(weight, 2, ceil_mode=True)
    mean = F.avg_pool2d(values * weight, 2, ceil_mode=True) / share.clamp(min=1e-12)
    coarse = impute(mean, share[:, 0] == 0, tolerance)
    fine = F.interpolate(coarse, size=values.shape[2:], mode="bilinear", align_corners=False)
    return torch.where(known[:, None], values, fine)
