"""Batches of random numbers with eyes that are missing and labels that are unknown."""

from __future__ import annotations

import torch

from eyeground.batches import Batch


def made_batch(visits: int = 6, size: int = 48, labels: int = 8, seed: int = 0) -> Batch:
    """Visit 0 has no right eye, visit 1 no left eye; some labels of visit 2 are unknown (from 3 visits on)."""
    generator = torch.Generator().manual_seed(seed)
    seen = torch.ones(visits, 2, dtype=torch.bool)
    if visits > 2:
        seen[0, 1] = seen[1, 0] = False
    fundus = torch.rand(visits, 2, 3, size, size, generator=generator) * seen[:, :, None, None, None]
    known = torch.ones(visits, labels, dtype=torch.bool)
    known[2:3, :3] = False
    eye_labels = (torch.rand(visits, 2, labels, generator=generator) < 0.3).float()
    present = torch.where(seen[..., None], eye_labels, 0).amax(1)
    present[:, 0] = torch.where(seen[..., None], eye_labels, 1).amin(1)[:, 0]  # the first label needs all eyes
    return Batch(
        fundus=fundus,
        seen=seen,
        labels=present * known,
        known=known,
        eye_labels=eye_labels,
        eye_known=seen[..., None].repeat(1, 1, labels),
        ids=tuple(str(i) for i in range(visits)),
    )
