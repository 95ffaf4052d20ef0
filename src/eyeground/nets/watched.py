"""What the trunks of deep image mining share: pixels normalised inside, and values that can be watched.

timm's trunks are watched from outside (`nets.feeds`); these have functional pools, which no hook meets.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class WatchedTrunk(nn.Module):
    """A trunk that normalises pixels by `mean` and `std` (1, 3, 1, 1), and can leave values behind.

    While `watching` is true, a call leaves in `watched` the values that feed a layer with a stride, pools included, by
    the number of the layer that made them (1: the normalised picture), ready to be differentiated by. `feeding` are
    these numbers.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.feeding: tuple[int, ...] = ()
        self.watching = False
        self.watched: dict[int, Tensor] = {}

    def watch(self, number: int, values: Tensor) -> Tensor:
        """The values, kept where they are asked for."""
        if self.watching and number in self.feeding:
            if not values.requires_grad:
                values = values.requires_grad_()
            self.watched[number] = values
        return values

    def other_pixels(self, theirs: Mapping[str, Tensor]) -> str | None:
        """Why the filters of another trunk (its state) don't know these pixels; None when they do."""
        ours = {"mean": self.mean, "std": self.std}
        for key, value in ours.items():
            if key in theirs and not torch.equal(theirs[key].cpu(), value.cpu()):
                return f"{key}: pixels were normalised otherwise, see --pixels"
        return None
