"""What is held to the tests: every explainer by its name, and controls whose answers are known beforehand.

| control | what it is | what must come out |
|---|---|---|
| `random` | a random number for every pixel | ROAD 0; whatever beats no map at all |
| `random_places` | random numbers on a grid of 8 × 8, smoothed: as coarse as a CAM | the floor for coarse maps |
| `centre` | the middle first | the floor for maps that only know where photographs are centred |
| `edges` | how steep the green channel is, which no network has a part in | survives randomised weights |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from eyeground.batches import Batch
from eyeground.errors import UsageError, nearest
from eyeground.explain import EXPLAINERS, explain
from eyeground.explain.base import features_placement
from eyeground.explain.faithful.pixels import blur, placed
from eyeground.nets.placement import placement

CONTROLS = ("random", "random_places", "centre", "edges")
FLOORS = ("random", "random_places", "centre")
"""Controls that stand below every column of the table."""
GRID = 8


def require_known(names: Sequence[str]) -> None:
    """Raises `UsageError` with the nearest match for a name that is neither explainer nor control."""
    known = (*EXPLAINERS, *CONTROLS)
    for name in names:
        if name not in known:
            raise UsageError(f"no map '{name}'{nearest(name, known)}; there are {', '.join(known)}")


@dataclass(frozen=True)
class Source:
    """One row of the table: how its maps are made, on the pixels of the view.

    `features` and `evidence` are (dx, dy), where the trunk's and the model's own maps sit on their grids.
    """

    name: str
    features: tuple[float, float] = (0.0, 0.0)
    evidence: tuple[float, float] = (0.0, 0.0)

    def maps(self, network: nn.Module, batch: Batch, labels: Sequence[int], generator: torch.Generator) -> Tensor:
        """(B, E, labels, S, S), NaN where an eye is not seen. Random controls are drawn anew at every call.

        Raises:
            UsageError: an explainer that this network can't be right for.
        """
        size = batch.fundus.shape[-1]
        if self.name in CONTROLS:
            one = _control(self.name, batch, len(labels), generator)
            return one.masked_fill(~batch.seen[:, :, None, None, None], float("nan"))
        found = explain(self.name, network, batch, labels, "eye")
        shift = (0.0, 0.0)
        if found.shape[-2:] != (size, size) and self.name != "occlusion":
            shift = self.evidence if self.name == "evidence" else self.features
        return placed(found, size, shift)


def source(name: str, network: nn.Module, size: int) -> Source:
    """The row of this name, with its maps' places on this network's grids."""
    require_known((name,))
    if name in CONTROLS:
        return Source(name)
    features = features_placement(network, size).shift
    return Source(name, features, placement(network, size).shift if name == "evidence" else (0.0, 0.0))


def _control(name: str, batch: Batch, labels: int, generator: torch.Generator) -> Tensor:
    fundus = batch.fundus
    size, shape = fundus.shape[-1], (*fundus.shape[:2], labels)
    if name == "random":
        return torch.rand((*shape, size, size), generator=generator).to(fundus)
    if name == "random_places":
        return placed(torch.rand((*shape, GRID, GRID), generator=generator).to(fundus), size)
    if name == "centre":
        away = torch.arange(size, device=fundus.device) + 0.5 - size / 2
        return (-torch.hypot(away[:, None], away[None, :])).to(fundus.dtype).expand(*shape, size, size)
    return edges(fundus)[:, :, None].expand(*shape, size, size)


def edges(fundus: Tensor) -> Tensor:
    """Length of the green channel's gradient, after a slight blur: (B, E, 3, S, S) to (B, E, S, S)."""
    green = fundus[:, :, 1].flatten(0, 1)[:, None]
    smooth = blur(green, max(0.5, fundus.shape[-1] / 256))
    down, across = torch.gradient(smooth, dim=(2, 3))
    return torch.hypot(down, across)[:, 0].unflatten(0, tuple(fundus.shape[:2]))
