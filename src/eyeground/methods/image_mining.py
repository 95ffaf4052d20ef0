"""`image_mining`: does a network that learns labels alone point at lesions, once its sensitivity is made sparse?

Quellec, Charrière, Boudi, Cochener, Lamard, "Deep image mining for diabetic retinopathy screening", Medical Image
Analysis 39:178-193, 2017. Its nets A and B are those of team o_O in the Kaggle contest of 2015.

| equation | here |
|---|---|
| nets A and B, layers 2 to 18 | `nets.mining_trunk.MiningTrunk` |
| RMS-pool sqrt(mean x² + 1e-12), layer 19; two dense layers of 1024 with maxout over pairs | `nets.maxout_head` |
| AlexNet | `nets.alexnet` |
| ω = abs(Σ_c I_c ∂ŷ/∂I_c), the hue-constrained sensitivity | `explain.hue`, asked for by name |
| L = L_class + ν Σ_l penalty(ω of layer l), by a third pass | `loss`, `losses.sparsity` |
| L_class = BCE(ŷ, y) over the known labels of eyes | `loss` |

**Our reading.** The paper's body is not on record here: what is said of the nets is read in team o_O's public code, the
rest is recalled. Ours are: the form of the penalty (sum of ω, or Hoyer's ratio), the layers it is put on (the picture
and every layer before a pool or a stride), the logit as ŷ, ν = 0 until validation says otherwise, one bias for each
channel (o_O's nets have one for each place: `untied_bias`), binary cross-entropy, a logit for each label instead of
one for referable retinopathy (the sensitivity is then that of their sum), and a visit's score as its worse eye's. O_O's
mean squared error on the grade 0 to 4 can't be had: the labels of a vocabulary are present or absent. The forest over
both eyes' features is not part of the net.
The smaller nets of progressive growth end in the RMS-pool too, as they do in the code.

In: `Batch`. Out: `Output` with visit logits (B, C) and eye logits (B, E, C). There is no evidence: no linear map of the
score exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from eyeground.batches import Batch, Output
from eyeground.errors import UsageError
from eyeground.losses.masked import binary_cross_entropy, require_eye_labels
from eyeground.losses.sparsity import sparsity
from eyeground.nets.alexnet import AlexNetHead, AlexNetTrunk
from eyeground.nets.eyes import per_eye
from eyeground.nets.fusion import max_logits
from eyeground.nets.maxout_head import MaxoutHead, rms_pool
from eyeground.nets.mining_trunk import RMS_STRIDE, STAGES, WIDTH, MiningTrunk, last_layer, sizes
from eyeground.settings import refuse_idle
from eyeground.vocabulary import Vocabulary

RECIPE: dict[str, Any] = {
    "size": 448,
    "epochs": 250,
    "batch_size": 32,
    "unit": "eye",
    "enhance": ("background",),
    "outside": 128 / 255,  # the grey that the background becomes
    "optimizer": "sgd",
    "nesterov": True,
    "lr": 0.003,
    "schedule": "drops",
    "drop_epochs": (150, 220),
    "weight_decay": 5e-4,
    "clip": 0.0,
    "ema": 0.0,
    "rotate": 180.0,
    "zoom": 0.15,
    "stretch": True,
    "channel_contrast": 0.67,
    "shift": 0.089,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
}
GREY = 128 / 255
STATISTICS = {
    "background": ((GREY, GREY, GREY), (0.035, 0.035, 0.035)),
    "raw": ((108.6 / 255, 75.9 / 255, 54.3 / 255), (70.5 / 255, 51.7 / 255, 43.0 / 255)),
}
"""Mean and standard deviation of a channel: the enhancement's centre and about what IDRiD's photographs then show,
alike for all channels so that a pixel keeps its hue; and team o_O's."""


@dataclass(frozen=True)
class Config:
    """What defines a net of deep image mining and its loss."""

    net: Literal["a", "b", "alexnet"] = "a"
    """Team o_O's net A (filters of 5 and 3) or B (filters of 4), or AlexNet."""
    last_layer: int = 0
    """Last convolution of nets A and B: 18 (published at 448 px), 15 (224 px), 11 (112 px); 0 goes by the size."""
    width: int = WIDTH
    """Channels of the first convolution, on which all others depend; AlexNet has twice as many (published: 32)."""
    dense_units: int = 0
    """Units of both dense layers; 0 is as published: 1024 before maxout, AlexNet 4096."""
    dropout: float = 0.5
    """Part of the values before each of the two dense layers that is dropped in training."""
    untied_bias: bool = False
    """A bias for every place of a map, as team o_O's nets have, instead of one for each channel; not in AlexNet."""
    pixels: Literal["background", "raw"] = "background"
    """How pixels are normalised: for pictures of --enhance background, or with team o_O's mean and deviation (raw)."""
    nu: float = 0.0
    """Weight of the sparsity of the sensitivity at each layer; 0 leaves it and its third pass out."""
    sparsity_penalty: Literal["l1", "hoyer"] = "l1"
    """Penalty of the sensitivity: its sum, or the scale-free ratio of its L1 and L2 norms."""
    sparsity_layers: tuple[int, ...] = ()
    """Layers by number whose sensitivity is penalised; 1 is the picture; none means all that feed a stride or pool."""
    sparsity_target: Literal["logit", "prob"] = "logit"
    """What the sensitivity is of: the logit, or the probability."""

    def __post_init__(self) -> None:
        if self.net == "alexnet":
            refuse_idle(self, ("last_layer", "untied_bias"), "--net alexnet")
        if self.last_layer not in (0, *STAGES.values()):
            wanted = ", ".join(map(str, STAGES.values()))
            raise UsageError(f"--last-layer must be 0 or one of {wanted}, not {self.last_layer}")
        if self.width < 1 or self.dense_units < 0 or self.dense_units % 2:
            raise UsageError("--width must be 1 or more, --dense-units an even number from 0 on")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"--dropout must be in [0, 1), not {self.dropout}")
        if not 0 <= self.nu < float("inf"):
            raise UsageError(f"--nu must be a number from 0 on, not {self.nu}")
        if self.nu == 0:
            refuse_idle(self, ("sparsity_penalty", "sparsity_layers", "sparsity_target"), "--nu 0")


class ImageMining(nn.Module):
    """The network; see the module's docstring."""

    every: Tensor

    def __init__(self, config: Config, vocabulary: Vocabulary, size: int) -> None:
        super().__init__()
        self.net, self.size, labels = config.net, size, len(vocabulary)
        mean, std = STATISTICS[config.pixels]
        self.trunk: MiningTrunk | AlexNetTrunk
        self.head: MaxoutHead | AlexNetHead
        if config.net == "alexnet":
            self.trunk = AlexNetTrunk(size, config.width, mean, std)
            self.head = AlexNetHead(self.trunk.channels, config.dense_units or 4096, labels, config.dropout)
        else:
            last = config.last_layer or last_layer(size)
            self.trunk = MiningTrunk(config.net, size, last, config.width, config.untied_bias, mean, std)
            inputs = self.trunk.channels * sizes(config.net, size, last)[19] ** 2
            self.head = MaxoutHead(inputs, config.dense_units or 1024, labels, config.dropout)
        for number in config.sparsity_layers:
            if number not in self.trunk.feeding:
                known = " ".join(map(str, self.trunk.feeding))
                raise UsageError(f"--sparsity-layers: layer {number} feeds no stride or pool; take some of {known}")
        every = torch.tensor([label.visit == "all" for label in vocabulary.labels])
        self.register_buffer("every", every, persistent=False)

    def forward(self, batch: Batch) -> Output:
        side = batch.fundus.shape[-1]
        if side != self.size:
            raise UsageError(
                f"the dense layers were built for pictures of {self.size} px and can't take {side} px; leave "
                "--start-size out (a net grows from run to run: train --init)"
            )
        eye_logits = per_eye(self._eye, batch.fundus, batch.seen)  # (B, E, C)
        return Output(max_logits(eye_logits, batch.seen, self.every), eye_logits)

    def _eye(self, pixels: Tensor) -> Tensor:
        maps = self.trunk(pixels)  # (n, K, h, w)
        if self.net != "alexnet":
            maps = rms_pool(maps, 3, RMS_STRIDE[self.net]).flatten(1)
        logits: Tensor = self.head(maps)
        return logits if logits.dtype == torch.float64 else logits.float()


def build(config: Config, vocabulary: Vocabulary, size: int) -> ImageMining:
    """Makes the network. Raises `UsageError` for a size of which its layers leave nothing, or unknown layers."""
    return ImageMining(config, vocabulary, size)


def start(model: nn.Module, config: Config, labels: Tensor, known: Tensor) -> None:
    """Refuses training eyes (n, C) of which no label is known: nothing would be learnt."""
    require_eye_labels(known)


def loss(model: nn.Module, batch: Batch, config: Config) -> dict[str, Tensor]:
    """`eye`, the binary cross-entropy of single eyes; with ν > 0 `sparsity`; and `total` = eye + ν · sparsity."""
    if config.nu == 0:
        output: Output = model(batch)
        value = _classified(output, batch)
        return {"eye": value, "total": value}
    trunk: Any = model.trunk
    trunk.watching = True
    try:
        with torch.enable_grad():  # the term is a gradient itself
            output = model(batch)
            assert output.eye_logits is not None
            logits = output.eye_logits[batch.seen]
            chosen = config.sparsity_layers or tuple(trunk.feeding)
            target = logits if config.sparsity_target == "logit" else torch.sigmoid(logits)
            watched = [trunk.watched[number] for number in chosen]
            heavy = batch.eye_known.any(-1).to(target.dtype)  # an eye without a known label has no part
            weight = (heavy if batch.weight is None else heavy * batch.weight[:, None])[batch.seen]
            sparse = sparsity(target.sum(1), watched, config.sparsity_penalty, weight)
    finally:
        trunk.watching, trunk.watched = False, {}
    value = _classified(output, batch)
    return {"eye": value, "sparsity": sparse, "total": value + config.nu * sparse}


def _classified(output: Output, batch: Batch) -> Tensor:
    assert output.eye_logits is not None
    return binary_cross_entropy(output.eye_logits, batch.eye_labels, batch.eye_known, weight=batch.weight)


def swap(config: Config) -> Literal["same", "differs"]:
    """Eyes are judged one by one."""
    return "same"


def maps(config: Config) -> str:
    """What the evidence maps explain, for the reading and the report."""
    return (
        "There are no maps: dense layers judge all elements of the last maps, so no exact map of the score exists. The "
        "paper's map is the hue-constrained sensitivity, the explainer 'hue', which shows where a change of a pixel's "
        "intensity would move the score."
    )
