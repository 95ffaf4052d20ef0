"""`eyeground compare`: references and brute force first, then laws."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as reference
from scipy import stats

from compare_made import CODES, QUICK, made
from eyeground.metrics.auc_interval import difference_interval
from eyeground.metrics.compare import compare, detectable
from eyeground.metrics.compare_areas import gap, moves_of, two_sided
from eyeground.metrics.compare_numbers import alone, joint_ranks, lay, midranks, numbers, resampled, themselves
from eyeground.metrics.compare_pairs import Rules, System
from eyeground.metrics.compare_runs import Runs, defined_variance, mixed
from eyeground.metrics.delong import areas
from eyeground.metrics.holm import holm, rank_bands
from eyeground.metrics.official import official
from eyeground.metrics.permutation import how_many, is_exact, p_values, swaps_of
from eyeground.metrics.resample import Plan, weights_of

ROOT = Path(__file__).resolve().parents[1]


def told(truth: np.ndarray, *tables: np.ndarray, rules: Rules = QUICK, patients: Any = None) -> dict[str, Any]:
    systems = [System(chr(65 + k), (one,)) for k, one in enumerate(tables)]
    return compare(truth, np.ones(truth.shape, bool), systems, CODES, patients, rules)


def flat(pair: dict[str, Any]) -> list[dict[str, Any]]:
    """A pair's numbers in the order of the arrays."""
    labels = pair["per_class"]
    overall = [pair[key] for key in ("macro_auc", "macro_ap", "final")]
    return [*overall, *(one["auc"] for one in labels), *(one["ap"] for one in labels)]


# references and brute force


def test_holm_as_in_the_r_package_multtest() -> None:
    """p values and mt.rawp2adjp's Holm, as the statsmodels project's tests hold them (Dudoit et al., multtest)."""
    raw = [0.838541367553, 0.642193923795, 0.680845947633, 0.967833824309, 0.71626938238, 0.177096952723]
    raw += [5.23656777208e-005, 0.0202732688798, 0.00028140506198, 0.0149877310796]
    known = [5.23656777208e-04, 2.53264555782e-03, 1.19901848636800e-01, 1.41912882158600e-01] + [1.0] * 6
    np.testing.assert_allclose(np.sort(holm(raw)), known, rtol=1e-10)


def test_holm_is_the_closed_test_of_bonferroni() -> None:
    """Adjusted p of a hypothesis: the largest Bonferroni p over all sets of hypotheses that hold it."""
    p = np.random.default_rng(1).random(6) ** 3
    sets = [s for size in range(1, 7) for s in itertools.combinations(range(6), size)]
    brute = [max(min(1.0, len(s) * p[list(s)].min()) for s in sets if i in s) for i in range(6)]
    np.testing.assert_allclose(holm(p), brute)
    np.testing.assert_allclose(holm([p, np.full(6, np.nan)])[0], brute)
    assert np.isnan(holm([np.nan])).all() and holm([]).shape == (0,)
    with pytest.raises(ValueError, match="outside"):
        holm([1.2])


def test_students_p_values() -> None:
    for t, degrees in itertools.product((0.0, 0.3, 2.1, 7.0), (1.0, 2.5, 17.0, 4e5)):
        expected = 2 * stats.t.sf(t, degrees)
        assert two_sided(-t * 0.3, 0.3, degrees) == pytest.approx(expected, rel=2e-4 if degrees > 1e5 else 1e-9)
    assert two_sided(0.0, 0.0, 5) == 1 and math.isnan(two_sided(0.1, 0.0, 5)) and math.isnan(two_sided(0.1, np.nan, 5))


def brute_delong(truth: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Difference of two AUCs and its variance, pair by pair of a positive and a negative (DeLong 1988, eq. 3 to 5)."""
    positive, negative = np.flatnonzero(truth), np.flatnonzero(~truth)
    kernel = np.array(
        [[[(s[i] > s[j]) + 0.5 * (s[i] == s[j]) for j in negative] for i in positive] for s in scores], float
    )
    apart = kernel[0] - kernel[1]
    return apart.mean(), apart.mean(axis=1).var(ddof=1) / len(positive) + apart.mean(axis=0).var(ddof=1) / len(negative)


def test_delong_paired_against_brute_force() -> None:
    generator = np.random.default_rng(2)
    for _ in range(5):
        truth = generator.random(40) < 0.4
        scores = np.round(generator.standard_normal((2, 40)) + truth, 1)
        moved = moves_of(truth, scores, np.arange(40), 40)
        assert moved is not None
        found, (difference, variance) = gap([moved], [1, -1]), brute_delong(truth, scores)
        assert found.difference == pytest.approx(difference) and found.error == pytest.approx(math.sqrt(variance))
        assert found.interval(0.95) == pytest.approx(difference_interval(truth, scores))
        assert found.p == pytest.approx(2 * stats.t.sf(abs(found.difference) / found.error, found.degrees))
        np.testing.assert_allclose(moved.moves @ moved.moves.T, areas(truth, scores).covariance, atol=1e-15)
        assert found.p >= areas(truth, scores).difference(0, 1)[2]  # the normal distribution is bolder


def test_delong_of_a_macro_auc_is_that_of_a_mean_of_dependent_areas() -> None:
    truth, (first, second) = made(80)
    scores = np.stack([first, second])
    labels = [moves_of(truth[:, c] == 1, scores[:, :, c], np.arange(80), 80) for c in range(3)]
    moved = [one for one in labels if one is not None]
    found = gap(moved, [1, -1])
    assert found.difference == pytest.approx(np.mean([gap([one], [1, -1]).difference for one in moved]))
    ground = lay(truth, np.ones(truth.shape, bool))
    drawn = resampled([alone(ground, one) for one in (first, second)], Plan(4000, 0, 1))
    assert found.error == pytest.approx(float((drawn[0] - drawn[1])[:, 0].std()), rel=0.06)
    assert moves_of([1, 0, 0], np.zeros((1, 3)), np.arange(3), 3) is None


def test_numbers_are_those_of_other_libraries_under_any_weights() -> None:
    truth, (first, _) = made(40, 3)
    first = np.round(first, 1)
    sheet = alone(lay(truth, np.ones(truth.shape, bool)), first)
    for weights in (np.ones((1, 40), np.int64), weights_of(40, Plan(3), range(3)).astype(np.int64)):
        for found, counts in zip(numbers(sheet, weights), weights, strict=True):
            rows = np.repeat(np.arange(40), counts)
            auc = [reference.roc_auc_score(truth[rows, c], first[rows, c]) for c in range(3)]
            ap = [reference.average_precision_score(truth[rows, c], first[rows, c]) for c in range(3)]
            expected = [np.mean(auc), np.mean(ap), official(truth[rows], first[rows]).final, *auc, *ap]
            np.testing.assert_allclose(found, expected, atol=1e-12)


def _mixable(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Ranks within each system (2, n); where both hold a rank, one counts as higher, by turns."""
    ranks = [stats.rankdata(one) for one in (first, second)]
    turn = 1 if ranks[0].tobytes() <= ranks[1].tobytes() else -1
    nudges = [
        [0.1 * turn * way * (-1) ** math.floor(rank) for rank in one] for way, one in zip((1, -1), ranks, strict=True)
    ]
    return np.array(ranks) + nudges


def swapped_by_hand(truth: np.ndarray, first: np.ndarray, second: np.ndarray, swap: np.ndarray) -> np.ndarray:
    """Every number's difference after a swap, with other people's ranks and measures."""
    ranked = np.stack([_mixable(first[:, c], second[:, c]) for c in range(3)], axis=2)
    pooled = _mixable(first.ravel(), second.ravel()).reshape(2, *first.shape)
    out = []
    for here, there in ((0, 1), (1, 0)):
        tables = (ranked, pooled, [first > 0.5, second > 0.5])
        rank, cell, call = (np.where(swap[:, None] == 1, table[there], table[here]) for table in tables)
        auc = [reference.roc_auc_score(truth[:, c], rank[:, c]) for c in range(3)]
        ap = [reference.average_precision_score(truth[:, c], rank[:, c]) for c in range(3)]
        right = reference.accuracy_score(truth.ravel(), call.ravel())
        kappa = reference.cohen_kappa_score(truth.ravel(), call.ravel())
        final = (right + kappa + reference.roc_auc_score(truth.ravel(), cell.ravel())) / 3
        out.append([np.mean(auc), np.mean(ap), final, *auc, *ap])
    return np.array(out[0]) - np.array(out[1])


def test_permutation_p_is_full_enumeration_for_few_patients() -> None:
    truth, (first, second) = made(6, 5, (2.0, 0.5))
    everything = [np.array(bits) for bits in itertools.product((0, 1), repeat=6)]
    observed = swapped_by_hand(truth, first, second, np.zeros(6))
    all_differences = np.array([swapped_by_hand(truth, first, second, bits) for bits in everything])
    expected = (np.abs(all_differences) >= np.abs(observed) - 1e-9).mean(axis=0)
    result = told(truth, first, second)
    assert result["exact"] and result["permutations"] == 32
    found = flat(result["pairs"][0])
    np.testing.assert_allclose([one["difference"] for one in found], observed, atol=1e-12)
    np.testing.assert_allclose([one["p_permutation"] for one in found], expected)
    assert min(expected) < 0.3 < max(expected)


def test_random_swaps_come_near_the_exact_p() -> None:
    truth, (first, second) = made(12, 6, (2.5, 0.5))
    exact = told(truth, first, second, rules=Rules(100, 2**11, threads=1))
    random = told(truth, first, second, rules=Rules(100, 2**11 - 1, threads=1))
    assert exact["exact"] and not random["exact"]
    for one, other in zip(flat(exact["pairs"][0]), flat(random["pairs"][0]), strict=True):
        p = one["p_permutation"]
        assert abs(p - other["p_permutation"]) < 4 * math.sqrt(p * (1 - p) / 2**11) + 1 / 2**11


def test_swaps_are_all_of_them_or_the_same_whatever_the_blocks() -> None:
    few = swaps_of(5, Plan(16), range(16))
    assert is_exact(5, Plan(16)) and how_many(5, Plan(16)) == 16 and not is_exact(5, Plan(15))
    assert len({tuple(row) for row in few}) == 16 and not few[0].any() and not few[:, -1].any()
    whole = swaps_of(1000, Plan(300), range(300))
    np.testing.assert_array_equal(
        np.concatenate(
            [swaps_of(1000, Plan(300), range(*ends)) for ends in ((0, 7), (7, 130), (130, 131), (131, 300))]
        ),
        whole,
    )
    np.testing.assert_array_equal(swaps_of(1000, Plan(5000), range(300)), whole)
    assert abs(whole.mean() - 0.5) < 0.005 and len(np.unique(whole, axis=0)) == 300
    np.testing.assert_allclose(p_values(np.array([0.3, np.nan]), np.zeros((9, 2)), False), [0.1, np.nan])


def test_ranks_that_may_be_mixed() -> None:
    """The order and the ties within a system stay; across systems no two are equal."""
    values, others = np.array([3.0, 1.0, 3.0, 2.0, 1.0, 1.0]), np.array([0.1, 0.5, 0.9, 0.6, 0.5, 0.2])
    np.testing.assert_array_equal(midranks(values), stats.rankdata(values))
    joined = joint_ranks(values, others)
    for part, whole in ((joined[:6], values), (joined[6:], others)):
        np.testing.assert_array_equal(stats.rankdata(part), stats.rankdata(whole))
    assert not set(joined[:6]) & set(joined[6:])
    np.testing.assert_array_equal(joint_ranks(others, values), np.roll(joined, 6))
    np.testing.assert_array_equal(joint_ranks(np.exp(values), others**3), joined)


# training runs


def test_runs_are_put_together_like_readers() -> None:
    """Obuchowski & Rockette by hand, from the covariances between runs over patients."""
    generator = np.random.default_rng(7)
    draws = generator.standard_normal((4000, 1))

    def system(count: int, noise: float, level: float) -> Runs:
        drawn = level + 0.02 * draws + noise * generator.standard_normal((count, 4000, 1))
        return Runs(level + 0.01 * generator.standard_normal((count, 1)), drawn)

    first, second = system(3, 0.01, 0.9), system(4, 0.02, 0.88)
    total, below = 0.0, 0.0
    stacked = np.concatenate([first.drawn, second.drawn])[:, :, 0]
    covariance = np.cov(stacked)
    groups = (range(3), range(3, 7))
    across = covariance[np.ix_(*groups)].mean()
    for one, group in zip((first, second), groups, strict=True):
        within = np.mean([covariance[i, j] for i in group for j in group if i != j])
        share = one.values.var(ddof=1) / len(group)
        total, below = total + share + within - across, below + share**2 / (len(group) - 1)
    found = mixed(first, second)
    assert found.error[0] ** 2 == pytest.approx(total, rel=1e-6)
    assert found.degrees[0] == pytest.approx(total**2 / below, rel=1e-5)
    assert found.difference[0] == pytest.approx(first.values.mean() - second.values.mean())
    assert found.p()[0] == pytest.approx(2 * stats.t.sf(abs(found.difference[0]) / found.error[0], found.degrees[0]))
    with pytest.raises(ValueError, match="one run each"):
        mixed(Runs(first.values[:1], first.drawn[:1]), Runs(second.values[:1], second.drawn[:1]))


def test_variance_over_defined_draws() -> None:
    drawn = np.array([[1.0, np.nan], [2.0, np.nan], [4.0, 1.0], [np.nan, 2.0], [3.0, np.nan]])
    found = defined_variance(drawn, axis=0)
    assert found[0] == pytest.approx(np.var([1, 2, 4, 3], ddof=1)) and math.isnan(found[1])


def test_several_runs_widen_and_are_told() -> None:
    truth, tables = made(100, 8, (1.6, 1.3, 1.9, 1.0, 0.8, 1.2))
    known = np.ones(truth.shape, bool)
    systems = [System("A", tuple(tables[:3])), System("B", tuple(tables[3:]))]
    result = compare(truth, known, systems, CODES, rules=QUICK)
    one, system = result["pairs"][0]["macro_auc"], result["systems"][0]
    each = [themselves(alone(lay(truth, known), table))[0] for table in tables]
    assert system["runs"] == 3 and system["macro_auc"]["sd_runs"] == pytest.approx(np.std(each[:3], ddof=1))
    assert one["difference"] == pytest.approx(np.mean(each[:3]) - np.mean(each[3:]))
    assert one["p"] != one["p_permutation"] and one["degrees"] > 1
    assert one["interval"][0] + one["interval"][1] == pytest.approx(2 * one["difference"])
    assert sum("poorly known" in line for line in result["notes"]) == 2
    unequal = compare(truth, known, [systems[0], System("B", tuple(tables[3:5]))], CODES, rules=QUICK)
    assert unequal["pairs"][0]["macro_auc"]["difference"] == pytest.approx(np.mean(each[:3]) - np.mean(each[3:5]))
    single = compare(truth, known, [systems[0], System("B", (tables[3],))], CODES, rules=QUICK)
    assert any("training variance is not in the intervals of B" in line for line in single["notes"])


# laws


def test_turning_a_pair_around_turns_the_signs() -> None:
    truth, (first, second) = made()
    one, other = (told(truth, *pair)["pairs"][0] for pair in ((first, second), (second, first)))
    for a, b in zip(flat(one), flat(other), strict=True):
        assert a["difference"] == -b["difference"] and a["p"] == b["p"] and a["p_holm"] == b["p_holm"]
        np.testing.assert_allclose(a["interval"], [-b["interval"][1], -b["interval"][0]], atol=1e-12)
        assert a["standard_error"] == pytest.approx(b["standard_error"])
        if "delong" in a:
            assert a["delong"]["p"] == pytest.approx(b["delong"]["p"])


def test_the_order_of_rows_and_the_threads_change_nothing() -> None:
    truth, (first, second) = made()
    names = np.array([f"p{k}" for k in range(len(truth))])
    order = np.random.default_rng(9).permutation(len(truth))
    before = told(truth, first, second, patients=names)
    after = told(truth[order], first[order], second[order], patients=names[order], rules=Rules(200, 300, threads=3))
    for a, b in zip(flat(before["pairs"][0]), flat(after["pairs"][0]), strict=True):
        np.testing.assert_allclose(a["interval"], b["interval"], atol=1e-12)
        assert a["difference"] == pytest.approx(b["difference"], abs=1e-12) and a["p"] == b["p"]


def test_identical_systems_do_not_differ() -> None:
    truth, (first, _) = made()
    result = told(truth, first, first.copy())
    assert "the same predictions" in result["pairs"][0]["verdict"] and result["pairs"][0]["identical"]
    assert [one["rank"] for one in result["systems"]] == [[1, 2], [1, 2]]
    for one in flat(result["pairs"][0]):
        assert (one["difference"], one["interval"], one["p"], one["p_holm"]) == (0, [0, 0], 1, 1)
        assert one.get("delong", {"p": 1})["p"] == 1


def test_a_monotone_transform_of_one_system_changes_no_auc_or_ap() -> None:
    truth, (first, second) = made()
    before, after = (told(truth, first, one)["pairs"][0] for one in (second, second**3 / 2))
    for key, (a, b) in enumerate(zip(flat(before), flat(after), strict=True)):
        if key != 2:  # final calls at 0.5
            assert a == b
    assert before["final"]["difference"] != after["final"]["difference"]


def test_two_rows_of_a_patient_are_swapped_and_drawn_together() -> None:
    """Every row twice under the same patient: neither p values nor intervals are any surer."""
    truth, (first, second) = made()
    names = np.arange(len(truth))
    once = told(truth, first, second, patients=names)
    twice = told(*(np.concatenate([one, one]) for one in (truth, first, second)), patients=np.tile(names, 2))
    assert twice["n"] == 2 * twice["patients"] == 2 * once["patients"]
    for a, b in zip(flat(once["pairs"][0]), flat(twice["pairs"][0]), strict=True):
        assert a["p"] == pytest.approx(b["p"], abs=0.03)  # swapped ranks that tie are put in order by turns
        np.testing.assert_allclose(a["interval"], b["interval"], atol=1e-12)


def test_equals_are_told_apart_at_the_nominal_rate() -> None:
    """120 seeded test sets of two equally good systems; 5 % of them is 6, and 13 or more come once in 170 times."""
    rejected = {"permutation": 0, "delong": 0}
    for seed in range(120):
        truth, (first, second) = made(50, 1000 + seed, (1.2, 1.2))
        one = told(truth, first, second, rules=Rules(20, 199, seed, threads=1))["pairs"][0]["macro_auc"]
        rejected["permutation"] += one["p_permutation"] <= 0.05
        rejected["delong"] += one["delong"]["p"] <= 0.05
    assert all(1 <= count <= 13 for count in rejected.values()), rejected


def test_ranks_show_ties() -> None:
    better = np.zeros((3, 3), bool)
    assert rank_bands(better).tolist() == [[1, 3]] * 3
    better[0, 2] = better[1, 2] = True
    assert rank_bands(better).tolist() == [[1, 2], [1, 2], [3, 3]]
    better[1, 2] = False
    assert rank_bands(better).tolist() == [[1, 2], [1, 3], [2, 3]]
    truth, tables = made(300, 10, (2.5, 2.4, 0.5))
    result = told(truth, *tables)
    assert [one["rank"] for one in result["systems"]] == [[1, 2], [1, 2], [3, 3]]
    verdicts = [one["verdict"] for one in result["pairs"]]
    assert "A is better than C by 0." in verdicts[1] and "after Holm over 3 pairs" in verdicts[1]
    assert verdicts[0].startswith("no difference shown") and "with these 300 patients a difference of 0." in verdicts[0]


def test_holm_over_pairs_and_labels() -> None:
    truth, tables = made(60, 11, (2.0, 1.0, 0.5))
    result = told(truth, *tables)
    assert result["tests"] == {"macro_auc": 3, "macro_ap": 3, "final": 3, "auc": 9, "ap": 9}
    labels = [[one["auc"] for one in pair["per_class"]] for pair in result["pairs"]]
    np.testing.assert_allclose(
        [[one["p_holm"] for one in row] for row in labels], holm([[one["p"] for one in row] for row in labels])
    )
    means = [pair["macro_auc"] for pair in result["pairs"]]
    np.testing.assert_allclose([one["p_holm"] for one in means], holm([one["p"] for one in means]))


def test_detectable_is_found_with_80_percent_power() -> None:
    normal = stats.norm
    error = 0.01
    size = detectable(error, 4e5, 0.05)
    assert size == pytest.approx(0.0280158, rel=1e-4)
    assert normal.sf(normal.ppf(0.975) - size / error) == pytest.approx(0.8, abs=1e-4)


def test_unknown_cells_and_lacking_labels_are_undefined_not_zero() -> None:
    truth, tables = made()
    known = np.ones(truth.shape, bool)
    known[5, 0] = False
    truth[:, 2] = 0
    systems = [System("A", (tables[0],)), System("B", (tables[1],))]
    result = compare(truth, known, systems, CODES, rules=QUICK)
    pair = result["pairs"][0]
    assert pair["final"]["difference"] is None and pair["final"]["p"] is None and pair["final"]["interval"] is None
    assert pair["per_class"][2]["auc"]["p_holm"] is None and result["tests"]["auc"] == 2 and result["macro_n"] == 2
    assert pair["per_class"][0]["n_pos"] + pair["per_class"][0]["n_neg"] == 59
    assert any("G has no positive" in line for line in result["notes"])
    json.dumps(result, allow_nan=False)
