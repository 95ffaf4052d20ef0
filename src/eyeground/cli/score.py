"""`eyeground score`: the challenge's scoring, stand-alone, for anybody's predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from eyeground.cli.console import parse, print_json, warn
from eyeground.cli.points import POINTS, look_at
from eyeground.cli.tables import print_judgement
from eyeground.files import write_text
from eyeground.metrics.align import align
from eyeground.metrics.details import details
from eyeground.metrics.intervals import Bootstrap, intervals
from eyeground.metrics.judge import judge
from eyeground.metrics.label_logic import in_words, label_logic
from eyeground.metrics.mistakes import Sheet
from eyeground.metrics.patients import read_patients
from eyeground.metrics.predictions import read_predictions, read_truth
from eyeground.runs.groupings import Asked, Judged, of_sheet
from eyeground.vocabulary import Kind


@dataclass(frozen=True)
class Score:
    """Scores predictions like the ODIR-2019 challenge, and shows what its pooled numbers hide."""

    truth: Path
    """Truth, .xlsx or .csv: the challenge's workbook, or an ID column and one 0/1 column per label."""
    predictions: Path
    """Predictions, .csv (or .xlsx): columns ID,N,D,G,C,A,H,M,O, one row per patient in the truth's order."""
    json: bool = False
    """Print one JSON object and nothing else."""
    reorder: bool = False
    """Match rows by ID and columns by name when their order differs. The challenge rejects such files."""
    subset: bool = False
    """Score only the patients that the predictions have. Such numbers are not those of the whole truth."""
    kind: Kind = "multilabel"
    """The labels: independent findings, exclusive classes (one 1 in each row), or grades, which are such in order."""
    patients: Path | None = None
    """CSV with columns ID and patient: whose each row is, where a patient has several (eyes, visits)."""
    draws: int = 2000
    """Bootstrap draws over patients for the 95 % intervals; 0 leaves all intervals out."""
    points: tuple[str, ...] = POINTS
    """Operating points to tell for every label: threshold=X, sensitivity=X or specificity=X."""
    prevalence: float | None = None
    """Tell PPV and NPV at these points also for this share of ill patients, such as 0.05 for a screening."""
    within: Annotated[Asked, tyro.conf.arg(name="")] = field(default_factory=Asked)
    report: Path | None = None
    """Also write the judgement with its plots as one HTML page here."""


def score(config: Score) -> dict[str, Any]:
    """The judgement alone; see `scored`."""
    return scored(config)[0]


def scored(config: Score) -> tuple[dict[str, Any], Sheet]:
    """Reads both files and judges; the judgement also says how many of the truth's patients it is about.

    Raises:
        DataError: a file that can't be read or does not fit, with the first row or column that is wrong.
        UsageError: a point or a prevalence that is none.
    """
    look = look_at(config.points, config.prevalence, config.draws)
    config.within.check()
    truth = read_truth(config.truth, config.kind)
    predictions = read_predictions(config.predictions, truth.vocabulary.codes, config.reorder)
    rows, probability = align(truth.ids, predictions, config.reorder, config.subset)
    labels = truth.labels[rows]
    known = ~np.isnan(labels)
    judgement = judge(labels, known, probability, truth.vocabulary)
    notes = judgement.pop("notes")
    odd = label_logic([truth.ids[row] for row in rows], labels, known, truth.vocabulary)
    notes += in_words(odd)
    if len(rows) < len(truth.ids):
        notes.insert(0, f"only {len(rows)} of the truth's {len(truth.ids)} patients have predictions and are scored")
    ids = [truth.ids[row] for row in rows]
    patients = None if config.patients is None else read_patients(config.patients, ids)
    look = replace(look, patients=patients)
    notes.append("one eye against both: not told, a table of visits has no labels of eyes; `evaluate` tells it")
    extra: dict[str, Any] = {"details": details(labels, known, probability, truth.vocabulary, look=look)}
    extra |= {"truth_patients": len(truth.ids), "notes": notes, "label_logic": odd}
    if predictions.stamp:
        extra["stamp"] = predictions.stamp
    if config.draws:
        cells = (labels, known, probability, truth.vocabulary)
        extra["intervals"] = intervals(*cells, patients=patients, bootstrap=Bootstrap(config.draws))
    if not config.within.no_subgroups:
        parted = of_sheet(config.truth, ids, config.within.age_bands)
        judged = Judged(labels, known, probability, truth.vocabulary, patients=patients)
        extra["subgroups"] = config.within.judge(judged, parted, ids)
    return {**judgement, **extra}, Sheet(ids, truth.vocabulary.codes, labels, known, probability)


def main(argv: Sequence[str]) -> int:
    """Prints the judgement as tables, or as JSON."""
    config = parse(Score, argv, "score")
    judgement, sheet = scored(config)
    if config.report:
        write_report(config, judgement, sheet, argv)
    if "stamp" in judgement:
        warn(judgement["stamp"])
    for line in in_words(judgement["label_logic"]):
        warn(line)
    if config.json:
        print_json(judgement)
        return 0
    if judgement["n"] < judgement["truth_patients"]:
        warn(judgement["notes"][0])
    of = f" of {judgement['truth_patients']}" if judgement["n"] < judgement["truth_patients"] else ""
    rows = "patients" if config.patients is None else "rows"
    print_judgement(judgement, f"{config.predictions.name}: {judgement['n']}{of} {rows}, each cell cut at 0.5")
    return 0


def write_report(config: Score, judgement: dict[str, Any], sheet: Sheet, argv: Sequence[str]) -> None:
    """Writes the page; matplotlib is imported only here."""
    from eyeground.report.gallery import gather
    from eyeground.report.judged import About, curves_of, write_html
    from eyeground.report.judged_words import command

    assert config.report is not None
    gallery = gather(sheet, None, "score sees two tables; “evaluate --out” shows them too.")
    facts = {"Truth": config.truth.name, "Predictions": config.predictions.name}
    about = About(f"Judgement of {config.predictions.name}", command("score", argv), facts)
    write_text(config.report, write_html(judgement, curves_of(sheet), gallery, about))
