"""Finds signatures of one picture among many: candidates by a coarse comparison of all, then each pair put to the test.

Candidates: pictures of COARSE x COARSE pixels, all against all by blocked matrix products. Each is parted into its
mirror-even and its mirror-odd half, so that one pass also finds mirrored copies: with the products e and o of the
halves, e + o is the correlation as it stands and e - o that with the mirror image. Done twice, in the frame of the
box and in that of the fitted disc, since a cut border moves the one and a faint rim the other.

Test: the pair is laid on each other by an affine transform (ECC: Evangelidis & Psarakis 2008) where it does not fit as
it stands, and the finest detail is correlated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.leaks.signature import SIDE, Floats, Frames, blur, disc
from eyeground.progress import Track, quiet

COARSE = SIDE // 2
"""Side of the pictures that candidates are looked for with."""
CANDIDATE = 0.55
"""Correlation of two coarse pictures from which the pair is put to the test."""
LEAST = 0.5
"""Correlation of the finest detail from which a pair is a match worth telling."""
PATCHES, PATCHY = 6, 0.25
"""Three in four of PATCHES x PATCHES patches must agree by so much: bleached frames agree in some blocks only."""
ALIGN = 0.9
"""A pair that fits better than this as it stands is not laid on each other first."""
MOST = 24
"""Candidates put to the test for each photograph, the most alike first."""
ROWS, COLUMNS = 1024, 8192
"""Block of the comparison held at once."""
STRETCH, SLANT, MOVE = 0.2, 0.12, 6.0
"""Bounds of the fit: change of scale, sine of the rotation, shift in pixels of SIDE."""
WHOLE = np.array([0.0, 0.0, 1.0, 1.0], np.float32)
"""The box itself, as a disc's place."""


@dataclass(frozen=True)
class Match:
    """Two signatures of one picture: places in the two sets, whether mirrored, correlation of the finest detail."""

    one: int
    two: int
    mirrored: bool
    correlation: float


def find_matches(a: Frames, b: Frames | None = None, track: Track = quiet, least: float = LEAST) -> list[Match]:
    """Pairs of signatures of one picture.

    Args:
        a: compared with each other, or with `b` where that is given.
        b: a second set; pairs within one set are then not looked for.
        track: shows how far it is.
        least: correlation of the finest detail that is asked for.
    """
    found: dict[tuple[int, int, bool], tuple[float, int]] = {}
    for frame in (0, 1):
        for i, j, flip, alike in _candidates(a, b, frame, track):
            best = found.get((i, j, flip))
            if best is None or alike > best[0]:
                found[i, j, flip] = alike, frame
    second = a if b is None else b
    best_of: dict[tuple[int, int], Match] = {}
    for (i, j, flip), (_, frame) in track(sorted(found.items()), "pairs", len(found)):
        score = test(framed(a, i, frame), framed(second, j, frame), flip)
        if score >= least and ((i, j) not in best_of or score > best_of[i, j].correlation):
            best_of[i, j] = Match(i, j, flip, score)
    return list(best_of.values())


def measure(pair: Frames) -> float:
    """Correlation of the finest detail of two signatures as they stand (not mirrored), in the better frame."""
    return max(test(framed(pair, 0, frame), framed(pair, 1, frame), flip=False) for frame in (0, 1))


def framed(frames: Frames, place: int, frame: int) -> Floats:
    """One picture float32 (SIDE, SIDE) in the frame of its box (0) or of its fitted disc (1)."""
    picture = frames[0][place].astype(np.float32)
    x, y, wide, high = frames[1][place].tolist()
    if frame == 0 or np.abs(frames[1][place] - WHOLE).max() < 0.01:
        return picture
    half = SIDE / 2
    matrix = np.array([[wide, 0, half * (1 + x - wide)], [0, high, half * (1 + y - high)]])
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5  # between pixels' middles
    return _warped(picture, matrix)


def _warped(picture: Floats, matrix: NDArray[np.float64] | Floats) -> Floats:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=flags), dtype=np.float32)


def _halves(frames: Frames, frame: int) -> tuple[Floats, Floats]:
    """Mirror-even and mirror-odd half of the coarse pictures, (n, D) each; the two together have unit length."""
    keep = cv2.resize(disc().astype(np.float32), (COARSE, COARSE), interpolation=cv2.INTER_AREA)[:, : COARSE // 2] > 0.5
    even = np.zeros((len(frames[0]), int(keep.sum())), np.float32)
    odd = np.zeros_like(even)
    for place in range(len(even)):
        coarse = cv2.resize(framed(frames, place, frame), (COARSE, COARSE), interpolation=cv2.INTER_AREA)
        turned = coarse[:, ::-1]
        one, two = (coarse + turned)[:, : COARSE // 2][keep], (coarse - turned)[:, : COARSE // 2][keep]
        length = np.sqrt(float(one @ one + two @ two))
        if length > 0:
            even[place], odd[place] = one / length, two / length
    return even, odd


def _candidates(
    a: Frames, b: Frames | None, frame: int, track: Track = quiet
) -> Iterator[tuple[int, int, bool, float]]:
    """Places of pairs to test, whether mirrored, and the coarse correlation; at most MOST for each row's photograph."""
    even, odd = _halves(a, frame)
    even_b, odd_b = (even, odd) if b is None else _halves(b, frame)
    for start in track(range(0, len(even), ROWS), "candidates"):
        rows, columns, values = [], [], []
        for left in range(start if b is None else 0, len(even_b), COLUMNS):
            straight = even[start : start + ROWS] @ even_b[left : left + COLUMNS].T
            other = odd[start : start + ROWS] @ odd_b[left : left + COLUMNS].T
            flipped = other < 0
            np.abs(other, out=other)
            straight += other
            row, column = np.nonzero(straight >= CANDIDATE)
            if b is None:
                later = start + row < left + column
                row, column = row[later], column[later]
            rows.append(start + row)
            columns.append(left + column)
            values.append(np.where(flipped[row, column], -1, 1) * straight[row, column])
        yield from _most_alike(np.concatenate(rows), np.concatenate(columns), np.concatenate(values))


def _most_alike(
    rows: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[np.float32]
) -> Iterator[tuple[int, int, bool, float]]:
    """The first MOST of each row, the most alike first."""
    order = np.lexsort((-np.abs(values), rows))
    rows, columns, values = rows[order], columns[order], values[order]
    first = np.searchsorted(rows, rows)
    for k in np.flatnonzero(np.arange(len(rows)) - first < MOST):
        yield int(rows[k]), int(columns[k]), bool(values[k] < 0), float(abs(values[k]))


def test(a: Floats, b: Floats, flip: bool) -> float:
    """Correlation of the finest detail of two pictures (SIDE, SIDE) where both show something, after alignment.

    0 when they agree in patches only.
    """
    other = np.ascontiguousarray(b[:, ::-1]) if flip else b
    score = _agreement(a, other)
    matrix = _fit(a, other) if score < ALIGN else None
    if matrix is not None:
        laid = _warped(other, matrix)
        after = _agreement(a, laid)
        score, other = (after, laid) if after > score else (score, other)
    return score if score < LEAST or _everywhere(a, other) else 0.0


def _fit(a: Floats, b: Floats) -> Floats | None:
    """The affine transform that lays b on a; None when there is none within the bounds."""
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)
    start = np.eye(2, 3, dtype=np.float32)
    try:
        _, matrix = cv2.findTransformECC(a, b, start, cv2.MOTION_AFFINE, criteria, np.empty(0), 5)  # type: ignore[call-overload]
    except cv2.error:  # it does not converge
        return None
    turn = matrix[:, :2]
    middle = turn @ (SIDE / 2, SIDE / 2) + matrix[:, 2] - SIDE / 2
    off = max(abs(turn[0, 0] - 1), abs(turn[1, 1] - 1)) > STRETCH or max(abs(turn[0, 1]), abs(turn[1, 0])) > SLANT
    return None if off or np.abs(middle).max() > MOVE else np.asarray(matrix, dtype=np.float32)


def _finest(a: Floats, b: Floats) -> tuple[Floats, Floats, Floats]:
    """What is left of two pictures without their smooth part, 0 where one of them shows nothing; and where both do."""
    common = (_known(a) & _known(b)).astype(np.float32)
    weight = np.maximum(blur(common, 1.2), 1e-3)
    one, two = (np.asarray((x - blur(x * common, 1.2) / weight) * common, dtype=np.float32) for x in (a, b))
    return one, two, common


def _agreement(a: Floats, b: Floats) -> float:
    """Correlation of the finest detail where both pictures show something; 0 when that is little."""
    one, two, common = _finest(a, b)
    length = float(np.linalg.norm(one) * np.linalg.norm(two))
    return float((one * two).sum()) / length if length > 0 and common.sum() >= 0.35 * disc().sum() else 0.0


def _everywhere(a: Floats, b: Floats) -> bool:
    """Whether three in four of the patches of two pictures agree."""
    one, two, common = (_patches(x) for x in _finest(a, b))
    used = common.mean(axis=1) > 0.6
    length = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    each = np.where(length > 0, (one * two).sum(axis=1) / np.maximum(length, 1e-9), 0)[used]
    return bool(len(each)) and float(np.percentile(each, 25)) >= PATCHY


def _patches(picture: Floats) -> Floats:
    """(SIDE, SIDE) as (patches, pixels)."""
    side = SIDE // PATCHES
    return picture.reshape(PATCHES, side, PATCHES, side).swapaxes(1, 2).reshape(PATCHES * PATCHES, side * side)


def _known(picture: Floats) -> NDArray[np.uint8]:
    """1 where a picture shows something: 0 stands for the unknown, and in between for a value that happens to be 0."""
    shown = np.asarray(np.abs(picture) > 0.01, dtype=np.uint8)
    return np.asarray(cv2.morphologyEx(shown, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)), dtype=np.uint8)
