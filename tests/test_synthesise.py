"""Copies made before a split: what a change does, what is written, and that only the leaky split parts them."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from eyeground.cli.main import run
from eyeground.cohorts import read_cohort
from eyeground.errors import DataError, LeakError
from eyeground.images.change import RANGES, SCALES, Change, apply_change, draw_changes
from eyeground.leaks import audit
from eyeground.records import Cohort
from eyeground.runs.synthesise import disk_need, plan
from eyeground.splits import Split

SYNTHESISE = ("cohort", "synthesise", "--layout", "odir", "--root")
FACTORS = ("--balance-factors", "G=3", "H=2", "M=1")


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A lit disc on black, uint8 (40, 60, 3)."""
    pixels = np.random.default_rng(0).integers(60, 200, (40, 60, 3), dtype=np.uint8)
    y, x = np.mgrid[:40, :60]
    pixels[(y - 20) ** 2 + (x - 30) ** 2 > 18**2] = 0
    return pixels


def test_twelve_copies_are_twelve_kinds() -> None:
    changes = draw_changes(12, "7 left", 0)
    kinds = [(one.kind, one.amount if one.kind == "rescale" else 0) for one in changes]
    assert len(set(kinds)) == 12
    assert sorted(one.amount for one in changes if one.kind == "rescale") == [*SCALES]
    assert all(RANGES[c.kind][0] <= abs(c.amount) <= RANGES[c.kind][1] for c in changes if c.kind in ("crop", "rotate"))
    assert draw_changes(12, "7 left", 0) == changes and draw_changes(5, "7 left", 0) == changes[:5]
    assert draw_changes(12, "7 right", 0) != changes != draw_changes(12, "7 left", 1)
    assert len(draw_changes(30, "7 left", 0)) == 30


def test_flips_are_their_own_inverse_and_sizes_are_as_said(picture: np.ndarray) -> None:
    for kind in ("mirror", "upside_down"):
        once = apply_change(picture, Change(kind))  # type: ignore[arg-type]
        assert not np.array_equal(once, picture)
        assert np.array_equal(apply_change(once, Change(kind)), picture)  # type: ignore[arg-type]
    assert apply_change(picture, Change("rescale", 0.5)).shape == (20, 30, 3)
    crop = apply_change(picture, Change("crop", 0.8, x=1.0, y=0.0))
    assert np.array_equal(crop, picture[:32, 12:])


@pytest.mark.parametrize(("kind", "same", "other"), [("contrast", 1, 1.3), ("hue", 0, 8), ("gamma", 1, 0.7)])
def test_colour_leaves_the_black_around_the_field(picture: np.ndarray, kind: str, same: float, other: float) -> None:
    np.testing.assert_allclose(apply_change(picture, Change(kind, same)).astype(int), picture, atol=1)  # type: ignore[arg-type]
    changed = apply_change(picture, Change(kind, other))  # type: ignore[arg-type]
    dark = picture.max(2) == 0
    assert not changed[dark].any() and (changed[~dark] != picture[~dark]).any()


def test_saturation_and_rotation(picture: np.ndarray) -> None:
    grey = apply_change(picture, Change("saturation", 0.0))
    assert np.ptp(grey.astype(int), axis=2).max() == 0
    np.testing.assert_allclose(grey[..., 0], picture.max(2), atol=1, err_msg="value is kept")
    np.testing.assert_allclose(apply_change(picture, Change("rotate", 180.0)), picture[::-1, ::-1], atol=1)


@pytest.fixture(scope="module")
def made_copies(made_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made cohort with copies."""
    out = tmp_path_factory.mktemp("synthesised") / "cohort"
    assert (
        run(["cohort", "synthesise", "--layout", "odir", "--root", str(made_cohort), "--out", str(out), *FACTORS]) == 0
    )
    return out


def read_copies(out: Path) -> list[dict[str, str]]:
    with (out / "copies.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def expected(cohort: Cohort) -> int:
    """Copies by the rule, counted apart from the code."""
    g, h, m = (cohort.vocabulary.index(code) for code in "GHM")
    states = [eye.labels for visit in cohort.visits for eye in visit.listed()]
    return sum(max(3 * (s[g] or 0), 2 * (s[h] or 0), s[m] or 0) for s in states)


def test_what_is_written_is_read_back(made_cohort: Path, made_copies: Path) -> None:
    before, after = read_cohort("odir", made_cohort), read_cohort("folder", made_copies)
    assert after.vocabulary == before.vocabulary
    visits = {visit.id: visit for visit in after.visits}
    for visit in before.visits:
        same = visits.pop(visit.id)
        assert (same.patient, same.labels, same.age, same.sex) == (visit.patient, visit.labels, visit.age, visit.sex)
        for one, two in zip(visit.listed(), same.listed(), strict=True):
            assert (one.labels, one.side, one.keywords) == (two.labels, two.side, two.keywords)
            assert one.path is not None and two.path is not None and one.path.read_bytes() == two.path.read_bytes()
    copies = read_copies(made_copies)
    assert len(visits) == len(copies) == expected(before) > 20
    originals = {visit.id: visit for visit in before.visits}
    for visit in visits.values():
        (eye,) = visit.listed()
        source = originals[visit.patient]
        assert visit.labels == source.labels and eye.path is not None
        assert eye.labels == next(one.labels for one in source.listed() if one.side == eye.side)
    assert {row["file"] for row in copies} == {eye.file for visit in visits.values() for eye in visit.listed()}


def test_a_copy_is_its_change_of_its_photograph(made_copies: Path) -> None:
    for row in read_copies(made_copies)[:12]:
        pixels = cv2.imread(str(made_copies / row["of"]))[..., ::-1]
        change = Change(row["change"], float(row["amount"]), float(row["x"]), float(row["y"]))  # type: ignore[arg-type]
        wanted = apply_change(np.ascontiguousarray(pixels), change).astype(int)
        found = cv2.imread(str(made_copies / row["file"]))[..., ::-1].astype(int)
        assert np.abs(found - wanted).mean() < 3, row


def test_it_goes_on_where_it_stopped_and_leaves_other_folders_alone(
    made_cohort: Path, made_copies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "again"
    shutil.copytree(made_copies, out)
    files = sorted(out.rglob("*.*"))
    bytes_ = {file: file.read_bytes() for file in files if file.is_file()}
    copies = sorted((out / "photographs").glob("*_copy*.jpg"))
    for file in (copies[0], copies[5], out / "cohort.csv"):
        file.unlink()
    words = [*SYNTHESISE, str(made_cohort), "--out"]
    assert run([*words, str(out), *FACTORS]) == 0
    assert "GiB to write" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in sorted(out.rglob("*.*")) if file.is_file()} == bytes_
    with pytest.raises(DataError, match=r"holds another synthesised cohort \(other seed\)"):
        run([*words, str(out), *FACTORS, "--seed", "1"])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "cohort.csv").write_text("mine")
    with pytest.raises(DataError, match="not empty and holds no synthesised cohort"):
        run([*words, str(tmp_path / "mine"), *FACTORS])
    assert (tmp_path / "mine" / "cohort.csv").read_text() == "mine"
    with pytest.raises(DataError, match="nothing to copy"):
        run([*words, str(tmp_path / "none"), "--balance-factors", "G=0"])
    assert not (tmp_path / "none").exists()


def test_a_full_disk_is_told_before_anything_is_written(
    made_cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need, free = disk_need(plan(read_cohort("odir", made_cohort), ("G=3",)), tmp_path / "new" / "one")
    assert 0 < need < free
    monkeypatch.setattr("eyeground.cli.cohort_synthesise.disk_need", lambda work, out: (2**40, 2**30))
    with pytest.raises(DataError, match=r"need about 1024.00 GiB, .* has 1.00 GiB free"):
        run(
            [
                "cohort",
                "synthesise",
                "--layout",
                "odir",
                "--root",
                str(made_cohort),
                "--out",
                str(tmp_path / "x"),
                *FACTORS,
            ]
        )
    assert not (tmp_path / "x").exists()


def test_a_photograph_that_can_not_be_decoded_is_kept_without_copies(
    made_copies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.jpg").write_bytes((made_copies / read_copies(made_copies)[0]["of"]).read_bytes())
    (root / "b.jpg").write_bytes(b"no picture")
    (root / "cohort.csv").write_text(
        "patient,visit,eye,file,G\n007,day1,left,a.jpg,1\n007,day1,right,b.jpg,1\n007,day2,left,b.jpg,\n"
    )
    words = ["cohort", "synthesise", "--layout", "folder", "--root", str(root), "--out", str(tmp_path / "out")]
    assert run([*words, "--balance-factors", "G=2"]) == 0
    assert "1 photographs can't be decoded" in " ".join(capsys.readouterr().err.split())
    found = read_cohort("folder", tmp_path / "out")
    ids = ["007:day1", "007:day1-left-copy1", "007:day1-left-copy2", "007:day2"]
    assert [visit.id for visit in found.visits] == ids and {visit.patient for visit in found.visits} == {"007"}
    assert found.visits[-1].labels == (None,)


def splits(made_copies: Path, out: Path) -> tuple[Split, Split]:
    cohort = ["cohort", "split", "--layout", "folder", "--root", str(made_copies), "--protocol"]
    with pytest.raises(LeakError, match="--allow-leaky"):
        run([*cohort, "image-80-20-leaky", "--out", str(out / "leaky.json")])
    assert run([*cohort, "image-80-20", "--out", str(out / "clean.json")]) == 0
    assert run([*cohort, "image-80-20-leaky", "--allow-leaky", "--out", str(out / "leaky.json")]) == 0
    return Split.load(out / "clean.json"), Split.load(out / "leaky.json")


def test_only_the_leaky_split_parts_copies_from_their_photograph(
    made_cohort: Path, made_copies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean, leaky = splits(made_copies, tmp_path)
    photographs = sum(bool(eye.path) for visit in read_cohort("odir", made_cohort).visits for eye in visit.listed())
    of_photograph = {one.visit: (one.patient, one.side) for one in clean.fingerprints}
    assert len(of_photograph) == photographs + len(read_copies(made_copies))
    for split in (clean, leaky):
        parts = split.fold(0)
        learnt = {of_photograph[one] for one in (*parts.train, *parts.val)}
        shared = sum(of_photograph[one] in learnt for one in parts.test)
        assert (shared > 0) is split.protocol.leaky
        train, test = (split.fingerprints_of(ids) for ids in ((*parts.train, *parts.val), parts.test))
        assert audit(train, test, same_cohort=True).passed is not split.protocol.leaky
    assert abs(len(clean.fold(0).test) - len(leaky.fold(0).test)) <= 2, "groups don't fit to the last photograph"
    stamp = leaky.stamp(0)
    assert clean.stamp(0) is None and stamp is not None and stamp.startswith("LEAKY PROTOCOL image-80-20-leaky")
    assert stamp in " ".join(capsys.readouterr().err.split())
    assert json.loads((tmp_path / "leaky.json").read_text())["stamps"] == [stamp]
    assert leaky.leak(0).duplicates > 0 and "a duplicate" in stamp
    listed = ["--known-duplicates", str(made_copies / "duplicates.csv")]
    words = ["cohort", "split", "--layout", "folder", "--root", str(made_copies), "--protocol", "image-80-20-leaky"]
    assert run([*words, *listed, "--allow-leaky", "--out", str(tmp_path / "listed.json")]) == 0
    told = Split.load(tmp_path / "listed.json")
    assert told.hash == leaky.hash
    learnt = {of_photograph[one] for one in told.fold(0).train}
    shared = sum(of_photograph[one] in learnt for one in told.fold(0).test)
    assert leaky.leak(0).duplicates < told.leak(0).duplicates <= shared, "turned copies are known from the list only"
