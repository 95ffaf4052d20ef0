"""Whose row is it: `--patients` of `score` and `compare`, and truths of classes and grades."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from eyeground.cli.main import main, run
from eyeground.errors import DataError
from eyeground.metrics.patients import read_patients


def tables(folder: Path, n: int = 60) -> list[str]:
    """Two rows a patient, the same twice: truth, two systems, and whose they are."""
    generator = np.random.default_rng(0)
    truth = np.repeat(generator.integers(0, 2, (n // 2, 2)), 2, axis=0)
    lines = {"truth": truth, "one": 0.3 * truth, "two": 0.1 * truth}
    for name, table in lines.items():
        if name != "truth":
            table = np.round(table + 0.6 * np.repeat(generator.random((n // 2, 2)), 2, axis=0), 4)
        rows = [f"{i},{','.join(map(str, row))}" for i, row in enumerate(table)]
        (folder / f"{name}.csv").write_text("\n".join(["ID,X,Y", *rows]) + "\n")
    people = [f"{i},p{i // 2}" for i in reversed(range(n))]
    (folder / "people.csv").write_text("\n".join(["ID,patient", *people]) + "\n")
    return [str(folder / f"{name}.csv") for name in ("truth", "one", "two", "people")]


def told(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert run([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_rows_of_a_patient_are_not_two_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, one, two, people = tables(tmp_path)
    words = ["score", "--truth", truth, "--predictions", one, "--draws", "300"]
    rows, patients = told(capsys, *words), told(capsys, *words, "--patients", people)
    assert (rows["intervals"]["patients"], patients["intervals"]["patients"]) == (60, 30)
    assert rows["macro_auc"] == patients["macro_auc"]
    wide, narrow = (np.ptp(each["intervals"]["macro_auc"]) for each in (patients, rows))
    assert wide == pytest.approx(2**0.5 * narrow, rel=0.15), "half the people"
    compared = ["compare", one, two, "--truth", truth, "--draws", "300", "--permutations", "300"]
    assert told(capsys, *compared, "--patients", people)["patients"] == 30


def test_who_is_missing_twice_or_nobody_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    for text, says in (
        ("ID,who\n1,a\n", "no column 'patient'"),
        ("ID,patient\n1,a\n1,b\n", "row 3 repeats ID 1"),
        ("ID,patient\n1,\n", "has no patient"),
        ("ID,patient\n1,a\n", "no row for 1 of the IDs, first 2"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=says):
            read_patients(path, ("1", "2"))
    path.write_text("ID,patient\n02,b\n1,a\n3,c\n")
    assert read_patients(path, ("1", "2")) == ("a", "b")


def test_grades_have_their_weighted_kappa(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = np.random.default_rng(1)
    grade, scores = generator.integers(0, 4, 80), generator.dirichlet(np.ones(4), 80)
    scores[np.arange(80), grade] += 0.5
    truth, guess = tmp_path / "truth.csv", tmp_path / "guess.csv"
    head = "ID,R0,R1,R2,R3"
    truth.write_text(
        "\n".join([head, *(f"{i},{','.join(map(str, np.eye(4, dtype=int)[g]))}" for i, g in enumerate(grade))])
    )
    guess.write_text(
        "\n".join([head, *(f"{i},{','.join(f'{p / 1.5:.6f}' for p in row)}" for i, row in enumerate(scores))])
    )
    words = ["score", "--truth", str(truth), "--predictions", str(guess), "--draws", "100"]
    found = told(capsys, *words, "--kind", "grades")["details"]["exclusive"]
    wanted = cohen_kappa_score(grade, scores.argmax(axis=1), weights="quadratic")
    assert found["kappa_quadratic"] == pytest.approx(wanted)
    assert "kappa_quadratic" not in told(capsys, *words, "--kind", "exclusive")["details"]["exclusive"]
    truth.write_text(truth.read_text().replace("\n3,", "\n3,1,1,1,1\n99,", 1))
    assert main([*words, "--kind", "grades"]) == 2
    assert "has 4 of the 4 classes; grades have one 1 in each row" in capsys.readouterr().err
