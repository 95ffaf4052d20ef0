"""`dual_efficientnet`: do two equalised views of a photograph, in colour and in grey, beat either alone?

Wang, Yang, Huo, He and Luo, "Multi-Label Classification of Fundus Images With EfficientNet", IEEE Access 8, 2020. The
photographs are histogram-equalised in colour and in grey, each view has an EfficientNet of its own, and the last
features of both are joined for one classifier:

| step | here |
|---|---|
| equalised views C = eq(RGB), G = eq(grey) in three channels | `nets.equalise`, as OpenCV's `equalizeHist` |
| F_C = trunk(C), F_G = trunk_grey(G) (n, K, h, w) | `DualEfficientNet._views` |
| feature: logits = W [GAP F_C; GAP F_G] + b | `DualEfficientNet.forward` |
| probability: p = (sigmoid(W_C GAP F_C + b_C) + sigmoid(W_G GAP F_G + b_G)) / 2 | `mean_probability` |
| loss = BCE(visit logits, visit labels), known cells only | `loss` |

How we differ: the paper's size of EfficientNet, pairing of the eyes, loss and recipe are not on record. Ours: B3; the
left and right photograph side by side in one picture twice as wide, equalised as one (an eye that is missing leaves its
half black, which is the level of the surround and so hardly moves the other half's histogram); or each eye by itself,
with [left, right] joined as features and the fellow's where an eye is missing. Equalisation is part of the network,
after augmentation, so that a bundle can't lose it. `fuse = probability` trains both views through their mean.

In: `Batch`. Out: `Output` with visit logits (B, C), no eye logits; evidence (B, E, C, h, w) side by side with features:
the halves of the picture's map, whose mean is the visit's logit.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eyeground.batches import Batch, Output
from eyeground.errors import UsageError
from eyeground.losses.masked import binary_cross_entropy
from eyeground.nets.equalise import COLOURS, grey
from eyeground.nets.eyes import per_eye, stand_in
from eyeground.nets.trunk import Trunk, make_trunk
from eyeground.settings import refuse_idle
from eyeground.vocabulary import Vocabulary

RECIPE: dict[str, Any] = {"size": 448}
"""Ours; the paper's is not on record."""


@dataclass(frozen=True)
class Config:
    """What defines a `dual_efficientnet` model."""

    trunk: str = "efficientnet_b3"
    """timm name of both trunks; side by side it must take pictures that are not square."""
    trunk_weights: str = "imagenet"
    """imagenet, none, or a safetensors file in timm's names."""
    pairing: Literal["side_by_side", "per_eye"] = "side_by_side"
    """side_by_side: both eyes in one picture twice as wide; per_eye: each by itself, features joined."""
    equalise: Literal["rgb", "y", "v"] = "rgb"
    """The colour view: each channel equalised, the luma Y, or the value V of HSV."""
    views: Literal["both", "colour", "grey"] = "both"
    """Both views, or one alone with one trunk."""
    fuse: Literal["feature", "probability"] = "feature"
    """feature: one classifier on both views' features; probability: the mean of two classifiers' probabilities."""
    dropout: float = 0.3
    """Part of the feature channels dropped in training, EfficientNet-B3's own."""

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise UsageError(f"--dropout must be in [0, 1), not {self.dropout}")
        if self.views != "both" and self.fuse == "probability":
            raise UsageError(f"--fuse probability needs two views; use --views both, not {self.views}")
        if self.views == "grey":
            refuse_idle(self, ("equalise",), "--views grey")


class DualEfficientNet(nn.Module):
    """The network; see the module's docstring. The head's convolutions are 1×1, one per classifier."""

    def __init__(self, config: Config, vocabulary: Vocabulary, size: int) -> None:
        super().__init__()
        self.config = config
        self.trunk = self.trunk_grey = None
        if config.views != "grey":
            self.trunk = make_trunk(config.trunk, config.trunk_weights, size)
        if config.views != "colour":
            self.trunk_grey = make_trunk(config.trunk, config.trunk_weights, size)
        trunks = [trunk for trunk in (self.trunk, self.trunk_grey) if trunk is not None]
        if config.pairing == "side_by_side":
            _require_wide(trunks[0], size)
        eyes = 1 if config.pairing == "side_by_side" else 2
        widths = [trunk.channels for trunk in trunks]
        joined = widths if config.fuse == "probability" else [sum(widths)]
        self.heads = nn.ModuleList(nn.Conv2d(eyes * width, len(vocabulary), kernel_size=1) for width in joined)
        self.dropout = nn.Dropout2d(config.dropout)

    def forward(self, batch: Batch) -> Output:
        if self.config.pairing == "side_by_side":
            views = self._views(side_by_side(batch.fundus, batch.seen))  # one or two of (B, K, h, 2 w)
        else:
            views = self._of_eyes(batch)  # (B, 2 K, 1, 1)
        if self.config.fuse == "feature":
            views = [torch.cat(views, 1)]
        maps = [head(self.dropout(view)).float() for head, view in zip(self.heads, views, strict=True)]
        logits = [one.mean((2, 3)) for one in maps]  # (B, C)
        if len(logits) == 2:
            return Output(mean_probability(*logits))
        width = maps[0].shape[3]
        if self.config.pairing == "per_eye" or width % 2:
            return Output(logits[0])
        halves = torch.stack([maps[0][..., : width // 2], maps[0][..., width // 2 :]], 1)  # (B, E, C, h, w)
        return Output(logits[0], None, torch.where(batch.seen[..., None, None, None], halves, torch.nan))

    def _views(self, pixels: Tensor) -> list[Tensor]:
        """The feature map of each view of pictures (n, 3, H, W)."""
        found = []
        if self.trunk is not None:
            found.append(self.trunk(COLOURS[self.config.equalise](pixels)))
        if self.trunk_grey is not None:
            found.append(self.trunk_grey(grey(pixels)))
        return found

    def _of_eyes(self, batch: Batch) -> list[Tensor]:
        """Pooled features of the left beside those of the right eye, for each view."""

        def pooled(pixels: Tensor) -> Tensor:
            return torch.stack([view.float().mean((2, 3)) for view in self._views(pixels)], 1)  # (n, views, K)

        both = stand_in(per_eye(pooled, batch.fundus, batch.seen), batch.seen)  # (B, E, views, K)
        return [view.flatten(1)[..., None, None] for view in both.unbind(2)]


def side_by_side(fundus: Tensor, seen: Tensor) -> Tensor:
    """(B, 2, 3, H, W) to one picture per visit (B, 3, H, 2 W), left eye first; the half of an eye not seen is black."""
    shown = torch.where(seen[:, :, None, None, None], fundus, 0.0)
    return torch.cat(shown.unbind(1), 3)


def mean_probability(first: Tensor, second: Tensor) -> Tensor:
    """The logit of the mean of two probabilities that are given as logits."""
    present = torch.logaddexp(F.logsigmoid(first), F.logsigmoid(second))
    return present - torch.logaddexp(F.logsigmoid(-first), F.logsigmoid(-second))


def _require_wide(trunk: Trunk, size: int) -> None:
    """Raises `UsageError` for a trunk that takes squares only, found out on a copy without memory or arithmetic."""
    probe = copy.deepcopy(trunk).to("meta").eval()
    try:
        with torch.no_grad():
            probe(torch.zeros(1, 3, size, 2 * size, device="meta"))
    except (RuntimeError, AssertionError):
        raise UsageError(
            f"trunk '{trunk.record.name}' takes square pictures only; use --pairing per_eye, or a convolutional trunk "
            "such as efficientnet_b3, resnet50 or convnext_tiny"
        ) from None


def build(config: Config, vocabulary: Vocabulary, size: int) -> DualEfficientNet:
    """Makes the network. Raises `UsageError` for a trunk or weights that can't be had, or squares only side by side."""
    return DualEfficientNet(config, vocabulary, size)


def loss(model: nn.Module, batch: Batch, config: Config) -> dict[str, Tensor]:
    """Named parts: `visit`, which is the `total`."""
    output: Output = model(batch)
    visit = binary_cross_entropy(output.visit_logits, batch.labels, batch.known, weight=batch.weight)
    return {"visit": visit, "total": visit}


def swap(config: Config) -> Literal["same", "differs"]:
    """Whether an exchange of left and right eye can change a visit's score: both pairings know left from right."""
    return "differs"


def maps(config: Config) -> str:
    """What the evidence maps explain, or why there are none."""
    if config.fuse == "probability":
        return (
            "There are no maps: the score is the mean of two classifiers' probabilities, which no one map adds up to."
        )
    if config.pairing == "per_eye":
        return (
            "There are no maps: the classifier weighs both eyes' pooled features, left and right by different weights."
        )
    return (
        "Each map is one eye's half of the map of both eyes side by side; with both eyes seen, the mean over both is "
        "the visit's logit. With one eye the black half has a part in the score that is not shown. A map of odd width "
        "can't be halved, and then there are none."
    )
