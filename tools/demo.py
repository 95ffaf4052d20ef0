"""`make demo`: the main job on made eyes, every step as the command a user would type. Nothing is downloaded."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "demo-out"
COHORT, RUN, READING = OUT / "phantom", OUT / "run", OUT / "reading"
PATIENTS, PHOTOGRAPH, SIZE = 320, 256, 128


def eyeground(*words: str | Path) -> None:
    """Shows a command and runs it; its failure ends the demo with its own message and code."""
    shown = [str(Path(word).relative_to(ROOT)) if isinstance(word, Path) else word for word in words]
    print(f"\n$ eyeground {shlex.join(shown)}", flush=True)
    done = subprocess.run([sys.executable, "-m", "eyeground", *shown], cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def main() -> None:
    """Makes a cohort, splits it, trains, judges on unseen patients and reads one of them."""
    started = time.perf_counter()
    print("eyeground demo: made eyes, a small model, one report. A few minutes on two cores.", flush=True)
    made = ("--layout", "odir", "--root", COHORT)
    eyeground(
        "phantom",
        "--patients",
        str(PATIENTS),
        "--size",
        str(PHOTOGRAPH),
        "--workers",
        "2",
        "--difficulty",
        "0.2",
        "--out",
        COHORT,
    )
    eyeground("cohort", "check", *made)
    split = ("--split", OUT / "split.json")
    eyeground("cohort", "split", *made, "--folds", "1", "--test-share", "0.25", "--out", OUT / "split.json")
    small = ("--trunk", "resnet10t", "--trunk-weights", "none", "--size", str(SIZE), "--epochs", "20", "--lr", "0.003")
    eyeground("train", *made, *split, *small, "--cache", OUT / "cache", "--out", RUN)
    bundle = ("--bundle", RUN / "bundle")
    eyeground(
        "evaluate", *bundle, *made, *split, "--part", "test", "--cache", OUT / "cache", "--out", OUT / "evaluation"
    )
    patient = _interesting()
    images = COHORT / "ODIR-5K_Training_Images"
    eyeground("read", images / f"{patient}_left.jpg", images / f"{patient}_right.jpg", *bundle, "--out", READING)
    judged = json.loads((OUT / "evaluation" / "evaluation.json").read_text())
    print(
        f"\nDone in {time.perf_counter() - started:.0f} s. On {judged['n']} patients it had never seen: "
        f"macro AUC {judged['macro_auc']:.3f}, official final {judged['final']:.3f}.\n\n"
        f"Look at   {(READING / 'report.html').relative_to(ROOT)}      one patient's report, open it in a browser\n"
        f"          {(READING / 'heatmaps').relative_to(ROOT)}/         evidence drawn on the photographs\n"
        f"          {(OUT / 'evaluation').relative_to(ROOT)}/               the judgement and the predictions\n\n"
        "Next, with photographs of your own: docs/cohorts.md says how to lay them out (a cohort.csv is enough), then\n"
        "  .venv/bin/eyeground cohort check --layout folder --root YOUR_FOLDER\n"
        "and the commands above with your folder. These eyes are made by a program; a model trained on them knows\n"
        "nothing about real ones."
    )


def _interesting() -> str:
    """A test patient with a disease, to have something to look at."""
    from eyeground.cohorts import read_cohort
    from eyeground.splits import Split

    test = set(Split.load(OUT / "split.json").folds[0].test)
    cohort = read_cohort("odir", COHORT)
    normal = cohort.vocabulary.index("N")
    return next(visit.id for visit in cohort.visits if visit.id in test and visit.labels[normal] == 0)


if __name__ == "__main__":
    main()
