"""Grids for tests: TOML text, the command's words, and predictions whose quality is planted."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eyeground.metrics.predictions import write_predictions
from eyeground.runs.replicate.claims import Truth

COMMON = """
name = "small"

[common]
size = 64
epochs = 1
batch_size = 8
recipe = "common"
trunk = "test_resnet"
trunk_weights = "none"
"""
SYSTEMS = """
[[system]]
name = "pair-max"
method = "pair"
seeds = [0, 1]

[[system]]
name = "pair-sum"
method = "pair"
fusion = "sum"
seeds = [0]

[[claim]]
paper = "Nobody (2026)"
text = "The larger of two logits beats the sum of features."
better = "pair-max"
worse = "pair-sum"
"""


def grid_file(folder: Path, text: str = COMMON + SYSTEMS) -> Path:
    path = folder / "grid.toml"
    path.write_text(text, encoding="utf-8")
    return path


def words(grid: Path, cohort: Path, out: Path, *more: str) -> list[str]:
    """The command's words, with fewer draws than are needed for a paper."""
    few = ("--draws", "200", "--permutations", "200", "--devices", "cpu", "--threads", "1")
    where = ("--layout", "odir", "--root", str(cohort), "--out", str(out), "--cache", str(out.parent / "cache"))
    return ["replicate", str(grid), *where, *few, *more]


def made_truth(n: int = 240, labels: int = 4) -> Truth:
    rng = np.random.default_rng(0)
    values = (rng.random((n, labels)) < 0.3).astype(np.float32)
    ids = tuple(str(100 + k) for k in range(n))
    return Truth(ids, values, np.ones((n, labels), bool), ids, tuple("NDGC"[:labels]))


def plant(path: Path, truth: Truth, skill: float, seed: int, rows: slice = slice(None)) -> Path:
    """Predictions that see the truth through noise: the more skill, the higher the AUC."""
    noise = np.random.default_rng(seed).normal(size=truth.values.shape)
    probability = 1 / (1 + np.exp(-(skill * (truth.values - 0.5) + noise)))
    write_predictions(path, truth.ids[rows], probability[rows].astype(np.float64), truth.codes)
    return path
