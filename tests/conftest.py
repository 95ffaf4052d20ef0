"""Fixtures that every test may use: real data where it is, a made cohort, and a small trained run on it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # networks here are tiny: more threads only wait for each other

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; tests that need it skip where it is absent."""
    here = Path(__file__).resolve().parents[1]
    root = Path(os.environ.get("EYEGROUND_DATA", here / "../shared/data")).resolve()
    if not root.is_dir():
        pytest.skip(f"no real data at {root}: set EYEGROUND_DATA to the folder that holds odir5k/")
    return root


@dataclass(frozen=True)
class Made:
    """A made cohort in the challenge's layout, its split, and a small model trained on it."""

    root: Path
    images: Path
    split: Path
    run: Path
    cache: Path

    @property
    def bundle(self) -> Path:
        return self.run / "bundle"


TINY = ("--trunk", "test_resnet", "--trunk-weights", "none", "--size", "64", "--epochs", "2", "--batch-size", "8")
"""Flags of a training that takes seconds."""


@pytest.fixture(scope="session")
def made_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 made patients at 96 px, in the challenge's layout."""
    from eyeground.phantom import make_cohort

    root = tmp_path_factory.mktemp("phantom")
    make_cohort(root, patients=60, size=96, seed=0)
    return root


@pytest.fixture(scope="session")
def made(made_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A run on the made cohort, through the command line: split, train."""
    from eyeground.cli.main import run

    out = tmp_path_factory.mktemp("run")
    split, cache = out / "split.json", out / "cache"
    cohort = ("--layout", "odir", "--root", str(made_cohort))
    shares = ("--folds", "1", "--test-share", "0.3", "--val-share", "0.2")
    assert run(["cohort", "split", *cohort, *shares, "--out", str(split)]) == 0
    where = ("--split", str(split), "--cache", str(cache), "--out", str(out / "run"))
    assert run(["train", *cohort, *where, *TINY]) == 0
    return Made(made_cohort, made_cohort / "ODIR-5K_Training_Images", split, out / "run", cache)
