"""`make demo-train`: from made eyes to a trained and judged model, every step as a command. Nothing is downloaded."""

from __future__ import annotations

import json
import sys
import time

from demo import ROOT, eyeground

from eyeground.files import write_json
from eyeground.phantom.cohort import VERSION

OUT = ROOT / "demo-train-out"
COHORT, RUN, READING = OUT / "phantom", OUT / "run", OUT / "reading"
PATIENTS, PHOTOGRAPH, SIZE = 400, 256, 128


def main() -> None:
    """Makes a cohort, splits it, trains, judges on unseen patients and reads one of them."""
    started = time.perf_counter()
    _start()
    print("eyeground demo: made eyes, a small model, one report. Ten minutes on two cores.", flush=True)
    made = ("--layout", "odir", "--root", COHORT)
    paint = ("--patients", str(PATIENTS), "--size", str(PHOTOGRAPH), "--difficulty", "0.2", "--workers", "2", "--sheet")
    eyeground("phantom", *paint, "--out", COHORT)
    eyeground("cohort", "check", *made)
    split = ("--split", OUT / "split.json")
    eyeground("cohort", "split", *made, "--folds", "1", "--test-share", "0.25", "--out", OUT / "split.json")
    small = ("--trunk", "resnet10t", "--trunk-weights", "none", "--stages", "8", "16", "32")
    quick = ("--size", str(SIZE), "--epochs", "20", "--lr", "0.003", "--ema", "0.98", "--mirrored")
    eyeground("train", *made, *split, *small, *quick, "--cache", OUT / "cache", "--out", RUN)
    bundle = ("--bundle", RUN / "bundle")
    unseen = (*bundle, *made, *split, "--part", "test", "--cache", OUT / "cache")
    eyeground("evaluate", *unseen, "--out", OUT / "evaluation")
    eyeground("localise", *unseen, "--out", OUT / "localisation")
    patient = _interesting()
    images = COHORT / "ODIR-5K_Training_Images"
    eyeground("read", images / f"{patient}_left.jpg", images / f"{patient}_right.jpg", *bundle, "--out", READING)
    print(
        f"\nDone in {time.perf_counter() - started:.0f} s. {_verdict()}\n\n"
        f"{_places()}\n\n"
        "Next, with photographs of your own: docs/cohorts.md says how to lay them out (a cohort.csv is enough), then\n"
        "  .venv/bin/eyeground cohort check --layout folder --root YOUR_FOLDER\n"
        "and the commands above with your folder. These eyes are made by a program; a model trained on them knows\n"
        "nothing about real ones."
    )


def _verdict() -> str:
    """What was measured on the unseen patients."""
    judged = json.loads((OUT / "evaluation" / "evaluation.json").read_text())
    pointed = json.loads((OUT / "localisation" / "localisation.json").read_text())["maps"][0]["pointing"]["local"]
    return (
        f"On {judged['n']} patients it had never seen: macro AUC {judged['macro_auc']:.3f}, "
        f"official final {judged['final']:.3f}.\n"
        f"Of {pointed['n']} true findings that have a place, {pointed['hits']} ({pointed['hit_rate']:.0%}) "
        f"have the peak of their heatmap on the lesion\n"
        f"or within 3 % of the field beside it; of random points {pointed['chance']:.0%} would."
    )


def _places() -> str:
    """Where to look, one line each."""
    places = {
        READING / "report.html": "one patient's report, open it in a browser",
        READING / "heatmaps": "evidence drawn on the photographs",
        OUT / "localisation" / "pointing.png": "where the peaks fall, and the true lesions",
        OUT / "evaluation" / "report.html": "the judgement on all test patients, with its plots",
        COHORT / "sheet.png": "the made eyes, and what is drawn in them",
    }
    lines = [f"{path.relative_to(ROOT)!s:<38} {text}" for path, text in places.items()]
    return "Look at   " + "\n          ".join(lines)


def _start() -> None:
    """Makes sure that what an earlier call left is of this demo; an interrupted call goes on where it stopped."""
    wanted = {"phantom": VERSION, "patients": PATIENTS, "photograph": PHOTOGRAPH, "size": SIZE}
    note = OUT / "demo.json"
    if OUT.exists() and (not note.is_file() or json.loads(note.read_text()) != wanted):
        sys.exit(
            f"{OUT.name} is from another version of the demo: remove it (rm -r {OUT.name}), then make demo-train again"
        )
    write_json(note, wanted)


def _interesting() -> str:
    """The first test patient with diabetic retinopathy alone, what most screening looks for."""
    from eyeground.cohorts import read_cohort
    from eyeground.splits import Split

    test = set(Split.load(OUT / "split.json").folds[0].test)
    cohort = read_cohort("odir", COHORT)
    alone = tuple(int(code == "D") for code in cohort.vocabulary.codes)
    return next(visit.id for visit in cohort.visits if visit.id in test and visit.labels == alone)


if __name__ == "__main__":
    main()
