"""`two_experts`: do eyes with one disease and eyes with several need different readers?

No paper; a proposal to be tested. Two heads read the same features: one learns from rows with one label, the other from
rows with several, and a gate says for every eye how far it listens to which. A row's group is the number of its labels
that are known to be present; rows without one teach neither expert.

| equation | here |
|---|---|
| e_k[c, i, j] = w_k[c] · F_k[:, i, j] + b_k[c], k = single, multi | `TwoExperts.single`, `TwoExperts.multi` |
| gate g = sigmoid(u · [GAP F_k] + a), one number for each eye | `TwoExperts.gate` |
| eye logit z[c] = (1 - g) z_single[c] + g z_multi[c], z_k = mean over i, j of e_k | `TwoExperts._eye` |
| visit logit = maximum over eyes (Normal: minimum) | `nets.fusion.max_logits` |
| L = L(mixture, all rows) + λ (L(single, rows with one label) + L(multi, rows with several)) | `loss` |

Our reading: the experts share a trunk (`shared_trunk`), or have one each, and the gate then sees both. Each L is
α · BCE(eyes) + β · BCE(visit), the group taken of the eye's or the visit's own labels. Expert and mixture losses both
move the experts; with `gate_only` the mixture's moves the gate alone, so that each expert is its own group's only.
Parts `gate_single` and `gate_multi` tell the mean gate of eyes in either group, over about the last hundred steps: the
hypothesis is that the second is larger.

The maps explain the *eye* logits exactly, given the gate: (1 - g) e_single + g e_multi has the logit as its mean.
In: `Batch`. Out: `Experts`, an `Output` with the experts' eye logits (B, E, 2, C) and the gate (B, E) beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from eyeground.batches import Batch
from eyeground.errors import UsageError
from eyeground.losses.masked import binary_cross_entropy
from eyeground.nets.eyes import per_eye_each
from eyeground.nets.fusion import max_logits
from eyeground.nets.trunk import make_trunk
from eyeground.vocabulary import Vocabulary

RECIPE: dict[str, Any] = {}
"""The shared recipe: there is no paper."""
MEMORY = 0.99
"""What of the gate's sums is kept from step to step."""


@dataclass(frozen=True)
class Config:
    """What defines two experts and their loss."""

    trunk: str = "resnet50"
    """timm name of the trunk, shared by both eyes."""
    trunk_weights: str = "imagenet"
    """imagenet, none, or a safetensors file in timm's names."""
    shared_trunk: bool = True
    """Both experts read one trunk's features; otherwise each has a trunk of its own."""
    multi_learns: Literal["multi", "all"] = "multi"
    """What the second expert learns from: rows with several labels, or all rows."""
    gate_only: bool = False
    """The mixture's loss moves the gate and nothing else."""
    dropout: float = 0.1
    """Part of the feature channels dropped in training, for a whole eye at a time."""
    expert_weight: float = 1.0
    """Weight λ of the experts' own losses beside the mixture's."""
    eye_weight: float = 1.0
    """Weight α of the loss on eye labels."""
    visit_weight: float = 1.0
    """Weight β of the loss on visit labels."""

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise UsageError(f"--dropout must be in [0, 1), not {self.dropout}")
        for name in ("expert_weight", "eye_weight", "visit_weight"):
            if getattr(self, name) < 0:
                raise UsageError(f"--{name.replace('_', '-')} must not be negative, not {getattr(self, name)}")
        if self.eye_weight == self.visit_weight == 0:
            raise UsageError("--eye-weight and --visit-weight are both 0, so nothing is learnt; raise one")
        if self.gate_only and self.expert_weight == 0:
            raise UsageError("--gate-only leaves the experts to --expert-weight, which is 0; raise it")


class Experts(NamedTuple):
    """An `Output`, the experts' eye logits (B, E, 2, C), and the gate (B, E); eyes not seen hold NaN."""

    visit_logits: Tensor
    eye_logits: Tensor
    evidence: Tensor
    expert_logits: Tensor
    gate: Tensor


class TwoExperts(nn.Module):
    """Two heads and a gate over one trunk or two."""

    every: Tensor
    told: Tensor

    def __init__(self, config: Config, vocabulary: Vocabulary, size: int) -> None:
        super().__init__()
        self.gate_only = config.gate_only
        self.trunk = make_trunk(config.trunk, config.trunk_weights, size)
        self.trunk_multi = None if config.shared_trunk else make_trunk(config.trunk, config.trunk_weights, size)
        channels, labels = self.trunk.channels, len(vocabulary)
        self.dropout = nn.Dropout2d(config.dropout)
        self.single = nn.Conv2d(channels, labels, kernel_size=1)
        self.multi = nn.Conv2d(channels, labels, kernel_size=1)
        self.gate = nn.Linear(channels if config.shared_trunk else 2 * channels, 1)
        every = torch.tensor([label.visit == "all" for label in vocabulary.labels])
        self.register_buffer("every", every, persistent=False)
        self.register_buffer("told", torch.zeros(2, 2))  # fading sum and number of gates of both groups

    def forward(self, batch: Batch) -> Experts:
        maps, eye_logits, experts, gate = per_eye_each(self._eye, batch.fundus, batch.seen)
        return Experts(max_logits(eye_logits, batch.seen, self.every), eye_logits, maps, experts, gate)

    def _eye(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Maps (n, C, h, w), logits (n, C), experts' logits (n, 2, C), gate (n,)."""
        first = self.dropout(self.trunk(pixels))  # (n, K, h, w)
        second = first if self.trunk_multi is None else self.dropout(self.trunk_multi(pixels))
        maps = torch.stack([self.single(first), self.multi(second)], 1).float()  # (n, 2, C, h, w)
        pooled = (first if self.trunk_multi is None else torch.cat([first, second], 1)).float().mean((2, 3))
        held = self.gate_only
        gate = torch.sigmoid(self.gate(pooled.detach() if held else pooled).float()).squeeze(1)  # (n,)
        share = torch.stack([1 - gate, gate], 1)
        joined = torch.einsum("nk,nkchw->nchw", share, maps.detach() if held else maps)
        return joined, joined.mean((2, 3)), maps.mean((3, 4)), gate


def build(config: Config, vocabulary: Vocabulary, size: int) -> TwoExperts:
    """Makes the network. Raises `UsageError` for a trunk or weights that can't be had."""
    return TwoExperts(config, vocabulary, size)


def start(model: TwoExperts, config: Config, labels: Tensor, known: Tensor) -> None:
    """Sets each expert's bias to the prevalence among the training eyes that it learns from; (n, C). The gate starts
    at one half for every eye."""
    with torch.no_grad():
        for head, rows in zip((model.single, model.multi), groups(labels, known, config), strict=True):
            taught = known & rows[:, None]
            present, absent = (labels * taught).sum(0) + 1, ((1 - labels) * taught).sum(0) + 1
            nn.init.normal_(head.weight, std=0.01)
            assert head.bias is not None
            head.bias.copy_(torch.log(present / absent))
        nn.init.zeros_(model.gate.weight)
        nn.init.zeros_(model.gate.bias)


def groups(labels: Tensor, known: Tensor, config: Config) -> tuple[Tensor, Tensor]:
    """Which rows (...,) of labels (..., C) teach the single and the multi expert."""
    several = (known & (labels > 0)).sum(-1)
    return several == 1, several >= (2 if config.multi_learns == "multi" else 0)


def loss(model: nn.Module, batch: Batch, config: Config) -> dict[str, Tensor]:
    """Named parts: `mixture`, `single`, `multi`, their sum `total`, and the mean gates (no gradient)."""
    out: Experts = model(batch)
    every: Tensor = model.every  # type: ignore[assignment]
    eyes = groups(batch.eye_labels, batch.eye_known, config)
    visits = groups(batch.labels, batch.known, config)

    def part(logits: Tensor, eye_rows: Tensor, visit_rows: Tensor) -> Tensor:
        visit_logits = max_logits(logits, batch.seen, every)
        eye_known, known = batch.eye_known & eye_rows[..., None], batch.known & visit_rows[:, None]
        eye = binary_cross_entropy(logits, batch.eye_labels, eye_known, weight=batch.weight)
        visit = binary_cross_entropy(visit_logits, batch.labels, known, weight=batch.weight)
        return config.eye_weight * eye + config.visit_weight * visit

    mixture = part(out.eye_logits, torch.ones_like(batch.seen), torch.ones_like(batch.seen[:, 0]))
    single, multi = (part(out.expert_logits[:, :, k], eyes[k], visits[k]) for k in range(2))
    total = mixture + config.expert_weight * (single + multi)
    gates = _mean_gates(model, out.gate.detach(), batch)
    return {"mixture": mixture, "single": single, "multi": multi, "total": total, **gates}


@torch.no_grad()
def _mean_gates(model: nn.Module, gate: Tensor, batch: Batch) -> dict[str, Tensor]:
    """The mean gate of seen eyes by group, fading over steps (one half before the first), for the log.

    An eye whose labels are not told is of its visit's group.
    """
    told: Tensor = model.told  # type: ignore[assignment]
    own, visit = ((k & (y > 0)).sum(-1) for y, k in ((batch.eye_labels, batch.eye_known), (batch.labels, batch.known)))
    several = torch.where(batch.eye_known.any(-1), own, visit[:, None])
    here = torch.stack([several == 1, several > 1]) & batch.seen  # (2, B, E)
    sums = torch.where(here, gate, 0.0).sum((1, 2))
    if model.training:
        told.mul_(MEMORY).add_(torch.stack([sums, here.sum((1, 2))], 1))
    mean = torch.where(told[:, 1] > 0, told[:, 0] / told[:, 1].clamp(min=1e-9), 0.5)
    return {"gate_single": mean[0], "gate_multi": mean[1]}


def swap(config: Config) -> Literal["same", "differs"]:
    """An exchange of left and right eye changes no visit's score: the eyes meet in a maximum."""
    return "same"


def maps(config: Config) -> str:
    """What the evidence maps explain, for the reading and the report."""
    return (
        "Each map explains its eye's score exactly, given the gate: it is the two experts' maps mixed by the gate, and "
        "its mean is the eye's logit. What moved the gate is not in it. "
        "The visit's score is that of its worse eye (for Normal: its less normal eye), whose map explains it."
    )
