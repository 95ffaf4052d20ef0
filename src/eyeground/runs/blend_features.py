"""What several networks say of both eyes of a visit: the features that a blend reads.

Logits of an eye come from the network's own eye logits; where a method has none, from the network with this eye alone,
and its answer to the whole visit is a feature too. Pooled features are the mean of each trunk's map, with this eye
alone, so that no feature of one eye knows of the other. An eye that is not seen is never run and stays NaN.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from eyeground.augment import Augmentation, Draws, apply, canonical, draw, mirror
from eyeground.batches import Batch, VisitSet
from eyeground.errors import UsageError
from eyeground.nets.eyes import spread
from eyeground.runs.data import Pair
from eyeground.runs.model import Model

Array = NDArray[np.float64]
Kind = Literal["logits", "pooled", "both"]


@dataclass(frozen=True)
class Wanted:
    """Which features: `kind`, and how many augmented views their mean and deviation are over, with the draws' seed.

    With 0 views the photograph as it is is read, with its mirror image where the bundle answers so.
    """

    kind: Kind = "logits"
    views: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Said:
    """What one network says of n visits; NaN where an eye is not seen.

    mean (n, 2, K) and deviation (n, 2, K) or None over the views; both (n, V): logits of the visit, V = 0 for methods
    with eye logits. probability (n, C) and eye_probability (n, 2, C) are calibrated, over the views too.
    """

    mean: Array
    deviation: Array | None
    both: Array
    probability: Array
    eye_probability: Array

    @property
    def seen(self) -> NDArray[np.bool_]:
        """(n, 2) which eyes were seen."""
        return np.asarray(~np.isnan(self.eye_probability).all(axis=2))


@torch.inference_mode()
def ask(model: Model, data: VisitSet, wanted: Wanted) -> Said:
    """Runs visits through a network in eval mode.

    Raises:
        UsageError: pooled features of a method whose trunks do not see eyes one at a time.
    """
    order = list(torch.arange(len(data)).split(model.recipe.batch_size))
    parts = [_batch(model, batch, wanted) for batch in data.batches(order)]
    features, logits, visits = (np.concatenate([part[k] for part in parts]) for k in range(3))  # (n, views, ...)
    own = _has_eye_logits(parts)
    calibration = model.bundle.calibration
    return Said(
        mean=features.mean(1),
        deviation=features.std(1) if wanted.views else None,
        both=np.zeros((len(features), 0)) if own else visits.mean(1),
        probability=calibration.apply(visits.mean(1)),
        eye_probability=calibration.apply(logits.mean(1)),
    )


_Part = tuple[Array, Array, Array, bool]


def _has_eye_logits(parts: Sequence[_Part]) -> bool:
    return all(part[3] for part in parts)


def _batch(model: Model, batch: Batch, wanted: Wanted) -> _Part:
    """Features (B, views, 2, K), eye logits (B, views, 2, C), visit logits (B, views, C), and whether these eye logits
    are the method's own."""
    rows = []
    for view, mirrored in _views(model, batch, wanted):
        back = mirrored.view(-1, 1, 1)
        output = model.network(canonical(view, model.recipe.laterality))
        own = output.eye_logits is not None
        eyes = output.eye_logits if own else _alone(model, view, "logits")
        pooled = None if wanted.kind == "logits" else _alone(model, view, "pooled")
        chosen = {"logits": eyes, "pooled": pooled}.get(wanted.kind)
        if chosen is None:
            assert pooled is not None
            chosen = torch.cat([eyes, pooled], 2)
        placed = [torch.where(back, one.flip(1), one) for one in (chosen, eyes)]
        rows.append((*placed, output.visit_logits, own))
    features, logits, visits = (torch.stack([row[k].float().cpu() for row in rows], 1) for k in range(3))
    found = [np.asarray(one.numpy(), np.float64) for one in (features, logits, visits)]
    return found[0], found[1], found[2], all(row[3] for row in rows)


def _views(model: Model, batch: Batch, wanted: Wanted) -> list[tuple[Batch, Tensor]]:
    """The views of a batch, each with which of its visits were mirrored, bool (B,)."""
    none = torch.zeros(len(batch), dtype=torch.bool, device=batch.seen.device)
    if not wanted.views:
        plain = [(batch, none)]
        both = bool(model.bundle.config["predict"]["mirrored"])
        return [*plain, (mirror(batch, ~none), ~none)] if both else plain
    settings = Augmentation(**{one.name: getattr(model.recipe, one.name) for one in fields(Augmentation)})
    found = []
    for number in range(wanted.views):
        drawn = drawn_for(batch.ids, settings, number, wanted.seed)
        found.append((apply(batch, drawn), drawn.mirrored.to(none.device)))
    return found


def drawn_for(ids: Sequence[str], settings: Augmentation, view: int, seed: int) -> Draws:
    """The draws of one view of these visits. A visit's own depend on its id, the view and the seed alone."""
    each = []
    for name in ids:
        generator = torch.Generator().manual_seed(zlib.crc32(f"{seed}/{view}/{name}".encode()))
        each.append(draw(1, settings, generator))
    return Draws(**{one.name: torch.cat([getattr(item, one.name) for item in each]) for one in fields(Draws)})


def _alone(model: Model, batch: Batch, what: Literal["logits", "pooled"]) -> Tensor:
    """(B, 2, K): what the network gives with one eye alone, NaN where it is not seen."""
    found: list[Tensor] = []
    for side in range(2):
        rows = torch.nonzero(batch.seen[:, side]).flatten()
        if len(rows):
            one = canonical(_only(batch, rows, side), model.recipe.laterality)
            values = _pooled(model, one) if what == "pooled" else model.network(one).visit_logits
            found.append(spread(values.float(), batch.seen[:, side]))
        else:
            found.append(torch.empty(0))
    width = max(one.shape[-1] for one in found)
    blank = torch.full((len(batch), width), torch.nan, device=batch.seen.device)
    left, right = (one if one.numel() else blank for one in found)
    if left.shape != right.shape:
        raise UsageError(f"the trunks of {_name(model)} give different features of left and right eyes; use logits")
    return torch.stack([left, right], 1)


def _only(batch: Batch, rows: Tensor, side: int) -> Batch:
    """These visits with one eye alone."""
    here = torch.zeros(len(rows), 2, dtype=torch.bool, device=batch.seen.device)
    here[:, side] = True
    fundus = torch.where(here.view(-1, 2, 1, 1, 1), batch.fundus[rows], 0.0)
    eyes = {"eye_labels": batch.eye_labels[rows], "eye_known": batch.eye_known[rows] & here[..., None]}
    visits = {"labels": batch.labels[rows], "known": batch.known[rows]}
    names = tuple(batch.ids[int(row)] for row in rows)
    weight = None if batch.weight is None else batch.weight[rows]
    return replace(batch, fundus=fundus, seen=here, ids=names, weight=weight, **eyes, **visits)


def _pooled(model: Model, batch: Batch) -> Tensor:
    """(B, K): the mean of each trunk's map, trunk by trunk in the order of their calls; every visit has one eye."""
    given: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        given.append(output)

    names = [name for name, _ in model.network.named_modules() if "." not in name and name.startswith("trunk")]
    hooks = [model.network.get_submodule(name).register_forward_hook(keep) for name in names]
    try:
        model.network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    given = [one for one in given if len(one)]
    if not given or any(one.dim() != 4 or len(one) != len(batch) for one in given):
        raise UsageError(f"{_name(model)} has no trunk that sees one eye at a time; use --features logits")
    return torch.cat([one.float().mean((2, 3)) for one in given], 1)


def _name(model: Model) -> str:
    return f"method {model.bundle.config['method']['name']}"


def held(model: Model, visits: Sequence[Any], eyes: Sequence[Pair]) -> VisitSet:
    """Visits in memory, as `Model.predict` holds them."""
    return VisitSet(visits, eyes, len(model.bundle.vocabulary), "auto", model.device)
