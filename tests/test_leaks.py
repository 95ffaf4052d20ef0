"""Copies, the same eye photographed again, groups and the audit: on made eyes and on the published duplicates."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from eyeground.cohorts import read_cohort
from eyeground.cohorts.known import read_known_duplicates
from eyeground.errors import DataError, LeakError
from eyeground.files import sha256_of
from eyeground.leaks import Fingerprint, Pair, audit, find_duplicates, find_same_eyes, fingerprints, groups
from eyeground.leaks.signature import signature, signature_of
from eyeground.records import SIDES, Cohort, Eye, Visit
from eyeground.same_eye import AGREE, compare, keypoints

KNOWN = {"32": "765", "398": "668", "2365": "3047", "2487": "3185", "4296": "4419"}
"""Pairs of patients in the published list of near duplicates; its pair 2175 and 2957 are two different eyes."""

COPIES = {
    *KNOWN.items(),
    ("271", "282"),
    ("271", "398"),
    ("271", "668"),
    ("282", "398"),
    ("4105", "4484"),
    ("4330", "4552"),
}
"""Pairs of patients whose photographs agree in their fine detail; each was looked at and is one eye."""


def made_eye(seed: int, size: int = 320, shift: tuple[int, int] = (0, 0), gain: float = 1.0) -> NDArray[np.uint8]:
    """A disc with random vessels; the same seed is the same eye, shifted and lit as asked."""
    rng = np.random.default_rng(seed)
    picture = np.full((size, size, 3), (170, 90, 50), np.float32)
    picture *= 1 + 0.3 * (np.mgrid[:size, :size][1] / size - 0.5)[..., None] * rng.choice([-1, 1])
    place = rng.integers(size // 4, 3 * size // 4, 2)
    for _ in range(14):
        angle, bend = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.02)
        steps = np.cumsum([[np.cos(angle + bend * k), np.sin(angle + bend * k)] for k in range(160)], axis=0) * 1.4
        line = np.round(steps + place + shift).astype(np.int32)
        cv2.polylines(picture, [line], False, (110, 40, 25), int(rng.integers(2, 5)), cv2.LINE_AA)
    for spot in rng.integers(30, size - 30, (40, 2)):
        cv2.circle(
            picture, tuple(int(v) for v in spot + shift), int(rng.integers(1, 4)), (220, 190, 120), -1, cv2.LINE_AA
        )
    picture = np.clip(picture * gain, 0, 255)
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    picture[np.hypot(rows, columns) > 0.48 * size] = 0
    return picture.astype(np.uint8)


def save(path: Path, image: Image.Image | NDArray[np.uint8], quality: int = 92) -> Path:
    """Writes a JPEG."""
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, quality=quality)
    return path


def visit(name: str, *paths: Path | None, patient: str | None = None) -> Visit:
    """A visit with photographs, left first."""
    eyes = [Eye(side, p.name, p, (None,)) if p else None for side, p in zip(SIDES, (*paths, None), strict=False)]
    return Visit(name, patient or name, (eyes[0], eyes[1]), (None,))


def names(pairs: list[Pair]) -> set[tuple[str, str, str]]:
    return {(pair.a.visit, pair.b.visit, pair.kind) for pair in pairs}


@pytest.fixture(scope="module")
def eyes(tmp_path_factory: pytest.TempPathFactory) -> list[Visit]:
    """Twelve different eyes."""
    folder = tmp_path_factory.mktemp("eyes")
    return [visit(f"v{seed}", save(folder / f"{seed}.jpg", made_eye(seed))) for seed in range(12)]


def test_different_eyes_are_no_duplicates(eyes: list[Visit]) -> None:
    prints = fingerprints(eyes)
    assert [one.visit for one in prints] == [one.id for one in eyes]
    assert find_duplicates(prints) == [] and find_same_eyes(eyes, prints) == []


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda image: image, "copy"),
        (lambda image: image.resize((160, 160), Image.Resampling.LANCZOS), "copy"),
        (lambda image: image.resize((900, 900)), "copy"),
        (lambda image: image.resize((320, 240)), "copy"),
        (lambda image: ImageOps.expand(image, (60, 10, 20, 10), 0), "copy"),
        (ImageOps.mirror, "mirrored"),
        (lambda image: image.convert("L"), "copy"),
    ],
    ids=["quality", "half", "larger", "squashed", "padded", "mirrored", "grey"],
)
def test_copies_are_found(eyes: list[Visit], tmp_path: Path, change, kind: str) -> None:
    for one in eyes[:4]:
        assert one.left and one.left.path
        with Image.open(one.left.path) as image:
            path = save(tmp_path / f"{one.id}.jpg", change(image), quality=40)
        found = find_duplicates(fingerprints([*eyes, visit("copy", path)]))
        assert names(found) == {(one.id, "copy", kind)}
        assert found[0].similarity > 0.9


def test_identical_bytes_even_when_unreadable(tmp_path: Path, eyes: list[Visit]) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff nonsense")
    again = tmp_path / "again.jpg"
    again.write_bytes(broken.read_bytes())
    assert eyes[0].left
    visits = [*eyes, visit("x", broken), visit("y", again), visit("z", eyes[0].left.path)]
    prints = fingerprints(visits)
    assert [one.visit for one in prints if not one.signature] == ["x", "y"]
    assert names(find_duplicates(prints)) == {("x", "y", "identical"), ("v0", "z", "identical")}
    report = audit(prints[:3], prints[-3:], same_cohort=True)
    assert report.unreadable == ("x left", "y left") and "bytes only" in report.text


def test_a_split_passed_on_without_pictures_says_what_it_can_not_find(tmp_path: Path, eyes: list[Visit]) -> None:
    assert eyes[0].left and eyes[0].left.path
    with Image.open(eyes[0].left.path) as image:
        again = save(tmp_path / "again.jpg", image.resize((200, 200)), 60)
    there, here = fingerprints(eyes[:3]), fingerprints([visit("copy", again)])
    assert not audit(there, here, same_cohort=True).passed
    bare = [one.without_picture() for one in there]
    assert not any(one.is_earlier or one.pictured for one in bare)
    report = audit(bare, here, same_cohort=True)
    assert report.passed and report.false_alarms is None and not report.unreadable
    assert "copies saved anew would not be found" in report.text and "thumbnail" not in report.method
    assert not audit(bare, there[:1], same_cohort=False).passed, "the bytes are still compared"
    broken = replace(there[0], signature="")
    assert broken.without_picture() == broken, "what could not be decoded is told as before"


def test_the_same_eye_photographed_again(eyes: list[Visit], tmp_path: Path) -> None:
    again = save(tmp_path / "again.jpg", made_eye(3, shift=(9, -6), gain=0.8), 85)
    visits = [*eyes, visit("again", again)]
    prints = fingerprints(visits)
    assert find_duplicates(prints) == []
    found = find_same_eyes(visits, prints)
    assert names(found) == {("v3", "again", "same_eye")} and "keypoints agree" in found[0].evidence
    of_one_patient = [*eyes, visit("again", again, patient="v3")]
    assert find_same_eyes(of_one_patient, fingerprints(of_one_patient)) == []


def test_nothing_agrees_with_a_black_or_even_picture(tmp_path: Path, eyes: list[Visit]) -> None:
    black = save(tmp_path / "black.png", np.zeros((300, 300, 3), np.uint8))
    assert eyes[0].left and eyes[0].left.path
    assert compare(keypoints(black), keypoints(eyes[0].left.path)).agreeing < AGREE
    assert find_same_eyes([visit("b", black), *eyes], fingerprints([visit("b", black), *eyes])) == []


def test_a_fingerprint_is_the_same_however_many_work(eyes: list[Visit]) -> None:
    assert fingerprints(eyes, workers=1) == fingerprints(eyes, workers=3)
    assert fingerprints([]) == () and find_duplicates([]) == [] and find_same_eyes([], []) == []


def _print(name: str, patient: str | None = None) -> Fingerprint:
    return Fingerprint(name, patient or name, "left", name, "")


def test_groups_join_patients_and_pairs() -> None:
    prints = [_print("a"), _print("b"), _print("c", "a"), _print("d"), _print("e")]
    pair = Pair(prints[4], prints[1], "copy", 1.0)
    assert groups(prints, [pair]) == {"a": "a", "b": "b", "c": "a", "d": "d", "e": "b"}
    chain = [Pair(prints[i], prints[i + 1], "copy", 1.0) for i in range(4)]
    assert set(groups(prints, chain).values()) == {"a"}


def test_audit_passes_and_fails(eyes: list[Visit], tmp_path: Path) -> None:
    prints = fingerprints(eyes)
    clean = audit(prints[:6], prints[6:], same_cohort=True)
    assert clean.passed and clean.to_dict()["passed"] is True
    clean.require()
    assert eyes[0].left and eyes[0].left.path
    mirrored = save(tmp_path / "m.jpg", ImageOps.mirror(Image.open(eyes[0].left.path)), 70)
    leaking = audit(prints[:6], [*prints[5:], *fingerprints([visit("m", mirrored)])], same_cohort=True)
    assert not leaking.passed and leaking.shared_patients == ("v5",)
    assert names(list(leaking.exact)) == {("v5", "v5", "identical")}
    assert names(list(leaking.similar)) == {("v0", "m", "mirrored")}
    with pytest.raises(LeakError, match=r"1 shared patient \(v5\).*v0 left = m left"):
        leaking.require()


def test_patient_ids_of_another_cohort_mean_nothing(eyes: list[Visit]) -> None:
    prints = fingerprints(eyes)
    ours = prints[:6]
    theirs = [replace(b, visit=a.visit, patient=a.patient) for a, b in zip(ours, prints[6:], strict=True)]
    assert audit(ours, theirs, same_cohort=False).passed
    assert not audit(ours, theirs, same_cohort=True).passed


def test_known_duplicates_are_read(tmp_path: Path, eyes: list[Visit]) -> None:
    prints = fingerprints(eyes)
    path = tmp_path / "known.csv"
    path.write_text(
        "patient_id,eye,neardup_group,identical_group\nv1,left,5,-1\nv2,left,5,-1\nv3,left,-1,-1\nv9,right,5,-1\n"
    )
    pairs, absent = read_known_duplicates(path, prints)
    assert names(pairs) == {("v1", "v2", "known")} and absent == ["v9 right"]
    path.write_text("patient_id,eye\nv1,left\n")
    with pytest.raises(DataError, match="no column 'neardup_group', 'identical_group'"):
        read_known_duplicates(path, prints)
    with pytest.raises(DataError, match="no file"):
        read_known_duplicates(tmp_path / "none.csv", prints)


# the published set


@pytest.fixture(scope="module")
def odir(real_data: Path) -> tuple[Cohort, tuple[Fingerprint, ...]]:
    cohort = read_cohort("odir", real_data / "odir5k")
    return cohort, fingerprints(cohort.visits)


@pytest.mark.real
def test_copies_in_odir(odir: tuple[Cohort, tuple[Fingerprint, ...]]) -> None:
    _, prints = odir
    assert len(prints) == 4904 and all(one.signature for one in prints)
    found = {(pair.a.patient, pair.b.patient) for pair in find_duplicates(prints) if pair.a.patient != pair.b.patient}
    assert found == COPIES


@pytest.mark.real
def test_same_eyes_in_odir(odir: tuple[Cohort, tuple[Fingerprint, ...]]) -> None:
    cohort, _ = odir
    ids = {*KNOWN, *KNOWN.values(), "2175", "2957", "271", "282", "249", "569", "229", "4037", "1028", "1095"}
    ids |= {"4105", "4484", "4330", "4552", *map(str, range(300, 420))}
    visits = [one for one in cohort.visits if one.id in ids]
    prints = fingerprints(visits)
    grouping = groups(prints, find_same_eyes(visits, prints))
    joined = {name: [other for other, of in grouping.items() if of == grouping[name] != other] for name in grouping}
    for one, two in KNOWN.items():
        assert grouping[one] == grouping[two], (one, two)
    assert grouping["2175"] != grouping["2957"]
    together = {frozenset([*others, grouping[name]]) for name, others in joined.items() if others}
    assert together == {
        frozenset(ids)
        for ids in (
            ("32", "765"),
            ("229", "4037"),
            ("249", "569"),
            ("271", "282", "398", "668"),
            ("1028", "1095"),
            ("2365", "3047"),
            ("2487", "3185"),
            ("4105", "4484"),
            ("4296", "4419"),
            ("4330", "4552"),
        )
    }


@pytest.mark.real
def test_real_photographs_survive_saving_again(odir: tuple[Cohort, tuple[Fingerprint, ...]], tmp_path: Path) -> None:
    cohort, prints = odir
    chosen = [eye for one in cohort.with_images()[::40] for eye in one.listed() if eye.path is not None]
    copies = []
    for number, eye in enumerate(chosen):
        assert eye.path is not None
        with Image.open(eye.path) as image:
            small = image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        (ImageOps.mirror(small) if number % 2 else small).save(buffer, "JPEG", quality=40)
        text = signature_of(buffer.getvalue(), eye.path)
        copies.append(Fingerprint(f"copy{number}", f"copy{number}", "left", f"{number}", text))
    found = find_duplicates(prints, copies)
    originals = {_sha(eye.path): number for number, eye in enumerate(chosen)}
    right = {pair.b.visit for pair in found if originals.get(pair.a.sha256) == int(pair.b.visit[4:])}
    wrong = [pair for pair in found if originals.get(pair.a.sha256) != int(pair.b.visit[4:])]
    assert len(chosen) > 100 and len(right) >= 0.98 * len(chosen)
    assert {pair.a.patient for pair in wrong} <= {patient for pair in COPIES for patient in pair}


def _sha(path: Path | None) -> str:
    assert path is not None
    return sha256_of(path)


def test_frames_without_detail_and_empty_files_are_not_the_same_eye() -> None:
    """Dark, bleached and empty files of different patients lie close to each other by chance."""
    from eyeground.leaks import NOTHING

    rng = np.random.default_rng(0)
    prints = []
    for number, level in enumerate((3, 3, 250, 250)):
        noise = rng.normal(level, 2, (256, 256, 3)).clip(0, 255).astype(np.uint8)
        text = signature(noise)
        prints.append(Fingerprint(str(number), str(number), "left", str(number), text))
    prints += [Fingerprint(f"empty{i}", f"empty{i}", "left", NOTHING, "") for i in range(2)]
    assert find_duplicates(prints) == []
    assert audit(prints[::2], prints[1::2], same_cohort=False).passed


def test_a_side_that_nobody_told_is_not_shown() -> None:
    told, untold = Fingerprint("7", "7", "left", "a", ""), Fingerprint("8", "8", "left", "b", "", side_known=False)
    assert str(Pair(told, untold, "copy", 1.0)) == "7 left = 8 (copy)"
    assert Pair(told, untold, "copy", 1.0).to_dict()["b"] == "8 left"  # what stored splits are compared by
    assert [Fingerprint(*one.to_row()).shown for one in (told, untold)] == ["7 left", "8"]  # type: ignore[arg-type]
    assert len(told.to_row()) == 5 and Fingerprint("8", "8", "left", "b", "") == untold
