"""The outside benchmark: what its variants do to pixels, who counts as one person, numbers against scikit-learn's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from benchmarks.box import outside, outside_page
from sklearn.metrics import recall_score, roc_auc_score

from eyeground.images.field import find_field
from eyeground.images.prepare import Preprocessing
from eyeground.metrics.calibration import Calibration
from eyeground.vocabulary import ODIR
from graded_made import write

NAMES = [f"IDRiD_{n:03d}" for n in range(1, 13)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """IDRiD and TVHL of discs that are cut off above and below; the worse the grade, the redder."""
    draw = np.random.default_rng(0)
    truths = tmp_path / "idrid" / "2. Groundtruths"
    rows = [f"{name},{n % 5},{n % 3}" for n, name in enumerate(NAMES)]
    head = "Image name,Retinopathy grade,Risk of macular edema"
    write(truths / "a. IDRiD_Disease Grading_Training Labels.csv", head, *rows)
    for n, name in enumerate(NAMES):
        eye(tmp_path / "idrid" / "1. Original Images" / "a. Training Set" / f"{name}.jpg", 90 + 30 * (n % 5), draw)
    write(tmp_path / "idrid" / "duplicates.csv", "id,dup_group", "IDRiD_001,IDRiD_001", "IDRiD_004,IDRiD_001")
    rows = [f"{n}_{side}_f_{k},0,{('0', 'NPDR', 'PDR')[n % 3]},9,jpg" for n in range(1222, 1228) for k, side in SIDES]
    write(tmp_path / "tvhl" / "EYE FUNDUS.csv", "Name,DME,DR,Size,Format", *rows, "1228_OI_f_1,1,PDR,9,jpg")
    for row in (*rows, "1228_OI_f_1,1,PDR,9,jpg"):
        eye(tmp_path / "tvhl" / "EYE FUNDUS" / f"{row.split(',')[0]}.jpg", 120, draw)
    lines = ("2,fundus,1,a", "1223,fundus,1,b", "1224,oct,1,b", "1225,fundus,1,b")
    write(tmp_path / "tvhl" / "duplicates.csv", "patient_id,modality,sample,neardup_group", *lines)
    return tmp_path


SIDES = ((1, "OD"), (2, "OI"))


def eye(path: Path, red: int, draw: np.random.Generator) -> None:
    pixels = np.zeros((320, 480, 3), np.uint8)
    cv2.circle(pixels, (240, 160), 200, (40, 80, red), -1)
    pixels[pixels > 0] += draw.integers(0, 12, int((pixels > 0).sum())).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


@dataclass
class Made:
    """Answers with the mean red of the seen eyes; it may not see labels."""

    bundle: Any
    map_note: str = ""

    def predict(self, visits: Any, eyes: Any, evidence: bool) -> Any:
        assert not evidence and all(set(visit.labels) == {None} for visit in visits)
        means = [max(entry.load()[64:192, 64:192, 0].mean() for entry in pair if entry) for pair in eyes]
        logits = (np.array(means)[:, None] - 150) / 20 * np.where(np.array(ODIR.codes) == "N", -1, 1)
        return SimpleNamespace(visit_logits=logits.astype(np.float32))


def made() -> Any:
    labels = [{"code": code, "value": 0.5} for code in ODIR.codes]
    calibration = Calibration(1.0, 0, 0.0, 0.0)
    names = {"vocabulary": ODIR, "preprocessing": Preprocessing(), "digest": "0", "calibration": calibration}
    return Made(SimpleNamespace(thresholds={"labels": labels}, **names))


def test_numbers_are_those_of_scikit_learn(data: Path) -> None:
    found = outside.run(made(), data, ["copy", "blur 1"])["cohorts"]["idrid"]
    assert (found["visits"], found["one_eyed"], found["patients"]) == (12, 12, 11)
    row = found["variants"]["as read"]["targets"][1]
    assert (row["label"], row["endpoint"], row["n"], row["n_pos"]) == ("D", "referable_dr", 12, 6)
    grades = np.arange(12) % 5
    red = 90.0 + 30 * grades
    assert row["auc"] == pytest.approx(roc_auc_score(grades >= 2, red))
    assert row["sensitivity"] == pytest.approx(recall_score(grades >= 2, red > 144))
    normal = found["variants"]["as read"]["targets"][4]
    assert (normal["label"], normal["auc"]) == ("not N", pytest.approx(1.0))
    assert found["variants"]["blur 1"]["targets"][1]["auc_gain"] == pytest.approx(0, abs=0.05)
    assert [one["n"] for one in found["variants"]["copy"]["by_grade"]] == [3, 3, 2, 2, 2]


def test_two_eyes_are_one_visit_and_duplicates_one_person(data: Path) -> None:
    found = outside.run(made(), data, [])["cohorts"]["tvhl"]
    assert (found["visits"], found["photographs"], found["one_eyed"]) == (7, 13, 1)
    assert [row["fields"] for row in found["variants"]["as read"]["fields"]] == ["others"]
    assert found["patients"] == 6  # 1223 and 1225 share a photograph; 1224 shares only a scan
    json.dumps(found, allow_nan=False)


def test_a_copy_is_squashed_as_the_training_copies_were(data: Path) -> None:
    path = next((data / "idrid" / "1. Original Images").rglob("*.jpg"))
    seen = find_field(outside.copied(path, Preprocessing()))
    assert seen.height / seen.width == pytest.approx(1, abs=0.02) and seen.aspect > 1.15
    assert outside.copied(path, Preprocessing(), 0).shape == (256, 256, 3)


def test_tables_are_put_into_the_page(data: Path, tmp_path: Path) -> None:
    figures = outside.run(made(), data, ["copy"])
    write(tmp_path / "found.json", json.dumps({"figures": figures}))
    names = ("as read", "grades", "variants", "fields")
    page = tmp_path / "page.md"
    write(page, *(f"<!-- {name} -->\n<!-- end -->" for name in names), "after")
    for _ in range(2):  # the second time replaces
        outside_page.write_page(tmp_path / "found.json", page)
    text = page.read_text()
    assert text.count("| `idrid` | D | referable DR | 12 (6) |") == 1 and text.endswith("after\n")
    write(page, "<!-- as read -->")
    with pytest.raises(ValueError, match="no <!-- as read --> followed"):
        outside_page.write_page(tmp_path / "found.json", page)
