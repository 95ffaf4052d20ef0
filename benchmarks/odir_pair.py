"""The baseline on real ODIR-5K, from the raw folder to the recorded numbers in one command.

    python -m benchmarks.odir_pair --root ODIR_FOLDER --trunk-weights mobilenetv2_100.safetensors

Splits (patients and duplicates together), trains `pair`, judges the test part once, and records the figures with
the exact commands, the split's hash, seeds and versions. It goes on where it was stopped; nothing that is done is done
again. The ids of the split's parts are recorded too, so that anyone with the data can judge on the same patients.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import record
from eyeground.runs.bundle import load_bundle
from eyeground.splits import Split

SPLIT_FLAGS = ("--folds", "1", "--test-share", "0.15", "--val-share", "0.1", "--seed", "0")
TRAIN_FLAGS = ("--method", "pair", "--trunk", "mobilenetv2_100", "--dropout", "0.2", "--epochs", "12")
RECIPE_FLAGS = ("--start-size", "176", "--ema", "0.995", "--one-eye", "visit", "--mirrored")
KEPT = ("n", "kappa", "f1", "auc", "final", "macro_auc", "macro_ap", "calibrated", "mapped", "per_class", "intervals")


def eyeground(commands: list[str], *words: str) -> None:
    """Runs one command of the program and notes it."""
    commands.append(shlex.join(["eyeground", *words]))
    print(f"$ {commands[-1]}", flush=True)
    subprocess.run([sys.executable, "-m", "eyeground", *words], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.odir_pair", description=__doc__.split("\n\n")[0])
    parser.add_argument("--root", required=True, help="the challenge's workbook and image folder")
    parser.add_argument("--trunk-weights", required=True, help="ImageNet weights of mobilenetv2_100, or imagenet")
    parser.add_argument("--known-duplicates", help="duplicates known beforehand, as for `cohort split`")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="where split and run are kept")
    arguments = parser.parse_args()
    cohort = ("--layout", "odir", "--root", arguments.root)
    split, run = arguments.out / "odir-split.json", arguments.out / "odir-pair"
    commands: list[str] = []
    known = ("--known-duplicates", arguments.known_duplicates) if arguments.known_duplicates else ()
    if not split.is_file():
        eyeground(commands, "cohort", "split", *cohort, *SPLIT_FLAGS, *known, "--out", str(split))
    else:
        commands.append(
            shlex.join(["eyeground", "cohort", "split", *cohort, *SPLIT_FLAGS, *known, "--out", str(split)])
        )
    weights = ("--trunk-weights", arguments.trunk_weights)
    where = ("--split", str(split), "--out", str(run))
    eyeground(commands, "train", *cohort, *where, *TRAIN_FLAGS, *weights, *RECIPE_FLAGS)
    judged = {}
    for name, more in (("all visits", ()), ("both eyes", ("--both-eyes",))):
        place = run / f"evaluation-{name.replace(' ', '-')}"
        bundle = ("--bundle", str(run / "bundle"))
        eyeground(commands, "evaluate", *bundle, *cohort, "--part", "test", *more, "--out", str(place))
        judged[name] = _kept(place / "evaluation.json")
    print(f"recorded in {record.write('odir_pair', _figures(run, Split.load(split), commands, judged))}")


def _kept(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    return {key: found[key] for key in KEPT}


def _figures(run: Path, split: Split, commands: list[str], judged: dict[str, Any]) -> dict[str, Any]:
    """What was run, on what, and what came out."""
    bundle = load_bundle(run / "bundle")
    log = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    parts = split.folds[0]
    return {
        "commands": commands,
        "split_hash": split.hash,
        "split": {name: [*parts.part(name)] for name in ("train", "val", "test")},
        "split_seed": split.seed,
        "config": bundle.config,
        "bundle_digest": bundle.digest,
        "training_seconds": round(sum(row["seconds"] for row in log), 1),
        "epochs": log,
        "test": judged,
        "date": time.strftime("%Y-%m-%d"),
    }


if __name__ == "__main__":
    main()
