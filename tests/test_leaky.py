"""A leaky protocol from split to reading: refused unless allowed, and every number that comes of it is stamped."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from conftest import TINY, Made
from eyeground.cli.main import run
from eyeground.errors import LeakError, UsageError
from eyeground.leaks import audit
from eyeground.metrics.predictions import read_predictions, write_predictions
from eyeground.runs.bundle import load_bundle
from eyeground.splits import Split
from eyeground.vocabulary import ODIR

NAME = "image-80-20-leaky"


@dataclass(frozen=True)
class Leaky:
    """A run under the leaky protocol; `cohort` and `where` are the flags that name the photographs."""

    out: Path
    cohort: tuple[str, ...]
    cache: tuple[str, ...]

    @property
    def split(self) -> Path:
        return self.out / "split.json"

    @property
    def bundle(self) -> Path:
        return self.out / "run" / "bundle"

    @property
    def stamp(self) -> str:
        return str(Split.load(self.split).stamp(0))


@pytest.fixture(scope="module")
def leaky(made_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Leaky:
    """The made cohort parted and trained on under the leaky protocol."""
    out = tmp_path_factory.mktemp("leaky")
    cohort = ("--layout", "odir", "--root", str(made_cohort))
    found = Leaky(out, cohort, ("--cache", str(out / "cache")))
    words = ["cohort", "split", *cohort, "--protocol", NAME, "--out", str(found.split)]
    with pytest.raises(LeakError, match="--allow-leaky"):
        run(words)
    assert not found.split.exists()
    assert run([*words, "--allow-leaky"]) == 0
    train = ["train", *cohort, *found.cache, "--split", str(found.split), "--out", str(out / "run"), *TINY]
    with pytest.raises(LeakError, match=f"made under {NAME}.*--allow-leaky"):
        run(train)
    assert run([*train, "--allow-leaky"]) == 0
    return found


def judged(leaky: Leaky, capsys: pytest.CaptureFixture[str], *more: str, bundle: Path | None = None) -> dict[str, Any]:
    """What `evaluate --json` prints of the test part."""
    capsys.readouterr()
    words = ["evaluate", "--bundle", str(bundle or leaky.bundle), *leaky.cohort, *leaky.cache, "--draws", "0", "--json"]
    assert run([*words, *more]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_the_stamp_tells_what_was_measured(leaky: Leaky) -> None:
    split = Split.load(leaky.split)
    leak = split.leak(0)
    assert leak.patients > leak.other_eye > 0
    share = f"{100 * leak.other_eye / leak.patients:.0f} %"
    assert leaky.stamp.startswith(f"LEAKY PROTOCOL {NAME}: {share} of test patients have their other eye in training")
    assert leaky.stamp.endswith("not comparable with patient-level results")
    assert json.loads(leaky.split.read_text())["stamps"] == [leaky.stamp]


def test_log_and_bundle_are_stamped(leaky: Leaky) -> None:
    rows = [json.loads(line) for line in (leaky.out / "run" / "log.jsonl").read_text().splitlines()]
    assert len(rows) == 2 and all(row["stamp"] == leaky.stamp for row in rows)
    bundle = load_bundle(leaky.bundle)
    assert bundle.stamp == bundle.metrics["stamp"] == leaky.stamp
    assert bundle.config["data"]["protocol"] == Split.load(leaky.split).protocol.brief()
    assert leaky.stamp in (leaky.bundle / "card.md").read_text(encoding="utf-8")


def test_judgement_and_predictions_are_stamped(
    leaky: Leaky, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["evaluate", "--bundle", str(leaky.bundle), *leaky.cohort, *leaky.cache, "--draws", "0"]
    for more in (["--part", "test"], ["--split", str(leaky.split)]):
        with pytest.raises(LeakError, match="--allow-leaky"):
            run([*words, *more])
    found = judged(leaky, capsys, "--part", "test", "--allow-leaky", "--out", str(tmp_path / "out"))
    assert found["stamp"] == found["leak_audit"]["stamp"] == leaky.stamp
    assert found["leak_audit"]["passed"] is False and found["leak_audit"]["shared_patients"]
    assert found["protocol"]["name"] == NAME and found["n"] == len(Split.load(leaky.split).folds[0].test)
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["stamp"] == leaky.stamp
    assert read_predictions(tmp_path / "out" / "predictions.csv", ODIR.codes).stamp == leaky.stamp
    assert run([*words, "--part", "test", "--allow-leaky"]) == 0
    printed = capsys.readouterr()
    assert leaky.stamp in printed.out and leaky.stamp in " ".join(printed.err.split())
    with pytest.raises(LeakError, match="shared patients"):
        run([*words, "--allow-leaky"])  # the whole cohort, not a part of the leaky split


def test_the_flag_opens_no_other_door(leaky: Leaky, made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    """A clean model on the leaky split, a leaky model on a clean split: the audit fails them as ever."""
    for bundle, split in ((made.bundle, leaky.split), (leaky.bundle, made.split)):
        words = ["evaluate", "--bundle", str(bundle), *leaky.cohort, *leaky.cache, "--draws", "0"]
        with pytest.raises(LeakError, match="training and evaluation share"):
            run([*words, "--split", str(split), "--part", "test", "--allow-leaky"])
    with pytest.raises(LeakError, match="training and evaluation share"):
        run(["evaluate", "--bundle", str(made.bundle), *leaky.cohort, *leaky.cache, "--draws", "0", "--allow-leaky"])
    clean = judged(leaky, capsys, "--part", "test", "--allow-leaky", bundle=made.bundle)
    assert "stamp" not in clean and "stamp" not in clean["leak_audit"] and clean["leak_audit"]["passed"]


def test_a_clean_split_that_leaks_is_still_refused(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """--allow-leaky does not switch the audit off for a split of another protocol."""
    failing = replace(audit([], [], same_cohort=True), passed=False, text="training and evaluation share 1 patient")
    monkeypatch.setattr("eyeground.runs.fit.audit", lambda *words, **more: failing)
    cohort = ("--layout", "odir", "--root", str(made.root), "--cache", str(made.cache))
    with pytest.raises(LeakError, match="share 1 patient"):
        run(["train", *cohort, "--split", str(made.split), "--out", str(made.run), *TINY, "--allow-leaky"])


def test_the_stamp_survives_calibration(leaky: Leaky, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["--bundle", str(leaky.bundle), *leaky.cohort, *leaky.cache]
    new = tmp_path / "calibrated"
    with pytest.raises(LeakError, match="--allow-leaky"):
        run(["calibrate", *words, "--out", str(new)])
    assert run(["calibrate", *words, "--out", str(new), "--draws", "1", "--allow-leaky"]) == 0
    words[1] = str(new)
    newer = tmp_path / "operated"
    with pytest.raises(LeakError, match="--allow-leaky"):
        run(["operating-point", *words, "--at", "youden", "--out", str(newer)])
    assert run(["calibrate", *words, "--out", str(newer), "--draws", "1", "--allow-leaky"]) == 0
    bundle = load_bundle(newer)
    assert bundle.stamp == bundle.metrics["stamp"] == leaky.stamp
    assert leaky.stamp in (newer / "card.md").read_text(encoding="utf-8")
    assert run(["card", "--bundle", str(newer), "--out", str(tmp_path / "card")]) == 0
    for name in ("card", "tripod_ai", "claim"):
        assert leaky.stamp in (tmp_path / "card" / f"{name}.md").read_text(encoding="utf-8"), "also without evaluations"
    assert judged(leaky, capsys, "--part", "test", "--allow-leaky", bundle=newer)["stamp"] == leaky.stamp


def test_readings_say_it(leaky: Leaky, made_cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = sorted((made_cohort / "ODIR-5K_Training_Images").glob("*_left.jpg"))
    assert run(["read", str(images[0]), "-", "--bundle", str(leaky.bundle), "--out", str(tmp_path / "reading")]) == 0
    reading = json.loads((tmp_path / "reading" / "reading.json").read_text())
    assert reading["warnings"][0] == f"The model was trained under a leaky protocol. {leaky.stamp}."
    assert NAME in capsys.readouterr().out
    assert NAME in (tmp_path / "reading" / "report.html").read_text(encoding="utf-8")


def test_score_and_compare_say_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "LEAKY PROTOCOL x-leaky: 74 % of test patients have their other eye in training, 3 of 9; not comparable"
    ids = [str(number) for number in range(12)]
    truth = "ID,D,G\n" + "".join(f"{name},{k % 2},{k % 3 // 2}\n" for k, name in enumerate(ids))
    (tmp_path / "truth.csv").write_text(truth)
    for name, stamp in (("a", text), ("b", None)):
        rows = [[0.1 + 0.05 * k, 0.9 - 0.06 * (k if stamp else 11 - k)] for k in range(12)]
        write_predictions(tmp_path / f"{name}.csv", ids, rows, ("D", "G"), stamp)
    files = [str(tmp_path / f"{name}.csv") for name in "ab"]
    words = ["--truth", str(tmp_path / "truth.csv"), "--json"]
    for file, told in zip(files, (text, None), strict=True):
        assert run(["score", *words, "--predictions", file, "--draws", "0"]) == 0
        printed = capsys.readouterr()
        assert json.loads(printed.out).get("stamp") == told and (text in " ".join(printed.err.split())) is bool(told)
    assert run(["compare", *words, *files, "--draws", "100", "--permutations", "100"]) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert found["systems"][0]["stamps"] == [text] and "stamps" not in found["systems"][1]
    assert f"a: {text}" in found["notes"] and text in " ".join(printed.err.split())


def test_flags_that_contradict_each_other(made_cohort: Path, tmp_path: Path) -> None:
    words = ["cohort", "split", "--layout", "odir", "--root", str(made_cohort)]
    out = ["--out", str(tmp_path / "split.json")]
    with pytest.raises(UsageError, match=r"--protocol odir-3fold and --folds, --val-share contradict"):
        run([*words, *out, "--protocol", "odir-3fold", "--folds", "3", "--val-share", "0.1"])
    with pytest.raises(UsageError, match="--out is missing"):
        run([*words, "--protocol", "odir-3fold"])
    with pytest.raises(UsageError, match="--verify takes all that says how to split from the split itself"):
        run([*words, *out, "--verify", "split.json"])


def test_verify(leaky: Leaky, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["cohort", "split", *leaky.cohort, "--json", "--verify"]
    with pytest.raises(LeakError, match="--allow-leaky"):
        run([*words, str(leaky.split)])
    capsys.readouterr()
    for split, more in ((leaky.split, ["--allow-leaky"]), (made.split, [])):
        assert run([*words, str(split), *more]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["same"] and found["hash"] == found["split_hash"] and found["differences"] == []
    (tmp_path / "cohort").mkdir()
    for file in made.root.iterdir():
        (tmp_path / "cohort" / file.name).symlink_to(file)
    images = tmp_path / "cohort" / "ODIR-5K_Training_Images"
    images.unlink()
    images.mkdir()
    for file in made.images.iterdir():
        (images / file.name).symlink_to(file)
    first = sorted(images.glob("*_left.jpg"))[0]
    first.unlink()
    words[words.index("--root") + 1] = str(tmp_path / "cohort")
    words.remove("--json")
    assert run([*words, str(made.split)]) == 2
    assert f"1 photographs of the split are not here: {first.stem.replace('_', ' ')}" in capsys.readouterr().out
