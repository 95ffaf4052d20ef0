"""Changed copies of a photograph, as papers make them against class imbalance: draw, then do.

Bhati et al. (2023) name flip, rescale by 0.5, 0.7, 0.8 or 0.9, crop, rotate, contrast, hue, saturation and gamma, and
no amounts. With flips in both directions these are twelve kinds, and their largest factor is 12 copies: so a copy is
read as one kind, and no photograph gets a kind twice before it has had all. The amounts are ours.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Kind = Literal["mirror", "upside_down", "rescale", "crop", "rotate", "contrast", "hue", "saturation", "gamma"]
SCALES = (0.5, 0.7, 0.8, 0.9)
RANGES: dict[Kind, tuple[float, float]] = {
    "crop": (0.8, 0.95),
    "rotate": (5.0, 30.0),
    "contrast": (0.7, 1.3),
    "hue": (-8.0, 8.0),
    "saturation": (0.7, 1.3),
    "gamma": (0.7, 1.4),
}
"""Share of each side that a crop keeps; degrees either way; factors; degrees of hue; exponent."""
LIT = 10
"""Pixels whose brightest channel is no more than this are the black around the field, and stay as they are."""


@dataclass(frozen=True)
class Change:
    """One change. `amount` as in `RANGES`, or the scale; `x`, `y`: where a crop lies in the room it has, 0 to 1."""

    kind: Kind
    amount: float = 0.0
    x: float = 0.0
    y: float = 0.0


def draw_changes(count: int, name: str, seed: int) -> tuple[Change, ...]:
    """The changes of a photograph's `count` copies; the same name and seed give the same, and more only add to them."""
    start = int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "big")
    rng = np.random.Generator(np.random.PCG64(start))
    changes: list[Change] = []
    while len(changes) < count:
        each = [_drawn(kind, scale, rng) for kind, scale in _kinds()]
        changes += [each[int(place)] for place in np.argsort(rng.random(len(each)))]
    return tuple(changes[:count])


def _kinds() -> list[tuple[Kind, float]]:
    """The twelve kinds; the four scales count as one each."""
    kinds: tuple[Kind, ...] = get_args(Kind)
    return [(kind, scale) for kind in kinds for scale in (SCALES if kind == "rescale" else (0.0,))]


def _drawn(kind: Kind, scale: float, rng: np.random.Generator) -> Change:
    where, sign, x, y = rng.random(4).tolist()
    if kind not in RANGES:
        return Change(kind, scale)
    low, high = RANGES[kind]
    amount = round(low + (high - low) * where, 4)
    if kind == "rotate" and sign < 0.5:
        amount = -amount
    return Change(kind, amount, round(x, 4), round(y, 4)) if kind == "crop" else Change(kind, amount)


def apply_change(pixels: Pixels, change: Change) -> Pixels:
    """Changes a photograph uint8 (H, W, 3) RGB. Crop and rescale make it smaller, all else leaves its size."""
    if change.kind in ("mirror", "upside_down"):
        return np.ascontiguousarray(pixels[:, ::-1] if change.kind == "mirror" else pixels[::-1])
    height, width = pixels.shape[:2]
    if change.kind == "rescale":
        size = max(1, round(width * change.amount)), max(1, round(height * change.amount))
        return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    if change.kind == "crop":
        high, wide = max(1, round(height * change.amount)), max(1, round(width * change.amount))
        top, left = round(change.y * (height - high)), round(change.x * (width - wide))
        return np.ascontiguousarray(pixels[top : top + high, left : left + wide])
    if change.kind == "rotate":
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), change.amount, 1.0)
        return np.asarray(cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR), dtype=np.uint8)
    lit = pixels.max(2, keepdims=True) > LIT
    return np.where(lit, _recoloured(pixels, change, lit), pixels)


def _recoloured(pixels: Pixels, change: Change, lit: NDArray[np.bool_]) -> Pixels:
    """Contrast about the mean of the lit pixels, hue and saturation in HSV, or gamma on each channel."""
    if change.kind == "gamma":
        table = 255 * (np.arange(256) / 255) ** change.amount
        return np.asarray(table.round().astype(np.uint8)[pixels])
    if change.kind == "contrast":
        mean = float(pixels[lit[..., 0]].mean()) if lit.any() else 0.0
        return np.clip(mean + (pixels.astype(np.float32) - mean) * change.amount, 0, 255).round().astype(np.uint8)
    hsv = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    if change.kind == "hue":
        hsv[..., 0] = (hsv[..., 0] + change.amount) % 360
    else:
        hsv[..., 1] = np.clip(hsv[..., 1] * change.amount, 0, 1)
    return np.clip(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255, 0, 255).round().astype(np.uint8)
