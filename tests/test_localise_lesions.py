"""Lesions drawn by hand against maps of a bundle that has no such labels: the command from end to end."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from conftest import Made
from eyeground.cli.main import run
from eyeground.cohorts.masks import MaskFile
from eyeground.errors import DataError, LeakError, UsageError
from eyeground.images.cache import CacheEntry
from eyeground.images.geometry import Geometry
from eyeground.metrics.resample import Plan
from eyeground.progress import quiet
from eyeground.records import SIDES, Cohort, Eye, Visit
from eyeground.runs.explained import Explained, EyeMaps
from eyeground.runs.lesions import Lesioned, floors, is_healthy, lesion_scores
from eyeground.runs.localise import Localisation
from eyeground.runs.localise_out import _drawn
from eyeground.splits import Split
from eyeground.vocabulary import ODIR

PHOTOGRAPHS = "1. Original Images/a. Training Set"
TRUTHS = "2. All Segmentation Groundtruths/a. Training Set"


def lesion_root(made: Made, folder: Path, part: str) -> Path:
    """Photographs of a part with diabetic lesions, in IDRiD's layout: all of them called haemorrhages."""
    here = Split.load(made.split).folds[0].part(part)
    (folder / PHOTOGRAPHS).mkdir(parents=True)
    (folder / TRUTHS / "2. Haemorrhages").mkdir(parents=True)
    masks = sorted((made.root / "masks" / "D").iterdir())
    for mask in [one for one in masks if one.stem.split("_")[0] in here][:3]:
        photograph = next(made.root.rglob(f"{mask.stem}.jpg"))
        shutil.copy(photograph, folder / PHOTOGRAPHS / f"IDRiD_{mask.stem}.jpg")
        pixels = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)
        assert pixels is not None
        cv2.imwrite(str(folder / TRUTHS / "2. Haemorrhages" / f"IDRiD_{mask.stem}_HE.tif"), pixels)
    return folder


def flags(made: Made, root: Path, *more: str) -> list[str]:
    source = ["--layout", "idrid-lesions", "--root", str(root), "--cache", str(made.cache)]
    return ["localise", "--bundle", str(made.bundle), *source, "--resamples", "40", *more]


@pytest.fixture(scope="module")
def unseen(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lesion_root(made, tmp_path_factory.mktemp("lesions"), "test")


def healthy(made: Made) -> list[str]:
    return ["--healthy-layout", "odir", "--healthy-root", str(made.root), "--healthy-part", "test"]


def test_the_command_scores_every_map_and_draws_it(
    made: Made, unseen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    more = ["--maps", "evidence", "hue", "grad_cam", "occlusion", *healthy(made), "--out", str(tmp_path)]
    assert run(flags(made, unseen, *more)) == 0
    told = capsys.readouterr().out
    assert "HE" in told
    assert "floors" in told
    record = json.loads((tmp_path / "localisation.json").read_text())
    assert record["explained_by"] == {"HE": "D"}, "of ODIR's labels D explains lesions of retinopathy"
    assert [row["map"] for row in record["maps"]] == ["evidence", "hue", "grad_cam", "occlusion"]
    assert record["healthy"]["eyes"] > 0
    for row in [*record["maps"], *record["floors"]]:
        score = row["lesions"]["D"]
        assert score["n_images"] == 3 + record["healthy"]["eyes"]
        (level, _) = score["image_level"]
        assert (level["n_with"], level["n_without"]) == (3, record["healthy"]["eyes"])
        assert 0 <= level["az"] <= 1
        assert 0 <= score["froc"]["near"]["false"]["any"][0]["area"] <= 1
    assert record["maps"][1]["map_elements"] == [64, 64]
    evidence, hue, grad_cam, occlusion = record["maps"]
    assert grad_cam["map_elements"] == evidence["map_elements"]
    assert grad_cam["map_shift"] != [[0, 0]], "a strided trunk's elements do not sit on a regular grid"
    for regular in (hue, occlusion):
        assert regular["map_shift"] == [[0, 0]], "pixels and patches lie on a regular grid"
        assert not any("not known" in note for note in regular["notes"])
    assert cv2.imread(str(tmp_path / "froc.png")) is not None
    assert len(list((tmp_path / "overlays").glob("evidence-*.jpg"))) == 3
    assert len(list((tmp_path / "overlays").glob("hue-*.jpg"))) == 3


def test_without_healthy_eyes_the_image_level_is_undefined(
    made: Made, unseen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run(flags(made, unseen, "--json", "--label", "O")) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["explained_by"] == {"HE": "O"}
    assert record["maps"][0]["lesions"]["O"]["image_level"][0]["az"] is None
    assert record["healthy"] is None


def test_photographs_of_the_training_part_are_refused(made: Made, tmp_path: Path) -> None:
    with pytest.raises(LeakError, match="photograph"):
        run(flags(made, lesion_root(made, tmp_path, "train")))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--label", "X"], "no label 'X'"),
        (["--maps", "evidense"], "did you mean 'evidence'"),
        (["--maps", "hue", "hue"], "each once"),
        (["--healthy-layout", "odir"], "belong together"),
        (["--resamples", "-1"], "must be 0 or more"),
    ],
)
def test_refusals(made: Made, unseen: Path, more: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(flags(made, unseen, *more))


def test_healthy_eyes_must_be_unseen_too(made: Made, unseen: Path) -> None:
    with pytest.raises((LeakError, DataError)):
        run(flags(made, unseen, *healthy(made)[:-2]))


def test_every_eye_of_a_visit_is_drawn_on_its_own_photograph(tmp_path: Path) -> None:
    geometry = Geometry(64, 64, 0.0, 0.0, 64.0, 64)
    eyes: dict[Any, EyeMaps] = {}
    masks: dict[Any, tuple[MaskFile, ...]] = {}
    for side in SIDES:
        entry = CacheEntry(tmp_path / f"{side}.jpg", "0", geometry, {}, ())
        eyes["1", side] = EyeMaps(entry, np.zeros((1, 4, 4), np.float32), np.zeros(1, np.float32), (0.0, 0.0))
        masks["1", side] = (MaskFile("1", side, "D", tmp_path / "m.png"),)
    masks["1", "right"] = (MaskFile("1", "right", "M", tmp_path / "m.png"),)
    eyes["2", "left"] = eyes["1", "left"]
    masks["2", "left"] = (*masks["1", "left"], *masks["1", "right"])
    drawn = np.zeros((64, 64), np.uint8)
    drawn[8:16, 8:16] = 255
    cv2.imwrite(str(tmp_path / "m.png"), drawn)
    held = [{"type": "all", "curve": {"fpi": [0.0], "threshold": [None]}}]
    record = {"maps": [{"map": "hue", "lesions": {one: {"froc": {"near": {"false": {"any": held}}}} for one in "DM"}}]}
    lesioned = Lesioned(masks, {"D": ("D",), "M": ("M",)}, {"1": "1", "2": "2"})
    one = Explained("hue", "logit", eyes, ())
    found = Localisation(record, (one,), (), lesioned, ("D", "M"))
    for label, names in (("D", ["left", "left"]), ("M", ["right", "left"])):
        made = [sheet().photograph.stem for _, sheet in _drawn(found, replace(one, eyes=both(eyes)), label, (label,))]
        assert made == names, f"photographs with lesions of {label}, each with its own map"


def both(eyes: dict[Any, EyeMaps]) -> dict[Any, EyeMaps]:
    """Maps of two labels."""
    return {key: replace(eye, values=np.repeat(eye.values, 2, axis=0)) for key, eye in eyes.items()}


def test_warnings_of_both_cohorts_are_told() -> None:
    record = {"leak_audit": {"stamp": "one"}, "healthy": {"eyes": 1, "leak_audit": {"stamp": "two"}}}
    nothing: Any = ()
    assert Localisation(record, nothing, nothing, nothing, nothing).stamps == ("one", "two")
    assert Localisation({"leak_audit": {}, "healthy": None}, nothing, nothing, nothing, nothing).stamps == ()


def test_healthy_is_neither_retinopathy_nor_oedema() -> None:
    cohort = Cohort("idrid", Path(), ODIR, ())
    unknown = (None,) * len(ODIR)
    for grades, well in (((("dr", 0), ("dme", 0)), True), ((("dr", 0), ("dme", 1)), False), ((("dr", 1),), False)):
        eye = Eye("left", "a.jpg", None, unknown, grades=grades)
        assert is_healthy(Visit("1", "1", (eye, None), unknown), eye, cohort) is well


def test_a_true_map_finds_all_and_the_floors_do_not(tmp_path: Path) -> None:
    side, cells = 256, 64
    geometry = Geometry(side, side, 0.0, 0.0, float(side), side)
    drawn = np.zeros((side, side), np.uint8)
    for x, y in ((70, 80), (180, 90), (120, 190)):
        drawn[y : y + 6, x : x + 6] = 255
    cv2.imwrite(str(tmp_path / "m.png"), drawn)
    small = cv2.resize(drawn.astype(np.float32), (cells, cells), interpolation=cv2.INTER_AREA)
    values = small[None].astype(np.float32)
    entry = CacheEntry(tmp_path / "p.jpg", "0", geometry, {}, ())
    eyes: dict[Any, EyeMaps] = {
        ("1", "left"): EyeMaps(entry, values, np.zeros(1, np.float32), (0.0, 0.0)),
        ("healthy: 2", "left"): EyeMaps(entry, np.zeros_like(values), np.zeros(1, np.float32), (0.0, 0.0)),
    }
    asked = Lesioned(
        {("1", "left"): (MaskFile("1", "left", "HE", tmp_path / "m.png"),)},
        {"D": ("HE",)},
        {"1": "1", "healthy: 2": "2"},
        frozenset({("healthy: 2", "left")}),
    )
    found = Explained("evidence", "logit", eyes, ())
    areas = {}
    moved = replace(found, eyes={key: replace(eye, shift=(0.5, 0.5)) for key, eye in eyes.items()})
    assert {eye.shift for floor in floors(moved) for eye in floor.eyes.values()} == {(0.0, 0.0)}
    for one in (found, *floors(found)):
        score = lesion_scores(one, ["D"], asked, Plan(draws=0), quiet)["D"]
        areas[one.name] = score["froc"]["near"]["false"]["any"][0]["area"]
        if one is found:
            assert score["image_level"][0]["az"] == 1
            assert score["types"][0]["n_lesions"] == 3
    assert areas["evidence"] == 1
    assert max(areas["centre"], areas["noise"]) < 0.7
