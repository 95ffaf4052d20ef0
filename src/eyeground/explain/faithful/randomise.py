"""The model-randomisation check (Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018, section 4).

A map that explains what a network has learnt must change when the network has learnt nothing. Layers get random weights
from the head towards the first layer (cascading); at the last depth all of them have (full randomisation). The map of
every depth is held against the map of the trained network. One that stays, such as the picture's own edges, survives.

Weights come from the layers' own initialisation. Batch normalisation that is randomised takes its statistics anew from
the photographs: with those of the trained network, random weights would let activations fade or overflow, and the map
would be destroyed by that and not by what was forgotten.

Only copies are randomised; the network stays as it is.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from eyeground.batches import Batch

LIMIT = 0.5
"""Mean |Spearman| with the fully randomised network from which a map counts as the same."""
Verdict = Literal["survives", "changes", "unclear", "undefined"]


def layers(network: nn.Module, batch: Batch) -> list[str]:
    """Names of the modules with weights of their own, first layer first, in the order in which a pass comes to them.

    Weights that no module's call shows (a bare parameter used by its owner after other layers) count as the last.
    """
    own = {name: module for name, module in network.named_modules() if list(module.parameters(recurse=False))}
    met: list[str] = []
    hooks = [
        module.register_forward_hook(lambda module, given, made, name=name: met.append(name))
        for name, module in own.items()
    ]
    try:
        with torch.no_grad():
            network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    ordered = list(dict.fromkeys(met))
    return ordered + [name for name in own if name not in ordered]


def depths(names: Sequence[str], count: int) -> list[list[str]]:
    """`count` growing sets of layers from the head down; the first is the last layer alone, the last is all."""
    total = len(names)
    count = min(count, total)
    if count == 1:
        return [list(names)]
    sizes = sorted({1 + round((total - 1) * step / (count - 1)) for step in range(count)})
    return [list(names[total - size :]) for size in sizes]


def cascade(network: nn.Module, batch: Batch, seed: int, count: int) -> Iterator[nn.Module]:
    """Copies with ever more random layers, `count` of them or one per layer; the last has nothing of the trained one.

    Args:
        batch: photographs for the statistics of batch normalisation.
        seed: the same seed gives the same weights at every depth.
    """
    for names in depths(layers(network, batch), count):
        yield randomised(network, names, batch, seed)


def randomised(network: nn.Module, names: Sequence[str], batch: Batch, seed: int) -> nn.Module:
    """A copy, in eval mode, whose layers `names` have random weights; see `cascade`."""
    changed = copy.deepcopy(network).eval()
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for name in names:
            _reset(changed.get_submodule(name))
    norms = [changed.get_submodule(name) for name in names]
    _settle(changed, [norm for norm in norms if isinstance(norm, _BatchNorm)], batch)
    return changed


def _reset(module: nn.Module) -> None:
    """The layer's own initialisation; where it has none, a normal one as wide as the weights were."""
    own = getattr(module, "reset_parameters", None)
    if callable(own):
        own()
        return
    for weight in module.parameters(recurse=False):
        wide = float(weight.std()) if weight.numel() > 1 else abs(float(weight))
        weight.normal_(0, wide or 0.02)


def _settle(network: nn.Module, norms: Sequence[_BatchNorm], batch: Batch) -> None:
    """Statistics of these layers from the photographs."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # plain means
        norm.train()
    if norms:
        with torch.no_grad():
            network(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def verdict(mean: float, low: float, high: float) -> Verdict:
    """`survives` where the interval of the mean |Spearman| lies at or above `LIMIT`, `changes` where it lies below."""
    if math.isnan(mean):
        return "undefined"
    if math.isnan(low) or math.isnan(high):
        return "unclear"
    return "survives" if low >= LIMIT else "changes" if high < LIMIT else "unclear"
