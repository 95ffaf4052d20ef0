"""What a leak is worth: one cohort with augmented copies, split with the copies together and with the copies apart.

    python -m benchmarks.odir_leak --root ODIR_FOLDER --trunk-weights mobilenetv2_100.safetensors

Writes ODIR-5K with DKCNet's copies, takes a third of its patients (by a hash of their ids), and trains the same
baseline with the same recipe under `image-80-20`, where patients and copies stay together, and under
`image-80-20-leaky`, where they do not. Photographs, labels and shares are the same; the test parts are other draws of
them. Goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import record
from benchmarks.odir_pair import eyeground
from eyeground.runs.bundle import load_bundle
from eyeground.splits import Split

PROTOCOLS = {"leaky": ("image-80-20-leaky", "--allow-leaky"), "clean": ("image-80-20",)}
FLAGS = ("--method", "pair", "--recipe", "common", "--size", "128", "--epochs", "8", "--ema", "0.995")
TRUNK = ("--trunk", "mobilenetv2_100")
KEPT = ("n", "kappa", "f1", "auc", "final", "macro_auc", "macro_ap", "per_class", "intervals", "baselines", "stamp")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.odir_leak", description=__doc__.split("\n\n")[0])
    parser.add_argument("--root", required=True, help="the challenge's workbook and image folder")
    parser.add_argument("--trunk-weights", required=True, help="ImageNet weights of mobilenetv2_100, or imagenet")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="where cohorts, splits and runs are kept")
    arguments = parser.parse_args()
    whole, third, out = arguments.out / "odir-synth", arguments.out / "odir-synth-third", arguments.out / "leak"
    commands: list[str] = []
    step(commands, whole / "synthesised.json", "cohort", "synthesise", *cohort("odir", arguments.root), whole)
    if not (third / "duplicates.csv").is_file():
        take_a_third(whole, third)
    runs = {name: judged(commands, name, third, out, arguments.trunk_weights) for name in PROTOCOLS}
    told = [command.replace(arguments.root, "odir5k") for command in commands]  # wherever the data lies here
    print(f"recorded in {record.write('odir_leak', {'commands': told, 'runs': runs})}")


def cohort(layout: str, root: str | Path) -> tuple[str, ...]:
    return "--layout", layout, "--root", str(root)


def step(commands: list[str], made: Path, *words: str | Path) -> None:
    """Runs a command whose last word is what it makes, unless that is there; the command is noted either way."""
    told = [*map(str, words[:-1]), "--out", str(words[-1])]
    if made.exists():
        commands.append(shlex.join(["eyeground", *told]))
    else:
        eyeground(commands, *told)


def take_a_third(whole: Path, third: Path) -> None:
    """The photographs of the patients whose id has a SHA-256 that three divides."""

    def kept(patients: pd.Series) -> pd.Series:
        return patients.map(lambda name: int(hashlib.sha256(name.encode()).hexdigest(), 16) % 3 == 0)

    table = pd.read_csv(whole / "cohort.csv", dtype=str, keep_default_na=False)
    table = table[kept(table["patient"])]
    for file in table["file"][table["file"] != ""]:
        (third / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(whole / file, third / file)
    table.to_csv(third / "cohort.csv", index=False)
    same = pd.read_csv(whole / "duplicates.csv", dtype=str)
    same[kept(same["patient_id"].str.split(":").str[0])].to_csv(third / "duplicates.csv", index=False)


def judged(commands: list[str], name: str, root: Path, out: Path, weights: str) -> dict[str, Any]:
    """Splits, trains and judges under one protocol; the test part's numbers."""
    protocol, *allow = PROTOCOLS[name]
    split, run = out / f"{name}.json", out / f"run-{name}"
    data, known = cohort("folder", root), ("--known-duplicates", str(root / "duplicates.csv"))
    step(commands, split, "cohort", "split", *data, *known, "--protocol", protocol, *allow, split)
    where = ("--split", str(split), *allow, *FLAGS, *TRUNK, "--trunk-weights", weights)
    step(commands, run / "bundle", "train", *data, *where, run)
    test = ("--bundle", str(run / "bundle"), "--part", "test", *allow, "--no-gallery", "--no-subgroups")
    step(commands, run / "test" / "evaluation.json", "evaluate", *data, *test, run / "test")
    found = json.loads((run / "test" / "evaluation.json").read_text(encoding="utf-8"))
    log = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return {
        "split_hash": Split.load(split).hash,
        "config": load_bundle(run / "bundle").config,
        "training_seconds": round(sum(row["seconds"] for row in log), 1),
        "validation": [row["val_macro_auc"] for row in log],
        **{key: found[key] for key in KEPT if key in found},
    }


if __name__ == "__main__":
    main()
