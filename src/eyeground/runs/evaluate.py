"""Judging a bundle on a cohort: the leak audit first, then the challenge's numbers beside the honest ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeground.cohorts.part_counts import part_counts
from eyeground.errors import DataError
from eyeground.files import write_json
from eyeground.metrics.conformal import conformal_report
from eyeground.metrics.details import Look, details
from eyeground.metrics.intervals import Bootstrap, intervals
from eyeground.metrics.judge import judge
from eyeground.metrics.label_logic import in_words, label_logic
from eyeground.metrics.mistakes import Sheet
from eyeground.metrics.predictions import write_predictions
from eyeground.metrics.thresholds import map_to_half
from eyeground.progress import Track
from eyeground.records import Visit, label_arrays
from eyeground.runs.bundle import Bundle
from eyeground.runs.data import Pairs, one_eyed, prepare_visits
from eyeground.runs.engine import Reader
from eyeground.runs.groupings import Asked as Within
from eyeground.runs.groupings import Judged, of_visits
from eyeground.runs.place import Place
from eyeground.runs.unseen import Asked, choose

OFFICIAL = ("kappa", "f1", "auc", "final", "macro_auc", "macro_ap")


@dataclass(frozen=True)
class Question:
    """What is judged on what.

    `asked` says which visits. `draws` are the bootstrap's, 0 for no intervals; `look` has the operating points to tell,
    `within` the groups.
    """

    asked: Asked
    both_eyes: bool = False
    map_thresholds: bool = False
    draws: int = 2000
    look: Look = field(default_factory=Look)
    within: Within = field(default_factory=Within)


@dataclass(frozen=True)
class Answer:
    """The judgement (JSON-able) and the probabilities it was made on, float64 (n, C).

    Under a leaky protocol the judgement has a `stamp`, and so have the written probabilities.
    `sheet` has truth and probabilities as they were judged, `eyes` the prepared eyes by visit: what the page needs.
    """

    judgement: dict[str, Any]
    ids: tuple[str, ...]
    probability: NDArray[np.float64]
    sheet: Sheet
    eyes: Pairs


def evaluate(model: Reader, question: Question, place: Place, track: Track, say: Callable[[str], None]) -> Answer:
    """Judges a model.

    Raises:
        LeakError: a judged patient or photograph was in training (unless the part asked for is training itself).
        DataError: another vocabulary, no visits left, nothing readable.
    """
    bundle, cohort = model.bundle, question.asked.cohort
    unseen = choose(bundle, question.asked, place.workers, track, say)
    split, part = unseen.split, unseen.part
    prepared = prepare_visits(unseen.visits, bundle.preprocessing, place.cache_path(), place.workers, track)
    for text in prepared.unreadable:
        say(f"left out: {text}")
    chosen = [visit for visit in prepared.visits if not question.both_eyes or all(prepared.eyes[visit.id])]
    if not chosen:
        raise DataError(f"no visit of {cohort.root} is left to judge; drop --both-eyes or choose another --part")
    logits = model.predict(chosen, [prepared.eyes[visit.id] for visit in chosen], evidence=False).visit_logits
    judgement, sheet = _judged(bundle, question, chosen, prepared.eyes, logits)
    judgement |= {
        "part": part,
        "split_hash": split.hash if split else None,
        "both_eyes_only": question.both_eyes,
        "probabilities": "mapped" if question.map_thresholds else "calibrated",
        "leak_audit": unseen.audit,
        "unreadable": list(prepared.unreadable),
        "not_there": list(unseen.gone),
        "one_eye": one_eyed(chosen, prepared.eyes, bundle.vocabulary),
        "judged": part_counts(chosen, bundle.vocabulary),
        "bundle": {"digest": bundle.digest, "method": bundle.config["method"]["name"]},
        "cohort": {
            "layout": cohort.layout,
            "visits": len(unseen.cohort),
            "with_images": len(unseen.cohort.with_images()),
        },
    }
    if split:
        judgement["protocol"] = split.protocol.brief()
    if unseen.stamp:
        judgement["stamp"] = unseen.stamp
    return Answer(judgement, tuple(visit.id for visit in chosen), sheet.probability, sheet, prepared.eyes)


def _judged(
    bundle: Bundle, question: Question, chosen: Sequence[Visit], pairs: Pairs, logits: NDArray[np.float32]
) -> tuple[dict[str, Any], Sheet]:
    """The judgement of these visits' logits, and the cells that were judged."""
    calibrated = bundle.calibration.apply(logits)
    thresholds = np.array(bundle.threshold_values())
    mapped = map_to_half(calibrated, thresholds)
    values, known = label_arrays([visit.labels for visit in chosen], len(bundle.vocabulary))
    written = mapped if question.map_thresholds else calibrated
    cuts = np.full(len(thresholds), 0.5) if question.map_thresholds else thresholds
    judgement = judge(values, known, written, bundle.vocabulary, cuts)
    patients = np.array([visit.patient for visit in chosen])
    judgement["label_logic"] = label_logic([visit.id for visit in chosen], values, known, bundle.vocabulary)
    judgement["notes"] += in_words(judgement["label_logic"])
    if bundle.conformal:
        flagged = [all(eye.flags for eye in pairs[visit.id] if eye) for visit in chosen]
        judgement["label_sets"] = conformal_report(bundle.conformal, logits, values, known, patients, flagged)
    eyes = _eye_labels(chosen, len(bundle.vocabulary))
    look = replace(question.look, patients=patients, eyes=eyes, draws=question.draws)
    judgement["details"] = details(values, known, written, bundle.vocabulary, cuts, look)
    if look.eyes is None:
        judgement["notes"].append("one eye against both: not told, the cohort has no labels of eyes")
    if question.draws:
        bootstrap = Bootstrap(question.draws)
        judgement["intervals"] = intervals(values, known, written, bundle.vocabulary, cuts, patients, bootstrap)
    if not question.within.no_subgroups:
        judged = Judged(values, known, written, bundle.vocabulary, cuts, patients)
        parted = of_visits(chosen, pairs, question.within.age_bands)
        judgement["subgroups"] = question.within.judge(judged, parted, [visit.id for visit in chosen])
    both = {"calibrated": calibrated, "mapped": mapped}
    for name, probability in both.items():
        numbers = judge(values, known, probability, bundle.vocabulary)
        judgement[name] = {key: numbers[key] for key in OFFICIAL}
    ids = tuple(visit.id for visit in chosen)
    return judgement, Sheet(ids, bundle.vocabulary.codes, values, known, written, cuts)


def _eye_labels(visits: Sequence[Visit], count: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]] | None:
    """Labels of left and right eye (n, 2, C) and what of them is known; None where the cohort has none at all."""
    states = [eye.labels if eye else (None,) * count for visit in visits for eye in visit.eyes]
    values, known = label_arrays(states, count)
    return (values.reshape(-1, 2, count), known.reshape(-1, 2, count)) if known.any() else None


def save(answer: Answer, folder: Path, codes: Sequence[str]) -> None:
    """Writes evaluation.json and predictions.csv (the probabilities that were judged)."""
    write_json(folder / "evaluation.json", answer.judgement)
    write_predictions(folder / "predictions.csv", answer.ids, answer.probability, codes, answer.judgement.get("stamp"))
