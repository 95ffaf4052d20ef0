"""Protocols: their hashes, what they deal, and whether a split can be made again."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from eyeground.cli.main import run
from eyeground.cohorts import read_cohort
from eyeground.cohorts.known import read_known_duplicates
from eyeground.errors import LeakError, UsageError
from eyeground.files import digest, sha256_of
from eyeground.leaks import Fingerprint, Pair, audit
from eyeground.protocols import NAMES, find_protocol
from eyeground.protocols.leakage import measure, stamp
from eyeground.protocols.protocol import Protocol
from eyeground.protocols.remake import against_protocol, remake, stored_pairs
from eyeground.protocols.shuffle import Shuffle
from eyeground.records import Cohort, Eye, Visit
from eyeground.splits import Scheme, Split, make_split
from eyeground.vocabulary import ODIR

HASHES = {
    "odir-3fold": "89224806ed8e7db336f677602d1d0acf632af0ee1d42790d6d5e28cca84f2dc9",
    "odir-holdout": "3b1f25ffbc738b29787e2f5dd30addcc845b534c890f7ee682cade133ef98f8f",
    "patient-80-20": "74b0f830e95ec2cb4e94a72777e6a1d80b6c226f4fd5add4c8f9253ed99fd98b",
    "image-80-20": "402e1a85e7ff31b1a451b1cdcb325a867c4eb88cdcca4ecb51b1d9328fd60504",
    "image-80-20-leaky": "80f45eeb6638c142eed96a6cd9aea8bf84df443c2c5b899ebc7afebafe71eaef",
}
"""Of the protocols as published. One that changes needs a new version, and a line here."""

IDS = {
    "odir-3fold": "b9e1c7ea3f2b68e333be50c71a160b92565b7de444723e29fb565cb85ab369b8",
    "odir-holdout": "486002043ddc24901c85e467e356b8d9ade352d4d5be9308d7e2137a00ce1783",
    "patient-80-20": "8e587b868af81230b248ca39d5762605c2c247cae015a198e9e7e7b013f17a5d",
    "image-80-20": "5cdc4543870deda70b0316f735918a7b70ab633837b8bcfc12fef334478c6b09",
    "image-80-20-leaky": "a780a8bf92609da07284b569d24453c598ada320aa273f371c8846ed40ad3e41",
}
"""Hash of the split of the made cohort below, seed 0."""

REAL = {
    "odir-3fold": "4f242b05968a2e167e0590b6dddf9ea20399278567a34b7e031508c0259de7d1",
    "odir-holdout": "d3aa829dde995c4013a29e5765f961dec376fcdac39f3ed9c786e8acb0496616",
    "patient-80-20": "da9597db1ce6bbce421396f081a327909811d76aa3c73c0db7965e9ec0267c6a",
    "image-80-20": "39af37bc158b9ad45c21e42d15eaaf306a535ae5be5447414106a9ec4e50e104",
    "image-80-20-leaky": "0aa3e07636363f89c49c4b35005ee96618d7b47ea0b0f0d2d116ec2ec15e2694",
}
"""Hash of the split of the real photographs, seed 0, with the listed duplicates alone: nothing is decoded."""


def made(n: int = 120) -> tuple[Cohort, list[tuple[str, str, str]]]:
    """n patients with two eyes; every tenth has only the left. Also (visit, side, bytes) of a few twins."""
    rng = np.random.Generator(np.random.PCG64(7))
    visits = []
    for number in range(n):
        labels = tuple(int(draw < 0.3) for draw in rng.random(8))
        eyes = [Eye(side, f"{number}_{side}.jpg", Path("x"), (1, *labels[1:])) for side in ("left", "right")]
        visits.append(Visit(str(number), str(number), (eyes[0], eyes[1] if number % 10 else None), labels))
    return Cohort("odir", Path("root"), ODIR, tuple(visits)), [("3", "left", "twin"), ("81", "right", "twin")]


def prints_of(cohort: Cohort, twins: list[tuple[str, str, str]]) -> tuple[Fingerprint, ...]:
    """Fingerprints without pixels; twins share their bytes."""
    same = {(visit, side): value for visit, side, value in twins}
    return tuple(
        Fingerprint(
            visit.id,
            visit.patient,
            eye.side,
            digest(same.get((visit.patient, eye.side), [visit.patient, eye.side])),
            "",
        )
        for visit in cohort.visits
        for eye in visit.listed()
        if eye.path
    )


def split_of(name: str, seed: int = 0) -> tuple[Split, Cohort, tuple[Fingerprint, ...], list[Pair]]:
    """The made cohort's split under a protocol, with its one pair of twins."""
    cohort, twins = made()
    protocol = find_protocol(name)
    seen = protocol.view(cohort)
    prints = prints_of(seen, twins)
    same = [one for one in prints if one.sha256 == digest("twin")]
    pairs = [Pair(same[0], same[1], "identical", float("nan"), "the same bytes")]
    return make_split(seen, prints, protocol, seed, pairs), seen, prints, pairs


def test_the_shuffle_is_numpys() -> None:
    for seed in range(10):
        ours, theirs = Shuffle(seed), np.random.Generator(np.random.PCG64(seed))
        for n in (0, 1, 2, 3, 17, 256, 257, 1000, 5):
            assert np.array_equal(ours.permutation(n), theirs.permutation(n)), (seed, n)


def test_the_shuffle_never_changes() -> None:
    """Numbers written down once: they hold even should NumPy change its own."""
    assert Shuffle(0).permutation(10).tolist() == [4, 6, 2, 7, 3, 5, 9, 0, 8, 1]
    assert digest(Shuffle(1).permutation(3500).tolist()) == (
        "5d90903bebf9b9965397258bcc5bd3e59a058c82eaca65c9591e78d994ba6d59"
    )


def test_every_position_is_as_likely() -> None:
    shuffle = Shuffle(3)
    counts = np.zeros((5, 5))
    for _ in range(4000):
        counts[np.arange(5), shuffle.permutation(5)] += 1
    chi = ((counts - 800) ** 2 / 800).sum()
    assert chi < 39.3  # 16 degrees of freedom, p = 0.001


def test_hashes_stay() -> None:
    assert {name: find_protocol(name).hash for name in NAMES} == HASHES


@pytest.mark.parametrize("name", NAMES)
def test_a_protocol_and_a_seed_give_the_same_ids(name: str) -> None:
    assert split_of(name)[0].hash == IDS[name]
    assert split_of(name, 1)[0].hash != IDS[name]


@pytest.mark.parametrize("name", NAMES)
def test_what_a_protocol_promises(name: str) -> None:
    split, cohort, _, _ = split_of(name)
    protocol = find_protocol(name)
    ids = [visit.id for visit in cohort.with_images()]
    n = len(ids)
    assert n == (228 if protocol.unit == "photograph" else 120)
    for number, fold in enumerate(split.folds):
        assert sorted(fold.part("all")) == sorted(ids)
        assert abs(len(fold.val) - 0.1 * n) <= 1
        assert abs(len(fold.test) - n * (protocol.test_share or 1 / 3)) <= 2
        seen, judged = split.fingerprints_of(fold.train + fold.val), split.fingerprints_of(fold.test)
        assert audit(seen, judged, same_cohort=True).passed is not protocol.leaky
        assert (split.stamp(number) is not None) is protocol.leaky
        leak = split.leak(number)
        assert (leak.other_photograph > 0) is protocol.leaky


def test_what_leaks_is_counted_as_by_hand() -> None:
    def shot(patient: str, side: str) -> Fingerprint:
        return Fingerprint(f"{patient}_{side}", patient, side, digest([patient, side]), "")  # type: ignore[arg-type]

    train = [shot("a", "left"), shot("b", "left"), shot("c", "right")]
    val = [shot("d", "left")]
    test = [shot("a", "right"), shot("c", "left"), shot("d", "right"), shot("e", "left"), shot("e", "right")]
    twins = [{"a": "e_left left", "b": "b_left left"}, {"a": "d_left left", "b": "a_right right"}]
    found = measure(train, val, test, twins)
    assert (found.patients, found.other_eye, found.other_photograph, found.with_validation) == (4, 2, 2, 3)
    assert (found.photographs, found.duplicates) == (5, 1)  # the second twin is in the validation part
    text = stamp(find_protocol("image-80-20-leaky"), found)
    assert text == (
        "LEAKY PROTOCOL image-80-20-leaky: 50 % of test patients have their other eye in training, 1 of 5 test "
        "photographs a duplicate; not comparable with patient-level results"
    )
    nobody = measure(train, val, [], [])
    assert nobody.to_dict()["other_eye_share"] is None and "no test patients" in stamp(
        find_protocol("image-80-20-leaky"), nobody
    )


def test_the_leak_is_what_chance_says() -> None:
    """A test patient's other eye is in training with probability 0.7 or, with both eyes tested on, surely not."""
    rates = []
    for seed in range(20):
        leak = split_of("image-80-20-leaky", seed)[0].leak(0)
        rates.append(leak.other_eye / leak.patients)
    # of 108 pairs: one tested and the other trained on 2 x .2 x .7, both tested on .04; of 12 single ones .2
    expected = 108 * 0.28 / (108 * 0.36 + 12 * 0.2)
    assert np.mean(rates) == pytest.approx(expected, abs=0.03)


def test_a_photograph_by_itself_has_the_labels_that_were_asked_for() -> None:
    cohort, _ = made(3)
    leaky = find_protocol("image-80-20-leaky")
    seen = leaky.view(cohort)
    assert [visit.id for visit in seen.visits] == ["0_left", "1_left", "1_right", "2_left", "2_right"]
    for visit in seen.visits:
        mother = next(one for one in cohort.visits if one.id == visit.id.split("_")[0])
        (eye,) = visit.listed()
        assert visit.patient == mother.patient and visit.labels == eye.labels == mother.labels
    own = replace(leaky, name="own-leaky", labels="eye").view(cohort)
    assert all(visit.labels[0] == 1 for visit in own.visits)
    both = replace(find_protocol("patient-80-20"), name="pairs", eyes="both").view(cohort)
    assert [visit.id for visit in both.visits] == ["1", "2"]


def test_the_toml_can_be_edited_and_given(tmp_path: Path) -> None:
    ours = find_protocol("patient-80-20")
    path = tmp_path / "mine.toml"
    path.write_text("# a comment, and the keys in another order\n" + "\n".join(reversed(ours.to_toml().splitlines())))
    assert find_protocol(str(path)).hash == ours.hash
    text = ours.to_toml()
    path.write_text(text.replace("patient-80-20", "patient-70-30").replace("test_share = 0.2", "test_share = 0.3"))
    mine = find_protocol(str(path))
    assert mine.hash != ours.hash and mine.differences(ours) == ("name", "test_share")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("test_share = 0.2", "test_share = 0.3", "is called patient-80-20 but differs from it in test_share"),
        ("val_share", "vall_share", "unknown key 'vall_share' .* did you mean 'val_share'"),
        ('unit = "patient"', 'unit = "eye"', "'unit' in .* can't be 'eye'"),
        ("folds = 1", "folds = 3", "either folds of 2 or more or a test_share"),
        ('"patients and duplicates"', '"nothing"', "must end with '-leaky'"),
        ('name = "patient-80-20"', 'name = "my-leaky"', "must not end with '-leaky'"),
        ('name = "patient-80-20"', 'name = "custom"', "give the protocol another name"),
        ('name = "patient-80-20"', 'name = "My Protocol"', "small letters, digits and hyphens"),
        ('labels = "visit"', 'labels = "eye"', 'is for unit = "photograph"'),
        ("test_share = 0.2", "test_share = 1.2", "something left for training"),
        ("version = 1\n", "", "has no 'version'"),
        ("version = 1", "version = = 1", "is not valid TOML"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    text = find_protocol("patient-80-20").to_toml()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(UsageError, match=message):
        find_protocol(str(path))


def test_names_that_are_not_there() -> None:
    with pytest.raises(UsageError, match=r"no protocol 'patient-8020'; did you mean 'patient-80-20'"):
        find_protocol("patient-8020")
    with pytest.raises(UsageError, match=r"no protocol file nowhere\.toml"):
        find_protocol("nowhere.toml")
    with pytest.raises(UsageError, match=r"is for the layout odir or odir-kaggle, not folder"):
        find_protocol("odir-3fold").require_layout("folder")
    with pytest.raises(LeakError, match="--allow-leaky"):
        find_protocol("image-80-20-leaky").require_allowed(False, "the split")
    find_protocol("patient-80-20").require_allowed(False, "the split")


@pytest.mark.parametrize("name", NAMES)
def test_a_split_keeps_its_protocol(name: str, tmp_path: Path) -> None:
    split, cohort, prints, pairs = split_of(name)
    split.save(tmp_path / "split.json")
    again = Split.load(tmp_path / "split.json")
    assert again == split and again.protocol.hash == find_protocol(name).hash
    assert stored_pairs(again, prints) == pytest.approx(pairs, nan_ok=True) or len(stored_pairs(again, prints)) == 1
    assert against_protocol(again, find_protocol(name)) == []
    found = remake(again, cohort, prints, pairs)
    assert found["same"] and found["rule"] is True and found["hash"] == split.hash and found["differences"] == []
    data = json.loads((tmp_path / "split.json").read_text())
    assert ("stamps" in data) is split.protocol.leaky
    data["protocol"]["val_share"] = 0.2
    (tmp_path / "split.json").write_text(json.dumps(data))
    with pytest.raises(Exception, match="was altered"):
        Split.load(tmp_path / "split.json")


def test_what_differs_is_named() -> None:
    split, cohort, prints, pairs = split_of("patient-80-20")
    other = replace(prints[5], sha256=digest("other"))
    decoded = replace(prints[6], signature="AAAA")
    changed = (*prints[:5], other, decoded, *prints[7:])
    found = remake(split, cohort, changed, pairs)
    assert found["photographs"]["changed"] == [other.name] and found["photographs"]["signatures"] == [decoded.name]
    assert not found["same"] and found["rule"] is True and found["moved"] == []
    lost = remake(split, cohort, prints, [])
    assert lost["duplicates"]["lost"] == [["3 left", "81 right"]] and lost["rule"] is True and not lost["same"]
    fewer = replace(cohort, visits=cohort.visits[1:])
    gone = remake(split, fewer, prints[1:], pairs)
    assert gone["photographs"]["gone"] == ["0 left"] and gone["rule"] is None and not gone["same"]
    relabelled = replace(cohort, visits=tuple(replace(one, labels=(0,) * 8) for one in cohort.visits))
    dealt = remake(split, relabelled, prints, pairs)
    assert dealt["rule"] is False and dealt["moved"] and not dealt["same"]
    assert any("its labels or its rule have changed" in line for line in dealt["differences"])


def test_splits_of_version_1_are_still_read(tmp_path: Path) -> None:
    cohort, twins = made(30)
    prints = prints_of(cohort, twins)
    split = make_split(cohort, prints, Scheme(1, 0.2, 0.1), 0, ())
    split.save(tmp_path / "new.json")
    data = json.loads((tmp_path / "new.json").read_text())
    rest = [data["fingerprints"], data["duplicates"]]
    for key in ("protocol", "made_with"):
        del data[key]
    (tmp_path / "old.json").write_text(json.dumps({**data, "version": 1, "photographs_hash": digest(rest)}))
    old = Split.load(tmp_path / "old.json")
    assert old == split and old.protocol.name == "custom" and old.stamp(0) is None and old.made_with == {}


def test_a_renamed_protocol_is_not_the_same() -> None:
    ours = find_protocol("patient-80-20")
    assert replace(ours, name="mine").hash != ours.hash != replace(ours, rule="other prose").hash
    assert isinstance(ours, Protocol) and ours.brief()["leaky"] is False


@pytest.mark.real
@pytest.mark.parametrize("name", NAMES)
def test_the_real_ids(name: str, real_data: Path) -> None:
    """ODIR-5K's photographs as they are here: the same ids from bytes, labels and listed duplicates."""
    root = real_data / "odir5k"
    protocol = find_protocol(name)
    cohort = protocol.view(read_cohort("odir", root))
    prints = tuple(
        Fingerprint(visit.id, visit.patient, eye.side, sha256_of(eye.path), "")
        for visit in cohort.visits
        for eye in visit.listed()
        if eye.path
    )
    pairs, _ = read_known_duplicates(root / "duplicates.csv", prints)
    assert make_split(cohort, prints, protocol, 0, pairs).hash == REAL[name]


def test_the_page_tells_every_key_and_hash() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "protocols.md").read_text(encoding="utf-8")
    for one in fields(Protocol):
        assert re.search(rf"^\| .*`{one.name}`.* \|", page, re.MULTILINE), one.name
    for name in NAMES:
        assert re.search(rf"^\| `{name}` .*`{find_protocol(name).hash[:12]}` \|$", page, re.MULTILINE), name


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["protocol", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["protocols"]
    assert [one["name"] for one in listed] == list(NAMES)
    assert run(["protocol", "show", "odir-3fold", "--out", str(tmp_path / "p.toml")]) == 0
    assert run(["protocol", "show", str(tmp_path / "p.toml")]) == 0
    assert capsys.readouterr().out == find_protocol("odir-3fold").to_toml()
    split_of("patient-80-20")[0].save(tmp_path / "split.json")
    assert run(["protocol", "check", "patient-80-20", str(tmp_path / "split.json")]) == 0
    assert run(["protocol", "check", str(tmp_path / "p.toml"), str(tmp_path / "split.json"), "--json"]) == 2
    text = capsys.readouterr().out
    assert '"folds: the split has 1, the protocol 3"' in text
