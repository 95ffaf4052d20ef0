"""Lesions, candidates and hits: against scipy, against loops, and their laws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from eyeground.errors import DataError, UsageError
from eyeground.images.geometry import Geometry
from eyeground.metrics.candidates import peaks, regions, tops
from eyeground.metrics.hits import Pairs, best_scores, credited, point_pairs, region_pairs
from eyeground.metrics.lesion_rules import Rules
from eyeground.metrics.lesions import cells_of, find_lesions
from eyeground.metrics.map_grid import Blocks, Grid, LesionImage, blocks_of, levels_of, on_blocks
from eyeground.metrics.pointing import TOLERANCE, point
from lesions_made import SIDE, image, smooth, squares, whole

EIGHT = np.ones((3, 3))


def blobs(seed: int, shape: tuple[int, int] = (150, 200), part: float = 0.9) -> np.ndarray:
    values = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 2)
    return np.asarray(values > np.quantile(values, part))


def test_lesions_are_scipys_components() -> None:
    mask = blobs(0)
    labels, number = ndimage.label(mask, EIGHT)
    found = find_lesions(mask, "HE")
    assert len(found) == number > 5
    first = found.starts[:-1]
    order = np.argsort(labels[found.rows[first], found.columns[first]])
    ids = np.arange(1, number + 1)
    np.testing.assert_array_equal(found.area[order], ndimage.sum_labels(mask, labels, ids))
    centre = np.array(ndimage.center_of_mass(mask, labels, ids))[:, ::-1] + 0.5
    np.testing.assert_allclose(found.centroid[order], centre)
    boxes = [(c.start, r.start, c.stop - c.start, r.stop - r.start) for r, c in ndimage.find_objects(labels)]
    np.testing.assert_array_equal(found.box[order], boxes)
    assert found.records()[0]["type"] == "HE"
    assert found.asking(10**6).counted.sum() == 0
    assert len(find_lesions(np.zeros((5, 5), bool), "MA")) == 0


def test_touching_corners_are_one_lesion() -> None:
    assert len(find_lesions(np.eye(4, dtype=bool), "MA")) == 1


def test_what_lies_outside_the_field_is_not_asked_for() -> None:
    mask = squares((0, 0, 6), (120, 120, 6), (126, 0, 4))  # a corner, the middle, the upper rim
    here = image(np.zeros((8, 8)), {}, field=(128.0, 128.0, 126.0))
    found = find_lesions(mask, "MA", here)
    assert (len(found), found.outside) == (2, 1)
    assert found.area.sum() < 36 + 16  # the rim cuts one of them
    disc = np.hypot(*(np.ogrid[:SIDE, :SIDE][k] + 0.5 - 128 for k in (0, 1))) <= 126
    same = find_lesions(mask, "MA", image(np.zeros((8, 8)), {}, field=disc))
    np.testing.assert_array_equal(found.area, same.area)
    with pytest.raises(DataError, match="give it unscaled"):
        find_lesions(mask[:-1], "MA", here)


def test_no_lesion_vanishes_on_blocks() -> None:
    dots = np.zeros((SIDE, SIDE), bool)
    dots[::3, ::3] = True  # lesions of one pixel, several to a block
    found = find_lesions(dots, "MA")
    cells, owner = cells_of(found, Blocks(SIDE, SIDE, 7))
    assert len(found) == dots.sum() == len(owner)
    assert set(owner.tolist()) == set(range(len(found)))
    wide = -(-SIDE // 7)
    pixels = {(r // 7 * wide + c // 7) for r, c in zip(*np.nonzero(dots), strict=True)}
    assert set(cells.tolist()) == pixels


def test_blocks_share_is_a_mean_of_pixels() -> None:
    mask = blobs(1, (90, 120), 0.7)
    got = Blocks(120, 90, 30).share(*np.nonzero(mask))
    np.testing.assert_allclose(got, mask.reshape(3, 30, 4, 30).mean(axis=(1, 3)))
    assert Blocks(121, 91, 30).shape == (4, 5)
    assert blocks_of(Geometry(4288, 2848, 0, 0, 4288, 512)).shape == (712, 1072)


def test_a_map_on_blocks_is_the_geometrys_own() -> None:
    geometry = Geometry(200, 150, 20.5, -7.25, 160.0, 64)
    values = np.random.default_rng(0).standard_normal((9, 9))
    here = LesionImage("x", values, geometry, dict, field=np.ones((150, 200), bool))
    placed, _ = on_blocks(here, Blocks(200, 150, 1))
    seen = np.isfinite(placed)
    np.testing.assert_allclose(placed[seen], geometry.place(values)[seen], atol=1e-5)
    assert seen.sum() == (np.count_nonzero(geometry.place(np.ones((9, 9)))))
    half = LesionImage("x", values, geometry, dict, shift=(-0.5, 0.25), field=np.ones((150, 200), bool))
    x, y = half.centres
    moved, _ = on_blocks(half, Blocks(200, 150, 1), "nearest")
    assert moved[int(y[4]), int(x[3])] == values[4, 3]
    assert x[3] - here.centres[0][3] == pytest.approx(-0.5 * 160 / 9)


def test_peaks_are_the_loops_peaks() -> None:
    values = smooth(np.random.default_rng(3), 40)
    here = image(values, {})
    got = peaks(here, 0.08)
    x, y = here.centres
    tops_ = []
    for r in range(40):
        for c in range(40):
            if not here.in_field(x[c], y[r]):
                continue
            around = [
                values[i, j]
                for i in range(max(r - 1, 0), min(r + 2, 40))
                for j in range(max(c - 1, 0), min(c + 2, 40))
                if here.in_field(x[j], y[i])
            ]
            if values[r, c] >= max(around):
                tops_.append((values[r, c], x[c], y[r]))
    kept: list[tuple[float, float, float]] = []
    for one in sorted(tops_, reverse=True):
        if all(np.hypot(one[1] - k[1], one[2] - k[2]) > 0.08 * SIDE for k in kept):
            kept.append(one)
    assert 5 < len(kept) < len(tops_)
    np.testing.assert_allclose(got.scores, [one[0] for one in kept])
    np.testing.assert_allclose(got.points, [one[1:] for one in kept])
    above = peaks(here, 0.08, above=0.3)
    assert (above.scores > 0.3).all() and len(above.scores) == (got.scores > 0.3).sum()


def test_a_plateau_is_one_peak_and_a_slope_none() -> None:
    flat = peaks(image(np.zeros((16, 16)), {}), 0.02)
    assert len(flat.scores) == 1
    assert np.abs(flat.points[0] - 128).max() <= 16  # near the middle
    step = np.zeros((16, 16))
    step[6:9, 6:9] = 1  # zeros around have a higher neighbour: they are no peak, however far it is
    found = peaks(image(step, {}), 0.02)
    np.testing.assert_array_equal(found.points, [[120.0, 120.0]])


def test_components_and_their_strongest_blocks() -> None:
    values = smooth(np.random.default_rng(5), 60)
    found = regions(values, 0.2)
    labels, number = ndimage.label(values >= 0.2, EIGHT)
    assert len(found) == number
    points = tops(found, values)
    assert sorted(values.ravel()[points]) == pytest.approx(
        sorted(ndimage.maximum(values, labels, range(1, number + 1)))
    )
    large = regions(values, 0.2, smallest=20)
    assert len(large) == (ndimage.sum_labels(labels > 0, labels, range(1, number + 1)) >= 20).sum()
    assert set(np.unique(large.labels)) == set(range(len(large) + 1))


@pytest.mark.parametrize("reach", [0.0, 3.0, 7.5, 40.0])
def test_points_are_as_near_as_scipys_distance_transform_says(reach: float) -> None:
    mask = blobs(2)
    found = find_lesions(mask, "HE")
    points = np.random.default_rng(0).uniform((0, 0), (200, 150), (80, 2))
    got = point_pairs(points, found, reach)
    pairs = set()
    for k in range(len(found)):
        own = np.zeros_like(mask)
        pixels = slice(found.starts[k], found.starts[k + 1])
        own[found.rows[pixels], found.columns[pixels]] = True
        away = ndimage.distance_transform_edt(~own)
        pairs |= {(c, k) for c, (x, y) in enumerate(points.astype(int)) if away[y, x] <= reach}
    assert set(zip(got.candidate.tolist(), got.lesion.tolist(), strict=True)) == pairs
    assert len(pairs) > 0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_pointing_games_chance_is_scipys(seed: int) -> None:
    mask, field = blobs(seed, part=0.98), np.ones((150, 200), bool)
    for diameter in (33.0, 150.0, 417.3):
        near = ndimage.distance_transform_edt(~mask) <= TOLERANCE * diameter
        assert point(mask, (3.0, 4.0), field, diameter).chance == near.mean()


def test_near_is_the_pointing_games_hit() -> None:
    mask = squares((60, 70, 9), (150, 120, 20))
    field = np.ones((SIDE, SIDE), bool)
    found = find_lesions(mask, "HE")
    for at in np.random.default_rng(1).uniform(50, 180, (60, 2)):
        result = point(mask, (at[0], at[1]), field, SIDE)
        assert result.hit == (len(point_pairs(at[None], found, TOLERANCE * SIDE).lesion) > 0)
        assert result.inside == (len(point_pairs(at[None], found).lesion) > 0)


def test_overlap_is_counted_in_blocks() -> None:
    found = find_lesions(squares((40, 40, 20), (90, 40, 10)), "EX")
    blocks = Blocks(SIDE, SIDE, 1)
    over = regions(squares((40, 40, 10), (90, 40, 10), (200, 200, 5)).astype(float), 0.5)
    cells = cells_of(found, blocks)
    assert len(region_pairs(over, cells, len(found)).lesion) == 2
    for least, hits in ((0.25, 2), (0.26, 1), (1.0, 1)):
        assert len(region_pairs(over, cells, len(found), least).lesion) == hits


def test_credit_for_every_lesion_or_the_nearest() -> None:
    pairs = Pairs(np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([2.0, 1.0, 0.0]))
    assert best_scores(credited(pairs, "every"), np.array([5.0, 3.0]), 3).tolist() == [5, 5, -np.inf]
    assert best_scores(credited(pairs, "nearest"), np.array([5.0, 3.0]), 3).tolist() == [-np.inf, 5, -np.inf]


def test_levels_are_order_statistics() -> None:
    values = [np.arange(50.0), np.arange(50.0, 100.0)]
    levels = levels_of(values, 10)
    assert (levels[0], levels[-1]) == (99, 0)
    np.testing.assert_array_equal(levels_of([np.exp(one) for one in values], 10), np.exp(levels))
    assert len(levels_of([], 10)) == 0


def test_what_contradicts_itself_is_refused() -> None:
    for bad in ({"hit": "touch"}, {"hit": "nearby"}, {"candidates": "tops"}, {"tolerance": 3.0}, {"fpi": ()}):
        with pytest.raises(UsageError):
            Rules(**bad)
    with pytest.raises(UsageError):
        Grid(pooling="max")
    with pytest.raises(DataError, match="finite map"):
        image(np.full((2, 2), np.nan), {})
    with pytest.raises(DataError, match="field's mask"):
        image(np.zeros((2, 2)), {}, field=np.ones((3, 3), bool))
    assert whole().side == SIDE
