"""Small moves of the view: a map should go along. Exact moves by whole pixels, and small turns by interpolation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Move:
    """A shift by (dx, dy) pixels to the right and down, or a turn by degrees, anticlockwise as seen."""

    dx: int = 0
    dy: int = 0
    degrees: float = 0.0

    def apply(self, values: Tensor) -> Tensor:
        """(..., S, S) moved, 0 where nothing comes in."""
        return _turned(values, self.degrees) if self.degrees else _shifted(values, self.dx, self.dy)

    def back(self, values: Tensor) -> Tensor:
        """The way back; what left the view stays lost and is 0."""
        return Move(-self.dx, -self.dy, -self.degrees).apply(values)

    def kept(self, field: Tensor) -> Tensor:
        """The pixels of a field, bool (S, S), that are still there after the move and back."""
        whole = torch.ones_like(field, dtype=torch.float32)
        return field & (self.back(self.apply(whole)) > 0.999)

    @property
    def words(self) -> str:
        return f"turn {self.degrees:+g}°" if self.degrees else f"shift {self.dx:+d} {self.dy:+d}"


def moves(size: int) -> tuple[Move, ...]:
    """Shifts by a 64th of the view's side in the four directions, which is less than an element of most maps, and turns
    by 5°."""
    step = max(1, round(size / 64))
    shifts = ((step, 0), (-step, 0), (0, step), (0, -step))
    return (*(Move(dx, dy) for dx, dy in shifts), Move(degrees=5.0), Move(degrees=-5.0))


def _shifted(values: Tensor, dx: int, dy: int) -> Tensor:
    height, width = values.shape[-2:]
    made = torch.zeros_like(values)
    to_y, from_y = _slices(dy, height)
    to_x, from_x = _slices(dx, width)
    made[..., to_y, to_x] = values[..., from_y, from_x]
    return made


def _slices(by: int, length: int) -> tuple[slice, slice]:
    by = max(-length, min(length, by))
    return (slice(by, length), slice(0, length - by)) if by >= 0 else (slice(0, length + by), slice(-by, length))


def _turned(values: Tensor, degrees: float) -> Tensor:
    angle = math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    flat = values.reshape(-1, 1, *values.shape[-2:])
    way = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0]], dtype=values.dtype, device=values.device)
    grid = F.affine_grid(way.expand(len(flat), -1, -1), list(flat.shape), align_corners=False)
    return F.grid_sample(flat, grid, mode="bilinear", align_corners=False).reshape(values.shape)
