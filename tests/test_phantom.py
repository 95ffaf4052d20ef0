"""The phantom eye: the truth is true, the layout is the challenge's, and a seed decides everything."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from eyeground.cohorts import CohortOptions, read_cohort
from eyeground.errors import DataError, UsageError
from eyeground.phantom import make_cohort
from eyeground.phantom.canvas import Canvas, Frame
from eyeground.phantom.cohort import IMAGES, WORKBOOK, Spec, make_patient
from eyeground.phantom.draw import patient
from eyeground.phantom.findings.diabetes import icdr_grade
from eyeground.phantom.render import ANATOMY, KINDS, render, without_findings
from eyeground.phantom.sheet import contact_sheet
from eyeground.phantom.traits import Difficulty, EyeTraits, Finding
from eyeground.vocabulary import ODIR

PATIENTS, SIZE = 20, 128
MIDDLE = Difficulty.at(0.5)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "cohort"
    make_cohort(folder, PATIENTS, SIZE)
    return folder


@pytest.fixture(scope="module")
def truth(root: Path) -> dict[str, Any]:
    return json.loads((root / "truth.json").read_text(encoding="utf-8"))


def every_eye(count: int = 60) -> Iterator[EyeTraits]:
    for number in range(1, count + 1):
        yield from patient(0, number, MIDDLE).eyes


def test_the_workbook_has_the_challenges_columns(root: Path) -> None:
    table = pd.read_excel(root / WORKBOOK)
    assert list(table.columns[:7]) == [
        "ID",
        "Patient Age",
        "Patient Sex",
        "Left-Fundus",
        "Right-Fundus",
        "Left-Diagnostic Keywords",
        "Right-Diagnostic Keywords",
    ]
    assert list(table.columns[7:]) == list(ODIR.codes)
    assert table["ID"].tolist() == list(range(1, PATIENTS + 1))
    for name in (*table["Left-Fundus"], *table["Right-Fundus"]):
        assert (root / IMAGES / name).is_file()


def test_keywords_round_trip_through_the_label_rules(root: Path, truth: dict[str, Any]) -> None:
    cohort = read_cohort("odir", root, CohortOptions())
    assert len(cohort) == PATIENTS
    for visit, record in zip(cohort.visits, truth["patients"], strict=True):
        assert visit.patient == str(record["id"])
        assert visit.labels == tuple(int(code in record["labels"]) for code in ODIR.codes)
        for eye in visit.eyes:
            assert eye is not None
            assert eye.path is not None
            wanted = record["eyes"][eye.side]
            assert eye.labels == tuple(int(code in wanted["labels"]) for code in ODIR.codes)
            assert eye.keywords == tuple(wanted["keywords"])


def test_a_label_is_present_exactly_where_its_mask_is(root: Path, truth: dict[str, Any]) -> None:
    for record in truth["patients"]:
        for eye in record["eyes"].values():
            assert set(eye["masks"]) & set(ODIR.codes) == set(eye["labels"]) - {"N"}
            assert set(ANATOMY) - {"cup"} <= set(eye["masks"])
            for name, area in eye["masks"].items():
                mask = cv2.imread(str(root / "masks" / name / f"{Path(eye['file']).stem}.png"), cv2.IMREAD_GRAYSCALE)
                assert mask.shape == (SIZE, SIZE)
                assert np.count_nonzero(mask) == area > 0
                assert set(np.unique(mask)) <= {0, 255}


def test_masks_lie_in_the_field_and_a_label_is_the_union_of_its_findings() -> None:
    for eye in every_eye(20):
        masks = render(eye, SIZE).masks
        assert set(masks) <= {*ANATOMY, *KINDS, *ODIR.codes}
        field = masks["field"] > 0
        assert all(not ((mask > 0) & ~field).any() for mask in masks.values())
        findings = [masks[kind] for kind in KINDS if kind in masks]
        labels = [masks[code] for code in ODIR.codes if code in masks]
        if findings:
            assert (np.max(findings, axis=0) == np.max(labels, axis=0)).all()


def test_the_picture_changes_where_the_mask_says() -> None:
    checked = 0
    for eye in every_eye(40):
        kinds = {finding.kind for finding in eye.findings}
        if not kinds or kinds & {"lens_opacity", "media_opacity"}:
            continue
        photograph, healthy = render(eye, 256), render(without_findings(eye), 256)
        change = np.abs(photograph.pixels.astype(int) - healthy.pixels).max(axis=2)
        found = np.max([photograph.masks[code] for code in eye.labels], axis=0) > 0
        near = cv2.dilate(found.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        assert change[~near].mean() < 0.5
        if not kinds & {"tessellation", "cupping", "narrow_artery"}:  # part of these is the anatomy itself
            assert change[found].mean() > 6
            checked += 1
    assert checked >= 12


def test_the_disc_is_as_large_and_as_cupped_as_the_truth_says() -> None:
    for eye in every_eye(12):
        masks = render(eye, 512).masks
        high = {name: np.ptp(np.argwhere(masks[name])[:, 0]) + 1 for name in ("disc", "cup")}
        frame = Frame.of(eye.camera, 512, 1 if eye.side == "right" else -1)
        assert high["disc"] == pytest.approx(2 * eye.anatomy.disc_radius * frame.radius, rel=0.08)
        assert high["cup"] / high["disc"] == pytest.approx(eye.anatomy.cup_ratio, abs=0.05)


def test_colours_are_those_of_cameras() -> None:
    """Quantiles of the median pixel of 600 of ODIR-5K's training photographs, with room for 160 made eyes."""
    colours = np.array([(eye.camera.red, eye.camera.green, eye.camera.blue) for eye in every_eye(80)])
    red, green_by_red, blue_by_green = colours[:, 0], colours[:, 1] / colours[:, 0], colours[:, 2] / colours[:, 1]
    for values, measured in (
        (red, (92, 146, 198)),
        (green_by_red, (0.46, 0.63, 0.76)),
        (blue_by_green, (0.16, 0.55, 0.74)),
    ):
        assert np.allclose(np.quantile(values, (0.1, 0.5, 0.9)), measured, rtol=0.15, atol=0.08)
    assert blue_by_green.max() < 0.95
    assert np.corrcoef(green_by_red, blue_by_green)[0, 1] > 0.4


def test_laterality_the_disc_is_nasal() -> None:
    for eye in every_eye(30):
        masks = render(eye, SIZE).masks
        disc, fovea = (np.argwhere(masks[name]).mean(axis=0)[1] for name in ("disc", "fovea"))
        assert disc > fovea if eye.side == "right" else disc < fovea
        bright = render(without_findings(eye), SIZE).pixels[..., 1][masks["disc"] > 0].mean()
        assert bright > np.median(render(without_findings(eye), SIZE).pixels[..., 1][masks["field"] > 0])


def test_truth_places_disc_and_fovea_where_their_masks_are(root: Path, truth: dict[str, Any]) -> None:
    for record in truth["patients"][:6]:
        for eye in record["eyes"].values():
            for name, place in (("disc", eye["disc"]["centre"]), ("fovea", eye["fovea"])):
                mask = cv2.imread(str(root / "masks" / name / f"{Path(eye['file']).stem}.png"), cv2.IMREAD_GRAYSCALE)
                assert np.allclose(np.argwhere(mask).mean(axis=0)[::-1], place, atol=1.5)


def test_the_same_eye_at_another_size_is_the_same_eye() -> None:
    eye = next(eye for eye in every_eye() if eye.grade >= 2)
    small, large = render(eye, 256), render(eye, 512)
    reduced = cv2.resize(large.pixels, (256, 256), interpolation=cv2.INTER_AREA)
    assert np.abs(reduced.astype(int) - small.pixels)[small.masks["field"] > 0].mean() < 6
    for name in ("disc", "field", "D"):
        mask = cv2.resize(large.masks[name], (256, 256), interpolation=cv2.INTER_AREA) > 127
        other = small.masks[name] > 0
        assert (mask & other).sum() > (0.6 if name == "D" else 0.93) * (mask | other).sum()


def test_every_label_looks_the_same_at_another_size() -> None:
    for code in ODIR.codes:
        eye = next(eye for eye in every_eye() if eye.labels == (code,))
        small, large = render(eye, 192), render(eye, 384)
        reduced = cv2.resize(large.pixels, (192, 192), interpolation=cv2.INTER_AREA)
        assert np.abs(reduced.astype(int) - small.pixels)[small.masks["field"] > 0].mean() < 7
        assert set(large.masks) == set(small.masks)


def test_what_is_opaque_keeps_its_colour_under_any_camera() -> None:
    """Sclera, disc and exudates are alike in an orange and in a grey photograph; the retina itself is not."""
    ratios = []
    for green, blue in ((60.0, 12.0), (110.0, 80.0)):
        camera = dataclasses.replace(next(every_eye(1)).camera, red=140.0, green=green, blue=blue)
        canvas = Canvas.blank(Frame.of(camera, 16, 1))
        canvas.cover(canvas.whole(np.ones((16, 16), np.float32)), (1.6, 2.0, 1.8))
        seen = canvas.pixels[8, 8] * (camera.red, camera.green, camera.blue)
        ratios.append(seen[1:] / seen[0])
    (orange_green, orange_blue), (grey_green, grey_blue) = ratios
    assert grey_green / orange_green < (110 / 60) ** 0.5
    assert grey_blue / orange_blue < (80 / 12) ** 0.5


def test_grades_follow_the_icdr_rules() -> None:
    def many(kind: str, points: Iterable[tuple[float, float]]) -> list[Finding]:
        return [Finding(kind, "D", x, y, 0.02) for x, y in points]

    corners = [(x, y) for x in (-0.3, 0.3) for y in (-0.3, 0.3)]
    assert icdr_grade([]) == 0
    assert icdr_grade(many("microaneurysm", corners)) == 1
    assert icdr_grade(many("haemorrhage", corners)) == 2
    assert icdr_grade(many("haemorrhage", corners * 20)) == 2
    assert icdr_grade(many("haemorrhage", corners * 21)) == 3
    assert icdr_grade([Finding("venous_beading", "D", angle=side) for side in (-1.0, 1.0)]) == 3
    assert icdr_grade(many("neovascularisation", corners[:1])) == 4
    assert icdr_grade([Finding("flame_haemorrhage", "H", 0.2, 0.2, 0.03)]) == 0


def test_drawn_grades_match_the_readers_words() -> None:
    words = {
        1: "mild nonproliferative retinopathy",
        2: "moderate non proliferative retinopathy",
        3: "severe nonproliferative retinopathy",
        4: "proliferative diabetic retinopathy",
    }
    seen = Counter()
    for eye in every_eye(200):
        assert (eye.grade > 0) == ("D" in eye.labels)
        if eye.grade:
            assert words[eye.grade] in eye.keywords
        seen[eye.grade] += 1
    assert set(seen) == {0, 1, 2, 3, 4}


def test_every_block_of_twenty_has_every_label_twice_and_200_have_each_twelve_times() -> None:
    labels = [patient(0, number, MIDDLE).labels for number in range(1, 201)]
    for start in range(0, 200, 20):
        count = Counter(code for row in labels[start : start + 20] for code in row)
        assert all(count[code] >= 2 for code in ODIR.codes)
    count = Counter(code for row in labels for code in row)
    assert min(count.values()) >= 12


def test_a_patient_is_the_same_however_many_are_made(root: Path, tmp_path: Path) -> None:
    make_patient(tmp_path, Spec(SIZE, 0, 0.5), 17)
    for side in ("left", "right"):
        assert (tmp_path / IMAGES / f"17_{side}.jpg").read_bytes() == (root / IMAGES / f"17_{side}.jpg").read_bytes()
    assert patient(1, 17, MIDDLE) != patient(0, 17, MIDDLE)


def test_difficulty_fades_lesions() -> None:
    easy, hard = (Difficulty.at(level) for level in (0.0, 1.0))
    assert easy.contrast > MIDDLE.contrast > hard.contrast
    strengths = [
        np.mean(
            [
                finding.strength
                for number in range(1, 21)
                for eye in patient(0, number, d).eyes
                for finding in eye.findings
            ]
        )
        for d in (easy, hard)
    ]
    assert strengths[0] > 1.5 * strengths[1]


def snapshot(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != WORKBOOK)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_stopped_half_way_and_called_again_it_completes(tmp_path: Path) -> None:
    def stops(items: Iterable[Any], label: str, total: int | None = None) -> Iterator[Any]:
        for index, item in enumerate(items):
            if index == 2:
                raise KeyboardInterrupt
            yield item

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    make_cohort(whole, 5, 96)
    with pytest.raises(KeyboardInterrupt):
        make_cohort(broken, 5, 96, track=stops)
    assert not (broken / "truth.json").exists()
    (broken / IMAGES / "5_left.jpg").write_bytes(b"half a file")
    make_cohort(broken, 5, 96)
    assert snapshot(broken) == snapshot(whole)
    assert pd.read_excel(broken / WORKBOOK).equals(pd.read_excel(whole / WORKBOOK))


def test_a_cohort_grows_and_is_not_painted_twice(tmp_path: Path) -> None:
    make_cohort(tmp_path / "c", 2, 96)
    first = tmp_path / "c" / IMAGES / "1_left.jpg"
    stamp = first.stat().st_mtime_ns
    make_cohort(tmp_path / "c", 4, 96, workers=2)
    assert first.stat().st_mtime_ns == stamp
    make_cohort(tmp_path / "d", 4, 96)
    assert snapshot(tmp_path / "c") == snapshot(tmp_path / "d")


@pytest.mark.parametrize(
    "change",
    [{"patients": 0}, {"size": 32}, {"seed": -1}, {"difficulty": 1.5}, {"difficulty": float("nan")}, {"workers": 0}],
)
def test_a_number_out_of_range_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(change))} can't be .*: it takes a number from"):
        make_cohort(tmp_path / "c", **({"patients": 1} | change))
    assert not (tmp_path / "c").exists()


def test_another_cohort_or_a_strange_folder_is_refused(tmp_path: Path) -> None:
    make_cohort(tmp_path / "c", 1, 96)
    with pytest.raises(DataError, match="another made cohort"):
        make_cohort(tmp_path / "c", 1, 96, seed=1)
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        make_cohort(strange, 1, 96)
    with pytest.raises(DataError, match="a file"):
        make_cohort(strange / "thesis.txt", 1, 96)


def test_the_contact_sheet_shows_every_row_twice(root: Path) -> None:
    sheet = cv2.imread(str(contact_sheet(root, 8)))
    assert sheet.shape == (4 * 256, 8 * 256, 3)
    assert (sheet[:256] != sheet[256:512]).any()


def test_traits_are_plain_and_frozen() -> None:
    eye = patient(0, 1, MIDDLE).eyes[0]
    json.dumps(dataclasses.asdict(eye), allow_nan=False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        eye.grade = 4  # type: ignore[misc]


def test_a_damaged_truth_is_refused_and_mended_by_making_it_again(tmp_path: Path) -> None:
    make_cohort(tmp_path / "c", 2, 96)
    whole = (tmp_path / "c" / "truth.json").read_text(encoding="utf-8")
    for damage in ("{", "{}", "[]"):
        (tmp_path / "c" / "truth.json").write_text(damage)
        with pytest.raises(DataError, match="delete it and make the cohort again"):
            make_cohort(tmp_path / "c", 2, 96)
        with pytest.raises(DataError, match="delete it and make the cohort again"):
            contact_sheet(tmp_path / "c")
    (tmp_path / "c" / "truth.json").unlink()
    make_cohort(tmp_path / "c", 2, 96)
    assert (tmp_path / "c" / "truth.json").read_text(encoding="utf-8") == whole
