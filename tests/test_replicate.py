"""`eyeground replicate` on the made cohort: killed, called again, changed, out of budget, failed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from eyeground.cli.main import main, run
from eyeground.errors import UsageError
from eyeground.files import sha256_of
from eyeground.runs.replicate.grid import read_grid
from eyeground.runs.replicate.plan import Item, Site
from eyeground.runs.replicate.work import Ended, Queue, reason_of, run_child
from grids_made import COMMON, SYSTEMS, grid_file, words

posix = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs POSIX processes")


def alive(folder: Path) -> list[str]:
    """Processes whose command names this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if f"{folder}/runs" in text:
            found.append(text.replace("\0", " "))
    return found


def wait_for(condition: object, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if callable(condition) and condition():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


def rows(out: Path) -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text()) for path in (out / "rows").glob("*.json")}


@pytest.fixture(scope="module")
def finished(made_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, dict]]:
    """A grid killed in its first run, ended in its second, then done; and the rows there were in between."""
    folder = tmp_path_factory.mktemp("grid")
    out, grid = folder / "out", grid_file(folder)
    args = words(grid, made_cohort, out)

    def trains(seed: int) -> bool:
        return (out / "runs" / f"pair-max-f0-s{seed}" / "spec.json").is_file() and bool(alive(out))

    parent = subprocess.Popen([sys.executable, "-m", "eyeground", *args], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: trains(0))
    finally:
        parent.kill()
        parent.wait()
    wait_for(lambda: not alive(out), 30)  # no orphan goes on in the folder

    def end_it() -> None:
        wait_for(lambda: trains(1))
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_it, daemon=True).start()
    assert main(args) == 130
    wait_for(lambda: not alive(out), 30)
    before = rows(out)
    assert run(args) == 0
    return out, grid, before


@posix
def test_a_killed_grid_goes_on_and_ends_with_the_same_weights(
    finished: tuple[Path, Path, dict[str, dict]], made_cohort: Path, tmp_path: Path
) -> None:
    out, _, before = finished
    after = rows(out)
    assert set(after) == {"pair-max-f0-s0", "pair-max-f0-s1", "pair-sum-f0-s0"}
    assert list(before) == ["pair-max-f0-s0"] and before["pair-max-f0-s0"] == after["pair-max-f0-s0"]
    killed = out / "runs" / "pair-max-f0-s0"
    plain = ["--layout", "odir", "--root", str(made_cohort), "--split", str(out / "odir-3fold.json")]
    plain += ["--config", str(killed / "settings.toml"), "--cache", str(out.parent / "cache"), "--threads", "1"]
    assert run(["train", *plain, "--accelerator", "cpu", "--out", str(tmp_path)]) == 0
    weights = "bundle/weights.safetensors"
    assert sha256_of(tmp_path / weights) == sha256_of(killed / weights)


@posix
def test_rows_say_what_was_run_where_and_at_what_cost(finished: tuple[Path, Path, dict[str, dict]]) -> None:
    out, _, _ = finished
    row = rows(out)["pair-sum-f0-s0"]
    assert (row["system"], row["fold"], row["seed"], row["device"]) == ("pair-sum", 0, 0, "cpu")
    assert row["config"]["fusion"] == "sum" and row["recipe"]["seed"] == 0 and row["parameters"] > 1000
    assert row["cost"]["train"]["peak_bytes"] > 50e6 and row["train_seconds"] > 0
    for name in ("macro_auc", "macro_ap", "final", "kappa"):
        assert {"value", "interval"} == set(row["scores"][name])
    assert row["scores"]["one_label"]["n"] + row["scores"]["several_labels"]["n"] == row["n"]
    assert len((out / "rows.jsonl").read_text().splitlines()) == 3
    results = json.loads((out / "results.json").read_text())
    assert results["claims"][0]["seeds"] == [0] and results["runs"] == {"done": 3, "failed": 0, "left": 0}
    told = "".join(path.read_text() for path in (out / "results.json", out / "table.md", out / "rows.jsonl"))
    assert str(out.parent) not in told and "| 1 x 2 |" in told and "one each" in told


@posix
def test_called_again_it_trains_nothing_and_takes_what_it_knows(
    finished: tuple[Path, Path, dict[str, dict]], made_cohort: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, grid, _ = finished
    before = rows(out)
    page = out.parent / "page.md"
    page.write_text("<!-- replication: begin small -->\n<!-- replication: end small -->\n", encoding="utf-8")
    assert run(words(grid, made_cohort, out, "--docs", str(page))) == 0
    assert rows(out) == before and "3 of 3 runs are done" in capsys.readouterr().out
    assert "pair-max" in page.read_text()


@posix
def test_other_flags_need_another_folder(finished: tuple[Path, Path, dict[str, dict]], made_cohort: Path) -> None:
    out, _, _ = finished
    other = out.parent / "other"
    other.mkdir(exist_ok=True)
    grid = grid_file(other, COMMON.replace("epochs = 1", "epochs = 2") + SYSTEMS)
    with pytest.raises(UsageError, match=r"pair-max-f0-s0 \(epochs: 1 -> 2\).*another --out"):
        run(words(grid, made_cohort, out))


@posix
def test_a_bundle_from_elsewhere_is_taken_when_it_is_what_the_grid_asks_for(
    finished: tuple[Path, Path, dict[str, dict]], made_cohort: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, grid, _ = finished
    kept = out / "runs" / "pair-sum-f0-s0"
    for path in (out / "rows" / "pair-sum-f0-s0.json", kept / "spec.json", kept / "checkpoint.pt"):
        path.unlink()
    assert run(words(grid, made_cohort, out, "--dry-run")) == 0
    assert "2 of 3 runs are done, 1 left" in capsys.readouterr().out
    assert run(words(grid, made_cohort, out)) == 0
    assert rows(out)["pair-sum-f0-s0"]["predictions_sha256"] == sha256_of(kept / "test" / "predictions.csv")
    wrong = grid_file(out.parent / "other", COMMON + SYSTEMS.replace('fusion = "sum"', 'fusion = "product"'))
    (out / "rows" / "pair-sum-f0-s0.json").unlink()
    with pytest.raises(UsageError, match=r"pair-sum-f0-s0 \(fusion: sum -> product"):
        run(words(wrong, made_cohort, out))


def test_a_failed_run_is_told_and_the_others_go_on(made_cohort: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_text("nothing of the kind")
    text = COMMON + f'\n[[system]]\nname = "broken"\nmethod = "pair"\ntrunk_weights = "{weights}"\n'
    grid, out = grid_file(tmp_path, text), tmp_path / "out"
    assert run(words(grid, made_cohort, out)) == 1
    failure = json.loads((out / "failed" / "broken-f0-s0.json").read_text())
    assert "is not a safetensors file" in failure["reason"]
    log = (out / "logs" / "broken-f0-s0.log").read_text()
    assert run(words(grid, made_cohort, out)) == 1
    assert (out / "logs" / "broken-f0-s0.log").read_text() == log  # not tried again unless told to
    assert "broken-f0-s0 failed: train:" in (out / "table.md").read_text()


def item(grid: Path, seconds: float, at: int) -> Item:
    return Item(read_grid(grid).runs[at], {}, "left", seconds=seconds)


def test_the_budget_lets_nothing_begin_that_ends_too_late(tmp_path: Path) -> None:
    grid = grid_file(tmp_path)
    queue = Queue([item(grid, 300, 0), item(grid, 30, 1), item(grid, 50, 2)], minutes=1)
    taken = [queue.take(), queue.take(), queue.take()]
    assert [one.run.name for one in taken if one] == ["pair-max-f0-s1", "pair-sum-f0-s0"]
    assert [one.run.name for one in queue.items] == ["pair-max-f0-s0"]
    assert Queue([item(grid, 1, 0)], minutes=0).take() is None
    assert Queue([item(grid, 1e9, 0)], minutes=None).take() is not None


@posix
def test_a_child_is_interrupted_and_its_reason_is_one_line(tmp_path: Path) -> None:
    stop, log = threading.Event(), tmp_path / "log"
    ended = run_child(["no-such-command"], log, None, stop)
    assert ended.code == 2 and ended.peak
    assert reason_of(ended, log, "train").startswith("train: no command 'no-such-command'")
    assert "SIGKILL" in reason_of(Ended(-9, 1.0, None), log, "train")


def test_two_calls_do_not_share_a_folder(made_cohort: Path, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    out = tmp_path / "out"
    out.mkdir()
    with (out / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another eyeground replicate works in"):
            run(words(grid_file(tmp_path), made_cohort, out))


def test_commands_name_no_device_and_skip_what_is_done(tmp_path: Path) -> None:
    site = Site(tmp_path, ("--layout", "odir", "--root", "r"))
    one = item(grid_file(tmp_path), 1, 0)
    assert [step for step, _ in site.commands(one)] == ["train", "evaluate"]
    (site.folder(one.run) / "bundle").mkdir()
    assert [step for step, _ in site.commands(one)] == ["evaluate"]
