"""Reading: two photographs in, a folder out, whatever the photographs are like."""

from __future__ import annotations

import json
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from PIL import Image

from conftest import Made
from eyeground.cli.main import main, run
from eyeground.errors import DataError
from eyeground.readings import Reading
from eyeground.runs.model import load
from eyeground.runs.read import Request, read_visit


def schema() -> Any:
    return json.loads((resources.files("eyeground.report") / "reading_schema.json").read_text())


def read(made: Made, out: Path, left: str | Path, right: str | Path, *more: str) -> dict[str, Any]:
    assert run(["read", str(left), str(right), "--bundle", str(made.bundle), "--out", str(out), *more]) == 0
    reading: dict[str, Any] = json.loads((out / "reading.json").read_text())
    jsonschema.validate(reading, schema())
    assert Reading.from_dict(reading).to_dict() == reading
    return reading


def test_a_pair_becomes_a_folder_without_names_or_metadata(made: Made, tmp_path: Path) -> None:
    left, right = tmp_path / "Smith_left.jpg", tmp_path / "Smith_right.jpg"
    for path, source in ((left, "1_left.jpg"), (right, "1_right.jpg")):
        exif = Image.Exif()
        exif[0x010E] = "patient Smith"
        Image.open(made.images / source).save(path, exif=exif, quality=95)
    out = tmp_path / "out"
    reading = read(made, out, left, right, "--age", "63", "--sex", "F")
    assert (reading["age"], reading["sex"]) == (63, "F")
    assert [eye["status"] for eye in reading["eyes"]] == ["read", "read"]
    assert "visit" not in reading
    pictures = sorted((out / "heatmaps").glob("*.png"))
    assert len(pictures) == 16
    for path in pictures:
        with Image.open(path) as image:
            assert image.size == (512, 512)
            assert not image.getexif()
            assert not image.info.get("exif")
    written = (out / "reading.json").read_text() + (out / "report.html").read_text()
    assert "Smith" not in written
    assert str(tmp_path) not in written
    assert read(made, out, left, right, "--visit", "V-7")["visit"] == "V-7", "an earlier reading is replaced"


def test_one_eye_missing_or_unreadable_leaves_the_other(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = made.images / "2_right.jpg"
    alone = read(made, tmp_path / "a", "-", good)
    assert [eye["status"] for eye in alone["eyes"]] == ["missing", "read"]
    assert all(finding["eye_probability"][0] is None for finding in alone["findings"])
    assert len(list((tmp_path / "a" / "heatmaps").iterdir())) == 8
    broken = tmp_path / "Jones_left.jpg"
    broken.write_bytes((made.images / "2_left.jpg").read_bytes()[:2000])
    half = read(made, tmp_path / "b", broken, good)
    assert [eye["status"] for eye in half["eyes"]] == ["unreadable", "read"]
    assert "Jones" not in json.dumps(half)
    assert "left eye could not be read" in half["warnings"][0]
    assert "left eye could not be read" in capsys.readouterr().err
    assert [f["probability"] for f in half["findings"]] == [f["probability"] for f in alone["findings"]]


def test_the_same_file_for_both_eyes_is_warned_of(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = made.images / "3_left.jpg"
    reading = read(made, tmp_path / "out", one, one)
    assert "same photograph" in reading["warnings"][0]
    assert "warning: Both eyes were given the same photograph" in capsys.readouterr().err


def test_what_can_not_be_read_at_all(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty, text = tmp_path / "empty.jpg", tmp_path / "text.jpg"
    empty.write_bytes(b"")
    text.write_text("not an image")
    bomb = tmp_path / "bomb.png"
    Image.new("1", (30_000, 30_000)).save(bomb)
    out = tmp_path / "out"
    for left, right, words in (
        ("-", "-", "both eyes are '-'"),
        (str(empty), "-", "empty"),
        ("-", str(text), "no eye can be read"),
        (str(bomb), "-", "megapixels"),
        (str(tmp_path / "gone.jpg"), str(made.images / "1_left.jpg"), "no file"),
        ("-", str(tmp_path), "no eye can be read"),
    ):
        assert main(["read", left, right, "--bundle", str(made.bundle), "--out", str(out)]) == 2
        message = capsys.readouterr().err
        assert message.startswith("eyeground: error: ")
        assert words in message
        assert message.count("\n") == 1
        assert not out.exists()
    out.mkdir()
    (out / "thesis.docx").write_text("years of work")
    assert main(["read", str(made.images / "1_left.jpg"), "-", "--bundle", str(made.bundle), "--out", str(out)]) == 2
    assert "not empty" in capsys.readouterr().err
    assert (out / "thesis.docx").is_file()
    assert main(["read", "-", "-", "--bundle", str(made.bundle), "--out", str(out), "--age", "463"]) == 2


def test_json_prints_the_reading_and_nothing_else(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = str(made.images / "4_left.jpg")
    read(made, tmp_path / "out", image, "-", "--json")
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out" / "reading.json").read_text())


def test_reading_says_what_evaluation_says(made: Made, tmp_path: Path) -> None:
    """One visit alone equals the same visit within the cohort, through another door."""
    out = tmp_path / "submission.csv"
    assert run(["submit", "--bundle", str(made.bundle), "--images", str(made.images), "--out", str(out)]) == 0
    row = next(line for line in out.read_text().splitlines() if line.startswith("5,"))
    reading = read(made, tmp_path / "out", made.images / "5_left.jpg", made.images / "5_right.jpg")
    found = [finding["probability"] for finding in reading["findings"]]
    np.testing.assert_allclose([float(cell) for cell in row.split(",")[1:]], found, atol=1e-5)


def test_the_maps_lie_on_the_original_pixels(made: Made) -> None:
    model = load(made.bundle)
    left = made.images / "1_left.jpg"
    result = read_visit(model, Request(left, None))
    evidence = result.evidence["left"]
    assert evidence is not None
    assert evidence.shape[0] == 8
    finding = result.reading.findings[1]
    logit = evidence[1].mean() / model.bundle.calibration.temperature
    assert finding.eye_probability[0] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-5)
    with pytest.raises(DataError, match="give at least one photograph"):
        read_visit(model, Request(None, None))


def test_big_pictures_and_other_formats(made: Made, tmp_path: Path) -> None:
    big = tmp_path / "big.png"
    Image.open(made.images / "1_left.jpg").resize((1500, 1500)).save(big)
    turned = tmp_path / "turned.tif"
    shutil.copy(made.images / "1_right.jpg", tmp_path / "copy.jpg")
    Image.open(tmp_path / "copy.jpg").save(turned)
    reading = read(made, tmp_path / "out", big, turned)
    assert (reading["eyes"][0]["width"], reading["eyes"][1]["width"]) == (1500, 96)


def test_mirrored_answers_do_not_change_when_the_visit_is_mirrored(made: Made, tmp_path: Path) -> None:
    """The mean over a visit and its mirror image is the same for both: eyes exchanged, maps mirrored."""
    from dataclasses import replace

    model = load(made.bundle)
    both = replace(model, bundle=replace(model.bundle, config={**model.bundle.config, "predict": {"mirrored": True}}))
    paths = {side: tmp_path / f"{side}.png" for side in ("left", "right")}
    for side, other in (("left", "right"), ("right", "left")):
        with Image.open(made.images / f"6_{other}.jpg") as image:
            image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(paths[side])
    one = read_visit(both, Request(made.images / "6_left.jpg", made.images / "6_right.jpg"))
    two = read_visit(both, Request(paths["left"], paths["right"]))
    for a, b in zip(one.reading.findings, two.reading.findings, strict=True):
        assert a.probability == pytest.approx(b.probability, abs=1e-2), "the crop may differ by a pixel"
        assert a.eye_probability[0] == pytest.approx(b.eye_probability[1], abs=1e-2)
    assert one.evidence["left"] is not None
    assert two.evidence["right"] is not None
    np.testing.assert_allclose(one.evidence["left"], two.evidence["right"][:, :, ::-1], atol=0.1)
