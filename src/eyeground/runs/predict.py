"""From visits to numbers, and nothing else: one forward pass gives logits and the evidence of all labels and eyes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eyeground.augment import Laterality, canonical, mirror
from eyeground.batches import Batch, Output, VisitSet

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Predictions:
    """Logits of n visits (n, C) and their eyes (n, E, C), NaN where not seen; evidence (n, E, C, h, w); or None."""

    ids: tuple[str, ...]
    visit_logits: Array
    eye_logits: Array | None
    evidence: Array | None


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
        mirrored: answer with the mean over the visit and its mirror image (a mirrored left eye is a right eye).
        evidence: whether the evidence maps are kept (they are computed either way).
    """
    outputs: list[Output] = []
    order = list(torch.arange(len(data)).split(batch_size))
    for batch in data.batches(order):
        output = _forward(model, batch, laterality)
        if mirrored:
            output = _mean(output, _back(_forward(model, mirror(batch, torch.ones_like(batch.seen[:, 0])), laterality)))
        outputs.append(output if evidence else output._replace(evidence=None))

    def gathered(name: str) -> Array | None:
        parts = [getattr(output, name) for output in outputs]
        if not parts or parts[0] is None:
            return None
        joined: Array = torch.cat([part.float().cpu() for part in parts]).numpy()
        return joined

    logits = gathered("visit_logits")
    assert logits is not None, "no visits to predict"
    return Predictions(data.ids, logits, gathered("eye_logits"), gathered("evidence"))


def _forward(model: nn.Module, batch: Batch, laterality: Laterality) -> Output:
    """The model's answer, with evidence placed on the photographs as they came."""
    output: Output = model(canonical(batch, laterality))
    maps = output.evidence
    if maps is not None and laterality == "canonical":
        output = output._replace(evidence=torch.stack([maps[:, 0], maps[:, 1].flip(-1)], 1))
    return output


def _back(output: Output) -> Output:
    """The answer to a mirrored visit, with eyes and evidence put back where they were."""
    eyes, maps = output.eye_logits, output.evidence
    return Output(
        output.visit_logits,
        None if eyes is None else eyes.flip(1),
        None if maps is None else maps.flip(1, -1),
    )


def _mean(one: Output, two: Output) -> Output:
    def half(a: Tensor | None, b: Tensor | None) -> Tensor | None:
        return None if a is None or b is None else (a + b) / 2

    visit = (one.visit_logits + two.visit_logits) / 2
    return Output(visit, half(one.eye_logits, two.eye_logits), half(one.evidence, two.evidence))
