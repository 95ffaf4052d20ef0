"""`cohort check` and `cohort split` as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cohorts_made import ROWS, row, workbook
from eyeground.cli.main import main
from eyeground.splits import Split


def picture(seed: int) -> Image.Image:
    """Blobs that differ from seed to seed."""
    noise = np.random.default_rng(seed).integers(40, 220, (12, 12, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((96, 96), Image.Resampling.BICUBIC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve more patients than ROWS; one photograph cut short, one missing, one shared by two patients."""
    root = tmp_path / "odir"
    rows = [
        *ROWS,
        *(row(n, "normal fundus", "cataract" if n % 2 else "glaucoma", "CG"[n % 2 - 1]) for n in range(10, 22)),
    ]
    workbook(root / "a.xlsx", rows)
    (root / "images").mkdir()
    for number, line in enumerate(rows):
        for eye, file in enumerate(line[3:5]):
            picture(2 * number + eye).save(root / "images" / str(file), quality=95)
    (root / "images" / "1_left.jpg").unlink()
    cut = root / "images" / "3_right.jpg"
    cut.write_bytes(cut.read_bytes()[:600])
    picture(8).save(root / "images" / "21_left.jpg", quality=50)
    return root


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main([str(word) for word in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_check_as_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "cohort", "check", "--layout", "odir", "--root", root, "--json")
    result = json.loads(out)
    assert code == 0
    assert [result[key] for key in ("patients", "eyes", "images_present", "missing_images")] == [16, 32, 31, 1]
    assert result["rule_matches"] == 16 and result["unreadable_images"] == 1
    assert result["labels"]["visits"]["C"] == {"present": 7, "sole": 7, "unknown": 0}
    assert result["flags"]["unreadable_image"]["texts"][0].startswith("3_right.jpg: ")
    assert result["flags"]["missing_image"] == {"count": 1, "texts": ["1_left.jpg is listed but not there"]}
    assert {(pair["a"], pair["b"]) for pair in result["duplicates"]} == {("10 left", "21 left")}


def test_check_as_tables_and_strict(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("cohort", "check", "--layout", "odir", "--root", root)
    code, out, _ = run(capsys, *words, "--verbose")
    assert code == 0 and "10 left = 21 left" in out and "16 of 16" in out
    code, out, err = run(capsys, *words, "--strict", "--quick")
    assert code == 2 and "not opened" in out and "strict: 1 photograph missing" in err
    assert run(capsys, *words, "--strict")[0] == 2
    assert run(capsys, *words, "--undecided", "drop", "--quick")[0] == 0


def test_check_refuses_in_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "cohort", "check", "--layout", "odir", "--root", root / "images")
    assert (
        (code, out) == (2, "") and err.startswith("eyeground: error: no annotation workbook") and err.count("\n") == 1
    )
    with pytest.raises(SystemExit) as leaving:
        main(["cohort", "check", "--layot", "odir", "--root", str(root)])
    assert leaving.value.code == 2


def test_split_writes_what_it_says(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = tmp_path / "known.csv"
    known.write_text("patient_id,eye,neardup_group,identical_group\n11,left,1,-1\n12,left,1,-1\n99,left,1,-1\n")
    words = ("cohort", "split", "--layout", "odir", "--root", root, "--folds", 2, "--known-duplicates", known)
    code, out, err = run(capsys, *words, "--out", tmp_path / "split.json", "--json")
    split, told = Split.load(tmp_path / "split.json"), json.loads(out)
    assert code == 0 and told["hash"] == split.hash and told["groups"] == [["10", "21"], ["11", "12"]]
    assert told["folds"][0]["test"]["visits"] == len(split.folds[0].test) == 8
    assert "99 left" in err and "1 photograph can't be decoded (3 right)" in err
    code, out, _ = run(capsys, *words, "--out", tmp_path / "again.json")
    assert code == 0 and split.hash in out and "10, 21" in out
    code, out, _ = run(capsys, *words[:6], "--folds", 1, "--test-share", 0.25, "--out", tmp_path / "one.json", "--json")
    assert code == 0 and json.loads(out)["folds"][0]["test"]["visits"] == 4


def test_commands_on_the_cohort_start_without_torch() -> None:
    import subprocess
    import sys

    code = "import sys, eyeground.cli.cohort_check, eyeground.cli.cohort_split; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_many_labels_are_shown_row_by_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    codes = [f"finding{number}" for number in range(46)]
    (tmp_path / "cohort.csv").write_text(
        f"patient,eye,file,{','.join(codes)}\n1,OS,1.jpg,{','.join('1' * 46)}\n", encoding="utf-8"
    )
    assert main(["cohort", "check", "--layout", "folder", "--root", str(tmp_path), "--quick"]) == 0
    shown = capsys.readouterr().out
    assert all(code in shown.split() for code in codes)
