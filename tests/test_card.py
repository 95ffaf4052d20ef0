"""The model card and the filled checklists: traceable, never more than the run proves, and stamped where stamped."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import Made
from eyeground.cli.main import main, run
from eyeground.errors import BundleError, DataError, UsageError
from eyeground.files import digest, sha256_of
from eyeground.report.card import CHECKLISTS, all_facts, write_card
from eyeground.report.card_input import read_run
from eyeground.report.checklists import load_checklist
from eyeground.report.facts import resolve

FILES = ("card.md", "tripod_ai.md", "claim.md", "card.json")
Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="session")
def judged(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made bundle judged on its test part."""
    out = tmp_path_factory.mktemp("judged")
    where = ("--layout", "odir", "--root", str(made.root), "--cache", str(made.cache), "--draws", "50")
    assert run(["evaluate", "--bundle", str(made.bundle), *where, "--part", "test", "--out", str(out)]) == 0
    return out


def changed(judged: Path, folder: Path, change: Change) -> Path:
    """A copy of an evaluation with something else in it."""
    data = json.loads((judged / "evaluation.json").read_text())
    change(data)
    path = folder / "other.json"
    path.write_text(json.dumps(data))
    return path


def resealed(made: Made, folder: Path, change: Callable[[dict[str, Any]], None], version: int = 2) -> Path:
    """A copy of the made bundle with tables changed and its manifest made anew."""
    shutil.copytree(made.bundle, folder)
    tables = {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}
    change(tables)
    for name, table in tables.items():
        (folder / name).write_text(json.dumps(table))
    hashes = {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.name != "manifest.json"}
    manifest = {"format": version, "eyeground_version": "0.1.0", "digest": digest(hashes), "files": hashes}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_every_statement_has_sources_that_are_there(made: Made, judged: Path, tmp_path: Path) -> None:
    data = write_card(made.bundle, [judged], tmp_path)
    files = read_run(made.bundle, [judged]).files
    assert len(data["facts"]) > 40
    for key, fact in data["facts"].items():
        assert fact["lines"] and all(fact["lines"]) and fact["sources"], key
        for source in fact["sources"]:
            if source != "manifest.json#files.weights.safetensors":  # a key with a dot
                resolve(source, files)
    with pytest.raises(KeyError):
        resolve("config.toml#recipe.no_such", files)
    for name in CHECKLISTS:
        rows = data["checklists"][name]["items"]
        for row in rows:
            assert set(row["facts"]) <= set(data["facts"])
            assert (row["status"] == "open") == (not row["facts"]), row["id"]
        assert {row["status"] for row in rows} == {"filled", "partly", "open"}


def test_the_numbers_are_those_of_the_evaluation(made: Made, judged: Path, tmp_path: Path) -> None:
    write_card(made.bundle, [judged], tmp_path)
    card = (tmp_path / "card.md").read_text()
    data = json.loads((judged / "evaluation.json").read_text())
    low, high = data["intervals"]["macro_auc"]
    assert f"| macro AUC | {data['macro_auc']:.3f} ({low:.3f}–{high:.3f}) |" in card
    seen = 0
    for row, bounds in zip(data["per_class"], data["intervals"]["per_class"], strict=True):
        auc = "undefined" if row["auc"] is None else f"{row['auc']:.3f} ({bounds['auc'][0]:.3f}–{bounds['auc'][1]:.3f})"
        assert f"| {row['code']} | {row['name']} | {row['n']} | {row['n_pos']} | {auc} |" in card
        seen += 1
        if row["sensitivity"] is not None:
            missed = row["n_pos"] - round(row["n_pos"] * row["sensitivity"])
            assert f"{row['code']} {missed} of {row['n_pos']} missed" in (tmp_path / "claim.md").read_text()
    assert seen == 8
    parts = json.loads((made.bundle / "metrics.json").read_text())["parts"]
    assert parts["train"]["visits"] == int(read_run(made.bundle, []).bundle.config["data"]["train_visits"])
    assert f"F {parts['train']['sex']['F']:,}, M {parts['train']['sex']['M']:,}" in card
    assert data["judged"]["visits"] == data["n"]


def test_what_a_run_can_not_know_stays_open(made: Made, judged: Path, tmp_path: Path) -> None:
    data = write_card(made.bundle, [judged], tmp_path)
    status = {row["id"]: row["status"] for row in data["checklists"]["tripod_ai"]["items"]}
    never = (
        "2",
        "3a",
        "3b",
        "3c",
        "5b",
        "6a",
        "6c",
        "8b",
        "8c",
        "17",
        "18a",
        "18b",
        "18d",
        "19",
        "25",
        "27b",
        "27c",
        "9c",
    )
    assert all(status[key] == "open" for key in never)
    assert all(status[key] == "partly" for key in ("9a", "10", "12c", "15", "16", "22", "26"))
    assert all(status[key] == "filled" for key in ("12a", "12b", "12f", "12g", "13", "20c", "21"))
    status = {row["id"]: row["status"] for row in data["checklists"]["claim"]["items"]}
    assert all(status[str(key)] == "open" for key in (2, 3, 4, 5, 11, 13, 15, 16, 17, 18, 34, 41, 44))
    assert all(status[str(key)] == "filled" for key in (9, 19, 20, 24, 27, 32, 37, 38))
    for name in FILES:
        text = (tmp_path / name).read_text()
        assert "Research use only. Not a medical device." in text
        assert not re.search(r"\b(safe|trustworthy|clinically useful|state of the art)\b", text)


def test_without_an_evaluation_only_validation_is_told_as_optimistic(made: Made, tmp_path: Path) -> None:
    data = write_card(made.bundle, [], tmp_path)
    assert not [key for key in data["facts"] if key.startswith("judged.")]
    card = (tmp_path / "card.md").read_text()
    assert "No evaluation was given" in card and "optimistic" in card
    status = {row["id"]: row["status"] for row in data["checklists"]["tripod_ai"]["items"]}
    assert status["23a"] == "partly" and status["12g"] == "partly" and status["20c"] != "filled"


def test_undefined_and_suppressed_never_become_numbers(made: Made, judged: Path, tmp_path: Path) -> None:
    cell = {"code": "D", "n": 30, "n_pos": 12, "n_neg": 18, "suppressed": False, "undefined": {}}
    cell |= {"auc": 0.8125, "auc_interval": [0.7, 0.9], "sensitivity": 0.5, "sensitivity_interval": None}
    cell |= {"specificity": None, "specificity_interval": None, "undefined": {"specificity": "a stated reason"}}
    hidden = {**cell, "code": "G", "suppressed": True, "n_pos": 7, "auc": 0.77777, "sensitivity": 0.66666}
    group = {"group": "F", "n": 30, "patients": 30, "macro_auc": None, "macro_auc_interval": None, "macro_n": 0}
    group |= {"undefined": {"macro_auc": "nothing to average"}, "per_class": [cell, hidden]}
    by = {"name": "sex", "title": "Sex", "source": "the table", "unknown": 1, "groups": [group], "largest_gap": {}}

    def change(data: dict[str, Any]) -> None:
        data["subgroups"] = {"suppressed_below": 10, "level": 0.95, "by": [by]}
        row = data["per_class"][2]
        row |= {"n_pos": 0, "n_neg": row["n"], "auc": None, "ap": None, "sensitivity": None}
        row["undefined"] = {"auc": "no positive", "ap": "no positive", "sensitivity": "no positive"}
        data["intervals"]["per_class"][2]["auc"] = [0.1234, 0.5678]  # of nothing: must not be shown

    write_card(made.bundle, [changed(judged, tmp_path, change)], tmp_path / "out")
    card = (tmp_path / "out" / "card.md").read_text()
    assert "| F | G | 30 | suppressed | suppressed | suppressed | suppressed |" in card
    assert "| F | D | 30 | 12 | 0.812 (0.700–0.900) | 0.500 (no interval) | undefined |" in card
    assert "| F | all (0) | 30 |  | undefined |  |  |" in card
    for reason in (
        "specificity of F D: a stated reason",
        "macro_auc of F: nothing to average",
        "auc of G: no positive",
    ):
        assert f"Undefined: {reason}." in card
    assert "| G | Glaucoma |" in card and re.search(r"\| G \| Glaucoma \| \d+ \| 0 \| undefined \| undefined \|", card)
    for name in FILES:
        text = (tmp_path / "out" / name).read_text()
        assert not re.search(r"0\.77777|0\.66666|\bnan\b|NaN", text.split('"per_class"')[0])
    assert "(0.123–0.568)" not in card


@pytest.mark.parametrize("where", ["leak_audit", "top", "failed", "split"])
def test_a_stamp_stands_at_every_block_of_numbers(made: Made, judged: Path, tmp_path: Path, where: str) -> None:
    stamp = "no shared patient" if where == "failed" else "MEMORY, not skill"

    def change(data: dict[str, Any]) -> None:
        if where == "top":
            data["stamp"] = stamp
        elif where == "leak_audit":
            data["leak_audit"]["stamp"] = stamp
        elif where == "failed":
            data["leak_audit"]["passed"] = False

    def leaky(tables: dict[str, Any]) -> None:
        tables["split.json"] |= {"stamps": [stamp], "protocol": {"name": "x-leaky", "leaky": True}}

    bundle = resealed(made, tmp_path / "leaky", leaky) if where == "split" else made.bundle
    own = read_run(bundle, []).bundle.digest

    def of_this(data: dict[str, Any]) -> None:
        change(data)
        data["bundle"]["digest"] = own

    data = write_card(bundle, [changed(judged, tmp_path, of_this)], tmp_path / "out")
    card = (tmp_path / "out" / "card.md").read_text()
    titles = re.findall(r"^\*\*E1.*\*\* \(source", card, re.MULTILINE)
    assert len(titles) >= 4 and all("STAMPED" in title and stamp in title for title in titles)
    lines = [line for key, fact in data["facts"].items() if key.startswith("judged.") for line in fact["lines"]]
    assert lines and all(line.startswith("E1 [STAMPED: ") for line in lines)
    for name, ids in (("tripod_ai", ("12g", "20c", "21", "23a")), ("claim", ("32", "37", "38"))):
        status = {row["id"]: row["status"] for row in data["checklists"][name]["items"]}
        assert all(status[key] == "partly" for key in ids)


def test_evaluations_of_other_bundles_and_edited_ones_are_refused(made: Made, judged: Path, tmp_path: Path) -> None:
    def refused(change: Change, match: str) -> None:
        with pytest.raises(DataError, match=match):
            write_card(made.bundle, [changed(judged, tmp_path, change)], tmp_path / "out")

    refused(lambda data: data["bundle"].update(digest="f" * 64), "judges bundle ffffffffffff, not this one")
    refused(lambda data: data["per_class"][0].update(threshold=0.123), "altered: the threshold of N is 0.123")
    refused(lambda data: data["per_class"][0].update(n_pos=10**6), "altered: the counts of N")
    refused(lambda data: data["per_class"].reverse(), "altered: its labels O")
    refused(lambda data: data.pop("bundle"), "not the judgement of a bundle")
    refused(lambda data: data.update(macro_auc=float("nan")), "not valid JSON: NaN")
    refused(lambda data: data["per_class"][1].update(auc="high"), r"per_class\.1\.auc is not a number or null")
    refused(lambda data: data["intervals"].update(macro_auc=[1]), r"intervals\.macro_auc is not two numbers or null")
    refused(lambda data: data["per_class"][0].pop("threshold"), r"no per_class\.0\.threshold")
    refused(lambda data: data.update(bundle=3), "bundle is not a table")
    with pytest.raises(DataError, match=r"has no evaluation\.json"):
        write_card(made.bundle, [made.bundle], tmp_path / "out")
    with pytest.raises(UsageError, match="twice"):
        write_card(made.bundle, [judged, judged / "evaluation.json"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_bundle_made_from_the_judged_one_is_told_apart(made: Made, judged: Path, tmp_path: Path) -> None:
    old = read_run(made.bundle, []).bundle.digest

    def change(tables: dict[str, Any]) -> None:
        tables["metrics.json"]["made_from"] = {"digest": old, "by": "calibrate", "eyeground_version": "0.1.0"}

    bundle = resealed(made, tmp_path / "calibrated", change)
    with pytest.raises(DataError, match=f"judges bundle {old[:12]}, from which `calibrate` made this one"):
        write_card(bundle, [judged], tmp_path / "out")
    data = write_card(bundle, [], tmp_path / "out")
    assert "Updated after training: `calibrate`" in data["facts"]["model.updated"]["lines"][0]


def test_an_altered_bundle_is_refused_in_one_line(
    made: Made, judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(made.bundle, bundle)
    with (bundle / "metrics.json").open("a") as stream:
        stream.write(" ")
    with pytest.raises(BundleError, match=r"altered: metrics\.json"):
        write_card(bundle, [judged], tmp_path / "out")
    assert main(["card", "--bundle", str(bundle), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("eyeground: error:") and said.count("\n") == 1


def test_an_old_bundle_and_an_old_evaluation_will_do(made: Made, judged: Path, tmp_path: Path) -> None:
    def older(tables: dict[str, Any]) -> None:
        tables["calibration.json"].pop("method")
        tables["metrics.json"].pop("parts")

    bundle = resealed(made, tmp_path / "old", older, version=1)

    def change(data: dict[str, Any]) -> None:
        data["bundle"]["digest"] = read_run(bundle, []).bundle.digest
        for name in (
            "details",
            "undefined",
            "one_eye",
            "judged",
            "brier",
            "ece",
            "log_loss",
            "exact_match",
            "not_there",
        ):
            data.pop(name, None)
        data["intervals"].pop("methods", None)
        for row in data["per_class"]:
            for name in ("brier", "ece", "log_loss", "undefined"):
                row.pop(name, None)

    data = write_card(bundle, [changed(judged, tmp_path, change)], tmp_path / "out")
    card = (tmp_path / "out" / "card.md").read_text()
    assert "format 1" in card and "methods not recorded" in card
    assert "does not record sex, age and labels of the training visits" in card
    assert "training.characteristics" not in data["facts"] and "judged.calibration" not in data["facts"]
    status = {row["id"]: row["status"] for row in data["checklists"]["tripod_ai"]["items"]}
    assert status["20c"] == "open" and status["21"] == "partly" and status["23a"] == "partly"


def test_no_intervals_fill_no_item_on_uncertainty(made: Made, judged: Path, tmp_path: Path) -> None:
    data = write_card(made.bundle, [changed(judged, tmp_path, lambda data: data.pop("intervals"))], tmp_path / "out")
    status = {row["id"]: row["status"] for row in data["checklists"]["claim"]["items"]}
    assert (status["29"], status["37"], status["38"]) == ("open", "partly", "partly")
    assert "E1: no intervals." in (tmp_path / "out" / "card.md").read_text()


def test_the_command_writes_and_tells(made: Made, judged: Path, tmp_path: Path, capsys: Any) -> None:
    words = [
        "card",
        "--bundle",
        str(made.bundle),
        "--evaluation",
        str(judged),
        "--out",
        str(tmp_path / "out"),
        "--json",
    ]
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "out" / "card.json").read_text())
    assert main(words[:-1]) == 0
    said = capsys.readouterr()
    assert said.out.strip().endswith("card.md") and "TRIPOD+AI: of 52 items" in said.err


def test_every_key_that_the_checklists_name_can_be_made(made: Made, judged: Path) -> None:
    folder = Path(load_checklist.__code__.co_filename).parent
    sources = "".join(path.read_text() for path in folder.glob("facts_*.py"))
    made_keys = set(re.findall(r'"([a-z]+\.[a-z_]+)"', sources)) | {"limits"}
    found = all_facts(read_run(made.bundle, [judged]))
    assert set(found) <= made_keys
    for name in CHECKLISTS:
        for item in load_checklist(name).items:  # type: ignore[arg-type]
            assert set(item.facts) <= made_keys, item.id
            assert set(item.needs) <= set(item.facts), item.id
            assert not set(item.needs) - set(found) - {"judged.subgroups"}, item.id
