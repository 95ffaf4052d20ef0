"""`dcnet`: does it help when every place of one eye can look at every place of the other?

Li C. et al., "Dense correlation network for automated multi-label ocular disease detection with paired color fundus
photographs", ISBI 2020; He J. et al., "Multi-label ocular disease classification with a dense correlation deep neural
network", Biomedical Signal Processing and Control 63:102167, 2021.

| equation | here |
|---|---|
| Q = θ(F_L), K = φ(F_R), V = g(F_R), 1×1 convolutions of width d | `Correlation.attention`, `Correlation.forward` |
| F'_L = F_L + W(softmax(Q Kᵀ / sqrt(d)) V); F'_R the other way round | `SpatialCorrelation` |
| visit logits = FC([GAP F'_L, GAP F'_R]) | `DCNet.forward` |
| loss = -(1/C) Σ_c y log σ(z) + (1 - y) log(1 - σ(z)), mean over visits | `loss` |
| rivals on the same trunk: FC of GAP F_L + GAP F_R, their product, or both side by side | `Config.fusion` |

**Our reading.** The papers name the Spatial Correlation Module (SCM), "pixel to pixel", but we know no equations of it:
the form above, the same weights for both directions and d = K/2 are ours, each with a switch. The mean over classes is
taken over a visit's known labels. A missing eye's map is its fellow's.

FC is linear and the pooling a mean, so the mean of FC's map over F'_e is exactly what eye e adds to the visit's logit
(half the bias each; both for an eye alone, as it stands for its fellow). In: `Batch`. Out: `Output` with visit logits
(B, C), evidence (B, E, C, h, w), NaN for eyes not seen, None with `product`; no eye logits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from eyeground.batches import Batch, Output
from eyeground.errors import UsageError
from eyeground.losses.masked import binary_cross_entropy
from eyeground.nets.eyes import per_eye, stand_in
from eyeground.nets.positions import attend, position_attention
from eyeground.nets.trunk import make_trunk
from eyeground.settings import refuse_idle
from eyeground.vocabulary import Vocabulary

RECIPE: dict[str, Any] = {
    "size": 448,
    "epochs": 50,
    "optimizer": "sgd",
    "lr": 0.007,
    "schedule": "poly",
    "weight_decay": 1e-4,
    "rotate": 0.0,
    "shift": 0.07,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
    "clip": 0.0,
    "ema": 0.0,
    "select": "last",
}
"""That of AUBNet, by the same group. A random 448 crop of 512 moves the picture by up to 32 / 448 = 0.07."""


@dataclass(frozen=True)
class Config:
    """What defines a `dcnet` model."""

    trunk: str = "resnet101"
    """timm name of the trunk that both eyes share."""
    trunk_weights: str = "imagenet"
    """imagenet, none, or a safetensors file in timm's names."""
    fusion: Literal["scm", "sum", "product", "concat"] = "scm"
    """How two eyes become one visit: by spatial correlation (scm), or one of the papers' plain rivals."""
    scm_width: int = 0
    """Channels d of queries, keys and values; 0 is half of the trunk's."""
    scm_shared: bool = True
    """Left-asks-right and right-asks-left have the same weights."""
    residual: bool = True
    """What an eye gathers from its fellow is added to its own features, instead of replacing them."""
    scaled: bool = True
    """The products of queries and keys are divided by sqrt(d)."""

    def __post_init__(self) -> None:
        if self.scm_width < 0:
            raise UsageError(f"--scm-width must be 0 (half of the trunk's channels) or positive, not {self.scm_width}")
        if self.fusion != "scm":
            refuse_idle(self, ("scm_width", "scm_shared", "residual", "scaled"), f"--fusion {self.fusion}")


class Correlation(nn.Module):
    """One direction of the SCM: every place of an eye asks all places of its fellow."""

    def __init__(self, channels: int, width: int, residual: bool, scaled: bool) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Conv2d(channels, width, kernel_size=1) for _ in range(3))
        self.out = nn.Conv2d(width, channels, kernel_size=1)
        self.residual, self.scaled = residual, scaled

    def attention(self, asking: Tensor, asked: Tensor) -> Tensor:
        """(B, K, h, w) twice to (B, n, n)."""
        return position_attention(self.query(asking), self.key(asked), self.scaled)

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        gathered: Tensor = self.out(attend(self.attention(asking, asked), self.value(asked)))
        return asking + gathered if self.residual else gathered


class SpatialCorrelation(nn.Module):
    """Maps (B, 2, K, h, w) to maps of the same shape, each eye with what it found in the other."""

    def __init__(self, channels: int, config: Config) -> None:
        super().__init__()
        width = config.scm_width or max(1, channels // 2)
        count = 1 if config.scm_shared else 2
        made = (Correlation(channels, width, config.residual, config.scaled) for _ in range(count))
        self.directions = nn.ModuleList(made)

    def forward(self, maps: Tensor) -> Tensor:
        left, right = maps.unbind(1)
        return torch.stack([self.directions[0](left, right), self.directions[-1](right, left)], 1)


class DCNet(nn.Module):
    """The network; see the module's docstring."""

    def __init__(self, config: Config, vocabulary: Vocabulary, size: int) -> None:
        super().__init__()
        self.trunk = make_trunk(config.trunk, config.trunk_weights, size)
        self.fusion = config.fusion
        self.scm = SpatialCorrelation(self.trunk.channels, config) if config.fusion == "scm" else None
        sides = 2 if config.fusion in ("scm", "concat") else 1
        self.head = nn.Linear(sides * self.trunk.channels, len(vocabulary))

    def forward(self, batch: Batch) -> Output:
        seen = batch.seen  # (B, E)
        maps = stand_in(per_eye(self.trunk, batch.fundus, seen), seen)  # (B, E, K, h, w)
        if self.scm is not None:
            maps = self.scm(maps)
        if self.fusion == "product":
            return Output(self.head(maps.float().mean((3, 4)).prod(1)))
        weight = self.head.weight.unflatten(1, (-1, maps.shape[2])).expand(-1, 2, -1)  # (C, E, K)
        parts = torch.einsum("bekhw,cek->bechw", maps, weight).float() + self.head.bias[:, None, None] / 2
        alone = (seen & ~seen.flip(1))[..., None, None, None]
        shown = torch.where(alone, parts + parts.flip(1), parts)
        evidence = torch.where(seen[..., None, None, None], shown, torch.nan)
        return Output(parts.mean((3, 4)).sum(1), None, evidence)


def build(config: Config, vocabulary: Vocabulary, size: int) -> DCNet:
    """Makes the network. Raises `UsageError` for a trunk or weights that can't be had."""
    return DCNet(config, vocabulary, size)


def loss(model: nn.Module, batch: Batch, config: Config) -> dict[str, Tensor]:
    """Named parts: `visit`, the soft-margin loss, and `total`, the same.

    A known cell weighs one over its visit's number of known cells, so that each visit counts by its mean over classes.
    """
    output: Output = model(batch)
    share = 1 / batch.known.sum(1).clamp(min=1)  # (B,)
    weight = share if batch.weight is None else share * batch.weight
    visit = binary_cross_entropy(output.visit_logits, batch.labels, batch.known, weight=weight)
    return {"visit": visit, "total": visit}


def swap(config: Config) -> Literal["same", "differs"]:
    """Whether an exchange of left and right eye can change a visit's score."""
    return "same" if config.fusion in ("sum", "product") else "differs"


def maps(config: Config) -> str:
    """What the evidence maps explain, for the reading and the report."""
    alone = "The model gives no score of a single eye."
    if config.fusion == "product":
        return f"The visit's score comes from the product of both eyes' features; no exact map of it exists. {alone}"
    both = "The two eyes' maps together explain the visit's score exactly: their means add up to its logit."
    if config.fusion == "scm":
        both += " What stands at a place of one eye may rest on what the model found there in the other eye."
    return f"{both} {alone}"
