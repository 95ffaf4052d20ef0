"""Groups of visits: one label or several, ill in one eye or in both."""

from __future__ import annotations

import numpy as np
import pytest

from cells_made import case, eye_labels
from eyeground.metrics.groups import by_eyes, by_label_count
from eyeground.metrics.judge import judge
from eyeground.metrics.ranking import auc
from eyeground.vocabulary import Vocabulary

THREE = Vocabulary.multilabel("three", ("N", "X", "Y"))


def test_groups_by_number_of_labels_are_the_judgement_of_their_rows() -> None:
    truth, known, score = case(150)
    known[0, 0] = False
    found = by_label_count(truth, known, score, THREE)
    whole = known.all(axis=1)
    for name, rows in (("one_label", truth.sum(axis=1) == 1), ("several_labels", truth.sum(axis=1) > 1)):
        judged = judge(truth[rows & whole], known[rows & whole], score[rows & whole], THREE)
        for key in ("n", "macro_auc", "macro_ap", "f1_positive", "exact_match"):
            assert found[name][key] == judged[key]
        low, high = found[name]["intervals"]["macro_auc"]
        assert low < found[name]["macro_auc"] < high
    left = found["left_out"]
    assert found["one_label"]["n"] + found["several_labels"]["n"] + sum(left.values()) == 150
    assert left["a_label_unknown"] == 1


def test_one_eye_and_both_eyes_against_the_same_negatives() -> None:
    truth, known, score = case(120)
    eyes, seen = eye_labels(truth)
    seen[np.flatnonzero(truth[:, 1] == 1)[:2], 0, 1] = False  # a left eye that nobody has graded
    found = by_eyes(truth, known, score, (eyes, seen), THREE)
    assert [row["code"] for row in found["per_class"]] == ["X", "Y"]  # Normal needs both eyes anyway
    for c, row in zip((1, 2), found["per_class"], strict=True):
        told = seen[:, :, c].all(axis=1)
        for name, count in (("one_eye", 1), ("both_eyes", 2)):
            mine = (truth[:, c] == 0) | (told & (eyes[:, :, c].sum(axis=1) == count))
            assert row[name]["auc"] == auc(truth[mine, c], score[mine, c])
            assert row[name]["n_pos"] == truth[mine, c].sum()
            called = score[mine & (truth[:, c] == 1), c] > 0.5
            assert row[name]["sensitivity"] == called.mean()
            low, high = row[name]["sensitivity_interval"]
            assert low < called.mean() < high
        assert row["one_eye"]["n_pos"] + row["both_eyes"]["n_pos"] + row["left_out"] == truth[:, c].sum()
    assert found["per_class"][0]["left_out"] == 2
    twice = [np.repeat(array, 2, axis=0) for array in (truth, known, score, eyes, seen)]
    again = by_eyes(*twice[:3], (twice[3], twice[4]), THREE, patients=np.repeat(np.arange(120), 2))
    for row, more in zip(found["per_class"], again["per_class"], strict=True):
        one, other = row["one_eye"], more["one_eye"]
        assert one["sensitivity_interval"] == pytest.approx(other["sensitivity_interval"], abs=0.1)  # no shorter
    with pytest.raises(ValueError, match="eye labels"):
        by_eyes(truth, known, score, (eyes[:5], seen[:5]), THREE)
