"""Contradicting labels are named and judged all the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eyeground.cli.main import run
from eyeground.metrics.label_logic import in_words, label_logic
from eyeground.vocabulary import ODIR, Vocabulary

ROWS = {"sound": "10000000", "ill": "01100000", "none": "00000000", "both": "10000001"}


def tables() -> tuple[list[str], np.ndarray, np.ndarray]:
    truth = np.array([[int(cell) for cell in row] for row in ROWS.values()])
    return list(ROWS), truth, np.ones(truth.shape, bool)


def test_rows_are_named_by_kind() -> None:
    ids, truth, known = tables()
    assert label_logic(ids, truth, known, ODIR) == {"without_label": ["none"], "normal_with_disease": ["both"]}
    known[2:, 7] = False
    assert label_logic(ids, truth, known, ODIR) == {}, "an unknown cell may be what is missing"
    two = Vocabulary.multilabel("two", ("X", "Y"))
    assert label_logic(["a"], [[0, 0]], [[True, True]], two) == {}, "without Normal a row without a label is healthy"
    assert label_logic([], np.zeros((0, 8)), np.zeros((0, 8), bool), ODIR) == {}
    with pytest.raises(ValueError, match="are not"):
        label_logic(["a"], truth, known, ODIR)


def test_only_the_first_few_are_told_in_words() -> None:
    (sentence,) = in_words({"without_label": [str(i) for i in range(8)]})
    assert sentence == "8 rows are without any label, not even Normal, and judged so: 0, 1, 2, 3, 4 and 3 more"


def test_score_warns_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = "ID,N,D,G,C,A,H,M,O"
    truth, guess = tmp_path / "truth.csv", tmp_path / "guess.csv"
    truth.write_text("\n".join([head, *(f"{name},{','.join(cells)}" for name, cells in ROWS.items())]) + "\n")
    guess.write_text("\n".join([head, *(f"{name}{',0.5' * 8}" for name in ROWS)]) + "\n")
    words = ["score", "--truth", str(truth), "--predictions", str(guess), "--draws", "0"]
    assert run([*words, "--json"]) == 0
    judged = json.loads(capsys.readouterr().out)
    assert judged["label_logic"] == {"without_label": ["none"], "normal_with_disease": ["both"]}
    assert any("Normal together with a disease" in note for note in judged["notes"])
    assert run(words) == 0
    assert "1 row is without any label, not even Normal, and judged so: none" in capsys.readouterr().err
