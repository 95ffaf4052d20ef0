"""TVHL: stages of retinopathy, several photographs of one eye, B-scans as facts; on made files and the real ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from cohorts_made import flags, touch
from eyeground.cohorts import CohortOptions, read_cohort
from eyeground.cohorts.census import census
from eyeground.errors import DataError, UsageError
from graded_made import write

HEAD = "Name,DME,DR,Size,Format"
FUNDUS = ["1000_OD_f_1,1,-,9,jpg", "1222_OD_f_1,0,0,9,jpg", "1222_OD_f_2,0,0,9,jpg", "1222_OI_f_3,1,NPDR,9,jpg"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "EYE FUNDUS.csv", HEAD, *FUNDUS, "1300_OI_f_2,0,PDR,9,jpg", "1300_OD_f_1,0,,9,jpg")
    write(tmp_path / "OCT.csv", HEAD, "1222_OI_O_1,0,NPDR,9,jpg", "1300_OD_f_1,0,0,9,jpg", "1400_OD_o_1,0,-,9,jpg")
    touch(tmp_path / "EYE FUNDUS", "1000_OD_f_1.jpg", "1222_OD_f_1.jpg", "1222_OD_f_2.jpg", "1222_OI_f_3.jpg")
    touch(tmp_path / "OCT", "1222_OI_O_1.jpg")
    return tmp_path


def test_sides_visits_and_labels(root: Path) -> None:
    cohort = read_cohort("tvhl", root)
    assert cohort.vocabulary.codes == ("any_dr", "proliferative_dr", "dme")
    visits = {visit.id: visit for visit in cohort.visits}
    assert list(visits) == ["1000", "1222", "1222/2", "1300"]
    assert {visit.id: visit.labels for visit in cohort.visits} == {
        "1000": (None, None, 1),
        "1222": (1, 0, 1),
        "1222/2": (0, 0, 0),
        "1300": (1, 1, 0),
    }
    first, second = visits["1222"], visits["1222/2"]
    assert first.patient == second.patient == "1222" and second.left is None
    assert first.left is not None and first.left.file == "EYE FUNDUS/1222_OI_f_3.jpg"
    assert first.right is not None and first.right.labels == (0, 0, 0) and first.right.side_known
    assert dict(first.left.grades) == {"dr_stage": 1, "dme": 1}
    assert (visits["1000"].part, first.part) == ("first site", None)


def test_scans_are_facts_and_what_is_odd_is_flagged(root: Path) -> None:
    cohort = read_cohort("tvhl", root)
    names = ("oct_scans", "oct_scans_there", "oct_patients", "patients_with_both", "eyes_with_both")
    assert [cohort.facts[name] for name in names] == [3, 1, 3, 2, 2]
    assert flags(cohort) == {"ungradable": 2, "missing_image": 2, "tables_differ": 2}
    (root / "OCT.csv").unlink()
    assert read_cohort("tvhl", root).facts["oct_scans"] == 0


def test_endpoints_that_a_stage_cannot_tell_are_refused(root: Path) -> None:
    assert read_cohort("tvhl", root, CohortOptions(endpoints=("any_dr",))).vocabulary.codes == ("any_dr",)
    with pytest.raises(UsageError, match="layout tvhl has no grades for endpoint referable_dr"):
        read_cohort("tvhl", root, CohortOptions(endpoints=("referable_dr",)))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1222_OS_f_1,0,0,9,jpg", r"Name is '1222_OS_f_1' in EYE FUNDUS.csv, row 2"),
        ("1222_OD_f_1,0,mild,9,jpg", r"DR is 'mild' in EYE FUNDUS.csv, row 2"),
        ("1222_OD_f_1,2,0,9,jpg", r"DME is '2' in EYE FUNDUS.csv, row 2"),
    ],
)
def test_a_bad_row_is_named(root: Path, row: str, message: str) -> None:
    write(root / "EYE FUNDUS.csv", HEAD, row)
    with pytest.raises(DataError, match=message):
        read_cohort("tvhl", root)


def test_what_is_no_tvhl_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no 'EYE FUNDUS\.csv'"):
        read_cohort("tvhl", root / "OCT")
    write(root / "EYE FUNDUS.csv", HEAD, FUNDUS[1], FUNDUS[1])
    with pytest.raises(DataError, match=r"listed twice in EYE FUNDUS.csv, row 3"):
        read_cohort("tvhl", root)


@pytest.mark.real
def test_tvhl_as_published(real_data: Path) -> None:
    cohort = read_cohort("tvhl", real_data / "tvhl")
    eyes = [eye for visit in cohort.visits for eye in visit.listed()]
    assert Counter(dict(eye.grades).get("dr_stage") for eye in eyes) == {0: 315, 1: 73, 2: 41, None: 4}
    assert Counter(dict(eye.grades)["dme"] for eye in eyes) == {0: 387, 1: 46}
    counts = census(cohort)
    assert (counts["patients"], counts["eyes"], counts["missing_images"]) == (180, 433, 0)
    names = ("oct_scans", "oct_scans_there", "oct_patients", "patients_with_both")
    assert [cohort.facts[name] for name in names] == [894, 894, 665, 172]
    assert flags(cohort) == {"ungradable": 4, "tables_differ": 4}
