"""`odir_benchmark`: how far do standard trunks and the three simplest fusions of two eyes go?

N. Li, T. Li, C. Hu, K. Wang & H. Kang, "A benchmark of ocular disease intelligent recognition: one shot for
multi-disease detection", Bench 2020 (arXiv 2102.07978). Every trunk of a zoo (VGG-16, ResNet, Inception-v4, DenseNet)
with every fusion; a linear layer gives the visit's logits. Sum and Inception-v4 came out best.

| equation | here |
|---|---|
| f_e = GAP(F_e), F_e = trunk(eye e) | `BenchmarkNet.forward` |
| f = f_L + f_R, f_L · f_R or [f_L ; f_R] | `nets.fusion_features.FEATURE_FUSIONS` |
| logits z = W f + b | `BenchmarkNet.head` |
| sum: z = mean over seen eyes of z_e, z_e = 2 W f_e + b = mean over places of 2 W F_e + b | `BenchmarkNet.alone` |
| loss = binary cross-entropy, a present label weighted with absent / present or not | `loss`, `start` |

**Our reading.** The paper's recipe is not told, so the shared one stands; only `eye_labels = visit`, which lets `start`
count visits rather than eyes for the class weights, and has no other part here. The head is one linear layer. The form
of the class weights, and the limit on them, are ours. `sum` and `product` take the fellow's vector for an eye that is
not seen, `concat` a learned one.

In: `Batch`. Out: `Output` with visit logits (B, C); for `sum` also eye logits (B, E, C), what the model answers to a
visit with that eye alone, and evidence (B, E, C, h, w) whose means they are; for others None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from eyeground.batches import Batch, Output
from eyeground.errors import UsageError
from eyeground.losses.masked import binary_cross_entropy
from eyeground.nets.eyes import per_eye
from eyeground.nets.fusion_features import FEATURE_FUSIONS
from eyeground.nets.trunk import make_trunk
from eyeground.settings import refuse_idle
from eyeground.vocabulary import Vocabulary

RECIPE: dict[str, Any] = {"eye_labels": "visit"}
"""Not told; the shared one. The class weights count visits."""


@dataclass(frozen=True)
class Config:
    """What defines an `odir_benchmark` model and its loss."""

    trunk: str = "inception_v4"
    """timm name of the trunk that both eyes share; the paper's others: vgg16, resnet50, densenet121 and kin."""
    trunk_weights: str = "imagenet"
    """imagenet, none, or a safetensors file in timm's names."""
    fusion: Literal["sum", "product", "concat"] = "sum"
    """How two eyes' feature vectors become one."""
    loss: Literal["bce", "weighted"] = "bce"
    """Binary cross-entropy; weighted: a present label weighs absent / present of the training labels."""
    most: float = 20.0
    """Largest weight of a present label (weighted only); its inverse is the smallest."""

    def __post_init__(self) -> None:
        if not self.most >= 1:
            raise UsageError(f"--most must be at least 1, not {self.most}")
        if self.loss == "bce":
            refuse_idle(self, ("most",), "--loss bce")


class BenchmarkNet(nn.Module):
    """The network; see the module's docstring."""

    pos_weight: Tensor

    def __init__(self, config: Config, vocabulary: Vocabulary, size: int) -> None:
        super().__init__()
        self.trunk = make_trunk(config.trunk, config.trunk_weights, size)
        self.additive = config.fusion == "sum"
        self.fusion = FEATURE_FUSIONS[config.fusion](self.trunk.channels)
        self.head = nn.Linear(self.fusion.channels, len(vocabulary))
        self.register_buffer("pos_weight", torch.ones(len(vocabulary)))

    def forward(self, batch: Batch) -> Output:
        features = per_eye(lambda pixels: self.trunk(pixels).float(), batch.fundus, batch.seen)  # (B, E, K, h, w)
        logits = self.head(self.fusion(features.mean((3, 4)), batch.seen))
        if not self.additive:
            return Output(logits)
        maps = self.alone(features)
        return Output(logits, maps.mean((3, 4)), maps)

    def alone(self, features: Tensor) -> Tensor:
        """2 W F_e + b at every place: (B, E, K, h, w) to (B, E, C, h, w), NaN where an eye is not seen."""
        return 2 * torch.einsum("ck,bekhw->bechw", self.head.weight, features) + self.head.bias[:, None, None]


def build(config: Config, vocabulary: Vocabulary, size: int) -> BenchmarkNet:
    """Makes the network. Raises `UsageError` for a trunk or weights that can't be had."""
    return BenchmarkNet(config, vocabulary, size)


def start(model: BenchmarkNet, config: Config, labels: Tensor, known: Tensor) -> None:
    """Sets the weights of present labels from what training is taught, (n, C) label states and what of them is known.

    Raises:
        UsageError: `weighted` without a single known label to count.
    """
    if config.loss != "weighted":
        return
    if not known.any():
        raise UsageError("--loss weighted has no labels to count; train with --eye-labels visit, or --loss bce")
    present = (labels * known).sum(0) + 1
    absent = ((1 - labels) * known).sum(0) + 1
    model.pos_weight.copy_((absent / present).clamp(1 / config.most, config.most))


def loss(model: nn.Module, batch: Batch, config: Config) -> dict[str, Tensor]:
    """Named parts: `visit`, which is all of `total`."""
    logits = model(batch).visit_logits
    weights = getattr(model, "pos_weight", None)
    visit = binary_cross_entropy(logits, batch.labels, batch.known, weights, batch.weight)
    return {"visit": visit, "total": visit}


def swap(config: Config) -> Literal["same", "differs"]:
    """Whether an exchange of left and right eye can change a visit's score."""
    return "differs" if config.fusion == "concat" else "same"


def maps(config: Config) -> str:
    """What the evidence maps explain, or why there are none."""
    if config.fusion == "sum":
        return (
            "Each map's mean is what the model answers to this eye alone, and the visit's logit is the mean of its "
            "eyes': the maps together explain it exactly."
        )
    if config.fusion == "product":
        return "The visit's score comes from the product of both eyes' features; no exact map of it exists."
    return "Left and right eye are read by weights of their own, so an eye has no score that its map could explain."
