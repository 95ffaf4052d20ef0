"""`eyeground evaluate`: judges a bundle on a cohort, after the leak audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from eyeground.cli.cohort_options import CohortSource
from eyeground.cli.console import note, out, parse, print_json, track, warn
from eyeground.cli.details import number
from eyeground.cli.judged_options import JudgedOn
from eyeground.cli.points import POINTS, look_at
from eyeground.cli.tables import print_judgement
from eyeground.runs.engine import Engine, open_model
from eyeground.runs.evaluate import OFFICIAL, Question, evaluate, save
from eyeground.runs.groupings import Asked as Within
from eyeground.runs.judged_page import write_page
from eyeground.runs.place import Place

FLAT = tyro.conf.arg(name="")


@dataclass(frozen=True)
class Flags:
    """Judges a bundle on a cohort: the challenge's numbers beside macro, per-label and trivial ones."""

    source: Annotated[CohortSource, FLAT]
    bundle: Path | None = None
    """The trained model's folder; default the model in the box."""
    judged: Annotated[JudgedOn, FLAT] = field(default_factory=JudgedOn)
    both_eyes: bool = False
    """Only visits of which both eyes can be read."""
    map_thresholds: bool = False
    """Judge probabilities on which each label's frozen threshold is mapped to 0.5."""
    draws: int = 2000
    """Bootstrap draws over patients for the 95 % intervals; 0 leaves all intervals out."""
    points: tuple[str, ...] = POINTS
    """Operating points to tell for every label: threshold=X, sensitivity=X or specificity=X."""
    prevalence: float | None = None
    """Tell PPV and NPV at these points also for this share of ill patients, such as 0.05 for a screening."""
    within: Annotated[Within, FLAT] = field(default_factory=Within)
    out: Path | None = None
    """Also write evaluation.json, predictions.csv and report.html, the judgement with its plots, into this folder."""
    no_gallery: bool = False
    """Leave the worst misses' photographs out of report.html."""
    json: bool = False
    """Print one JSON object and nothing else."""
    engine: Engine = "auto"
    """What computes: ONNX Runtime, torch, or the first of them that can."""
    place: Annotated[Place, FLAT] = field(default_factory=Place)


def main(argv: Sequence[str]) -> int:
    flags = parse(Flags, argv, "evaluate")
    look = look_at(flags.points, flags.prevalence, flags.draws)
    flags.within.check()
    model = open_model(flags.bundle, flags.engine, flags.place)
    asked = flags.judged.of(flags.source.read())
    question = Question(asked, flags.both_eyes, flags.map_thresholds, flags.draws, look, flags.within)
    answer = evaluate(model, question, flags.place, track, note)
    judgement = answer.judgement
    if flags.out:
        save(answer, flags.out, model.bundle.vocabulary.codes)
        write_page(answer, model.bundle, flags.out, argv, not flags.no_gallery)
    if "stamp" in judgement["leak_audit"]:
        warn(judgement["leak_audit"]["stamp"])
    if flags.json:
        print_json(judgement)
        return 0
    eyes = ", both eyes only" if flags.both_eyes else ""
    print_judgement(judgement, f"{judgement['part']} part, {judgement['n']} visits{eyes}")
    for name in ("calibrated", "mapped"):
        numbers = "  ".join(f"{key} {number(judgement[name][key])}" for key in OFFICIAL[:4])
        judged = " (judged above)" if name == judgement["probabilities"] else ""
        out.print(f"official, {name:<10}  {numbers}{judged}", markup=False)
    out.print(f"leak audit: {judgement['leak_audit']['text']}", markup=False)
    return 0
