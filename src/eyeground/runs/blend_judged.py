"""A blend beside what it is made of, on the test part: each network, the networks' mean, and the blend.

Visit by visit (a network's own answer to the visit) and photograph by photograph (its answer to one eye against that
eye's labels); differences are paired over patients. Networks that differ in their seed alone are training runs of one
system, "one network", so that chance of training counts too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeground.errors import DataError
from eyeground.files import write_json
from eyeground.metrics.compare import compare
from eyeground.metrics.compare_pairs import Rules, System
from eyeground.metrics.intervals import Bootstrap, intervals
from eyeground.metrics.judge import judge
from eyeground.metrics.predictions import write_predictions
from eyeground.runs.blend import Answers, answer
from eyeground.runs.blend_folder import Blend
from eyeground.runs.model import Model

Array = NDArray[np.float64]
MEAN = "mean of networks"
KEPT = ("n", "kappa", "f1", "auc", "final", "macro_auc", "macro_ap", "macro_n", "log_loss", "ece", "per_class")


@dataclass(frozen=True)
class Systems:
    """Names, and the probabilities (n, C) of visits and (n, 2, C) of eyes of each system, in one order."""

    names: tuple[str, ...]
    visits: tuple[Array, ...]
    eyes: tuple[Array, ...]
    alike: bool

    @property
    def networks(self) -> int:
        return len(self.names) - 2


def systems_of(blend: Blend, models: Sequence[Model], answers: Answers) -> Systems:
    """The networks, their mean, the blend. `alike`: the networks differ in nothing but their seed."""
    visits, eyes = [one.probability for one in answers.said], [one.eye_probability for one in answers.said]
    own = answer(blend, answers.said)
    names = [f"network {k + 1}" for k in range(len(models))]
    told = [{**one.bundle.config["recipe"], "seed": 0} | {"": one.bundle.config["method"]} for one in models]
    return Systems(
        (*names, MEAN, blend.blender.kind if blend.blender.kind != "mean" else "mean, calibrated"),
        (*visits, np.mean(visits, axis=0), own[0]),
        (*eyes, np.mean(eyes, axis=0), own[1]),
        all(one == told[0] for one in told),
    )


def judge_all(
    blend: Blend, models: Sequence[Model], answers: Answers, systems: Systems, rules: Rules
) -> dict[str, Any]:
    """The judgement of every system and the comparisons, JSON-able."""
    vocabulary, truth = blend.vocabulary, answers.truth
    thresholds = [np.array(one.bundle.threshold_values()) for one in models]
    cuts = [*thresholds, np.mean(thresholds, axis=0), np.array(blend.cuts())]
    labels, known = truth.labels.astype(np.float64), truth.known
    judged = {}
    for name, probability, cut in zip(systems.names, systems.visits, cuts, strict=True):
        found = judge(labels, known, probability, vocabulary, cut)
        kept = {key: found[key] for key in KEPT}
        bootstrap = Bootstrap(rules.draws, rules.seed)
        told = intervals(labels, known, probability, vocabulary, cut, truth.patients, bootstrap)
        judged[name] = {**kept, "intervals": told}
    there = np.asarray(~np.isnan(systems.eyes[0]).all(axis=2))
    seen = there & truth.eye_known.any(2)
    side = np.nonzero(seen)
    by_eye = None
    if seen.any():
        cells = truth.eye_labels[side].astype(np.float64), truth.eye_known[side], truth.patients[side[0]]
        by_eye = _compared(systems, [one[side] for one in systems.eyes], cells, vocabulary.codes, rules)
    stamp = answers.unseen.stamp or blend.stamp
    return {
        "part": answers.unseen.part,
        "split_hash": answers.unseen.split.hash if answers.unseen.split else None,
        "visits": len(answers.visits),
        "both_eyes": int(there.all(axis=1).sum()),
        "leak_audit": answers.unseen.audit,
        **({"stamp": stamp} if stamp else {}),
        **({"note": blend.note} if blend.note else {}),
        "unreadable": list(answers.unreadable),
        "fitted_on": blend.fitted_on,
        "bundles": [{"name": systems.names[k], "digest": one.bundle.digest} for k, one in enumerate(models)],
        "judged": judged,
        "compared": {
            "visits": _compared(systems, systems.visits, (labels, known, truth.patients), vocabulary.codes, rules),
            "eyes": by_eye,
        },
    }


def _compared(
    systems: Systems,
    values: Sequence[Array],
    cells: tuple[Array, NDArray[np.bool_], NDArray[np.str_]],
    codes: Sequence[str],
    rules: Rules,
) -> dict[str, Any]:
    """`metrics.compare` of these systems on rows that each belong to a patient."""
    labels, known, patients = cells
    if not any(len(np.unique(labels[known[:, c], c])) == 2 for c in range(len(codes))):
        raise DataError("no label has both a positive and a negative among what is judged: nothing can be compared")
    count = systems.networks
    runs = tuple(np.asarray(one) for one in values)
    if systems.alike and count > 1:
        made = [System("one network", runs[:count])]
    else:
        made = [System(name, (run,)) for name, run in zip(systems.names[:count], runs, strict=False)]
    made += [System(name, (run,)) for name, run in zip(systems.names[count:], runs[count:], strict=True)]
    return compare(labels, known, made, codes, patients, rules)


def save_judged(place: Path, record: dict[str, Any], systems: Systems, answers: Answers, codes: Sequence[str]) -> None:
    """Writes judged.json and one file of predictions for each system, named like it with underscores."""
    write_json(place / "judged.json", record)
    for name, probability in zip(systems.names, systems.visits, strict=True):
        file = "predictions.csv" if name == systems.names[-1] else f"{name.replace(' ', '_')}.csv"
        write_predictions(place / file, answers.ids, probability, codes, record.get("stamp"))
