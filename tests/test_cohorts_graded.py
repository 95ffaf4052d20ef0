"""One contract over all layouts with grades of retinopathy, on made files; and the real files that are there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from cohorts_made import flags, touch
from eyeground.cohorts import CohortOptions, read_cohort
from eyeground.cohorts.census import census
from eyeground.cohorts.grades import ENDPOINTS
from eyeground.errors import DataError, UsageError
from eyeground.records import Cohort
from graded_made import FOUR, GRADED, Layout, write

ANY_DR = CohortOptions(endpoints=("any_dr",))


def options(layout: str) -> CohortOptions:
    """RFMiD has grades only where an endpoint asks for them."""
    return ANY_DR if layout == "rfmid" else CohortOptions()


@pytest.fixture(params=GRADED)
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def made(layout: str, tmp_path: Path) -> Layout:
    GRADED[layout].make(tmp_path)
    return GRADED[layout]


def worst(cohort: Cohort) -> dict[str, int | None]:
    """The highest DR grade of each visit, None where no eye has one."""
    eyes = {visit.id: [dict(eye.grades).get("dr") for eye in visit.listed()] for visit in cohort.visits}
    return {name: max((one for one in found if one is not None), default=None) for name, found in eyes.items()}


def spoil(root: Path, made: Layout, place: int, value: str, row: int = 0) -> None:
    """Writes another value into a cell of the table's n-th data row."""
    path = root / made.table
    lines = path.read_text(encoding="utf-8").splitlines()
    at = made.first - 1 + row
    cells = lines[at].split(made.separator)
    cells[place] = value
    lines[at] = made.separator.join(cells)
    write(path, *lines)


def test_counts_grades_and_missing_files(layout: str, made: Layout, tmp_path: Path) -> None:
    cohort = read_cohort(layout, tmp_path, options(layout))
    counts = census(cohort)
    assert worst(cohort) == made.grades
    assert cohort.vocabulary.codes == made.endpoints
    assert (counts["patients"], tuple(counts["missing_files"])) == (made.patients, made.missing)
    assert counts["images_present"] == counts["eyes"] - len(made.missing) > 0
    for visit in cohort.visits:
        grade = made.grades[visit.id]
        for code, state in zip(cohort.vocabulary.codes, visit.labels, strict=True):
            if ENDPOINTS[code].scale == "dr" and state is not None:
                assert grade is not None and state == (grade >= ENDPOINTS[code].least)


def test_an_unknown_grade_is_never_absent(layout: str, made: Layout, tmp_path: Path) -> None:
    for visit in read_cohort(layout, tmp_path, options(layout)).visits:
        for eye in visit.listed():
            if "dr" not in dict(eye.grades):
                assert set(eye.labels) == {None} and "ungradable" in {flag.code for flag in eye.flags}


def test_sides_are_told_or_known_to_be_unknown(layout: str, made: Layout, tmp_path: Path) -> None:
    cohort = read_cohort(layout, tmp_path, options(layout))
    paired = layout in ("eyepacs", "messidor2")
    assert {eye.side_known for visit in cohort.visits for eye in visit.listed()} == {paired}
    assert all(len(list(visit.listed())) == (2 if paired else 1) for visit in cohort.visits)
    assert ("laterality" in cohort.facts) != paired


def test_one_endpoint_is_one_label(layout: str, made: Layout, tmp_path: Path) -> None:
    cohort = read_cohort(layout, tmp_path, ANY_DR)
    assert cohort.vocabulary.codes == ("any_dr",)
    positive = {visit.id for visit in cohort.visits if visit.labels == (1,)}
    assert positive == {name for name, grade in made.grades.items() if grade}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("referable",), r"no endpoint 'referable'; did you mean 'referable_dr'"),
        (("any_dr", "any_dr"), "twice"),
        (("severe_dme",), "has no grades for endpoint severe_dme"),
    ],
)
def test_endpoints_out_of_place_are_refused(
    layout: str, made: Layout, tmp_path: Path, asked: tuple[str, ...], message: str
) -> None:
    if asked == ("severe_dme",) and "severe_dme" in made.endpoints:
        pytest.skip("this cohort grades macular oedema up to 2")
    with pytest.raises(UsageError, match=message):
        read_cohort(layout, tmp_path, CohortOptions(endpoints=asked))


def test_a_bad_grade_is_named_with_its_row(layout: str, made: Layout, tmp_path: Path) -> None:
    spoil(tmp_path, made, made.grade, made.worst, row=1)
    with pytest.raises(DataError, match=rf"is '{made.worst}' in .*, row {made.first + 1};"):
        read_cohort(layout, tmp_path, options(layout))


def test_a_photograph_listed_twice_is_refused(layout: str, made: Layout, tmp_path: Path) -> None:
    path = tmp_path / made.table
    lines = path.read_text(encoding="utf-8").splitlines()
    write(path, *lines[: made.first], *lines[made.first - 1 :])
    with pytest.raises(DataError, match="listed twice"):
        read_cohort(layout, tmp_path, options(layout))


def test_columns_may_differ_by_case_and_spaces_and_no_more(layout: str, made: Layout, tmp_path: Path) -> None:
    if not made.column:
        pytest.skip("a table without columns")
    path = tmp_path / made.table
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(made.column, made.column.upper().replace("_", " "), 1), encoding="utf-8")
    assert worst(read_cohort(layout, tmp_path, options(layout))) == made.grades
    path.write_text(text.replace(made.column, "opinion", 1), encoding="utf-8")
    with pytest.raises(DataError, match=rf"has no column '({made.column}|diagnosis|adjudicated_dr_grade)'"):
        read_cohort(layout, tmp_path, options(layout))


def test_a_folder_of_something_else_is_refused(layout: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder"):
        read_cohort(layout, tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"--root|published apart"):
        read_cohort(layout, tmp_path)


def test_no_photographs_at_all_are_all_missing(layout: str, made: Layout, tmp_path: Path) -> None:
    for path in tmp_path.rglob("*"):
        if path.suffix in (".jpg", ".jpeg", ".png", ".JPG"):
            path.unlink()
    counts = census(read_cohort(layout, tmp_path, options(layout)))
    assert (counts["images_present"], counts["missing_images"]) == (0, counts["eyes"])


# what only one layout has


def test_eyepacs_pairs_and_parts(tmp_path: Path) -> None:
    GRADED["eyepacs"].make(tmp_path)
    cohort = read_cohort("eyepacs", tmp_path)
    assert [visit.part for visit in cohort.visits] == ["publishers' train"] * 2 + ["publishers' test, private"]
    first, second = cohort.visits[:2]
    assert first.left is not None and first.right is not None and second.patient == "0013"
    assert (first.left.labels, first.right.labels) == ((0, 0, 0, 0), (1, 0, 0, 0))
    write(tmp_path / "retinopathy_solution.csv", "image,level,Usage", "10_left,3,Private")
    with pytest.raises(DataError, match=r"patient 10 is in trainLabels.csv and in retinopathy_solution.csv"):
        read_cohort("eyepacs", tmp_path)
    write(tmp_path / "trainLabels.csv", "image,level", "ten,0")
    with pytest.raises(DataError, match=r"image is 'ten' in trainLabels.csv, row 2"):
        read_cohort("eyepacs", tmp_path)


def test_messidor2_pairs(tmp_path: Path) -> None:
    GRADED["messidor2"].make(tmp_path)
    cohort = read_cohort("messidor2", tmp_path)
    brest = next(visit for visit in cohort.visits if visit.id == "IM000013")
    assert brest.left is not None and brest.left.path is not None and brest.left.path.name == "IM000013.JPG"
    assert brest.left.labels == (None,) * 5 and brest.labels == (1, 1, 1, 1, None)
    assert flags(cohort) == {"ungradable": 3, "missing_image": 1}
    write(tmp_path / "messidor-2.csv", "left;right", "a.png;b.png", "a.png;b.png", "b.png;c.png")
    assert flags(read_cohort("messidor2", tmp_path))["pair_conflict"] == 1
    write(tmp_path / "messidor-2.csv", "left;right", "a.png")
    with pytest.raises(DataError, match=r"messidor-2.csv, row 2 must be two file names"):
        read_cohort("messidor2", tmp_path)
    (tmp_path / "messidor-2.csv").unlink()
    alone = read_cohort("messidor2", tmp_path)
    assert flags(alone)["pairs_absent"] == 1 and not any(eye.side_known for v in alone.visits for eye in v.listed())


def test_rfmid_is_multilabel_unless_an_endpoint_is_asked_for(tmp_path: Path) -> None:
    GRADED["rfmid"].make(tmp_path)
    cohort = read_cohort("rfmid", tmp_path)
    assert cohort.vocabulary.codes == ("Disease_Risk", "DR", "ARMD")
    assert [visit.labels for visit in cohort.visits] == [(1, 1, 0), (1, 0, 1), (0, 0, 0), (1, 1, 1)]
    write(tmp_path / "other" / "RFMiD_Training_Labels.csv", "ID,Disease_Risk,DR,ARMD", "1,1,1,0")
    with pytest.raises(DataError, match="2 tables of the train part"):
        read_cohort("rfmid", tmp_path)


def test_a_line_that_is_not_name_and_grade(tmp_path: Path) -> None:
    GRADED["ddr"].make(tmp_path)
    write(tmp_path / "DR_grading" / "train.txt", "a.jpg 0", "b.jpg")
    with pytest.raises(DataError, match=r"train.txt, row 2 is 'b.jpg'; it must be a file name, a space and a grade"):
        read_cohort("ddr", tmp_path)


def test_two_folders_with_the_photographs(tmp_path: Path) -> None:
    GRADED["aptos2019"].make(tmp_path)
    touch(tmp_path / "small", "000c1434d8d7.png")
    assert census(read_cohort("aptos2019", tmp_path))["images_present"] == 2
    (tmp_path / "train_images").rename(tmp_path / "large")
    with pytest.raises(DataError, match="2 folders with listed photographs"):
        read_cohort("aptos2019", tmp_path)


# the published files


def test_endpoints_of_a_cohort_without_grades_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cohort.csv").write_text("patient,eye,file,dr\n1,OS,1.jpg,1\n", encoding="utf-8")
    assert len(read_cohort("folder", tmp_path)) == 1
    with pytest.raises(UsageError, match="layout folder has no grades, so no --endpoints any_dr"):
        read_cohort("folder", tmp_path, CohortOptions(endpoints=("any_dr",)))


@pytest.mark.real
def test_idrid_as_published(real_data: Path) -> None:
    cohort = read_cohort("idrid", real_data / "idrid" / "B. Disease Grading")
    eyes = [eye for visit in cohort.visits for eye in visit.listed()]
    assert Counter(dict(eye.grades)["dr"] for eye in eyes) == {0: 134, 1: 20, 2: 136, 3: 74, 4: 49}
    assert Counter(dict(eye.grades)["dme"] for eye in eyes) == {0: 177, 1: 41, 2: 195}
    counts = census(cohort)
    assert (counts["eyes"], counts["images_present"], counts["missing_images"]) == (413, 368, 45)


@pytest.mark.real
def test_messidor2_as_published(real_data: Path) -> None:
    cohort = read_cohort("messidor2", real_data / "annotations_only")
    grades = Counter(dict(eye.grades)["dr"] for visit in cohort.visits for eye in visit.listed())
    assert grades == {0: 1017, 1: 270, 2: 347, 3: 75, 4: 35}
    assert sum(visit.labels[cohort.vocabulary.index("dme")] == 1 for visit in cohort.visits) == 151
    counts = census(cohort)
    assert counts["images_present"] == 0 and counts["missing_images"] == counts["eyes"] == 1744
    assert flags(cohort)["pairs_absent"] == 1


@pytest.mark.real
def test_rfmid_as_published(real_data: Path) -> None:
    cohort = read_cohort("rfmid", real_data / "annotations_only")
    assert len(cohort.vocabulary) == 46 and cohort.vocabulary.codes[:3] == ("Disease_Risk", "DR", "ARMD")
    counts = census(cohort)
    present = {code: row["present"] for code, row in counts["labels"]["eyes"].items()}
    assert (present["Disease_Risk"], present["DR"]) == (1519, 376)
    assert counts["missing_images"] == counts["eyes"] == 1920
    assert all(state is not None for visit in cohort.visits for state in visit.labels)
    dr = read_cohort("rfmid", real_data / "annotations_only", ANY_DR)
    assert sum(visit.labels == (1,) for visit in dr.visits) == 376


def test_the_four_endpoints_are_the_grade() -> None:
    assert tuple(code for code, one in ENDPOINTS.items() if one.scale == "dr") == FOUR
    assert [ENDPOINTS[code].least for code in FOUR] == [1, 2, 3, 4]
