"""The third pass: train so that a network's sensitivity maps are sparse (Quellec et al., MIA 39:178-193, 2017, "Deep
image mining for diabetic retinopathy screening").

| equation | here |
|---|---|
| g = ∂y / ∂D, D (c, h, w) an activation that feeds a down-sampling operator, or the input | `sensitivity` |
| s = the size of Σ_c D_c g_c, (h, w): how y answers when a place changes strength and keeps its hue | `sensitivity` |
| l1: Σ s, the mean over the batch | `sparsity` |
| hoyer: Σ s / (√n · ‖s‖₂), n = h · w, between 1/√n (one element) and 1 (flat), the mean over the batch | `sparsity` |

The first pass gives y, the second g, the third minimises a function of g. The paper's exact term is not on record here;
these two are an implementable form of it.

l1 is not divided by the number of elements. For a piecewise linear network without biases Σ D g = y at every layer
(Euler's theorem on homogeneous functions), so Σ s is of the size of a logit, at least |y|, whatever the layer and its
number of elements: one weight serves all layers and sizes. It also pulls |y| towards 0; the scale-free ratio does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Penalty = Literal["l1", "hoyer"]


def sensitivity(target: Tensor, layers: Sequence[Tensor], graph: bool = True) -> list[Tensor]:
    """How strongly each place of each layer moves the target, hue-constrained.

    Args:
        target: y, (n,) or a scalar; a row's gradient is taken to be its own (batch normalisation in training mode mixes
            rows: then the sum over the batch is differentiated).
        layers: activations D (n, c, h, w) of the graph that y was computed by.
        graph: keep the graph of the gradient, to differentiate it again.

    Returns:
        one map s (n, h, w) per layer, float32 (float64 of a float64 layer), 0 where y does not depend on the layer.
    """
    grads = torch.autograd.grad(
        target.sum(), list(layers), create_graph=graph, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    wide = [(_wide(layer), _wide(grad)) for layer, grad in zip(layers, grads, strict=True)]
    return [(layer * grad).sum(1).abs() for layer, grad in wide]


def sparsity(target: Tensor, layers: Sequence[Tensor], penalty: Penalty, weight: Tensor | None = None) -> Tensor:
    """The penalty: low where few places of the layers move the target.

    Args:
        target: y, (n,) or a scalar; the logit rather than the probability, which saturates.
        layers: activations D (n, c, h, w) of the graph that y was computed by, first the input.
        weight: float (n,), what each row counts; None is 1 each. All 0 gives 0.

    Returns:
        a scalar with a graph of its own: the mean over rows and layers.
    """
    if not layers:
        raise ValueError("no layers to be made sparse")
    found = [_penalty(map_.flatten(1), penalty) for map_ in sensitivity(target, layers)]  # each (n,)
    rows = torch.stack(found).mean(0)
    if weight is None:
        return rows.mean()
    total = weight.sum()
    return (rows * weight).sum() / torch.where(total > 0, total, 1.0)


def hoyer(values: Tensor) -> Tensor:
    """Hoyer's sparsity (√n - ‖s‖₁ / ‖s‖₂) / (√n - 1): 0 flat, 1 one entry (Hoyer, JMLR 5:1457-1469, 2004, section 3.1).

    Args:
        values: (m, ...), a row for each map.

    Returns:
        (m,); NaN for a map of zeros or of one element, which is neither sparse nor flat.
    """
    flat = values.flatten(1)
    root = flat.shape[1] ** 0.5
    found = (1 - _ratio(flat.abs())) * root / (root - 1) if root > 1 else flat.new_full(flat.shape[:1], torch.nan)
    return torch.where((flat != 0).any(1), found, torch.nan)


def _penalty(maps: Tensor, penalty: Penalty) -> Tensor:
    return maps.sum(1) if penalty == "l1" else _ratio(maps)


def _ratio(maps: Tensor) -> Tensor:
    """‖s‖₁ / (√n ‖s‖₂) of each row of (m, n) values that are not negative; 0, with a zero gradient, for zeros.

    Rows are scaled to a maximum of 1 first, which changes neither the ratio nor its gradient and spares underflow.
    """
    top = maps.detach().amax(1, keepdim=True)
    scaled = maps / torch.where(top > 0, top, 1.0)
    square = scaled.square().sum(1)
    return scaled.sum(1) / (maps.shape[1] * torch.where(square > 0, square, 1.0)).sqrt()


def _wide(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()
