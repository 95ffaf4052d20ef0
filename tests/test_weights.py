"""Eye weights: who counts as the affected eye, the paired test on planted weights, and the command."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import TINY, Made
from eyeground.batches import Batch
from eyeground.cli.main import main, run
from eyeground.methods import aubnet
from eyeground.metrics.eye_weights import affected_against_fellow, affected_eye
from eyeground.metrics.resample import Plan
from eyeground.vocabulary import ODIR

PLAN = Plan(400)


def eyes(*findings: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels and what is known of one visit's eyes: codes that are present; '?' after a code: unknown."""
    labels, known = np.zeros((1, 2, 8)), np.ones((1, 2, 8), bool)
    for e, text in enumerate(findings):
        for code in text.split():
            c = ODIR.index(code[0])
            labels[0, e, c], known[0, e, c] = (0, False) if code.endswith("?") else (1, True)
    return labels, known


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("D", "N", 0),
        ("N", "G M", 1),
        ("D", "", 0),
        ("D", "D", -1),
        ("D", "G", -1),
        ("N", "N", -1),
        ("N", "", -1),
        ("D", "N A?", -1),
        ("D G?", "N", 0),
        ("A?", "N", -1),
        ("D", "N?", 0),
    ],
)
def test_the_affected_eye_is_the_only_one_with_a_disease(left: str, right: str, expected: int) -> None:
    assert affected_eye(*eyes(left, right), ODIR).tolist() == [expected]
    turned = {0: 1, 1: 0, -1: -1}[expected]
    assert affected_eye(*eyes(right, left), ODIR).tolist() == [turned]


def test_planted_weights_come_back() -> None:
    random = np.random.default_rng(0)
    affected = random.integers(-1, 2, 300)
    fellow = random.uniform(0.2, 0.5, 300)
    weights = np.stack([fellow, fellow], axis=1)
    here = affected >= 0
    weights[here, affected[here]] += 0.25
    found = affected_against_fellow(weights, affected, plan=PLAN)
    assert found["n"] == found["patients"] == here.sum()
    assert found["difference"] == pytest.approx(0.25)
    assert found["fellow"] == pytest.approx(fellow[here].mean())
    assert found["affected"] == pytest.approx(fellow[here].mean() + 0.25)
    assert found["interval"] == pytest.approx([0.25, 0.25]), "paired: what patients differ in by themselves cancels"
    assert found["larger"] == 1
    away = affected_against_fellow(weights, np.where(here, 1 - affected, -1), plan=PLAN)
    assert (away["difference"], away["larger"]) == (pytest.approx(-0.25), 0)


def test_the_interval_is_that_of_a_mean_and_draws_patients_whole() -> None:
    random = np.random.default_rng(1)
    n = 400
    gap = random.normal(0.1, 0.2, n)
    weights, affected = np.stack([0.5 + gap, np.full(n, 0.5)], axis=1), np.zeros(n, int)
    low, high = affected_against_fellow(weights, affected, plan=Plan(4000))["interval"]
    error = gap.std() / n**0.5
    assert [low, high] == pytest.approx([gap.mean() - 1.96 * error, gap.mean() + 1.96 * error], abs=0.1 * error)
    twice = np.repeat(np.arange(n), 2)
    doubled = affected_against_fellow(weights[twice], affected[twice], twice, Plan(4000))
    assert (doubled["n"], doubled["patients"]) == (2 * n, n)
    assert doubled["interval"] == pytest.approx([low, high]), "a patient's second visit of the same tells nothing new"


def test_what_is_not_defined_is_none() -> None:
    weights = np.array([[0.4, np.nan], [0.4, 0.6], [0.5, 0.5]])
    none = affected_against_fellow(weights, [0, -1, -1], plan=PLAN)
    assert none == {
        "n": 0,
        "patients": 0,
        **dict.fromkeys(("affected", "fellow", "difference", "interval", "larger")),
    }
    one = affected_against_fellow(weights, [0, 1, -1], plan=PLAN)
    assert (one["n"], one["interval"]) == (1, None), "one patient has no spread"
    assert affected_against_fellow(weights, [0, 1, 0], plan=Plan(0))["interval"] is None
    assert affected_against_fellow(weights, [0, -1, 0], plan=PLAN)["larger"] == 0.5
    with pytest.raises(ValueError, match=r"not \(2, 2\)"):
        affected_against_fellow(weights, [0, 1])


def cohort(made: Made) -> list[str]:
    return ["--layout", "odir", "--root", str(made.root), "--cache", str(made.cache)]


@pytest.fixture(scope="module")
def bundle(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with both levels of weights, which answers with the mean over visit and mirror image."""
    out = tmp_path_factory.mktemp("aubnet") / "run"
    where = ["--method", "aubnet", "--split", str(made.split), "--out", str(out)]
    assert run(["train", *cohort(made), *where, *TINY, "--epochs", "1", "--mirrored"]) == 0
    return out / "bundle"


def weigh(made: Made, bundle: Path, *flags: str) -> list[str]:
    return ["weights", "--bundle", str(bundle), *cohort(made), *flags]


def truth(made: Made) -> dict[str, tuple[bool, bool]]:
    """Whether (left, right) eye has a disease, of the test part's visits."""
    test = set(json.loads(made.split.read_text())["folds"][0]["test"])
    patients = json.loads((made.root / "truth.json").read_text())["patients"]
    ill = {str(one["id"]): [bool(set(one["eyes"][s]["labels"]) - {"N"}) for s in ("left", "right")] for one in patients}
    return {visit: (found[0], found[1]) for visit, found in ill.items() if visit in test}


def test_the_command_exports_the_weights_and_tells_planted_ones(
    made: Made, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, known = tmp_path / "weights.csv", truth(made)
    one = [visit for visit, ill in known.items() if ill[0] != ill[1]]

    def planted(model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        ill = (batch.eye_labels[..., 1:] == 1).any(2)  # all but Normal
        beta = torch.where(ill, 0.25, 0.375)
        return torch.where(batch.seen, torch.where(ill, 0.75, 0.5), torch.nan), beta

    assert run(weigh(made, bundle, "--part", "test", "--out", str(path))) == 0
    printed = capsys.readouterr().out
    assert "alpha" in printed and "beta" in printed and "…" not in printed
    assert max(len(line) for line in printed.splitlines()[:6]) <= 80, "the table"
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    assert list(rows[0]) == ["visit", "alpha_left", "alpha_right", "beta_left", "beta_right", "affected"]
    assert {row["visit"] for row in rows} == set(known)
    assert all(0 < float(row[name]) < 1 for row in rows for name in list(row)[1:5])
    for row in rows:
        left, right = known[row["visit"]]
        assert row["affected"] == ("" if left == right else "left" if left else "right")
    monkeypatch.setattr(aubnet, "eye_weights", planted)
    assert run(weigh(made, bundle, "--part", "test", "--json")) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["part"] == "test"
    assert record["visits"] == len(known)
    for name, affected, fellow in (("alpha", 0.75, 0.5), ("beta", 0.25, 0.375)):
        found = record[name]
        assert (found["n"], found["patients"]) == (len(one), len(one))
        assert (found["affected"], found["fellow"]) == (pytest.approx(affected), pytest.approx(fellow))
        assert found["interval"] == pytest.approx([affected - fellow] * 2)


def test_a_mirrored_bundle_tells_the_mean_of_visit_and_mirror_image(
    made: Made, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.csv"

    def brightness(model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        halves = batch.fundus.mean((2, 3)).unflatten(2, (2, -1)).mean(3)  # (B, E, left and right half)
        return halves[..., 0], halves.mean(2)

    monkeypatch.setattr(aubnet, "eye_weights", brightness)
    assert run(weigh(made, bundle, "--part", "test", "--out", str(path))) == 0
    for row in csv.DictReader(path.open(encoding="utf-8")):
        for side in ("left", "right"):
            assert float(row[f"alpha_{side}"]) == pytest.approx(float(row[f"beta_{side}"]), abs=1e-5)


def test_a_level_that_is_not_there_is_left_empty(
    made: Made, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.csv"

    def first(model: torch.nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.where(batch.seen, 0.5, torch.nan), torch.full(batch.seen.shape, torch.nan)

    monkeypatch.setattr(aubnet, "eye_weights", first)
    words = weigh(made, bundle, "--part", "test", "--json", "--out", str(path))
    capsys.readouterr()
    assert run(words) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["alpha"]["n"] > 0
    assert record["beta"]["n"] == 0
    assert record["beta"]["difference"] is None
    assert all(row["beta_left"] == "" for row in csv.DictReader(path.open(encoding="utf-8")))
    assert run(words[:-3]) == 0
    assert "beta" in capsys.readouterr().out


def test_what_has_no_weights_is_refused_in_one_line(
    made: Made, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, flags, why in (
        (made.bundle, ("--part", "test"), "method pair has no eye weights; those that have: aubnet"),
        (bundle, (), "training"),
        (bundle, ("--draws", "-1"), "--draws must not be negative"),
    ):
        capsys.readouterr()
        assert main(weigh(made, folder, *flags)) != 0
        message = capsys.readouterr().err.splitlines()[-1]
        assert message.startswith("eyeground: error: ")
        assert why in message
