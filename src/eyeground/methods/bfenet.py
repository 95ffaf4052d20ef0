"""`bfenet`: does an eye see more when it may ask a joint map of both, and at several scales?

Ou X., Gao L., Quan X., Zhang H., Yang J., Li W., "BFENet: A two-stream interaction CNN method for multi-label
ophthalmic diseases classification with bilateral fundus images", Computer Methods and Programs in Biomedicine
219:106739, 2022.

| equation | here |
|---|---|
| F_e = trunk(x_e), (K, h, w), 14 × 14 at 448 px and stride 32 | `BFENet.forward` |
| M_e = ReLU(BN([conv3×3 of F_e with dilation 1; 2; 4])), (K/2, h, w) | `Scales`, for both eyes `MultiScale` |
| G = φ(BN(conv1×1[M_L; M_R])), φ = LeakyReLU 0.1 | `FeatureEnhancement.pair` |
| Q_e = φ(conv1×1_e M_e), K = φ(conv1×1 G), V = φ(conv1×1 G); Q and K of K/8 channels | `FeatureEnhancement` |
| E_e = M_e + conv1×1(softmax(Q_e Kᵀ / sqrt(K/8)) V) | `FeatureEnhancement.forward` |
| visit logits = FC([GAP F_e; GAP M_e; GAP E_e] of both eyes), 4 K → 2 K → K/4 → C | `BFENet.head` |
| loss = binary cross-entropy of the visit, known labels only | `loss` |

**Our reading.** The paper names the modules and 82.6 million parameters, not the widths. The three branches share K/2
channels (341 + 341 + 342 of a ResNet-50's 1024) without a merging convolution, with one set of weights for both eyes,
because this comes closest to that number; the head's 8192 inputs are the three pooled maps of both eyes. Other trunks
keep the proportions to K. Switched off, `multiscale` leaves a plain 1×1 convolution to K/2 channels before the
enhancement, and the head reads no map of it; with both modules off, it is the two streams side by side. A missing eye's
maps are its fellow's. In: `Batch`. Out: `Output` with visit logits (B, C); no eye logits, no evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from eyeground.batches import Batch, Output
from eyeground.errors import UsageError
from eyeground.losses.masked import binary_cross_entropy
from eyeground.nets.cbam import SpatialGate
from eyeground.nets.eyes import per_eye, per_side, stand_in
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
    "clip": 0.0,
    "ema": 0.0,
    "select": "last",
}
"""Poly schedule, 16 visits a step, 50 epochs; optimiser and rate are not known to us and those of AUBNet."""


@dataclass(frozen=True)
class Config:
    """What defines a `bfenet` model."""

    trunk: str = "resnet50"
    """timm name of the trunk that both eyes share."""
    trunk_weights: str = "imagenet"
    """imagenet, none, or a safetensors file in timm's names."""
    multiscale: bool = True
    """The module of dilated convolutions (MS)."""
    enhancement: bool = True
    """The module in which each eye asks the map of both (FE)."""
    order: Literal["ms_fe", "fe_ms"] = "ms_fe"
    """Which of the two comes first."""
    ms_branch: int = 0
    """Channels of each branch of MS; 0 shares half of the trunk's channels among them (341 + 341 + 342)."""
    ms_merge: bool = False
    """A 1x1 convolution merges the branches to half of the trunk's channels."""
    ms_shared: bool = True
    """Both eyes have the same MS."""
    ms_1x1: bool = False
    """A fourth branch of MS, a 1x1 convolution."""
    spatial_attention: bool = False
    """Every place of MS's map is weighed by a gate over its channels' mean and maximum (CBAM; Woo et al., 2018)."""
    head_input: Literal["8192", "4096"] = "8192"
    """8192: the pooled maps of trunk, MS and FE; 4096: of MS and FE alone (as counted with a ResNet-50)."""
    dropout: float = 0.5
    """Part of the head's hidden values dropped in training."""

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise UsageError(f"--dropout must be in [0, 1), not {self.dropout}")
        if self.ms_branch < 0:
            raise UsageError(f"--ms-branch must be 0 (shared among the branches) or positive, not {self.ms_branch}")
        if not self.multiscale and (self.spatial_attention or self.ms_1x1 or self.ms_merge or self.ms_branch):
            raise UsageError(
                "--ms-branch, --ms-merge, --ms-1x1 and --spatial-attention need --multiscale; leave them out"
            )
        if not self.multiscale:
            refuse_idle(self, ("ms_shared", "order"), "--no-multiscale")
        if not self.enhancement:
            refuse_idle(self, ("order",) if self.multiscale else ("head_input",), "--no-enhancement")


class Scales(nn.Module):
    """(n, K, h, w) to (n, `channels`, h, w): one eye's parallel convolutions of growing reach."""

    def __init__(self, channels: int, whole: int, config: Config) -> None:
        super().__init__()
        reach = [(1, 1)] * config.ms_1x1 + [(3, 1), (3, 2), (3, 4)]  # kernel, dilation
        ends = [i * whole // len(reach) for i in range(len(reach) + 1)]
        widths = [config.ms_branch or end - start for start, end in pairwise(ends)]
        self.branches = nn.ModuleList(
            nn.Conv2d(channels, width, kernel, padding=kernel // 2 * dilation, dilation=dilation, bias=False)
            for width, (kernel, dilation) in zip(widths, reach, strict=True)
        )
        self.channels = whole if config.ms_merge else sum(widths)
        after: list[nn.Module] = [nn.BatchNorm2d(sum(widths)), nn.ReLU()]
        after += [narrow(sum(widths), whole)] if config.ms_merge else []
        after += [SpatialGate()] if config.spatial_attention else []
        self.after = nn.Sequential(*after)

    def forward(self, maps: Tensor) -> Tensor:
        found: Tensor = self.after(torch.cat([branch(maps) for branch in self.branches], 1))
        return found


class MultiScale(nn.Module):
    """MS of two eyes, (B, 2, K, h, w) to (B, 2, `channels`, h, w), NaN where an eye is not `seen`."""

    def __init__(self, channels: int, whole: int, config: Config) -> None:
        super().__init__()
        eyes = [Scales(channels, whole, config) for _ in range(1 if config.ms_shared else 2)]
        self.eyes, self.channels = nn.ModuleList(eyes), eyes[0].channels

    def forward(self, maps: Tensor, seen: Tensor) -> Tensor:
        return per_side(self.eyes[0], self.eyes[-1], maps, seen)


class FeatureEnhancement(nn.Module):
    """FE, (B, 2, M, h, w) to the same shape: what each eye finds in the map of both is added to it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 4)
        pair = nn.Conv2d(2 * channels, channels, 1, bias=False)
        self.pair = nn.Sequential(pair, nn.BatchNorm2d(channels), nn.LeakyReLU(0.1))
        self.query = nn.ModuleList(_leaky(channels, inner) for _ in range(2))
        self.key, self.value = _leaky(channels, inner), _leaky(channels, channels)
        self.out = nn.Conv2d(channels, channels, 1)

    def attention(self, maps: Tensor, joint: Tensor) -> list[Tensor]:
        """Of left and right eye (B, n, n): how much each place of the eye takes from each place of the joint map."""
        key = self.key(joint)
        return [position_attention(ask(eye), key) for ask, eye in zip(self.query, maps.unbind(1), strict=True)]

    def forward(self, maps: Tensor, seen: Tensor) -> Tensor:
        maps = stand_in(maps, seen)
        joint = self.pair(maps.flatten(1, 2))  # (B, M, h, w)
        value = self.value(joint)
        return maps + torch.stack([self.out(attend(rows, value)) for rows in self.attention(maps, joint)], 1)


class BFENet(nn.Module):
    """The network; see the module's docstring."""

    def __init__(self, config: Config, vocabulary: Vocabulary, size: int) -> None:
        super().__init__()
        self.trunk = make_trunk(config.trunk, config.trunk_weights, size)
        channels = width = self.trunk.channels
        whole = max(4, channels // 2)
        self.narrow = self.multiscale = self.enhancement = None
        self.first = config.order if config.multiscale else "fe_ms"
        if config.enhancement and self.first == "fe_ms":
            self.narrow, width = narrow(channels, whole), whole
        widths = []
        if config.multiscale:
            self.multiscale = MultiScale(width, whole, config)
            widths.append(self.multiscale.channels)
        if config.enhancement:
            widths.append(whole if self.narrow is not None else widths[0])
            self.enhancement = FeatureEnhancement(widths[-1])
        self.reads_trunk = config.head_input == "8192" or not widths
        read = 2 * (sum(widths) + channels * self.reads_trunk)
        self.head = nn.Sequential(
            *(nn.Linear(read, 2 * channels), nn.ReLU(), nn.Dropout(config.dropout)),
            *(nn.Linear(2 * channels, max(1, channels // 4)), nn.ReLU(), nn.Dropout(config.dropout)),
            nn.Linear(max(1, channels // 4), len(vocabulary)),
        )

    def forward(self, batch: Batch) -> Output:
        seen = batch.seen  # (B, E)
        maps = per_eye(self.trunk, batch.fundus, seen)  # (B, E, K, h, w)
        pooled = [maps.mean((3, 4))] if self.reads_trunk else []
        if self.narrow is not None:
            maps = per_eye(self.narrow, maps, seen)
        steps = (self.multiscale, self.enhancement)
        for step in steps if self.first == "ms_fe" else steps[::-1]:
            if step is not None:
                maps = step(maps, seen)
                pooled.append(maps.mean((3, 4)))
        return Output(self.head(stand_in(torch.cat(pooled, 2), seen).flatten(1)))


def narrow(channels: int, wanted: int) -> nn.Sequential:
    """A 1×1 convolution with batch normalisation and ReLU."""
    return nn.Sequential(nn.Conv2d(channels, wanted, 1, bias=False), nn.BatchNorm2d(wanted), nn.ReLU())


def _leaky(channels: int, wanted: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, wanted, 1), nn.LeakyReLU(0.1))


def build(config: Config, vocabulary: Vocabulary, size: int) -> BFENet:
    """Makes the network. Raises `UsageError` for a trunk or weights that can't be had."""
    return BFENet(config, vocabulary, size)


def loss(model: nn.Module, batch: Batch, config: Config) -> dict[str, Tensor]:
    """Named parts: `visit` and `total`, the same."""
    output: Output = model(batch)
    visit = binary_cross_entropy(output.visit_logits, batch.labels, batch.known, weight=batch.weight)
    return {"visit": visit, "total": visit}


def swap(config: Config) -> Literal["same", "differs"]:
    """Whether an exchange of left and right eye can change a visit's score."""
    return "differs"


def maps(config: Config) -> str:
    """Why there are no evidence maps, for the reading and the report."""
    return (
        "The visit's score comes from both eyes' features through several dense layers; no exact map of it exists. "
        "The model gives no score of a single eye."
    )
