"""What every pooling is: evidence and features in, a logit and a map to show out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn


@dataclass(frozen=True)
class PoolingOptions:
    """What poolings may need to know.

    channels K, labels C. gamma: sharpness of lse, and whether it is learned for each label. part: of topk, in (0, 1].
    """

    channels: int
    labels: int
    gamma: float = 5.0
    learned: bool = False
    part: float = 0.1


class Pooling(nn.Module):
    """(evidence (n, C, h, w), features (n, K, h, w)) -> (logits (n, C), maps (n, C, h, w)), all float32.

    All poolings move with their evidence: a constant added to a label's evidence is added to its logit and map, so
    that the bias of the evidence sets where training starts.

    Attributes:
        promise: what the maps explain, a sentence for the reading and the report.
        exact: the mean of a map is its logit. Where not, the logit is another function of the map alone.
        uniform: before training the logit is the plain mean of the evidence.
    """

    promise: ClassVar[str]
    exact: ClassVar[bool]
    uniform: ClassVar[bool]

    def __init__(self, options: PoolingOptions) -> None:
        super().__init__()
        self.options = options

    def forward(self, evidence: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


def contributions(evidence: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted means and what each element adds to them.

    Args:
        evidence: e (n, C, h, w); weights: w (n, C or 1, h, w), not negative, each map adding up to 1.

    Returns:
        logits z = Σ w e, (n, C), and maps ē + n w (e - ē) with ē the plain mean of e over the n elements; the mean of
        a map is ē + Σ w (e - ē) = z. Relative to ē and not to 0, which log-odds of rare labels never reach: else an
        element without weight would look hotter than one that speaks for the label.
    """
    mean = evidence.mean((2, 3), keepdim=True)
    apart = (evidence - mean) * weights
    maps = mean + evidence[0, 0].numel() * apart
    return mean[:, :, 0, 0] + apart.sum((2, 3)), maps
