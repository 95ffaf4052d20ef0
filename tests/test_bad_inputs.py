"""What is wrong with a visit's photographs, and what `eyeground read` makes of it: exit code, eyes, a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from conftest import Made
from eyeground.cli.main import main, run
from eyeground.phantom.cohort import Spec, make_patient

Pixels = NDArray[np.uint8]
SIDE = 512
RNG_SEED = 7
Row = tuple[str, str, int, tuple[str, str] | None, str]


@pytest.fixture(scope="module")
def bundle(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as ONNX Runtime reads it."""
    out = tmp_path_factory.mktemp("light") / "bundle"
    assert run(["export", "--bundle", str(made.bundle), "--out", str(out), "--visits", "1"]) == 0
    return out


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two made patients' eyes, and with everything else that is given instead of an eye."""
    root = tmp_path_factory.mktemp("inputs")
    for number, name in ((5, "other"), (6, "one")):
        make_patient(root / "phantom", Spec(SIDE, 3, 0.5), number)
        for path in (root / "phantom").rglob(f"{number}_*.jpg"):
            path.rename(root / f"{name}_{path.stem.partition('_')[2]}.jpg")
    eye = cv2.imread(str(root / "one_left.jpg"))
    (root / "empty.jpg").write_bytes(b"")
    (root / "truncated.jpg").write_bytes((root / "one_left.jpg").read_bytes()[:3000])
    (root / "text.jpg").write_text("Dear colleague, please find attached the photographs.")
    Image.new("1", (30_000, 30_000)).save(root / "bomb.png")
    Image.new("1", (15_000, 15_000)).save(root / "huge.png")
    Image.new("L", (21_000, 8)).save(root / "strip.png")
    for name, draw in DRAWN.items():
        cv2.imwrite(str(root / f"{name}.jpg"), draw(np.random.default_rng(RNG_SEED))[..., ::-1])
    cv2.imwrite(str(root / "again.jpg"), eye, [cv2.IMWRITE_JPEG_QUALITY, 60])
    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), 10, 1.0) + np.array([[0, 0, 25], [0, 0, -20]])
    field = np.hypot(*np.mgrid[-SIDE / 2 : SIDE / 2, -SIDE / 2 : SIDE / 2]) < 0.47 * SIDE
    second = cv2.warpAffine(eye, turn, (SIDE, SIDE)) * 0.8 * field[..., None]
    cv2.imwrite(str(root / "second_shot.jpg"), second.astype(np.uint8))
    cv2.imwrite(str(root / "mirrored.jpg"), eye[:, ::-1])
    cv2.imwrite(str(root / "small.jpg"), cv2.resize(eye, (120, 120), interpolation=cv2.INTER_AREA))
    cv2.imwrite(str(root / "blurred.jpg"), cv2.GaussianBlur(eye, (0, 0), 4))
    return root


def black(rng: np.random.Generator) -> Pixels:
    return rng.integers(0, 5, (SIDE, SIDE, 3), dtype=np.uint8)


def page(rng: np.random.Generator) -> Pixels:
    sheet = np.full((SIDE, SIDE, 3), 250, np.uint8)
    for row in range(30, SIDE - 10, 18):
        words = "".join(rng.choice(list("etaoin shrdlu cmfwyp"), 55).tolist())
        cv2.putText(sheet, words, (20, row), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (25, 25, 30), 1, cv2.LINE_AA)
    return sheet


def oct_scan(rng: np.random.Generator) -> Pixels:
    """Bright layers across a dark, speckled frame."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    top = 200 + 25 * np.cos((columns - 256) / 90)
    light = sum(np.exp(-(((rows - top - at) / wide) ** 2)) for at, wide in ((0, 8), (45, 12), (80, 6), (110, 20)))
    grey = np.clip((30 + 170 * light) * rng.gamma(6, 1 / 6, (SIDE, SIDE)), 0, 255)
    return np.repeat(grey[..., None], 3, 2).astype(np.uint8)


def cat(rng: np.random.Generator) -> Pixels:
    """A ginger face with ears, eyes and whiskers, on a meadow."""
    picture = np.full((SIDE, SIDE, 3), (90, 140, 70), np.uint8)
    for tip in (150, 360):
        cv2.fillPoly(picture, [np.array([[tip - 50, 230], [tip + 50, 230], [tip, 90]])], (190, 120, 60))
    cv2.ellipse(picture, (256, 290), (150, 125), 0, 0, 360, (205, 135, 70), -1)
    for at in (200, 312):
        cv2.ellipse(picture, (at, 265), (26, 20), 0, 0, 360, (160, 190, 60), -1)
        cv2.ellipse(picture, (at, 265), (6, 19), 0, 0, 360, (10, 10, 10), -1)
    cv2.fillPoly(picture, [np.array([[240, 320], [272, 320], [256, 338]])], (220, 120, 130))
    for rise in (-12, 0, 12):
        cv2.line(picture, (240, 335), (90, 335 + 2 * rise), (240, 240, 235), 2)
        cv2.line(picture, (272, 335), (422, 335 + 2 * rise), (240, 240, 235), 2)
    fur = picture * (1 + 0.12 * rng.normal(size=(SIDE, SIDE, 1)))
    return np.clip(cv2.GaussianBlur(fur, (0, 0), 1), 0, 255).astype(np.uint8)


def meadow(rng: np.random.Generator) -> Pixels:
    """Sky, hills and grass."""
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    sky = np.stack([120 + rows / 5, 160 + rows / 6, np.full_like(rows, 235)], 2)
    grass = np.stack([70 + rows / 12, 120 + rows / 9, np.full_like(rows, 50)], 2)
    grass += 25 * rng.normal(size=(SIDE, SIDE, 1))
    hills = (rows > 260 + 30 * np.sin(columns / 70))[..., None]
    return np.clip(np.where(hills, grass, sky), 0, 255).astype(np.uint8)


DRAWN: dict[str, Callable[[np.random.Generator], Pixels]] = {
    "black": black,
    "page": page,
    "oct": oct_scan,
    "cat": cat,
    "meadow": meadow,
}

BOTH, LEFT, RIGHT = ("read", "read"), ("read", "missing"), ("missing", "read")
RIGHT_ONLY, LEFT_ONLY = ("unreadable", "read"), ("read", "unreadable")
NONE = None
"""Nothing is written."""
REFUSED = "not a fundus photograph"

TABLE: list[Row] = [
    # what is given as left, as right; exit code; what becomes of the eyes; a sentence on standard error, or ""
    ("one_left.jpg", "one_right.jpg", 0, BOTH, ""),
    ("one_left.jpg", "-", 0, LEFT, "No photograph of the right eye was given; the answer rests on the left eye alone."),
    ("-", "one_right.jpg", 0, RIGHT, "No photograph of the left eye was given; the answer rests on the right eye"),
    ("-", "-", 2, NONE, "both eyes are '-': give at least one photograph"),
    ("one_right.jpg", "one_left.jpg", 0, BOTH, "The two photographs seem to be exchanged: the one given as left looks"),
    ("one_left.jpg", "other_left.jpg", 0, BOTH, "Both photographs look like left eyes"),
    ("one_right.jpg", "other_right.jpg", 0, BOTH, "check the one given as left"),
    ("one_right.jpg", "-", 0, LEFT, "The photograph given as the left eye looks like a right eye"),
    ("one_left.jpg", "one_left.jpg", 0, BOTH, "Both eyes were given the same photograph: one of them is not what"),
    ("one_left.jpg", "again.jpg", 0, BOTH, "Both eyes were given the same photograph saved twice"),
    ("one_left.jpg", "mirrored.jpg", 0, BOTH, "Both eyes were given the same photograph, mirrored, saved twice"),
    ("one_left.jpg", "second_shot.jpg", 0, BOTH, "Both photographs show the same eye"),
    ("small.jpg", "one_right.jpg", 0, BOTH, "low_resolution"),
    ("blurred.jpg", "one_right.jpg", 0, BOTH, "blurred"),
    ("empty.jpg", "one_right.jpg", 0, RIGHT_ONLY, "The left eye could not be read (the photograph is empty"),
    ("empty.jpg", "-", 2, NONE, "no eye can be read"),
    ("truncated.jpg", "one_right.jpg", 0, RIGHT_ONLY, "The left eye could not be read (the photograph"),
    ("one_left.jpg", "text.jpg", 0, LEFT_ONLY, "The right eye could not be read (the photograph"),
    ("gone.jpg", "one_right.jpg", 2, NONE, "check the left eye's path, or give '-' where there is no photograph"),
    ("one_left.jpg", "bomb.png", 0, LEFT_ONLY, "megapixels"),
    ("huge.png", "one_right.jpg", 0, RIGHT_ONLY, "claims more than 178 megapixels; it is not decoded"),
    ("bomb.png", "-", 2, NONE, "megapixels"),
    ("one_left.jpg", "strip.png", 0, LEFT_ONLY, "20000 pixels a side"),
    ("black.jpg", "one_right.jpg", 0, RIGHT_ONLY, f"{REFUSED}: it is dark or shows nothing"),
    ("one_left.jpg", "page.jpg", 0, LEFT_ONLY, f"The right eye could not be read ({REFUSED}"),
    ("oct.jpg", "one_right.jpg", 0, RIGHT_ONLY, f"{REFUSED}: it is grey, as an OCT scan or an angiogram is"),
    ("cat.jpg", "one_right.jpg", 0, RIGHT_ONLY, f"The left eye could not be read ({REFUSED}"),
    ("one_left.jpg", "meadow.jpg", 0, LEFT_ONLY, f"The right eye could not be read ({REFUSED}"),
    ("cat.jpg", "oct.jpg", 2, NONE, f"no eye can be read: the left eye: {REFUSED}"),
    ("page.jpg", "-", 2, NONE, f"no eye can be read: the left eye: {REFUSED}"),
]


@pytest.mark.parametrize("row", TABLE, ids=[f"{row[0]}+{row[1]}" for row in TABLE])
def test_every_bad_input_has_a_sentence(
    bundle: Path, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], row: Row
) -> None:
    left, right, code, statuses, sentence = row
    given = [name if name == "-" else str(inputs / name) for name in (left, right)]
    out = tmp_path / "out"
    assert main(["read", *given, "--bundle", str(bundle), "--out", str(out)]) == code
    told = capsys.readouterr()
    if statuses is None:
        assert told.err.startswith("eyeground: error: ")
        assert sentence in told.err
        assert told.err.count("\n") == 1
        assert not out.exists()
        return
    reading = json.loads((out / "reading.json").read_text(encoding="utf-8"))
    assert tuple(eye["status"] for eye in reading["eyes"]) == statuses
    flags = [flag["code"] for eye in reading["eyes"] for flag in eye["flags"]]
    if sentence in ("low_resolution", "blurred"):
        assert sentence in flags
        text = next(flag["text"] for eye in reading["eyes"] for flag in eye["flags"])
        assert text[1:] in " ".join(told.out.split())
    elif sentence:
        assert any(sentence in warning for warning in reading["warnings"])
        assert sentence.partition(" (")[0] in " ".join(told.err.split())
    else:
        assert reading["warnings"] == []
    assert str(inputs) not in json.dumps(reading)


def test_a_refused_photograph_is_read_when_asked_to(bundle: Path, inputs: Path, tmp_path: Path) -> None:
    given = [str(inputs / "cat.jpg"), str(inputs / "one_right.jpg")]
    command = ["read", *given, "--bundle", str(bundle), "--out", str(tmp_path / "out"), "--no-fundus-check"]
    assert main(command) == 0
    reading = json.loads((tmp_path / "out" / "reading.json").read_text(encoding="utf-8"))
    assert [eye["status"] for eye in reading["eyes"]] == ["read", "read"]
    assert any("does not look like a fundus" in warning for warning in reading["warnings"])
