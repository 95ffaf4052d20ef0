"""`bfpc_net`: do attention in the last stage and a convolution over both eyes' joined maps help?

Li Zhenwei et al., "Multi-Label Fundus Image Classification Using Attention Mechanisms and Feature Fusion",
Micromachines 13(6):947, 2022, DOI 10.3390/mi13060947; later literature calls it BFPC-Net. Both photographs are
enhanced, a ResNet-50 with attention describes each eye, the two descriptions are fused, and a softmax classifies.

| equation | here |
|---|---|
| F_e = trunk up to stride 16 (1024 × 14 × 14 at 224 px) | `make_trunk(..., stages=(16,))` |
| R = conv1x1 conv3x3 conv1x1 F (1024 to 256 to 1024), A_e = ReLU(F + M_s · M_c · R) | `nets.cbam.GatedBottleneck` |
| G = conv1x1 ReLU(BN conv3x3 [A_left ; A_right]) | `Fusion` |
| z = W GAP(ReLU(s · G)) + b, s a learned number that starts at 0.5 | `BfpcNet.forward` |
| binary: L = Σ_c BCE(sigmoid z_c, y_c) over known cells | `loss` |
| softmax: L = -Σ_c (y_c / Σ y) log softmax(z)_c, over known labels | `losses.softmax` |

**Our reading.** The abstract alone is certain: enhancement, ResNet-50 with attention, fusion, softmax. The attention
block (stride 16 is kept: it adds its residual to the very map it reads), the fusion's form and s come from a later
re-implementation; the fusion's width, CLAHE and the recipe are ours. With `attention` none the trunk keeps its own last
stage (2048 channels, stride 32): the plain ResNet-50 that the attention is compared with; `ungated` is the same
bottleneck without gates. A softmax cannot hold two labels at 0.5, so `binary` (eight softmaxes over yes and no) is the
default; for `softmax` the decision rule is neither > 1/C nor relative to the largest, but the threshold of each label
that the bundle chose on validation. Its visit logits are log p/(1 - p) of the softmax's p. A missing fellow eye's map
is replaced by that of the seen eye.

In: `Batch`. Out: `Output` with visit logits (B, C); with `fusion` none also eye logits (B, E, C) and, for the binary
head, their exact evidence (B, E, C, h, w).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eyeground.batches import Batch, Output
from eyeground.errors import UsageError
from eyeground.losses.masked import binary_cross_entropy, require_eye_labels
from eyeground.losses.softmax import sigmoid_logits, softmax_cross_entropy
from eyeground.nets.cbam import ChannelGate, GatedBottleneck, cbam
from eyeground.nets.eyes import per_side, stand_in
from eyeground.nets.fusion import max_logits
from eyeground.nets.trunk import Trunk, make_trunk
from eyeground.settings import refuse_idle
from eyeground.vocabulary import Vocabulary

RECIPE: dict[str, Any] = {
    "size": 224,
    "enhance": ("clahe",),
    "epochs": 50,
    "optimizer": "adam",
    "lr": 1e-4,
    "schedule": "constant",
    "weight_decay": 0.0,
}
"""All ours: nothing of the recipe is reported. Adam as its authors give it, without decay, at one rate."""


Run = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Config:
    """What defines a BFPC-Net and its loss."""

    trunk: str = "resnet50"
    """timm name of the trunk; but with --attention none it needs a stage with stride 16."""
    trunk_weights: str = "imagenet"
    """imagenet, none, or a safetensors file in timm's names."""
    attention: Literal["cbam_residual", "se", "ungated", "none"] = "cbam_residual"
    """What stands in place of the trunk's last stage: a bottleneck with channel and spatial gate, with the channel gate
    alone, or without gates; none is the trunk's own last stage."""
    channel_pools: Literal["mean", "mean_max"] = "mean"
    """What the channel gate looks at: the mean of each map, or its maximum too, as in CBAM."""
    fusion: Literal["concat_conv", "none"] = "concat_conv"
    """Convolutions over both eyes' joined maps; none judges each eye by itself and takes the worse one."""
    fusion_channels: int = 512
    """Channels of the fused map."""
    shared: bool = True
    """One trunk and attention for both eyes, or one for each side."""
    head: Literal["binary", "softmax"] = "binary"
    """One yes or no for each label, or one softmax over all labels trained on targets y / sum(y)."""

    def __post_init__(self) -> None:
        if self.fusion_channels < 1:
            raise UsageError(f"--fusion-channels must be at least 1, not {self.fusion_channels}")
        if self.attention in ("ungated", "none"):
            refuse_idle(self, ("channel_pools",), f"--attention {self.attention}")


class Fusion(nn.Module):
    """[A_left ; A_right] (B, 2 K, h, w) to s · G (B, `channels`, h, w)."""

    def __init__(self, channels: int, wanted: int) -> None:
        super().__init__()
        self.joined = nn.Sequential(
            nn.Conv2d(2 * channels, wanted, 3, padding=1, bias=False),
            nn.BatchNorm2d(wanted),
            nn.ReLU(),
            nn.Conv2d(wanted, wanted, 1),
        )
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, maps: Tensor) -> Tensor:
        return self.scale * self.joined(maps)


class BfpcNet(nn.Module):
    """The network; see the module's docstring."""

    every: Tensor

    def __init__(self, config: Config, vocabulary: Vocabulary, size: int) -> None:
        super().__init__()
        if config.head == "softmax" and len(vocabulary) < 2:
            raise UsageError("--head softmax needs two labels or more; with one use --head binary")
        self.head_kind = config.head
        self.trunk, self.attention = _stream(config, size)
        self.trunk_right: Trunk | None = None
        self.attention_right: nn.Module | None = None
        if not config.shared:
            self.trunk_right, self.attention_right = _stream(config, size)
        channels = self.trunk.channels
        self.fusion = Fusion(channels, config.fusion_channels) if config.fusion == "concat_conv" else None
        self.head = nn.Linear(channels if self.fusion is None else config.fusion_channels, len(vocabulary))
        every = torch.tensor([label.visit == "all" for label in vocabulary.labels])
        self.register_buffer("every", every, persistent=False)

    def forward(self, batch: Batch) -> Output:
        if self.fusion is not None:
            maps = self._each(self._left, self._right, batch)  # (B, E, K, h, w)
            joined = self.fusion(stand_in(maps, batch.seen).flatten(1, 2))  # (B, 2 K, h, w) to (B, F, h, w)
            return Output(self._logits(self.head(torch.relu(joined).mean((2, 3))).float()))
        evidence = self._each(lambda x: self._cam(self._left(x)), lambda x: self._cam(self._right(x)), batch)
        eye_logits = self._logits(evidence.mean((3, 4)))  # (B, E, C)
        visit_logits = max_logits(eye_logits, batch.seen, self.every)
        return Output(visit_logits, eye_logits, evidence if self.head_kind == "binary" else None)

    def _each(self, left: Run, right: Run, batch: Batch) -> Tensor:
        """Every seen eye through the network of its side; the same for both where trunks are shared."""
        return per_side(left, left if self.trunk_right is None else right, batch.fundus, batch.seen)

    def _left(self, pixels: Tensor) -> Tensor:
        return self.attention(self.trunk(pixels))

    def _right(self, pixels: Tensor) -> Tensor:
        assert self.trunk_right is not None and self.attention_right is not None
        return self.attention_right(self.trunk_right(pixels))

    def _cam(self, maps: Tensor) -> Tensor:
        """The head at every place, (n, C, h, w): its mean is the head on the mean of the maps."""
        return F.conv2d(maps, self.head.weight[..., None, None], self.head.bias).float()

    def _logits(self, scores: Tensor) -> Tensor:
        return sigmoid_logits(scores) if self.head_kind == "softmax" else scores


def _stream(config: Config, size: int) -> tuple[Trunk, nn.Module]:
    """The trunk and what follows it: the attention in place of its last stage, or nothing after a whole trunk."""
    if config.attention == "none":
        return make_trunk(config.trunk, config.trunk_weights, size), nn.Identity()
    trunk = make_trunk(config.trunk, config.trunk_weights, size, stages=(16,))
    pools = ("mean", "max") if config.channel_pools == "mean_max" else ("mean",)
    gate: nn.Module = nn.Identity()
    if config.attention == "se":
        gate = ChannelGate(trunk.channels, pools=pools)
    elif config.attention == "cbam_residual":
        gate = cbam(trunk.channels, pools=pools)
    return trunk, GatedBottleneck(trunk.channels, gate)


def build(config: Config, vocabulary: Vocabulary, size: int) -> BfpcNet:
    """Makes the network. Raises `UsageError` for a trunk or weights that can't be had."""
    return BfpcNet(config, vocabulary, size)


def start(model: nn.Module, config: Config, labels: Tensor, known: Tensor) -> None:
    """Refuses without fusion training eyes (n, C) of which no label is known: nothing would be learnt."""
    if config.fusion == "none":
        require_eye_labels(known)


def loss(model: nn.Module, batch: Batch, config: Config) -> dict[str, Tensor]:
    """`total`, also under the name of what it is on: the visit, or without fusion each `eye` by itself."""
    output: Output = model(batch)
    name, logits, labels, known = "visit", output.visit_logits, batch.labels, batch.known
    if config.fusion == "none":
        assert output.eye_logits is not None
        name, logits, labels, known = "eye", output.eye_logits, batch.eye_labels, batch.eye_known
    if config.head == "binary":
        value = binary_cross_entropy(logits, labels, known, weight=batch.weight)
    else:  # log p is a softmax's logit, too
        here = known if config.fusion == "concat_conv" else known & batch.seen[..., None]
        safe = torch.where(here, logits, 0.0)
        value = softmax_cross_entropy(F.logsigmoid(safe), labels, here, batch.weight)
    return {name: value, "total": value}


def swap(config: Config) -> Literal["same", "differs"]:
    """The convolution knows its sides; single eyes through one trunk do not."""
    return "same" if config.fusion == "none" and config.shared else "differs"


def maps(config: Config) -> str:
    """What the evidence maps explain, for the reading and the report."""
    if config.fusion == "concat_conv":
        return (
            "There are no maps: both eyes' features are mixed place by place before they are judged, "
            "so no part of the score belongs to one eye's picture."
        )
    if config.head == "softmax":
        return (
            "There are no maps: in a softmax every label's score depends on all others, so no exact map of it exists."
        )
    return (
        "Each map explains its eye's score exactly: its mean is the eye's logit. The visit's score is that of its "
        "worse eye (for Normal: its less normal eye), whose map explains it."
    )
