"""`mcg_net`: do labels that occur together help to recognise each other, and does a pretext task help?

Lin, Cai and Lin, "Multi-Label Classification of Fundus Images With Graph Convolutional Network and Self-Supervised
Learning", IEEE Signal Processing Letters 28, 2021. MCG-Net is a CNN whose classifiers come from graph convolution over
label co-occurrence; MCGS-Net (`pretext`) also learns from photographs without labels. The graph is that of ML-GCN
(Chen, Wei, Wang and Guo, CVPR 2019):

| equation | here |
|---|---|
| P_ij = P(j \\| i) = M_ij / N_i | `nets.label_graph.conditional` |
| A_ij = 1 if P_ij >= tau; A'_ij = p A_ij / sum_k A_ik, A'_ii = 1 - p | `nets.label_graph.adjacency` |
| A^ = D^(-1/2) A' D^(-1/2) = A', for the rows of A' sum to 1 | the same |
| W = A^ LeakyReLU_0.2(A^ Z W0) W1 | `nets.label_graph.GraphClassifier` |
| x = max over i, j of F[:, i, j], logits = W x | `McgNet` |
| loss = BCE + lambda · pretext cross-entropy | `loss` |

How we differ: the inside of the network is not on record, so all of it is our reading. tau is 0.15, for ODIR's graph is
all but empty at ML-GCN's 0.4. The graph counts training eyes, known cells only. An eye is read by itself and the visit
takes the larger logit (for Normal the smaller); `level = visit` takes the larger of both eyes in every feature instead.
The pretext task asks by how many quarter turns a photograph was rotated, or how its quarters were shuffled (our choice
of jigsaw); all seen eyes of the training part are asked, so photographs without labels are visits with unknown labels.

In: `Batch`. Out: `Output` with visit logits (B, C) and, at level eye, eye logits (B, E, C); no evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eyeground.batches import Batch, Output
from eyeground.errors import UsageError
from eyeground.losses.masked import binary_cross_entropy, mean_known, require_eye_labels
from eyeground.nets.eyes import per_eye, stand_in
from eyeground.nets.fusion import LOGIT_FUSIONS
from eyeground.nets.label_graph import GraphClassifier, adjacency, conditional, label_vectors, require_edges
from eyeground.nets.pretext import WAYS, changed
from eyeground.nets.trunk import make_trunk
from eyeground.settings import refuse_idle
from eyeground.vocabulary import Vocabulary

RECIPE: dict[str, Any] = {
    "size": 448,
    "optimizer": "sgd",
    "lr": 0.01,
    "schedule": "step",
    "epochs": 100,
    "trunk_lr": 0.1,
    "weight_decay": 1e-4,
    "ema": 0.0,
}
"""ML-GCN's; the paper's own is not on record. Momentum 0.9 and a fall every 40 epochs are shared defaults."""

EVER = 1e-12
"""The least P(j | i) that counts as an edge of the weighted graph."""


@dataclass(frozen=True)
class Config:
    """What defines an `mcg_net` model and its loss."""

    trunk: str = "resnet101"
    """timm name of the trunk."""
    trunk_weights: str = "imagenet"
    """imagenet, none, or a safetensors file in timm's names."""
    head: Literal["graph", "linear"] = "graph"
    """graph: classifiers from the label graph; linear: a plain linear layer on the same features."""
    level: Literal["eye", "visit"] = "eye"
    """eye: logits of eyes, then the larger; visit: features of eyes, the larger in every channel, then logits."""
    tau: float = 0.15
    """P(j | i) from which label i has an edge to label j; 0 joins all labels."""
    p: float = 0.2
    """Part of a label's row in the graph that its neighbours share."""
    weighted: bool = False
    """Take P(j | i) itself as the weight of an edge, without a threshold."""
    hidden: int = 1024
    """Width of the first graph layer."""
    embedding: str = "onehot"
    """Label vectors: onehot, or a text file with lines `word number number ...`, read when training starts."""
    embedding_size: int = 300
    """Numbers in a vector of the embedding file."""
    pretext: Literal["none", "rotation", "jigsaw"] = "none"
    """none is MCG-Net; rotation (quarter turns) or jigsaw (shuffled quarters) make it MCGS-Net."""
    pretext_weight: float = 0.5
    """Weight of the pretext loss (lambda)."""

    def __post_init__(self) -> None:
        for name in ("tau", "p"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"--{name} must be in [0, 1], not {getattr(self, name)}")
        for name in ("hidden", "embedding_size"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name.replace('_', '-')} must be at least 1, not {getattr(self, name)}")
        if not self.pretext_weight > 0:
            text = f"--pretext-weight must be positive, not {self.pretext_weight}; without the task, --pretext none"
            raise UsageError(text)
        if self.head == "linear":
            refuse_idle(self, ("tau", "p", "weighted", "embedding", "embedding_size"), "--head linear")
        if self.weighted:
            refuse_idle(self, ("tau",), "--weighted")
        if self.embedding == "onehot":
            refuse_idle(self, ("embedding_size",), "--embedding onehot")
        if self.pretext == "none":
            refuse_idle(self, ("pretext_weight",), "--pretext none")


class McgNet(nn.Module):
    """The network; see the module's docstring."""

    every: Tensor

    def __init__(self, config: Config, vocabulary: Vocabulary, size: int) -> None:
        super().__init__()
        self.config, self.vocabulary = config, vocabulary
        self.trunk = make_trunk(config.trunk, config.trunk_weights, size)
        channels, labels = self.trunk.channels, len(vocabulary)
        self.graph: GraphClassifier | None = None
        if config.head == "graph":
            width = labels if config.embedding == "onehot" else config.embedding_size
            self.graph = GraphClassifier(labels, width, config.hidden, channels)
        else:
            self.linear = nn.Linear(channels, labels)
        if config.pretext != "none":
            self.pretext = nn.Linear(channels, WAYS[config.pretext])
        every = torch.tensor([label.visit == "all" for label in vocabulary.labels])
        self.register_buffer("every", every, persistent=False)

    def forward(self, batch: Batch, ways: Tensor | None = None) -> Output | tuple[Output, Tensor]:
        """The answer; with `ways` (B, E), how each eye is changed, also the pretext logits (B, E, ways)."""
        output, task = self._answer(batch.fundus, batch.seen), self.config.pretext
        if ways is None or task == "none":
            return output
        photographs = changed(task, batch.fundus.flatten(0, 1), ways.flatten()).unflatten(0, batch.seen.shape)
        return output, per_eye(lambda pixels: self.pretext(self._pooled(pixels)).float(), photographs, batch.seen)

    def _answer(self, fundus: Tensor, seen: Tensor) -> Output:
        if self.config.level == "visit":
            larger = stand_in(per_eye(self._pooled, fundus, seen), seen).amax(1)  # (B, K)
            return Output(self._classified(larger))
        eye_logits = per_eye(lambda pixels: self._classified(self._pooled(pixels)), fundus, seen)  # (B, E, C)
        return Output(LOGIT_FUSIONS["max"](eye_logits, seen, self.every), eye_logits)

    def _pooled(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.trunk(pixels)
        return features.amax((2, 3)).float()  # (n, K)

    def _classified(self, pooled: Tensor) -> Tensor:
        """(n, K) to logits (n, C)."""
        logits: Tensor = self.linear(pooled) if self.graph is None else F.linear(pooled, self.graph())
        return logits.float()


def build(config: Config, vocabulary: Vocabulary, size: int) -> McgNet:
    """Makes the network. Raises `UsageError` for a trunk or weights that can't be had."""
    return McgNet(config, vocabulary, size)


def start(model: McgNet, config: Config, labels: Tensor, known: Tensor) -> None:
    """Sets the label graph from the training eyes, and the label vectors from their file.

    Args:
        labels, known: the training eyes' label states, (n, C).

    Raises:
        UsageError: no eye has a known label, no edge reaches `tau`, or label vectors that are missing.
    """
    if model.graph is not None or config.level == "eye":
        require_eye_labels(known)
    if model.graph is None:
        return
    chance = conditional(labels, known)
    require_edges(chance, EVER if config.weighted else config.tau, model.vocabulary)
    model.graph.adjacency.copy_(adjacency(chance, config.tau, config.p, config.weighted))
    if config.embedding != "onehot":
        model.graph.vectors.copy_(label_vectors(Path(config.embedding), model.vocabulary, config.embedding_size))


def loss(model: nn.Module, batch: Batch, config: Config) -> dict[str, Tensor]:
    """Named parts: `eye` or `visit`, in training with a pretext task `pretext` and its accuracy, and `total`."""
    asked = config.pretext != "none" and model.training
    ways = torch.randint(WAYS[config.pretext], batch.seen.shape).to(batch.seen.device) if asked else None
    output, guesses = model(batch, ways) if asked else (model(batch), None)
    logits, labels, known = output.visit_logits, batch.labels, batch.known
    if config.level == "eye":
        logits, labels, known = output.eye_logits, batch.eye_labels, batch.eye_known
    label = binary_cross_entropy(logits, labels, known, weight=batch.weight)
    parts = {config.level: label, "total": label}
    if guesses is not None and ways is not None:
        safe = torch.where(batch.seen[..., None], guesses, 0.0)  # (B, E, ways)
        each = F.cross_entropy(safe.flatten(0, 1), ways.flatten(), reduction="none").view_as(ways)
        parts["pretext"] = mean_known(each, batch.seen, batch.weight)
        parts["pretext_accuracy"] = mean_known((safe.argmax(-1) == ways).float(), batch.seen, batch.weight).detach()
        parts["total"] = label + config.pretext_weight * parts["pretext"]
    return parts


def swap(config: Config) -> Literal["same", "differs"]:
    """Whether an exchange of left and right eye can change a visit's score: eyes are read alike, the larger counts."""
    return "same"


def maps(config: Config) -> str:
    """Why there are no evidence maps."""
    return (
        "There are no maps: the score adds up the maxima of many feature channels, each at a place of its own, "
        "so no map of the photograph has this score as its mean or maximum."
    )
