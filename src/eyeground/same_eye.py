"""Whether two photographs show the same eye: their vessels must fall on each other.

Two shots of one eye differ in light, focus and framing, so their pixels don't agree; the branchings of the vessels do.
Keypoints (ORB: Rublee et al. 2011) of both are matched, and one similarity transform (shift, rotation, scale) is fitted
by RANSAC. The count of keypoints that agree with it decides. On ODIR-5K photographs of 256 pixels, pairs of one eye
have 52 or more, pairs of different persons at most 38.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.errors import ImageError
from eyeground.images.decode import decode
from eyeground.progress import Track, quiet

SIZE = 256
"""Keypoints are looked for at SIZE x SIZE pixels of the field's box."""
AGREE = 45
"""Agreeing keypoints from which two photographs show the same eye."""
FINE = 32
"""Thumbnails for the search of candidates are FINE x FINE pixels."""
RESEMBLE = 0.6
"""Correlation of two such thumbnails from which the vessels are compared."""
BLOCK = 1024
"""Rows of a correlation matrix held at once."""
SCALES = (0.8, 1.25)
"""Plausible scale between two shots; a fit outside it lays everything on one spot."""


@dataclass(frozen=True)
class Keypoints:
    """Places (n, 2) float32 in pixels of the SIZE x SIZE picture, and ORB descriptors (n, 32) uint8."""

    places: NDArray[np.float32]
    descriptors: NDArray[np.uint8]


@dataclass(frozen=True)
class Agreement:
    """`agreeing` of `matched` keypoints fit one similarity transform."""

    agreeing: int
    matched: int

    @property
    def same(self) -> bool:
        return self.agreeing >= AGREE


def field_box(grey: NDArray[np.uint8]) -> tuple[float, float, float, float] | None:
    """Box of the bright disc in a grey picture (H, W), to a part of a pixel: left, top, right, bottom.

    A row belongs to it where a tenth of its pixels is lit. None when the picture is too dark to tell.
    """
    columns = _brightest_tenth(grey, 0)
    rows = _brightest_tenth(grey, 1)
    limit = 0.2 * float(_brightest_tenth(columns[None], 1)[0])
    if limit < 8:
        return None
    (left, right), (top, bottom) = _span(columns, limit), _span(rows, limit)
    if right - left < len(columns) / 4 or bottom - top < len(rows) / 4:
        return None
    return left, top, right, bottom


def _brightest_tenth(values: NDArray[np.uint8], axis: int) -> NDArray[np.uint8]:
    """The 90th percentile along an axis."""
    place = int(0.9 * values.shape[axis])
    return np.asarray(np.partition(values, place, axis=axis).take(place, axis=axis))


def _span(profile: NDArray[np.uint8], limit: float) -> tuple[float, float]:
    """First and last crossing of the limit, interpolated, as pixel edges."""
    values = profile.astype(np.float64)
    above = np.flatnonzero(values > limit)
    first, last = int(above[0]), int(above[-1])
    start, end = float(first), float(last + 1)
    if first > 0:
        start = first + 0.5 - (values[first] - limit) / (values[first] - values[first - 1])
    if last < len(values) - 1:
        end = last + 0.5 + (values[last] - limit) / (values[last] - values[last + 1])
    return start, end


def cut(picture: NDArray[np.uint8], box: tuple[float, float, float, float] | None, size: int) -> NDArray[np.uint8]:
    """A box of a picture (H, W) as (size, size), smoothly; the whole picture when there is no box."""
    if box is None:
        return np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    left, top, right, bottom = box
    across, down = (right - left) / size, (bottom - top) / size
    matrix = np.array([[across, 0, left + across / 2 - 0.5], [0, down, top + down / 2 - 0.5]], dtype=np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(picture, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE))


def keypoints(path: Path) -> Keypoints:
    """Keypoints of the vessels within the field. Raises `ImageError` when the file can't be decoded."""
    return keypoints_of(decode(path, SIZE).pixels)


def keypoints_of(pixels: NDArray[np.uint8]) -> Keypoints:
    """Keypoints of the vessels within the field of a photograph uint8 (H, W, 3) RGB."""
    green = np.ascontiguousarray(pixels[:, :, 1])
    scale = max(min(green.shape) // SIZE, 1)
    size = (green.shape[1] // scale, green.shape[0] // scale)
    green = np.asarray(cv2.resize(green, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    square = cut(green, field_box(green), SIZE)
    contrast = cv2.createCLAHE(4.0, (8, 8)).apply(square)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(mask, (SIZE // 2, SIZE // 2), int(0.46 * SIZE), 255, -1)
    found, descriptors = cv2.ORB_create(800, edgeThreshold=15, fastThreshold=8).detectAndCompute(contrast, mask)  # type: ignore[attr-defined]
    if descriptors is None:
        return Keypoints(np.zeros((0, 2), np.float32), np.zeros((0, 32), np.uint8))
    return Keypoints(np.array([point.pt for point in found], dtype=np.float32), descriptors)


def compare(a: Keypoints, b: Keypoints) -> Agreement:
    """How well two photographs' keypoints fall on each other."""
    if len(a.places) < 8 or len(b.places) < 8:
        return Agreement(0, 0)
    nearest = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(a.descriptors, b.descriptors, k=2)
    clear = [first for first, second in nearest if first.distance < 0.8 * second.distance]
    if len(clear) < AGREE:
        return Agreement(0, len(clear))
    here = a.places[[match.queryIdx for match in clear]]
    there = b.places[[match.trainIdx for match in clear]]
    cv2.setRNGSeed(0)
    matrix, agree = cv2.estimateAffinePartial2D(here, there, ransacReprojThreshold=3)
    if matrix is None or not SCALES[0] < float(np.hypot(matrix[0, 0], matrix[1, 0])) < SCALES[1]:
        return Agreement(0, len(clear))
    return Agreement(int(agree.sum()), len(clear))


def compare_files(
    files: Sequence[Path], pairs: Sequence[tuple[int, int]], workers: int = 2, track: Track = quiet
) -> list[Agreement]:
    """`compare` for pairs of places in `files`; each file is decoded once. Unreadable files agree with nothing."""
    needed = sorted({place for pair in pairs for place in pair})
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        points = dict(
            zip(needed, track(pool.map(lambda i: _or_none(files[i]), needed), "vessels", len(needed)), strict=True)
        )

        def agreement(pair: tuple[int, int]) -> Agreement:
            a, b = points[pair[0]], points[pair[1]]
            return compare(a, b) if a and b else Agreement(0, 0)

        return list(track(pool.map(agreement, pairs), "same eyes", len(pairs)))


def _or_none(path: Path) -> Keypoints | None:
    try:
        return keypoints(path)
    except ImageError:
        return None


def candidates(files: Sequence[Path], workers: int = 2, track: Track = quiet) -> list[tuple[int, int]]:
    """Pairs of places in `files` that may show one eye: their fine detail correlates, a small shift allowed.

    Memory holds two (BLOCK, n) matrices and nine times the n thumbnails.
    """
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        pictures = list(track(pool.map(_fine, files), "detail", len(files)))
    fine = np.array(pictures, dtype=np.float32).reshape(-1, FINE, FINE)
    padded = np.pad(fine, ((0, 0), (1, 1), (1, 1)))
    shifted = [
        np.ascontiguousarray(padded[:, down : down + FINE, across : across + FINE]).reshape(-1, FINE * FINE)
        for down in range(3)
        for across in range(3)
    ]
    found: list[tuple[int, int]] = []
    for start in track(range(0, len(fine), BLOCK), "candidates"):
        block = fine[start : start + BLOCK].reshape(-1, FINE * FINE)
        best = block @ shifted[0][start:].T  # photographs from `start` on: each pair is met once
        for other in shifted[1:]:
            np.maximum(best, block @ other[start:].T, out=best)
        rows, columns = np.nonzero(np.triu(best >= RESEMBLE, 1))
        found += zip((rows + start).tolist(), (columns + start).tolist(), strict=True)
    return found


def _fine(path: Path) -> NDArray[np.float32]:
    """Thumbnail (FINE, FINE) without its smooth and its ring-shaped part, of unit length; zeros when unreadable.

    Photographs without detail get less than unit length, so that noise does not resemble noise.
    """
    try:
        green = np.ascontiguousarray(decode(path, SIZE // 2).pixels[:, :, 1])
    except ImageError:
        return np.zeros((FINE, FINE), np.float32)
    small = np.asarray(cv2.resize(green, (SIZE // 2, SIZE // 2), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    picture = cut(cut(small, field_box(small), 3 * FINE), None, FINE).astype(np.float32)
    lit = ((picture > 10) & (picture < 250)).astype(np.float32)
    axis = (np.arange(FINE) + 0.5) / FINE * 2 - 1
    radius = np.hypot(*np.meshgrid(axis, axis))
    disc = (radius < 0.9).astype(np.float32)
    inside = np.asarray(cv2.erode(lit, np.ones((3, 3)), borderValue=0), dtype=np.float32) * disc
    fine = (picture - _blur(picture * lit, 2.0) / np.maximum(_blur(lit, 2.0), 1e-3)) * inside
    ring = np.minimum((radius * FINE / 4).astype(int), FINE // 4)
    count, total = np.bincount(ring.ravel(), inside.ravel()), np.bincount(ring.ravel(), fine.ravel())
    fine -= (total / np.maximum(count, 1))[ring].astype(np.float32) * inside
    spread = np.sqrt(_blur(fine * fine, 5.0) / np.maximum(_blur(inside, 5.0), 1e-3) + 9)
    fine = np.clip(fine / spread, -3, 3) * inside
    return np.asarray(fine / max(float(np.linalg.norm(fine)), 14.0), dtype=np.float32)


def _blur(picture: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), dtype=np.float32)
