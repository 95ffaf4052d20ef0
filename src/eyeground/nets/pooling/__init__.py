"""From a map of evidence to one logit: named poolings, one file each.

| name | logit of a label from its evidence e over the h × w elements | its map |
|---|---|---|
| gap | mean e | e |
| gmp | max e | e |
| lse | (1/γ) log mean exp(γ e) | e |
| topk | mean of the k largest e | e |
| cwp | Σ w e, one map of weights for all labels | contributions |
| mil | Σ a_c e, gated attention of each label | contributions |

Contributions of weights w that add up to 1: ē + n w (e - ē), ē the mean of e over the n elements. Their mean is the
logit, uniform weights give e, and elements without weight stay at ē.
"""

from __future__ import annotations

from eyeground.nets.pooling.base import Pooling, PoolingOptions
from eyeground.nets.pooling.cwp import ConfidenceWeighted
from eyeground.nets.pooling.gap import AveragePooling
from eyeground.nets.pooling.gmp import MaximumPooling
from eyeground.nets.pooling.lse import LogSumExp
from eyeground.nets.pooling.mil import AttentionMil
from eyeground.nets.pooling.topk import TopK

__all__ = ["POOLINGS", "Pooling", "PoolingOptions"]

POOLINGS: dict[str, type[Pooling]] = {
    "gap": AveragePooling,
    "gmp": MaximumPooling,
    "lse": LogSumExp,
    "cwp": ConfidenceWeighted,
    "mil": AttentionMil,
    "topk": TopK,
}
