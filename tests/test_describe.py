"""The cohort in pictures: counts on a made cohort by hand, on the real one against the published tables."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from PIL import Image

from eyeground.cli.main import main
from eyeground.cohorts import read_cohort
from eyeground.errors import DataError
from eyeground.records import Cohort, Eye, Flag, Side, State, Visit
from eyeground.report.describe import describe
from eyeground.report.pictures import PICTURES
from eyeground.report.tally import tally
from eyeground.vocabulary import Vocabulary

WORDS = Vocabulary.multilabel("made", ("N", "X", "Y"))
States = tuple[State, ...]


def eye(side: Side, labels: States, there: bool = True) -> Eye:
    name = f"{side}.jpg"
    return Eye(side, name, Path(name) if there else None, labels, flags=() if there else (Flag("missing_image", name),))


def made() -> Cohort:
    visits = (
        Visit("a", "a", (eye("left", (1, 0, 0)), eye("right", (1, 0, 0))), (1, 0, 0), 63, "F"),
        Visit("b", "b", (eye("left", (0, 1, 0)), eye("right", (1, 0, 0), there=False)), (0, 1, 0), 64.9, "M"),
        Visit("c", "c", (eye("left", (0, 1, 1), there=False), eye("right", (0, 1, 0), there=False)), (0, 1, 1), None),
        Visit("d", "d", (None, eye("right", (0, 0, 1))), (0, 0, 1), 71, None),
        Visit("e", "e", (eye("left", (0, None, 0)), eye("right", (0, 1, None))), (0, 1, None), 65, "F"),
    )
    return Cohort("made", Path("root"), WORDS, visits, flags=(Flag("odd", "odd"),))


def test_made_cohort_counted_by_hand() -> None:
    t = tally(made())
    assert (t["unit"], t["n"], t["sex"]) == ("patients", 5, {"F": 2, "M": 1, "unknown": 2})
    assert (t["age"]["n"], t["age"]["unknown"]) == (4, 1)
    assert t["age"]["bands"] == [
        {"from": 60, "below": 65, "F": 1, "M": 1, "unknown": 0},
        {"from": 65, "below": 70, "F": 1, "M": 0, "unknown": 0},
        {"from": 70, "below": 75, "F": 0, "M": 0, "unknown": 1},
    ]
    assert t["age"]["spread"]["M"]["median"] == 64.9
    assert t["images"]["visits"] == {"neither": 1, "left_only": 1, "right_only": 1, "both": 2}
    assert (t["images"]["listed"], t["images"]["present"]) == (9, 6)
    assert t["images"]["per_label"][1] == {"code": "X", "neither": 1, "left_only": 1, "right_only": 0, "both": 1}
    y = t["labels"][2]
    assert (y["visits"], y["visits_known"], y["visits_sole"], y["eyes"], y["eyes_known"]) == (2, 4, 1, 2, 8)
    assert t["labels"][1]["visits_sole"] == 1  # not e: there Y is unknown
    assert t["labels_per_visit"] == {
        "counts": [{"labels": 0, "visits": 0}, {"labels": 1, "visits": 3}, {"labels": 2, "visits": 1}],
        "unknown": 1,
    }
    assert t["cooccurrence"]["visits"][1] == [0, 3, 1]
    assert t["cooccurrence"]["share_of_row"][1] == [0, 1, 0.5]  # of the two whose Y is known
    assert t["eyes"] == [
        {"code": "N", "left_only": 0, "right_only": 1, "both": 1, "fellow_unknown": 0},
        {"code": "X", "left_only": 1, "right_only": 0, "both": 1, "fellow_unknown": 1},
        {"code": "Y", "left_only": 1, "right_only": 0, "both": 0, "fellow_unknown": 1},
    ]
    assert t["flags"] == [{"code": "missing_image", "count": 3}, {"code": "odd", "count": 1}]


def test_repeated_patients_are_counted_as_visits() -> None:
    visits = tuple(Visit(str(i), "same", (None, None), (1, 0, 0)) for i in range(2))
    t = tally(Cohort("made", Path("root"), WORDS, visits))
    assert (t["unit"], t["n"], t["patients"]) == ("visits", 2, 1)
    assert t["cooccurrence"]["share_of_row"][1] == [None, None, None]


class _Sources(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href")]


def test_folder_is_self_contained_and_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept.txt").write_text("mine")
    numbers = describe(made(), tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"index.html", "describe.json", "kept.txt", *(f"{name}.png" for name in PICTURES)}
    text = (tmp_path / "out" / "describe.json").read_text()
    assert json.loads(text) == json.loads(json.dumps(numbers)) and "left.jpg" not in text
    sources = _Sources()
    sources.feed((tmp_path / "out" / "index.html").read_text())
    assert len(sources.found) == len(PICTURES)
    assert all(source.startswith("data:image/png;base64,") for source in sources.found)
    for name in PICTURES:
        with Image.open(tmp_path / "out" / f"{name}.png") as picture:
            assert picture.width > 800 and np.asarray(picture.convert("L")).std() > 5


def test_what_is_not_known_is_not_drawn_but_said(tmp_path: Path) -> None:
    def kept(visit: States, per_eye: States) -> set[str]:
        visits = (Visit("a", "a", (None, eye("right", per_eye)), visit), Visit("b", "b", (None, None), visit))
        numbers = describe(Cohort("made", Path("root"), WORDS, visits), tmp_path)
        assert "nan" not in json.dumps(numbers).lower()
        page = (tmp_path / "index.html").read_text()
        assert all(f"<code>{name}</code>: {reason}" in page for name, reason in numbers["not_drawn"].items())
        return {path.stem for path in tmp_path.glob("*.png")}

    unknown = (None, None, None)
    assert kept((1, 1, 1), (0, 0, 0)) == set(PICTURES) - {"age"}
    assert kept((0, 0, 0), unknown) == set(PICTURES) - {"age", "eyes"}
    assert kept(unknown, (1, 0, 0)) == {"labels", "eyes", "images"}
    assert kept(unknown, unknown) == {"images"}


def test_nothing_to_describe(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to describe"):
        describe(Cohort("made", Path("root"), WORDS, ()), tmp_path)


@pytest.mark.real
def test_published_counts_of_odir(real_data: Path) -> None:
    t = tally(read_cohort("odir", real_data / "odir5k"))
    assert t["sex"] == {"F": 1615, "M": 1885, "unknown": 0}
    assert [row["visits"] for row in t["labels"]] == [1140, 1128, 215, 212, 164, 103, 174, 979]
    assert [row["visits_sole"] for row in t["labels"]] == [1140, 697, 120, 146, 117, 36, 107, 551]
    assert [row["eyes"] for row in t["labels"]] == [3095, 1801, 326, 313, 280, 193, 268, 1200]
    assert [row["visits"] for row in t["labels_per_visit"]["counts"]] == [0, 2914, 557, 29]
    assert t["cooccurrence"]["visits"][1] == [0, 1128, 32, 39, 16, 45, 19, 303]
    assert t["cooccurrence"]["share_of_row"][5][1] == pytest.approx(45 / 103)
    normal = t["eyes"][0]
    assert (normal["both"], normal["left_only"] + normal["right_only"]) == (1136, 820)
    assert t["images"]["visits"]["both"] == 2347 and t["images"]["present"] == 4904


def test_the_command_on_a_small_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book = openpyxl.Workbook()
    names = ("ID", "Patient Age", "Patient Sex", "Left-Fundus", "Right-Fundus")
    words = ("Left-Diagnostic Keywords", "Right-Diagnostic Keywords")
    book.active.append([*names, *words, *"NDGCAHMO"])
    book.active.append(
        [7, 60, "Female", "7_left.jpg", "7_right.jpg", "normal fundus", "cataract", *(0, 0, 0, 1), *[0] * 4]
    )
    (tmp_path / "odir").mkdir()
    book.save(tmp_path / "odir" / "ODIR-5K_Training_Annotations(Updated)_V2.xlsx")
    Image.new("RGB", (8, 8)).save(tmp_path / "odir" / "7_left.jpg")
    flags = ["--layout", "odir", "--root", str(tmp_path / "odir"), "--out", str(tmp_path / "out")]
    assert main(["cohort", "describe", *flags]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "index.html")
    numbers = json.loads((tmp_path / "out" / "describe.json").read_text())
    assert numbers["n"] == 1 and numbers["labels"][3]["visits"] == 1 and numbers["images"]["present"] == 1
    assert main(["cohort", "describe", "--layout", "odir", "--root", str(tmp_path / "no"), "--out", "x"]) == 2
    assert "no folder" in capsys.readouterr().err
