"""From visits to numbers, and nothing else: one forward pass gives logits and the evidence of all labels and eyes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from eyeground.augment import Laterality, canonical, mirror
from eyeground.batches import Batch, VisitSet
from eyeground.images.geometry import Placement
from eyeground.nets.placement import placement
from eyeground.runs.predictions import Array, Predictions, Raw, answer, gather


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
    answers: list[Raw] = []
    shift = np.zeros((2, 2), np.float32)
    placed = Placement()
    for batch in data.batches(list(torch.arange(len(data)).split(batch_size))):
        if evidence:
            placed = placement(model, batch.fundus.shape[-1])
        one = _raw(model, canonical(batch, laterality), evidence)
        two = None
        if mirrored:
            turned = mirror(batch, torch.ones_like(batch.seen[:, 0]))
            two = _raw(model, canonical(turned, laterality), evidence)
        found, shift = answer(one, two, laterality, placed)
        answers.append(found)
    return gather(data.ids, answers, shift, placed)


def _raw(model: nn.Module, batch: Batch, evidence: bool) -> Raw:
    """The network's answer in main memory."""

    def plain(values: Tensor | None) -> Array | None:
        return None if values is None else values.float().cpu().numpy()

    output = model(batch)
    logits = plain(output.visit_logits)
    assert logits is not None
    return Raw(logits, plain(output.eye_logits), plain(output.evidence) if evidence else None)
