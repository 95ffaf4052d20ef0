"""Attention between the positions of two feature maps: every place of one map asks all places of another.

With n = h · w places a map (B, d, h, w) is a matrix (B, n, d) of one row per place:

    A = softmax_j(Q_i · K_j / sqrt(d)),  (B, n, n), rows sum to 1          `position_attention`
    R_i = Σ_j A_ij V_j                                                     `attend`

Scaled dot products: Vaswani et al., NeurIPS 2017; over the places of a picture: Wang et al., CVPR 2018 (non-local).
"""

from __future__ import annotations

import torch
from torch import Tensor


def position_attention(query: Tensor, key: Tensor, scaled: bool = True) -> Tensor:
    """How much each place of `query` takes from each place of `key`.

    Args:
        query: (B, d, h, w); key: (B, d, k, l).
        scaled: divide the products by sqrt(d) before the softmax.

    Returns:
        (B, h·w, k·l), every row sums to 1.
    """
    products = query.flatten(2).transpose(1, 2) @ key.flatten(2)
    return torch.softmax(products / query.shape[1] ** 0.5 if scaled else products, dim=-1)


def attend(attention: Tensor, value: Tensor) -> Tensor:
    """Gathers values (B, c, h, w) by attention (B, h·w, h·w); returns (B, c, h, w)."""
    gathered = value.flatten(2) @ attention.transpose(1, 2).to(value.dtype)  # (B, c, n)
    return gathered.unflatten(2, value.shape[2:])
