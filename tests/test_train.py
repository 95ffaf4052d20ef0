"""The loop: a real kill changes nothing, a number that is none is noticed, settings are not mixed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from conftest import TINY, Made
from eyeground.cli.main import run
from eyeground.errors import DataError, LeakError, TrainingError, UsageError
from eyeground.methods import find_method
from eyeground.runs.recipe import Recipe
from eyeground.settings import fill
from eyeground.splits import Split


def flags(made: Made, out: Path, *more: str, epochs: int = 3) -> list[str]:
    tiny = [*TINY]
    tiny[tiny.index("--epochs") + 1] = str(epochs)
    where = ["--layout", "odir", "--root", str(made.root), "--split", str(made.split)]
    return ["train", *where, "--cache", str(made.cache), "--out", str(out), *tiny, *more]


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_killed_in_the_middle_of_an_epoch_it_ends_with_the_same_weights(made: Made, tmp_path: Path) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    assert run(flags(made, straight, epochs=8)) == 0
    command = [sys.executable, "-m", "eyeground", *flags(made, killed, epochs=8)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not (killed / "log.jsonl").is_file():  # the log is written after the checkpoint it tells of
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = len(rows(killed))
    assert done < 8, "it was killed after the last epoch"
    assert not (killed / "bundle").exists(), "no half-written bundle"
    assert run(flags(made, killed, epochs=8)) == 0
    one, two = (load_file(str(out / "bundle" / "weights.safetensors")) for out in (straight, killed))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert [{k: v for k, v in row.items() if k != "seconds"} for row in rows(straight)] == [
        {k: v for k, v in row.items() if k != "seconds"} for row in rows(killed)
    ]


def test_called_again_when_done_it_trains_nothing_and_other_settings_are_refused(made: Made, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run(flags(made, out, epochs=1)) == 0
    before = rows(out)
    assert run(flags(made, out, epochs=1)) == 0
    assert rows(out) == before
    with pytest.raises(UsageError, match=r"holds a run with other settings \(recipe.lr: 0.001 -> 0.01\)"):
        run(flags(made, out, "--lr", "0.01", epochs=1))


def test_a_loss_that_is_no_number_is_noticed(made: Made, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="is not a number any more at epoch 1"):
        run(flags(made, tmp_path / "run", "--lr", "1e12", "--clip", "0", epochs=2))
    assert not (tmp_path / "run" / "bundle").exists()


def test_a_step_too_small_to_normalise_says_which_flags_to_raise() -> None:
    from torch import nn

    from eyeground.runs.train import _told

    with pytest.raises(ValueError, match="more than 1 value") as found:
        nn.BatchNorm2d(3).train()(torch.rand(1, 3, 1, 1))
    told = _told(found.value, Recipe(size=32, batch_size=1))
    assert isinstance(told, TrainingError)
    assert "--batch-size 1, --size 32" in str(told)
    other = ValueError("something else")
    assert _told(other, Recipe()) is other


def test_out_of_memory_says_which_flag_to_lower(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: 10 bytes")

    monkeypatch.setattr(find_method("pair"), "loss", full)
    with pytest.raises(TrainingError, match="lower --batch-size"):
        run(flags(made, tmp_path / "run"))


def test_a_leaking_split_is_refused_before_the_first_step(made: Made, tmp_path: Path) -> None:
    from dataclasses import replace

    from eyeground.runs.fit import require_no_leak

    split = Split.load(made.split)
    parts = split.folds[0]
    require_no_leak(split, parts)
    for part in ("val", "test"):
        stranger = parts.part(part)[0]
        prints = split.fingerprints_of([stranger])
        renamed = tuple(replace(one, visit="copy", patient="copy") for one in prints)
        copied = replace(split, fingerprints=(*split.fingerprints, *renamed))
        with pytest.raises(LeakError, match="identical photograph"):
            require_no_leak(copied, replace(parts, train=(*parts.train, "copy")))
        with pytest.raises(LeakError, match="shared patient"):
            require_no_leak(split, replace(parts, train=(*parts.train, stranger)))


def test_photographs_that_vanished_and_labels_that_changed_are_noticed(made: Made, tmp_path: Path) -> None:
    import shutil

    import openpyxl

    root = tmp_path / "cohort"
    shutil.copytree(made.root, root)
    arguments = flags(made, tmp_path / "run", epochs=1)
    arguments[arguments.index("--root") + 1] = str(root)
    assert run(arguments) == 0
    book = next(root.glob("*.xlsx"))
    visit = Split.load(made.split).folds[0].train[0]
    work = openpyxl.load_workbook(book)
    sheet = work.worksheets[0]
    row = next(cells for cells in sheet.iter_rows(min_row=2) if str(cells[0].value) == visit)
    for cell in row[-8:]:
        cell.value = 1 - cell.value
    work.save(book)
    with pytest.raises(UsageError, match=r"holds a run with other settings .labels:"):
        run(arguments)
    (root / "ODIR-5K_Training_Images" / f"{visit}_left.jpg").unlink()
    with pytest.raises(DataError, match="1 photographs of the split are not there"):
        run(arguments)


def test_bf16_trains(made: Made, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run(flags(made, out, "--precision", "bf16-mixed", epochs=1)) == 0
    assert 'precision = "bf16-mixed"' in (out / "bundle" / "config.toml").read_text().split("[data]")[1]


def test_a_visit_with_one_eye_is_taught_what_this_eye_shows() -> None:
    from types import SimpleNamespace

    from eyeground.records import Eye, Visit
    from eyeground.runs.data import decided, one_eyed
    from eyeground.vocabulary import ODIR

    normal, diabetic = (1, 0, 0, 0, 0, 0, 0, 0), (0, 1, 0, 0, 0, 0, 0, 0)
    eyes = (Eye("left", "l", None, normal), Eye("right", "r", None, diabetic))
    visit = Visit("v", "p", eyes, diabetic)
    there: Any = SimpleNamespace()
    assert decided(visit, (there, there), ODIR) == diabetic
    assert decided(visit, (there, None), ODIR) == (None, None, 0, 0, 0, 0, 0, 0), "the left eye shows neither"
    assert decided(visit, (None, there), ODIR) == diabetic, "the right eye bears all of it out"
    counts = one_eyed([visit], {"v": (there, None)}, ODIR)
    assert counts == {"visits": 1, "labels_of_the_unseen_eye": 1}


def test_photographs_changed_since_the_split_are_refused(made: Made, tmp_path: Path) -> None:
    import shutil

    root = tmp_path / "cohort"
    shutil.copytree(made.root, root)
    visit = Split.load(made.split).folds[0].train[0]
    images = root / "ODIR-5K_Training_Images"
    shutil.copy(images / f"{visit}_left.jpg", images / f"{visit}_right.jpg")
    arguments = flags(made, tmp_path / "run")
    arguments[arguments.index("--root") + 1] = str(root)
    with pytest.raises(DataError, match="1 photographs are not those the split was made on"):
        run(arguments)


def test_unknown_keys_and_bad_values(made: Made, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("epocs = 3\n")
    with pytest.raises(UsageError, match=r"unknown key 'epocs'.*did you mean 'epochs'"):
        run(flags(made, tmp_path / "run", "--config", str(config)))
    config.write_text('epochs = "three"\n')
    with pytest.raises(UsageError, match=r"'epochs' in .* can't be 'three': it takes int"):
        run(flags(made, tmp_path / "run", "--config", str(config)))
    config.write_text("epochs = \n")
    with pytest.raises(UsageError, match="not valid TOML"):
        run(flags(made, tmp_path / "run", "--config", str(config)))
    for flag, value in (("--epochs", "0"), ("--lr", "nan"), ("--ema", "1"), ("--start-size", "128")):
        with pytest.raises(UsageError, match=flag):
            run(flags(made, tmp_path / "run", flag, value))
    with pytest.raises(UsageError, match="no fold 5"):
        run(flags(made, tmp_path / "run", "--fold", "5"))


def test_a_config_file_is_the_default_and_flags_win(made: Made, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('fusion = "mean"\nrotate = 5\nema = 0.5\n')
    out = tmp_path / "run"
    assert run(flags(made, out, "--config", str(config), "--ema", "0.25", epochs=1)) == 0
    text = (out / "bundle" / "config.toml").read_text()
    assert 'fusion = "mean"' in text
    assert "rotate = 5.0" in text
    assert "ema = 0.25" in text


@pytest.mark.parametrize("keep", ["memory", "disk"])
def test_where_the_pixels_live_changes_nothing(made: Made, tmp_path: Path, keep: str) -> None:
    out = tmp_path / keep
    assert run(flags(made, out, "--keep", keep, epochs=1)) == 0
    assert rows(out)[0]["loss_total"] == pytest.approx(rows(made.run)[0]["loss_total"], rel=0.5)
    other = tmp_path / "memory-again"
    assert run(flags(made, other, epochs=1)) == 0
    assert rows(out)[0]["loss_total"] == rows(other)[0]["loss_total"]


def test_two_processes_see_every_visit_once(made: Made, tmp_path: Path) -> None:
    out = tmp_path / "two"
    command = [sys.executable, "-m", "eyeground", *flags(made, out, "--devices", "2", "--accelerator", "cpu", epochs=1)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    assert (out / "bundle" / "manifest.json").is_file()
    assert len(rows(out)) == 1


def test_the_order_gives_every_visit_once_to_one_process() -> None:
    from types import SimpleNamespace

    from eyeground.runs.train import order_of
    from eyeground.sampling import Natural, Rows

    natural = Natural(Rows(np.zeros((101, 8), np.float32), np.ones((101, 8), bool), ("x",) * 8))
    seen: list[int] = []
    lengths = set()
    for rank in range(3):
        fabric: Any = SimpleNamespace(world_size=3, global_rank=rank)
        order = order_of(natural, Recipe(batch_size=4), 0, fabric)
        lengths.add(len(order))
        seen += [int(row) for rows_ in order for row in rows_]
    assert sorted(seen) == list(range(101))
    assert len(lengths) == 1, "every process takes as many steps"


def test_schedules() -> None:
    recipe = fill(Recipe, {"lr": 0.1}, "test")
    steps = 100
    rates = np.array([recipe.lr_at(step, steps, 1) for step in range(steps)])
    assert rates.argmax() == 20
    assert rates.max() == pytest.approx(0.1)
    assert rates[0] == pytest.approx(0.004)
    assert rates[-1] < 0.001
    assert (np.diff(rates[20:]) < 0).all()
    assert fill(Recipe, {"schedule": "cosine"}, "test").lr_at(0, 10, 1) == pytest.approx(1e-3)
    growing = Recipe(size=256, start_size=128, epochs=5)
    assert [growing.side_at(epoch) for epoch in range(5)] == [128, 128, 256, 256, 256]


@pytest.mark.parametrize(
    ("flags_", "word"),
    [
        ({"momentum": 0.5}, "--momentum"),
        ({"warmup": 0.4, "schedule": "cosine"}, "--warmup"),
        ({"step_epochs": 3}, "--step-epochs"),
        ({"lr_decay": 0.5}, "--lr-decay"),
    ],
)
def test_an_optimiser_flag_without_effect_is_refused(flags_: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        fill(Recipe, flags_, "test")
