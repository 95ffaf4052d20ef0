"""The B-scans of made eyes: true masks and measures, agreement with the photograph, and the two published layouts."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from eyeground.cohorts import CohortOptions, read_cohort
from eyeground.errors import DataError
from eyeground.phantom.cohort import IMAGES, WORKBOOK, Spec, fill, make_patient
from eyeground.phantom.draw import patient
from eyeground.phantom.oct import layers, layouts, section
from eyeground.phantom.oct.draw import draw
from eyeground.phantom.oct.scan import Bscan, scan
from eyeground.phantom.oct.sheet import oct_sheet
from eyeground.phantom.oct.traits import HEIGHT, UM_Z, WIDTH
from eyeground.phantom.render import render
from eyeground.phantom.traits import Difficulty, EyeTraits
from eyeground.vocabulary import ODIR
from oct_made import kind_of

MIDDLE = Difficulty.at(0.5)
PATIENTS, SIZE = 20, 96
LESIONS = ("subretinal_fluid", "intraretinal_fluid", "fluid", "drusen", "ped", "exudate", "hyperreflective", "polyp")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "cohort"
    fill(folder, PATIENTS, Spec(SIZE, 0, 0.5, oct=True))
    return folder


@pytest.fixture(scope="module")
def truth(root: Path) -> dict[str, Any]:
    return json.loads((root / "truth.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def scans() -> list[tuple[str, EyeTraits, Bscan]]:
    """Some eyes of each class, with their B-scans."""
    wanted = {"normal": 8, "dry": 6, "wet": 4, "pcv": 4, "dme": 5}
    found = []
    for number in range(1, 900):
        for eye in patient(0, number, MIDDLE).eyes:
            name = kind_of(eye)
            if wanted.get(name, 0) > 0:
                wanted[name] -= 1
                found.append((name, eye, scan(eye, MIDDLE)))
    assert not any(wanted.values())
    return found


def has(bscan: Bscan, *names: str) -> list[bool]:
    return [f"oct_{name}" in bscan.masks for name in names]


def eyes_of(truth: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for record in truth["patients"]:
        for eye in record["eyes"].values():
            yield record, eye


def test_masks_say_what_the_class_says(scans: list[tuple[str, EyeTraits, Bscan]]) -> None:
    for name, eye, bscan in scans:
        assert has(bscan, "retina") == [True]
        if name == "normal":
            assert not any(has(bscan, *LESIONS))
        if name == "dry":
            assert has(bscan, "drusen", "fluid", "ped") == [True, False, False]
        if name == "wet":
            assert has(bscan, "fluid", "ped") == [True, True]
            assert not any(has(bscan, "polyp"))
        if name == "pcv":
            assert all(has(bscan, "ped", "polyp", "subretinal_fluid"))
        if name == "dme":
            assert all(has(bscan, "intraretinal_fluid"))
            assert not any(has(bscan, "drusen", "ped"))
        assert all(mask.any() for mask in bscan.masks.values())
        assert bscan.truth["masks"] == {key: np.count_nonzero(mask) for key, mask in bscan.masks.items()}
        assert eye.side in ("left", "right")


def test_fluid_is_the_union_and_lies_where_it_belongs(scans: list[tuple[str, EyeTraits, Bscan]]) -> None:
    for _, _, bscan in scans:
        none = np.zeros((HEIGHT, WIDTH), np.uint8)
        under, within, fluid, retina = (
            bscan.masks.get(f"oct_{name}", none) > 0
            for name in ("subretinal_fluid", "intraretinal_fluid", "fluid", "retina")
        )
        assert ((under | within) == fluid).all()
        assert not (under & within).any()
        assert not (fluid & ~retina).any()
        for below in ("drusen", "ped"):
            assert not ((bscan.masks.get(f"oct_{below}", none) > 0) & retina).any()


def test_healthy_thickness_is_the_published_one(scans: list[tuple[str, EyeTraits, Bscan]]) -> None:
    """270 +- 23 um in the central millimetre, 228 um at the foveal point (Grover et al., Am J Ophthalmol 148, 2009)."""
    central = {
        name: [b.truth["central_thickness_um"] for kind, _, b in scans if kind == name] for name in ("normal", "dme")
    }
    point = [bscan.truth["foveal_thickness_um"] for kind, _, bscan in scans if kind == "normal"]
    assert 250 < np.mean(central["normal"]) < 280
    assert np.std(central["normal"]) < 23
    assert 210 < np.mean(point) < 245
    assert np.mean(central["dme"]) > np.mean(central["normal"]) + 60


def test_the_pit_is_the_thinnest_place_of_a_normal_eye(scans: list[tuple[str, EyeTraits, Bscan]]) -> None:
    for name, _, bscan in scans:
        if name == "normal":
            retina = (bscan.masks["oct_retina"] > 0).sum(axis=0)
            fovea = bscan.truth["fovea_column"]
            near = np.abs(np.arange(WIDTH) - fovea) < 110
            thin = np.flatnonzero(near & (retina == retina[near].min()))
            assert abs(thin.mean() - fovea) < 4
            assert abs(retina[round(fovea)] * UM_Z - bscan.truth["foveal_thickness_um"]) < 12


def test_a_left_eye_is_a_right_eye_mirrored(scans: list[tuple[str, EyeTraits, Bscan]]) -> None:
    for name, eye, bscan in scans[:6] + scans[-4:]:
        other = scan(dataclasses.replace(eye, side="right" if eye.side == "left" else "left"), MIDDLE)
        assert (other.pixels == bscan.pixels[:, ::-1]).all(), name
        assert other.truth["fovea_column"] == pytest.approx(WIDTH - 1 - bscan.truth["fovea_column"], abs=0.011)
        right = bscan if eye.side == "right" else other
        edge = right.truth["disc_edge_column"]
        assert edge is None or edge > right.truth["fovea_column"] + 250
        retina = right.masks["oct_retina"] > 0
        assert not retina[:, round(edge) + 15 :].any() if edge else True


def test_the_nose_has_the_thicker_nerve_fibres(scans: list[tuple[str, EyeTraits, Bscan]]) -> None:
    eye = next(eye for name, eye, _ in scans if name == "normal")
    x = np.array([-3.0, -2.0, 0.0, 2.0, 3.0], np.float32)
    crossed = section.cross(eye)
    fibres = layers.healthy(x, draw(eye, crossed, False, MIDDLE).tissue)[0]
    assert fibres[4] > fibres[3] > 1.5 * fibres[1] > fibres[2]


def test_drusen_and_exudates_are_where_the_fundus_has_them(scans: list[tuple[str, EyeTraits, Bscan]]) -> None:
    """Columns of the photograph's mask on the row of the fovea, in millimetres, against columns of the B-scan's."""
    checked = 0
    for name, eye, bscan in scans:
        if name != "dry" or "oct_atrophy" in bscan.masks or any(True for _ in eye.of("geographic_atrophy")):
            continue
        flat = dataclasses.replace(eye.camera, rotation=0.0, fovea_x=0.0, fovea_y=0.0, offset_x=0.0, offset_y=0.0)
        photograph = render(dataclasses.replace(eye, camera=flat, side="right"), 512)
        pixel = 6.5 / (256 * eye.camera.field)
        row = round(255.5)
        marked = photograph.masks["drusen"][row - 2 : row + 3].any(axis=0)
        on_fundus = (np.flatnonzero(marked) - 255.5) * pixel
        seen = bscan.masks["oct_drusen"].any(axis=0)
        columns = np.flatnonzero(seen if eye.side == "right" else seen[::-1])
        fovea = bscan.truth["fovea_column"] if eye.side == "right" else WIDTH - 1 - bscan.truth["fovea_column"]
        on_scan = (columns - fovea) * 0.0115
        inside = on_fundus[np.abs(on_fundus) < 3.2]
        if len(inside) > 5:
            apart = np.abs(inside[:, None] - on_scan[None]).min(axis=1)
            assert np.mean(apart < 0.06) > 0.9
            checked += 1
    assert checked >= 3


def test_files_and_truth_agree(root: Path, truth: dict[str, Any]) -> None:
    assert truth["oct"] is True
    assert truth["version"] == 2
    for _, eye in eyes_of(truth):
        stem = Path(eye["file"]).stem
        assert eye["oct"]["file"] == f"{stem}.png"
        pixels = cv2.imread(str(root / "oct" / f"{stem}.png"), cv2.IMREAD_UNCHANGED)
        assert pixels.shape == (HEIGHT, WIDTH)
        assert eye["oct"]["size"] == [WIDTH, HEIGHT]
        assert eye["dme"] in (True, False)
        assert (eye["amd"] is not None) == ("A" in eye["labels"])
        for name, area in eye["oct"]["masks"].items():
            mask = cv2.imread(str(root / "masks" / name / f"{stem}.png"), cv2.IMREAD_UNCHANGED)
            assert mask.shape == (HEIGHT, WIDTH)
            assert np.count_nonzero(mask) == area > 0
            assert set(np.unique(mask)) <= {0, 255}
        lines = eye["oct"]["boundaries"]
        assert all(a < b for a, b in zip(lines["ilm"], lines["bruch"], strict=True))


def test_the_fundus_is_the_same_with_and_without_scans(root: Path, truth: dict[str, Any], tmp_path: Path) -> None:
    fill(tmp_path / "plain", 4, Spec(SIZE, 0, 0.5))
    for record in json.loads((tmp_path / "plain" / "truth.json").read_text())["patients"]:
        for side, eye in record["eyes"].items():
            name = f"{record['id']}_{side}"
            assert (tmp_path / "plain" / IMAGES / f"{name}.jpg").read_bytes() == (
                root / IMAGES / f"{name}.jpg"
            ).read_bytes()
            with_scan = dict(truth["patients"][record["id"] - 1]["eyes"][side])
            with_scan.pop("oct")
            assert eye == with_scan
    assert not (tmp_path / "plain" / "oct").exists()


def test_a_patient_is_the_same_however_many_are_made(root: Path, tmp_path: Path) -> None:
    make_patient(tmp_path, Spec(SIZE, 0, 0.5, oct=True), 7)
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.*") if ".parts" not in path.parts}
    assert len(made) > 10
    for path in made:
        assert (tmp_path / path).read_bytes() == (root / path).read_bytes()


def test_odir_reads_it_as_before(root: Path) -> None:
    cohort = read_cohort("odir", root, CohortOptions())
    assert len(cohort) == PATIENTS
    assert len(pd.read_excel(root / WORKBOOK)) == PATIENTS


def eye_id(name: str) -> str:
    """The published rule: drop the first two characters and the extension, cut at the first `_`."""
    return name.split(".", maxsplit=1)[0][2:].split("_", maxsplit=1)[0]


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def test_mmc_amd_pairs_by_the_published_rule(root: Path, truth: dict[str, Any]) -> None:
    taken = sum(eye["labels"] in (["N"], ["A"]) for _, eye in eyes_of(truth))
    amd = {
        eye["oct"]["layouts"]["mmc-amd"]["eye"]: eye["amd"]
        for _, eye in eyes_of(truth)
        if "mmc-amd" in eye["oct"]["layouts"]
    }
    for split in ("A", "AP"):
        eyes: list[str] = []
        subjects: list[str] = []
        for name in layouts.PARTS:
            folder = root / "mmc-amd" / f"mmc-amd-split{split}-{name}"
            cfp, oct_ = (lines_of(folder / "ImageSets" / f"{kind}.txt") for kind in ("cfp", "oct"))
            assert [eye_id(i) for i in cfp] == [eye_id(i) for i in oct_] == lines_of(folder / "EyeSets" / "cfp.txt")
            assert [f"{a} {b}" for a, b in zip(cfp, oct_, strict=True)] == lines_of(folder / "ImageSets" / "mm.txt")
            eyes += [eye_id(i) for i in cfp]
            subjects += lines_of(folder / "SubjectSets" / "oct.txt")
            for kind, ids, place in (("cfp", cfp, layouts.CFP), ("oct", oct_, layouts.OCT)):
                classes = [line.split() for line in lines_of(folder / "annotations" / f"{kind}.txt")]
                assert [row[0] for row in classes] == ids
                for image, number in classes:
                    letter = "hdpw"[int(number)]
                    assert image[2] == letter
                    assert {"h": None, "d": "dry", "p": "pcv", "w": "wet"}[letter] == amd[eye_id(image)]
                files = {path.stem for path in (folder / "ImageData" / place).iterdir()}
                assert files == set(ids)
                for image in ids[:1]:
                    assert cv2.imread(str(folder / "ImageData" / place / f"{image}.jpg")).shape == (448, 448, 3)
        assert len(eyes) == len(set(eyes)) == taken > 10
        if split == "AP":
            assert len(subjects) == len(set(subjects))


def test_splits_have_their_shares_and_follow_from_the_number() -> None:
    by_patient = [layouts.part(5, number) for number in range(1, 101)]
    by_eye = [layouts.part(5, number, side) for number in range(1, 101) for side in ("left", "right")]
    for parts in (by_patient, by_eye):
        assert [parts.count(name) / len(parts) for name in layouts.PARTS] == [0.7, 0.15, 0.15]
    assert by_patient != [layouts.part(6, number) for number in range(1, 101)]


def test_tvhl_has_the_published_columns_and_true_labels(root: Path, truth: dict[str, Any]) -> None:
    tables = {key: pd.read_csv(root / "tvhl" / f"{key}.csv", dtype=str) for key in ("EYE FUNDUS", "OCT")}
    wanted = {}
    for record, eye in eyes_of(truth):
        if eye["labels"] in (["N"], ["D"]):
            side = "OD" if eye["file"].endswith("_right.jpg") else "OI"
            grade = "0" if eye["icdr_grade"] == 0 else "PDR" if eye["icdr_grade"] == 4 else "NPDR"
            wanted[f"{10000 + record['id']}_{side}"] = (str(int(eye["dme"])), grade)
    for (key, table), letter in zip(tables.items(), "fo", strict=True):
        assert list(table.columns) == ["Name", "DME", "DR", "Size", "Format"]
        assert dict(zip(table["Name"], zip(table["DME"], table["DR"], strict=True), strict=True)) == {
            f"{stem}_{letter}_1": labels for stem, labels in wanted.items()
        }
        for row in table.itertuples():
            pixels = cv2.imread(str(root / "tvhl" / key / f"{row.Name}.jpg"))
            assert f"{pixels.shape[1]}X{pixels.shape[0]}" == row.Size
    assert {"0", "NPDR"} <= {labels[1] for labels in wanted.values()}


def test_tvhl_tables_look_like_the_real_ones(root: Path, real_data: Path) -> None:
    for key in ("EYE FUNDUS", "OCT"):
        path = real_data / "tvhl" / f"{key}.csv"
        if not path.is_file():
            pytest.skip(f"no {path}")
        real, made = (pd.read_csv(place, dtype=str) for place in (path, root / "tvhl" / f"{key}.csv"))
        assert list(real.columns) == list(made.columns)
        pattern = r"\d+_(OD|OI)_[fo]_\d+"
        assert real["Name"].str.fullmatch(pattern).mean() > 0.98
        assert made["Name"].str.fullmatch(pattern).all()
        assert set(made["DR"]) <= set(real["DR"])
        assert set(made["Format"]) <= set(real["Format"])


def test_normal_scans_are_as_bright_as_real_ones(scans: list[tuple[str, EyeTraits, Bscan]], real_data: Path) -> None:
    """Grey values of the whole picture: the brightest hundredth and the dark half lie in the real scans' range."""
    paths = sorted((real_data / "tvhl" / "OCT").glob("*.jpg"))[:60]
    if not paths:
        pytest.skip("no real B-scans")
    real = np.array([np.percentile(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), (40, 99)) for path in paths])
    made = np.array([np.percentile(bscan.pixels, (40, 99)) for name, _, bscan in scans if name == "normal"])
    for column in (0, 1):
        low, high = np.percentile(real[:, column], (2, 98))
        assert low - 5 <= np.median(made[:, column]) <= high + 5


def snapshot(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != WORKBOOK)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_stopped_half_way_and_called_again_it_completes(tmp_path: Path) -> None:
    def stops(items: Iterable[Any], label: str, total: int | None = None) -> Iterator[Any]:
        for index, item in enumerate(items):
            if index == 1:
                raise KeyboardInterrupt
            yield item

    spec, whole, broken = Spec(96, 3, 0.5, oct=True), tmp_path / "whole", tmp_path / "broken"
    fill(whole, 3, spec)
    with pytest.raises(KeyboardInterrupt):
        fill(broken, 3, spec, track=stops)
    assert not (broken / "truth.json").exists()
    (broken / "oct" / "3_left.png").write_bytes(b"half a file")
    fill(broken, 2, spec)
    fill(broken, 3, spec)
    assert snapshot(broken) == snapshot(whole)


def test_with_and_without_scans_in_one_folder_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"with B-scans: add --oct or choose another folder"):
        fill(root, 1, Spec(SIZE, 0, 0.5))
    fill(tmp_path / "plain", 1, Spec(SIZE, 0, 0.5))
    with pytest.raises(DataError, match=r"without B-scans: leave --oct away or choose another folder"):
        fill(tmp_path / "plain", 1, Spec(SIZE, 0, 0.5, oct=True))
    with pytest.raises(DataError, match="made without B-scans"):
        oct_sheet(tmp_path / "plain")


def test_the_sheet_shows_every_class(root: Path) -> None:
    sheet = cv2.imread(str(oct_sheet(root, 1)))
    assert sheet.shape[1] == 4 * 576
    assert sheet.shape[0] >= 3 * 372


def test_keywords_name_only_known_phrases(truth: dict[str, Any]) -> None:
    assert truth["patients"]
    for _, eye in eyes_of(truth):
        assert set(eye["labels"]) <= set(ODIR.codes)
