"""Judging a bundle on a cohort: the leak audit first, then the challenge's numbers beside the honest ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeground.errors import DataError
from eyeground.files import write_json
from eyeground.leaks import Fingerprint, audit, fingerprints
from eyeground.metrics.intervals import Bootstrap, intervals
from eyeground.metrics.judge import judge
from eyeground.metrics.predictions import write_predictions
from eyeground.metrics.thresholds import map_to_half
from eyeground.progress import Track
from eyeground.records import Cohort, Visit, label_arrays
from eyeground.runs.data import one_eyed, prepare_visits
from eyeground.runs.machine import Place
from eyeground.runs.model import Model
from eyeground.splits import Split

OFFICIAL = ("kappa", "f1", "auc", "final", "macro_auc", "macro_ap")


@dataclass(frozen=True)
class Question:
    """What is judged on what.

    Without `split` and `part` every visit with an image is judged; with one of them the missing other is the bundle's
    own split, or its test part. `other_cohort`: patient ids here have nothing to do with those of the training data.
    """

    cohort: Cohort
    split: Split | None = None
    part: str | None = None
    both_eyes: bool = False
    map_thresholds: bool = False
    other_cohort: bool = False
    draws: int = 1000


@dataclass(frozen=True)
class Answer:
    """The judgement (JSON-able) and the probabilities it was made on, float64 (n, C)."""

    judgement: dict[str, Any]
    ids: tuple[str, ...]
    probability: NDArray[np.float64]


def evaluate(model: Model, question: Question, place: Place, track: Track, say: Callable[[str], None]) -> Answer:
    """Judges a model.

    Raises:
        LeakError: a judged patient or photograph was in training (unless the part asked for is training itself).
        DataError: another vocabulary, no visits left, nothing readable.
    """
    bundle, cohort = model.bundle, question.cohort
    if bundle.vocabulary.codes != cohort.vocabulary.codes:
        ours, theirs = ", ".join(bundle.vocabulary.codes), ", ".join(cohort.vocabulary.codes)
        raise DataError(
            f"the bundle answers {ours}, the cohort {cohort.root} has {theirs}; judge it on the same labels"
        )
    split, part, visits = _visits(model, question, say)
    prints = fingerprints(visits, place.workers, track)
    gone = _against_split(split, part, prints, model)
    for name in gone:
        say(f"not there any more: {name}")
    found = _audit(model, question, part, prints)
    prepared = prepare_visits(visits, bundle.preprocessing, place.cache_path(), place.workers, track)
    for text in prepared.unreadable:
        say(f"left out: {text}")
    chosen = [visit for visit in prepared.visits if not question.both_eyes or all(prepared.eyes[visit.id])]
    if not chosen:
        raise DataError(f"no visit of {cohort.root} is left to judge; drop --both-eyes or choose another --part")
    logits = model.predict(chosen, [prepared.eyes[visit.id] for visit in chosen], evidence=False).visit_logits
    calibrated = bundle.calibration.apply(logits)
    thresholds = np.array(bundle.threshold_values())
    mapped = map_to_half(calibrated, thresholds)
    values, known = label_arrays([visit.labels for visit in chosen], len(bundle.vocabulary))
    written = mapped if question.map_thresholds else calibrated
    cuts = np.full(len(thresholds), 0.5) if question.map_thresholds else thresholds
    judgement = judge(values, known, written, bundle.vocabulary, cuts)
    if question.draws:
        patients = np.array([visit.patient for visit in chosen])
        bootstrap = Bootstrap(question.draws)
        judgement["intervals"] = intervals(values, known, written, bundle.vocabulary, cuts, patients, bootstrap)
    both = {"calibrated": calibrated, "mapped": mapped}
    for name, probability in both.items():
        numbers = judge(values, known, probability, bundle.vocabulary)
        judgement[name] = {key: numbers[key] for key in OFFICIAL}
    judgement |= {
        "part": part,
        "split_hash": split.hash if split else None,
        "both_eyes_only": question.both_eyes,
        "probabilities": "mapped" if question.map_thresholds else "calibrated",
        "leak_audit": found,
        "unreadable": list(prepared.unreadable),
        "not_there": list(gone),
        "one_eye": one_eyed(chosen, prepared.eyes, bundle.vocabulary),
        "bundle": {"digest": bundle.digest, "method": bundle.config["method"]["name"]},
        "cohort": {"layout": cohort.layout, "visits": len(cohort), "with_images": len(cohort.with_images())},
    }
    return Answer(judgement, tuple(visit.id for visit in chosen), written)


def _visits(model: Model, question: Question, say: Callable[[str], None]) -> tuple[Split | None, str, Sequence[Visit]]:
    """The visits asked for, the split they come from, and the part's name."""
    cohort = question.cohort
    if question.split is None and question.part is None:
        return None, "all", cohort.with_images()
    split = question.split or Split.load(model.bundle.split)
    part = question.part or "test"
    unknown = split.check_against(cohort)
    if unknown:
        say(f"{len(unknown)} visits with images are not in the split and are not judged: {', '.join(unknown[:5])}")
    wanted = set(split.fold(_fold(model, split)).part(part))
    return split, part, [visit for visit in cohort.with_images() if visit.id in wanted]


def _fold(model: Model, split: Split) -> int:
    """The bundle's own fold; a hold-out has only one."""
    return int(model.bundle.config["data"]["fold"]) if len(split.folds) > 1 else 0


def _against_split(split: Split | None, part: str, prints: Sequence[Fingerprint], model: Model) -> tuple[str, ...]:
    """Photographs of the part that are not on disk any more.

    Raises:
        DataError: photographs that are not those the split was made on.
    """
    if split is None:
        return ()
    known = {(one.visit, one.side): one for one in split.fingerprints_of(split.fold(_fold(model, split)).part(part))}
    there = {(one.visit, one.side): one for one in prints}
    changed = [
        two.name
        for key, two in there.items()
        if key not in known or (two.signature and two.sha256 != known[key].sha256)
    ]
    if changed:
        raise DataError(
            f"{len(changed)} photographs are not those the split was made on ({', '.join(changed[:3])}); "
            "use the cohort it was made for, or make the split again"
        )
    return tuple(one.name for key, one in known.items() if key not in there)


def _audit(model: Model, question: Question, part: str, prints: Sequence[Fingerprint]) -> dict[str, Any]:
    """The leak audit as a record. Parts that hold training visits on purpose are stamped; a leak elsewhere fails."""
    own = Split.load(model.bundle.split)
    parts = own.fold(int(model.bundle.config["data"]["fold"]))
    trained = own.fingerprints_of(parts.train + (() if part == "val" else parts.val))
    same = not question.other_cohort and _family(own.layout) == _family(question.cohort.layout)
    found = audit(trained, prints, same_cohort=same)
    record = found.to_dict()
    asked = part in ("train", "all") and (question.split is not None or question.part is not None)
    if asked and not found.passed:
        record["stamp"] = f"part '{part}' holds training visits: these numbers say how well the model remembers"
    elif part == "val":
        record["stamp"] = "the validation part chose epoch, calibration and thresholds: these numbers are optimistic"
        found.require()
    else:
        found.require()
    return record


def _family(layout: str) -> str:
    """Layouts whose patient ids mean the same persons."""
    return "odir" if layout.startswith("odir") else layout


def save(answer: Answer, folder: Path, codes: Sequence[str]) -> None:
    """Writes evaluation.json and predictions.csv (the probabilities that were judged)."""
    write_json(folder / "evaluation.json", answer.judgement)
    write_predictions(folder / "predictions.csv", answer.ids, answer.probability, codes)
