"""The lesion score as one record: pixel measures against sklearn, its laws, and what knows nothing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score

from eyeground.errors import DataError, UsageError
from eyeground.metrics.lesion_rules import QUELLEC, Rules
from eyeground.metrics.lesion_score import Asking, score_lesions
from eyeground.metrics.map_floors import floor_maps
from eyeground.metrics.map_grid import Grid, LesionImage, blocks_of, on_blocks
from eyeground.metrics.pixel_maps import drawn_numbers, overlap_at, pixel_counts, pixel_numbers
from eyeground.metrics.resample import Plan
from lesions_made import SIDE, image, set_of, smooth, squares

FEW = Asking(plan=Plan(draws=50))
TOUCH = Rules(candidates="components", hit="touch", levels=24)


def changed(images: list[LesionImage], how: Callable[[np.ndarray], np.ndarray]) -> list[LesionImage]:
    return [dataclasses.replace(one, values=how(one.values)) for one in images]


def areas(record: dict, entry: int = 0, convention: str = "any") -> dict[str, float]:
    return {row["type"]: row["area"] for row in record["froc"][entry]["false"][convention]}


def test_pixel_measures_are_sklearns() -> None:
    generator = np.random.default_rng(0)
    values, truth = smooth(generator, 60), generator.random((60, 60)) < 0.1
    values = np.round(values + truth, 2)  # with ties
    inside = generator.random((60, 60)) < 0.8
    thresholds = np.unique(values)[::-1]
    counts = pixel_counts(values, inside, {"A": truth.astype(float)}, thresholds)
    found = pixel_numbers(counts.positive["A"][None], counts.every[None])
    y, score = truth[inside], values[inside]
    precision, recall, _ = precision_recall_curve(y, score)
    assert found["ap"][0] == pytest.approx(average_precision_score(y, score))
    assert found["auroc"][0] == pytest.approx(roc_auc_score(y, score))
    assert found["auprc"][0] == pytest.approx(auc(recall, precision))
    assert found["prevalence"][0] == pytest.approx(y.mean())
    loop = [(y & (score >= t)).sum() / (y | (score >= t)).sum() for t in thresholds]
    assert found["iou_best"][0] == pytest.approx(max(loop))
    stated = overlap_at(counts.positive["A"], counts.every, thresholds, [thresholds[40]])
    assert stated[0]["iou"] == pytest.approx(loop[40])
    assert stated[-1]["iou"] == pytest.approx(max(loop))
    assert stated[-1]["dice"] == pytest.approx(2 * max(loop) / (1 + max(loop)))


def test_bins_lose_next_to_nothing_and_draws_are_repeated_photographs() -> None:
    images = set_of(6, seed=1)
    record = score_lesions(images, ["A", "B"], Rules(), Asking(plan=Plan(draws=0)))
    every = [on_blocks(one, blocks_of(one.geometry)) for one in images]
    score = np.concatenate([placed[inside] for placed, inside in every])
    truth = np.concatenate([one.masks()["B"][inside] for one, (_, inside) in zip(images, every, strict=True)])
    row = record["pixels"][1]
    assert row["ap"] == pytest.approx(average_precision_score(truth, score), abs=2e-3)
    assert row["auroc"] == pytest.approx(roc_auc_score(truth, score), abs=2e-3)
    assert row["prevalence"] == pytest.approx(truth.mean())
    assert row["ap_interval"] is None and record["intervals"]["draws"] == 0
    positive, whole = np.random.default_rng(0).integers(0, 5, (2, 4, 9)).astype(float)
    whole += positive
    weights = np.array([[2.0, 0, 1, 1], [0, 0, 0, 4]])
    drawn = drawn_numbers(positive, whole, weights)
    for row_, draw in enumerate(weights):
        picked = np.repeat(np.arange(4), draw.astype(int))
        alone = pixel_numbers(positive[picked].sum(axis=0)[None], whole[picked].sum(axis=0)[None])
        assert {key: one[row_] for key, one in drawn.items()} == pytest.approx({k: v[0] for k, v in alone.items()})


def test_a_perfect_map_finds_everything_without_a_false_positive() -> None:
    masks = {"A": squares((60, 60, 9), (150, 90, 6)), "B": squares((100, 150, 20))}
    bare = {"A": np.zeros((SIDE, SIDE), bool)}
    truth = (masks["A"] | masks["B"]).astype(float)
    images = [image(truth, masks), image(0 * truth, bare)]
    record = score_lesions(images, ["A", "B"], [Rules(hit="inside"), TOUCH], FEW)
    for entry in (0, 1):
        assert areas(record, entry) == {"A": 1, "B": 1, "all": 1}
        assert all(row["sensitivity"][0]["value"] == 1 for row in record["froc"][entry]["false"]["any"])
    pooled = record["pixels"][-1]
    assert (pooled["ap"], pooled["auroc"], pooled["iou_best"], pooled["dice_best"]) == (1, 1, 1, 1)
    assert [row["az"] for row in record["image_level"]] == [1, 1, 1]
    assert record["types"][0] == {
        "type": "A",
        "n_lesions": 2,
        "n_images_with": 1,
        "n_outside_field": 0,
        "area_median": 58.5,
        "area_largest": 81,
    }


def test_only_the_order_of_values_matters() -> None:
    images, grid = set_of(5), Asking(plan=Plan(draws=20), grid=Grid(interpolation="nearest"))
    one = score_lesions(images, ["A", "B"], [Rules(), TOUCH], grid)
    other = score_lesions(changed(images, lambda v: np.exp(3 * v) - 7), ["A", "B"], [Rules(), TOUCH], grid)
    for record in (one, other):
        for part in record["froc"]:
            for rows in part["false"].values():
                for row in rows:
                    row["curve"].pop("threshold")
        for row in record["pixels"]:
            row["best"].pop("threshold")
    assert one == other
    line = score_lesions(images, ["A", "B"], TOUCH, FEW)
    assert areas(score_lesions(changed(images, lambda v: 2 * v + 1), ["A", "B"], TOUCH, FEW)) == areas(line)


def test_order_of_photographs_does_not_matter_and_a_shift_loses() -> None:
    images = set_of(9, seed=3, signal=6.0)
    rules = [Rules(), TOUCH]
    record = score_lesions(images, ["A", "B"], rules, Asking(plan=Plan(draws=0)))
    back = score_lesions(images[::-1], ["A", "B"], rules, Asking(plan=Plan(draws=0)))
    away = score_lesions([dataclasses.replace(one, shift=(5.0, 3.0)) for one in images], ["A", "B"], rules, FEW)
    for entry in (0, 1):
        assert areas(back, entry) == areas(record, entry)
        assert areas(away, entry)["all"] < 0.6 * areas(record, entry)["all"]
    assert back["image_level"] == record["image_level"]
    for row, other in zip(back["pixels"], record["pixels"], strict=True):
        assert row["ap"] == pytest.approx(other["ap"])
    assert away["pixels"][-1]["ap"] < 0.5 * record["pixels"][-1]["ap"]


def test_one_type_makes_both_conventions_one() -> None:
    record = score_lesions(set_of(6), ["B"], [Rules(), TOUCH], FEW)
    for part in record["froc"]:
        assert part["false"]["any"] == part["false"]["same_type"]
    two = score_lesions(set_of(6), ["A", "B"], Rules(), FEW)
    assert areas(two, 0, "any")["A"] > areas(two, 0, "same_type")["A"]
    assert areas(two, 0, "any")["all"] == areas(two, 0, "same_type")["all"]


def test_the_curve_never_falls_and_the_record_is_json() -> None:
    record = score_lesions(set_of(8, seed=5), ["A", "B", "absent"], [Rules(), TOUCH, QUELLEC], FEW)
    again = json.loads(json.dumps(record, allow_nan=False))
    for part in again["froc"]:
        for row in part["false"]["any"][:2]:
            for key in ("fpi", "sensitivity"):
                assert (np.diff(row["curve"][key]) >= 0).all()
            if row["area_interval"]:
                assert row["area_interval"][0] <= row["area"] <= row["area_interval"][1]
    assert again["froc"][0]["false"]["any"][0]["area_interval"]
    absent = again["froc"][0]["false"]["any"][2]
    assert (absent["n_lesions"], absent["area"], absent["area_interval"]) == (0, None, None)
    assert absent["sensitivity"][0]["value"] is None
    assert again["pixels"][2]["ap"] is None and again["image_level"][2]["az"] is None
    assert again["image_level"][2]["n_without"] == 8
    free = score_lesions(set_of(4)[:2], ["A"], Rules(fpi_over="lesion_free"), FEW)["froc"][0]["false"]["any"][0]
    assert (free["n_images_fpi"], free["area"]) == (0, None)


def test_patients_are_drawn_whole() -> None:
    images = [dataclasses.replace(one, patient="one person") for one in set_of(5)]
    record = score_lesions(images, ["A"], Rules(), FEW)
    assert (record["n_images"], record["n_patients"]) == (5, 1)
    assert record["froc"][0]["false"]["any"][0]["area_interval"] is None  # every draw is that person again


def test_small_lesions_can_be_left_out() -> None:
    masks = {"A": squares((60, 60, 2), (150, 90, 12))}
    values = np.zeros((SIDE, SIDE))
    values[61, 61] = 2.0
    rows = {}
    for smallest in (1, 10):
        record = score_lesions([image(values, masks)], ["A"], Rules(smallest_lesion=smallest), FEW)
        rows[smallest] = record["froc"][0]["false"]["any"][0]
    assert (rows[1]["n_lesions"], rows[1]["area"]) == (2, 0.5)
    assert (rows[10]["n_lesions"], rows[10]["area"], rows[10]["fpi_last"]) == (1, 0, 0)


def test_what_knows_nothing_gets_little_except_by_flooding() -> None:
    images = set_of(10, seed=8)
    found = floor_maps([one.values.shape for one in images], seeds=(0, 1))
    assert set(found) == {"constant", "centre", "noise-0", "noise-1"}
    assert not np.array_equal(found["noise-0"][0], found["noise-0"][1])
    np.testing.assert_array_equal(found["noise-1"][0], floor_maps([(32, 32)], seeds=(1,))["noise-1"][0])
    assert np.std(floor_maps([(64, 64)])["noise-2"][0]) == pytest.approx(1, abs=0.15)
    signal = areas(score_lesions(images, ["A", "B"], Rules(), FEW))["all"]
    for maps in found.values():
        blind = [dataclasses.replace(one, values=values) for one, values in zip(images, maps, strict=True)]
        record = score_lesions(blind, ["A", "B"], Rules(), FEW)
        assert areas(record)["all"] < 0.6 * signal
        assert 0.3 < record["pixels"][-1]["auroc"] < 0.7
    blind = changed(images, np.zeros_like)
    record = score_lesions(blind, ["A", "B"], [TOUCH, QUELLEC], FEW)
    assert areas(record, 0)["all"] == 0
    # the reason for `largest`: one component of everything touches all lesions, false on the two without any
    assert areas(record, 1)["all"] == pytest.approx(1 - 0.2 / 10)
    assert record["image_level"][0]["az"] == 0.5


def test_what_does_not_fit_is_refused() -> None:
    images = set_of(2)
    for kinds in ([], ["A", "A"], ["all"]):
        with pytest.raises(UsageError):
            score_lesions(images, kinds)
    with pytest.raises(UsageError):
        score_lesions([], ["A"])
    small = image(np.zeros((4, 4)), {"A": cv2.resize(np.ones((4, 4)), (9, 9)) > 0})
    with pytest.raises(DataError, match="the mask of A"):
        score_lesions([small], ["A"])
