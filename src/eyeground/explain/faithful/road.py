"""ROAD, remove and debias (Rong et al., ICML 2022): removal whose holes are filled in, so that no hole's edge counts.

MoRF removes the map's highest pixels, LeRF its lowest, each the part p of the field. The score is the eye's logit z or
its sigmoid, and `combined` is the mean over the parts of

    (s_LeRF(p) - s_MoRF(p)) / 2,

above 0 where what the map names highest carries more of the score than what it names lowest; an order that knows
nothing has 0. (The paper removes over a data set and looks at accuracy; on single photographs `grad-cam` uses this
difference of confidence, which is followed here.) Pixels outside of the field of view stay and are never imputed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eyeground.explain.faithful.impute import NOISE, impute
from eyeground.explain.faithful.pixels import first_parts
from eyeground.explain.faithful.scoring import Score

PARTS = (0.1, 0.3, 0.5, 0.7, 0.9)


@dataclass(frozen=True)
class Road:
    """Logits (P,) with the most (`morf`) or the least (`lerf`) relevant part removed, for every part of `parts`."""

    parts: tuple[float, ...]
    morf: Tensor
    lerf: Tensor

    def combined(self) -> dict[str, float]:
        """`road_logit` in logits, and `road_probability`."""
        logit = (self.lerf - self.morf).mean() / 2
        probability = (self.lerf.sigmoid() - self.morf.sigmoid()).mean() / 2
        return {"road_logit": float(logit), "road_probability": float(probability)}


def road(score: Score, pixels: Tensor, order: Tensor, parts: tuple[float, ...], generator: torch.Generator) -> Road:
    """Both removals of one order.

    Args:
        score: of pixels (n, 3, S, S).
        pixels: (3, S, S), the view.
        order: `removal_order`'s.
        parts: each in (0, 1].
    """
    wanted = torch.tensor(parts)
    size = pixels.shape[-1]
    missing = torch.cat([first_parts(order, wanted, size), first_parts(order.flip(0), wanted, size)])
    filled = impute(pixels[None].expand(len(missing), -1, -1, -1), missing)
    noise = torch.randn(filled.shape, generator=generator).to(filled) * NOISE
    logits = score(torch.where(missing[:, None], filled + noise, filled))
    return Road(parts, logits[: len(parts)], logits[len(parts) :])
