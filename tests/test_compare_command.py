"""`eyeground compare` as a command: what it says, in words and in JSON, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eyeground.cli.main import main
from eyeground.metrics.predictions import write_predictions
from eyeground.vocabulary import ODIR

ROOT = Path(__file__).resolve().parents[1]


def sheet(path: Path, truth: np.ndarray) -> Path:
    lines = [",".join([str(k), *(str(int(cell)) for cell in row)]) for k, row in enumerate(truth, start=1)]
    path.write_text("\n".join(["ID,N,D,G,C,A,H,M,O", *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """truth.csv, a.csv, b.csv and two more runs a2.csv, b2.csv of 40 patients and the challenge's labels."""
    generator = np.random.default_rng(12)
    truth = generator.random((40, 8)) < 0.3
    common = generator.standard_normal((40, 8))
    sheet(tmp_path / "truth.csv", truth)
    for name, gain in (("a", 2.5), ("a2", 2.4), ("b", 0.5), ("b2", 0.6)):
        made_up = gain * truth + common + 0.5 * generator.standard_normal((40, 8))
        write_predictions(
            tmp_path / f"{name}.csv", [str(k) for k in range(1, 41)], 1 / (1 + np.exp(-made_up)), ODIR.codes
        )
    return tmp_path


FAST = ("--draws", "200", "--permutations", "200")


def run(folder: Path, *words: str) -> int:
    files = [str(folder / word) if word.endswith(".csv") and "=" not in word else word for word in words]
    return main(["compare", *FAST, *files, "--truth", str(folder / "truth.csv")])


def test_the_command_in_words_and_in_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "a.csv", "b.csv") == 0
    text = capsys.readouterr().out
    assert text.startswith("a is better than b by 0.") and max(map(len, text.splitlines())) <= 80
    assert all(word in text for word in ("95% interval", "DeLong", "macro AP", "training variance is not"))
    assert run(folder, "a.csv", "b.csv", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["n"], result["truth_patients"], result["permutations"], result["exact"]) == (40, 40, 200, False)
    assert result["systems"][1]["files"] == [str(folder / "b.csv")] and result["systems"][0]["rank"] == [1, 1]
    assert run(folder, "a.csv", "b.csv", "--json", "--by", "final") == 0
    assert " final (" in json.loads(capsys.readouterr().out)["pairs"][0]["verdict"]


def test_runs_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    systems = [f"--system={name}[1]={folder}/{name}.csv,{folder}/{name}2.csv" for name in ("a", "b")]
    assert run(folder, *systems) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80 and "over patients and training runs" in text and " sd " in text
    assert "a[1] less b[1]" in text
    assert run(folder, *systems, "--json") == 0
    assert [one["runs"] for one in json.loads(capsys.readouterr().out)["systems"]] == [2, 2]


def test_order_of_rows_and_columns_does_not_matter(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.split(",") for line in (folder / "b.csv").read_text().splitlines()]
    turned = [lines[0], *lines[:0:-1]]
    (folder / "turned.csv").write_text("\n".join(",".join([row[0], *row[:0:-1]]) for row in turned) + "\n")
    found = []
    for name in ("b.csv", "turned.csv"):
        assert run(folder, "a.csv", name, "--json") == 0
        found.append(json.loads(capsys.readouterr().out)["pairs"][0])
    assert found[0]["macro_auc"] == found[1]["macro_auc"] and found[0]["per_class"] == found[1]["per_class"]


def test_the_same_file_twice_is_warned_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "a.csv", "a.csv") == 0
    streams = capsys.readouterr()
    assert "a and a (2) hold the same predictions" in streams.err and "warning" in streams.err


def changed(folder: Path, name: str, old: str, new: str, row: int) -> str:
    lines = (folder / "b.csv").read_text().splitlines()
    lines[row] = lines[row].replace(old, new, 1) if old else new
    (folder / name).write_text("\n".join(line for line in lines if line) + "\n")
    return name


def refused(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    code = run(folder, *words)
    streams = capsys.readouterr()
    assert code == 2 and streams.out == "" and streams.err.count("\n") == 1
    assert streams.err.startswith("eyeground: error: ")
    return streams.err


def test_refusals(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def say(*words: str) -> str:
        return refused(folder, capsys, *words)

    assert "one system can't be compared" in say("a.csv")
    assert "no file" in say("a.csv", "missing.csv")
    short = changed(folder, "short.csv", "", "", 3)
    assert "short.csv lacks patient 3, which" in say("a.csv", short)
    assert "short.csv lacks patient 3, which" in say(short, "a.csv", "--subset")
    assert "lack 1 of the truth's 40 patients, first ID 3" in say(short, "--system", f"again={folder}/{short}")
    assert "repeats ID 1" in say("a.csv", changed(folder, "twice.csv", "2,", "1,", 2))
    assert "no patient with ID 99" in say("a.csv", changed(folder, "extra.csv", "40,", "99,", 40))
    assert "holds nan" in say("a.csv", changed(folder, "nan.csv", "", "1" + ",nan" * 8, 1))
    assert "no column 'O'" in say("a.csv", changed(folder, "label.csv", ",O", ",P", 0))
    assert "is not NAME=FILE" in say("a.csv", "b.csv", "--system", "c.csv".removesuffix(".csv"))
    assert "two systems are called 'a'" in say("a.csv", "--system", f"a={folder}/b.csv")
    assert "they are not two training runs of x" in say("b.csv", "--system", f"x={folder}/a.csv,{folder}/a.csv")
    assert "--draws 5 are too few" in say("a.csv", "b.csv", "--draws", "5")
    assert "--seed -1" in say("a.csv", "b.csv", "--seed", "-1")


def test_two_patients_and_perfect_systems_do_not_tell_what_would_be_found(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = {name: (folder / f"{name}.csv").read_text().splitlines() for name in ("a", "b", "truth")}

    def cut(rows: int) -> None:
        for name, text in lines.items():
            (folder / f"{name}.csv").write_text("\n".join(text[: rows + 1]) + "\n")

    cut(1)
    assert "one patient" in refused(folder, capsys, "a.csv", "b.csv", "--by", "final")
    cut(2)
    (folder / "truth.csv").write_text("ID,N,D,G,C,A,H,M,O\n1,1,0,0,0,0,0,0,0\n2,0,1,0,0,0,0,0,0\n")
    assert run(folder, "a.csv", "b.csv") == 0  # half of the resamples lack a label
    assert "do not tell what difference would be found" in " ".join(capsys.readouterr().out.split())
    (folder / "c.csv").write_text("\n".join(["ID,N,D,G,C,A,H,M,O", "1,.9,.1" + ",.1" * 6, "2,.1,.9" + ",.1" * 6]))
    (folder / "d.csv").write_text("\n".join(["ID,N,D,G,C,A,H,M,O", "1,.8,.2" + ",.2" * 6, "2,.2,.8" + ",.2" * 6]))
    assert run(folder, "c.csv", "d.csv", "--json") == 0  # both perfect: no difference, and no precision either
    assert json.loads(capsys.readouterr().out)["pairs"][0]["final"]["detectable"] is None


def test_a_truth_that_cannot_be_compared_by(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (folder / "truth.csv").read_text().splitlines()
    text[1] = "1,0,0,0,0,0,0,0,"
    (folder / "truth.csv").write_text("\n".join(text) + "\n")
    assert "leaves 1 cells unknown" in refused(folder, capsys, "a.csv", "b.csv", "--by", "final")
    assert run(folder, "a.csv", "b.csv") == 0
    assert "final is undefined" in capsys.readouterr().out
    sheet(folder / "truth.csv", np.zeros((40, 8)))
    assert "no label with both" in refused(folder, capsys, "a.csv", "b.csv")


def test_a_subset_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        lines = (folder / f"{name}.csv").read_text().splitlines()
        (folder / f"{name}.csv").write_text("\n".join(lines[:31]) + "\n")
    assert run(folder, "a.csv", "b.csv", "--subset") == 0
    assert "30 of 40 patients" in capsys.readouterr().out


def test_compare_starts_without_torch() -> None:
    code = "import sys, eyeground.cli.compare; sys.exit(any(m in sys.modules for m in ('torch', 'sklearn', 'scipy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_page_shows_what_was_measured() -> None:
    sys.path.insert(0, str(ROOT))
    try:
        from benchmarks.comparison import tables
    finally:
        sys.path.remove(str(ROOT))
    figures = json.loads((ROOT / "benchmarks" / "results" / "comparison.json").read_text())["figures"]
    page = (ROOT / "docs" / "comparing.md").read_text(encoding="utf-8")
    for name, table in tables(figures).items():
        assert table in page, name
