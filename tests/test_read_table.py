"""Reading a table: one row per visit whatever happens, in order, and nothing twice after a kill."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from conftest import Made
from eyeground.cli.main import main, run
from eyeground.files import digest, sha256_of
from eyeground.readings import Reading
from eyeground.runs.journal import Journal
from eyeground.runs.read_pairs import read_pairs
from eyeground.runs.read_table import Plan, read_table

LINUX = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


@pytest.fixture(scope="module")
def made(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The made run with its bundle's graph: processes that do not import torch start in a moment."""
    folder = tmp_path_factory.mktemp("light")
    export = ["export", "--bundle", str(made.bundle), "--out", str(folder / "bundle"), "--visits", "1"]
    assert run(export) == 0
    return replace(made, run=folder)


def table(path: Path, lines: Iterable[tuple[Any, ...]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("visit", "left", "right", "age"), *lines])
    return path


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "readings.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def command(made: Made, pairs: Path, out: Path, *more: str) -> list[str]:
    return ["read", "--table", str(pairs), "--bundle", str(made.bundle), "--out", str(out), *more]


def pair(made: Made, number: int) -> tuple[str, str]:
    return str(made.images / f"{number}_left.jpg"), str(made.images / f"{number}_right.jpg")


def test_every_visit_has_a_row_in_order_whatever_its_photographs_are(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut, empty = tmp_path / "Jones.jpg", tmp_path / "empty.jpg"
    cut.write_bytes(Path(pair(made, 2)[0]).read_bytes()[:2000])
    empty.write_bytes(b"")
    good = pair(made, 1)
    lines = [
        ("001", *good, 63),
        ("broken", cut, empty, ""),
        ("half", cut, good[1], ""),
        ("gone", "nowhere.jpg", empty, ""),
        ("half gone", good[0], "nowhere.jpg", ""),
        ("none", "", "-", ""),
        ("a folder", tmp_path, good[1], ""),
        ("", good[0], "", ""),
        ("same", good[0], good[0], ""),
        ("last/one", *pair(made, 3), ""),
    ]
    out = tmp_path / "out"
    assert run(command(made, table(tmp_path / "pairs.csv", lines), out, "--workers", "2", "--json")) == 0
    told = capsys.readouterr()
    counts = {"visits": 10, "read": 3, "one_eye": 4, "refused": 3, "failed": 0, "finished_before": 0}
    assert json.loads(told.out) == {**counts, "table": str(out / "readings.csv")}
    assert "row 3 refused: no eye can be read" in told.err
    rows = rows_of(out)
    assert [row["visit"] for row in rows] == [str(line[0]) for line in lines]
    assert [int(row["row"]) for row in rows] == list(range(2, 12))
    statuses = ["read", "refused", "one_eye", "refused", "one_eye", "refused", "one_eye", "one_eye", "read", "read"]
    assert [row["status"] for row in rows] == statuses
    for words, row in zip(
        ("", "left photograph", "left: the photograph", "not there", "right: the file is not there", "no photograph"),
        rows,
        strict=False,
    ):
        assert words in row["reason"]
    assert rows[3]["reason"].startswith("no eye can be read: the left photograph is not there; the right photograph is")
    assert "The right eye could not be read (the file is not there); the answer rests on" in rows[4]["warnings"]
    assert "was given" not in rows[4]["warnings"] and rows[4]["warnings"].count("rests on") == 1
    assert "same photograph" in rows[8]["warnings"]
    whole = "".join(path.read_text() for path in [*out.glob("*/reading.json"), out / "readings.csv"])
    assert "Jones" not in whole and str(tmp_path) not in whole, "no file names"
    for row in rows:
        folder = out / row["folder"]
        if row["status"] == "refused":
            assert row["folder"] == "" and row["p_N"] == ""
            continue
        assert [path.name for path in folder.iterdir()] == ["reading.json"]
        reading = Reading.from_dict(json.loads((folder / "reading.json").read_text()))
        assert [float(row[f"p_{one.code}"]) for one in reading.findings] == [
            one.probability for one in reading.findings
        ]
        assert row["positive"].split() == [one.code for one in reading.findings if one.positive]
        assert (reading.visit or "") == row["visit"]
        assert all(eye.heatmaps == {} for eye in reading.eyes)
    assert rows[9]["folder"] == "000011-last_one"
    half = json.loads((out / rows[4]["folder"] / "reading.json").read_text())
    assert (half["eyes"][1]["status"], half["eyes"][1]["reason"]) == ("unreadable", "the file is not there")
    left_over = {path.name for path in out.iterdir()} - {row["folder"] for row in rows}
    assert left_over == {"readings.csv", "journal.jsonl"}


def test_a_table_of_one_is_a_single_reading(made: Made, tmp_path: Path) -> None:
    left, right = pair(made, 5)
    assert run(["read", left, right, "--bundle", str(made.bundle), "--out", str(tmp_path / "one"), "--visit", "A"]) == 0
    out = tmp_path / "many"
    assert run(command(made, table(tmp_path / "t.csv", [("A", left, right, "")]), out, "--reports")) == 0
    (row,) = rows_of(out)
    single = json.loads((tmp_path / "one" / "reading.json").read_text())
    other = json.loads((out / row["folder"] / "reading.json").read_text())
    assert [float(row[f"p_{one['code']}"]) for one in single["findings"]] == [
        one["probability"] for one in single["findings"]
    ], "to the bit"
    assert {**single, "created": ""} == {**other, "created": ""}
    pictures = {path.name: path.read_bytes() for path in (tmp_path / "one" / "heatmaps").iterdir()}
    assert pictures == {path.name: path.read_bytes() for path in (out / row["folder"] / "heatmaps").iterdir()}
    assert (out / row["folder"] / "report.html").is_file()


def children(process: int) -> list[int]:
    """The worker processes of a run."""
    listed = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(one) for one in listed if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


def lines_in(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.is_file() else 0


@LINUX
def test_killed_and_called_again_gives_the_same_table_and_reads_nothing_twice(made: Made, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(Path(pair(made, 2)[0]).read_bytes()[:1500])
    lines = [(f"V{number}", *pair(made, 1 + number % 50), "") for number in range(60)]
    lines[30] = ("bad", broken, "-", "")
    pairs, whole, out = table(tmp_path / "pairs.csv", lines), tmp_path / "whole", tmp_path / "out"
    arguments = [sys.executable, "-m", "eyeground", *command(made, pairs, out, "--workers", "1")]
    journal = out / "journal.jsonl"
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        wait_for(lambda: lines_in(journal) > 3, process)
        os.kill(children(process.pid)[0], signal.SIGKILL)  # a worker: survived
        wait_for(lambda: lines_in(journal) > 10, process)
        os.kill(process.pid, signal.SIGKILL)
    assert not (out / "readings.csv").exists()
    with journal.open("ab") as stream:
        stream.write(b'{"row": 3, "fac')  # cut short by the kill
    (out / ".000050-V48.abcd1234").mkdir()
    (out / ".readings.csv.abcd1234").touch()
    before = {path: path.stat().st_mtime_ns for path in out.glob("0*/reading.json")}
    finished = lines_in(journal) - 1
    assert 10 <= finished < 60
    tally = read_table(read_pairs(pairs), Plan(made.bundle, out, workers=1))
    assert tally.earlier == finished
    assert dict(tally.counts) == {"read": 59, "refused": 1}
    again = [path for path, time_ns in before.items() if path.stat().st_mtime_ns != time_ns]
    assert len(again) <= len(before) - finished, "only what was written and not yet noted"
    read_table(read_pairs(pairs), Plan(made.bundle, whole, workers=2))
    assert (out / "readings.csv").read_bytes() == (whole / "readings.csv").read_bytes()
    assert {path.name for path in out.iterdir()} == {path.name for path in whole.iterdir()}
    first = (out / "readings.csv").read_bytes()
    assert read_table(read_pairs(pairs), Plan(made.bundle, out)).earlier == 60
    assert (out / "readings.csv").read_bytes() == first


def wait_for(there: Any, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 300
    while not there():
        assert process.poll() is None, process.stderr.read().decode() if process.stderr else ""
        assert time.monotonic() < end
        time.sleep(0.002)


def test_other_settings_tables_or_photographs_are_refused_unless_fresh(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in (1, 2):
        for path in pair(made, number):
            shutil.copy(path, folder)
    lines = [
        ("A", "photographs/1_left.jpg", "photographs/1_right.jpg", ""),
        ("B", "photographs/2_left.jpg", "x.jpg", ""),
    ]
    lines.append(("C", "-", "y.jpg", ""))
    pairs, out = tmp_path / "pairs.csv", tmp_path / "out"
    call = command(made, table(pairs, lines), out, "--workers", "1")
    assert run(call) == 0

    def refused(words: str, *more: str) -> None:
        capsys.readouterr()
        kept = (out / "readings.csv").read_bytes()
        assert main([*call, *more]) == 2
        told = capsys.readouterr().err
        assert words in told and "--fresh" in told and told.count("\n") == 1
        assert (out / "readings.csv").read_bytes() == kept

    refused("reports was false and is true", "--reports")
    refused("fundus check was true and is false", "--no-fundus-check")
    other = tmp_path / "bundle"
    shutil.copytree(made.bundle, other)
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "card.md").write_text("another card")
    manifest["files"]["card.md"] = sha256_of(other / "card.md")
    manifest["digest"] = digest(manifest["files"])
    (other / "manifest.json").write_text(json.dumps(manifest))
    refused("bundle digest was", "--bundle", str(other))
    table(pairs, [(*lines[0][:3], "44"), *lines[1:]])
    refused("row 2: age was 'None' and is '44.0'")
    table(pairs, lines[:2])
    refused("row 4, which the table no longer has")
    table(pairs, [lines[1], lines[0], lines[2]])
    refused("visit was")
    table(pairs, lines)
    os.utime(folder / "1_right.jpg", ns=(1, 1))
    refused("row 2: the right photograph's file was changed")
    assert run([*call, "--fresh"]) == 0
    shutil.copy(pair(made, 3)[0], tmp_path / "y.jpg")
    assert run(call) == 0, "a refused visit that was mended is read"
    assert [row["status"] for row in rows_of(out)] == ["read", "one_eye", "one_eye"]
    shutil.copy(pair(made, 2)[1], tmp_path / "x.jpg")
    assert run(call) == 0, "and so is an eye that was not there"
    assert [row["status"] for row in rows_of(out)] == ["read", "read", "one_eye"]
    table(pairs, [*lines, ("D", *pair(made, 4), "")])
    assert run(call) == 0, "a table may grow"
    assert [row["visit"] for row in rows_of(out)] == ["A", "B", "C", "D"]
    shutil.rmtree(out / "000002-A")
    assert run(call) == 0
    assert (out / "000002-A" / "reading.json").is_file(), "a reading that was removed is made again"
    table(pairs, lines[:1])
    assert run([*call, "--fresh"]) == 0
    assert {path.name for path in out.iterdir()} == {"000002-A", "journal.jsonl", "readings.csv"}


def test_folders_of_others_and_flags_that_do_not_fit(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs, out = table(tmp_path / "pairs.csv", [("A", *pair(made, 1), "")]), tmp_path / "out"
    out.mkdir()
    (out / "thesis.docx").write_text("years of work")
    for more, words in (
        ((), "not empty and not an earlier reading of a table"),
        (("--fresh",), "not empty"),
        (("--age", "3"), "it is a column of the table"),
        (("--workers", "-1"), "--workers -1"),
        ((*pair(made, 1),), "not both"),
    ):
        assert main([*command(made, pairs, out), *more]) == 2
        assert words in capsys.readouterr().err
    assert (out / "thesis.docx").is_file()
    single = ["read", *pair(made, 1), "--bundle", str(made.bundle), "--out", str(tmp_path / "one")]
    assert main([*single, "--fresh"]) == 2
    assert "--fresh goes with --table" in capsys.readouterr().err
    assert main(["read", pair(made, 1)[0], "--bundle", str(made.bundle), "--out", str(tmp_path / "one")]) == 2
    assert "LEFT and RIGHT" in capsys.readouterr().err
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eyeground.runs.engine.BOX", tmp_path / "no box")
        assert main(["read", "--table", str(pairs), "--out", str(tmp_path / "one")]) == 2
    assert "give one with --bundle" in capsys.readouterr().err
    assert main(["read", "a" * 300, "-", "--bundle", str(made.bundle)]) == 2
    assert "File name too long" in capsys.readouterr().err
    (tmp_path / "diary").mkdir()
    for text in ("Monday: rain.\n", "Monday", '{"mood": 1}\n'):
        (tmp_path / "diary" / "journal.jsonl").write_text(text)
        assert main(command(made, pairs, tmp_path / "diary")) == 2
        assert "is no journal of readings" in capsys.readouterr().err
        assert (tmp_path / "diary" / "journal.jsonl").read_text() == text
    other = tmp_path / "other"
    with Journal(other, {}):
        assert main(command(made, pairs, other)) == 2
    assert "another process is reading" in capsys.readouterr().err


@LINUX
def test_memory_does_not_grow_with_the_table(made: Made, tmp_path: Path) -> None:
    """PNGs are decoded whole: 3 MB of pixels each and 60 visits, so that keeping anything would show."""
    names = []
    for side, path in zip(("left", "right"), pair(made, 1), strict=True):
        names.append(str(tmp_path / f"{side}.png"))
        Image.open(path).resize((1000, 1000)).save(names[-1], compress_level=1)
    pairs = table(tmp_path / "pairs.csv", [(f"V{number}", *names, "") for number in range(60)])
    peaks: list[int] = []

    def watched(items: Iterable[Any], label: str, total: int | None = None) -> Iterator[Any]:
        for row, answer in items:
            peaks.append(answer[2])
            yield row, answer

    tally = read_table(read_pairs(pairs), Plan(made.bundle, tmp_path / "out", workers=1), watched)
    assert tally.counts["read"] == 60
    assert tally.peak == peaks[-1] > 50 * 2**20
    assert peaks[-1] - peaks[14] < 20 * 2**20
