"""Cohorts with drawn lesions: one contract over their layouts on made files, how masks are decoded, IDRiD's masks."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cohorts_made import flags
from eyeground.cli.main import run
from eyeground.cohorts import LAYOUTS, CohortOptions, read_cohort
from eyeground.cohorts.census import census
from eyeground.cohorts.lesion_counts import lesion_counts
from eyeground.cohorts.lesion_types import LESION_TYPES, explaining_label, explaining_labels
from eyeground.cohorts.lesions import LESIONS
from eyeground.cohorts.masks import find_masks, has_masks, read_mask
from eyeground.errors import DataError, UsageError
from graded_made import LESIONED, SIZE, Lesioned, draw


@pytest.fixture(params=LESIONED)
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def made(layout: str, tmp_path: Path) -> Lesioned:
    LESIONED[layout].make(tmp_path)
    return LESIONED[layout]


def test_every_layout_with_masks_is_here() -> None:
    assert {layout for layout in LAYOUTS if has_masks(layout)} == set(LESIONED)
    assert set(LESIONS.codes) == set(LESION_TYPES)
    assert all(LESION_TYPES[label.code].name == label.name for label in LESIONS.labels)


def test_a_lesion_type_is_present_where_its_mask_is_not_empty(layout: str, made: Lesioned, tmp_path: Path) -> None:
    cohort = read_cohort(layout, tmp_path)
    assert list(cohort.vocabulary.codes) == ["MA", "HE", "EX", "SE"]
    codes = cohort.vocabulary.codes
    present = {v.id: " ".join(c for c, s in zip(codes, v.labels, strict=True) if s == 1) for v in cohort.visits}
    unknown = {v.id: " ".join(c for c, s in zip(codes, v.labels, strict=True) if s is None) for v in cohort.visits}
    assert present == made.present and {name: one for name, one in unknown.items() if one} == made.unknown
    assert tuple(census(cohort)["missing_files"]) == made.missing
    assert not any(eye.side_known for visit in cohort.visits for eye in visit.listed())
    assert len({visit.id for visit in cohort.visits}) == len({visit.patient for visit in cohort.visits}) == len(cohort)


def test_its_masks_are_found_and_read(layout: str, made: Lesioned, tmp_path: Path) -> None:
    cohort = read_cohort(layout, tmp_path)
    found: dict[str, list[str]] = {}
    for mask in find_masks(cohort):
        found.setdefault(mask.visit, []).append(mask.code)
        drawn = mask.read(SIZE[1], SIZE[0])
        assert drawn.shape == SIZE and 0 < drawn.sum() < 10
    assert {name: " ".join(codes) for name, codes in found.items()} == {k: v for k, v in made.present.items() if v}
    assert [mask.code for mask in find_masks(cohort, ("EX",))] == ["EX"] * sum("EX" in v for v in made.present.values())


def test_a_mask_of_another_size_is_refused(layout: str, made: Lesioned, tmp_path: Path) -> None:
    cohort = read_cohort(layout, tmp_path)
    for visit in cohort.visits:
        for eye in visit.listed():
            if eye.path is not None:
                assert cv2.imwrite(str(eye.path), np.zeros((*SIZE, 3), np.uint8))
    counts = lesion_counts(cohort)
    assert counts["MA"]["lesions"] == sum("MA" in found for found in made.present.values())
    draw(tmp_path / made.mask, 5, 252, (SIZE[0] + 1, SIZE[1]))
    with pytest.raises(DataError, match=r"60 × 41 pixels, its photograph 60 × 40: make them equal"):
        lesion_counts(cohort)


def test_a_broken_mask_is_named(layout: str, made: Lesioned, tmp_path: Path) -> None:
    (tmp_path / made.mask).write_bytes(b"II*\0 no picture")
    with pytest.raises(DataError, match=rf"{Path(made.mask).name} can't be read as a mask: copy it again"):
        read_cohort(layout, tmp_path)


def test_a_photograph_without_any_mask_is_refused(layout: str, made: Lesioned, tmp_path: Path) -> None:
    cohort = read_cohort(layout, tmp_path)
    path = next(eye.path for visit in cohort.visits for eye in visit.listed() if eye.path is not None)
    (path.parent / f"extra{path.suffix}").touch()
    with pytest.raises(DataError, match=rf"extra{path.suffix} of .* has no mask of any type \(1 such"):
        read_cohort(layout, tmp_path)


def test_no_endpoints_and_no_other_folder(layout: str, made: Lesioned, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no grades, so no --endpoints"):
        read_cohort(layout, tmp_path, CohortOptions(endpoints=("any_dr",)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"--root is"):
        read_cohort(layout, tmp_path / "empty")


def test_the_optic_disc_is_a_mask_and_no_label(tmp_path: Path) -> None:
    LESIONED["idrid-lesions"].make(tmp_path)
    cohort = read_cohort("idrid-lesions", tmp_path)
    discs = find_masks(cohort, ("OD",))
    assert len(discs) == 3 and all(mask.read(SIZE[1], SIZE[0]).sum() == 90 for mask in discs)
    assert flags(cohort) == {"masks_absent": 2, "missing_image": 1}
    with pytest.raises(DataError, match="no masks of fovea in"):
        find_masks(cohort, ("fovea",))


def test_experts_agree_from_three_quarters(tmp_path: Path) -> None:
    LESIONED["diaretdb1"].make(tmp_path)
    cohort = read_cohort("diaretdb1", tmp_path)
    assert [visit.part for visit in cohort.visits] == ["publishers' train", "publishers' test"]
    truths = tmp_path / "resources" / "images" / "ddb1_groundtruth"
    levels = np.array([0, 63, 126, 188, 189, 252], np.uint8)
    cv2.imwrite(str(truths / "softexudates" / "image001.png"), np.tile(levels, (SIZE[0], 10)))
    (mask,) = find_masks(read_cohort("diaretdb1", tmp_path), ("SE",))
    assert (mask.read(SIZE[1], SIZE[0])[0, :6] == (levels.astype(float) / 252 >= 0.75)).all()


def test_version_two_of_diaretdb1_is_named(tmp_path: Path) -> None:
    (tmp_path / "groundtruth").mkdir()
    (tmp_path / "groundtruth" / "diaretdb1_image001_01.xml").touch()
    with pytest.raises(DataError, match=r"is DIARETDB1 version 2.1; version 1.1 is read"):
        read_cohort("diaretdb1", tmp_path)


def test_lesions_are_counted_by_connected_parts(tmp_path: Path) -> None:
    LESIONED["ddr-lesions"].make(tmp_path)
    drawn = np.zeros(SIZE, np.uint8)
    drawn[2:4, 2:4] = drawn[4, 4] = drawn[20:30, 20:25] = 255  # a corner joins: 5 pixels and 50
    mask = tmp_path / "lesion_segmentation/train/label/HE/007-1774-100.tif"
    cv2.imwrite(str(mask), drawn)
    photograph = tmp_path / "lesion_segmentation/train/image/007-1774-100.jpg"
    cv2.imwrite(str(photograph), np.zeros((*SIZE, 3), np.uint8))
    found = lesion_counts(read_cohort("ddr-lesions", tmp_path))["HE"]
    assert (found["photographs"], found["lesions"], found["median"]) == (2, 3, 1.5)
    assert found["pixels"] == [5, 5.0, 50] and found["covered"] == pytest.approx(60 / (2 * SIZE[0] * SIZE[1]))


@pytest.mark.parametrize("compression", ["raw", "group4", "tiff_lzw", "packbits"])
@pytest.mark.parametrize("white", [0, 1])
def test_masks_of_one_bit_are_as_pillow_reads_them(tmp_path: Path, compression: str, white: int) -> None:
    drawn = np.random.default_rng(0).random((37, 61)) > 0.7
    Image.fromarray(drawn).save(tmp_path / "m.tif", compression=compression, tiffinfo={262: white})
    assert (read_mask(tmp_path / "m.tif") == np.asarray(Image.open(tmp_path / "m.tif"))).all()


def test_masks_with_a_palette_or_with_alpha(tmp_path: Path) -> None:
    drawn = np.zeros((20, 30), np.uint8)
    drawn[3:8, 4:9] = 1
    palette = Image.fromarray(drawn, mode="P")
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.save(tmp_path / "p.tif")
    alpha = np.zeros((20, 30, 4), np.uint8)
    alpha[..., 0], alpha[..., 3] = drawn * 255, 255
    Image.fromarray(alpha).save(tmp_path / "a.tif")
    for name in ("p.tif", "a.tif"):
        assert (read_mask(tmp_path / name) == (drawn > 0)).all()


# which label explains a lesion


def test_the_best_label_that_a_model_has_explains_a_lesion() -> None:
    assert explaining_label("MA", ("any_dr", "referable_dr", "dme")) == "referable_dr"
    assert explaining_label("EX", ("N", "D", "G")) == "D"
    assert explaining_label("MA", ("MA", "referable_dr")) == "MA"
    assert explaining_label("HE", ("N", "any_dr"), asked="N") == "N"
    assert explaining_labels("EX", ("any_dr", "dme", "N")) == ("any_dr", "dme")
    assert explaining_labels("MA", ("any_dr", "dme", "N")) == ("any_dr",)


def test_a_model_that_can_not_explain_a_lesion_is_refused() -> None:
    with pytest.raises(UsageError, match=r"none of the model's labels \(N, G\) explains MA: one of referable_dr"):
        explaining_label("MA", ("N", "G"))
    with pytest.raises(UsageError, match="it is no lesion type that is known"):
        explaining_label("disc", ("N", "G"))
    with pytest.raises(UsageError, match="no label 'referable'; did you mean 'referable_dr'"):
        explaining_label("MA", ("any_dr", "referable_dr"), asked="referable")


# the published files


@pytest.mark.real
def test_idrids_lesions_as_published(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = real_data / "idrid" / "A. Segmentation"
    cohort = read_cohort("idrid-lesions", root)
    assert len(cohort) == 16 and census(cohort)["missing_images"] == 0
    assert Counter(mask.code for mask in find_masks(cohort)) == {"MA": 16, "HE": 16, "EX": 16, "SE": 6}
    masks = [*find_masks(cohort), *find_masks(cohort, ("OD",))]
    assert len(masks) == 70
    for mask in masks[::9]:
        assert (mask.read(4288, 2848) == np.asarray(Image.open(mask.path))).all()
    assert flags(cohort) == {"part_absent": 1}
    assert run(["cohort", "check", "--layout", "idrid-lesions", "--root", str(root), "--quick", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["labels"]["eyes"]["SE"]["present"] == 6


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    lists = tmp_path / "resources" / "traindatasets"
    lists.mkdir(parents=True)
    (tmp_path / "resources" / "images" / "ddb1_groundtruth").mkdir(parents=True)
    (lists / "trainset.txt").write_bytes(b"image001.png\n\xff\xfe")
    with pytest.raises(DataError, match=r"trainset\.txt is not UTF-8 text; copy it again"):
        read_cohort("diaretdb1", tmp_path)
