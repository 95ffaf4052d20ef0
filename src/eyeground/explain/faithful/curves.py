"""Deletion and insertion (Petsiuk, Das and Saenko, "RISE", BMVC 2018, section 4).

The pixels of the field of view are put in the order of the map, the highest first. Deletion takes the first part p of
them away and looks at the score s(p); insertion starts with nothing and brings them back. The area under s over p in
[0, 1] is small for deletion and large for insertion where the map names what the score rests on.

Two scores. `probability` is the sigmoid of the eye's logit z. `logit` is what is left of the full drop,

    f(p) = (z(p) - z_nothing) / (z_whole - z_nothing),

1 for the photograph and 0 for the field without content, whatever the probability saturates at. It is undefined where
the drop is not above `DROP`: there the label did not rest on the field's content.

What stands for a removed pixel is a choice that moves the numbers: `blurred`, `mean` or `black` (`baseline`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from eyeground.explain.faithful.pixels import blur, first_parts
from eyeground.explain.faithful.scoring import Score

Baseline = Literal["blurred", "mean", "black"]
BLUR = 1 / 12
"""Standard deviation of the blur, as a part of the view's side: wider than any lesion that has a place."""
DROP = 1.0
"""Logits; in parts of a smaller full drop the score would be all noise."""


@dataclass(frozen=True)
class Curves:
    """Logits (K + 1,) at the parts p = 0, 1/K, ..., 1 removed (`deletion`) or brought back (`insertion`)."""

    deletion: Tensor
    insertion: Tensor

    @property
    def drop(self) -> float:
        """z_whole - z_nothing."""
        return float(self.deletion[0] - self.deletion[-1])

    def relative(self) -> tuple[Tensor, Tensor]:
        """f of both curves, NaN where the drop is not above `DROP`."""
        drop = self.drop if self.drop > DROP else float("nan")
        return (self.deletion - self.deletion[-1]) / drop, (self.insertion - self.deletion[-1]) / drop

    def areas(self) -> dict[str, float]:
        """Areas by `deletion_logit`, `insertion_logit`, `deletion_probability`, `insertion_probability`."""
        deletion, insertion = self.relative()
        both = {"deletion_logit": deletion, "insertion_logit": insertion}
        both |= {"deletion_probability": self.deletion.sigmoid(), "insertion_probability": self.insertion.sigmoid()}
        return {name: area(curve) for name, curve in both.items()}


def area(curve: Tensor) -> float:
    """Area under (K + 1,) evenly spaced values over [0, 1], by trapezoids."""
    return float(torch.trapezoid(curve.double()) / (len(curve) - 1))


def baseline(pixels: Tensor, field: Tensor, kind: Baseline) -> Tensor:
    """The view (3, S, S) with nothing left in its field, the surround untouched.

    Args:
        kind: `blurred`: the field's own blur, which keeps illumination and loses lesions and vessels (what lies outside
            of the field has no part in it); `mean`: the field's mean colour; `black`.
    """
    if kind == "black":
        nothing = torch.zeros_like(pixels)
    elif kind == "mean":
        nothing = pixels[:, field].mean(1)[:, None, None].expand_as(pixels)
    else:
        weight = field[None, None].to(pixels.dtype)
        spread = blur(torch.cat([pixels[None] * weight, weight], 1), BLUR * pixels.shape[-1])[0]
        nothing = spread[:3] / spread[3:].clamp(min=1e-6)
    return torch.where(field, nothing, pixels)


def curves(score: Score, pixels: Tensor, nothing: Tensor, order: Tensor, steps: int) -> Curves:
    """Both curves of one order.

    Args:
        score: of pixels (n, 3, S, S).
        pixels, nothing: (3, S, S), the view and its `baseline`.
        order: `removal_order`'s.
        steps: K; 2 K versions are scored.
    """
    parts = torch.linspace(0, 1, steps + 1)
    gone = first_parts(order, parts[:-1], pixels.shape[-1])[:, None]
    less = torch.where(gone, nothing, pixels)  # 0, ..., K - 1 of K removed
    more = torch.where(gone, pixels, nothing)
    logits = score(torch.cat([less, more]))
    deletion, insertion = logits[:steps], logits[steps:]
    return Curves(torch.cat([deletion, insertion[:1]]), torch.cat([insertion, deletion[:1]]))
