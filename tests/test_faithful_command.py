"""`eyeground faithfulness` on a made cohort: one table, one file, one figure; refusals in one line."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from conftest import Made
from eyeground.cli.main import main, run
from eyeground.explain.faithful.sources import CONTROLS

QUICK = ("--visits", "2", "--steps", "4", "--road-parts", "0.5", "--random-weights", "1", "--depths", "2")


def flags(made: Made) -> list[str]:
    where = ["--bundle", str(made.bundle), "--layout", "odir", "--root", str(made.root), "--cache", str(made.cache)]
    return ["faithfulness", *where, "--part", "test"]


def test_the_command_tells_every_map_beside_its_floors(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--labels", "D", "M", "--which", "all", "--maps", "evidence", "sensitivity", *QUICK]
    capsys.readouterr()
    assert run([*flags(made), *asked, "--json", "--out", str(tmp_path)]) == 0
    record = json.loads(capsys.readouterr().out)
    written = json.loads((tmp_path / "faithfulness.json").read_text())
    assert {key: value for key, value in written.items() if key != "cases"} == record
    assert cv2.imread(str(tmp_path / "faithfulness.png")) is not None
    rows = {row["map"]: row for row in record["rows"]}
    assert list(rows) == ["evidence", "sensitivity", *CONTROLS]
    eyes = record["eyes"]
    assert 2 <= eyes <= 4
    assert record["labels"] == {"D": eyes, "M": eyes}
    assert len(written["cases"]) == len(rows) * 2 * eyes
    assert rows["edges"]["randomisation"]["absolute"][-1]["mean"] == pytest.approx(1)
    assert rows["random"]["randomisation"]["absolute"][-1]["mean"] < 0.2
    assert rows["centre"]["stability_shift"]["mean"] > 0.9
    assert {case["patient"] for case in written["cases"]} <= set(record["visits"])


def test_what_is_not_there_is_refused_in_one_line(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    for asked, words in (
        (["--maps", "grad_can"], "did you mean 'grad_cam'"),
        (["--labels", "Q"], "no label 'Q'"),
        (["--visits", "0"], "--visits must be 1 or more"),
        (["--road-parts", "1.5"], "--road-parts lie in (0, 1]"),
    ):
        capsys.readouterr()
        assert main([*flags(made), *asked]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.strip().count("\n") == 0
