"""Finds the field of view: the lit disc in a fundus photograph, which may be cut off, notched, or fill the frame.

The picture is sampled at about 256 px, the border's dark level taken from its corners, and a circle fitted robustly to
where the light begins in every row and column; edges that are the picture's own do not count. A picture that was
squashed before it came here shows an ellipse; its longer axis is taken, and nothing is stretched back.
"""

from __future__ import annotations

import math
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

OPENING = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
"""Lit parts thinner than this (text, hairs, glow) are removed."""

WHITE = 240
"""A border brighter than this is white paper."""

REDDISH = 1.15
"""A retina that fills the frame is at least this much redder than blue (mean against mean)."""

EVEN = 2.0
"""A bright picture whose brightness varies by less than this (standard deviation) shows nothing."""

COVERAGE_MIN = 0.03
"""A lit part smaller than this share of the picture is not a field of view."""

INLIER = 0.02
"""Boundary points within this share of the radius belong to a fitted circle."""

INLIERS_MIN = 0.6
"""A circle (or ellipse) needs this share of the boundary points."""

POINTS_MIN = 24
"""Fewer boundary points than this make no disc."""

REACH = 0.9
"""The disc's radius is at most this share of the picture's longer side."""

LONG = 2.0
"""A lit part without a round edge, and longer than wide by more than this, is no field of view (an OCT scan, say)."""

ROUND = 0.03
"""An ellipse whose axes differ by less is a circle."""

SQUASH_MAX = 1.6
"""Ellipses with a ratio of the axes above this are not believed."""


@dataclass(frozen=True)
class Field:
    """The field of view in the pixels of the picture that was searched (continuous coordinates, pixel i is [i, i+1)).

    `x, y, width, height` bound the lit part that is in the picture; `cx, cy, radius` is the whole disc, which may
    reach outside. A squashed disc is an upright ellipse: `radius` is its larger semi-axis and `aspect` the vertical
    over the horizontal one. `coverage` is the lit share of the picture. Without a field, `found` is False and the
    numbers describe the whole picture.
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
    aspect: float = 1.0


def find_field(pixels: NDArray[np.uint8]) -> Field:
    """Finds the field of view in uint8 (h, w, 3) RGB pixels."""
    height, width = pixels.shape[:2]
    step = -(-max(height, width) // WORK)
    small = _sample(pixels, step)
    high, wide = small.shape[:2]
    outline, coverage = _outline(small)
    if outline is None or coverage < COVERAGE_MIN:
        return _none(width, height, coverage)
    shift = 0.5 - step / 2  # from the middle of a sample's cell to the pixel that stands for it
    (left, top), (right, bottom) = (outline.min(axis=0) - 0.5).tolist(), (outline.max(axis=0) + 0.5).tolist()
    x, y = max(left * step + shift, 0.0), max(top * step + shift, 0.0)
    across = (width if right == wide else right * step + shift) - x
    down = (height if bottom == high else bottom * step + shift) - y
    arc = outline[((outline > 2) & (outline < (wide - 2, high - 2))).all(axis=1)]
    disc = _circle(arc) or _ellipse(arc)
    if disc is not None and _plausible(disc, wide, high):
        cx, cy, radius = disc[0] * step + shift, disc[1] * step + shift, disc[2] * step
        return Field(x, y, across, down, cx, cy, radius, coverage, True, disc[3])
    if coverage < 1 and max(across, down) > LONG * min(across, down):
        return _none(width, height, coverage)
    # no arc to go by: the lit part fills the frame, or has no shape
    return Field(x, y, across, down, x + across / 2, y + down / 2, max(across, down) / 2, coverage, found=True)


def _plausible(disc: tuple[float, float, float, float], wide: int, high: int) -> bool:
    """Whether a fitted disc's centre is in the picture and its radius in proportion (a straight edge's is not)."""
    return 0 <= disc[0] <= wide and 0 <= disc[1] <= high and disc[2] <= REACH * max(wide, high)


def _none(width: int, height: int, coverage: float) -> Field:
    return Field(0.0, 0.0, width, height, width / 2, height / 2, max(width, height) / 2, coverage, found=False)


def _sample(pixels: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """The top left pixel of every whole step x step cell, (h // step, w // step, 3)."""
    high, wide = max(pixels.shape[0] // step, 1), max(pixels.shape[1] // step, 1)
    if step == 1 or min(pixels.shape[:2]) < step:
        return np.ascontiguousarray(pixels[::step, ::step])
    cells = pixels[: high * step, : wide * step]
    return np.asarray(cv2.resize(cells, (wide, high), interpolation=cv2.INTER_NEAREST), dtype=np.uint8)


def _outline(small: NDArray[np.uint8]) -> tuple[NDArray[np.float64] | None, float]:
    """The centres (n, 2) of the pixels around the largest lit part, and the share of the picture inside.

    None when the picture is dark or even, or fills the frame and is no retina by its colour.
    """
    red, green, blue = cv2.split(small)
    light = np.asarray(cv2.medianBlur(cv2.max(cv2.max(red, green), blue), 3), dtype=np.uint8)
    border = _border(light)
    if border > WHITE:  # scanned or pasted on white paper: what is white all over counts as surround
        light[np.asarray(cv2.min(cv2.min(red, green), blue)) > WHITE] = 0
        border = _border(light)
    if border > BORDER_MAX:  # no dark surround: the retina, if it is one, fills the frame
        retina = light.std() > EVEN and red.mean() > REDDISH * blue.mean()
        high, wide = light.shape
        return (np.array([[0.5, 0.5], [wide - 0.5, high - 0.5]]), 1.0) if retina else (None, 0.0)
    some = light[::3, ::3]
    bright = some[some > border + RISE_MIN]
    if bright.size < COVERAGE_MIN * some.size / 2:
        return None, 0.0
    level = border + float(np.clip(RISE * (np.median(bright) - border), RISE_MIN, RISE_MAX))
    mask = cv2.morphologyEx(cv2.inRange(light, math.ceil(level), 255), cv2.MORPH_OPEN, OPENING)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None, 0.0
    largest = max(contours, key=cv2.contourArea)
    inside = cv2.contourArea(largest) + len(largest) / 2 + 1  # lattice points of a polygon (Pick 1899)
    return largest[:, 0].astype(np.float64) + 0.5, inside / light.size


def _border(light: NDArray[np.uint8]) -> float:
    """The dark surround's level: the second darkest of the four corners' medians (artefacts light up one or two)."""
    side = max(2, min(light.shape) // 24)
    corners = light[:side, :side], light[:side, -side:], light[-side:, :side], light[-side:, -side:]
    values = np.sort(np.stack(corners).reshape(4, -1), axis=1)
    return float(np.sort(values[:, values.shape[1] // 2])[1])


def _circle(points: NDArray[np.float64]) -> tuple[float, float, float, float] | None:
    """The disc around edge pixels (n, 2): the best of many circles through three of them, refined on its inliers.

    Robust against notches and artefacts (RANSAC, Fischler & Bolles 1981). Returns the centre x, y, the radius (half a
    pixel more, to the pixels' outer edge) and aspect 1; None when too few points lie on it.
    """
    if len(points) < POINTS_MIN:
        return None
    centres, radii = _through(points[np.random.default_rng(0).integers(0, len(points), size=(64, 3))])
    sample = points[:: max(1, len(points) // 128)]
    with np.errstate(invalid="ignore"):
        x, y = sample[:, 0] - centres[:, :1], sample[:, 1] - centres[:, 1:]
        near = (x * x + y * y) / (radii * radii)[:, None]
        votes = ((near > (1 - INLIER) ** 2) & (near < (1 + INLIER) ** 2)).sum(axis=1)
    best = int(votes.argmax())
    cx, cy, radius = float(centres[best, 0]), float(centres[best, 1]), float(radii[best])
    for _ in range(2):
        if not math.isfinite(radius):  # three points in line
            return None
        inside = np.abs(np.hypot(points[:, 0] - cx, points[:, 1] - cy) - radius) < INLIER * radius
        if inside.sum() < POINTS_MIN / 2:
            return None
        cx, cy, radius = _least_squares(points[inside])
    return (cx, cy, radius + 0.5, 1.0) if inside.mean() >= INLIERS_MIN else None


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
    """The algebraic circle fit (Kasa 1976), in closed form about the points' mean: centre x, y and radius.

    Least squares on x^2 + y^2 = 2 cx x + 2 cy y + c; about the mean, c is the mean of x^2 + y^2.
    """
    mean = points.mean(axis=0)
    x, y = (points - mean).T
    square = x * x + y * y
    xx, xy, yy = float((x * x).sum()), float((x * y).sum()), float((y * y).sum())
    xs, ys = float((x * square).sum()) / 2, float((y * square).sum()) / 2
    double = max(xx * yy - xy * xy, 1e-9)  # 0 only for points in line
    cx, cy = (yy * xs - xy * ys) / double, (xx * ys - xy * xs) / double
    return cx + float(mean[0]), cy + float(mean[1]), math.sqrt(float(square.mean()) + cx * cx + cy * cy)


def _ellipse(points: NDArray[np.float64]) -> tuple[float, float, float, float] | None:
    """An upright ellipse (a squashed disc) by trimmed least squares: centre x, y, larger semi-axis, aspect."""
    if len(points) < POINTS_MIN:
        return None
    middle = points.mean(axis=0)
    scale = float(np.abs(points - middle).max())
    x, y = ((points - middle) / scale).T
    off = np.zeros(len(points))
    cx = cy = a = b = 0.0
    for _ in range(8):
        keep = off <= max(INLIER, float(np.quantile(off, 0.7)))
        system = np.stack([y * y, x, y, np.ones_like(x)], axis=1)[keep]
        q, d, e, f = np.linalg.lstsq(system, -x[keep] * x[keep], rcond=None)[0].tolist()
        size = 0.0 if q <= 0 else d * d / 4 + e * e / (4 * q) - f
        if size <= 0:
            return None
        cx, cy, a, b = -d / 2, -e / (2 * q), float(np.sqrt(size)), float(np.sqrt(size / q))
        off = np.abs(np.hypot((x - cx) / a, (y - cy) / b) - 1)
    if (off < INLIER).mean() < INLIERS_MIN or max(a / b, b / a) > SQUASH_MAX:
        return None
    aspect = b / a if abs(b / a - 1) > ROUND else 1.0
    return cx * scale + float(middle[0]), cy * scale + float(middle[1]), max(a, b) * scale + 0.5, aspect
