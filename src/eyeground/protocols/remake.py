"""Whether a split can be made again: from its own groups (the rule), and from the photographs (the groups)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eyeground.leaks import WITHHELD, Fingerprint, Pair
from eyeground.protocols.protocol import Protocol
from eyeground.records import Cohort
from eyeground.splits import PARTS, Split, make_split

SHOWN = 5
"""How many names a difference shows."""


def against_protocol(split: Split, protocol: Protocol) -> list[str]:
    """In which keys a split's protocol differs from another one; empty when they are the same."""
    if split.protocol.hash == protocol.hash:
        return []
    ours, theirs = split.protocol.to_dict(), protocol.to_dict()
    return [
        f"{key}: the split has {ours.get(key)!r}, the protocol {theirs.get(key)!r}"
        for key in split.protocol.differences(protocol)
    ]


def stored_pairs(split: Split, prints: Sequence[Fingerprint]) -> list[Pair]:
    """The split's own duplicates, as far as both photographs are among `prints`."""
    named = {one.name: one for one in prints}
    pairs = []
    for row in split.duplicates:
        if row["a"] in named and row["b"] in named:
            similarity = float("nan") if row["similarity"] is None else row["similarity"]
            pairs.append(Pair(named[row["a"]], named[row["b"]], row["kind"], similarity, row["evidence"]))
    return pairs


def remake(split: Split, cohort: Cohort, prints: Sequence[Fingerprint], found: Sequence[Pair]) -> dict[str, Any]:
    """Makes a split again and compares.

    Args:
        split: the split to verify.
        cohort: as the split's protocol views it; visits that the split keeps out are left out here too.
        prints: fingerprints of the photographs that are here.
        found: duplicates looked for here; pairs that somebody listed (`known`) are taken from the split.

    Returns:
        JSON-able: `same` (everything), `photographs` (`gone`, `new`, `changed`, `signatures`: the same bytes decoded to
        other pixels), `duplicates` (`lost`, `new`), `rule` (whether the split's own groups lead to its assignment),
        `moved` (visits in another part, made anew from what is here), `hash` of the split made anew, `differences` in
        sentences, `made_with` there and here.
    """
    cohort = cohort.without(split.kept_out)
    prints = [one for one in prints if one.visit not in split.kept_out]
    found = [pair for pair in found if not {pair.a.visit, pair.b.visit} & set(split.kept_out)]
    listed = [pair for pair in stored_pairs(split, prints) if pair.kind == "known"]
    new = make_split(cohort, prints, split.protocol, split.seed, [*found, *listed])
    photographs = _photographs(split.fingerprints, prints)
    there, here = _names(split.duplicates), _names(new.duplicates)
    duplicates = {"lost": sorted(there - here), "new": sorted(here - there)}
    complete = not (photographs["gone"] or photographs["new"])
    rule = None
    if complete:
        rule = make_split(cohort, prints, split.protocol, split.seed, stored_pairs(split, prints)).hash == split.hash
    moved = _moved(split, new)
    told = _tell(photographs, duplicates, rule, moved)
    if new.hash != split.hash and not told:
        told = ["layout, labels, scheme, seed or groups differ, though every visit is in the same part"]
    return {
        "same": not told and new.hash == split.hash,
        "hash": new.hash,
        "photographs": photographs,
        "duplicates": {key: [list(pair) for pair in pairs] for key, pairs in duplicates.items()},
        "rule": rule,
        "moved": moved,
        "differences": told,
        "made_with": {"there": split.made_with, "here": new.made_with},
    }


def _photographs(there: Iterable[Fingerprint], here: Iterable[Fingerprint]) -> dict[str, list[str]]:
    old, new = ({one.name: one for one in prints} for prints in (there, here))
    both = [name for name in old if name in new]
    same = [name for name in both if old[name].sha256 == new[name].sha256]
    return {
        "gone": [name for name in old if name not in new],
        "new": [name for name in new if name not in old],
        "changed": [name for name in both if old[name].sha256 != new[name].sha256],
        "signatures": [name for name in same if old[name].signature not in (new[name].signature, WITHHELD)],
    }


def _names(duplicates: Iterable[Mapping[str, Any]]) -> set[tuple[str, str]]:
    return {(min(row["a"], row["b"]), max(row["a"], row["b"])) for row in duplicates}


def _moved(split: Split, new: Split) -> list[str]:
    """Visits that are in another part of some fold, in the split's order; those of one side only are left out."""
    found: dict[str, None] = {}
    for number, (ours, theirs) in enumerate(zip(split.folds, new.folds, strict=True)):
        where = {one: part for part in PARTS for one in theirs.part(part)}
        for part in PARTS:
            for one in ours.part(part):
                if where.get(one, part) != part:
                    found[f"{one} (fold {number}: {part} there, {where[one]} here)"] = None
    return list(found)


def _tell(
    photographs: Mapping[str, list[str]],
    duplicates: Mapping[str, list[tuple[str, str]]],
    rule: bool | None,
    moved: list[str],
) -> list[str]:
    told = []
    for key, what in (
        ("gone", "photographs of the split are not here"),
        ("new", "photographs here are not in the split"),
        ("changed", "photographs have other bytes"),
        ("signatures", "photographs of the same bytes are decoded to other pixels"),
    ):
        if photographs[key]:
            told.append(f"{len(photographs[key])} {what}: {_few(photographs[key])}")
    for key, what in (("lost", "are not found here"), ("new", "are found here only")):
        if duplicates[key]:
            pairs = [" = ".join(pair) for pair in duplicates[key]]
            told.append(f"{len(pairs)} pairs of duplicates {what}: {_few(pairs)}")
    if rule is False:
        told.append("the split's own groups lead to another assignment: its labels or its rule have changed")
    if moved:
        told.append(f"{len(moved)} visits are in another part: {_few(moved)}")
    return told


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
