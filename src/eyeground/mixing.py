"""Visits with several labels, made of two visits of the batch: mix-up and cut-mix, with the union of the labels.

| rule | here |
|---|---|
| λ ~ Beta(0.4, 0.4) | `draw_mix` |
| x = λ x₁ + (1 - λ) x₂ (Zhang et al., ICLR 2018, "mixup") | `_mixed_up` |
| x = x₁ outside a box of area 1 - λ, x₂ inside (Yun et al., ICCV 2019, "CutMix") | `_cut` |
| y = max(y₁, y₂), Normal removed where a disease is present | `_union` |

How we differ from both papers: labels are the union, not the mean weighted by λ, since the aim is an eye that has what
both have. Both eyes of a visit are mixed with those of one partner, with one λ; an eye that only one of the two visits
has is left as it is, and of the partner's labels the visit then takes what the mixed eyes show.

Unknown cells: a disease is present in the mixture when either is known to have it, absent when both are known not to,
else unknown. Normal is the other way about, and absent wherever a disease is known to be present.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from eyeground.batches import Batch
from eyeground.errors import UsageError

BETA = 0.4
"""Both parameters of the distribution of λ."""


@dataclass(frozen=True)
class Mixing:
    """Whether training mixes visits."""

    mix: Literal["none", "mixup", "cutmix"] = "none"
    """Mix visits of a batch two by two and teach the union of their labels: mixup blends them, cutmix pastes a box."""
    mix_share: float = 0.5
    """Part of the visits that mix is done to."""

    def check_mixing(self) -> None:
        """Raises `UsageError` for a share that is none, or that would have no effect."""
        if not 0 < self.mix_share <= 1:
            raise UsageError(f"--mix-share must be in (0, 1], not {self.mix_share}; --mix none mixes nothing")
        if self.mix == "none" and self.mix_share != Mixing.mix_share:
            raise UsageError("--mix-share has an effect with --mix mixup or cutmix only; give one, or neither")


@dataclass(frozen=True)
class Mix:
    """What was drawn for B visits: partner int64 (B,), own number where a visit is not mixed; lam float32 (B,), the
    visit's own part; centre float32 (B, 2), x and y of the box as parts of the side, None for mix-up."""

    partner: Tensor
    lam: Tensor
    centre: Tensor | None = None


def draw_mix(visits: int, settings: Mixing, generator: torch.Generator) -> Mix | None:
    """Samples for B visits, on the CPU; None (and nothing drawn) where nothing is to be mixed."""
    if settings.mix == "none":
        return None
    chosen = torch.rand(visits, generator=generator) < settings.mix_share
    partner = torch.where(chosen, torch.randperm(visits, generator=generator), torch.arange(visits))
    seed = int(torch.randint(2**62, (), generator=generator))
    lam = torch.from_numpy(np.random.Generator(np.random.PCG64(seed)).beta(BETA, BETA, visits).astype(np.float32))
    centre = torch.rand(visits, 2, generator=generator) if settings.mix == "cutmix" else None
    return Mix(partner, lam, centre)


def mixed(batch: Batch, mix: Mix | None, every: Tensor) -> Batch:
    """Does what was drawn.

    Args:
        every: bool (C,), labels that need all eyes (Normal).

    A mixed visit keeps its own name and eyes; its weight is the mean of both weights, by λ.
    """
    if mix is None:
        return batch
    device = batch.fundus.device
    partner, lam, every = mix.partner.to(device), mix.lam.to(device), every.to(device)
    apart = partner != torch.arange(len(batch), device=device)
    both = batch.seen & batch.seen[partner] & apart[:, None]  # (B, E)
    some = both.any(1)
    other, one = batch.fundus[partner], lam.view(-1, 1, 1, 1, 1)
    if mix.centre is None:
        pixels = _mixed_up(batch.fundus, other, one)
    else:
        pixels = _cut(batch.fundus, other, lam, mix.centre.to(device))
    own, theirs = (batch.eye_labels, batch.eye_known), (batch.eye_labels[partner], batch.eye_known[partner])
    eye_labels, eye_known = _union(own, theirs, every)
    labels, known = _union((batch.labels, batch.known), _brought(batch, partner, both, every), every)
    weight, findings = batch.weight, batch.findings
    if findings is not None:  # NaN where either eye tells none
        findings = torch.where(both[..., None], torch.maximum(findings, findings[partner]), findings)
    return replace(
        batch,
        fundus=torch.where(both[..., None, None, None], pixels, batch.fundus),
        eye_labels=torch.where(both[..., None], eye_labels, batch.eye_labels),
        eye_known=torch.where(both[..., None], eye_known, batch.eye_known),
        labels=torch.where(some[:, None], labels, batch.labels),
        known=torch.where(some[:, None], known, batch.known),
        findings=findings,
        weight=None if weight is None else torch.where(some, lam * weight + (1 - lam) * weight[partner], weight),
    )


def _mixed_up(own: Tensor, other: Tensor, lam: Tensor) -> Tensor:
    return lam * own + (1 - lam) * other


def _cut(own: Tensor, other: Tensor, lam: Tensor, centre: Tensor) -> Tensor:
    """`other` in a box of area 1 - lam (as far as it lies inside the picture) about `centre`, the same in both eyes."""
    height, width = own.shape[-2:]
    half = (1 - lam).sqrt()[:, None] / 2
    across = (torch.arange(width, device=own.device) + 0.5) / width
    down = (torch.arange(height, device=own.device) + 0.5) / height
    box = ((down - centre[:, 1:]).abs() < half)[:, :, None] & ((across - centre[:, :1]).abs() < half)[:, None]
    return torch.where(box[:, None, None], other, own)


def _union(one: tuple[Tensor, Tensor], two: tuple[Tensor, Tensor], every: Tensor) -> tuple[Tensor, Tensor]:
    """Labels and known cells (..., C) of the two together."""
    (a, a_known), (b, b_known) = one, two
    ill_a, ill_b = a_known & ((a > 0) != every), b_known & ((b > 0) != every)  # not Normal counts as an illness
    ill = ill_a | ill_b
    known = ill | (a_known & b_known)
    sick = (ill & ~every).any(-1, keepdim=True) & every  # a disease is present, so Normal is known to be absent
    return ((ill | sick) != every).to(a.dtype) * (known | sick), known | sick


def _brought(batch: Batch, partner: Tensor, both: Tensor, every: Tensor) -> tuple[Tensor, Tensor]:
    """What the partner brings to the visit's labels: its own, where all its eyes are in the mixture or it has nothing
    to hide (a disease absent, Normal present in the visit), else those of the mixed eyes alone."""
    labels, known = batch.labels[partner], batch.known[partner]
    whole = (both | ~batch.seen[partner]).all(1)[:, None] | (known & ((labels > 0) == every))
    eyes, eyes_known = batch.eye_labels[partner], batch.eye_known[partner] & both[..., None]
    ill = eyes_known & ((eyes > 0) != every)
    told = ill.any(1) | (eyes_known | ~both[..., None]).all(1)
    shown = (ill.any(1) != every).to(labels.dtype)
    return torch.where(whole, labels, shown), torch.where(whole, known, told)
