"""Made files in the published layouts of graded cohorts, six photographs or more each, one of them missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cohorts_made import touch

SIZE = (40, 60)
"""Rows and columns of made masks."""


@dataclass(frozen=True)
class Layout:
    """How to make a cohort and what it must hold.

    `table` is the file whose rows a test may spoil, with the `separator` of its cells, the 0-based places of name and
    grade, and the spreadsheet's number of its first data row; `grades` are those of DR by visit, None for unknown.
    """

    make: Callable[[Path], None]
    table: str
    grades: Mapping[str, int | None]
    missing: tuple[str, ...]
    patients: int
    endpoints: tuple[str, ...]
    separator: str = ","
    name: int = 0
    grade: int = 1
    first: int = 2
    column: str = ""
    worst: str = "5"


FOUR = ("any_dr", "referable_dr", "severe_dr", "proliferative_dr")


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def draw(path: Path, pixels: int = 0, value: int = 255, size: tuple[int, int] = SIZE) -> Path:
    """A mask whose first `pixels` pixels have this value."""
    mask = np.zeros(size, np.uint8)
    mask.reshape(-1)[:pixels] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), mask)
    return path


def idrid(root: Path) -> None:
    truths = root / "2. Groundtruths"
    head = "Image name,Retinopathy grade,Risk of macular edema,,,"
    rows = ["IDRiD_001,3,2,,,", "IDRiD_002,0,0,,,", "IDRiD_003,4,1,,,"]
    write(truths / "a. IDRiD_Disease Grading_Training Labels.csv", head, *rows)
    write(truths / "b. IDRiD_Disease Grading_Testing Labels.csv", head, "IDRiD_001,2,0,,,")
    touch(root / "1. Original Images" / "a. Training Set", "IDRiD_001.jpg", "IDRiD_002.jpg")
    touch(root / "1. Original Images" / "b. Testing Set", "IDRiD_001.jpg")


def eyepacs(root: Path) -> None:
    write(root / "trainLabels.csv", "image,level", "10_left,0", "10_right,1", "0013_left,4", "0013_right,2")
    write(root / "retinopathy_solution.csv", "image,level,Usage", "1_left,3,Private", "1_right,0,Public")
    touch(root / "train", "10_left.jpeg", "10_right.jpeg", "0013_left.jpeg")
    touch(root / "test", "1_left.jpeg", "1_right.jpeg")


def aptos(root: Path) -> None:
    write(root / "train.csv", "id_code,diagnosis", "000c1434d8d7,2", "001639a390f0,4", "0024cdab0c1e,0")
    write(root / "test.csv", "id_code", "0005cfc8afb6")
    touch(root / "train_images", "000c1434d8d7.png", "001639a390f0.png")
    touch(root / "test_images", "0005cfc8afb6.png")


def ddr(root: Path) -> None:
    folder = root / "DR_grading"
    write(folder / "train.txt", "007-0004-000.jpg 0", "007-0007-000.jpg 5", "007-0011-000.jpg 4", "")
    write(folder / "valid.txt", "007-0004-000.jpg 2")
    write(folder / "test.txt", "20170323093305605.jpg 1")
    touch(folder / "train", "007-0004-000.jpg", "007-0007-000.jpg", "007-0011-000.jpg")
    touch(folder / "test", "20170323093305605.jpg")


def messidor2(root: Path) -> None:
    head = "image_id,adjudicated_dr_grade,adjudicated_dme,adjudicated_gradable"
    rows = ["20051109_57451_0400_PP.png,0,0,1", "20051109_57843_0400_PP.png,2,1,1", "IM000012.jpg,4,0,1"]
    write(root / "messidor_data.csv", head, *rows, "IM000013.jpg,,,0")
    pairs = ["20051109_57451_0400_PP.png;20051109_57843_0400_PP.png", "IM000013.JPG;IM000012.JPG"]
    write(root / "messidor-2.csv", "left;right ", *pairs, "IM000057.JPG;IM000056.JPG")
    touch(root / "IMAGES", "20051109_57451_0400_PP.png", "20051109_57843_0400_PP.png", "IM000013.JPG", "IM000012.JPG")
    touch(root / "IMAGES", "IM000056.JPG")


def rfmid(root: Path) -> None:
    folder = root / "Training_Set" / "Training_Set"
    write(folder / "RFMiD_Training_Labels.csv", "\ufeffID,Disease_Risk,DR,ARMD", "1,1,1,0", "02,1,0,1", "3,0,0,0")
    touch(folder / "Training", "1.png", "02.png")
    write(root / "2. Groundtruths" / "b. RFMiD_Validation_Labels.csv", "ID,Disease_Risk,DR,ARMD", "1,1,1,1")
    touch(root / "1. Original Images" / "b. Validation Set", "1.png")


GRADED = {
    "idrid": Layout(
        idrid,
        "2. Groundtruths/a. IDRiD_Disease Grading_Training Labels.csv",
        {"train/IDRiD_001": 3, "train/IDRiD_002": 0, "train/IDRiD_003": 4, "test/IDRiD_001": 2},
        ("1. Original Images/a. Training Set/IDRiD_003.jpg",),
        4,
        (*FOUR, "dme", "severe_dme"),
        column="Retinopathy grade",
    ),
    "eyepacs": Layout(
        eyepacs, "trainLabels.csv", {"10": 1, "0013": 4, "1": 3}, ("0013_right.jpeg",), 3, FOUR, column="level"
    ),
    "aptos2019": Layout(
        aptos,
        "train.csv",
        {"000c1434d8d7": 2, "001639a390f0": 4, "0024cdab0c1e": 0},
        ("0024cdab0c1e.png",),
        3,
        FOUR,
        column="diagnosis",
    ),
    "ddr": Layout(
        ddr,
        "DR_grading/train.txt",
        {
            "train/007-0004-000": 0,
            "train/007-0007-000": None,
            "train/007-0011-000": 4,
            "valid/007-0004-000": 2,
            "test/20170323093305605": 1,
        },
        ("valid/007-0004-000.jpg",),
        5,
        FOUR,
        separator=" ",
        first=1,
        worst="6",
    ),
    "messidor2": Layout(
        messidor2,
        "messidor_data.csv",
        {"20051109_57451_0400_PP": 2, "IM000013": 4, "IM000057": None},
        ("IM000057.JPG",),
        3,
        (*FOUR, "dme"),
        column="adjudicated_dr_grade",
    ),
    "rfmid": Layout(
        rfmid,
        "Training_Set/Training_Set/RFMiD_Training_Labels.csv",
        {"train/1": 1, "train/02": 0, "train/3": 0, "validation/1": 1},
        ("train/3.png",),
        4,
        ("any_dr",),
        grade=2,
        column="DR",
        worst="2",
    ),
}


def idrid_lesions(root: Path) -> None:
    truths = root / "2. All Segmentation Groundtruths"
    kinds = {"MA": "1. Microaneurysms", "HE": "2. Haemorrhages", "EX": "3. Hard Exudates", "SE": "4. Soft Exudates"}
    a, b = "a. Training Set", "b. Testing Set"
    for part, name, codes in ((a, "IDRiD_01", "MA HE EX SE"), (a, "IDRiD_02", "MA EX"), (b, "IDRiD_55", "MA HE")):
        for code in codes.split():
            draw(truths / part / kinds[code] / f"{name}_{code}.tif", 5)
        draw(truths / part / "5. Optic Disc" / f"{name}_OD.tif", 90)
    draw(truths / a / kinds["SE"] / "IDRiD_02_SE.tif")
    touch(root / "1. Original Images" / a, "IDRiD_01.jpg")
    touch(root / "1. Original Images" / b, "IDRiD_55.jpg")


def ddr_lesions(root: Path) -> None:
    made = (("train", "label", "007-1774-100", "MA EX"), ("valid", "segmentation label", "007-3036-100", "HE"))
    for part, label, name, codes in made:
        for code in ("MA", "HE", "EX", "SE"):
            draw(root / "lesion_segmentation" / part / label / code / f"{name}.tif", 5 if code in codes else 0)
    touch(root / "lesion_segmentation" / "train" / "image", "007-1774-100.jpg")


def diaretdb1(root: Path) -> None:
    images = root / "resources" / "images"
    kinds = {"MA": "redsmalldots", "HE": "hemorrhages", "EX": "hardexudates", "SE": "softexudates"}
    levels = {"image001": {"MA": 252, "HE": 189, "EX": 188, "SE": 63}, "image002": {"EX": 252}}
    for name, found in levels.items():
        for code, kind in kinds.items():
            draw(images / "ddb1_groundtruth" / kind / f"{name}.png", 7, found.get(code, 0))
    touch(images / "ddb1_fundusimages", "image001.png")
    write(root / "resources" / "traindatasets" / "trainset.txt", "image001.png")
    write(root / "resources" / "testdatasets" / "testset.txt", "image002.png")


@dataclass(frozen=True)
class Lesioned:
    """How to make a cohort with lesion masks; `present` are the lesion types by visit."""

    make: Callable[[Path], None]
    present: Mapping[str, str]
    missing: tuple[str, ...]
    unknown: Mapping[str, str]
    mask: str
    """One mask of type MA."""


LESIONED = {
    "idrid-lesions": Lesioned(
        idrid_lesions,
        {"lesions-train/IDRiD_01": "MA HE EX SE", "lesions-train/IDRiD_02": "MA EX", "lesions-test/IDRiD_55": "MA HE"},
        ("1. Original Images/a. Training Set/IDRiD_02.jpg",),
        {"lesions-test/IDRiD_55": "EX SE"},
        "2. All Segmentation Groundtruths/a. Training Set/1. Microaneurysms/IDRiD_01_MA.tif",
    ),
    "ddr-lesions": Lesioned(
        ddr_lesions,
        {"lesions-train/007-1774-100": "MA EX", "lesions-valid/007-3036-100": "HE"},
        ("valid/image/007-3036-100.jpg",),
        {},
        "lesion_segmentation/train/label/MA/007-1774-100.tif",
    ),
    "diaretdb1": Lesioned(
        diaretdb1,
        {"diaretdb1/image001": "MA HE", "diaretdb1/image002": "EX"},
        ("images/ddb1_fundusimages/image002.png",),
        {},
        "resources/images/ddb1_groundtruth/redsmalldots/image001.png",
    ),
}
