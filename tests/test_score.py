"""`eyeground score` and its files: the sanity rows on the real sheet, and every refusal by name."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from eyeground.cli.main import main
from eyeground.errors import DataError
from eyeground.metrics.align import align
from eyeground.metrics.predictions import read_predictions, read_truth, write_predictions
from eyeground.vocabulary import ODIR

HEADER = "ID,N,D,G,C,A,H,M,O"
IDS = ("1", "2", "5", "10")
LABELS = np.array(
    [[1, 0, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 1], [0, 0, 1, 1, 1, 1, 1, 0], [1, 0, 0, 0, 0, 0, 0, 0]]
)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def rows(table: np.ndarray, ids: tuple[str, ...] = IDS) -> list[str]:
    return [",".join([name, *map(str, row)]) for name, row in zip(ids, table.tolist(), strict=True)]


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return write(tmp_path / "truth.csv", HEADER, *rows(LABELS))


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    return write(tmp_path / "predictions.csv", HEADER, *rows(0.1 + 0.8 * LABELS))


def workbook(path: Path, *lines: list[object]) -> Path:
    book = openpyxl.Workbook()
    for line in lines:
        book.active.append(line)
    book.save(path)
    return path


def refusal(capsys: pytest.CaptureFixture[str], truth: Path, predictions: Path, *flags: str) -> str:
    """The one line that `score` refuses with."""
    code = main(["score", "--truth", str(truth), "--predictions", str(predictions), *flags])
    streams = capsys.readouterr()
    assert code == 2 and streams.out == ""
    assert streams.err.startswith("eyeground: error: ") and streams.err.count("\n") == 1
    return streams.err


def scored(capsys: pytest.CaptureFixture[str], truth: Path, predictions: Path, *flags: str) -> dict[str, object]:
    assert main(["score", "--truth", str(truth), "--predictions", str(predictions), "--json", *flags]) == 0
    return dict(json.loads(capsys.readouterr().out))


@pytest.mark.real
def test_sanity_rows_on_the_real_sheet(real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = real_data / "odir5k" / "ODIR-5K_Training_Annotations(Updated)_V2.xlsx"
    truth = read_truth(sheet)
    assert truth.labels.shape == (3500, 8) and truth.labels.sum() == 4115 and truth.vocabulary == ODIR
    prevalence = truth.labels.mean(axis=0)
    for row, auc, final in ((np.zeros(8), 0.5, 0.451012), (prevalence, 0.758120, 0.537052)):
        path = tmp_path / "XYZ_ODIR.csv"
        write_predictions(path, truth.ids, np.broadcast_to(row, (3500, 8)), ODIR.codes)
        result = scored(capsys, sheet, path, "--draws", "0")
        assert result["kappa"] == 0 and result["macro_auc"] == 0.5
        assert result["f1"] == pytest.approx(0.853036, abs=5e-7)
        assert result["auc"] == pytest.approx(auc, abs=5e-7)
        assert result["final"] == pytest.approx(final, abs=5e-7)


def test_json_has_the_promised_keys(truth: Path, predictions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = scored(capsys, truth, predictions, "--draws", "50")
    promised = {"kappa", "f1", "auc", "final", "macro_auc", "macro_ap", "per_class", "n", "baselines", "intervals"}
    assert promised <= set(result)
    assert (result["final"], result["n"], result["truth_patients"]) == (1, 4, 4)
    assert main(["score", "--truth", str(truth), "--predictions", str(predictions), "--draws", "50"]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("F1 (cell accuracy)", "macro AUC", "prevalences", "Glaucoma", "95% interval"))


def test_points_and_prevalence(truth: Path, predictions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--draws", "0", "--points", "threshold=0.3", "specificity=1", "--prevalence", "0.05")
    result = scored(capsys, truth, predictions, *words)
    first, second = result["details"]["operating"]  # type: ignore[index]
    assert (first["point"], second["point"], second["prevalence"]) == ("threshold=0.3", "specificity=1", 0.05)
    assert first["per_class"][0]["at"]["threshold"] == 0.3 and second["per_class"][0]["at"]["sensitivity"] == 1
    assert second["per_class"][0]["at"]["ppv_at_prevalence"] == 1
    assert "by_eyes" not in result["details"] and "labels of eyes" in str(result["notes"])  # type: ignore[operator]
    assert "'sens=1' is no operating point" in refusal(capsys, truth, predictions, "--points", "sens=1")
    assert "--prevalence 5.0 is no share" in refusal(capsys, truth, predictions, "--prevalence", "5")


def test_tables_fit_80_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    generator = np.random.default_rng(0)
    ids = tuple(map(str, range(1000, 1300)))
    labels = (generator.random((300, 8)) < 0.3).astype(int)
    truth = write(tmp_path / "truth.csv", HEADER, *rows(labels, ids), "9999,,1,0,0,0,0,0,0")
    score = np.clip(0.3 * labels + 0.7 * generator.random((300, 8)), 0, 1)
    predictions = write(tmp_path / "p.csv", HEADER, *rows(score, ids), "9999" + ",0.5" * 8)
    words = ["--draws", "50", "--prevalence", "0.05"]
    assert main(["score", "--truth", str(truth), "--predictions", str(predictions), *words]) == 0
    text = capsys.readouterr().out
    for word in (
        "exact match",
        "calibration error",
        "wtd.",
        "sensitivity=0.9",
        "prevalence of 5.0%",
        "missed positives",
    ):
        assert word in text
    assert "…" not in text  # nothing is cut
    lines = text.split("kappa, F1, AUC")[0].splitlines()
    assert max(map(len, lines)) <= 80


def test_score_does_not_import_torch() -> None:
    code = "import sys, eyeground.cli.score; sys.exit(any(m in sys.modules for m in ('torch', 'sklearn', 'pandas')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_written_predictions_read_back_the_same(tmp_path: Path) -> None:
    probability = np.random.default_rng(0).random((4, 8))
    probability[0, :3] = [0, 1, np.nextafter(0.5, 1)]
    path = tmp_path / "team" / "TEAM_ODIR.csv"
    write_predictions(path, IDS, probability, ODIR.codes)
    again = read_predictions(path, ODIR.codes)
    assert again.ids == IDS
    np.testing.assert_array_equal(again.probability, probability)
    assert path.read_text().splitlines()[0] == HEADER
    for bad in (np.full((4, 8), np.nan), np.full((4, 8), 1.5)):
        with pytest.raises(ValueError, match="outside"):
            write_predictions(path, IDS, bad, ODIR.codes)
    np.testing.assert_array_equal(read_predictions(path, ODIR.codes).probability, probability)


def test_workbook_and_csv_truth_agree(tmp_path: Path, truth: Path) -> None:
    """The workbook's other columns are ignored; its whole numbers read as '1', also when stored as 1.0."""
    lines = [[float(name), 63, "Male", *map(int, row)] for name, row in zip(IDS, LABELS.tolist(), strict=True)]
    sheet = workbook(tmp_path / "t.xlsx", ["ID", "Patient Age", "Patient Sex", *ODIR.codes, None], *lines, [None])
    from_sheet, from_csv = read_truth(sheet), read_truth(truth)
    assert from_sheet.ids == from_csv.ids == IDS
    np.testing.assert_array_equal(from_sheet.labels, from_csv.labels)


def test_truth_with_other_labels_and_unknown_cells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = write(tmp_path / "dr.csv", "patient,DR,DME", "007,1,0", "008,0,", "009,0,1")
    read = read_truth(truth)
    assert read.ids == ("007", "008", "009") and read.vocabulary.codes == ("DR", "DME")
    assert np.isnan(read.labels[1, 1])
    predictions = write(tmp_path / "p.csv", "ID,DR,DME", "7,0.9,0.2", "8,0.1,0.3", "9,0.2,0.8")
    result = scored(capsys, truth, predictions)
    assert result["kappa"] is None and result["macro_auc"] == 1
    assert "1 of 6 truth cells are unknown" in str(result["notes"])


def test_disordered_rows(tmp_path: Path, truth: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = rows(0.1 + 0.8 * LABELS)
    path = write(tmp_path / "p.csv", HEADER, lines[0], lines[2], lines[1], lines[3])
    message = refusal(capsys, truth, path)
    assert "row 3 is ID 5 where the truth's order has ID 2" in message and "--reorder" in message
    assert scored(capsys, truth, path, "--reorder")["final"] == 1


def test_disordered_columns(tmp_path: Path, truth: Path, capsys: pytest.CaptureFixture[str]) -> None:
    swapped = (0.1 + 0.8 * LABELS)[:, [1, 0, 2, 3, 4, 5, 6, 7]]
    path = write(tmp_path / "p.csv", "ID,D,N,G,C,A,H,M,O", *rows(swapped))
    assert "column 2 is 'D' where 'N' belongs" in refusal(capsys, truth, path)
    assert scored(capsys, truth, path, "--reorder")["final"] == 1


def test_missing_extra_and_repeated_patients(tmp_path: Path, truth: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = rows(0.1 + 0.8 * LABELS)
    short = write(tmp_path / "short.csv", HEADER, lines[0], lines[2])
    assert "lacks 2 of the truth's 4 patients, first ID 2" in refusal(capsys, truth, short)
    result = scored(capsys, truth, short, "--subset")
    assert (result["n"], result["truth_patients"]) == (2, 4)
    assert "only 2 of the truth's 4 patients" in str(result["notes"])
    extra = write(tmp_path / "extra.csv", HEADER, *lines, lines[0].replace("1,", "11,", 1))
    assert "row 6: the truth has no patient with ID 11" in refusal(capsys, truth, extra, "--subset")
    twice = write(tmp_path / "twice.csv", HEADER, lines[0], *lines)
    assert "row 3 repeats ID 1 of row 2" in refusal(capsys, truth, twice)
    hidden = write(tmp_path / "hidden.csv", HEADER, *lines, lines[0].replace("1,", "01,", 1))
    assert "row 6 repeats ID 1 of row 2" in refusal(capsys, truth, hidden)
    empty = write(tmp_path / "empty.csv", HEADER)
    assert "lacks 4 of the truth's 4" in refusal(capsys, truth, empty, "--subset")


@pytest.mark.parametrize(
    ("cell", "said"),
    [("nan", "holds nan"), ("", "is empty"), ("1.2", "logits or percentages"), ("-0.1", "holds -0.1"), ("x", "'x'")],
)
def test_a_cell_that_is_no_probability(
    tmp_path: Path, truth: Path, capsys: pytest.CaptureFixture[str], cell: str, said: str
) -> None:
    lines = rows(0.1 + 0.8 * LABELS)
    parts = lines[2].split(",")
    parts[3] = cell
    path = write(tmp_path / "p.csv", HEADER, *lines[:2], ",".join(parts), lines[3])
    message = refusal(capsys, truth, path)
    assert f"{path}, row 4 (ID 5), column 'G'" in message and said in message


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["ID,N,D,G,C,A,H,M", "1,0,0,0,0,0,0,0"], "no column 'O'"),
        ([HEADER + ",X", "1" + ",0" * 9], "column 'X' too many"),
        (
            ["id,N,D,G,C,A,H,M,O", "1" + ",0" * 8],
            "no column 'ID': the header must be ID,N,D,G,C,A,H,M,O, it begins id,N",
        ),
        (["ID;N;D;G", "1;0;0;0"], "with commas"),
        ([HEADER, "1,0,0"], "row 2 has 3 cells, the header has 9"),
        ([HEADER, ",0,0,0,0,0,0,0,0"], "row 2 has no ID"),
        (["ID,N,N,G,C,A,H,M,O"], "two columns named 'N'"),
        ([""], "is empty"),
    ],
)
def test_a_table_of_another_shape(
    tmp_path: Path, truth: Path, capsys: pytest.CaptureFixture[str], lines: list[str], said: str
) -> None:
    assert said in refusal(capsys, truth, write(tmp_path / "p.csv", *lines))


def test_broken_truth(tmp_path: Path, predictions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = write(tmp_path / "wrong.csv", HEADER, "1,2,0,0,0,0,0,0,0")
    assert "row 2, column 'N': '2' is not 0, 1 or empty" in refusal(capsys, wrong, predictions)
    twice = write(tmp_path / "twice.csv", HEADER, "1" + ",0" * 8, "1.0" + ",0" * 8)
    assert "row 3 repeats ID 1 of row 2" in refusal(capsys, twice, predictions)
    other = write(tmp_path / "age.csv", "ID,age,DR", "1,63,0")
    assert "column 'age': '63'" in refusal(capsys, other, predictions)
    assert "no patients" in refusal(capsys, write(tmp_path / "header.csv", HEADER), predictions)
    assert "no file" in refusal(capsys, tmp_path / "none.csv", predictions)
    assert "neither .csv nor .xlsx" in refusal(capsys, write(tmp_path / "t.txt", HEADER), predictions)
    broken = write(tmp_path / "t.xlsx", "no zip")
    assert "can't be read as a workbook" in refusal(capsys, broken, predictions)
    latin = tmp_path / "latin.csv"
    latin.write_bytes("ID,É\n1,0\n".encode("latin-1"))
    assert "UTF-8" in refusal(capsys, latin, predictions)


def test_ids_that_differ_only_in_zeros_are_told_apart(tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", "ID,X", "01,0.1", "1,0.9")
    predictions = read_predictions(path, ("X",))
    rows_, probability = align(("01", "1"), predictions)
    assert rows_.tolist() == [0, 1] and probability[:, 0].tolist() == [0.1, 0.9]
    with pytest.raises(DataError, match="--reorder"):
        align(("1", "01"), predictions)


def test_the_documentation_s_examples_run(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "scoring.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(bash|python)\n(.*?)```", page, flags=re.DOTALL)
    assert [kind for kind, _ in blocks] == ["bash", "python"]
    here = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for kind, code in blocks:
        command = ["bash", "-euc", code] if kind == "bash" else [sys.executable, "-c", code]
        subprocess.run(command, cwd=tmp_path, env=here, check=True, capture_output=True)
    assert json.loads((tmp_path / "score.json").read_text())["n"] == 3


def test_tables_of_other_habits_are_refused_by_what_is_wrong(
    tmp_path: Path, truth: Path, predictions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    semicolons = write(tmp_path / "s.csv", "Patient;A", "1;0")
    assert "separates its columns with ';'" in refusal(capsys, semicolons, predictions)
    assert "with tabs" in refusal(capsys, write(tmp_path / "t.csv", "ID\tA", "1\t0"), predictions)
    nameless = write(tmp_path / "n.csv", "ID,A,", "1,0,1")
    assert "a column without a name, number 3" in refusal(capsys, nameless, predictions)
    underscore = write(tmp_path / "u.csv", HEADER, *rows(0.1 + 0.8 * LABELS)[:3], "10,0_1,0,0,0,0,0,0,0")
    assert "holds '0_1'" in refusal(capsys, truth, underscore)  # Python reads it as 1
    long = write(tmp_path / "l.csv", HEADER, *rows(0.1 + 0.8 * LABELS)[:3], "9" * 5000 + ",0,0,0,0,0,0,0,0")
    assert "the truth has no patient with ID 999" in refusal(capsys, truth, long)
    assert "--draws -5" in refusal(capsys, truth, predictions, "--draws", "-5")
