"""`gour_khanna`: are two eyes seen at once by one VGG16 better than each eye by itself?

Gour & Khanna, "Multi-class multi-label ophthalmological disease detection using transfer learning based convolutional
neural network", Biomedical Signal Processing and Control 66:102329, 2021.

| equation | here |
|---|---|
| F_e = VGG16's convolutions (512 × 8 × 8 at 256 px) | `make_trunk`, which leaves the dense layers away |
| f_e = GAP F_e, or all of F_e (`head` flatten) | `GourKhanna.forward` |
| z = W [f_left ; f_right] + b (`head` gap, flatten) | `Linear` |
| z = W ReLU(V [GAP F_left ; GAP F_right] + d) + b, V to 512 (`head` gap512) | `GourKhanna.dense` |
| L = Σ_c BCE(sigmoid z_c, y_c) over known cells | `loss` |

**Our reading.** Two parallel pre-trained VGG16, concatenation and SGD are the paper's (other trunks: `--trunk`). Its
15.2 M parameters are those of one trunk, so both eyes share it. Three heads come near: gap512 (15.24 M, the default),
flatten (15.24 M at 256 px, 15.12 M at 224 px) and gap (14.72 M). Dense 8 with BCE, 256 px, rate and decay of SGD are
ours. The paper also studied a single-input model: `inputs` one judges each eye by itself, learns eye labels and takes
the worse eye. A missing fellow eye's features are replaced by those of the seen eye.

Without the hidden layer the head is linear in the maps, so there is exact evidence: with one input a map's mean is its
eye's logit; with two, the means of both maps add up to the visit's logit (each has half of b, a lone eye all of it).

In: `Batch`. Out: `Output` with visit logits (B, C); eye logits (B, E, C) with one input; evidence (B, E, C, h, w) but
for gap512.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from eyeground.batches import Batch, Output
from eyeground.errors import UsageError
from eyeground.losses.masked import binary_cross_entropy, require_eye_labels
from eyeground.nets.eyes import per_side, stand_in
from eyeground.nets.fusion import max_logits
from eyeground.nets.trunk import Trunk, make_trunk
from eyeground.vocabulary import Vocabulary

RECIPE: dict[str, Any] = {"optimizer": "sgd", "weight_decay": 5e-4}
"""SGD is the paper's; its decay is that of VGG's own training (Simonyan & Zisserman, ICLR 2015)."""
HIDDEN = 512


@dataclass(frozen=True)
class Config:
    """What defines a two-input VGG16."""

    trunk: str = "vgg16"
    """timm name of the trunk."""
    trunk_weights: str = "imagenet"
    """imagenet, none, or a safetensors file in timm's names."""
    inputs: Literal["two", "one"] = "two"
    """Both eyes at once, or each eye by itself and the worse one decides."""
    head: Literal["gap512", "gap", "flatten"] = "gap512"
    """Means of the maps and a dense layer of 512; the means alone; or every element of the maps (one picture size)."""
    shared: bool = True
    """One trunk for both eyes, or one for each side."""

    def __post_init__(self) -> None:
        if self.inputs == "one" and not self.shared:
            raise UsageError("--inputs one judges single eyes by one trunk; leave --no-shared out, or use --inputs two")


class Linear(nn.Module):
    """Evidence of E eyes, linear in their maps: what each element of the map of eye e adds when it stands at side s.

    Attributes: `weight` (C, S·K·h·w), with h = w = 1 where every place has the same weight (GAP); `bias` (C,). Weights
    are kept flat: networks are moved to channels_last, which takes no parameter of five axes.
    """

    def __init__(self, labels: int, sides: int, channels: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.shape = sides, channels, *grid
        dense = nn.Linear(sides * channels * grid[0] * grid[1], labels)
        self.weight, self.bias = dense.weight, dense.bias

    def forward(self, maps: Tensor) -> Tensor:
        """(n, K, h, w) to (n, S, C, h, w). The mean over h and w is the head on this eye alone at that side."""
        sides, _, height, width = self.shape
        weight = self.weight.unflatten(1, self.shape) * (height * width)
        weight = weight.expand(-1, -1, -1, *maps.shape[2:])
        return torch.einsum("nkhw,cskhw->nschw", maps, weight).float() + (self.bias / sides)[:, None, None]


class GourKhanna(nn.Module):
    """The network; see the module's docstring."""

    every: Tensor

    def __init__(self, config: Config, vocabulary: Vocabulary, size: int) -> None:
        super().__init__()
        self.trunk = make_trunk(config.trunk, config.trunk_weights, size)
        self.trunk_right = None if config.shared else make_trunk(config.trunk, config.trunk_weights, size)
        channels, labels, sides = self.trunk.channels, len(vocabulary), 2 if config.inputs == "two" else 1
        self.two, self.size = config.inputs == "two", size if config.head == "flatten" else 0
        self.dense: nn.Module | None = None
        self.linear: Linear | None = None
        if config.head == "gap512":
            self.dense = nn.Sequential(nn.Linear(sides * channels, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, labels))
        else:
            grid = _grid(self.trunk, size) if config.head == "flatten" else (1, 1)
            self.linear = Linear(labels, sides, channels, grid)
        every = torch.tensor([label.visit == "all" for label in vocabulary.labels])
        self.register_buffer("every", every, persistent=False)

    def forward(self, batch: Batch) -> Output:
        if self.size and batch.fundus.shape[-1] != self.size:
            raise UsageError(
                f"--head flatten was built for pictures of {self.size} px and can't take {batch.fundus.shape[-1]} px; "
                "leave --start-size out, or use --head gap512"
            )
        return self._two(batch) if self.two else self._one(batch)

    def _one(self, batch: Batch) -> Output:
        """Each eye by itself; the worse one decides."""
        if self.linear is None:
            eye_logits, evidence = self._each(self._dense_alone, batch), None
        else:
            evidence = self._each(self._cross, batch)[:, :, 0]  # (B, E, C, h, w)
            eye_logits = evidence.mean((3, 4))
        return Output(max_logits(eye_logits, batch.seen, self.every), eye_logits, evidence)

    def _two(self, batch: Batch) -> Output:
        """Both eyes at once."""
        if self.dense is not None:
            pooled = stand_in(self._each(_pooled, batch), batch.seen)  # (B, E, K)
            return Output(self.dense(pooled.flatten(1)).float())
        cross = self._each(self._cross, batch)  # (B, E, S, C, h, w): eye e at side s
        own, other = (part.diagonal(dim1=1, dim2=2).movedim(-1, 1) for part in (cross, cross.flip(2)))
        lone = ~batch.seen.flip(1)[..., None, None, None]  # its features stand on both sides
        evidence = own + torch.where(lone, other, 0.0)  # (B, E, C, h, w)
        added = torch.where(batch.seen[..., None], evidence.mean((3, 4)), 0.0)
        return Output(added.sum(1), None, evidence)

    def _each(self, read: Callable[[Tensor], Tensor], batch: Batch) -> Tensor:
        """What `read` makes of the trunk's map of every seen eye, (B, E, ...)."""

        def left(pixels: Tensor) -> Tensor:
            return read(self.trunk(pixels))

        def right(pixels: Tensor) -> Tensor:
            assert self.trunk_right is not None
            return read(self.trunk_right(pixels))

        return per_side(left, left if self.trunk_right is None else right, batch.fundus, batch.seen)

    def _cross(self, maps: Tensor) -> Tensor:
        assert self.linear is not None
        found: Tensor = self.linear(maps)
        return found

    def _dense_alone(self, maps: Tensor) -> Tensor:
        assert self.dense is not None
        found: Tensor = self.dense(_pooled(maps))
        return found.float()


def _pooled(maps: Tensor) -> Tensor:
    """GAP, (n, K)."""
    return maps.mean((2, 3))


def _grid(trunk: Trunk, size: int) -> tuple[int, int]:
    """Height and width of the trunk's map, found without computing it. Refuses a size that leaves an edge unseen."""
    if size % 32:
        near = max(32, round(size / 32) * 32)
        raise UsageError(f"--head flatten needs a picture side that is a multiple of 32, not {size}; try --size {near}")
    named = {**dict(trunk.named_parameters()), **dict(trunk.named_buffers())}
    shapes = {name: value.detach().to("meta") for name, value in named.items()}
    found = functional_call(trunk, shapes, (torch.empty(2, 3, size, size, device="meta"),))
    return found.shape[2], found.shape[3]


def build(config: Config, vocabulary: Vocabulary, size: int) -> GourKhanna:
    """Makes the network. Raises `UsageError` for a trunk or weights that can't be had, or a size that can't be read."""
    return GourKhanna(config, vocabulary, size)


def start(model: nn.Module, config: Config, labels: Tensor, known: Tensor) -> None:
    """Refuses with one input training eyes (n, C) of which no label is known: nothing would be learnt."""
    if config.inputs == "one":
        require_eye_labels(known)


def loss(model: nn.Module, batch: Batch, config: Config) -> dict[str, Tensor]:
    """`total`, also as `visit`, or `eye` with one input."""
    output: Output = model(batch)
    if config.inputs == "two":
        value = binary_cross_entropy(output.visit_logits, batch.labels, batch.known, weight=batch.weight)
        return {"visit": value, "total": value}
    assert output.eye_logits is not None
    value = binary_cross_entropy(output.eye_logits, batch.eye_labels, batch.eye_known, weight=batch.weight)
    return {"eye": value, "total": value}


def swap(config: Config) -> Literal["same", "differs"]:
    """Two inputs know their sides, single eyes don't."""
    return "differs" if config.inputs == "two" else "same"


def maps(config: Config) -> str:
    """What the evidence maps explain, for the reading and the report."""
    if config.head == "gap512":
        return "There are no maps: a hidden layer judges the means of the maps, so no exact map of the score exists."
    if config.inputs == "two":
        return "The two maps together explain the visit's score exactly: their means add up to the visit's logit."
    return (
        "Each map explains its eye's score exactly: its mean is the eye's logit. The visit's score is that of its "
        "worse eye (for Normal: its less normal eye), whose map explains it."
    )
