"""FROC against MONAI and against loops over thresholds, and its laws."""

from __future__ import annotations

import numpy as np
import pytest
from monai.metrics import compute_fp_tp_probs_nd, compute_froc_curve_data, compute_froc_score
from scipy import ndimage

from eyeground.metrics.candidates import peaks
from eyeground.metrics.froc import FPI, Counts, Scored, area, count, curve, numbers, sensitivity_at
from eyeground.metrics.hits import best_scores, point_pairs
from eyeground.metrics.lesion_counts import FALSE, Sweep, counts_of, peaks_held, swept
from eyeground.metrics.lesion_rules import QUELLEC, Rules
from eyeground.metrics.lesions import Lesions, find_lesions
from eyeground.metrics.map_grid import Blocks, LesionImage, blocks_of, levels_of, on_blocks
from lesions_made import set_of

INSIDE = Rules(hit="inside", radius=0.01)


def lesions_of(image: LesionImage) -> dict[str, Lesions]:
    return {kind: find_lesions(mask, kind, image) for kind, mask in image.masks().items()}


def drawn(seed: int, images: int = 12, ties: bool = False) -> list[Scored]:
    """Made scores: some lesions never found, some photographs without lesions."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(images):
        lesions, false = generator.standard_normal(generator.integers(0, 6)) + 1, generator.standard_normal(20)
        if ties:
            lesions, false = lesions.round(), false.round()
        found.append(Scored(np.where(generator.random(len(lesions)) < 0.2, -np.inf, lesions), false))
    return found


def naive(scored: list[Scored], threshold: float, over: np.ndarray) -> tuple[float, float]:
    found = sum((one.lesions >= threshold).sum() for one in scored)
    false = sum((one.false >= threshold).sum() for one, counts in zip(scored, over, strict=True) if counts)
    return false / over.sum(), found / sum(len(one.lesions) for one in scored)


def test_equal_to_monai_from_maps_to_score() -> None:
    """One type; the map's peaks; a point in a lesion is a hit. MONAI drops the lowest threshold: so does the test."""
    images = set_of(8, seed=4)
    scored, fp, tp, targets = [], [], [], 0
    for image in images:
        mask = image.masks()["B"]
        lesions, found = find_lesions(mask, "B", image), peaks(image, 0.01)
        pairs = point_pairs(found.points, lesions)
        on = np.isin(np.arange(len(found.scores)), pairs.candidate)
        scored.append(Scored(best_scores(pairs, found.scores, len(lesions)), found.scores[~on]))
        labels = np.zeros(mask.shape, int)
        labels[lesions.rows, lesions.columns] = lesions.owner + 1
        theirs = compute_fp_tp_probs_nd(found.scores, found.points[:, ::-1].astype(int), labels)
        fp.append(theirs[0])
        tp.append(np.where(theirs[1] == 0, -np.inf, theirs[1]))  # theirs: 0 for a lesion never found
        targets += theirs[2]
    fp_all, tp_all = np.concatenate(fp), np.concatenate(tp)
    x, y = compute_froc_curve_data(fp_all.astype(np.float32), tp_all.astype(np.float32), targets, len(images))
    ours = curve(
        count([Scored(one.lesions.astype(np.float32), one.false.astype(np.float32)) for one in scored], every=True)
    )
    lowest = slice(0, -1) if np.isfinite(tp_all).all() else slice(0, None)  # with a -inf theirs is the lowest
    np.testing.assert_allclose(ours.fpi[lowest], x[::-1])
    np.testing.assert_allclose(ours.sensitivity[lowest], y[::-1])
    assert 0.2 < y[0] <= 1 and x[0] > 4
    stated = (0.25, 0.5, 1, 2, 4)
    assert sensitivity_at(ours, stated, "linear").mean() == pytest.approx(compute_froc_score(x, y, stated))


@pytest.mark.parametrize("ties", [False, True])
def test_the_curve_is_a_loop_over_thresholds(ties: bool) -> None:
    scored = drawn(0, ties=ties)
    over = np.arange(len(scored)) % 3 > 0
    ours = curve(count(scored, over, every=True))
    wanted = [naive(scored, one, over) for one in ours.thresholds]
    np.testing.assert_allclose(np.stack([ours.fpi, ours.sensitivity], axis=1), wanted)
    for stated in FPI:
        reached = [sensitivity for fpi, sensitivity in wanted if fpi <= stated]
        assert sensitivity_at(ours, [stated])[0] == max(reached)
    grid = np.linspace(0, 10, 200_001)[:-1] + 2.5e-5
    for between in ("step", "linear"):
        assert area(ours, 10, between) == pytest.approx(sensitivity_at(ours, grid, between).mean(), abs=1e-5)
    assert area(ours, 10, "linear") >= area(ours) - 1e-12


@pytest.mark.parametrize("ties", [False, True])
def test_weighted_numbers_are_those_of_the_repeated_photographs(ties: bool) -> None:
    scored = drawn(1, ties=ties)
    weights = np.random.default_rng(0).integers(0, 4, (7, len(scored)))
    found = numbers(count(scored), weights, FPI)
    for row, draw in enumerate(weights):
        again = [one for one, times in zip(scored, draw, strict=True) for _ in range(times)]
        line = curve(count(again, every=True))
        np.testing.assert_allclose(found.sensitivity[row], sensitivity_at(line, FPI))
        assert found.area[row] == pytest.approx(area(line))
        assert found.total[row] == pytest.approx(line.sensitivity[-1])


def test_a_curve_that_ends_early_goes_on_flat() -> None:
    line = curve(count([Scored(np.array([3.0, 1.0, -np.inf, -np.inf]), np.array([2.0, 0.5]))], every=True))
    assert line.fpi.tolist() == [0, 0, 1, 1, 2]
    assert line.sensitivity.tolist() == [0, 0.25, 0.25, 0.5, 0.5]
    assert sensitivity_at(line, [0, 0.9, 1, 10]).tolist() == [0.25, 0.25, 0.5, 0.5]
    assert area(line) == (0.25 * 1 + 0.5 * 9) / 10


def test_what_is_not_defined_is_nan() -> None:
    nothing = count([Scored(np.empty(0), np.array([1.0]))])
    assert np.isnan(area(curve(nothing))) and np.isnan(sensitivity_at(curve(nothing), [1.0])).all()
    assert np.isnan(numbers(nothing, [[1.0]]).area).all()
    nowhere = count([Scored(np.array([1.0]), np.array([2.0]))], over=[False])
    assert np.isnan(area(curve(nowhere))) and np.isnan(numbers(nowhere, [[1.0]]).sensitivity).all()
    never = count([Scored(np.full(3, -np.inf), np.array([1.0]))])
    assert area(curve(never)) == 0 and numbers(never, [[1.0]]).area.tolist() == [0]


def test_flooding_the_picture_wins_nothing() -> None:
    """Components grow together at low thresholds, FPI falls again: the curve keeps its worst on the way down."""
    counts = Counts(
        np.array([3.0, 2.0, 1.0]), np.array([[1, 1, 4]]), np.array([[1, 6, 0]]), np.array([4]), np.array([True])
    )
    line = curve(counts)
    assert line.fpi.tolist() == [0, 1, 6, 6]
    assert sensitivity_at(line, [0, 1, 5.9, 6]).tolist() == [0, 0.25, 0.25, 1]


@pytest.mark.parametrize(
    "rules", [INSIDE, Rules(), Rules(credit="nearest"), Rules(tolerance=0.1, fpi_over="lesion_free")]
)
@pytest.mark.parametrize("convention", FALSE)
def test_peaks_counted_by_hand(rules: Rules, convention: str) -> None:
    images = set_of(7, seed=2)
    held = [peaks_held(image, lesions_of(image), rules)[1] for image in images]
    for kind in ("A", "B"):
        line = curve(counts_of(held, kind, convention, rules, np.empty(0)))
        for k in range(1, len(line.thresholds), 3):
            hits = lesions = false = free = 0
            for image in images:
                every, found = lesions_of(image), peaks(image, rules.radius)
                over = found.scores >= line.thresholds[k]
                reach = rules.tolerance * image.diameter if rules.hit == "near" else 0
                pairs = {name: point_pairs(found.points[over], one, reach) for name, one in every.items()}
                asked = every if convention == "any" else {kind: every[kind]}
                near = pairs[kind]
                if rules.credit == "nearest":
                    own = [np.flatnonzero(near.candidate == c) for c in np.unique(near.candidate)]
                    hits += len({int(near.lesion[one[near.gap[one].argmin()]]) for one in own})
                else:
                    hits += len(set(near.lesion.tolist()))
                lesions += len(every[kind])
                bare = not sum(len(one) for one in asked.values())
                if rules.fpi_over == "all" or bare:
                    free += 1
                    false += over.sum() - len({c for name in asked for c in pairs[name].candidate.tolist()})
            assert line.sensitivity[k] == pytest.approx(hits / lesions)
            assert line.fpi[k] == pytest.approx(false / free)


@pytest.mark.parametrize(
    "rules", [QUELLEC, Rules(candidates="components", hit="iou", iou=0.2), Rules(candidates="components")]
)
def test_components_counted_by_hand(rules: Rules) -> None:
    (image,) = set_of(3, seed=6)[:1]
    blocks = blocks_of(image.geometry)
    placed, _ = on_blocks(image, blocks)
    assert blocks == Blocks(256, 256, 1)
    levels = levels_of([placed], 20)
    (found,) = swept(image, placed, blocks, lesions_of(image), Sweep((rules,), levels))
    size, some = np.isfinite(placed).sum(), 0
    every = {kind: [_mask_of(one, k) for k in range(len(one))] for kind, one in lesions_of(image).items()}
    away = {kind: [ndimage.distance_transform_edt(~one) for one in own] for kind, own in every.items()}
    for k, level in enumerate(levels):
        labels, number = ndimage.label(placed >= level, np.ones((3, 3)))
        areas, hit, on = np.bincount(labels.ravel(), minlength=number + 1), {}, {}
        tops = [(0, 0), *ndimage.maximum_position(placed, labels, range(1, number + 1))]
        for kind, own in every.items():
            pairs = set()
            for lesion, mask in enumerate(own):
                shared = np.bincount(labels[mask], minlength=number + 1)
                for name in range(1, number + 1):
                    share = shared[name] / (mask.sum() + areas[name] - shared[name])
                    near = away[kind][lesion][tops[name]] <= rules.tolerance * image.diameter
                    ruled = {"touch": share > 0, "iou": share >= rules.iou, "near": near}[rules.hit]
                    if ruled and areas[name] <= rules.largest * size:
                        pairs.add((lesion, name))
            hit[kind], on[kind] = {one[0] for one in pairs}, {one[1] for one in pairs}
        for kind in ("A", "B"):
            assert found.hits[kind][k] == len(hit[kind])
            assert found.false["same_type", kind][k] == number - len(on[kind])
            assert found.false["any", kind][k] == number - len(on["A"] | on["B"])
            some += len(hit[kind])
    assert some > 5


def _mask_of(lesions: Lesions, k: int) -> np.ndarray:
    own = np.zeros((256, 256), bool)
    pixels = slice(lesions.starts[k], lesions.starts[k + 1])
    own[lesions.rows[pixels], lesions.columns[pixels]] = True
    return own
