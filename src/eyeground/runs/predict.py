"""From visits to numbers, and nothing else: one forward pass gives logits and the evidence of all labels and eyes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from eyeground.augment import Laterality, canonical
from eyeground.batches import Output, VisitSet

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
    model: nn.Module, data: VisitSet, batch_size: int, laterality: Laterality, evidence: bool = False
) -> Predictions:
    """Runs the visits through a model in eval mode, in their order.

    Args:
        laterality: as in training; 'canonical' mirrors right eyes, and their evidence is mirrored back.
        evidence: whether the evidence maps are kept (they are computed either way).
    """
    outputs: list[Output] = []
    order = list(torch.arange(len(data)).split(batch_size))
    for batch in data.batches(order):
        output: Output = model(canonical(batch, laterality))
        maps = output.evidence if evidence else None
        if maps is not None and laterality == "canonical":
            maps = torch.stack([maps[:, 0], maps[:, 1].flip(-1)], 1)
        outputs.append(Output(output.visit_logits, output.eye_logits, maps))

    def gathered(name: str) -> Array | None:
        parts = [getattr(output, name) for output in outputs]
        if not parts or parts[0] is None:
            return None
        joined: Array = torch.cat([part.float().cpu() for part in parts]).numpy()
        return joined

    logits = gathered("visit_logits")
    assert logits is not None, "no visits to predict"
    return Predictions(data.ids, logits, gathered("eye_logits"), gathered("evidence"))
