"""Named enhancements of a view: pure functions from uint8 (S, S, 3) RGB to the same, chosen by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.errors import UsageError, nearest

Pixels = NDArray[np.uint8]

DARK = 12
"""Pixels whose three channels are all at most this are the black surround."""


def clahe(pixels: Pixels, clip: float = 2.0, tiles: int = 8) -> Pixels:
    """Contrast-limited adaptive histogram equalisation (Zuiderveld 1994) of the lightness L in CIE Lab; hue is kept."""
    lab = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB), dtype=np.uint8)
    lab[..., 0] = cv2.createCLAHE(clip, (tiles, tiles)).apply(lab[..., 0])
    return _blacken(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), pixels)


def graham(pixels: Pixels, fraction: float = 1 / 30, gain: float = 4.0) -> Pixels:
    """Background subtraction: gain x (picture - its Gaussian blur) + 128 (Graham 2015, Kaggle diabetic retinopathy).

    The blur's sigma is `fraction` of the field's radius, half the view's side (his is 1/30 too). He blurs across the
    rim and then hides the outer 10 % of the field; here the blur is normalised to the lit pixels, so the rim keeps its
    meaning and nothing is hidden. The black surround becomes 128.
    """
    lit = (pixels.max(axis=2, keepdims=True) > DARK).astype(np.float32)
    sigma = max(pixels.shape[0] / 2 * fraction, 0.5)
    blurred = cv2.GaussianBlur(pixels * lit, (0, 0), sigma)
    weight = cv2.GaussianBlur(lit, (0, 0), sigma)[..., None]
    detail = gain * (pixels - blurred / np.maximum(weight, 1e-3)) * lit + 128
    return np.clip(np.rint(detail), 0, 255).astype(np.uint8)


def background(pixels: Pixels, fraction: float = 1 / 6, trim: float = 0.05) -> Pixels:
    """Each channel less its wide Gaussian background, plus 128, within a trimmed field (after Quellec et al. 2017).

    Our reading of "a wide Gaussian background estimate": sigma is `fraction` of half the view's side, five times that
    of `graham`, so that lesions and vessels stay and only shading goes; it is normalised to the field. Differences are
    not stretched (`graham`: times 4). The outer `trim` of the field's radius, where the rim glows, and the surround
    become 128. Small dark spots inside the field belong to it.
    """
    radius = pixels.shape[0] / 2
    reach = max(1, round(radius * trim))
    lit = (pixels.max(axis=2) > DARK).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    field = cv2.copyMakeBorder(lit, 3 * reach, 3 * reach, 3 * reach, 3 * reach, cv2.BORDER_CONSTANT, value=0)
    field = cv2.erode(cv2.morphologyEx(field, cv2.MORPH_CLOSE, disc), disc)[
        3 * reach : -3 * reach, 3 * reach : -3 * reach
    ]
    inside = field[..., None].astype(np.float32)
    sigma = max(radius * fraction, 0.5)
    blurred = cv2.GaussianBlur(pixels * inside, (0, 0), sigma)
    weight = cv2.GaussianBlur(inside, (0, 0), sigma)[..., None]
    detail = (pixels - blurred / np.maximum(weight, 1e-3)) * inside + 128
    return np.clip(np.rint(detail), 0, 255).astype(np.uint8)


def equalise(pixels: Pixels) -> Pixels:
    """Histogram equalisation of each of R, G and B over the lit pixels, as many ODIR papers do; colours shift."""
    lit = pixels.max(axis=2) > DARK
    return np.stack([_equalised(pixels[..., channel], lit) for channel in range(3)], axis=2)


def equalise_luma(pixels: Pixels) -> Pixels:
    """Histogram equalisation of the luma Y of YCrCb over the lit pixels; hue is kept."""
    lit = pixels.max(axis=2) > DARK
    ycc = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb), dtype=np.uint8)
    ycc[..., 0] = _equalised(ycc[..., 0], lit)
    return _blacken(cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB), pixels)


ENHANCEMENTS: dict[str, Callable[[Pixels], Pixels]] = {
    "clahe": clahe,
    "graham": graham,
    "background": background,
    "equalise": equalise,
    "equalise_luma": equalise_luma,
}


def check(names: Sequence[str]) -> None:
    """Raises `UsageError` for an unknown enhancement, with the nearest match."""
    for name in names:
        if name not in ENHANCEMENTS:
            known = ", ".join(ENHANCEMENTS)
            raise UsageError(f"no enhancement '{name}'{nearest(name, ENHANCEMENTS)} (there are: {known})")


def apply(names: Sequence[str], pixels: Pixels) -> Pixels:
    """Applies enhancements in the order named. Raises `UsageError` for an unknown name."""
    check(names)
    for name in names:
        pixels = ENHANCEMENTS[name](pixels)
    return pixels


def _blacken(result: NDArray, pixels: Pixels) -> Pixels:
    """The surround stays as it was."""
    result[pixels.max(axis=2) <= DARK] = 0
    return result


def _equalised(channel: Pixels, lit: NDArray[np.bool_]) -> Pixels:
    """One channel mapped so that its lit values spread evenly over 0..255; unlit pixels become 0."""
    counts = np.bincount(channel[lit], minlength=256)
    total = np.cumsum(counts)
    present = counts > 0
    if present.sum() < 2:  # nothing to spread
        return channel.copy()
    first = total[present][0]
    table = np.clip(np.rint((total - first) * (255 / (total[-1] - first))), 0, 255).astype(np.uint8)
    return np.where(lit, table[channel], 0).astype(np.uint8)
