"""ODIR's labels against the published counts; the challenge's layout on made and on real files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from cohorts_made import ROWS, by_patient, flags, present, row, touch, workbook
from eyeground.cohorts import LAYOUTS, CohortOptions, read_cohort
from eyeground.cohorts import keywords as words
from eyeground.cohorts.census import census, unreadable_images
from eyeground.cohorts.sheet import COLUMNS
from eyeground.errors import DataError, UsageError
from eyeground.leaks import fingerprints
from eyeground.records import Cohort
from eyeground.vocabulary import ODIR

PATIENTS_ANY = dict(zip(ODIR.codes, (1140, 1128, 215, 212, 164, 103, 174, 979), strict=True))
PATIENTS_SOLE = dict(zip(ODIR.codes, (1140, 697, 120, 146, 117, 36, 107, 551), strict=True))
EYES_ANY = dict(zip(ODIR.codes, (3095, 1801, 326, 313, 280, 193, 268, 1200), strict=True))
EYES_SOLE = dict(zip(ODIR.codes, (3095, 1401, 227, 287, 237, 104, 243, 878), strict=True))
KAGGLE = dict(zip(ODIR.codes, (2873, 1608, 284, 293, 266, 128, 232, 708), strict=True))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A made ODIR root with four patients; one photograph is missing, other files lie about."""
    workbook(tmp_path / "notes" / "anno.xlsx", ROWS)
    touch(tmp_path / "images", *(f"{p}_{s}.jpg" for p in ("1", "007", "3") for s in ("left", "right")), "readme.txt")
    (tmp_path / "images" / "3_left.jpg").unlink()
    return tmp_path


# keywords


def test_the_table_has_the_102_published_phrases() -> None:
    counts = Counter(words.table().values())
    assert len(words.table()) == 102
    assert counts == {"O": 74, "D": 9, "ignored": 6, "M": 4, "A": 3, "G": 2, "C": 2, "N": 1, "H": 1}


@pytest.mark.parametrize(
    ("phrase", "code"),
    [
        ("drusen", "O"),
        ("tessellated fundus", "O"),
        ("refractive media opacity", "O"),
        ("intraretinal microvascular abnormality", "O"),
        ("suspected abnormal color of optic disc", "O"),
        ("moderate non proliferative retinopathy", "D"),
        ("Hypertensive Retinopathy", "H"),
        ("myopic maculopathy", "M"),
    ],
)
def test_traps_of_the_table(phrase: str, code: str) -> None:
    assert present(words.eye_labels([phrase])) == code


def test_keywords_are_split_on_both_commas() -> None:
    text = "low image quality,laser spot， suspected abnormal color of  optic disc，"
    assert words.split_keywords(text) == (
        "low image quality",
        "laser spot",
        "suspected abnormal color of optic disc",
    )


def test_lens_dust_leaves_an_eye_normal_and_a_finding_does_not() -> None:
    assert present(words.eye_labels(["lens dust", "normal fundus"])) == "N"
    assert present(words.eye_labels(["normal fundus", "drusen"])) == "O"
    assert words.eye_labels(["lens dust"]) == words.UNKNOWN


def test_part_of_a_phrase_is_not_that_phrase() -> None:
    with pytest.raises(DataError, match=r"unknown keyword 'proliferative retinopathy'; did you mean"):
        words.eye_labels(["proliferative retinopathy"])
    assert present(words.eye_labels(["proliferative retinopathy"], "other")) == "O"
    assert words.eye_labels(["proliferative retinopathy"], "ignore") == words.UNKNOWN


def test_visit_rule() -> None:
    n, d, nothing = frozenset("N"), frozenset("D"), frozenset[str]()
    assert present(words.visit_labels([n, n]) or ()) == "N"
    assert present(words.visit_labels([n, d]) or ()) == "D"
    assert present(words.visit_labels([nothing, d]) or ()) == "D"
    assert present(words.visit_labels([nothing, nothing]) or ()) == "N"
    assert words.visit_labels([nothing, nothing], "drop") is None


# layout odir


def test_odir_reads_a_made_root(root: Path) -> None:
    cohort = read_cohort("odir", root)
    visits = by_patient(cohort)
    assert list(visits) == ["1", "007", "3", "4"]
    seven = visits["007"]
    assert present(seven.labels) == "DO" and present(seven.left.labels) == "DO" and present(seven.right.labels) == "O"
    assert (seven.age, seven.sex, seven.seen) == (60.0, "M", (True, True))
    assert visits["3"].age is None and visits["3"].left.labels == words.UNKNOWN and visits["3"].seen == (False, True)
    assert cohort.facts["rule_matches"] == 4 and len(cohort.with_images()) == 3
    assert flags(cohort) == {
        "missing_image": 3,
        "no_decisive_keyword": 3,
        "age_filler": 1,
        "undecided": 1,
        "normal_with_finding": 1,
    }


def test_options_change_what_they_say(root: Path) -> None:
    kept = read_cohort("odir", root, CohortOptions(age_filler="keep", undecided="drop"))
    assert by_patient(kept)["3"].age == 1 and "4" not in by_patient(kept)
    assert flags(kept)["undecided_dropped"] == 1 and kept.facts["rule_matches"] == 3


def test_preprocessed_and_no_fundus_eyes(tmp_path: Path) -> None:
    rows = [
        row(2174, "normal fundus", "normal fundus", "N"),
        row(1706, "anterior segment image，drusen", "cataract", "C"),
        row(4580, "no fundus image", "glaucoma", "G"),
    ]
    workbook(tmp_path / "a.xlsx", rows)
    touch(tmp_path / "i", *(f"{p}_{s}.jpg" for p in (2174, 1706, 4580) for s in ("left", "right")))
    masked = by_patient(read_cohort("odir", tmp_path))
    assert masked["1706"].left.labels == words.UNKNOWN
    assert {flag.code for flag in masked["4580"].left.flags} >= {"no_fundus_image", "rotated_copy"}
    assert masked["2174"].right.path is not None
    kept = by_patient(read_cohort("odir", tmp_path, CohortOptions(no_class_eye="keep", drop_preprocessed=True)))
    assert present(kept["1706"].left.labels) == "O" and kept["2174"].seen == (True, False)
    assert "missing_image" not in {flag.code for flag in kept["2174"].right.flags}
    dropped = read_cohort("odir", tmp_path, CohortOptions(no_class_eye="drop_patient"))
    assert list(by_patient(dropped)) == ["2174"] and flags(dropped)["no_class_dropped"] == 2


def test_labels_that_contradict_keywords_are_kept_and_flagged(tmp_path: Path) -> None:
    workbook(tmp_path / "a.xlsx", [row(1, "normal fundus", "cataract", "G")])
    touch(tmp_path / "i", "1_left.jpg")
    cohort = read_cohort("odir", tmp_path)
    assert cohort.facts["rule_matches"] == 0 and present(cohort.visits[0].labels) == "G"
    assert "columns say G, the keywords C" in cohort.visits[0].flags[0].text


def _without(column: str) -> tuple[tuple[str, ...], list[list[object]]]:
    place = COLUMNS.index(column)
    return COLUMNS[:place] + COLUMNS[place + 1 :], [line[:place] + line[place + 1 :] for line in ROWS]


def _changed(column: str, value: object) -> list[list[object]]:
    place = COLUMNS.index(column)
    return [[*ROWS[0][:place], value, *ROWS[0][place + 1 :]], *ROWS[1:]]


@pytest.mark.parametrize(
    ("columns", "rows", "message"),
    [
        (*_without("Right-Diagnostic Keywords"), r"no column 'Right-Diagnostic Keywords'; did you mean 'Left"),
        (COLUMNS, [*ROWS, row(1, "cataract", "cataract", "C")], r"patient 1 is in anno.xlsx twice, rows 2 and 6"),
        (COLUMNS, _changed("D", 2), r"label D is '2' in anno.xlsx, row 2; it must be 0 or 1"),
        (COLUMNS, _changed("D", None), r"label D is ''"),
        (COLUMNS, _changed("ID", None), r"no patient ID in anno.xlsx, row 2"),
        (
            COLUMNS,
            _changed("Left-Diagnostic Keywords", "retinal surprise"),
            r"1 unknown keyword in anno.xlsx: 'retinal surprise' \(row 2\); .*--unknown-keywords",
        ),
        (COLUMNS, _changed("Left-Fundus", "1_right.jpg"), r"name and column contradict|listed twice"),
        (COLUMNS, _changed("Left-Fundus", "2_left.jpg"), r"Left-Fundus of patient 1 is '2_left.jpg'; .*contradict"),
        (COLUMNS, _changed("Left-Fundus", "007_left.jpg"), r"007_left.jpg is listed twice in anno.xlsx, rows 2 and 3"),
        ((*COLUMNS, "D"), [[*line, 1] for line in ROWS], r"names the column 'D' twice"),
    ],
)
def test_bad_sheets_are_refused(root: Path, columns: tuple[str, ...], rows: list[list[object]], message: str) -> None:
    workbook(root / "notes" / "anno.xlsx", rows, columns)
    with pytest.raises(DataError, match=message):
        read_cohort("odir", root)


def test_roots_without_or_with_too_many_parts(root: Path) -> None:
    with pytest.raises(DataError, match="no folder"):
        read_cohort("odir", root / "nowhere")
    touch(root / "copies", "1_left.jpg")
    with pytest.raises(DataError, match=r"2 folders with listed photographs \('copies', 'images'\)"):
        read_cohort("odir", root)
    workbook(root / "second.xlsx", ROWS)
    with pytest.raises(DataError, match=r"2 annotation workbooks \('notes/anno.xlsx', 'second.xlsx'\).*odir-release"):
        read_cohort("odir", root)


def test_roots_with_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no annotation workbook"):
        read_cohort("odir", tmp_path)
    (tmp_path / "a.xlsx").write_bytes(b"not a workbook")
    with pytest.raises(DataError, match=r"can't be read as a workbook"):
        read_cohort("odir", tmp_path)
    workbook(tmp_path / "b.xlsx", ROWS)
    with pytest.raises(DataError, match=r"no image folder .* such as 007_left.jpg"):
        read_cohort("odir", tmp_path)


def test_unknown_layout_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'odir-kaggle'"):
        read_cohort("odir-kagle", Path("."))
    graded = {"idrid", "eyepacs", "aptos2019", "ddr", "messidor2", "tvhl", "rfmid"}
    lesions = {"idrid-lesions", "ddr-lesions", "diaretdb1"}
    assert set(LAYOUTS) == {"odir", "odir-release", "odir-kaggle", "folder"} | graded | lesions


def test_unreadable_photographs_are_named(root: Path) -> None:
    cohort = read_cohort("odir", root)
    found = unreadable_images(cohort, fingerprints(cohort.visits))
    assert len(found) == 5 and found[0].code == "unreadable_image" and found[0].text.startswith("1_left.jpg: ")


# the published set


@pytest.fixture(scope="module")
def odir(real_data: Path) -> Cohort:
    return read_cohort("odir", real_data / "odir5k")


@pytest.mark.real
def test_every_patient_label_follows_from_the_keywords(odir: Cohort) -> None:
    assert (len(odir), odir.facts["rule_matches"]) == (3500, 3500)


@pytest.mark.real
def test_published_counts(odir: Cohort) -> None:
    counts = census(odir)
    assert {k: v["present"] for k, v in counts["labels"]["visits"].items()} == PATIENTS_ANY
    assert {k: v["sole"] for k, v in counts["labels"]["visits"].items()} == PATIENTS_SOLE
    assert {k: v["present"] for k, v in counts["labels"]["eyes"].items()} == EYES_ANY
    assert {k: v["sole"] for k, v in counts["labels"]["eyes"].items()} == EYES_SOLE
    sizes = Counter(sum(state or 0 for state in eye.labels) for visit in odir.visits for eye in visit.listed())
    assert sizes == {1: 6472, 2: 490, 3: 8, 0: 30}
    assert Counter(sum(state or 0 for state in visit.labels) for visit in odir.visits) == {1: 2914, 2: 557, 3: 29}
    assert Counter(visit.sex for visit in odir.visits) == {"M": 1885, "F": 1615}


@pytest.mark.real
def test_what_is_here_and_what_is_odd(odir: Cohort) -> None:
    counts = census(odir)
    here = [counts[key] for key in ("images_present", "missing_images", "visits_with_images", "both_eyes")]
    assert here == [4904, 2096, 2557, 2347]
    assert flags(odir) == {
        "missing_image": 2096,
        "no_decisive_keyword": 30,
        "age_filler": 16,
        "preprocessed": 16,
        "normal_with_finding": 3,
        "anterior_segment": 2,
        "no_fundus_image": 1,
        "rotated_copy": 1,
        "undecided": 1,
    }


@pytest.mark.real
def test_kaggles_counts(real_data: Path) -> None:
    cohort = read_cohort("odir-kaggle", real_data / "odir5k", CohortOptions(kaggle_labels=True))
    counts = census(cohort)
    assert (counts["patients"], counts["eyes"], counts["rule_matches"]) == (3358, 6392, 3358)
    assert {k: v["present"] for k, v in counts["labels"]["eyes"].items()} == KAGGLE


@pytest.mark.real
def test_without_the_last_clause_one_patient_differs(real_data: Path) -> None:
    cohort = read_cohort("odir", real_data / "odir5k", CohortOptions(undecided="drop"))
    assert (len(cohort), cohort.facts["rule_matches"]) == (3499, 3499)
    assert "patient 4149" in cohort.flags[0].text
