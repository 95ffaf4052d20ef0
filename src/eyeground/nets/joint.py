"""Several networks that answer as one: the mean of what they say of each eye, before both eyes become a visit.

Where each network's eye logit is the mean of its evidence map, the mean map's mean is the mean logit: what one
network's maps explain, the joint maps explain as exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from eyeground.batches import Batch, Output
from eyeground.nets.fusion import LogitFusion


class JointNet(nn.Module):
    """Batch -> Output with the means of the members' eye logits and evidence, and their fusion as the visit's logits.

    Args:
        members: networks with eye logits (B, E, C) and evidence maps of one shape (B, E, C, h, w).
        fuse: eye logits to visit logits.
        every: bool (C,), labels that need all eyes.
    """

    every: Tensor

    def __init__(self, members: Sequence[nn.Module], fuse: LogitFusion, every: Tensor) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.fuse = fuse
        self.register_buffer("every", every, persistent=False)

    def forward(self, batch: Batch) -> Output:
        said = [member(batch) for member in self.members]
        eye_logits = torch.stack([one.eye_logits for one in said]).mean(0)
        maps = torch.stack([one.evidence for one in said]).mean(0)
        return Output(self.fuse(eye_logits, batch.seen, self.every), eye_logits, maps)
