"""The pointing game: what counts as a hit, what chance gives, and the command on a made cohort."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from conftest import Made
from eyeground.cli.main import main, run
from eyeground.cohorts.masks import MaskFile
from eyeground.images.cache import CacheEntry
from eyeground.images.geometry import Geometry
from eyeground.metrics.pointing import TOLERANCE, peak, point, tally
from eyeground.runs import pointings
from eyeground.runs.explained import Explained, EyeMaps

SIDE = 200
FIELD = np.ones((SIDE, SIDE), bool)


def square(left: int, top: int, side: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_the_peak_is_the_centre_of_the_strongest_element() -> None:
    values = np.zeros((4, 8))
    values[1, 6] = 3
    assert peak(values) == ((6 + 0.5) / 8, (1 + 0.5) / 4)
    assert peak(values + 100) == peak(values)
    assert peak(values[:, ::-1]) == (1 - peak(values)[0], peak(values)[1])
    for bad in (np.zeros((0, 3)), np.zeros(5), np.full((2, 2), np.nan)):
        with pytest.raises(ValueError, match="finite map"):
            peak(bad)


def test_a_point_is_inside_near_or_away() -> None:
    mask = square(50, 80, 20)
    inside = point(mask, (60.5, 90.5), FIELD, SIDE)
    assert (inside.inside, inside.hit) == (True, True)
    reach = TOLERANCE * SIDE  # 6 pixels
    near = point(mask, (70 + reach - 1, 90), FIELD, SIDE)
    assert (near.inside, near.hit) == (False, True)
    away = point(mask, (70 + reach + 1, 90), FIELD, SIDE)
    assert (away.inside, away.hit) == (False, False)
    assert inside.cover == 400 / SIDE**2
    assert inside.chance > inside.cover
    assert inside.local
    assert not point(FIELD, (1, 1), FIELD, SIDE).local
    assert point(mask, (-5, 90), FIELD, SIDE).hit is False  # outside the picture counts at its edge
    with pytest.raises(ValueError, match="neither empty"):
        point(np.zeros_like(mask), (1, 1), FIELD, SIDE)


def test_chance_is_what_random_points_score() -> None:
    mask = square(20, 30, 45)
    rows, columns = np.ogrid[:SIDE, :SIDE]
    field = (columns - SIDE / 2) ** 2 + (rows - SIDE / 2) ** 2 < (SIDE / 2) ** 2
    random = np.random.default_rng(0)
    candidates = np.argwhere(field)
    drawn = [
        point(mask, (x + 0.5, y + 0.5), field, SIDE) for y, x in candidates[random.integers(len(candidates), size=400)]
    ]
    rates = tally(drawn)
    assert rates["chance"] == pytest.approx(rates["hit_rate"], abs=0.06)
    assert rates["cover"] == pytest.approx(rates["inside_rate"], abs=0.06)
    assert tally([])["hit_rate"] is None


def test_a_peak_in_the_black_corner_is_none() -> None:
    values = np.zeros((8, 8))
    values[0, 0], values[5, 2] = 9, 1
    assert peak(values) == (2.5 / 8, 5.5 / 8)


def test_every_point_lands_on_its_own_eyes_own_label(tmp_path: Path) -> None:
    """Photographs with a border, another lesion in each eye and label: only the right map placed rightly hits."""
    width, height, size, cells = 500, 300, 64, 32
    geometry = Geometry(width, height, 120.0, 30.0, 240.0, size)
    centres = {
        ("left", "D"): (180, 100),
        ("left", "G"): (300, 90),
        ("right", "D"): (210, 200),
        ("right", "G"): (250, 60),
    }
    masks, maps = [], {}
    for side in ("left", "right"):
        evidence = np.zeros((2, cells, cells), np.float32)
        for c, code in enumerate("DG"):
            x, y = centres[side, code]
            drawn = np.zeros((height, width), np.uint8)
            drawn[y - 5 : y + 6, x - 9 : x + 10] = 255
            path = tmp_path / f"{side}_{code}.png"
            cv2.imwrite(str(path), drawn)
            masks.append(MaskFile("7", side, code, path))
            (at,) = geometry.to_view([(x + 0.5, y + 0.5)])
            evidence[c, int(at[1] * cells / size), int(at[0] * cells / size)] = 5
        entry = CacheEntry(tmp_path / f"{side}.jpg", "0", geometry, {}, ())
        maps["7", side] = EyeMaps(entry, evidence, np.array([1, -1], np.float32), (0.0, 0.0))
    found = played(masks, maps)
    assert [(one.side, one.code) for one in found] == list(centres)
    for one in found:
        x, y = centres[one.side, one.code]
        assert np.hypot(one.at[0] - x, one.at[1] - y) < 240 / cells
        assert one.result.inside
        reach = TOLERANCE * 240
        square = (19 + 2 * reach) * (11 + 2 * reach) - (4 - np.pi) * reach**2
        assert one.result.chance == pytest.approx(square / (np.pi * 120**2), rel=0.08)
    swapped = {("7", "left"): maps["7", "right"], ("7", "right"): maps["7", "left"]}
    assert not any(one.result.hit for one in played(masks, swapped))
    crossed = played(masks, maps, {"D": "G", "G": "D"})
    assert not any(one.result.hit for one in crossed)
    assert [one.label for one in crossed] == ["G", "D", "G", "D"]


def played(
    masks: list[MaskFile], maps: dict[Any, EyeMaps], explained_by: dict[str, str] | None = None
) -> list[pointings.Pointing]:
    """The pointing game of one explainer."""
    found = Explained("evidence", "logit", maps, ())
    return [one for (one,) in pointings.play(masks, [found], explained_by or {"D": "D", "G": "G"}, ("D", "G"))]


def test_a_mask_is_read_as_it_lies(tmp_path: Path) -> None:
    drawn = np.zeros((30, 50), np.uint8)
    drawn[4:9, 33:48] = 255
    cv2.imwrite(str(tmp_path / "m.png"), drawn)
    assert (MaskFile("1", "left", "D", tmp_path / "m.png").read(50, 30) == (drawn > 0)).all()


def flags(made: Made, root: Path) -> list[str]:
    return [
        "localise",
        "--bundle",
        str(made.bundle),
        "--layout",
        "odir",
        "--root",
        str(root),
        "--cache",
        str(made.cache),
    ]


def test_the_command_judges_every_finding_of_the_part_once(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--split", str(made.split), "--part", "test"]
    capsys.readouterr()
    assert run([*flags(made, made.root), *where, "--json", "--out", str(tmp_path), "--resamples", "50"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "localisation.json").read_text()) == record
    assert cv2.imread(str(tmp_path / "pointing.png")) is not None
    test = set(json.loads(made.split.read_text())["folds"][0]["test"])
    truth = json.loads((made.root / "truth.json").read_text())
    eyes = [eye for one in truth["patients"] if str(one["id"]) in test for eye in one["eyes"].values()]
    (row,) = record["maps"]
    pointing = row["pointing"]
    for row in pointing["per_class"]:
        assert row["n"] == sum(row["code"] in eye["labels"] for eye in eyes)
        assert 0 <= row["inside"] <= row["hits"] <= row["n"]
    assert pointing["local"]["n"] + pointing["everywhere_n"] == sum(row["n"] for row in pointing["per_class"])
    assert {row["code"] for row in pointing["per_class"] if row["cover"] > 0.5} >= {"C"}
    assert [row["map"] for row in record["floors"]] == ["centre", "noise"]
    assert record["explained_by"]["D"] == "D"
    assert "C" not in record["maps"][0]["lesions"], "a cataract is everywhere: no lesions to count"
    assert run([*flags(made, made.root), *where, "--resamples", "0"]) == 0
    told = capsys.readouterr().out
    assert "Chance: a point anywhere in the field" in told
    assert max(map(len, told.split("area: of")[0].splitlines())) <= 80


def test_what_can_not_be_localised_is_refused_in_one_line(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "cohort"
    shutil.copytree(made.root, root, ignore=shutil.ignore_patterns("masks"))
    assert main(flags(made, root)) != 0
    assert "no lesion masks in" in capsys.readouterr().err
    shutil.copytree(made.root / "masks", root / "masks")
    assert main(flags(made, root)) != 0  # without a part: training patients among them
    assert "training" in capsys.readouterr().err
    for name in "DGAHMO":
        shutil.rmtree(root / "masks" / name)
    assert main([*flags(made, root), "--part", "test", "--out", str(tmp_path / "out")]) == 0  # cataracts only
    assert not (tmp_path / "out" / "pointing.png").exists()
    capsys.readouterr()
    shutil.copytree(made.root / "masks" / "D", root / "masks" / "D")
    one = next((root / "masks" / "D").iterdir())
    cv2.imwrite(str(one), np.zeros((10, 10), np.uint8))
    for path in (root / "masks" / "D").iterdir():
        shutil.copy(one, path) if path != one else None
    assert main([*flags(made, root), "--part", "test"]) != 0
    assert "make them equal" in capsys.readouterr().err
