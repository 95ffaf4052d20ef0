"""`dkcnet`: does a block of dilated convolutions behind the trunk help, once rare diseases are shown more often?

Bhati, Gour, Khanna, Ojha, "Discriminative Kernel Convolution Network for Multi-Label Ophthalmic Disease Detection on
Imbalanced Fundus Image Dataset", Computers in Biology and Medicine 153:106519, 2023 (arXiv 2207.07918). A network of
single photographs with the labels of their own eye:

| the paper | here |
|---|---|
| F = last feature map of InceptionResNet-v2, Inception-v3 or a ResNet, ImageNet weights | `nets.trunk.make_trunk` |
| S = channel shuffle of F | `nets.dkc.channel_shuffle` |
| P_d = ReLU(BN(2 x 2 convolution of S with dilation d)), d = 2, 3, 4 | `nets.dkc.DilatedBranch` |
| products of R and the P_d "in turn", dropout 0.3 | `nets.dkc.DkcBlock` |
| squeeze-excitation x · sigmoid(W2 ReLU(W1 GAP(x))) | `nets.dkc.SqueezeExcitation` |
| logits = FC(GAP), sigmoid | `DkcNet.evidence`, whose mean is FC(GAP) |
| loss = binary cross-entropy, summed over the eight labels | `loss` |
| over-sampling M = N (1 + k), under-sampling M = N / k | `sampling.balance`, recipe field `balance` |

**Our reading where the paper is silent, and where we differ.** R is the shuffled map; "in turn" is read as separate
products R·P_2 + R·P_3 + R·P_4 (`--product chained` is R·P_2·P_3·P_4); convolutions are dense, for the reported size is
far above what depthwise ones give; 8 shuffle groups and an excitation ratio of 16. The loss is the *sum* over labels as
printed: C times the mean over known cells, so that an unknown label counts as one of average loss (`--reduction mean`
is Keras' habit; with SGD and no clipping the two differ by a factor C in the step). Of SGD the paper gives rate and
decay only; momentum is 0.9, no weight decay. Repeats of a row are augmented anew whenever they are drawn, after the
split, where the paper wrote augmented copies, which seem to have been parted as if they were other photographs
(docs/protocols.md). A visit's logit is that of its worse eye (Normal: the less normal one); the paper judges eyes.

In: `Batch`. Out: `Output` with visit logits (B, C), eye logits (B, E, C), evidence (B, E, C, h, w): the excitation
weighs channels once per photograph, so the map stays linear up to the mean and explains the eye's logit exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from eyeground.batches import Batch, Output
from eyeground.errors import UsageError
from eyeground.losses.masked import binary_cross_entropy, require_eye_labels
from eyeground.nets.dkc import DkcBlock, DkcChoices
from eyeground.nets.eyes import per_eye_each
from eyeground.nets.fusion import LOGIT_FUSIONS
from eyeground.nets.trunk import make_trunk
from eyeground.settings import refuse_idle
from eyeground.vocabulary import Vocabulary

RECIPE: dict[str, Any] = {
    "unit": "eye",
    "balance": "over",
    "size": 224,
    "epochs": 100,
    "optimizer": "sgd",
    "lr": 5e-4,
    "schedule": "inverse",
    "weight_decay": 0.0,
    "clip": 0.0,
    "ema": 0.0,
    "select": "last",
}
"""The paper's: SGD 5e-4 with decay 1e-6 a step, 100 epochs of batches of 16 photographs at 224 px, over-sampled.

The last epoch is kept, since the paper's 80/20 has no validation part to choose one on.
"""


@dataclass(frozen=True)
class Config:
    """What defines a `dkcnet` model and its loss."""

    trunk: str = "inception_resnet_v2"
    """timm name of the trunk; the paper also has resnet101 and inception_v3."""
    trunk_weights: str = "imagenet"
    """imagenet, none, or a safetensors file in timm's names."""
    block: bool = True
    """The DKC block behind the trunk; False is the trunk alone with the same head, to tell what the block adds."""
    product: Literal["separate", "chained"] = "separate"
    """Products of R and the branches: R·P2 + R·P3 + R·P4, or R·P2·P3·P4."""
    r_source: Literal["shuffled", "trunk"] = "shuffled"
    """R: the shuffled map that the branches read, or the trunk's own."""
    dconv: Literal["dense", "depthwise"] = "dense"
    """Dilated convolutions over all channels, or over each by itself."""
    groups: int = 8
    """Groups of the channel shuffle; must divide the trunk's channels."""
    se_ratio: int = 16
    """The squeeze has a channel for so many of the map's."""
    dropout: float = 0.3
    """Part of the products dropped in training."""
    reduction: Literal["sum", "mean"] = "sum"
    """Binary cross-entropy summed over the labels as the paper writes it, or its mean."""

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise UsageError(f"--dropout must be in [0, 1), not {self.dropout}")
        for name in ("groups", "se_ratio"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name.replace('_', '-')} must be at least 1, not {getattr(self, name)}")
        if not self.block:
            refuse_idle(self, ("product", "r_source", "dconv"), "--no-block")

    def choices(self) -> DkcChoices:
        """The block's part."""
        return DkcChoices(self.product, self.r_source, self.dconv, self.groups, self.se_ratio, self.dropout)


class DkcNet(nn.Module):
    """The network; see the module's docstring."""

    every: Tensor

    def __init__(self, config: Config, vocabulary: Vocabulary, size: int) -> None:
        super().__init__()
        self.trunk = make_trunk(config.trunk, config.trunk_weights, size)
        channels = self.trunk.channels
        self.block: nn.Module = DkcBlock(channels, config.choices()) if config.block else nn.Identity()
        self.evidence = nn.Conv2d(channels, len(vocabulary), kernel_size=1)
        every = torch.tensor([label.visit == "all" for label in vocabulary.labels])
        self.register_buffer("every", every, persistent=False)

    def forward(self, batch: Batch) -> Output:
        maps, eye_logits = per_eye_each(self._eye, batch.fundus, batch.seen)  # (B, E, C, h, w), (B, E, C)
        return Output(LOGIT_FUSIONS["max"](eye_logits, batch.seen, self.every), eye_logits, maps)

    def _eye(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.evidence(self.block(self.trunk(pixels))).float()  # (n, C, h, w)
        return maps, maps.mean((2, 3))


def build(config: Config, vocabulary: Vocabulary, size: int) -> DkcNet:
    """Makes the network. Raises `UsageError` for a trunk, weights or groups that can't be had."""
    return DkcNet(config, vocabulary, size)


def start(model: nn.Module, config: Config, labels: Tensor, known: Tensor) -> None:
    """Refuses training eyes (n, C) of which no label is known: nothing would be learnt."""
    require_eye_labels(known)


def loss(model: nn.Module, batch: Batch, config: Config) -> dict[str, Tensor]:
    """The part `eye`, and `total`: its sum over the labels, or itself."""
    output: Output = model(batch)
    assert output.eye_logits is not None
    eye = binary_cross_entropy(output.eye_logits, batch.eye_labels, batch.eye_known, weight=batch.weight)
    return {"eye": eye, "total": eye * (batch.eye_labels.shape[-1] if config.reduction == "sum" else 1)}


def swap(config: Config) -> Literal["same", "differs"]:
    """Eyes are read one by one and the worse one decides."""
    return "same"


def maps(config: Config) -> str:
    """What the evidence maps explain, for the reading and the report."""
    return (
        "Each map explains its eye's score exactly: its mean is the eye's logit. The visit's score is that of its "
        "worse eye (for Normal: its less normal eye), whose map explains it."
    )
