"""Several networks and both eyes, blended: a forest or a small dense net over what they say (docs/blending.md).

Quellec et al. 2017 put a random forest over features of several networks and both eyes; team o_O (Kaggle 2015) a dense
net over the mean and the deviation of pooled features. Both fitted on photographs that had trained the networks. There
features are over-confident: the blend learns to trust what it will not meet again. Here it is fitted on the validation
part, which chose no more than an epoch and a handful of thresholds; that part is small, so it reads logits, a few
numbers an eye, unless told otherwise. `fit_on="train"` does as the papers did, and is marked by a note.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eyeground.errors import DataError, UsageError
from eyeground.metrics.calibration_choice import select
from eyeground.metrics.predictions import write_predictions
from eyeground.metrics.thresholds import choose as choose_thresholds
from eyeground.progress import Track
from eyeground.records import Visit, label_arrays
from eyeground.runs.blend_features import Said, Wanted, ask, held
from eyeground.runs.blend_folder import Blend
from eyeground.runs.blender import Settings, Truth, fit, part, without_own_fold
from eyeground.runs.chosen import chosen_on
from eyeground.runs.data import Pair, prepare_visits
from eyeground.runs.model import Model
from eyeground.runs.place import Place
from eyeground.runs.unseen import Asked, Unseen, choose

Array = NDArray[np.float64]
Say = Callable[[str], None]
REMEMBERED = (
    "the blend was fitted on photographs that trained its networks: it learnt from answers surer than any it will meet"
)


@dataclass(frozen=True)
class Order:
    """What to fit: the features, how, and on which part; seed of forests, nets and folds is that of `settings`."""

    wanted: Wanted = field(default_factory=Wanted)
    settings: Settings = field(default_factory=Settings)
    fit_on: Literal["val", "train"] = "val"


@dataclass(frozen=True)
class Answers:
    """Visits with what each network says of them and what is true."""

    visits: tuple[Visit, ...]
    said: tuple[Said, ...]
    truth: Truth
    unseen: Unseen
    unreadable: tuple[str, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(visit.id for visit in self.visits)


@dataclass(frozen=True)
class Desk:
    """Where and how it is run: place, progress, news."""

    place: Place
    track: Track
    say: Say


def gather(models: Sequence[Model], asked: Asked, wanted: Wanted, desk: Desk) -> Answers:
    """What the networks say of the visits asked for, after the leak audit of each.

    Raises:
        LeakError: a visit was in training (unless the part asked for is training itself).
        DataError: another vocabulary, or nothing readable.
    """
    first = models[0].bundle
    unseen = choose(first, asked, desk.place.workers, desk.track, desk.say)
    for model in models[1:]:  # of the same split and fold: the same audit, unless photographs chose something later
        if chosen_on(model.bundle):
            choose(model.bundle, asked, desk.place.workers, desk.track, lambda text: None)
    eyes: list[dict[str, Pair]] = []
    unreadable: tuple[str, ...] = ()
    for model in models:
        kept = desk.place.cache_path()
        found = prepare_visits(unseen.visits, model.bundle.preprocessing, kept, desk.place.workers, desk.track)
        eyes.append(found.eyes)
        unreadable = unreadable or found.unreadable
    for text in unreadable:
        desk.say(f"left out: {text}")
    visits = [visit for visit in unseen.visits if visit.id in eyes[0]]
    pairs = [[one[visit.id] for visit in visits] for one in eyes]
    said = []
    for model, pair in desk.track(zip(models, pairs, strict=True), "networks", len(models)):
        said.append(ask(model, held(model, visits, pair), wanted))
    return Answers(tuple(visits), tuple(said), _truth(visits, pairs[0], models[0]), unseen, unreadable)


def _truth(visits: Sequence[Visit], pairs: Sequence[Pair], model: Model) -> Truth:
    count = len(model.bundle.vocabulary)
    labels, known = label_arrays([visit.labels for visit in visits], count)
    states = [eye.labels if eye else (None,) * count for visit in visits for eye in visit.eyes]
    eye_labels, eye_known = label_arrays(states, count)
    there = np.array([[eye is not None for eye in pair] for pair in pairs])
    patients = np.array([visit.patient for visit in visits])
    by_eye = eye_known.reshape(-1, 2, count) & there[..., None]
    return Truth(labels, known, eye_labels.reshape(-1, 2, count), by_eye, patients)


def with_both_eyes(answers: Answers) -> Answers:
    """The visits of which both eyes are seen. Raises `DataError` when none is left."""
    both = np.asarray(answers.said[0].seen.all(1))
    if not both.any():
        raise DataError(f"no visit of the {answers.unseen.part} part has both eyes; drop --both-eyes")
    visits = tuple(visit for visit, kept in zip(answers.visits, both, strict=True) if kept)
    said = tuple(part(one, both) for one in answers.said)
    return replace(answers, visits=visits, said=said, truth=answers.truth.take(both))


def fit_blend(models: Sequence[Model], asked: Asked, order: Order, desk: Desk) -> Blend:
    """Fits a blend on a part of the networks' own split; see `fit_on`."""
    return fit_on(models, gather(models, replace(asked, split=None, part=order.fit_on), order.wanted, desk), order)


def fit_on(models: Sequence[Model], answers: Answers, order: Order) -> Blend:
    """Fits a blend on what the networks say of the part that `order` names.

    Calibration and thresholds are chosen on answers to patients that the blend was fitted without, fold by fold.

    Raises:
        DataError: no visit with both eyes, or too few patients with a label.
    """
    vocabulary, settings = models[0].bundle.vocabulary, order.settings
    both = int(answers.said[0].seen.all(1).sum())
    if not both:
        raise DataError(
            f"no visit of the {_NAMES[order.fit_on]} part has both eyes, and a blend learns what two eyes say "
            "together; use a cohort with pairs"
        )
    where = f"the {_NAMES[order.fit_on]} part"
    blender = fit(answers.said, answers.truth, vocabulary, settings, where)
    if settings.kind == "mean":
        visits, _ = blender.answer(answers.said)
    else:
        visits, _ = without_own_fold(answers.said, answers.truth, vocabulary, blender, settings)
    truth = answers.truth
    cells = (logit(visits), truth.labels.astype(np.float64), truth.known, truth.patients)
    choice = select(*cells, "auto", settings.growth.seed)
    probability = choice.calibration.apply(cells[0])
    thresholds = choose_thresholds(truth.labels, truth.known, probability, vocabulary)
    split = answers.unseen.split
    fitted_on = {
        "part": order.fit_on,
        "split_hash": split.hash if split else None,
        "fold": int(models[0].bundle.config["data"]["fold"]),
        "visits": len(answers.visits),
        "both_eyes": both,
        "eyes": int(answers.said[0].seen.sum()),
        "seed": settings.growth.seed,
        "labels": [
            {"code": code, "n": int(truth.known[:, c].sum()), "n_pos": int(truth.labels[truth.known[:, c], c].sum())}
            for c, code in enumerate(vocabulary.codes)
        ],
    }
    note = REMEMBERED if order.fit_on == "train" else None
    values = {one.code: float(one.value) for one in thresholds}
    return Blend(blender, order.wanted, vocabulary, choice.calibration, values, fitted_on, answers.unseen.stamp, note)


_NAMES = {"val": "validation", "train": "training"}


def logit(probability: Array) -> Array:
    """Log-odds; 0 and 1, which a forest may say, are taken for 1e-4 beside them."""
    p = np.clip(probability, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(p) - np.log1p(-p))


def answer(blend: Blend, said: Sequence[Said]) -> tuple[Array, Array]:
    """Calibrated probabilities of visits (n, C), and of eyes (n, 2, C) as the blend says them, NaN where not seen."""
    visits, eyes = blend.blender.answer(said)
    return blend.calibration.apply(logit(visits)), eyes


def apply_blend(
    blend: Blend, models: Sequence[Model], asked: Asked, desk: Desk, out: Path, both_eyes: bool = False
) -> int:
    """Writes the predictions of a blend for visits of a cohort, for `eyeground score`; returns how many.

    Raises:
        UsageError: the part that it was fitted on is asked for.
        LeakError: a visit was in training.
    """
    refuse_fitted(blend, asked)
    answers = gather(models, asked, blend.wanted, desk)
    if told := answers.unseen.audit.get("stamp"):
        desk.say(f"warning: {told}")
    answers = with_both_eyes(answers) if both_eyes else answers
    probability, _ = answer(blend, answers.said)
    stamp = answers.unseen.stamp or blend.stamp
    write_predictions(out, answers.ids, probability, blend.vocabulary.codes, stamp)
    return len(answers.ids)


def refuse_fitted(blend: Blend, asked: Asked) -> None:
    """Raises `UsageError` where predictions would be of the very visits that the blend was fitted on."""
    own = ("all",) if asked.split is None else ()
    if asked.part in (blend.fitted_on["part"], "val", *own):
        raise UsageError(
            f"--part {asked.part}: the blend was fitted on the {_NAMES[blend.fitted_on['part']]} part, and validation "
            "visits chose its networks; take --part test"
        )
