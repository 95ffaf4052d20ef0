"""Judging and submitting: the leak audit stands at the door, the numbers are the scoring's own."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from conftest import TINY, Made
from eyeground.cli.main import main, run
from eyeground.errors import DataError, LeakError
from eyeground.nets.trunk import make_trunk
from eyeground.splits import Split


def evaluate(made: Made, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    where = ["--bundle", str(made.bundle), "--layout", "odir", "--root", str(made.root), "--cache", str(made.cache)]
    capsys.readouterr()
    assert run(["evaluate", *where, "--draws", "20", "--json", *more]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_the_test_part_has_everything_the_judgement_promises(
    made: Made, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    split = Split.load(made.split)
    found = evaluate(made, capsys, "--split", str(made.split), "--part", "test", "--out", str(tmp_path / "out"))
    for key in ("kappa", "f1", "auc", "final", "macro_auc", "macro_ap", "per_class", "n", "baselines"):
        assert key in found
    assert found["n"] == len(split.folds[0].test)
    assert found["part"] == "test"
    assert found["split_hash"] == split.hash
    assert found["both_eyes_only"] is False
    assert found["leak_audit"]["passed"] is True
    assert found["final"] == pytest.approx((found["kappa"] + found["f1"] + found["auc"]) / 3)
    assert found["calibrated"]["final"] == found["final"]
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text()) == found


def test_it_looks_closer(made: Made, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = evaluate(made, capsys, "--part", "test", "--points", "sensitivity=0.8")
    intervals, details = found["intervals"], found["details"]
    assert intervals["methods"]["per_class"]["auc"] == "score" and intervals["methods"]["macro_ap"] == "together"
    assert intervals["undefined_draws"]["final"] == 0 and intervals["draws"] == 20
    assert [one["point"] for one in details["operating"]] == ["sensitivity=0.8"]
    for row, eyes in zip(found["per_class"][1:], details["by_eyes"]["per_class"], strict=True):
        assert row["code"] == eyes["code"]  # Normal, which both eyes must be, is left out
        assert row["n_pos"] == eyes["one_eye"]["n_pos"] + eyes["both_eyes"]["n_pos"] + eyes["left_out"]
    assert details["abstaining"]["n"] == found["n"]
    monkeypatch.setenv("COLUMNS", "80")
    where = ["--bundle", str(made.bundle), "--layout", "odir", "--root", str(made.root), "--cache", str(made.cache)]
    assert run(["evaluate", *where, "--draws", "20", "--part", "test"]) == 0
    text = capsys.readouterr().out
    assert "ill in one eye or in both" in text and "…" not in text


def test_a_loaded_bundle_answers_as_the_training_run_did(
    made: Made, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With a trunk whose weights file asks for another normalisation than its architecture's own."""
    weights = tmp_path / "trunk.safetensors"
    body = make_trunk("test_resnet", "none", 64).body.state_dict()
    save_file(body, str(weights), metadata={"mean": "0.1,0.2,0.3", "std": "0.9,0.8,0.7"})
    cohort = ["--layout", "odir", "--root", str(made.root), "--cache", str(made.cache)]
    tiny = [*TINY]
    tiny[tiny.index("--trunk-weights") + 1] = str(weights)
    assert run(["train", *cohort, "--split", str(made.split), "--out", str(tmp_path / "run"), *tiny]) == 0
    capsys.readouterr()
    bundle = tmp_path / "run" / "bundle"
    assert run(["evaluate", "--bundle", str(bundle), *cohort, "--part", "val", "--draws", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    written = json.loads((bundle / "metrics.json").read_text())["validation"]
    for key in ("final", "auc", "macro_auc", "macro_ap"):
        assert found[key] == pytest.approx(written[key], abs=1e-6), key


def test_its_predictions_score_the_same_through_the_stand_alone_scorer(
    made: Made, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for mapped in ((), ("--map-thresholds",)):
        out = tmp_path / f"out{len(mapped)}"
        found = evaluate(made, capsys, "--part", "test", "--out", str(out), *mapped)
        truth = next(made.root.glob("*.xlsx"))
        words = ["score", "--truth", str(truth), "--predictions", str(out / "predictions.csv"), "--subset", "--json"]
        assert run([*words, "--draws", "0"]) == 0
        scored = json.loads(capsys.readouterr().out)
        for key in ("kappa", "f1", "auc", "final", "macro_auc", "macro_ap", "n"):
            assert scored[key] == pytest.approx(found[key]), key
        assert found["mapped" if mapped else "calibrated"]["final"] == found["final"]


def test_training_visits_are_a_leak_unless_they_were_asked_for(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    cohort = ["--layout", "odir", "--root", str(made.root), "--cache", str(made.cache)]
    with pytest.raises(LeakError, match="shared patients"):
        run(["evaluate", "--bundle", str(made.bundle), *cohort])
    found = evaluate(made, capsys, "--part", "train")
    assert "remembers" in found["leak_audit"]["stamp"]
    assert found["leak_audit"]["passed"] is False
    assert "optimistic" in evaluate(made, capsys, "--part", "val")["leak_audit"]["stamp"]
    everybody = evaluate(made, capsys, "--part", "all")
    assert everybody["n"] == len(Split.load(made.split).folds[0].part("all"))


def test_photographs_known_from_training_are_found_under_other_names(
    made: Made, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The folder layout with other patient ids, but one photograph of the training part among them."""
    trained = Split.load(made.split).folds[0].train[0]
    (tmp_path / "cohort.csv").write_text("patient,eye,file,N,D,G,C,A,H,M,O\n" + "stranger,left,a.jpg,1,0,0,0,0,0,0,0\n")
    (tmp_path / "a.jpg").write_bytes((made.images / f"{trained}_left.jpg").read_bytes())
    words = ["evaluate", "--bundle", str(made.bundle), "--layout", "folder", "--root", str(tmp_path)]
    with pytest.raises(LeakError, match="identical photograph"):
        run([*words, "--cache", str(made.cache)])


def test_other_cohort_does_not_hide_that_it_is_the_same_one(made: Made, tmp_path: Path) -> None:
    from eyeground.cohorts import read_cohort
    from eyeground.phantom import make_cohort
    from eyeground.runs.unseen import Asked, same_people

    make_cohort(tmp_path / "other", patients=3, size=96, seed=1)
    prints = Split.load(made.split).fingerprints
    here, there = read_cohort("odir", made.root), read_cohort("odir", tmp_path / "other")
    assert same_people(Asked(here, other_cohort=True), "odir", prints)
    assert same_people(Asked(here), "folder", prints), "the same photographs under the same patients"
    assert not same_people(Asked(here, other_cohort=True), "odir", ())
    assert not same_people(Asked(there, other_cohort=True), "odir", prints), "ids coincide, photographs don't"


def test_both_eyes_leaves_out_visits_with_one(made: Made, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import shutil

    root = tmp_path / "cohort"
    shutil.copytree(made.root, root)
    test = Split.load(made.split).folds[0].test
    (root / made.images.name / f"{test[0]}_left.jpg").unlink()
    (root / made.images.name / f"{test[1]}_right.jpg").write_bytes(b"")
    words = ["--root", str(root), "--part", "test"]
    everybody = evaluate(made, capsys, *words)
    both = evaluate(made, capsys, *words, "--both-eyes")
    assert everybody["n"] == len(test)
    assert everybody["not_there"] == [f"{test[0]} left"]
    assert everybody["one_eye"]["visits"] == 2
    assert both["n"] == len(test) - 2
    assert both["both_eyes_only"] is True
    assert len(both["unreadable"]) == 1
    assert both["unreadable"][0].startswith(f"{test[1]}_right.jpg "), "a file's name, not its place on this machine"


def test_the_same_ids_in_another_cohort_are_noticed(made: Made, tmp_path: Path) -> None:
    from eyeground.phantom import make_cohort

    make_cohort(tmp_path / "other", patients=60, size=96, seed=1)
    words = ["evaluate", "--bundle", str(made.bundle), "--layout", "odir", "--root", str(tmp_path / "other")]
    with pytest.raises(DataError, match="not those the split was made on"):
        run([*words, "--part", "test"])


def test_another_vocabulary_is_refused(made: Made, tmp_path: Path) -> None:
    (tmp_path / "cohort.csv").write_text("patient,eye,file,referable\np,left,a.jpg,1\n")
    (tmp_path / "a.jpg").write_bytes((made.images / "1_left.jpg").read_bytes())
    with pytest.raises(DataError, match=r"the bundle answers N, D, .* has referable"):
        run(["evaluate", "--bundle", str(made.bundle), "--layout", "folder", "--root", str(tmp_path)])


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as stream:
        return list(csv.reader(stream))


def test_submission_in_ascending_or_the_templates_order(made: Made, tmp_path: Path) -> None:
    out, template = tmp_path / "TEAM_ODIR.csv", tmp_path / "ids.csv"
    words = ["submit", "--bundle", str(made.bundle), "--images", str(made.images), "--out", str(out)]
    assert run(words) == 0
    everybody = rows(out)
    assert everybody[0] == ["ID", "N", "D", "G", "C", "A", "H", "M", "O"]
    assert [int(row[0]) for row in everybody[1:]] == list(range(1, 61)), "2 comes before 10"
    template.write_text("ID\n7\n3\n50\n")
    assert run([*words, "--template", str(template)]) == 0
    chosen = rows(out)
    assert [row[0] for row in chosen[1:]] == ["7", "3", "50"]
    mine = {row[0]: [float(cell) for cell in row[1:]] for row in everybody[1:]}
    for row in chosen[1:]:
        assert [float(cell) for cell in row[1:]] == pytest.approx(mine[row[0]], abs=1e-6)


def test_submission_refuses_what_it_can_not_answer(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, template = tmp_path / "T_ODIR.csv", tmp_path / "ids.csv"
    words = ["submit", "--bundle", str(made.bundle), "--out", str(out)]
    template.write_text("ID\n1\n9999\n")
    for more, message in (
        (["--images", str(made.images), "--template", str(template)], "no photograph"),
        (["--images", str(tmp_path / "gone")], "no folder"),
        (["--images", str(tmp_path)], "no <ID>_left.jpg"),
    ):
        assert main([*words, *more]) == 2
        assert message in capsys.readouterr().err
    template.write_text("ID\n1\n1\n")
    assert main([*words, "--images", str(made.images), "--template", str(template)]) == 2
    assert "twice" in capsys.readouterr().err
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "1_left.jpg").write_bytes(b"")
    assert main([*words, "--images", str(folder)]) == 2
    assert "photograph" in capsys.readouterr().err
    assert not out.exists()


def test_a_folder_is_no_split(made: Made) -> None:
    with pytest.raises(DataError, match=r"can't read split .*give the file"):
        Split.load(made.root)
