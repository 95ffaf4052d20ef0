"""How much a model that weighs the eyes gave to each, and whether the affected eye got more."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eyeground.augment import canonical, mirror
from eyeground.batches import VisitSet
from eyeground.errors import UsageError
from eyeground.files import aside
from eyeground.methods import METHODS, find_method
from eyeground.metrics.eye_weights import affected_against_fellow, affected_eye
from eyeground.metrics.resample import Plan
from eyeground.progress import Track
from eyeground.records import SIDES, Visit, label_arrays
from eyeground.runs.data import Pair, prepare_visits
from eyeground.runs.model import Model
from eyeground.runs.place import Place
from eyeground.runs.unseen import Asked, choose

LEVELS = ("alpha", "beta")
"""An eye's weight by itself, and beside its fellow."""


@dataclass(frozen=True)
class EyeWeights:
    """The weights of n visits, (n, 2 levels, 2 eyes), NaN where there is none.

    `affected`: the only affected eye, 0 left, 1 right, -1 where there is no such one. `record`: the test, JSON-able.
    """

    ids: tuple[str, ...]
    values: NDArray[np.float64]
    affected: NDArray[np.int64]
    record: dict[str, Any]


def weigh(model: Model, asked: Asked, plan: Plan, place: Place, track: Track, say: Callable[[str], None]) -> EyeWeights:
    """The eye weights of the visits asked for, and the test on those with exactly one affected eye.

    Raises:
        LeakError: a visit was in training.
        UsageError: the method, or its fusion, has no eye weights.
    """
    bundle = model.bundle
    _method_of(model)  # without weights there is nothing to wait for
    unseen = choose(bundle, asked, place.workers, track, say)
    prepared = prepare_visits(unseen.visits, bundle.preprocessing, place.cache_path(), place.workers, track)
    for text in prepared.unreadable:
        say(f"left out: {text}")
    visits = prepared.visits
    values = eye_weights_of(model, visits, [prepared.eyes[visit.id] for visit in visits])
    count = len(bundle.vocabulary)
    states = [eye.labels if eye else (None,) * count for visit in visits for eye in visit.eyes]
    labels, known = (part.reshape(-1, 2, count) for part in label_arrays(states, count))
    affected = affected_eye(labels, known, bundle.vocabulary)
    patients = np.array([visit.patient for visit in visits])
    record = {
        "part": unseen.part,
        "split_hash": unseen.split.hash if unseen.split else None,
        "bundle": bundle.digest,
        "visits": len(visits),
        "draws": plan.draws,
        "leak_audit": unseen.audit,
        **({"stamp": unseen.stamp} if unseen.stamp else {}),
        **{
            name: affected_against_fellow(values[:, level], affected, patients, plan)
            for level, name in enumerate(LEVELS)
        },
    }
    return EyeWeights(tuple(visit.id for visit in visits), values, affected, record)


@torch.inference_mode()
def eye_weights_of(model: Model, visits: Sequence[Visit], eyes: Sequence[Pair]) -> NDArray[np.float64]:
    """Weights (n, 2 levels, 2 eyes) of prepared visits; of a mirrored bundle the mean over visit and mirror image."""
    told, network, laterality = _method_of(model).eye_weights, model.network, model.recipe.laterality
    data = VisitSet(visits, eyes, len(model.bundle.vocabulary), "auto", model.device)
    found = []
    for batch in data.batches(list(torch.arange(len(data)).split(model.recipe.batch_size))):
        values = torch.stack(told(network, canonical(batch, laterality)), 1)  # (B, 2, E)
        if model.bundle.config["predict"]["mirrored"]:
            image = mirror(batch, torch.ones_like(batch.seen[:, 0]))
            values = (values + torch.stack(told(network, canonical(image, laterality)), 1).flip(2)) / 2
        found.append(values.double().cpu())
    return np.asarray(torch.cat(found).numpy())


def write_weights(path: Path, found: EyeWeights) -> None:
    """Writes a CSV: visit, alpha and beta of both eyes (empty where there is none), the only affected eye or nothing.

    A leaky protocol's stamp stands above, in a line that begins with '#'.
    """
    with aside(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        if "stamp" in found.record:
            stream.write(f"# {found.record['stamp']}\n")
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(["visit", *(f"{level}_{side}" for level in LEVELS for side in SIDES), "affected"])
        for name, values, eye in zip(found.ids, found.values.reshape(-1, 4), found.affected, strict=True):
            cells = ["" if np.isnan(value) else repr(float(value)) for value in values]
            rows.writerow([name, *cells, SIDES[eye] if eye >= 0 else ""])


def _method_of(model: Model) -> Any:
    """The bundle's method module. Raises `UsageError` when it has no eye weights."""
    name = model.bundle.config["method"]["name"]
    method = find_method(name)
    if not hasattr(method, "eye_weights"):
        having = ", ".join(one for one in METHODS if hasattr(find_method(one), "eye_weights"))
        raise UsageError(f"method {name} has no eye weights; those that have: {having}")
    return method
