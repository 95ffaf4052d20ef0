"""How visits are parted into groups, and what `score` tells of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Made
from eyeground.cli.main import main
from eyeground.errors import DataError, UsageError
from eyeground.images.cache import CacheEntry
from eyeground.images.geometry import Geometry
from eyeground.records import Flag, Visit
from eyeground.runs.groupings import Asked, by_age, by_sharpness, by_size, of_file, of_visits

HEADER = "ID,Patient Age,Patient Sex,N,D,G,C,A,H,M,O"


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def eye(sharpness: float | None, size: tuple[int, int] = (512, 384), *flags: str) -> CacheEntry:
    quality = {} if sharpness is None else {"sharpness": sharpness}
    geometry = Geometry(*size, 0.0, 0.0, 384.0, 256)
    return CacheEntry(Path("eye.jpg"), "0" * 64, geometry, quality, tuple(Flag(code, code) for code in flags))


def visit(name: str, age: float | None = None, sex: Any = None, part: str | None = None) -> Visit:
    return Visit(name, name, (None, None), (0,), age, sex, (), part)


def test_age_bands() -> None:
    found = by_age([14, 39.9, 40, 49, 49.5, 70, 120, None], (40, 50, 60, 70), "")
    assert found.values == ("<40", "<40", "40-49", "40-49", "40-49", "70+", "70+", None)
    assert found.groups() == ["<40", "40-49", "70+"]
    assert by_age([64, 65], (65,), "").values == ("<65", "65+")
    for bands in ((), (50, 40), (40, 40), (0, 10)):
        with pytest.raises(UsageError, match="--age-bands"):
            by_age([1], bands, "")


def test_thirds_of_sharpness_state_their_cuts() -> None:
    found = by_sharpness([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, None])
    assert found.values[:6] == ("low <2.7",) * 2 + ("middle 2.7-4.3",) * 2 + ("high >4.3",) * 2
    assert found.values[6] is None
    assert by_sharpness([3.0, 3.0]).groups() == ["middle 3.0-3.0"]
    assert by_sharpness([None, None]).groups() == []


def test_sizes_that_are_rare_are_pooled() -> None:
    sizes = [(width, 100) for width in range(1, 11) for _ in range(width)]
    found = by_size([*sizes, None])
    assert found.groups() == ["10x100", "9x100", "8x100", "7x100", "6x100", "other sizes"]
    assert found.values[-1] is None and sum(value == "other sizes" for value in found.values) == 15
    assert by_size(sizes[:3]).groups() == ["2x100", "1x100"]


def test_visits_are_parted_by_what_is_known() -> None:
    visits = [visit("1", 55, "F"), visit("2", None, "M"), visit("3", 30), visit("4", 71, "F")]
    eyes = {
        "1": (eye(5.0), eye(2.0)),
        "2": (None, eye(4.0, (256, 256), "too_dark")),
        "3": (eye(6.0), eye(None)),  # the worse eye is not known
        "4": (eye(9.0, (512, 384), "exif_rotated"), eye(8.0)),
    }
    found = of_visits(visits, eyes)
    by = {one.name: one.values for one in found.found}
    assert by["sex"] == ("F", "M", None, "F")
    assert by["age"] == ("50-59", None, "<40", "70+")
    assert [value and value.split()[0] for value in by["quality"]] == ["low", "middle", None, "high"]
    assert by["flags"] == ("none", "flagged", "none", "none")
    assert by["eyes"] == ("both", "one", "both", "both")
    assert by["size"] == ("512x384", "256x256", "512x384", "512x384")
    assert found.left_out == ("part: nobody knows it",)


def test_quality_that_nobody_measured_is_no_obstacle() -> None:
    found = of_visits([visit("1", 50, "F"), visit("2", 50, "M")], {"1": (eye(None), None), "2": (None, eye(None))})
    assert [one.name for one in found.found] == ["sex"]
    assert found.left_out[0] == "age: all that is known is 50-59"
    assert {line.split(":")[0] for line in found.left_out} == {"age", "quality", "flags", "eyes", "size", "part"}


def test_a_table_of_groups(tmp_path: Path) -> None:
    path = write(tmp_path / "sites.csv", "ID,site,ward", "0007,north,1", "8,,2", "9,south,1", "100,east,2")
    found = of_file(path, ["9", "7", "8"])
    assert [one.values for one in found.found] == [("south", "north", None), ("1", "1", "2")]
    assert found.found[0].source == "sites.csv" and found.found[0].groups() == ["north", "south"]
    own = Asked(groups=write(tmp_path / "sex.csv", "ID,sex", "1,f", "2,m"))
    visits = [visit("1", 50, "F"), visit("2", 60)]
    joined = own.with_file(of_visits(visits, {"1": (eye(1.0), None), "2": (eye(2.0), None)}), ["1", "2"])
    assert [one.values for one in joined.found if one.name == "sex"] == [("f", "m")]
    assert not any(line.startswith("sex") for line in joined.left_out)


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (["ID,site", "1,a"], "no row for 1 of 2 judged IDs, first 2"),
        (["ID,site", "1,a", "1,b", "2,b"], "row 3 repeats ID 1 of row 2"),
        (["ID,site", "1,a", "2,b", "02,c"], "ID 2 twice, spelled differently"),
        (["ID,site", "1,a", ",b"], "row 3 has no ID"),
        (["ID", "1", "2"], "no column beside 'ID'"),
        (["ID,", "1,a", "2,b"], "a column without a name"),
        (["ID,bmi", "1,21.5", "2,30"], "column 'bmi' holds numbers"),
        (["ID,age", *(f"{i},{i}" for i in range(1, 40))], "make a few bands"),
        (["ID,name", *(f"{i},n{i}" for i in range(1, 300))], "has 299 different values, at most 20"),
    ],
)
def test_tables_that_group_nothing(tmp_path: Path, lines: list[str], what: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        of_file(write(tmp_path / "groups.csv", *lines), ["1", "2"])
    assert "\n" not in str(caught.value)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """120 made patients with age and sex."""
    generator = np.random.default_rng(0)
    truth, rows = [HEADER], ["ID,N,D,G,C,A,H,M,O"]
    for i in range(1, 121):
        labels = (generator.random(8) < [0.4, 0.4, 0.3, 0.1, 0.1, 0.1, 0.1, 0.4]).astype(int)
        age = 1 if i <= 5 else int(generator.integers(30, 80))
        sex = "" if i == 9 else ["Male", "Female"][i % 2]
        truth.append(",".join(map(str, [i, age, sex, *labels])))
        rows.append(",".join(map(str, [i, *(0.3 * labels + 0.6 * generator.random(8)).round(3)])))
    paths = write(tmp_path / "truth.csv", *truth), write(tmp_path / "predictions.csv", *rows)
    return ["--truth", str(paths[0]), "--predictions", str(paths[1]), "--draws", "0"]


def scored(capsys: pytest.CaptureFixture[str], files: list[str], *more: str) -> dict[str, Any]:
    assert main(["score", *files, "--json", *more]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_score_takes_age_and_sex_from_the_challenges_columns(
    capsys: pytest.CaptureFixture[str], files: list[str]
) -> None:
    found = scored(capsys, files)["subgroups"]
    assert [(one["name"], one["unknown"]) for one in found["by"]] == [("sex", 1), ("age", 5)]
    assert sum(one["n"] for one in found["by"][1]["groups"]) == 115
    assert found["suppressed_below"] == 10 and found["left_out"] == []
    assert "subgroups" not in scored(capsys, files, "--no-subgroups")
    two = scored(capsys, files, "--age-bands", "55", "--suppress-below", "3")["subgroups"]
    assert [one["group"] for one in two["by"][1]["groups"]] == ["<55", "55+"] and two["suppressed_below"] == 3


def test_score_takes_a_table_of_groups(capsys: pytest.CaptureFixture[str], files: list[str], tmp_path: Path) -> None:
    sites = write(tmp_path / "sites.csv", "ID,site", *(f"{i},{'ab'[i % 2]}" for i in range(1, 121)))
    found = scored(capsys, files, "--groups", str(sites))["subgroups"]
    assert [one["name"] for one in found["by"]] == ["sex", "age", "site"]
    assert main(["score", *files, "--groups", str(tmp_path / "none.csv")]) == 2
    assert main(["score", *files, "--suppress-below", "-1"]) == 2
    assert main(["score", *files, "--age-bands", "50", "40"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and all(line.startswith("eyeground: error: ") for line in lines)


def test_the_tables_fit_80_columns(
    capsys: pytest.CaptureFixture[str], files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    names = ("a hospital with a rather long name", "another")
    sites = write(tmp_path / "sites.csv", "ID,site", *(f"{i},{names[i % 2]}" for i in range(1, 121)))
    assert main(["score", *files, "--groups", str(sites)]) == 0
    text = capsys.readouterr().out
    start, end = text.index("AUC by sex"), text.index("kappa, F1, AUC and final")
    assert max(map(len, text[start:end].splitlines())) <= 80 and "…" not in text[start:end]
    assert "n<10" in text[start:end] and "largest gaps in macro AUC" in text and "at most" in text


def test_evaluate_tells_groups_of_photographs(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--bundle", str(made.bundle), "--layout", "odir", "--root", str(made.root), "--cache", str(made.cache)]
    assert main(["evaluate", *where, "--part", "test", "--draws", "0", "--suppress-below", "1", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    found = answer["subgroups"]
    named = {one["name"] for one in found["by"]} | {line.split(":")[0] for line in found["left_out"]}
    assert named == {"sex", "age", "quality", "flags", "eyes", "size", "part"}
    assert {"quality"} <= {one["name"] for one in found["by"]}
    for one in found["by"]:
        assert sum(group["n"] for group in one["groups"]) + one["unknown"] == answer["n"]
        for group in one["groups"]:
            assert [row["code"] for row in group["per_class"]] == [row["code"] for row in answer["per_class"]]
