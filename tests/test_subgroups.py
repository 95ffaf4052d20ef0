"""Results within groups and the largest gap: scikit-learn's and scipy's numbers, laws, suppression, the null."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import recall_score, roc_auc_score

from eyeground.metrics.auc_interval import auc_interval
from eyeground.metrics.gaps import Measured, largest_gap, range_cdf, range_quantile
from eyeground.metrics.holm import holm
from eyeground.metrics.proportions import share_interval, wilson
from eyeground.metrics.subgroups import MEASURES, Grouping, Rules, subgroups
from eyeground.vocabulary import Vocabulary

CODES = ("A", "B", "C")
LABELS = Vocabulary.multilabel("made", CODES)
CUTS = np.array([0.5, 0.4, 0.6])
Made = tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.float64], list[str]]


def made(n: int = 300, seed: int = 0, prevalence: tuple[float, ...] = (0.4, 0.3, 0.2)) -> Made:
    """Truth, known, probability (n, 3) and a group of three for each row."""
    generator = np.random.default_rng(seed)
    truth = generator.random((n, 3)) < np.array(prevalence)
    probability = 1 / (1 + np.exp(-(generator.standard_normal((n, 3)) + 1.5 * truth - 0.7).round(2)))
    return truth, generator.random((n, 3)) < 0.95, probability, [str(g) for g in generator.choice(["x", "y", "z"], n)]


def grouping(values: list[str | None] | list[str], name: str = "g") -> Grouping:
    return Grouping(name, name.title(), "made", tuple(values))


def judged(data: Made, **rules: object) -> dict[str, object]:
    truth, known, probability, values = data
    return subgroups(truth, known, probability, LABELS, [grouping(values)], CUTS, Rules(**rules))["by"][0]  # type: ignore[arg-type]


def test_every_group_has_scikit_learns_numbers() -> None:
    data = truth, known, probability, values = made()
    for group in judged(data)["groups"]:
        here = np.array(values) == group["group"]
        assert group["n"] == group["patients"] == here.sum()
        areas = []
        for c, row in enumerate(group["per_class"]):
            rows = here & known[:, c]
            y, p = truth[rows, c], probability[rows, c]
            assert (row["n"], row["n_pos"], row["n_neg"]) == (len(y), y.sum(), (~y).sum())
            areas.append(roc_auc_score(y, p))
            assert row["auc"] == pytest.approx(areas[-1], abs=1e-12)
            assert row["auc_interval"] == pytest.approx(auc_interval(y, p))
            calls = p > CUTS[c]
            assert row["sensitivity"] == pytest.approx(recall_score(y, calls), abs=1e-12)
            assert row["specificity"] == pytest.approx(recall_score(~y, ~calls), abs=1e-12)
            assert row["sensitivity_interval"] == wilson(int((y & calls).sum()), int(y.sum()))
        assert group["macro_auc"] == pytest.approx(np.mean(areas), abs=1e-12)
        low, high = group["macro_auc_interval"]
        assert low < group["macro_auc"] < high


def test_the_range_of_normal_numbers_is_scipys() -> None:
    for count in (2, 3, 5, 12):
        for level in (0.5, 0.95, 0.999):
            expected = stats.studentized_range.ppf(level, count, np.inf)
            assert range_quantile(level, count) == pytest.approx(expected, rel=1e-6)
        assert range_cdf(3.0, count) == pytest.approx(stats.studentized_range.cdf(3.0, count, np.inf), abs=1e-9)
    assert range_quantile(0.95, 2) == pytest.approx(1.959964 * math.sqrt(2), rel=1e-6)


def known_variance(value: float, error: float, person: int, people: int = 8) -> Measured:
    """A number with an ordinary normal interval, moved by one person."""
    moves = np.zeros(people)
    moves[person] = 1
    normal = stats.norm()
    return Measured(value, lambda level: [value + s * error * normal.ppf((1 + level) / 2) for s in (-1, 1)], moves)


def test_with_known_variances_it_is_tukeys() -> None:
    values = {"a": 0.50, "b": 0.53, "c": 0.60}
    found = largest_gap({name: known_variance(value, 0.03, i) for i, (name, value) in enumerate(values.items())})
    assert found is not None and (found.best, found.worst, found.groups) == ("c", "a", 3)
    reach = stats.studentized_range.ppf(0.95, 3, np.inf) * 0.03
    assert found.pair_interval == pytest.approx((0.1 - reach, 0.1 + reach), abs=1e-6)
    assert found.interval == pytest.approx((max(0.1 - reach, 0), 0.1 + reach), abs=1e-6)
    assert found.p == pytest.approx(stats.studentized_range.sf(0.1 / 0.03, 3, np.inf), abs=1e-4)


def test_of_two_groups_it_is_newcombes_interval() -> None:
    """Newcombe, Statistics in Medicine 17, 1998, table II, method 10: 56/70 less 48/80 is 0.0524 to 0.3339."""
    truth = np.ones((150, 1))
    calls = np.concatenate([np.arange(70) < 56, np.arange(80) < 48]).astype(float)[:, None]
    one = Vocabulary.multilabel("one", ["A"])
    values = grouping(["a"] * 70 + ["b"] * 80)
    found = subgroups(truth, truth == 1, calls, one, [values], rules=Rules(suppress_below=0))["by"][0]
    (gap,) = found["largest_gap"]["per_class"]
    assert (gap["code"], gap["measure"], gap["best"], gap["worst"]) == ("A", "sensitivity", "a", "b")
    assert gap["interval"] == pytest.approx([0.0524, 0.3339], abs=5e-5)
    for group in found["groups"]:
        assert group["macro_auc"] is None and group["undefined"] == {"macro_auc": "no label has an AUC here"}
        assert set(group["per_class"][0]["undefined"]) == {"auc", "specificity"}


def test_the_interval_leaves_out_0_exactly_when_p_is_small() -> None:
    data = truth, _, probability, values = made(600)
    shifted = np.where((np.array(values) == "x")[:, None] & truth, probability * 0.6, probability)
    for table in (probability, shifted):
        found = subgroups(truth, np.ones_like(truth), table, LABELS, [grouping(values)], CUTS)["by"][0]["largest_gap"]
        for gap in [found["macro_auc"], *found["per_class"]]:
            assert (gap["interval"][0] > 0) == (gap["p"] <= 0.05)
            assert gap["interval"][0] <= gap["gap"] <= gap["interval"][1]
            assert gap["pair_interval"][0] <= gap["interval"][0] and gap["pair_interval"][1] <= gap["interval"][1]
    assert found["macro_auc"]["interval"][0] > 0 and found["macro_auc"]["worst"] == "x"
    assert len(data) == 4


def test_holm_runs_over_all_gaps() -> None:
    truth, known, probability, values = made()
    other = grouping(values[1:] + values[:1], "h")
    found = subgroups(truth, known, probability, LABELS, [grouping(values), other], CUTS)["by"]
    rows = [row for one in found for row in one["largest_gap"]["per_class"]]
    assert [row["p_holm"] for row in rows] == pytest.approx(holm([row["p"] for row in rows]))
    assert {row["tests"] for row in rows} == {2 * 3 * len(MEASURES)}
    assert {one["largest_gap"]["macro_auc"]["tests"] for one in found} == {2}


def test_one_group_has_no_gap() -> None:
    truth, known, probability, _ = made()
    found = subgroups(truth, known, probability, LABELS, [grouping(["x"] * 299 + [None])], CUTS)["by"][0]
    assert found["largest_gap"] == {"macro_auc": None, "per_class": []} and found["unknown"] == 1
    assert found["groups"][0]["macro_n"] == 3
    nothing = subgroups(truth, known, probability, LABELS, [grouping([None] * 300)], CUTS)["by"][0]
    assert nothing["groups"] == [] and nothing["unknown"] == 300 and nothing["macro_labels"] == []


def test_groups_that_are_alike_have_no_gap() -> None:
    truth, known, probability, _ = made(100)
    twice = (np.tile(truth, (2, 1)), np.tile(known, (2, 1)), np.tile(probability, (2, 1)), ["x"] * 100 + ["y"] * 100)
    found = judged(twice)["largest_gap"]
    for gap in [found["macro_auc"], *found["per_class"]]:
        assert gap["gap"] == 0 and gap["interval"][0] == 0 < gap["interval"][1] and gap["p"] == 1
        assert gap["best"] != gap["worst"]
    people = judged(twice, patients=np.tile(np.arange(100), 2))["largest_gap"]  # the same patients on both sides
    assert 2 * people["macro_auc"]["interval"][1] < found["macro_auc"]["interval"][1]  # they vary together


def test_order_of_rows_and_names_of_groups_do_not_matter() -> None:
    truth, known, probability, values = made()
    found = judged((truth, known, probability, values))
    order = np.random.default_rng(1).permutation(len(truth))
    turned = judged((truth[order], known[order], probability[order], [values[i] for i in order]))
    assert rounded(turned) == rounded(found)
    names = {"x": "west", "y": "east", "z": "mid"}
    renamed = judged((truth, known, probability, [names[value] for value in values]))
    expected = rounded(found).replace('"x"', '"west"').replace('"y"', '"east"').replace('"z"', '"mid"')
    unordered = json.loads(rounded(renamed))
    unordered["groups"].sort(key=lambda one: ["west", "east", "mid"].index(one["group"]))
    assert unordered == json.loads(expected)


def rounded(found: object) -> str:
    return json.dumps(json.loads(json.dumps(found), parse_float=lambda text: round(float(text), 9)), allow_nan=False)


def numbers(value: object) -> list[float]:
    """Every number below, booleans left out."""
    if isinstance(value, dict):
        return [x for one in value.values() for x in numbers(one)]
    if isinstance(value, list):
        return [x for one in value for x in numbers(one)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_a_suppressed_cell_shows_no_number_anywhere() -> None:
    truth, known, probability, values = made()
    rare = (np.array(values) == "y") & (np.cumsum(truth[:, 1] & (np.array(values) == "y")) > 9)
    truth[rare, 1] = False  # nine positives of B in y at most
    before = judged((truth, known, probability, values))
    (cell,) = [row for one in before["groups"] for row in one["per_class"] if row["suppressed"]]
    assert cell["code"] == "B" and numbers(cell) == [cell["n"]]
    assert cell["undefined"].keys() == set(MEASURES) and "fewer than 10" in cell["undefined"]["auc"]
    assert before["macro_labels"] == ["A", "C"] and {one["macro_n"] for one in before["groups"]} == {2}
    for gap in before["largest_gap"]["per_class"]:
        assert gap["code"] != "B" or ("y" not in (gap["best"], gap["worst"]) and gap["groups"] == 2)
    hidden = (np.array(values) == "y") & truth[:, 1]
    changed = probability.copy()
    changed[hidden, 1] = np.random.default_rng(5).random(int(hidden.sum()))
    assert rounded(judged((truth, known, changed, values))) == rounded(before)  # what is hidden moves nothing
    one = next(i for i in np.flatnonzero(hidden & known[:, 1]))
    truth[one, 1] = False
    assert rounded(judged((truth, known, changed, values))) == rounded(before)


def test_the_limit_counts_patients_and_can_be_lifted() -> None:
    data = made(120)
    shown = judged(data, suppress_below=0)
    assert not any(row["suppressed"] for one in shown["groups"] for row in one["per_class"])
    assert any(row["suppressed"] for one in judged(data, suppress_below=15)["groups"] for row in one["per_class"])
    few = judged(data, patients=np.arange(120) % 9)  # nine patients in all
    assert all(row["suppressed"] for one in few["groups"] for row in one["per_class"])
    assert few["largest_gap"] == {"macro_auc": None, "per_class": []}
    assert few["groups"][0]["undefined"] == {"macro_auc": "no label has an AUC here, some are suppressed"}


def test_shares_of_patients_with_several_rows() -> None:
    generator = np.random.default_rng(3)
    hit = generator.random(60) < 0.7
    assert share_interval(hit) == wilson(int(hit.sum()), 60)
    assert share_interval([]) is None
    twice = share_interval(np.repeat(hit, 2), np.repeat(np.arange(60), 2))
    assert twice == pytest.approx(share_interval(hit), abs=0.003)  # the copy adds nothing
    assert share_interval(np.ones(40, bool), np.repeat(np.arange(20), 2)) == wilson(20, 20)
    assert share_interval(np.repeat([True, False], 5), np.repeat([0, 1], 5)) is not None


def test_groups_of_noise_are_seldom_told_apart() -> None:
    """Five groups: the picked pair's own interval is fooled often, this one at most in 5 % or so."""
    found = ours = naive = 0
    one = Vocabulary.multilabel("one", ["A"])
    for seed in range(60):
        generator = np.random.default_rng(seed)
        truth = generator.random((400, 1)) < 0.4
        probability = stats.norm.cdf(generator.standard_normal((400, 1)) + truth)
        values = grouping([str(g) for g in generator.integers(0, 5, 400)])
        rules = Rules(with_p=False)
        (by,) = subgroups(truth, np.ones_like(truth), probability, one, [values], rules=rules)["by"]
        gap = by["largest_gap"]["macro_auc"]
        rows = {group["group"]: group["per_class"][0] for group in by["groups"]}
        best, worst = rows[gap["best"]], rows[gap["worst"]]
        assert gap["p"] is None and gap["gap"] == pytest.approx(best["auc"] - worst["auc"])
        below = math.hypot(best["auc"] - best["auc_interval"][0], worst["auc_interval"][1] - worst["auc"])
        found, ours, naive = found + 1, ours + (gap["interval"][0] > 0), naive + (gap["gap"] > below)
    assert found == 60 and ours <= 6 and naive >= 9


def test_shapes_that_do_not_fit() -> None:
    truth, known, probability, values = made(50)
    with pytest.raises(ValueError, match="49 values for 50 rows"):
        subgroups(truth, known, probability, LABELS, [grouping(values[:-1])])
    with pytest.raises(ValueError, match="probability"):
        subgroups(truth, known, probability[:, :2], LABELS, [])
    with pytest.raises(ValueError, match="level"):
        largest_gap({}, 1.0)
    empty = subgroups(truth[:0], known[:0], probability[:0], LABELS, [grouping([])])
    assert empty["by"][0]["groups"] == []
