"""Maps of what moved a score: every explainer is one file of this folder, and one row here.

An explainer's file holds `maps(network, batch, labels, target) -> Tensor`, float32 (B, E, labels, h, w), and what it
needs of a network comes from `explain.base`. Maps are absolute: no map is stretched, shifted or cut by its own range,
so the same value means the same in every label, eye, visit and model of the same kind, in the unit its row names.

`paint` draws maps; it and this registry start without torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from eyeground.errors import UsageError, nearest

if TYPE_CHECKING:
    from torch import Tensor, nn

    from eyeground.batches import Batch

Target = Literal["auto", "eye", "visit"]


@dataclass(frozen=True)
class ExplainerEntry:
    """A row of the registry: the module, what its maps show in one line, and the unit of their values."""

    module: str
    line: str
    unit: str


EXPLAINERS = {
    "evidence": ExplainerEntry(
        "eyeground.explain.evidence", "the model's own evidence maps, from the pass that gives its logits", "logit"
    ),
    "cam": ExplainerEntry(
        "eyeground.explain.cam", "class activation map: the head at every place; only for heads linear in GAP", "logit"
    ),
    "grad_cam": ExplainerEntry(
        "eyeground.explain.grad_cam",
        "features weighed by their mean gradient, positive part",
        "logit, a part of h·w of it",
    ),
    "grad_cam_pp": ExplainerEntry(
        "eyeground.explain.grad_cam_pp",
        "features weighed by their positive gradients where they count, positive part",
        "logit, up to a factor of the net",
    ),
    "hires_cam": ExplainerEntry(
        "eyeground.explain.hires_cam", "features times gradient at every place, signed", "logit per element"
    ),
    "ablation_cam": ExplainerEntry(
        "eyeground.explain.ablation_cam",
        "features weighed by how far the logit falls without them, positive part",
        "logit times activation",
    ),
    "integrated_gradients": ExplainerEntry(
        "eyeground.explain.integrated_gradients", "gradients on the way from a black picture, signed", "logit per pixel"
    ),
    "sensitivity": ExplainerEntry(
        "eyeground.explain.sensitivity", "largest gradient of the three channels", "logit per unit of pixel value"
    ),
    "hue": ExplainerEntry(
        "eyeground.explain.hue",
        "how the logit moves when a pixel's intensity does and its hue stays",
        "logit per relative change of the pixel",
    ),
    "occlusion": ExplainerEntry(
        "eyeground.explain.occlusion", "how far the logit falls behind a patch of the eye's mean colour", "logit"
    ),
}
"""In the order in which docs/explainers.md names them."""


def find_explainer(name: str) -> ModuleType:
    """Imports an explainer's module. Raises `UsageError` with the nearest match for an unknown name."""
    if name not in EXPLAINERS:
        raise UsageError(f"no explainer '{name}'{nearest(name, EXPLAINERS)}; there are {', '.join(EXPLAINERS)}")
    return importlib.import_module(EXPLAINERS[name].module)


def explain(
    name: str, network: nn.Module, batch: Batch, labels: Sequence[int] | None = None, target: Target = "auto"
) -> Tensor:
    """Maps of what moved the logits of `labels`.

    Args:
        name: a row of `EXPLAINERS`.
        network: any method's, in eval mode; its state, hooks and gradients stay as they are.
        batch: visits as the network takes them.
        labels: numbers of labels, None for all C of the batch.
        target: `eye`: each eye's map explains this eye's logit; `visit`: both eyes' maps explain the visit's logit
            (with the fusion `max` only the eye that decided has a map other than 0); `auto`: the eyes' logits where
            the method has them, else the visits'.

    Returns:
        float32 (B, E, len(labels), h, w), NaN where an eye is not seen. h and w are the map's own resolution: the
        grid of features, of patches, or pixels. Not attached to a graph.

    Raises:
        UsageError: an unknown name or label, a network in training, or one that this explainer can't be right for.
    """
    import torch

    module = find_explainer(name)
    if network.training:
        raise UsageError("maps are made in eval mode; call network.eval() first")
    count = batch.labels.shape[1]
    chosen = list(range(count)) if labels is None else [int(label) for label in labels]
    if not chosen or min(chosen) < 0 or max(chosen) >= count:
        raise UsageError(f"labels are numbers from 0 to {count - 1}, one or more, not {chosen}")
    with torch.inference_mode(False), torch.enable_grad():
        maps: Tensor = module.maps(network, batch, chosen, target)
    return maps.detach().float().masked_fill(~batch.seen[:, :, None, None, None], float("nan"))
