"""The crop benchmark runs without the real data, and a record says where it was measured."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("no benchmarks folder beside the tests (an installed package)")
    monkeypatch.syspath_prepend(str(ROOT))


def test_every_benchmark_has_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    names = importlib.import_module("benchmarks.__main__").BENCHMARKS
    assert "crop" in names
    assert callable(importlib.import_module(names["crop"]).run)


def test_crop_without_real_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("EYEGROUND_DATA", str(tmp_path))
    figures = importlib.import_module("benchmarks.crop").run(rounds=1, repeats=3)
    assert "no IDRiD here" in figures["source"] and "plain OpenCV" in capsys.readouterr().out
    rows = {row["name"]: row["ms"] for row in figures["rows"]}
    assert rows["eyeground prepare"] < rows["plain OpenCV"]
    record = importlib.import_module("benchmarks.record")
    written = json.loads(record.write("crop", figures, tmp_path).read_text())
    assert written["figures"] == figures and written["machine"]["cpu"] and "numpy" in written["versions"]
