"""From visits to numbers, and nothing else: one forward pass gives logits and the evidence of all labels and eyes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eyeground.augment import Laterality, canonical, mirror
from eyeground.batches import Batch, Output, VisitSet
from eyeground.nets.placement import Placement, placement

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Predictions:
    """Logits of n visits (n, C) and their eyes (n, E, C), NaN where not seen; evidence (n, E, C, h, w); or None.

    `map_shift` (E, 2): for each eye (dx, dy) in elements of its evidence, from a regular cell's centre to the true one.
    `placement`: what is known of it, before any mirroring.
    """

    ids: tuple[str, ...]
    visit_logits: Array
    eye_logits: Array | None
    evidence: Array | None
    map_shift: Array
    placement: Placement

    def shift(self, eye: int) -> tuple[float, float]:
        """(dx, dy) of one eye, 0 left and 1 right, as numbers."""
        dx, dy = self.map_shift[eye].tolist()
        return dx, dy


@torch.inference_mode()
def predict(
    model: nn.Module,
    data: VisitSet,
    batch_size: int,
    laterality: Laterality,
    mirrored: bool = False,
    evidence: bool = False,
) -> Predictions:
    """Runs the visits through a model in eval mode, in their order.

    Args:
        laterality: as in training; 'canonical' mirrors right eyes, and their evidence is mirrored back.
        mirrored: answer with the mean over the visit and its mirror image (a mirrored left eye is a right eye). Where
            the two maps of an eye sit apart they are put on one grid first.
        evidence: whether the evidence maps are kept (they are computed either way).
    """
    outputs: list[Output] = []
    placed, shift = Placement(), torch.zeros(2, 2)
    order = list(torch.arange(len(data)).split(batch_size))
    for batch in data.batches(order):
        if evidence:
            placed = placement(model, batch.fundus.shape[-1])
        output, shift = _forward(model, batch, laterality), _shift(placed, laterality)
        if mirrored:
            two = _back(_forward(model, mirror(batch, torch.ones_like(batch.seen[:, 0])), laterality))
            output, shift = _mean(output, two, shift, shift.flip(0) * torch.tensor([-1.0, 1.0]) + 0.0)
        outputs.append(output if evidence else output._replace(evidence=None))

    def gathered(name: str) -> Array | None:
        parts = [getattr(output, name) for output in outputs]
        if not parts or parts[0] is None:
            return None
        joined: Array = torch.cat([part.float().cpu() for part in parts]).numpy()
        return joined

    logits = gathered("visit_logits")
    assert logits is not None, "no visits to predict"
    return Predictions(data.ids, logits, gathered("eye_logits"), gathered("evidence"), shift.numpy(), placed)


def _forward(model: nn.Module, batch: Batch, laterality: Laterality) -> Output:
    """The model's answer, with evidence placed on the photographs as they came."""
    output: Output = model(canonical(batch, laterality))
    maps = output.evidence
    if maps is not None and laterality == "canonical":
        output = output._replace(evidence=torch.stack([maps[:, 0], maps[:, 1].flip(-1)], 1))
    return output


def _shift(placed: Placement, laterality: Laterality) -> Tensor:
    """(E, 2): where the maps of left and right eye sit as `_forward` gives them; a map mirrored back sits mirrored."""
    dx, dy = placed.shift
    return torch.tensor([[dx, dy], [-dx if laterality == "canonical" else dx, dy]]) + 0.0  # no -0


def _back(output: Output) -> Output:
    """The answer to a mirrored visit, with eyes and evidence put back where they were."""
    eyes, maps = output.eye_logits, output.evidence
    return Output(
        output.visit_logits,
        None if eyes is None else eyes.flip(1),
        None if maps is None else maps.flip(1, -1),
    )


def _mean(one: Output, two: Output, shift: Tensor, shift_two: Tensor) -> tuple[Output, Tensor]:
    """The mean of two answers and where its maps sit, (E, 2)."""
    if one.evidence is not None and two.evidence is not None and not torch.equal(shift, shift_two):
        one = one._replace(evidence=_on_grid(one.evidence, shift[:, 0]))
        two = two._replace(evidence=_on_grid(two.evidence, shift_two[:, 0]))
        shift = shift * torch.tensor([0.0, 1.0])

    def half(a: Tensor | None, b: Tensor | None) -> Tensor | None:
        return None if a is None or b is None else (a + b) / 2

    visit = (one.visit_logits + two.visit_logits) / 2
    return Output(visit, half(one.eye_logits, two.eye_logits), half(one.evidence, two.evidence)), shift


def _on_grid(maps: Tensor, shift: Tensor) -> Tensor:
    """Maps (B, E, C, h, w) that sit `shift` (E,) elements to the right, at the centres of a regular grid instead.

    Linear between elements, the outermost one's value beyond it; each map keeps its mean, which is a logit.
    """
    width = maps.shape[-1]
    moved = []
    for eye, by in zip(maps.unbind(1), shift.tolist(), strict=True):
        at = (torch.arange(width, device=maps.device) - by).clamp(0, width - 1)
        first = at.floor().long().clamp(max=max(width - 2, 0))
        part = (at - first).to(maps.dtype)
        moved.append(eye[..., first] * (1 - part) + eye[..., (first + 1).clamp(max=width - 1)] * part)
    resampled = torch.stack(moved, 1)
    return resampled + (maps - resampled).mean((3, 4), keepdim=True)
