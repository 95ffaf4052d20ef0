"""Scores of one eye under many versions of its pixels, the fellow eye as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from eyeground.batches import Batch, Output
from eyeground.errors import UsageError

Score = Callable[[Tensor], Tensor]
"""Pixels (n, 3, S, S) of an eye to its logits (n,)."""
CHUNK = 16
"""Versions that run at once."""


@dataclass(frozen=True)
class EyeScore:
    """The logit of one label of one eye, as a function of this eye's pixels.

    `batch` holds one visit; `alone`: the fellow eye has no part in the score and is left out (`eyes_apart`).
    """

    network: nn.Module
    batch: Batch
    eye: int
    label: int
    alone: bool
    chunk: int = CHUNK

    @property
    def pixels(self) -> Tensor:
        """(3, S, S)."""
        return self.batch.fundus[0, self.eye]

    @torch.no_grad()
    def __call__(self, versions: Tensor) -> Tensor:
        """Logits float32 (n,) of the eye with each of the pixels (n, 3, S, S)."""
        return torch.cat([self._run(part) for part in versions.split(self.chunk)])

    def _run(self, versions: Tensor) -> Tensor:
        batch = repeated(self.batch, len(versions))
        batch.fundus[:, self.eye] = versions
        if self.alone:
            batch = without(batch, 1 - self.eye)
        return eye_logits(self.network(batch))[:, self.eye, self.label].float()


def eye_logits(output: Output) -> Tensor:
    """(B, E, C). Raises `UsageError` where the method has none."""
    if output.eye_logits is None:
        raise UsageError("the method gives no score of a single eye, so nothing says what a map of one eye moves")
    return output.eye_logits


def repeated(batch: Batch, times: int) -> Batch:
    """A batch of one visit, `times` over, in memory of its own."""
    values: dict[str, Any] = {field.name: getattr(batch, field.name) for field in fields(batch)}
    tensors = {name: v.repeat(times, *[1] * (v.dim() - 1)) for name, v in values.items() if isinstance(v, Tensor)}
    return Batch(**{**values, **tensors, "ids": batch.ids * times})


def without(batch: Batch, eye: int) -> Batch:
    """The batch with this eye not seen."""
    seen, fundus = batch.seen.clone(), batch.fundus.clone()
    seen[:, eye], fundus[:, eye] = False, 0
    return replace(batch, seen=seen, fundus=fundus)


@torch.no_grad()
def eyes_apart(network: nn.Module, batch: Batch) -> bool:
    """Whether the eyes' logits stay as they are when the fellow eye is gone. Visits with one eye tell nothing."""
    both = batch.seen.all(1)
    if not both.any():
        return False
    whole = eye_logits(network(batch))[both]
    for eye in range(2):
        alone = eye_logits(network(without(batch, 1 - eye)))[both]
        if not torch.allclose(whole[:, eye], alone[:, eye], atol=1e-4, rtol=1e-4):
            return False
    return True
