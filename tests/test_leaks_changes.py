"""What may have happened to a copy, on made eyes and on the published lists; signatures, old and new; the command."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from benchmarks.leaks_changes import CHANGES, known_pairs, photographs
from numpy.typing import NDArray

from eyeground.cli.main import run
from eyeground.errors import DataError, UsageError
from eyeground.leaks import Fingerprint, audit, find_duplicates
from eyeground.leaks.audit import EARLIER, FALSE_ALARMS, METHOD
from eyeground.leaks.earlier import earlier_signature, to_text
from eyeground.leaks.search import find_matches
from eyeground.leaks.signature import LEVELS, SIDE, disc, read_signatures, signature, signature_of

Pixels = NDArray[np.uint8]


def take(name: str, pixels: Pixels, patient: str | None = None) -> Fingerprint:
    return Fingerprint(name, patient or name, "left", name, signature(pixels))


def old(one: Fingerprint) -> Fingerprint:
    """As a split of an earlier version holds it."""
    return Fingerprint(one.visit, one.patient, one.side, one.sha256, one.thumbnail)


@pytest.fixture(scope="module")
def pictures(made_cohort: Path) -> list[Pixels]:
    """Twenty made eyes of different patients."""
    files = sorted((made_cohort / "ODIR-5K_Training_Images").glob("*_left.jpg"))[:20]
    read = [cv2.imread(str(one)) for one in files]
    return [
        np.ascontiguousarray(cv2.resize(one, (256, 256), interpolation=cv2.INTER_CUBIC)[:, :, ::-1]) for one in read
    ]


@pytest.fixture(scope="module")
def prints(pictures: list[Pixels]) -> list[Fingerprint]:
    return [take(f"e{number}", one) for number, one in enumerate(pictures)]


def test_different_made_eyes_are_no_copies(prints: list[Fingerprint]) -> None:
    assert find_duplicates(prints) == []


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found(pictures: list[Pixels], prints: list[Fingerprint], change: str) -> None:
    copies = [take(f"c{number}", CHANGES[change](one)) for number, one in enumerate(pictures)]
    found = {(pair.a.visit, pair.b.visit): pair for pair in find_duplicates(prints, copies)}
    assert {a[1:] for a, b in found} <= {b[1:] for a, b in found}
    assert all(a[1:] == b[1:] for a, b in found)
    assert len(found) >= 18, sorted(found)
    assert {pair.kind for pair in found.values()} == ({"mirrored"} if "mirrored" in change else {"copy"})


def test_the_order_of_two_sets_does_not_matter(pictures: list[Pixels], prints: list[Fingerprint]) -> None:
    copies = [take(f"c{number}", CHANGES["mirrored"](one)) for number, one in enumerate(pictures)]
    one = {(pair.a.visit, pair.b.visit, pair.kind) for pair in find_duplicates(prints, copies)}
    two = {(pair.b.visit, pair.a.visit, pair.kind) for pair in find_duplicates(copies, prints)}
    within = {(pair.a.visit, pair.b.visit, pair.kind) for pair in find_duplicates([*prints, *copies])}
    assert one == two == within


def test_a_signature_is_its_picture(pictures: list[Pixels]) -> None:
    text = signature(pictures[0])
    frames = read_signatures([text, text])
    assert frames[0].shape == (2, SIDE, SIDE) and np.abs(frames[0]).max() <= LEVELS
    assert not frames[0][:, ~disc()].any() and frames[0].any()
    whole = cv2.circle(np.zeros((300, 400, 3), np.uint8), (200, 150), 120, (180, 90, 60), -1, cv2.LINE_AA)
    below = read_signatures([signature(whole), signature(whole[50:250])])[1]  # the disc cut off above and below
    assert np.allclose(below, [[0, 0, 1, 1], [0, 0, 1, 1.2]], atol=0.03)
    assert text.endswith(to_text(earlier_signature(pictures[0])))
    assert len(text) < 1400 and signature_of(b"nonsense", Path("x.jpg")) == ""
    for broken in ("2:", "2:AAAA", "2:!!", "3:" + text[2:], "AAAA"):
        with pytest.raises(DataError, match="no signature of a photograph"):
            read_signatures([broken])


def test_blocks_of_the_comparison_do_not_matter(prints: list[Fingerprint], monkeypatch: pytest.MonkeyPatch) -> None:
    from eyeground.leaks import search

    frames = read_signatures([one.signature for one in [*prints, *prints[:7]]])
    whole = find_matches(frames)
    assert {(match.one, match.two) for match in whole} == {(k, 20 + k) for k in range(7)}
    assert all(match.correlation == pytest.approx(1, abs=1e-5) for match in whole)
    monkeypatch.setattr(search, "ROWS", 5)
    monkeypatch.setattr(search, "COLUMNS", 3)
    assert sorted(find_matches(frames), key=lambda m: m.one) == sorted(whole, key=lambda m: m.one)


def test_even_pictures_match_nothing() -> None:
    flat = [take(f"f{level}", np.full((200, 200, 3), level, np.uint8)) for level in (0, 90, 255)]
    assert find_duplicates(flat, suspects=True) == []


def test_splits_of_earlier_versions_are_still_audited(pictures: list[Pixels], prints: list[Fingerprint]) -> None:
    stored = [old(one) for one in prints]
    fresh = take("fresh", CHANGES["mirrored, half size, JPEG 40"](pictures[4]))
    leaking = audit(stored, [fresh], same_cohort=False)
    assert [str(pair) for pair in leaking.similar] == ["e4 left = fresh left (mirrored)"]
    assert leaking.method == EARLIER and leaking.false_alarms is None and "weaker thumbnail" in leaking.text
    assert [(pair.a.visit, pair.b.visit) for pair in audit([fresh], stored, False).similar] == [("fresh", "e4")]
    assert [(p.a.visit, p.b.visit) for p in find_duplicates([*stored, fresh])] == [("e4", "fresh")]
    assert [(p.a.visit, p.b.visit) for p in find_duplicates([*stored, old(fresh)])] == [("e4", "fresh")]
    lit = take("lit", CHANGES["gamma 0.6"](pictures[4]))
    assert audit(stored, [lit], same_cohort=False).passed  # what the old signature misses
    strong = audit(prints, [lit], same_cohort=False)
    assert not strong.passed and strong.method == METHOD and strong.to_dict()["false_alarms"] == FALSE_ALARMS


def cohort(folder: Path, pictures: dict[str, Pixels]) -> Path:
    """A cohort in the folder layout: patient to photograph, the label of every second present."""
    folder.mkdir()
    rows = ["patient,eye,file,dr"]
    for number, (patient, pixels) in enumerate(pictures.items()):
        cv2.imwrite(str(folder / f"{patient}.png"), pixels[:, :, ::-1])
        rows.append(f"{patient},left,{patient}.png,{number % 2}")
    (folder / "cohort.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_the_command_within_and_between(
    tmp_path: Path, pictures: list[Pixels], capsys: pytest.CaptureFixture[str]
) -> None:
    ours = cohort(tmp_path / "a", {"p0": pictures[0], "p1": CHANGES["mirrored"](pictures[0]), "p2": pictures[2]})
    theirs = cohort(tmp_path / "b", {"p2": pictures[5], "q": CHANGES["CLAHE"](pictures[2])})
    page = tmp_path / "page.html"
    words = ["cohort", "duplicates", "--layout", "folder", "--root", str(ours), "--json", "--report", str(page)]
    assert run(words) == 2
    result = json.loads(capsys.readouterr().out)
    (row,) = result["pairs"]
    assert (row["a"], row["b"], row["kind"], row["disagree"]) == ("p0 left", "p1 left", "mirrored", ["dr"])
    assert result["compared"] == 3 and result["false_alarms"] == FALSE_ALARMS
    text = page.read_text()
    assert text.count("data:image/jpeg;base64,") == 2 and "labels disagree: dr" in text and "shown mirrored" in text
    assert "http:" not in text and "https:" not in text
    assert run([*words, "--against", str(theirs)]) == 2
    result = json.loads(capsys.readouterr().out)
    assert [(row["a"], row["b"], row["kind"]) for row in result["pairs"]] == [("p2 left", "q left", "copy")]
    assert result["compared"] == 6
    assert run([*words[:4], *["--root", str(theirs)]]) == 0
    with pytest.raises(UsageError, match="--against"):
        run([*words, "--against-layout", "folder"])


@pytest.mark.real
def test_the_published_lists(real_data: Path) -> None:
    files = photographs(real_data)
    for title, pairs in known_pairs(real_data).items():
        for a, b in pairs:
            one, two = (Fingerprint(n, n, "left", n, signature_of(files[n].read_bytes(), files[n])) for n in (a, b))
            assert [pair.kind for pair in find_duplicates([one], [two])] == ["copy"], (title, a, b)
