"""`shallow_cnn`: how far does a network of one million parameters get, trained from nothing on single eyes?

Islam et al., "Source and camera independent ophthalmic disease recognition from fundus image using neural network",
IEEE SPICSCON 2019.

| equation | here |
|---|---|
| five times F <- maxpool2(ReLU(conv3x3 F)), 32-64-64-128-128 channels | `ShallowCnn.stages` |
| flatten: z = W ReLU(V F + d) + b, V to 128 | `ShallowCnn.dense` |
| gap: e = w · F + b at every place, z = mean of e | `ShallowCnn.evidence` |
| visit logit = max over eyes (for Normal the min) | `nets.fusion.max_logits` |
| L = Σ_c BCE(sigmoid z_c, y_c) over the known labels of eyes | `loss` |

**Our reading.** The paper's list of layers is not on record; about 1.1 M parameters are. These stages with the flatten
head have 1.08 M at 224 px, with the gap head 0.28 M. Single eyes and training from scratch are the paper's; CLAHE, the
patient's score as the worse eye's, BCE, Adam with 1e-3, 50 epochs and weights drawn after He et al., ICCV 2015, are
ours. Pixels are moved from [0, 1] to [-1, 1].

In: `Batch`. Out: `Output` with visit logits (B, C), eye logits (B, E, C) and, for the gap head, evidence
(B, E, C, h, w) whose mean is the eye's logit.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from eyeground.batches import Batch, Output
from eyeground.errors import UsageError
from eyeground.losses.masked import binary_cross_entropy, require_eye_labels
from eyeground.nets.eyes import per_eye
from eyeground.nets.fusion import max_logits
from eyeground.vocabulary import Vocabulary

RECIPE: dict[str, Any] = {
    "size": 224,
    "enhance": ("clahe",),
    "epochs": 50,
    "optimizer": "adam",
    "weight_decay": 0.0,
}
"""All ours: nothing of the recipe is reported. Adam at the shared 1e-3; more epochs, as nothing is pre-trained."""
CHANNELS = (3, 32, 64, 64, 128, 128)
STRIDE = 32


@dataclass(frozen=True)
class Config:
    """What defines a shallow CNN."""

    head: Literal["flatten", "gap"] = "flatten"
    """A dense layer of 128 on every element of the last maps (one picture size), or their means."""


class ShallowCnn(nn.Module):
    """The network; see the module's docstring."""

    every: Tensor

    def __init__(self, config: Config, vocabulary: Vocabulary, size: int) -> None:
        super().__init__()
        _check(size)
        layers: list[nn.Module] = []
        for here, wanted in pairwise(CHANNELS):
            layers += [nn.Conv2d(here, wanted, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.stages = nn.Sequential(*layers)
        self.dense: nn.Module | None = None
        self.evidence: nn.Module | None = None
        self.size = size
        if config.head == "flatten":
            elements = CHANNELS[-1] * (size // STRIDE) ** 2
            self.dense = nn.Sequential(nn.Linear(elements, 128), nn.ReLU(), nn.Linear(128, len(vocabulary)))
        else:
            self.evidence = nn.Conv2d(CHANNELS[-1], len(vocabulary), kernel_size=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
        every = torch.tensor([label.visit == "all" for label in vocabulary.labels])
        self.register_buffer("every", every, persistent=False)

    def forward(self, batch: Batch) -> Output:
        side = batch.fundus.shape[-1]
        if self.dense is not None and side != self.size:
            raise UsageError(
                f"--head flatten was built for pictures of {self.size} px and can't take {side} px; "
                "leave --start-size out, or use --head gap"
            )
        evidence = None
        if self.evidence is None:
            eye_logits = per_eye(self._dense, batch.fundus, batch.seen)  # (B, E, C)
        else:
            evidence = per_eye(self._evidence, batch.fundus, batch.seen)  # (B, E, C, h, w)
            eye_logits = evidence.mean((3, 4))
        return Output(max_logits(eye_logits, batch.seen, self.every), eye_logits, evidence)

    def centred(self, pixels: Tensor) -> Tensor:
        """Pixels in [0, 1] as the convolutions take them, in [-1, 1]."""
        return 2 * pixels - 1

    def _dense(self, pixels: Tensor) -> Tensor:
        assert self.dense is not None
        logits: Tensor = self.dense(self.stages(self.centred(pixels)).flatten(1))
        return logits.float()

    def _evidence(self, pixels: Tensor) -> Tensor:
        assert self.evidence is not None
        evidence: Tensor = self.evidence(self.stages(self.centred(pixels)))
        return evidence.float()


def _check(size: int) -> None:
    """Five pools of 2 need a side that 32 divides; otherwise the last rows and columns would never be seen."""
    if size < STRIDE or size % STRIDE:
        near = max(STRIDE, round(size / STRIDE) * STRIDE)
        raise UsageError(f"five pools halve a picture whose side is a multiple of 32, not {size}; try --size {near}")


def build(config: Config, vocabulary: Vocabulary, size: int) -> ShallowCnn:
    """Makes the network. Raises `UsageError` for a size that its pools do not divide."""
    return ShallowCnn(config, vocabulary, size)


def start(model: nn.Module, config: Config, labels: Tensor, known: Tensor) -> None:
    """Refuses training eyes (n, C) of which no label is known: nothing would be learnt."""
    require_eye_labels(known)


def loss(model: nn.Module, batch: Batch, config: Config) -> dict[str, Tensor]:
    """`eye`, the binary cross-entropy of single eyes, which is the `total`."""
    output: Output = model(batch)
    assert output.eye_logits is not None
    value = binary_cross_entropy(output.eye_logits, batch.eye_labels, batch.eye_known, weight=batch.weight)
    return {"eye": value, "total": value}


def swap(config: Config) -> Literal["same", "differs"]:
    """Eyes are judged one by one."""
    return "same"


def maps(config: Config) -> str:
    """What the evidence maps explain, for the reading and the report."""
    if config.head == "flatten":
        return "There are no maps: a hidden layer judges all elements of the maps, so no exact map of the score exists."
    return (
        "Each map explains its eye's score exactly: its mean is the eye's logit. The visit's score is that of its "
        "worse eye (for Normal: its less normal eye), whose map explains it."
    )
