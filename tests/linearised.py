"""Where an element of a map sits, by measurement: the centre of mass of what it reads, in a copy made all positive."""

from __future__ import annotations

import copy

import torch
from torch import nn

STILL = (nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm, nn.Dropout)
"""Replaced by nothing; so is everything of these names."""
NAMES = ("ReLU", "ReLU6", "SiLU", "GELU", "Hardswish", "SqueezeExcite", "SEModule", "LayerNorm2d", "DropPath")


def linearised(module: nn.Module) -> nn.Module:
    """A float64 copy without activations, norms and gates, mean pools for maxima, every weight positive and alike.

    Attention and the dense layers of transformers' blocks are silenced: what is left of a block is its shortcut.
    """
    made = copy.deepcopy(module).double().eval()
    for name, part in list(made.named_modules()):
        kind = type(part).__name__
        if isinstance(part, STILL) or kind in NAMES:
            _put(made, name, nn.Identity())
        elif isinstance(part, nn.MaxPool2d):
            _put(made, name, nn.AvgPool2d(part.kernel_size, part.stride, part.padding, part.ceil_mode))
    for name, part in made.named_modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            silent = isinstance(part, nn.Linear) and name.rsplit(".", 1)[-1] in ("proj", "fc2")
            nn.init.constant_(part.weight, 0.0 if silent else 1 / part.weight[0].numel())
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    return made


def centre(module: nn.Module, size: int, row: int, column: int) -> tuple[float, float]:
    """(x, y) in pixels, 0 at the first pixel's centre, of what element (row, column) reads."""
    pixels = torch.zeros(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    linearised(module)(pixels)[0, :, row, column].sum().backward()
    assert pixels.grad is not None
    weight = pixels.grad.abs().sum((0, 1))
    at = torch.arange(size, dtype=torch.float64)
    return float((weight.sum(0) * at).sum() / weight.sum()), float((weight.sum(1) * at).sum() / weight.sum())


def _put(root: nn.Module, name: str, part: nn.Module) -> None:
    if name:
        owner, _, last = name.rpartition(".")
        setattr(root.get_submodule(owner), last, part)
