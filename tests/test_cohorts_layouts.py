"""The other layouts on made files: the OIA-ODIR release, Kaggle's derivative, anybody's folder."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from cohorts_made import ROWS, by_patient, flags, present, row, touch, workbook
from eyeground.cohorts import CohortOptions, read_cohort
from eyeground.cohorts.sheet import COLUMNS
from eyeground.errors import DataError
from eyeground.vocabulary import ODIR

# layout odir-release


def _release(root: Path, part: str, folder: str, rows: list[list[object]]) -> None:
    workbook(root / folder / "Annotation" / f"{part} annotation (English).xlsx", rows)
    (root / folder / "Annotation" / f"{part} annotation (Chinese).xlsx").write_bytes(b"other")
    touch(root / folder / "Images", *(str(line[3]) for line in rows))


def test_release_keeps_the_parts(tmp_path: Path) -> None:
    _release(tmp_path, "training", "Training Set", ROWS[:2])
    _release(tmp_path, "off-site test", "Off-site Test Set", ROWS[2:])
    cohort = read_cohort("odir-release", tmp_path)
    assert [(visit.id, visit.part) for visit in cohort.visits] == [
        ("1", "training"),
        ("007", "training"),
        ("3", "off-site test"),
        ("4", "off-site test"),
    ]
    assert flags(cohort)["part_absent"] == 1 and cohort.facts["rule_matches"] == 4


def test_release_refusals(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of the folders 'Training Set'"):
        read_cohort("odir-release", tmp_path)
    _release(tmp_path, "training", "Training Set", ROWS[:2])
    _release(tmp_path, "off-site test", "Off-site Test Set", ROWS[1:])
    with pytest.raises(DataError, match="patient 007 is in the training set and in the off-site test set"):
        read_cohort("odir-release", tmp_path)
    (tmp_path / "Off-site Test Set" / "Annotation" / "off-site test annotation (English).xlsx").unlink()
    with pytest.raises(DataError, match="no annotation workbook 'off-site test annotation"):
        read_cohort("odir-release", tmp_path)


# layout odir-kaggle


def _kaggle(root: Path, rows: list[tuple[list[object], str, str]], drop: tuple[str, ...] = ()) -> Path:
    """Writes full_df.csv from (sheet row, side, labels)."""
    path = root / "full_df.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        columns = [*COLUMNS, "labels", "target", "filename"]
        writer = csv.DictWriter(stream, [name for name in columns if name not in drop], extrasaction="ignore")
        writer.writeheader()
        for line, side, labels in rows:
            values = dict(zip(COLUMNS, line, strict=True))
            writer.writerow(values | {"labels": labels, "target": "[]", "filename": f"{line[0]}_{side}.jpg"})
    touch(root / "preprocessed_images", *(f"{line[0]}_{side}.jpg" for line, side, _ in rows))
    return path


KAGGLE_ROWS = [
    (ROWS[0], "left", "['N']"),
    (ROWS[0], "right", "['N']"),
    (ROWS[1], "left", "['O']"),
    (ROWS[2], "right", "['C']"),
]


def test_kaggle_takes_eye_labels_from_the_keywords(tmp_path: Path) -> None:
    _kaggle(tmp_path, KAGGLE_ROWS)
    touch(tmp_path / "originals", "1_left.jpg")
    cohort = read_cohort("odir-kaggle", tmp_path)
    seven = by_patient(cohort)["007"]
    assert present(seven.left.labels) == "DO" and seven.right is None and present(seven.labels) == "DO"
    assert flags(cohort)["eye_not_in_table"] == 2 and sum(len(list(v.listed())) for v in cohort.visits) == 4
    assert "is not used: it differs from the keywords in 1 of 4 eyes" in cohort.flags[-1].text
    own = by_patient(read_cohort("odir-kaggle", tmp_path, CohortOptions(kaggle_labels=True)))["007"]
    assert present(own.left.labels) == "O" and present(own.labels) == "DO"


def test_kaggle_without_keywords_is_refused_with_the_reason(tmp_path: Path) -> None:
    _kaggle(tmp_path, KAGGLE_ROWS, drop=("Left-Diagnostic Keywords", "Right-Diagnostic Keywords"))
    with pytest.raises(DataError, match=r"keeps one class of several .*--kaggle-labels"):
        read_cohort("odir-kaggle", tmp_path)
    cohort = read_cohort("odir-kaggle", tmp_path, CohortOptions(kaggle_labels=True))
    assert present(by_patient(cohort)["007"].left.labels) == "O"


def test_kaggle_refusals(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no full_df.csv"):
        read_cohort("odir-kaggle", tmp_path)
    path = _kaggle(tmp_path, [*KAGGLE_ROWS, (row(1, "cataract", "normal fundus", "C"), "left", "['C']")])
    with pytest.raises(DataError, match=r"file 1_left.jpg is in full_df.csv twice, rows 2 and 6"):
        read_cohort("odir-kaggle", tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace(",1_left.jpg\n", ",9_left.jpg\n", 1), encoding="utf-8")
    with pytest.raises(DataError, match=r"row 2: filename is '9_left.jpg', but the row's eyes are '1_left.jpg'"):
        read_cohort("odir-kaggle", tmp_path)
    _kaggle(tmp_path, [KAGGLE_ROWS[0], (row(1, "normal fundus", "cataract", "C"), "right", "['C']")])
    with pytest.raises(DataError, match=r"rows 2 and 3 of full_df.csv disagree on 'Right-Diagnostic Keywords'"):
        read_cohort("odir-kaggle", tmp_path)


# layout folder


def _folder(root: Path, text: str) -> Path:
    (root / "cohort.csv").write_text(text, encoding="utf-8")
    touch(root / "i", "a.jpg", "b.jpg", "c.jpg")
    return root


def test_folder_reads_eye_and_visit_levels(tmp_path: Path) -> None:
    text = """patient,visit,eye,file,level,age,sex,keywords,dr,normal
01,a,OS,i/a.jpg,,63,F,"drusen，glare",1,0
01,a,OD,i/b.jpg,eye,63,F,,0,
01,b,left,i/c.jpg,visit,64,,,,1
02,,right,i/none.jpg,,,M,,0,1
"""
    cohort = read_cohort("folder", _folder(tmp_path, text))
    first, second, third = cohort.visits
    assert cohort.vocabulary.codes == ("dr", "normal") and cohort.vocabulary.labels[1].visit == "all"
    assert [(v.id, v.patient, v.labels) for v in cohort.visits] == [
        ("01:a", "01", (1, 0)),
        ("01:b", "01", (None, 1)),
        ("02", "02", (0, 1)),
    ]
    assert (
        first.left.labels == (1, 0) and first.right.labels == (0, None) and first.left.keywords == ("drusen", "glare")
    )
    assert second.left.labels == (None, None) and second.right is None and second.age == 64
    assert third.right.path is None and third.right.flags[0].code == "missing_image" and third.sex == "M"


def test_folder_with_odirs_labels_has_odirs_vocabulary(tmp_path: Path) -> None:
    text = "patient,eye,file,D,N,G,C,A,H,M,O\n1,left,i/a.jpg,1,0,0,0,0,0,0,0\n"
    cohort = read_cohort("folder", _folder(tmp_path, text))
    assert cohort.vocabulary is ODIR and present(cohort.visits[0].labels) == "D"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("patient,eye,dr\n1,left,1\n", "no column 'file'"),
        ("patient,eye,file\n1,left,a\n", "no label column"),
        ("patient,eye,file,dr\n1,middle,a,1\n", r"eye is 'middle' in cohort.csv, row 2"),
        ("patient,eye,file,dr\n1,left,a,yes\n", r"label dr is 'yes' in cohort.csv, row 2"),
        ("patient,eye,file,dr\n1,left,a,1\n1,OS,b,1\n", r"row 3 lists a second photograph of the left eye"),
        ("patient,eye,file,dr\n,left,a,1\n", "no patient in cohort.csv, row 2"),
        ("patient,eye,file,dr\n1,left,,1\n", "no file in cohort.csv, row 2"),
        ("patient,eye,file,age,dr\n1,left,a,old,1\n", "age is 'old'"),
        ("patient,eye,file,age,dr\n1,left,a,60,1\n1,right,b,61,1\n", "age of visit 1 is 61"),
        ("patient,eye,file,sex,dr\n1,left,a,X,1\n", "sex is 'X'"),
        ("patient,eye,file,level,dr\n1,left,a,day,1\n", "level is 'day'"),
        ("patient,eye,file,level,dr\n1,left,a,visit,1\n1,right,b,visit,0\n", "states other labels for visit 1"),
        ("patient,eye,file,dr,dr\n1,left,a,1,1\n", "names the column 'dr' twice"),
        ("", "no header row"),
    ],
)
def test_folder_refusals(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_cohort("folder", _folder(tmp_path, text))
