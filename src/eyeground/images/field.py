"""Finds the field of view: the lit disc in a fundus photograph, which may be cut off, notched, or fill the frame.

The picture is shrunk to about 256 px, the border's dark level taken from its corners, and a circle fitted robustly to
where the light begins in every row and column; edges that are the picture's own do not count. A picture that was
squashed before it came here shows an ellipse; its longer axis is taken, and nothing is stretched back.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

WORK = 288
"""Longest side, in pixels, of the small picture on which the field is sought."""

BORDER_MAX = 48.0
"""A border brighter than this (of 255) is not taken for the dark surround: the retina then fills the frame."""

RISE = 0.10
"""The field begins where brightness exceeds the border's by this share of the field's median brightness..."""

RISE_MIN, RISE_MAX = 7.0, 22.0
"""...but at least and at most by these (of 255): above JPEG noise, below a vignetted rim."""

COVERAGE_MIN = 0.08
"""A lit part smaller than this share of the picture is not a field of view."""

INLIER = 0.02
"""Boundary points within this share of the radius belong to a fitted circle."""

INLIERS_MIN = 0.6
"""A circle (or ellipse) needs this share of the boundary points."""

SQUASH_MAX = 1.6
"""Ellipses with a ratio of the axes above this are not believed."""


@dataclass(frozen=True)
class Field:
    """The field of view in the pixels of the picture that was searched (continuous coordinates, pixel i is [i, i+1)).

    `x, y, width, height` bound the lit part that is in the picture; `cx, cy, radius` is the whole disc (the larger
    semi-axis of an ellipse), which may reach outside; `coverage` is the lit share of the picture. Without a field,
    `found` is False and the numbers describe the whole picture.
    """

    x: float
    y: float
    width: float
    height: float
    cx: float
    cy: float
    radius: float
    coverage: float
    found: bool


def find_field(pixels: NDArray[np.uint8]) -> Field:
    """Finds the field of view in uint8 (h, w, 3) RGB pixels."""
    height, width = pixels.shape[:2]
    factor = max(1, -(-max(height, width) // WORK))
    small, step_x, step_y = _shrink(pixels, factor)
    lit = _lit(small)
    if lit is None:
        return _whole(width, height, 0.0, found=False)
    coverage = float(lit.mean())
    if coverage < COVERAGE_MIN:
        return _whole(width, height, coverage, found=False)
    left, top, wide, high = cv2.boundingRect(lit)
    points = _boundary(lit)
    disc = _disc(points, lit.shape)
    if disc is None:  # no arc to go by: the lit part fills the frame, or has no shape
        disc = (left + wide / 2, top + high / 2, max(wide, high) / 2)
    return Field(
        x=left * step_x,
        y=top * step_y,
        width=wide * step_x,
        height=high * step_y,
        cx=disc[0] * step_x,
        cy=disc[1] * step_y,
        radius=disc[2] * step_x,
        coverage=coverage,
        found=True,
    )


def _whole(width: int, height: int, coverage: float, found: bool) -> Field:
    return Field(0.0, 0.0, width, height, width / 2, height / 2, max(width, height) / 2, coverage, found)


def _shrink(pixels: NDArray[np.uint8], factor: int) -> tuple[NDArray[np.uint8], float, float]:
    """The picture reduced by a whole factor (by area), and how many pixels each of its pixels stands for."""
    height, width = pixels.shape[:2]
    if factor == 1:
        return pixels, 1.0, 1.0
    size = max(width // factor, 1), max(height // factor, 1)
    whole = pixels[: size[1] * factor, : size[0] * factor] if min(size) * factor <= min(width, height) else pixels
    small = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    return small, whole.shape[1] / size[0], whole.shape[0] / size[1]  # type: ignore[return-value]


def _lit(small: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """The mask (0 or 1) of the largest lit part, its holes filled; None when the picture is dark or even."""
    light = cv2.medianBlur(small.max(axis=2), 3)
    border = _border(light)
    if border > BORDER_MAX:
        return np.ones_like(light) if light.std() > 2 else None
    bright = light[light > border + RISE_MIN]
    if bright.size < COVERAGE_MIN * light.size / 2:
        return None
    level = border + float(np.clip(RISE * (np.median(bright) - border), RISE_MIN, RISE_MAX))
    mask = (light > level).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel, borderType=cv2.BORDER_REPLICATE)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None
    largest = max(contours, key=cv2.contourArea)
    return cv2.drawContours(np.zeros_like(mask), [largest], -1, 1, cv2.FILLED)  # type: ignore[return-value]


def _border(light: NDArray[np.uint8]) -> float:
    """The dark surround's level: the second darkest of the four corners' medians (artefacts light up one or two)."""
    side = max(2, min(light.shape) // 24)
    corners = (light[:side, :side], light[:side, -side:], light[-side:, :side], light[-side:, -side:])
    return float(np.sort([np.median(corner) for corner in corners])[1])


def _boundary(lit: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Where the light begins and ends in each row and column, (n, 2) as x, y; the picture's own edges left out."""
    height, width = lit.shape
    found = []
    for mask, length in ((lit, width), (lit.T, height)):
        lines = np.flatnonzero(mask.any(axis=1))
        first = mask[lines].argmax(axis=1)
        last = length - mask[lines, ::-1].argmax(axis=1)
        centres = lines + 0.5
        ends = np.concatenate([first, last]).astype(np.float64)
        points = np.stack([ends, np.concatenate([centres, centres])], axis=1)
        points = points[(ends > 1) & (ends < length - 1)]
        found.append(points if mask is lit else points[:, ::-1])
    return np.concatenate(found)


def _disc(points: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[float, float, float] | None:
    """Centre and radius fitted to boundary points, robust against notches and artefacts; None when nothing fits."""
    if len(points) < 24:
        return None
    circle = _circle(points)
    if circle is not None:
        return circle
    return _ellipse(points, shape)


def _circle(points: NDArray[np.float64]) -> tuple[float, float, float] | None:
    """Best of many circles through three points each, then least squares on its inliers."""
    rng = np.random.default_rng(0)
    trios = points[rng.integers(0, len(points), size=(96, 3))]
    centres, radii = _through(trios)
    sample = points[:: max(1, len(points) // 200)]
    with np.errstate(invalid="ignore"):
        off = np.abs(np.hypot(*(sample[None] - centres[:, None]).transpose(2, 0, 1)) - radii[:, None])
        votes = (off < INLIER * radii[:, None]).sum(axis=1)
    best = int(votes.argmax())
    cx, cy, radius = float(centres[best, 0]), float(centres[best, 1]), float(radii[best])
    inside = np.zeros(0, dtype=bool)
    for _ in range(3):
        inside = np.abs(np.hypot(points[:, 0] - cx, points[:, 1] - cy) - radius) < INLIER * radius
        if inside.sum() < 12:
            return None
        cx, cy, radius = _least_squares(points[inside])
    if inside.mean() < INLIERS_MIN:
        return None
    return float(cx), float(cy), float(radius)


def _through(trios: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres (n, 2) and radii (n,) of the circles through three points each (n, 3, 2); nan where they are in line."""
    a, b, c = trios[:, 0], trios[:, 1] - trios[:, 0], trios[:, 2] - trios[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        double = 2 * (b[:, 0] * c[:, 1] - b[:, 1] * c[:, 0])
        bb, cc = (b * b).sum(axis=1), (c * c).sum(axis=1)
        x = (c[:, 1] * bb - b[:, 1] * cc) / double
        y = (b[:, 0] * cc - c[:, 0] * bb) / double
        return a + np.stack([x, y], axis=1), np.hypot(x, y)


def _least_squares(points: NDArray[np.float64]) -> tuple[float, float, float]:
    """The algebraic circle fit (Kasa 1976): linear least squares on x^2 + y^2 = 2 cx x + 2 cy y + c."""
    mean = points.mean(axis=0)
    x, y = (points - mean).T
    system = np.stack([2 * x, 2 * y, np.ones_like(x)], axis=1)
    (cx, cy, c), *_ = np.linalg.lstsq(system, x * x + y * y, rcond=None)
    return cx + mean[0], cy + mean[1], float(np.sqrt(max(c + cx * cx + cy * cy, 0.0)))


def _ellipse(points: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[float, float, float] | None:
    """An upright ellipse (a squashed disc) by trimmed least squares: its centre and larger semi-axis."""
    scale = max(shape) / 2
    keep = np.ones(len(points), dtype=bool)
    cx = cy = a = b = 0.0
    for _ in range(6):
        x, y = (points[keep] / scale - 1).T
        system = np.stack([y * y, x, y, np.ones_like(x)], axis=1)
        (q, d, e, f), *_ = np.linalg.lstsq(system, -x * x, rcond=None)
        if q <= 0:
            return None
        size = d * d / 4 + e * e / (4 * q) - f
        if size <= 0:
            return None
        a, b = scale * np.sqrt(size), scale * np.sqrt(size / q)
        cx, cy = scale * (1 - d / 2), scale * (1 - e / (2 * q))
        off = np.abs(np.hypot((points[:, 0] - cx) / a, (points[:, 1] - cy) / b) - 1)
        keep = off <= max(INLIER, float(np.quantile(off, INLIERS_MIN)))
    off = np.abs(np.hypot((points[:, 0] - cx) / a, (points[:, 1] - cy) / b) - 1)
    if (off < INLIER).mean() < INLIERS_MIN or max(a / b, b / a) > SQUASH_MAX:
        return None
    return float(cx), float(cy), float(max(a, b))
