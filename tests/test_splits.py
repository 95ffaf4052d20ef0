"""Laws of splits: each visit once, groups together, labels spread, the same everywhere, nothing altered unseen."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from eyeground.cohorts import read_cohort
from eyeground.errors import DataError, UsageError
from eyeground.files import digest
from eyeground.leaks import Fingerprint, Pair, audit
from eyeground.records import Cohort, Eye, Visit
from eyeground.splits import Scheme, Split, deal, make_split
from eyeground.vocabulary import ODIR

PREVALENCE = (0.33, 0.32, 0.06, 0.06, 0.05, 0.03, 0.05, 0.28)


def made_cohort(n: int = 400, seed: int = 0) -> tuple[Cohort, tuple[Fingerprint, ...]]:
    """n visits of about 0.9 n patients with ODIR's label frequencies; every tenth visit has no photograph."""
    rng = np.random.default_rng(seed)
    visits, prints = [], []
    for number in range(n):
        name, patient = f"v{number}", f"p{number if number % 9 else max(number - 1, 0)}"
        path = None if number % 10 == 7 else Path(f"{name}.jpg")
        eye = Eye("left", f"{name}.jpg", path, (None,) * 8)
        labels = tuple(int(draw < share) for draw, share in zip(rng.random(8), PREVALENCE, strict=True))
        visits.append(Visit(name, patient, (eye, None), labels))
        if path:
            prints.append(Fingerprint(name, patient, "left", digest(name), ""))
    return Cohort("odir", Path("root"), ODIR, tuple(visits)), tuple(prints)


@pytest.fixture(scope="module")
def made() -> tuple[Cohort, tuple[Fingerprint, ...], list[Pair]]:
    cohort, prints = made_cohort()
    pairs = [Pair(prints[k], prints[k + 5], "copy", 1.0) for k in range(0, 60, 6)]
    return cohort, prints, pairs


SCHEMES = [Scheme(), Scheme(5), Scheme(2, val_share=0.0), Scheme(1), Scheme(1, test_share=0.5, val_share=0.0)]


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_every_visit_once_and_groups_together(made, scheme: Scheme) -> None:
    cohort, prints, pairs = made
    split = make_split(cohort, prints, scheme, 1, pairs)
    ids = [visit.id for visit in cohort.with_images()]
    patient = {visit.id: visit.patient for visit in cohort.visits}
    assert len(split.folds) == scheme.folds
    for fold in split.folds:
        assert sorted(fold.part("all")) == sorted(ids)
        where = {name: part for part in ("train", "val", "test") for name in fold.part(part)}
        for group in split.groups:
            assert len({where[name] for name in group}) == 1
        parts_of = {(patient[name], where[name]) for name in ids}
        assert len(parts_of) == len({patient[name] for name in ids})
        assert all(where[pair.a.visit] == where[pair.b.visit] for pair in pairs)
        seen, judged = (split.fingerprints_of(fold.part(part)) for part in ("train", "test"))
        assert audit(seen, judged, same_cohort=True).passed
    if scheme.folds > 1:
        assert sorted(name for fold in split.folds for name in fold.test) == sorted(ids)


@pytest.mark.parametrize("n", [30, 31, 32, 500])
def test_fold_sizes_differ_by_one_at_most(n: int) -> None:
    cohort, prints = made_cohort(n)
    single = [Fingerprint(one.visit, one.visit, one.side, one.sha256, "") for one in prints]
    split = make_split(cohort, single, Scheme(3), 0, ())
    sizes = [len(fold.test) for fold in split.folds]
    assert max(sizes) - min(sizes) <= 1 and sum(sizes) == len(cohort.with_images())


def test_rare_labels_are_spread_evenly(made) -> None:
    cohort, prints, pairs = made
    labels = {visit.id: visit.labels for visit in cohort.visits}
    for seed in range(3):
        split = make_split(cohort, prints, Scheme(4), seed, pairs)
        counts = np.array([np.sum([labels[name] for name in fold.test], axis=0) for fold in split.folds])
        assert (np.ptp(counts, axis=0) <= 2).all(), counts


def test_dealing_meets_each_share_exactly_where_it_can() -> None:
    labels = np.eye(4, dtype=np.int64).repeat(30, axis=0)
    part = deal(labels, np.arange(120), [80, 40, 0], np.random.Generator(np.random.PCG64(0)))
    assert [np.bincount(part[labels[:, c] == 1], minlength=3).tolist() for c in range(4)] == [[20, 10, 0]] * 4


def test_a_group_larger_than_a_fold_still_stays_together() -> None:
    index = np.array([0] * 8 + [1, 2, 3, 4])
    part = deal(np.zeros((12, 1), np.int64), index, [4, 4, 4], np.random.Generator(np.random.PCG64(0)))
    assert len(set(part[:8].tolist())) == 1 and len(set(part.tolist())) == 3


def test_the_same_seed_gives_the_same_split_and_another_seed_another(made) -> None:
    cohort, prints, pairs = made
    one, two, other = (make_split(cohort, prints, Scheme(), seed, pairs) for seed in (3, 3, 4))
    assert one == two and one.hash == two.hash != other.hash


def test_the_assignment_is_the_same_on_every_machine() -> None:
    """A value computed once, that must not change with versions or machines."""
    cohort, prints = made_cohort(60)
    assert make_split(cohort, prints, Scheme(), 0, ()).hash == (
        "37866ab7f0c34c33119122730d214cc77add1746ea2e6aad0dabf1f28bf0c31b"
    )


def test_saved_and_loaded(made, tmp_path: Path) -> None:
    cohort, prints, pairs = made
    split = make_split(cohort, prints, {"folds": 3}, 1, pairs)
    split.save(tmp_path / "split.json")
    again = Split.load(tmp_path / "split.json")
    assert again == split and again.duplicates[0]["kind"] == "copy"


def test_altered_splits_are_refused(made, tmp_path: Path) -> None:
    cohort, prints, pairs = made
    path = tmp_path / "split.json"
    make_split(cohort, prints, Scheme(), 1, pairs).save(path)
    whole = json.loads(path.read_text())

    def altered(change) -> None:
        data = json.loads(json.dumps(whole))
        change(data)
        path.write_text(json.dumps(data))
        Split.load(path)

    def move(data) -> None:
        data["folds"][0]["train"].append(data["folds"][0]["test"].pop())

    for change in (
        move,
        lambda d: d["fingerprints"].pop(),
        lambda d: d["duplicates"].pop(),
        lambda d: d["groups"].pop(),
    ):
        with pytest.raises(DataError, match="was altered after it was made"):
            altered(change)
    with pytest.raises(DataError, match="version 99, newer than this program"):
        altered(lambda d: d.update(version=99))
    with pytest.raises(DataError, match="is no split"):
        altered(lambda d: d.pop("folds"))
    with pytest.raises(DataError, match="no split"):
        Split.load(tmp_path / "none.json")
    path.write_text("[1, 2]")
    with pytest.raises(DataError, match="is no split"):
        Split.load(path)


def test_check_against_a_cohort(made) -> None:
    cohort, prints, pairs = made
    split = make_split(cohort, prints, Scheme(), 1, pairs)
    assert split.check_against(cohort) == ()
    smaller = Cohort("odir", cohort.root, ODIR, cohort.visits[2:])
    with pytest.raises(DataError, match=r"names 2 visits that root does not have \(v0, v1\)"):
        split.check_against(smaller)
    extra = Visit("new", "new", (Eye("left", "n.jpg", Path("n.jpg"), (None,) * 8), None), (0,) * 8)
    assert split.check_against(Cohort("odir", cohort.root, ODIR, (*cohort.visits, extra))) == ("new",)


def test_impossible_schemes(made) -> None:
    cohort, prints, _ = made
    for scheme, message in [
        (Scheme(0), "can't make 0 folds"),
        (Scheme(1000), "can't make 1000 folds"),
        (Scheme(2, val_share=0.5), "leave something for training"),
        (Scheme(1, test_share=-0.1), "leave something for training"),
    ]:
        with pytest.raises(UsageError, match=message):
            make_split(cohort, prints, scheme, 0, ())
    split = make_split(cohort, prints, Scheme(), 0, ())
    with pytest.raises(UsageError, match="no fold 3: this split has folds 0 to 2"):
        split.fold(3)
    with pytest.raises(UsageError, match="no part 'valid'"):
        split.fold(0).part("valid")


@pytest.mark.real
def test_odirs_three_folds(real_data: Path) -> None:
    """All 3,500 patients give the published 1167/1167/1166; labels differ by a few between folds at most."""
    cohort = read_cohort("odir", real_data / "odir5k")
    there = tuple(
        Visit(v.id, v.patient, (Eye("left", "x", Path("x"), v.labels), None), v.labels) for v in cohort.visits
    )
    prints = [Fingerprint(v.id, v.patient, "left", v.id, "") for v in there]
    split = make_split(Cohort("odir", cohort.root, ODIR, there), prints, Scheme(), 0, ())
    assert Counter(len(fold.test) for fold in split.folds) == {1167: 2, 1166: 1}
    labels = {visit.id: visit.labels for visit in there}
    counts = np.array([np.sum([labels[name] for name in fold.test], axis=0) for fold in split.folds])
    assert (np.ptp(counts, axis=0) <= 4).all()
