"""`aubnet`: does it help to weigh the two eyes, first each by itself, then each beside what both show?

J. He, C. Li, J. Ye, S. Wang, Y. Qiao & L. Gu, "Classification of ocular diseases employing attention-based unilateral
and bilateral feature weighting and fusion", ISBI 2020. A trunk gives every eye a feature vector f_e (d); two levels of
weights mix them to one vector, which two dense layers turn into the visit's logits.

| equation | here |
|---|---|
| f_e = GAP(trunk(eye e)) | `AubNet.features` |
| α_e = σ(w_a · f_e + b_a), the unilateral weight | `Weighing.unilateral` |
| g = Σ α_e f_e / Σ α_e, first level | `mix`, `shares` |
| β_e = σ(w_b · [f_e ; g] + b_b), the bilateral weight | `Weighing.bilateral` |
| ω_e = α_e β_e, h = Σ ω_e f_e / Σ ω_e | `Weighing.forward` |
| logits = W₂ relu(W₁ h + b₁) + b₂, d → 512 → C | `AubNet.classifier` |
| loss = mean binary cross-entropy of the known visit labels | `loss` |

`--fusion both` is the proposal, `first` has h = g, `second` has ω_e = β_e; `sum`, `product`, `concat` are its rivals.

**Our reading.** The paper tells the levels in words; the formulas follow Frame Attention Networks (Meng et al., ICIP
2019). Whether the sums are divided by the weights (`normalise`), whether α is kept (`keep_alpha`), what the dense
layers read (`head_input`), one weight per eye or per channel (`weight_shape`) and whether both eyes share the trunk
(`shared`) are switches. Relu between the dense layers, momentum, weight decay and batch size are ours. The paper
resizes to 512 and crops 448 at random; we have no separate crop: 448 pixels hold the whole field, and the ranges of
`zoom` and `shift` stand for it. An eye that is not seen has weight 0, its fellow decides alone; the rivals take the
fellow's vector in its place (`concat`: a learned one).

In: `Batch`. Out: `Output` with visit logits (B, C) alone; `eye_weights` gives α and β, (B, E) each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eyeground.batches import Batch, Output
from eyeground.errors import UsageError
from eyeground.losses.masked import binary_cross_entropy
from eyeground.nets.eyes import per_eye
from eyeground.nets.fusion_features import FEATURE_FUSIONS
from eyeground.nets.trunk import Trunk, make_trunk
from eyeground.vocabulary import Vocabulary

RECIPE: dict[str, Any] = {
    "size": 448,
    "epochs": 50,
    "optimizer": "sgd",
    "lr": 0.007,
    "schedule": "poly",
    "weight_decay": 1e-4,
    "clip": 0.0,
    "ema": 0.0,
    "select": "last",
    "shift": 0.07,
    "rotate": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
}
"""A random 448 crop of 512 moves the picture by up to 32 / 448 = 0.07; no other augmentation is told but mirroring."""

RIVALS = ("sum", "product", "concat")


@dataclass(frozen=True)
class Config:
    """What defines an `aubnet` model."""

    trunk: str = "resnet50"
    """timm name of the trunk; the paper has resnet18, resnet34, resnet50 and resnet101."""
    trunk_weights: str = "imagenet"
    """imagenet, none, or a safetensors file in timm's names."""
    fusion: Literal["sum", "product", "concat", "first", "second", "both"] = "both"
    """both levels of weights (the proposal), the first or the second alone, or a plain rival."""
    normalise: bool = True
    """Divide the weighted sums by the sum of the weights."""
    keep_alpha: bool = True
    """Off: both has omega = beta; second has a g of equal weights, and so no alpha at all."""
    head_input: Literal["h", "hg"] = "h"
    """The dense layers read h, or h beside g."""
    weight_shape: Literal["scalar", "channel"] = "scalar"
    """One weight for an eye, or one for each of its channels."""
    shared: bool = True
    """Both eyes through one trunk; off, the right eye has its own."""

    def __post_init__(self) -> None:
        if self.head_input == "hg" and self.fusion not in ("second", "both"):
            raise UsageError(f"--head-input hg needs a second level: --fusion both or second, not {self.fusion}")
        if not self.keep_alpha and self.fusion not in ("second", "both"):
            raise UsageError(f"--no-keep-alpha needs a second level: --fusion both or second, not {self.fusion}")
        if self.fusion in RIVALS and (self.weight_shape != "scalar" or not self.normalise):
            raise UsageError(f"--fusion {self.fusion} has no weights; leave --weight-shape and --no-normalise out")


def shares(log_weights: Tensor, seen: Tensor, normalise: bool) -> Tensor:
    """What every eye counts for in a sum: its weight, over the sum of weights when `normalise`; 0 if it is not seen.

    Args:
        log_weights: (B, E, 1 or d), logarithms, so that two tiny weights still have a ratio; seen: bool (B, E).
    """
    masked = log_weights.masked_fill(~seen[..., None], torch.finfo(log_weights.dtype).min)
    return torch.softmax(masked, dim=1) if normalise else masked.exp()


def mix(parts: Tensor, values: Tensor) -> Tensor:
    """Σ_e parts_e · f_e: (B, E, 1 or d) and (B, E, d) to (B, d)."""
    return (parts * values).sum(1)


class Weighing(nn.Module):
    """Two eyes' vectors to h and g, and the weights they were mixed with."""

    def __init__(self, config: Config, channels: int) -> None:
        super().__init__()
        self.config = config
        wide = channels if config.weight_shape == "channel" else 1
        self.has_alpha = config.fusion != "second" or config.keep_alpha
        self.alpha = nn.Linear(channels, wide) if self.has_alpha else None
        self.beta = nn.Linear(2 * channels, wide) if config.fusion != "first" else None

    def unilateral(self, features: Tensor) -> Tensor:
        """log α, (B, E, 1 or d); of equal weights when there is none."""
        if self.alpha is None:
            return torch.zeros_like(features[..., :1])
        return F.logsigmoid(self.alpha(features).float())

    def bilateral(self, features: Tensor, g: Tensor) -> Tensor:
        """log β from every eye beside g, (B, E, 1 or d)."""
        assert self.beta is not None
        beside = g[:, None].expand_as(features)
        return F.logsigmoid(self.beta(torch.cat([features, beside], dim=2)).float())

    def forward(self, features: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """features (B, E, d), NaN where not seen, to h (B, d), g (B, d), α and β (B, E, 1 or d), NaN where none."""
        kept = torch.where(seen[..., None], features, 0.0)
        normalise = self.config.normalise
        log_alpha = self.unilateral(kept)
        g = mix(shares(log_alpha, seen, normalise), kept)
        if self.beta is None:
            return g, g, log_alpha.exp(), torch.full_like(log_alpha, torch.nan)
        log_beta = self.bilateral(kept, g)
        twice = self.config.fusion == "both" and self.config.keep_alpha
        h = mix(shares(log_alpha + log_beta if twice else log_beta, seen, normalise), kept)
        alpha = log_alpha.exp() if self.has_alpha else torch.full_like(log_alpha, torch.nan)
        return h, g, alpha, log_beta.exp()


class AubNet(nn.Module):
    """The network; see the module's docstring."""

    def __init__(self, config: Config, vocabulary: Vocabulary, size: int) -> None:
        super().__init__()
        self.trunk = make_trunk(config.trunk, config.trunk_weights, size)
        self.trunk_right = None if config.shared else make_trunk(config.trunk, config.trunk_weights, size)
        channels = self.trunk.channels
        self.config = config
        self.weighing = Weighing(config, channels) if config.fusion not in RIVALS else None
        self.rival = FEATURE_FUSIONS[config.fusion](channels) if config.fusion in RIVALS else None
        wide = self.rival.channels if self.rival is not None else channels * len(config.head_input)
        self.classifier = nn.Sequential(nn.Linear(wide, 512), nn.ReLU(), nn.Linear(512, len(vocabulary)))

    def features(self, batch: Batch) -> Tensor:
        """f, (B, E, d), NaN where an eye is not seen."""
        if self.trunk_right is None:
            return per_eye(partial(_pooled, self.trunk), batch.fundus, batch.seen)
        left = per_eye(partial(_pooled, self.trunk), batch.fundus[:, :1], batch.seen[:, :1])
        right = per_eye(partial(_pooled, self.trunk_right), batch.fundus[:, 1:], batch.seen[:, 1:])
        return torch.cat([left, right], dim=1)

    def forward(self, batch: Batch) -> Output:
        features = self.features(batch)
        if self.weighing is None:
            assert self.rival is not None
            return Output(self.classifier(self.rival(features, batch.seen)))
        h, g, _, _ = self.weighing(features, batch.seen)
        return Output(self.classifier(torch.cat([h, g], dim=1) if self.config.head_input == "hg" else h))


def _pooled(trunk: Trunk, pixels: Tensor) -> Tensor:
    """(n, 3, H, W) to (n, d)."""
    pooled: Tensor = trunk(pixels).float().mean((2, 3))
    return pooled


def eye_weights(model: AubNet, batch: Batch) -> tuple[Tensor, Tensor]:
    """α and β of every eye, (B, E) each in (0, 1), NaN where an eye is not seen or the fusion has no such level.

    Weights of channels are told by their mean. Raises `UsageError` for a fusion without weights.
    """
    if model.weighing is None:
        raise UsageError(
            f"fusion '{model.config.fusion}' has no eye weights; train with --fusion first, second or both"
        )
    _, _, alpha, beta = model.weighing(model.features(batch), batch.seen)
    told = [torch.where(batch.seen, weights.mean(2), torch.nan) for weights in (alpha, beta)]
    return told[0], told[1]


def build(config: Config, vocabulary: Vocabulary, size: int) -> AubNet:
    """Makes the network. Raises `UsageError` for a trunk or weights that can't be had."""
    return AubNet(config, vocabulary, size)


def loss(model: nn.Module, batch: Batch, config: Config) -> dict[str, Tensor]:
    """Named parts: `visit`, which is all of `total`."""
    visit = binary_cross_entropy(model(batch).visit_logits, batch.labels, batch.known, weight=batch.weight)
    return {"visit": visit, "total": visit}


def swap(config: Config) -> Literal["same", "differs"]:
    """Whether an exchange of left and right eye can change a visit's score."""
    return "same" if config.shared and config.fusion != "concat" else "differs"


def maps(config: Config) -> str:
    """Why there are no evidence maps."""
    why = (
        "There are no maps: two dense layers with a relu read the fused vector, so no sum over places gives the logit."
    )
    return why if config.fusion in RIVALS else f"{why} `eyeground weights` tells how much each eye counted."
