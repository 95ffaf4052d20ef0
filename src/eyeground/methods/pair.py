"""`pair`: does a good plain model of two eyes need anything clever?

The baseline every published method is held against; it comes from no paper. One trunk, shared by both eyes, gives a
feature map F (K, h, w). A 1×1 convolution turns it into one evidence map per label, whose mean is the eye's logit:

| equation | here |
|---|---|
| e[c, i, j] = w[c] · F[:, i, j] + b[c] | `PairNet.evidence` |
| eye logit z[c] = mean over i, j of e[c, i, j], or another pooling | `nets.pooling.POOLINGS` |
| visit logit = fusion of eye logits (mean, max, noisy_or) | `nets.fusion.LOGIT_FUSIONS` |
| visit logit = v · fusion(GAP F_left, GAP F_right) + d (sum, gated, ...) | `nets.fusion_features.FEATURE_FUSIONS` |
| loss = α · BCE(eye logits, eye labels) + β · BCE(visit logit, visit labels), known cells only | `loss` |
| + φ · BCE(W · GAP F + c, the eye's keywords), off: a head of its own, in training only | `PairNet.findings` |
| + ν · sparsity of the eyes' sensitivity maps: a third pass (Quellec et al., 2017), off | `losses.sparsity` |

The maps explain the *eye* logits exactly: they are linear in the features and pooled by a mean (what another pooling
promises, `maps` tells). In: `Batch`. Out:
`Output` with visit logits (B, C), eye logits (B, E, C), evidence (B, E, C, h, w); eyes not seen hold NaN.
A missing fellow eye is never run through the trunk.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from eyeground.batches import Batch, Output
from eyeground.errors import UsageError
from eyeground.losses.masked import asymmetric, binary_cross_entropy
from eyeground.losses.sparsity import sparsity
from eyeground.nets.eyes import per_eye_each
from eyeground.nets.feeds import feeding
from eyeground.nets.fusion import LOGIT_FUSIONS
from eyeground.nets.fusion_features import FEATURE_FUSIONS
from eyeground.nets.joint import JointNet
from eyeground.nets.pooling import POOLINGS, PoolingOptions
from eyeground.nets.trunk import make_trunk
from eyeground.settings import refuse_idle
from eyeground.vocabulary import Vocabulary

OfLogits = Literal["mean", "max", "noisy_or"]
OfFeatures = Literal[
    "sum",
    "product",
    "concat",
    "feature_mean",
    "feature_max",
    "feature_min",
    "difference",
    "signed_difference",
    "sum_difference",
    "bilinear",
    "gated",
    "attention",
]


RECIPE: dict[str, Any] = {}
"""The shared recipe is its own."""


@dataclass(frozen=True)
class Config:
    """What defines a `pair` model and its loss."""

    trunk: str = "resnet50"
    """timm name of the trunk that both eyes share."""
    trunk_weights: str = "imagenet"
    """imagenet, none, or a safetensors file in timm's names."""
    stages: tuple[int, ...] = ()
    """Strides of the trunk's stages that are read, such as 8 16, for finer maps; none is its last (mostly 32)."""
    fusion: Literal[OfLogits, OfFeatures] = "max"
    """How two eyes become one visit: of eye logits (mean, max, noisy_or) or of features (all others)."""
    pooling: Literal["gap", "gmp", "lse", "cwp", "mil", "topk"] = "gap"
    """How an eye's map becomes its logit: mean, maximum, log-sum-exp, confidence weights, attention, strongest part."""
    pooling_gamma: float = 5.0
    """Sharpness of --pooling lse, over 0: towards 0 it is the mean, without bound the maximum."""
    pooling_learned: bool = False
    """Sharpness of --pooling lse is learned for each label, from --pooling-gamma on."""
    pooling_part: float = 0.1
    """Part of the map's elements, the strongest, that --pooling topk takes the mean of."""
    dropout: float = 0.1
    """Part of the feature channels dropped in training, for a whole eye at a time."""
    eye_weight: float = 1.0
    """Weight of the loss on eye labels."""
    visit_weight: float = 1.0
    """Weight of the loss on visit labels."""
    findings: int = 0
    """So many of the training eyes' commonest keywords, Normal's apart, are taught beside the labels (layout odir)."""
    findings_weight: float = 1.0
    """Weight of the loss on keywords."""
    loss: Literal["bce", "asymmetric"] = "bce"
    """Binary cross-entropy, or the asymmetric loss (Ben-Baruch et al., 2021)."""
    pos_weight: Literal["none", "balanced"] = "none"
    """balanced: a present label weighs sqrt(absent / present) of the training eyes, at most 10 (bce only)."""
    sparsity: float = 0.0
    """Weight ν of the third pass, which makes sensitivity maps sparse (Quellec et al., 2017); 0 leaves it out."""
    sparsity_penalty: Literal["l1", "hoyer"] = "l1"
    """What the third pass makes small: the sum of the map, or its sum as a part of that of a flat map as strong."""
    sparsity_layers: Literal["input", "all"] = "all"
    """Whose maps: the picture's, or also those of all activations that feed a down-sampling operator."""
    sparsity_target: Literal["logit", "prob"] = "logit"
    """What the maps are sensitivities of: the logit, or the probability, which saturates."""

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise UsageError(f"--dropout must be in [0, 1), not {self.dropout}")
        if self.pooling != "lse":
            refuse_idle(self, ("pooling_gamma", "pooling_learned"), f"--pooling {self.pooling}")
        if self.pooling != "topk":
            refuse_idle(self, ("pooling_part",), f"--pooling {self.pooling}")
        if not 0 < self.pooling_gamma < math.inf:
            raise UsageError(f"--pooling-gamma must be a positive number, not {self.pooling_gamma}")
        if not 0 < self.pooling_part <= 1:
            raise UsageError(f"--pooling-part must be in (0, 1], not {self.pooling_part}")
        if self.findings < 0 or self.findings_weight <= 0:
            raise UsageError(
                "--findings must not be negative and --findings-weight be over 0; --findings 0 teaches none"
            )
        if self.findings == 0:
            refuse_idle(self, ("findings_weight",), "--findings 0")
        if not 0 <= self.sparsity < math.inf:
            raise UsageError(f"--sparsity must be a number from 0 on, not {self.sparsity}")
        if self.sparsity == 0:
            refuse_idle(self, ("sparsity_penalty", "sparsity_layers", "sparsity_target"), "--sparsity 0")
        if self.loss == "asymmetric" and self.pos_weight != "none":
            raise UsageError("--pos-weight balanced has no part in the asymmetric loss; use one of the two")
        if min(self.eye_weight, self.visit_weight) < 0 or self.eye_weight + self.visit_weight == 0:
            raise UsageError("--eye-weight and --visit-weight must not be negative, and not both 0")


class PairNet(nn.Module):
    """The network; see the module's docstring."""

    every: Tensor
    pos_weight: Tensor

    def __init__(self, config: Config, vocabulary: Vocabulary, size: int) -> None:
        super().__init__()
        self.trunk = make_trunk(config.trunk, config.trunk_weights, size, config.stages)
        channels, labels = self.trunk.channels, len(vocabulary)
        self.dropout = nn.Dropout2d(config.dropout)
        self.evidence = nn.Conv2d(channels, labels, kernel_size=1)
        options = PoolingOptions(channels, labels, config.pooling_gamma, config.pooling_learned, config.pooling_part)
        self.pooling = POOLINGS[config.pooling](options)
        self.findings = nn.Linear(channels, config.findings) if config.findings else None
        self.logit_fusion = LOGIT_FUSIONS.get(config.fusion)
        self.feature_fusion: nn.Module | None = None
        if config.fusion in FEATURE_FUSIONS:
            fusion = FEATURE_FUSIONS[config.fusion](channels)
            self.feature_fusion = fusion
            self.visit_head = nn.Linear(fusion.channels, labels)
        every = torch.tensor([label.visit == "all" for label in vocabulary.labels])
        self.register_buffer("every", every, persistent=False)
        self.register_buffer("pos_weight", torch.ones(labels))

    def forward(self, batch: Batch) -> Output:
        seen = batch.seen  # (B, E)
        eye_logits, maps, pooled = per_eye_each(self._eye, batch.fundus, seen)  # (B, E, C), (B, E, C, h, w), (B, E, K)
        if self.feature_fusion is not None:
            visit_logits = self.visit_head(self.feature_fusion(pooled, seen))
        else:
            assert self.logit_fusion is not None
            visit_logits = self.logit_fusion(eye_logits, seen, self.every)
        taught = None
        if self.training and self.findings is not None:
            taught = self.findings(torch.where(seen[..., None], pooled, 0.0))  # (B, E, F)
        return Output(visit_logits, eye_logits, maps, taught)

    def _eye(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.dropout(self.trunk(pixels))  # (n, K, h, w)
        logits, maps = self.pooling(self.evidence(features).float(), features)
        return logits, maps, features.float().mean((2, 3))


def build(config: Config, vocabulary: Vocabulary, size: int) -> PairNet:
    """Makes the network. Raises `UsageError` for a trunk or weights that can't be had."""
    return PairNet(config, vocabulary, size)


def start(model: PairNet, config: Config, labels: Tensor, known: Tensor) -> None:
    """Sets the evidence bias to the prevalence of the training eyes, and the weights of present labels.

    Args:
        labels, known: the training eyes' label states, (n, C).
    """
    present = (labels * known).sum(0) + 1
    absent = ((1 - labels) * known).sum(0) + 1
    with torch.no_grad():
        nn.init.normal_(model.evidence.weight, std=0.01 if model.pooling.uniform else 0.001)  # a maximum sits above
        assert model.evidence.bias is not None
        model.evidence.bias.copy_(torch.log(present / absent))
        if model.feature_fusion is not None:
            nn.init.normal_(model.visit_head.weight, std=0.01)
            model.visit_head.bias.copy_(torch.log(present / absent))
        if model.findings is not None:
            nn.init.normal_(model.findings.weight, std=0.01)
            nn.init.constant_(model.findings.bias, math.log(0.03))  # most are rare
        if config.pos_weight == "balanced":
            model.pos_weight.copy_((absent / present).sqrt().clamp(max=10))


def loss(model: nn.Module, batch: Batch, config: Config) -> dict[str, Tensor]:
    """Named parts: `eye`, `visit`, with the third pass `sparsity`, and their weighted sum `total`."""
    output, extra = _third_pass(model, batch, config) if config.sparsity else (model(batch), {})
    assert output.eye_logits is not None

    def part(logits: Tensor, labels: Tensor, known: Tensor) -> Tensor:
        if config.loss == "asymmetric":
            return asymmetric(logits, labels, known, batch.weight)
        return binary_cross_entropy(logits, labels, known, getattr(model, "pos_weight", None), batch.weight)

    eye = part(output.eye_logits, batch.eye_labels, batch.eye_known)
    visit = part(output.visit_logits, batch.labels, batch.known)
    total = config.eye_weight * eye + config.visit_weight * visit
    if config.findings:
        assert output.findings is not None and batch.findings is not None
        told = ~batch.findings.isnan() & batch.seen[..., None]
        extra["findings"] = binary_cross_entropy(output.findings, batch.findings.nan_to_num(), told, None, batch.weight)
        total = total + config.findings_weight * extra["findings"]
    if config.sparsity:
        total = total + config.sparsity * extra["sparsity"]
    return {"eye": eye, "visit": visit, **extra, "total": total}


def _third_pass(model: nn.Module, batch: Batch, config: Config) -> tuple[Output, dict[str, Tensor]]:
    """The output, and the penalty as the part `sparsity`, from one forward pass.

    The paper has one label. Here an eye's y is the mean logit (or probability) of its labels known to be present, or of
    all its known labels where none is present: with one label that label, always. An eye without known labels takes its
    visit's; without these it has no part.
    """
    net: Any = getattr(model, "module", model)  # what Fabric wraps: its outputs may not be differentiated twice
    pooled: list[Tensor] = []
    hook = net.pooling.register_forward_hook(lambda module, given, output: pooled.append(output[0]))
    try:
        with torch.enable_grad(), feeding(net.trunk, config.sparsity_layers) as layers:
            output: Output = model(batch)
    finally:
        hook.remove()
    seen = batch.seen
    own = batch.eye_known.any(2, keepdim=True)  # (B, E, 1)
    known = torch.where(own, batch.eye_known, batch.known[:, None])[seen]  # (n, C)
    present = known & (torch.where(own, batch.eye_labels, batch.labels[:, None])[seen] > 0)
    chosen = torch.where(present.any(1, keepdim=True), present, known)
    values = pooled[0] if config.sparsity_target == "logit" else torch.sigmoid(pooled[0])
    counted = chosen.any(1).to(values.dtype)
    if batch.weight is not None:
        counted = counted * batch.weight[:, None].expand(seen.shape)[seen]
    with torch.enable_grad():
        target = (values * chosen).sum(1) / chosen.sum(1).clamp(min=1)  # (n,)
        return output, {"sparsity": sparsity(target, layers, config.sparsity_penalty, counted)}


def joined(members: Sequence[PairNet], config: Config) -> JointNet:
    """Several trained networks as one, see `nets.joint`.

    Raises:
        UsageError: the visit's score does not follow from its eyes' logits.
    """
    if config.fusion not in LOGIT_FUSIONS:
        raise UsageError(
            f"networks with --fusion {config.fusion} can't be joined: their maps do not tell the visit; "
            f"train with one of {', '.join(LOGIT_FUSIONS)}"
        )
    return JointNet(members, LOGIT_FUSIONS[config.fusion], members[0].every)


def swap(config: Config) -> Literal["same", "differs"]:
    """Whether an exchange of left and right eye can change a visit's score."""
    blind = config.fusion in LOGIT_FUSIONS or FEATURE_FUSIONS[config.fusion].symmetric
    return "same" if blind else "differs"


def maps(config: Config) -> str:
    """What the evidence maps explain, for the reading and the report."""
    own = "The visit's score comes from its own reading of {}; the maps do not explain it."
    apart = f"{own} A visit with one eye gets the same score whatever this eye shows."
    visit = {
        "mean": "The visit's logit is the mean of its eyes' logits, so the two maps together explain it exactly.",
        "max": "The visit's score is that of its worse eye (for Normal: its less normal eye), whose map explains it.",
        "noisy_or": "The visit's score combines both eyes as independent chances; no exact map of it exists.",
        "sum": own.format("both eyes' features"),
        "concat": own.format("both eyes' features"),
        "feature_mean": own.format("both eyes' features"),
        "feature_max": own.format("the larger of both eyes in every feature"),
        "feature_min": own.format("the smaller of both eyes in every feature"),
        "difference": apart.format("how far both eyes' features are apart"),
        "signed_difference": apart.format("the left eye's features minus the right eye's"),
        "sum_difference": own.format("the sum of both eyes' features and how far they are apart"),
        "gated": own.format("both eyes' features, mixed anew in every visit"),
        "attention": own.format("both eyes' features, weighed anew in every visit"),
        "product": "The visit's score comes from the product of both eyes' features; no exact map of it exists.",
        "bilinear": "The visit's score comes from products of both eyes' features; no exact map of it exists.",
    }
    return f"{POOLINGS[config.pooling].promise} {visit[config.fusion]}"
