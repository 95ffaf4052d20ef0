"""Is the phantom neither trivial nor hopeless? A small network learns it at three difficulties; every epoch is judged.

Patients with the same labels, the same network from scratch, the same recipe; the difficulty differs.
Named only, for it takes its time: python -m benchmarks phantom_learning
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PATIENTS, SIZE, EPOCHS = 400, 256, 12
LEVELS = (0.0, 0.5, 1.0)
RECIPE = (
    *("--method", "pair", "--trunk", "resnet10t", "--trunk-weights", "none", "--stages", "8", "16", "32"),
    *("--size", "128", "--epochs", str(EPOCHS), "--lr", "0.003", "--ema", "0.98", "--seed", "0"),
)


def run() -> dict[str, Any]:
    """Measures and prints; returns the figures."""
    rows = []
    for level in LEVELS:
        with tempfile.TemporaryDirectory() as folder:
            row = {"difficulty": level, **_learn(Path(folder), level)}
        rows.append(row)
        curve = " ".join(f"{value:.2f}" for value in row["validation_macro_auc"])
        low, high = row["test_macro_auc_interval"]
        print(
            f"difficulty {level}: macro AUC {row['test_macro_auc']:.3f} [{low:.3f} to {high:.3f}] on "
            f"{row['test_visits']} unseen patients; validation by epoch {curve}",
            flush=True,
        )
    return {"patients": PATIENTS, "size": SIZE, "recipe": " ".join(RECIPE), "levels": rows}


def _learn(folder: Path, level: float) -> dict[str, Any]:
    """One cohort, one training, one judgement."""
    root, split, trained = folder / "cohort", folder / "split.json", folder / "run"
    cohort = ("--layout", "odir", "--root", str(root))
    cache = ("--cache", str(folder / "cache"))
    workers = str(os.cpu_count() or 1)
    made = ("--patients", str(PATIENTS), "--size", str(SIZE), "--difficulty", str(level), "--workers", workers)
    _eyeground("phantom", *made, "--out", str(root))
    _eyeground("cohort", "split", *cohort, "--folds", "1", "--test-share", "0.25", "--out", str(split))
    _eyeground("train", *cohort, "--split", str(split), *RECIPE, *cache, "--out", str(trained))
    bundle = ("--bundle", str(trained / "bundle"), "--split", str(split), "--part", "test")
    judged = json.loads(_eyeground("evaluate", *bundle, *cohort, *cache, "--json"))
    epochs = [json.loads(line) for line in (trained / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return {
        "split_hash": judged["split_hash"],
        "test_visits": judged["n"],
        "test_macro_auc": judged["macro_auc"],
        "test_macro_auc_interval": judged["intervals"]["macro_auc"],
        "test_auc": {row["code"]: row["auc"] for row in judged["per_class"]},
        "validation_macro_auc": [epoch["val_macro_auc"] for epoch in epochs],
        "training_loss": [epoch["loss_total"] for epoch in epochs],
    }


def _eyeground(*words: str) -> str:
    """Runs a command; its standard output."""
    done = subprocess.run([sys.executable, "-m", "eyeground", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"eyeground {' '.join(words)} ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout
