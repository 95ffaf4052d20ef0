"""`calibrate` and `operating-point`: what they write, what they refuse, and who may be judged afterwards."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Made
from eyeground.cli.main import main, run
from eyeground.errors import BundleError, LeakError
from eyeground.metrics.aims import Aim
from eyeground.metrics.calibrators import Line
from eyeground.runs.bundle import load_bundle
from eyeground.runs.chosen import chosen_on


@pytest.fixture
def where(made: Made) -> list[str]:
    return ["--layout", "odir", "--root", str(made.root), "--cache", str(made.cache)]


def bundle_json(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


def test_calibrate_writes_a_new_bundle_and_leaves_the_old_one(
    made: Made, where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, out = load_bundle(made.bundle), tmp_path / "new"
    words = ["calibrate", "--bundle", str(made.bundle), *where, "--out", str(out), "--draws", "50", "--alpha", "0.5"]
    capsys.readouterr()
    assert run([*words, "--method", "platt", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    new = load_bundle(out)
    assert load_bundle(made.bundle).digest == old.digest != new.digest
    assert old.conformal is None
    assert new.conformal is not None and new.conformal.alpha == 0.5
    assert report["chosen_on"]["part"] == new.fitted_on["part"] == "val"
    assert report["method"] == new.calibration.method == "platt"
    assert any(isinstance(curve, Line) and curve.reason for curve in new.calibration.curves), "too few positives"
    assert {row["code"]: row["after"] for row in report["thresholds"]} == new.thresholds["values"]
    assert bundle_json(out, "metrics.json")["made_from"]["digest"] == old.digest
    assert new.weights.read_bytes() == old.weights.read_bytes()
    assert "Platt's slope and offset" in (out / "card.md").read_text()
    assert run(words) == 0, "a bundle made from another is replaced"
    assert "cross-validated" in capsys.readouterr().out
    assert main(["calibrate", "--bundle", str(out), *where, "--out", str(out)]) == 2
    assert "never changed in place" in capsys.readouterr().err
    assert main(["calibrate", "--bundle", str(out), *where, "--out", str(made.bundle)]) == 2
    assert "choose another --out" in capsys.readouterr().err


def test_only_the_validation_part_is_taken(
    made: Made, where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--bundle", str(made.bundle), *where, "--out", str(tmp_path / "new")]
    for part in ("train", "test", "all"):
        assert main(["calibrate", *words, "--part", part]) == 2
        assert "validation part only" in capsys.readouterr().err
    other = tmp_path / "other.json"
    shares = ["--folds", "1", "--test-share", "0.2", "--val-share", "0.3", "--seed", "5"]
    assert run(["cohort", "split", *where[:4], *shares, "--out", str(other)]) == 0
    capsys.readouterr()
    assert main(["calibrate", *words, "--split", str(other)]) == 2
    assert "shared patient" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_operating_points_are_set_or_refused_aloud(
    made: Made, where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """12 validation visits: too few for anything."""
    words = ["operating-point", "--bundle", str(made.bundle), *where, "--out", str(tmp_path / "new")]
    for more, says in (
        (["--at", "sensitivity=0.9"], "can't be chosen for any label"),
        (["--at", "sensitivity=0.9", "--label", "D"], "D: only"),
        (["--at", "youden", "--label", "Z"], "the bundle has N, D"),
        (["--at", "sensitivity=90"], "between 0 and 1"),
        (["--at", "accuracy"], "no operating point"),
    ):
        assert main([*words, *more]) == 2
        assert says in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_an_operating_point_is_frozen_and_chosen_again_by_calibrate(made: Made, tmp_path: Path) -> None:
    """With logits that were made, on enough visits."""
    from eyeground.runs.calibrate import Wish, calibrate, operating_point
    from eyeground.runs.held import Held

    generator = np.random.default_rng(0)
    truth = (generator.random((300, 8)) < 0.2).astype(float)
    truth[:, 5] = 0
    logits = generator.normal(-2, 1.5, truth.shape) + 2 * truth
    place = {"part": "val", "split_hash": "ab" * 32, "n": 300, "fold": 0}
    held = Held(logits, truth, np.ones_like(truth, bool), np.arange(300).astype(str), place, seen_before=False)
    old, first, second = load_bundle(made.bundle), tmp_path / "one", tmp_path / "two"
    found = operating_point(old, held, Aim("sensitivity", 0.9), [], first)
    assert [row["code"] for row in found["unchanged"]] == ["H"]
    one = load_bundle(first)
    assert one.thresholds["values"]["H"] == old.thresholds["values"]["H"]
    row = one.thresholds["labels"][1]
    assert (row["aim"], row["value"]) == ("sensitivity=0.9", one.threshold_values()[1])
    assert row["achieved"]["sensitivity"]["value"] >= 0.9
    report = calibrate(one, held, Wish("platt", draws=20), second)
    two = load_bundle(second)
    assert two.thresholds["labels"][1]["aim"] == "sensitivity=0.9"
    assert two.thresholds["labels"][1]["achieved"]["sensitivity"] == row["achieved"]["sensitivity"], "monotone"
    assert report["sets"]["note"] == "the promise holds for new patients who are exchangeable with those " + (
        "that the sets were chosen on"
    )
    assert report["reliability"]["pooled"]["differences"]["before"]["log_loss"]["value"] < 0
    operating_point(two, held, Aim("specificity", 0.8), ["D"], tmp_path / "three")
    three = load_bundle(tmp_path / "three")
    assert three.conformal == two.conformal and three.calibration == two.calibration
    assert (tmp_path / "three" / "card.md").read_text().count("\n- ") == 3


def test_reading_with_label_sets(made: Made, where: list[str], tmp_path: Path) -> None:
    out = tmp_path / "new"
    words = ["calibrate", "--bundle", str(made.bundle), *where, "--out", str(out), "--draws", "20"]
    assert run([*words, "--alpha", "0.5", "--method", "temperature"]) == 0
    image = str(made.images / "1_left.jpg")
    assert run(["read", image, "-", "--bundle", str(out), "--out", str(tmp_path / "reading")]) == 0
    reading = json.loads((tmp_path / "reading" / "reading.json").read_text())
    sets = load_bundle(out).conformal
    assert sets is not None
    usable = [cut.usable for cut in sets.cuts]
    assert [finding["label_set"] is not None for finding in reading["findings"]] == usable
    assert any(usable)
    certainty = reading["certainty"]
    assert certainty["level"] == 0.5
    flagged = all(eye["flags"] for eye in reading["eyes"] if eye["status"] == "read")
    assert certainty["uncertain"] == (flagged or any(finding["uncertain"] for finding in reading["findings"]))
    assert "approximate" in certainty["note"]


def test_a_bundle_of_the_first_format_still_loads(made: Made, tmp_path: Path) -> None:
    from eyeground.files import digest, sha256_of, write_json

    folder = tmp_path / "bundle"
    shutil.copytree(made.bundle, folder)
    calibration = bundle_json(folder, "calibration.json")
    del calibration["method"]

    def seal(name: str, value: Any, version: int) -> None:
        write_json(folder / name, value)
        hashes = {path.name: sha256_of(path) for path in folder.iterdir() if path.name != "manifest.json"}
        manifest = {**bundle_json(folder, "manifest.json"), "format": version, "files": hashes}
        write_json(folder / "manifest.json", {**manifest, "digest": digest(hashes)})

    seal("calibration.json", calibration, 1)
    old = load_bundle(folder)
    assert old.calibration == load_bundle(made.bundle).calibration
    assert old.conformal is None and old.fitted_on == old.thresholds["chosen_on"]
    seal("calibration.json", {**calibration, "temperature": -1}, 2)
    with pytest.raises(BundleError, match="can't be used: temperature"):
        load_bundle(folder)
    seal("calibration.json", {**calibration, "method": "platt", "labels": [{"kind": "line", "slope": 1.0}]}, 2)
    with pytest.raises(BundleError, match="other labels"):
        load_bundle(folder)


def test_photographs_of_another_cohort_that_chose_something_may_not_judge(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from eyeground.phantom import make_cohort

    root, split, new = tmp_path / "other", tmp_path / "other.json", tmp_path / "new"
    make_cohort(root, patients=24, size=96, seed=77)
    where = ["--layout", "odir", "--root", str(root), "--cache", str(made.cache)]
    assert run(["cohort", "split", *where[:4], "--folds", "1", "--val-share", "0.5", "--out", str(split)]) == 0
    words = [*where, "--split", str(split), "--other-cohort"]
    assert run(["calibrate", "--bundle", str(made.bundle), *words, "--out", str(new), "--draws", "20"]) == 0
    (used,) = chosen_on(load_bundle(new))
    assert (used.layout, used.by, len({one.visit for one in used.fingerprints})) == ("odir", "calibrate", 12)
    judge = ["evaluate", *where, "--draws", "0", "--other-cohort"]
    assert run([*judge, "--bundle", str(made.bundle)]) == 0, "the bundle it was made from did not see them"
    with pytest.raises(LeakError, match="were used by `calibrate` of this bundle"):
        run([*judge, "--bundle", str(new)])
    capsys.readouterr()
    assert run([*judge, "--bundle", str(new), "--split", str(split), "--json"]) == 0, "its test part is unseen"
    sets = json.loads(capsys.readouterr().out)["label_sets"]
    assert [row["code"] for row in sets["per_class"]] == list("NDGCAHMO")
    again = tmp_path / "again"
    cohort = ["--layout", "odir", "--root", str(made.root), "--cache", str(made.cache)]
    assert run(["calibrate", "--bundle", str(new), *cohort, "--out", str(again), "--draws", "20"]) == 0
    assert chosen_on(load_bundle(again)) == (used,), "its own validation part adds nothing, nothing is forgotten"
