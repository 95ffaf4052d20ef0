"""Three training runs of the baseline on real ODIR-5K at 192 px, judged, and compared with the one at 256 px.

    python -m benchmarks.odir_pair_seeds --root ODIR_FOLDER --trunk-weights mobilenetv2_100.safetensors

Takes the split and the run that `benchmarks.odir_pair` left, trains seeds 0, 1 and 2 with a cheaper recipe, judges the
test part once with each, and asks `compare` whether the recipes differ, with the runs as a second source of chance.
Goes on where it was stopped. Recorded are the exact commands, the split's hash, every run's numbers with intervals,
and what `compare` says.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.odir_pair import eyeground
from eyeground.runs.bundle import load_bundle
from eyeground.splits import Split

SEEDS = (0, 1, 2)
FLAGS = ("--trunk", "mobilenetv2_100", "--fusion", "max", "--size", "192", "--start-size", "128")
RECIPE = ("--epochs", "10", "--ema", "0.995", "--mirrored")
KEPT = ("n", "kappa", "f1", "auc", "final", "macro_auc", "macro_ap", "ece", "per_class", "intervals")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.odir_pair_seeds", description=__doc__.split("\n\n")[0])
    parser.add_argument("--root", type=Path, required=True, help="the challenge's workbook and image folder")
    parser.add_argument("--trunk-weights", required=True, help="ImageNet weights of mobilenetv2_100, or imagenet")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="where split and runs are kept")
    arguments = parser.parse_args()
    cohort = ("--layout", "odir", "--root", str(arguments.root))
    split, out = arguments.out / "odir-split.json", arguments.out
    commands: list[str] = []
    runs = {}
    for seed in SEEDS:
        run = out / f"odir-pair-192-seed{seed}"
        weights = ("--trunk-weights", arguments.trunk_weights)
        where = ("--split", str(split), "--out", str(run), "--seed", str(seed))
        eyeground(commands, "train", *cohort, *where, *FLAGS, *weights, *RECIPE)
        runs[seed] = _judged(commands, run, cohort)
    large = out / "odir-pair"
    first = _judged(commands, large, cohort)
    predictions = [str(out / f"odir-pair-192-seed{seed}" / "judged" / "predictions.csv") for seed in SEEDS]
    systems = (f"256px={large / 'judged' / 'predictions.csv'}", f"192px={','.join(predictions)}")
    truth = next(iter(arguments.root.glob("*.xlsx")))
    words = ["compare", *(part for one in systems for part in ("--system", one)), "--truth", str(truth), "--subset"]
    eyeground(commands, *words)
    told = subprocess.run([sys.executable, "-m", "eyeground", *words, "--json"], check=True, stdout=subprocess.PIPE)
    figures = {
        "commands": commands,
        "split_hash": Split.load(split).hash,
        "config": load_bundle(out / f"odir-pair-192-seed{SEEDS[0]}" / "bundle").config,
        "runs": runs,
        "at_256": first,
        "compared": json.loads(told.stdout),
    }
    print(f"recorded in {record.write('odir_pair_seeds', figures)}")


def _judged(commands: list[str], run: Path, cohort: tuple[str, ...]) -> dict[str, Any]:
    """The run's numbers on the test part, both eyes; `judged` holds the page."""
    place = run / "judged"
    where = ("--bundle", str(run / "bundle"), *cohort, "--part", "test", "--both-eyes", "--out", str(place))
    eyeground(commands, "evaluate", *where)
    found = json.loads((place / "evaluation.json").read_text(encoding="utf-8"))
    log = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    seconds = round(sum(row["seconds"] for row in log), 1)
    return {"bundle": found["bundle"]["digest"], "training_seconds": seconds, **{key: found[key] for key in KEPT}}


if __name__ == "__main__":
    main()
