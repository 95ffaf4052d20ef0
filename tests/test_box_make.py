"""The box's making: what ships is a whole bundle whose split holds no pictures, and its record is of all commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.box import make

from conftest import Made
from eyeground.cli.main import run
from eyeground.errors import LeakError
from eyeground.runs.bundle import load_bundle, rewrite
from eyeground.splits import Split


@pytest.fixture(scope="module")
def shipped(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shipped")
    (folder / "card.md").write_text("# Model card\n", encoding="utf-8")
    make.ship(made.bundle, folder / "card.md", folder / "box")
    return folder / "box"


def test_what_ships_is_a_bundle_without_pictures(made: Made, shipped: Path) -> None:
    there, here = (Split.load(folder / "split.json") for folder in (made.bundle, shipped))
    assert (there.hash, there.folds) == (here.hash, here.folds)
    assert [one.sha256 for one in there.fingerprints] == [one.sha256 for one in here.fingerprints]
    assert all(one.pictured for one in there.fingerprints) and not any(one.pictured for one in here.fingerprints)
    assert load_bundle(shipped).digest != load_bundle(made.bundle).digest
    assert (shipped / "card.md").read_text(encoding="utf-8").startswith("# The model in the box")
    assert "research" in (shipped / "LICENSE").read_text(encoding="utf-8")


def test_it_is_judged_with_an_audit_that_says_its_limits(made: Made, shipped: Path, tmp_path: Path) -> None:
    judge = ["evaluate", "--bundle", str(shipped), "--layout", "odir", "--root", str(made.root), "--draws", "0"]
    judge += ["--cache", str(made.cache), "--workers", "1", "--no-gallery", "--out", str(tmp_path / "judged")]
    assert run([*judge, "--part", "test"]) == 0
    audit = json.loads((tmp_path / "judged" / "evaluation.json").read_text(encoding="utf-8"))["leak_audit"]
    assert audit["passed"] and audit["unreadable"] == [] and audit["false_alarms"] is None
    assert "copies saved anew would not be found" in audit["text"]
    with pytest.raises(LeakError, match="shared patient"):
        run(judge)


def test_other_pictures_do_not_ship(made: Made, tmp_path: Path) -> None:
    rewrite(load_bundle(made.bundle), tmp_path / "more", {"chosen_on.json": {"used": []}}, {})
    with pytest.raises(AssertionError, match="small pictures"):
        make.ship(tmp_path / "more", tmp_path / "more" / "card.md", tmp_path / "box")


def test_commands_that_were_run_before_are_noted(tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text("{}", encoding="utf-8")
    commands: list[str] = []
    make._once(commands, tmp_path / "split.json", "cohort", "split", "--out", "a b")
    assert commands == ["eyeground cohort split --out 'a b'"]
