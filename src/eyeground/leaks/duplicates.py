"""Pairs of photographs that are one picture or one eye, and the groups they make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from eyeground import same_eye
from eyeground.leaks.earlier import earlier_copies, likeness
from eyeground.leaks.prints import NOTHING, Fingerprint, Kind, Pair
from eyeground.leaks.search import Match, find_matches, measure
from eyeground.leaks.signature import read_signatures
from eyeground.progress import Track, quiet
from eyeground.records import Visit

COPY = 0.74
"""Correlation of the fine detail from which two signatures are of one picture."""
DEGRADED = 0.66
"""The same for a strongly compressed or reduced copy, whose light is as it was."""
LIGHT = 0.95
"""Correlation of two thumbnails from which the light is as it was."""


def find_duplicates(
    prints: Sequence[Fingerprint],
    other: Sequence[Fingerprint] | None = None,
    track: Track = quiet,
    suspects: bool = False,
) -> list[Pair]:
    """Pairs of one picture: identical bytes, or saved again, changed, perhaps mirrored. Needs no pixels.

    Signatures are compared by their fine detail, and by the thumbnail, which is all that earlier versions kept: it
    still knows a copy so small and so compressed that little detail is left, as long as its light is as it was.

    Args:
        prints: compared with each other, or with `other` where that is given.
        other: a second set; pairs within one set are then not looked for.
        track: shows how far it is.
        suspects: also tell pairs that agree too little for a copy, yet more than different eyes mostly do.
    """
    second = prints if other is None else other
    by_thumbnail = list(_by_thumbnail(prints, second, other is None))
    known = {(id(pair.a), id(pair.b)) for pair in by_thumbnail}
    changed = list(_changed(prints, other, suspects, track))
    sure = [pair for pair in changed if pair.kind != "suspect"]
    unsure = [pair for pair in changed if pair.kind == "suspect" and (id(pair.a), id(pair.b)) not in known]
    told: dict[tuple[int, int], Pair] = {}
    for pair in (*_identical(prints, second, other is None), *sure, *by_thumbnail, *unsure):
        told.setdefault((id(pair.a), id(pair.b)), pair)
    return list(told.values())


def _identical(one: Sequence[Fingerprint], two: Sequence[Fingerprint], within: bool) -> Iterator[Pair]:
    """Pairs of the same bytes, whether or not they can be decoded; empty files are no photograph."""
    seen: dict[str, list[Fingerprint]] = {}
    for item in [] if within else one:
        seen.setdefault(item.sha256, []).append(item)
    for item in two:
        for twin in [] if item.sha256 == NOTHING else seen.get(item.sha256, []):
            yield Pair(twin, item, "identical", 1.0 if item.signature else float("nan"), "the same bytes")
        if within:
            seen.setdefault(item.sha256, []).append(item)


def _changed(
    one: Sequence[Fingerprint], two: Sequence[Fingerprint] | None, suspects: bool, track: Track
) -> Iterator[Pair]:
    """Pairs by the signatures of this version."""
    a = [item for item in one if item.pictured and not item.is_earlier]
    b = a if two is None else [item for item in two if item.pictured and not item.is_earlier]
    if not a or not b:
        return
    frames = read_signatures([item.signature for item in a])
    others = None if two is None else read_signatures([item.signature for item in b])
    for match in find_matches(frames, others, track):
        pair = _pair(a[match.one], b[match.two], match)
        if pair.kind != "suspect" or suspects:
            yield pair


def _pair(a: Fingerprint, b: Fingerprint, match: Match) -> Pair:
    """Different photographs may share the dust on a lens; a pair that agrees so little must agree in its light too."""
    light = likeness(a.thumbnail, b.thumbnail, match.mirrored)
    sure = match.correlation >= COPY or (match.correlation >= DEGRADED and light >= LIGHT)
    evidence = (
        f"fine detail correlates at {match.correlation:.2f}, light at {light:.2f}" + ", mirrored" * match.mirrored
    )
    kind: Kind = "suspect" if not sure else "mirrored" if match.mirrored else "copy"
    return Pair(a, b, kind, match.correlation, evidence)


def _by_thumbnail(one: Sequence[Fingerprint], two: Sequence[Fingerprint], within: bool) -> Iterator[Pair]:
    """Pairs by the thumbnail: copies too coarse for their fine detail, and all that earlier versions kept."""
    a, b = ([item for item in prints if item.pictured] for prints in (one, two))
    texts = [item.thumbnail for item in a]
    for i, j, flip, similarity, distance in earlier_copies(texts, None if within else [item.thumbnail for item in b]):
        evidence = f"thumbnails differ by {distance:.1f} grey levels"
        yield Pair(a[i], b[j], "mirrored" if flip else "copy", similarity, evidence)


def find_same_eyes(
    visits: Sequence[Visit], prints: Sequence[Fingerprint], workers: int = 2, track: Track = quiet
) -> list[Pair]:
    """Pairs of different files that show the same eye, told by their vessels. Pairs of one patient are passed over.

    Args:
        visits: where the files are.
        prints: their fingerprints; photographs that can't be decoded take no part.
        workers: threads.
        track: shows how far it is.
    """
    paths = {(visit.id, eye.side): eye.path for visit in visits for eye in visit.listed() if eye.path is not None}
    known = [(one, paths[one.visit, one.side]) for one in prints if one.signature and (one.visit, one.side) in paths]
    files = [path for _, path in known]
    asked = [
        (i, j) for i, j in same_eye.candidates(files, workers, track) if known[i][0].patient != known[j][0].patient
    ]
    pairs = []
    for (i, j), found in zip(asked, same_eye.compare_files(files, asked, workers, track), strict=True):
        if found.same:
            one, two = known[i][0], known[j][0]
            evidence = f"{found.agreeing} of {found.matched} keypoints agree"
            pairs.append(Pair(one, two, "same_eye", _similarity(one, two), evidence))
    return pairs


def _similarity(one: Fingerprint, two: Fingerprint) -> float:
    """Correlation of the fine detail; nan where a fingerprint is of an earlier version."""
    if one.is_earlier or two.is_earlier:
        return float("nan")
    return measure(read_signatures([one.signature, two.signature]))


def groups(prints: Iterable[Fingerprint], pairs: Iterable[Pair]) -> dict[str, str]:
    """Which visits belong together: by patient and by shared photographs.

    Returns:
        visit id to the id of the first visit of its group.
    """
    parent: dict[str, str] = {}

    def find(item: str) -> str:
        parent.setdefault(item, item)
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    def join(one: str, two: str) -> None:
        roots = find(one), find(two)
        first, second = sorted(roots, key=order.__getitem__)
        parent[second] = first

    prints = list(prints)
    order = {visit: i for i, visit in enumerate(dict.fromkeys(one.visit for one in prints))}
    by_patient: dict[str, str] = {}
    for one in prints:
        join(by_patient.setdefault(one.patient, one.visit), one.visit)
    for pair in pairs:
        join(pair.a.visit, pair.b.visit)
    return {visit: find(visit) for visit in order}
