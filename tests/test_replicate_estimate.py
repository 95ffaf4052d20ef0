"""How long runs will take: timed steps, what runs that are done know better, and that nothing is timed in vain."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eyeground.cli.main import run
from eyeground.runs.replicate.estimate import BESIDE, FIXED, estimated
from eyeground.runs.replicate.grid import read_grid
from eyeground.runs.replicate.plan import Item, Site
from grids_made import COMMON, SYSTEMS, grid_file, words

VISITS = 100
ROW = {
    "run": "x",
    "method": "pair",
    "device": "cpu",
    "epochs": 1,
    "train_visits": VISITS,
    "config": {"trunk": "test_resnet"},
    "recipe": {"size": 64},
}
AUBNET = SYSTEMS + '\n[[system]]\nname = "aubnet"\nmethod = "aubnet"\n'


def seconds(folder: Path, timed: dict[str, float], train_seconds: float | None) -> dict[str, tuple[float | None, str]]:
    """Estimates by method, from timed steps in OUT and perhaps one row of `pair`."""
    (folder / "timed.json").write_text(json.dumps(timed))
    if train_seconds is not None:
        (folder / "rows").mkdir(exist_ok=True)
        (folder / "rows" / "x.json").write_text(json.dumps({**ROW, "train_seconds": train_seconds}))
    split: Any = SimpleNamespace(fold=lambda number: SimpleNamespace(train=tuple(range(VISITS))))
    items = [Item(run, {}, "left") for run in read_grid(grid_file(folder, COMMON + AUBNET)).runs]
    site = Site(folder, ("--layout", "odir", "--root", "r"))
    found = estimated(items, site, {"odir-3fold": split}, cohort=SimpleNamespace())  # type: ignore[arg-type]
    return {one.run.system.method: (one.seconds, one.basis) for one in found}


def test_rows_win_over_timed_steps_and_scale_those_of_others(tmp_path: Path) -> None:
    timed = {"pair test_resnet 64 cpu": 4.0, "aubnet test_resnet 64 cpu": 8.0}
    before = seconds(tmp_path, timed, None)
    assert before["pair"] == (pytest.approx(4 * VISITS * BESIDE + FIXED), "timed")
    after = seconds(tmp_path, timed, 50.0)  # half a second for each visit, an eighth of what was timed
    assert after["pair"] == (pytest.approx(50 + FIXED), "rows")
    assert after["aubnet"] == (pytest.approx(8 / 8 * VISITS + FIXED), "timed")


def test_without_a_row_or_a_timing_the_time_is_not_known(tmp_path: Path) -> None:
    assert seconds(tmp_path, {}, 50.0) == {"pair": (50 + FIXED, "rows"), "aubnet": (None, "")}


def test_steps_are_timed_for_a_plan_or_a_budget_alone_and_it_is_said(
    made_cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid, out = grid_file(tmp_path), tmp_path / "out"
    assert run(words(grid, made_cohort, out, "--minutes", "0")) == 0
    found = capsys.readouterr()
    assert not (out / "timed.json").exists() and "timing" not in found.err
    assert "3 of unknown length" in found.out
    assert run(words(grid, made_cohort, out, "--dry-run")) == 0
    found = capsys.readouterr()
    assert "timing a few steps of 1 kinds of run" in found.err and "unknown length" not in found.out
    assert json.loads((out / "timed.json").read_text())["pair test_resnet 64 cpu"] > 0
