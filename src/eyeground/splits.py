"""Splits: visits into training, validation and test parts, together with their patient and their duplicates.

Stratification follows Sechidis, Tsoumakas & Vlahavas 2011 ("On the stratification of multi-label data"): visits with
the rarest label are dealt out first, each to the part that lacks it most. Here whole groups are dealt, all labels of a
group count (each by the share of it that a part still lacks), and the sizes of the parts are fixed beforehand.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground import __version__, leaks
from eyeground.errors import DataError, UsageError
from eyeground.files import digest, write_text
from eyeground.leaks import Fingerprint, Pair
from eyeground.progress import Track, quiet
from eyeground.protocols.leakage import Leak, measure, stamp
from eyeground.protocols.protocol import Protocol, custom, from_dict
from eyeground.protocols.shuffle import Shuffle, Shuffles
from eyeground.records import Cohort, Visit

VERSION = 2
"""Of the file. Version 1 told no protocol and is still read."""
PARTS = ("train", "val", "test")
ASSIGNMENT = 1
"""Version of what `Split.hash` covers; it names the assignment, whatever else the file tells."""


@dataclass(frozen=True)
class Scheme:
    """How visits are parted: `folds` > 1 is k-fold (each fold is the test part once), 1 is one hold-out.

    Shares are of all visits with an image. `test_share` is for the hold-out alone.
    """

    folds: int = 3
    test_share: float = 0.2
    val_share: float = 0.1

    def to_dict(self) -> dict[str, Any]:
        if self.folds > 1:
            return {"kind": "k-fold", "folds": self.folds, "val_share": self.val_share}
        return {"kind": "hold-out", "test_share": self.test_share, "val_share": self.val_share}


@dataclass(frozen=True)
class Parts:
    """Visit ids of one fold, in cohort order; each visit is in exactly one part."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    def part(self, name: str) -> tuple[str, ...]:
        """`train`, `val`, `test` or `all`. Raises `UsageError` for another name."""
        if name == "all":
            return self.train + self.val + self.test
        if name not in PARTS:
            raise UsageError(f"no part '{name}' in a split (there are train, val, test, all)")
        ids: tuple[str, ...] = getattr(self, name)
        return ids


@dataclass(frozen=True)
class Split:
    """Folds of one cohort, the groups that stay together (those of several visits), every photograph's fingerprint.

    `duplicates` are the pairs of photographs that were found, as `leaks.Pair.to_dict` tells them; they made groups,
    unless the protocol keeps nothing together. `hash` is the SHA-256 of the assignment alone, so that the same split
    has the same hash on every machine. `made_with` names the versions that found the duplicates. `kept_out` are visits
    that belong to no part, since another cohort is judged on their photographs.
    """

    layout: str
    vocabulary: tuple[str, ...]
    scheme: dict[str, Any]
    seed: int
    folds: tuple[Parts, ...]
    groups: tuple[tuple[str, ...], ...]
    fingerprints: tuple[Fingerprint, ...]
    hash: str
    protocol: Protocol
    duplicates: tuple[dict[str, Any], ...] = ()
    made_with: dict[str, str] = field(default_factory=dict, compare=False)
    kept_out: tuple[str, ...] = ()

    def fold(self, number: int) -> Parts:
        """One fold's parts. Raises `UsageError` when there is no such fold."""
        if not 0 <= number < len(self.folds):
            raise UsageError(f"no fold {number}: this split has folds 0 to {len(self.folds) - 1}")
        return self.folds[number]

    def fingerprints_of(self, visits: Sequence[str]) -> tuple[Fingerprint, ...]:
        """Fingerprints of these visits' photographs."""
        wanted = set(visits)
        return tuple(one for one in self.fingerprints if one.visit in wanted)

    def leak(self, number: int) -> Leak:
        """What a fold's test part shares with its training part."""
        parts = self.fold(number)
        train, val, test = (self.fingerprints_of(ids) for ids in (parts.train, parts.val, parts.test))
        return measure(train, val, test, self.duplicates)

    def stamp(self, number: int) -> str | None:
        """What goes with every number of a fold under a leaky protocol; None under any other."""
        return stamp(self.protocol, self.leak(number)) if self.protocol.leaky else None

    def check_against(self, cohort: Cohort) -> tuple[str, ...]:
        """Holds the split against a cohort, as `protocol.view` shows it.

        Returns:
            ids of visits with images that the split does not know (they take no part).

        Raises:
            DataError: another vocabulary, or the split names visits that the cohort does not have.
        """
        if self.vocabulary != cohort.vocabulary.codes:
            ours, theirs = ", ".join(self.vocabulary), ", ".join(cohort.vocabulary.codes)
            raise DataError(f"the split was made for labels {ours}, the cohort has {theirs}; make a new split")
        known = set(self.folds[0].part("all"))
        strange = sorted(known - {visit.id for visit in cohort.visits})
        if strange:
            raise DataError(
                f"the split names {len(strange)} visits that {cohort.root} does not have ({', '.join(strange[:3])}); "
                "use the cohort it was made for, or make a new split"
            )
        known |= set(self.kept_out)
        return tuple(visit.id for visit in cohort.with_images() if visit.id not in known)

    def save(self, path: Path) -> None:
        """Writes the split as JSON, whole or not at all."""
        write_text(path, _to_text(self))

    @staticmethod
    def load(path: Path) -> Split:
        """Reads a split and checks it. Raises `DataError` when it is missing, malformed or altered."""
        return _from_text(path)


def make_split(
    cohort: Cohort,
    prints: Sequence[Fingerprint],
    scheme: Protocol | Scheme | Mapping[str, Any] | None = None,
    seed: int = 0,
    duplicates: Sequence[Pair] | None = None,
) -> Split:
    """Parts the visits that have at least one image.

    Args:
        cohort: where the visits come from; under a protocol, what its `view` shows.
        prints: fingerprints of all their photographs, as from `leaks.fingerprints`.
        scheme: a protocol, or k-fold or hold-out by itself, see `Scheme`.
        seed: breaks ties; the same seed gives the same split on every machine.
        duplicates: photographs that must stay together; looked for here when None, see `find_all_duplicates`.

    Raises:
        UsageError: impossible shares or more folds than groups.
    """
    protocol, scheme = _scheme(scheme)
    visits = cohort.with_images()
    found = find_all_duplicates(visits, prints) if duplicates is None else duplicates
    grouping = {visit.id: visit.id for visit in visits} if protocol.leaky else leaks.groups(prints, found)
    labels = _label_matrix(visits)
    if protocol.stratify == "nothing":
        labels = np.zeros_like(labels[:, :1])
    folds, together = _deal_all(visits, labels, grouping, scheme, seed)
    core = _core(cohort.layout, cohort.vocabulary.codes, scheme.to_dict(), seed, folds, together)
    return Split(
        layout=cohort.layout,
        vocabulary=cohort.vocabulary.codes,
        scheme=scheme.to_dict(),
        seed=seed,
        folds=folds,
        groups=together,
        fingerprints=tuple(prints),
        hash=digest(core),
        protocol=protocol,
        duplicates=tuple(pair.to_dict() for pair in found),
        made_with={"eyeground": __version__, "numpy": np.__version__, "opencv": cv2.__version__},
    )


def _scheme(scheme: Protocol | Scheme | Mapping[str, Any] | None) -> tuple[Protocol, Scheme]:
    """The protocol, and its scheme."""
    if isinstance(scheme, Protocol):
        return scheme, Scheme(scheme.folds, scheme.test_share or 0.0, scheme.val_share)
    given = Scheme(**scheme) if isinstance(scheme, Mapping) else scheme or Scheme()
    return custom(given.folds, given.test_share, given.val_share), given


def _deal_all(
    visits: Sequence[Visit], labels: NDArray[np.int64], grouping: Mapping[str, str], scheme: Scheme, seed: int
) -> tuple[tuple[Parts, ...], tuple[tuple[str, ...], ...]]:
    """The folds, and the groups of several visits, in cohort order."""
    parts = _assign(labels, _group_index(visits, grouping), scheme, Shuffle(seed))
    members: dict[str, list[str]] = {}
    for visit in visits:
        members.setdefault(grouping[visit.id], []).append(visit.id)
    together = tuple(tuple(ids) for ids in members.values() if len(ids) > 1)
    return tuple(_parts(visits, part) for part in parts), together


def find_all_duplicates(
    visits: Sequence[Visit], prints: Sequence[Fingerprint], workers: int = 2, track: Track = quiet
) -> list[Pair]:
    """Copies of one file and photographs of one eye, see `leaks`; a pair that is both is told once, as a copy."""
    copies = leaks.find_duplicates(prints, track=track)
    told = {(pair.a, pair.b) for pair in copies}
    eyes = leaks.find_same_eyes(visits, prints, workers, track)
    return copies + [pair for pair in eyes if (pair.a, pair.b) not in told]


def _assign(
    labels: NDArray[np.int64], index: NDArray[np.int64], scheme: Scheme, rng: Shuffles
) -> list[NDArray[np.int64]]:
    """One array per fold: 0 train, 1 val, 2 test for each visit."""
    n = len(index)
    val = round(n * scheme.val_share)
    _check_scheme(scheme, n, len(set(index.tolist())), val)
    if scheme.folds == 1:
        test = round(n * scheme.test_share)
        return [deal(labels, index, [n - test - val, val, test], rng)]
    sizes = [n // scheme.folds + (k < n % scheme.folds) for k in range(scheme.folds)]
    fold_of = deal(labels, index, sizes, rng)
    folds = []
    for k in range(scheme.folds):
        part = np.full(n, 2)
        rest = fold_of != k
        part[rest] = deal(labels[rest], index[rest], [int(rest.sum()) - val, val], rng)
        folds.append(part)
    return folds


def _check_scheme(scheme: Scheme, n: int, groups: int, val: int) -> None:
    """Raises `UsageError` when the scheme can't be met."""
    if scheme.folds < 1 or scheme.folds > groups:
        raise UsageError(f"can't make {scheme.folds} folds of {groups} groups of visits with images")
    test = 1 / scheme.folds if scheme.folds > 1 else scheme.test_share
    if min(scheme.val_share, test) < 0 or scheme.val_share + test >= 1:
        raise UsageError(f"shares must leave something for training: test {test:.2f}, val {scheme.val_share:.2f}")
    if n - val - round(n * test) < 1:
        raise UsageError(f"nothing is left for training of {n} visits; lower --test-share or --val-share")


def deal(labels: NDArray[np.int64], index: NDArray[np.int64], sizes: Sequence[int], rng: Shuffles) -> NDArray[np.int64]:
    """Deals groups of visits to parts so that each part gets its share of each label, the rarest label first.

    Args:
        labels: int (n, L), 1 where present.
        index: int (n,), the group of each visit.
        sizes: visits wanted per part; they add up to n. Met exactly where the groups allow it.
        rng: breaks ties.

    Returns:
        int (n,), the part of each visit.
    """
    ids, group = np.unique(index, return_inverse=True)
    weight = np.bincount(group, minlength=len(ids))
    counts = np.zeros((len(ids), labels.shape[1]), dtype=np.int64)
    np.add.at(counts, group, labels)
    room = np.array(sizes, dtype=np.int64)
    share = room / max(room.sum(), 1)
    wanted = np.outer(share, counts.sum(0))
    part = np.full(len(ids), -1)
    scale = np.maximum(counts.sum(0), 1)
    for g in _order(counts, weight, rng.permutation(len(ids))):
        open_parts = np.flatnonzero(room >= weight[g])
        if not len(open_parts):
            open_parts = np.flatnonzero(room == room.max())
        lack = wanted[open_parts] / scale / np.maximum(share[open_parts, None], 1e-9)
        score = lack @ np.minimum(counts[g], 1) + room[open_parts] / np.maximum(share[open_parts], 1e-9) / len(index)
        part[g] = open_parts[int(np.argmax(np.round(score, 9)))]
        room[part[g]] -= weight[g]
        wanted[part[g]] -= counts[g]
    return part[group]


def _order(counts: NDArray[np.int64], weight: NDArray[np.int64], shuffled: NDArray[np.int64]) -> list[int]:
    """Groups in the order of dealing: those of several visits first, then by rarest label, the unlabelled last."""
    totals = counts.sum(0).astype(np.float64)
    totals[totals == 0] = np.inf
    rarest = np.where(counts > 0, totals, np.inf).min(1)
    return [int(g) for g in sorted(shuffled, key=lambda g: (-weight[g], rarest[g]))]


def _label_matrix(visits: Sequence[Visit]) -> NDArray[np.int64]:
    """Present labels (n, C + 1); the last column marks visits with one eye, so that these too are spread evenly."""
    rows = [[*(int(state == 1) for state in visit.labels), int(not all(visit.seen))] for visit in visits]
    return np.array(rows, dtype=np.int64).reshape(len(visits), -1)


def _group_index(visits: Sequence[Visit], grouping: Mapping[str, str]) -> NDArray[np.int64]:
    numbers = {visit.id: i for i, visit in enumerate(visits)}
    return np.array([numbers[grouping[visit.id]] for visit in visits], dtype=np.int64)


def _parts(visits: Sequence[Visit], part: NDArray[np.int64]) -> Parts:
    train, val, test = (tuple(v.id for v, p in zip(visits, part, strict=True) if p == number) for number in range(3))
    return Parts(train, val, test)


def _core(
    layout: str,
    codes: Sequence[str],
    scheme: Mapping[str, Any],
    seed: int,
    folds: Sequence[Parts],
    groups: Sequence[Sequence[str]],
) -> dict[str, Any]:
    """The assignment as plain JSON values, in canonical order."""
    return {
        "version": ASSIGNMENT,
        "layout": layout,
        "vocabulary": list(codes),
        "scheme": dict(scheme),
        "seed": seed,
        "folds": [{"train": list(p.train), "val": list(p.val), "test": list(p.test)} for p in folds],
        "groups": [list(ids) for ids in groups],
    }


def _to_text(split: Split) -> str:
    core = _core(split.layout, split.vocabulary, split.scheme, split.seed, split.folds, split.groups)
    prints = [one.to_row() for one in split.fingerprints]
    found = list(split.duplicates)
    protocol = {**split.protocol.to_dict(), "hash": split.protocol.hash, "leaky": split.protocol.leaky}
    about: dict[str, Any] = {
        "hash": split.hash,
        "protocol": protocol,
        "made_with": split.made_with,
        "duplicates": found,
    }
    if split.protocol.leaky:
        about["stamps"] = [split.stamp(number) for number in range(len(split.folds))]
    rest = [prints, found, protocol, split.made_with]
    if split.kept_out:
        about["kept_out"] = list(split.kept_out)
        rest.append(about["kept_out"])
    about["photographs_hash"] = digest(rest)
    head = json.dumps(core | {"version": VERSION} | about, ensure_ascii=False, indent=1)
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in prints)
    return f'{head[:-2]},\n "fingerprints": [\n{lines}\n]}}\n'


def _from_text(path: Path) -> Split:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["version"] > VERSION:
            raise DataError(
                f"{path} is a split of version {data['version']}, newer than this program; update eyeground"
            )
        prints = tuple(Fingerprint(*row) for row in data["fingerprints"])
        folds = tuple(Parts(tuple(p["train"]), tuple(p["val"]), tuple(p["test"])) for p in data["folds"])
        groups = tuple(tuple(ids) for ids in data["groups"])
        codes, scheme, seed = tuple(data["vocabulary"]), data["scheme"], data["seed"]
        core = _core(data["layout"], codes, scheme, seed, folds, groups)
        found = tuple(data["duplicates"])
        rest = [data["fingerprints"], data["duplicates"]]
        if data["version"] > 1:
            rest += [data["protocol"], data["made_with"], *([data["kept_out"]] if "kept_out" in data else [])]
        whole = digest(core) == data["hash"] and digest(rest) == data["photographs_hash"]
        if whole:
            protocol, whole = _protocol(data, str(path))
    except FileNotFoundError:
        raise DataError(f"no split {path}; make one with eyeground cohort split") from None
    except OSError as error:
        raise DataError(f"can't read split {path}: {error.strerror or error}; give the file") from error
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no split; make one with eyeground cohort split ({error})") from error
    if not whole:
        raise DataError(f"{path} was altered after it was made (its hash does not fit); make it again")
    made_with, kept_out = data.get("made_with", {}), tuple(data.get("kept_out", ()))
    told = (data["hash"], protocol, found, made_with, kept_out)
    return Split(data["layout"], codes, scheme, seed, folds, groups, prints, *told)


def _protocol(data: Mapping[str, Any], where: str) -> tuple[Protocol, bool]:
    """The protocol that a split's file tells, and whether its hash fits; version 1 told only the scheme."""
    if data["version"] == 1:
        scheme = data["scheme"]
        return custom(scheme.get("folds", 1), scheme.get("test_share", 0.0), scheme["val_share"]), True
    protocol = from_dict({key: value for key, value in data["protocol"].items() if key not in ("hash", "leaky")}, where)
    return protocol, protocol.hash == data["protocol"]["hash"]
