"""Methods without evidence maps, or without scores of single eyes: trained, judged, read and reported all the same."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from conftest import TINY, Made
from eyeground.cli.main import main, run
from eyeground.readings import Reading

SHORT = (*TINY[:-3], "1", *TINY[-2:])
"""As TINY, of one epoch."""


def trained(made: Made, out: Path, method: str, *more: str) -> Path:
    """The bundle of a short training on the made cohort."""
    cohort = ("--layout", "odir", "--root", str(made.root))
    where = ("--split", str(made.split), "--cache", str(made.cache), "--out", str(out))
    assert run(["train", "--method", method, *cohort, *where, *SHORT, *more]) == 0
    return out / "bundle"


@pytest.fixture(scope="session")
def without(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that has neither maps nor scores of single eyes."""
    return trained(made, tmp_path_factory.mktemp("without"), "bfenet")


@pytest.fixture(scope="session")
def of_visits(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that has maps of the visit's score, but no scores of single eyes."""
    return trained(made, tmp_path_factory.mktemp("of_visits"), "dcnet")


def read(made: Made, bundle: Path, out: Path, left: str = "1_left.jpg", right: str = "1_right.jpg") -> dict[str, Any]:
    both = [name if name == "-" else str(made.images / name) for name in (left, right)]
    assert run(["read", *both, "--bundle", str(bundle), "--out", str(out)]) == 0
    reading: dict[str, Any] = json.loads((out / "reading.json").read_text())
    assert Reading.from_dict(reading).to_dict() == reading
    assert all(finding["eye_probability"] == [None, None] for finding in reading["findings"])
    return reading


def said(out: Path) -> str:
    """The report's text in one line, without tags and pictures."""
    page = re.sub(r"(?s)<(style|script)>.*?</\1>", "", (out / "report.html").read_text())
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)))


def test_no_maps_are_read_and_the_report_says_why(
    made: Made, without: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reading = read(made, without, tmp_path / "out")
    assert not list((tmp_path / "out" / "heatmaps").iterdir())
    assert all(not eye["heatmaps"] for eye in reading["eyes"])
    text = said(tmp_path / "out")
    assert f"No evidence maps were made for this reading. {reading['map_note']}" in text
    assert "no exact map of it exists" in reading["map_note"]
    assert "are the eyes' own probabilities" not in text
    assert "gives no probability of a single eye" in text
    assert "gives no probability of a single eye" in capsys.readouterr().out


def test_maps_of_the_visit_are_told_as_such(made: Made, of_visits: Path, tmp_path: Path) -> None:
    reading = read(made, of_visits, tmp_path / "both")
    assert len(list((tmp_path / "both" / "heatmaps").glob("*.png"))) == 16
    text = said(tmp_path / "both")
    assert "together explain the visit's score exactly" in text
    assert "gives no probability of a single eye" in text
    assert "This eye –" not in text, "an eye without a score has no dash in its place"
    assert reading["evidence_scale"] > 0
    read(made, of_visits, tmp_path / "one", "-")
    assert len(list((tmp_path / "one" / "heatmaps").glob("*.png"))) == 8


@pytest.mark.parametrize("kind", ["without", "of_visits"])
def test_they_are_judged_and_have_a_card(
    kind: str, made: Made, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle: Path = request.getfixturevalue(kind)
    cohort = ("--layout", "odir", "--root", str(made.root), "--cache", str(made.cache))
    out = tmp_path / "judged"
    assert run(["evaluate", "--bundle", str(bundle), *cohort, "--out", str(out), "--part", "test", "--draws", "0"]) == 0
    assert (out / "report.html").is_file()
    assert run(["card", "--bundle", str(bundle), "--evaluation", str(out), "--out", str(tmp_path / "card")]) == 0
    card = "\n".join(path.read_text() for path in (tmp_path / "card").rglob("*.md"))
    assert ("draws evidence maps" in card) == (kind == "of_visits")
    assert ("draws no evidence maps" in card) == (kind == "without")
    capsys.readouterr()
    assert main(["localise", "--bundle", str(bundle), *cohort, "--part", "test"]) == 2
    assert "has no evidence maps of single eyes" in capsys.readouterr().err
