"""Whether a bundle's maps are faithful: every kind of map against the same photographs, beside floors and controls."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eyeground.augment import canonical
from eyeground.batches import Batch, VisitSet
from eyeground.errors import DataError, UsageError, nearest
from eyeground.explain.faithful.scoring import eye_logits, eyes_apart
from eyeground.explain.faithful.sources import CONTROLS, Source, source
from eyeground.progress import Track
from eyeground.records import SIDES, Visit
from eyeground.runs.data import PreparedVisits, prepare_visits
from eyeground.runs.faithful_cases import Case, Held, judge_case, randomisation
from eyeground.runs.faithful_options import MAPS, Options, Which
from eyeground.runs.faithful_table import summary
from eyeground.runs.model import Model
from eyeground.runs.place import Place
from eyeground.runs.unseen import Asked, choose


@dataclass(frozen=True)
class Faithfulness:
    """`record` is JSON-able; `cases` have the numbers one by one, `curves` (rows) the mean curves for the figure."""

    record: dict[str, Any]
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class _Eyes:
    """The visits one by one as the network takes them, and which (eye, label) of each are explained."""

    visits: tuple[Visit, ...]
    batches: tuple[Batch, ...]
    wanted: tuple[tuple[tuple[int, int], ...], ...]
    logits: NDArray[np.float32] = field(repr=False)


def faithfulness(
    model: Model, asked: Asked, options: Options, place: Place, track: Track, say: Callable[[str], None]
) -> Faithfulness:
    """Holds every kind of map to the tests of `explain.faithful`.

    Raises:
        LeakError: a visit was in training.
        UsageError: an unknown map or label, or a method without scores of single eyes.
        DataError: no visit or no eye to explain.
    """
    labels = _labels(model, options.labels)
    unseen = choose(model.bundle, asked, place.workers, track, say)
    visits = _drawn(unseen.visits, labels, options)
    prepared = prepare_visits(visits, model.bundle.preprocessing, place.cache_path(), place.workers, track)
    for text in prepared.unreadable:
        say(f"left out: {text}")
    eyes = _eyes(model, prepared, labels, options)
    rows = _sources(model, eyes, options, say)
    apart = eyes_apart(model.network, _joined(eyes.batches))
    cases = tuple(_cases(model, eyes, rows, options, apart, track))
    first, people = options.random_visits, [visit.patient for visit in eyes.visits]
    held = Held.of(eyes.batches[:first], eyes.wanted[:first], people[:first])
    forgotten = randomisation(model.network, rows, held, options, track) if options.random_weights else {}
    record = {
        "part": unseen.part,
        "split_hash": unseen.split.hash if unseen.split else None,
        "bundle": model.bundle.digest,
        "method": model.bundle.config["method"]["name"],
        "size": model.recipe.size,
        "visits": [visit.id for visit in eyes.visits],
        "labels": {model.bundle.vocabulary.codes[c]: _count(eyes, c) for c in labels},
        "options": _told(options),
        "leak_audit": unseen.audit,
        **({"stamp": unseen.stamp} if unseen.stamp else {}),
        **summary(cases, forgotten, options.score, options.draws),
    }
    return Faithfulness(record, cases)


def _labels(model: Model, codes: Sequence[str]) -> list[int]:
    """Numbers of the labels asked for."""
    vocabulary = model.bundle.vocabulary
    for code in codes:
        if code not in vocabulary.codes:
            there = ", ".join(vocabulary.codes)
            raise UsageError(f"no label '{code}'{nearest(code, vocabulary.codes)}; the bundle answers {there}")
    if codes:
        return [vocabulary.index(code) for code in dict.fromkeys(codes)]
    own = [c for c, label in enumerate(vocabulary.labels) if label.visit == "any"]
    return own or list(range(len(vocabulary)))


def _drawn(visits: Sequence[Visit], labels: Sequence[int], options: Options) -> list[Visit]:
    """Visits in a random order, those with one of the labels first."""
    if not visits:
        raise DataError("there is no visit with an image in this part; choose another --part or cohort")
    mixed = list(visits)
    random.Random(options.seed).shuffle(mixed)
    mixed.sort(key=lambda visit: not any(visit.labels[c] == 1 for c in labels))
    return mixed[: options.visits]


def _eyes(model: Model, prepared: PreparedVisits, labels: Sequence[int], options: Options) -> _Eyes:
    """The visits that have something to explain."""
    visits = prepared.visits
    data = VisitSet(
        visits, [prepared.eyes[visit.id] for visit in visits], len(model.bundle.vocabulary), "auto", model.device
    )
    batches = [canonical(batch, model.recipe.laterality) for batch in data.batches(torch.arange(len(data)).split(1))]
    with torch.no_grad():
        logits = torch.cat([eye_logits(model.network(batch)) for batch in batches]).float().cpu().numpy()
    called = np.zeros(logits.shape, bool)
    for eye in range(logits.shape[1]):
        seen = ~np.isnan(logits[:, eye]).any(1)
        called[seen, eye] = model.bundle.calibration.apply(logits[seen, eye]) >= model.bundle.threshold_values()
    wanted = [tuple(_wanted(batch, called[row], labels, options.which)) for row, batch in enumerate(batches)]
    kept = [row for row, pairs in enumerate(wanted) if pairs]
    if not kept:
        raise DataError(
            f"none of {len(visits)} visits has an eye to explain; try --which all, other --labels or more --visits"
        )
    return _Eyes(
        tuple(visits[row] for row in kept),
        tuple(batches[row] for row in kept),
        tuple(wanted[row] for row in kept),
        logits[kept],
    )


def _wanted(batch: Batch, called: NDArray[np.bool_], labels: Sequence[int], which: Which) -> Iterator[tuple[int, int]]:
    for eye in range(batch.seen.shape[1]):
        for label in labels if batch.seen[0, eye] else ():
            present = bool(batch.eye_known[0, eye, label] and batch.eye_labels[0, eye, label] > 0)
            asked = {"present": present, "called": bool(called[eye, label]), "all": True}
            if asked.get(which, asked["present"] or asked["called"]):
                yield eye, label


def _sources(model: Model, eyes: _Eyes, options: Options, say: Callable[[str], None]) -> list[Source]:
    """The rows of the table: maps asked for, then controls. Defaults that the method can't have are left out."""
    rows = []
    for name in dict.fromkeys((*(options.maps or MAPS), *CONTROLS)):
        row = source(name, model.network, model.recipe.size)
        try:
            row.maps(model.network, eyes.batches[0], [eyes.wanted[0][0][1]], torch.Generator().manual_seed(0))
        except UsageError as error:
            if options.maps:
                raise
            say(f"left out: {name}: {error}")
            continue
        rows.append(row)
    return rows


def _cases(
    model: Model, eyes: _Eyes, rows: Sequence[Source], options: Options, apart: bool, track: Track
) -> Iterator[Case]:
    """Every (visit, row of the table), tested on all its eyes and labels."""
    work = [(number, row) for number in range(len(eyes.visits)) for row in rows]
    for number, row in track(work, "curves, ROAD, moves", len(work)):
        visit = eyes.visits[number]
        names = [
            (visit.id, visit.patient, SIDES[eye], model.bundle.vocabulary.codes[c]) for eye, c in eyes.wanted[number]
        ]
        held = Held(eyes.batches[number], eyes.wanted[number])
        yield from judge_case(model.network, row, held, names, options, apart)


def _joined(batches: Sequence[Batch]) -> Batch:
    return Held.of(batches[:4], [() for _ in batches[:4]]).batch


def _count(eyes: _Eyes, label: int) -> int:
    return sum(c == label for pairs in eyes.wanted for _, c in pairs)


def _told(options: Options) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(options).items()}
