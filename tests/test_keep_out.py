"""Photographs that another cohort is judged on belong to no part, nor do their duplicates."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from eyeground.cli.main import run
from eyeground.errors import DataError, UsageError
from eyeground.splits import Split


def cohort(root: Path, pictures: dict[str, np.ndarray], size: int = 256) -> Path:
    """A folder of photographs, one visit each."""
    rows = ["patient,eye,file,dr"]
    for number, (name, pixels) in enumerate(pictures.items()):
        cv2.imwrite(str(root / f"{name}.png"), cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA))
        rows.append(f"{name},left,{name}.png,{number % 2}")
    (root / "cohort.csv").write_text("\n".join(rows))
    return root


def picture(seed: int) -> np.ndarray:
    """A disc with a texture of its own."""
    noise = np.random.default_rng(seed).uniform(40, 220, (64, 64, 3)).astype(np.float32)
    pixels = cv2.resize(noise, (512, 512), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.ogrid[:512, :512]
    return np.clip(pixels * (np.hypot(rows - 256, columns - 256) < 250)[..., None], 0, 255).astype(np.uint8)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Twelve photographs of which the other cohort has two, larger; the last is a copy of the first."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    mine = {f"p{n:02d}": picture(n) for n in range(12)} | {"p99": picture(0)}
    return cohort(tmp_path / "one", mine), cohort(tmp_path / "two", {"a": picture(0), "b": picture(7)}, 512)


def split(one: Path, out: Path, *more: str) -> int:
    source = ["--layout", "folder", "--root", str(one), "--folds", "1", "--test-share", "0.3", "--val-share", "0.2"]
    return run(["cohort", "split", *source, "--out", str(out), *more])


def test_what_another_cohort_has_is_in_no_part(two: tuple[Path, Path], tmp_path: Path) -> None:
    one, other = two
    out = tmp_path / "split.json"
    assert split(one, out, "--keep-out-layout", "folder", "--keep-out-root", str(other)) == 0
    made = Split.load(out)
    assert made.kept_out == ("p00", "p07", "p99"), "the copy of the first goes with it"
    assert not set(made.kept_out) & set(made.folds[0].part("all"))
    assert len(made.folds[0].part("all")) == 10
    assert not {one.visit for one in made.fingerprints} & set(made.kept_out)
    assert run(["cohort", "split", "--layout", "folder", "--root", str(one), "--verify", str(out)]) == 0


def test_an_edited_list_is_noticed(two: tuple[Path, Path], tmp_path: Path) -> None:
    one, other = two
    out = tmp_path / "split.json"
    split(one, out, "--keep-out-layout", "folder", "--keep-out-root", str(other))
    data = json.loads(out.read_text())
    data["kept_out"] = data["kept_out"][1:]
    out.write_text(json.dumps(data))
    with pytest.raises(DataError, match="altered"):
        Split.load(out)


def test_half_of_the_flags_is_refused(two: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give both"):
        split(two[0], tmp_path / "split.json", "--keep-out-root", str(two[1]))


def test_nothing_in_common_is_told(two: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "three").mkdir()
    far = cohort(tmp_path / "three", {"x": picture(77)})
    out = tmp_path / "split.json"
    assert split(two[0], out, "--keep-out-layout", "folder", "--keep-out-root", str(far)) == 0
    assert "nothing is kept out" in " ".join(capsys.readouterr().err.split())
    assert Split.load(out).kept_out == ()
