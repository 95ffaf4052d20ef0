"""Fits the network of `images/laterality.py` with PyTorch: g(x) - g(mirror(x)), logistic loss, much moved about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = ((2, 8, 5), (8, 24, 3), (24, 48, 3), (48, 48, 3))
"""Channels in and out, and the kernel's side, of the four convolutions; each has stride 2."""


@dataclass(frozen=True)
class Recipe:
    """How it is trained. `zoom`: a view is shown at 1/zoom of its size; wide fields show the disc small."""

    epochs: int = 25
    batch: int = 64
    rate: float = 3e-3
    decay: float = 0.02
    drop: float = 0.3
    smooth: float = 0.002
    seed: int = 0
    turn: float = 0.3
    zoom: tuple[float, float] = (0.75, 1.7)


class Net(nn.Module):
    """f(x) = g(x) - g(mirror(x)) of pictures (B, 2, 64, 64)."""

    def __init__(self, drop: float) -> None:
        super().__init__()
        self.c = nn.ModuleList(nn.Conv2d(a, b, k, 2, k // 2) for a, b, k in WIDTHS)
        self.h = nn.Linear(WIDTHS[-1][1] * 16, 1, bias=False)
        self.drop = drop

    def _raw(self, x: Tensor) -> Tensor:
        for layer in self.c:
            x = F.relu(layer(x))
        return self.h(F.dropout(x.flatten(1), self.drop, self.training))[:, 0]

    def forward(self, x: Tensor) -> Tensor:
        return self._raw(x) - self._raw(x.flip(-1))

    def arrays(self) -> dict[str, NDArray[np.float16]]:
        """The weights under the names of `images/laterality.py`, float16."""
        named = {f"c{i}.{k}": v for i, layer in enumerate(self.c) for k, v in layer.state_dict().items()}
        return {k: v.numpy().astype(np.float16) for k, v in {**named, "head.weight": self.h.weight.detach()}.items()}


def fit(pictures: NDArray[np.float32], right: NDArray[np.bool_], recipe: Recipe) -> Net:
    """Trains on small pictures (n, 2, 64, 64) and whether they show a right eye."""
    torch.manual_seed(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    net = Net(recipe.drop)
    x, y = torch.from_numpy(pictures), torch.from_numpy(right.astype(np.float32))
    per_epoch = len(x) // recipe.batch
    optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    steps = recipe.epochs * per_epoch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=steps, pct_start=0.15)
    for _ in range(recipe.epochs):
        net.train()
        order = torch.randperm(len(x), generator=generator)
        for step in range(per_epoch):
            rows = order[step * recipe.batch : (step + 1) * recipe.batch]
            target = y[rows] * (1 - 2 * recipe.smooth) + recipe.smooth
            loss = F.binary_cross_entropy_with_logits(net(moved(x[rows], recipe, generator)), target)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return net.eval()


def moved(x: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Pictures turned, zoomed, squeezed, shifted; of another contrast, without a channel, in slanting light, noisy."""
    count = len(x)

    def draw(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=generator) * (high - low) + low

    angle, zoom, squeeze = draw(-recipe.turn, recipe.turn), draw(*recipe.zoom), draw(0.9, 1.1)
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 1] = zoom * squeeze * angle.cos(), -zoom * angle.sin()
    matrix[:, 1, 0], matrix[:, 1, 1] = zoom * squeeze * angle.sin(), zoom * angle.cos()
    matrix[:, 0, 2], matrix[:, 1, 2] = draw(-0.15, 0.15), draw(-0.12, 0.12)
    x = F.grid_sample(x, F.affine_grid(matrix, list(x.shape), align_corners=False), align_corners=False)
    x = x * draw(0.6, 1.3)[:, None, None, None]
    lost = (torch.rand(count, 2, generator=generator) < 0.1).float()[:, :, None, None]
    x = x * (1 - lost * (lost.sum(1, keepdim=True) < 2))
    ramp = torch.linspace(-1, 1, x.shape[-1])
    light = draw(-0.4, 0.4)[:, None, None] * ramp[None, None] + draw(-0.4, 0.4)[:, None, None] * ramp[None, :, None]
    x = x + (x != 0) * light[:, None]
    return x + torch.randn(x.shape, generator=generator) * draw(0, 0.15)[:, None, None, None]
