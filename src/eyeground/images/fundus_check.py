"""Is this a colour fundus photograph of the posterior pole? Asked before a model reads it.

Features of form, colour and texture are measured on the view, and three rules ask of them, any of which refuses:
whether they are grey, how far they lie from those of fundus photographs (Mahalanobis' distance on their main axes,
plus what the axes leave over, as in probabilistic PCA, Tipping & Bishop 1999), and whether they are on the side of
made pictures (a network of one hidden layer, fitted against random drawings and photographs made impossible). The
limits are quantiles of training and validation photographs; `docs/gate.md` has the figures, and what was looked at in
choosing.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.images.fitted import load_fitted

SIDE = 128
"""Side in pixels at which texture is measured."""
DARK = 12
"""Pixels whose brightest channel is no more than this (of 255) are the surround."""
LIT_MIN = 0.1
"""A view with a smaller lit share shows nothing."""
SHARES = (0.02, 0.25, 0.5, 0.75, 0.98)
"""Percentiles taken of brightness and colour."""
BANDS = (1, 2, 4, 8)
"""Details of about this many pixels are a band: a picture without what its half-sized copy can show."""

CLIP = 8.0
"""A feature counts as no farther than so many spreads from the centre."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Verdict:
    """`distance` is over 1 where a rule refuses; `reason` says what does not fit, None for a fundus photograph."""

    distance: float
    reason: str | None

    @property
    def fundus(self) -> bool:
        return self.reason is None


@dataclass(frozen=True)
class FundusCheck:
    """The fitted rules: scaling of the features, main axes, network; the limits of both; the record of the fit."""

    arrays: dict[str, Floats]
    far: float
    made: float
    grey: float
    origin: dict[str, Any]

    def judge(self, pixels: NDArray[np.uint8]) -> Verdict:
        """Judges a view uint8 (S, S, 3) RGB before any enhancement; a mirrored view gets the same verdict."""
        values = features(pixels)
        if values is None:
            return Verdict(float("inf"), "it is dark or shows nothing")
        if float(colourfulness(values[None])[0]) < self.grey:
            return Verdict(float("inf"), "it is grey, as an OCT scan or an angiogram is")
        far = float(distances(self.arrays, values[None])[0]) / self.far
        made = float(np.exp(np.clip(odds(self.arrays, values[None])[0] - self.made, -30, 30)))
        distance = max(far, made)
        return Verdict(distance, None if distance <= 1 else reason(self.arrays, values))


@functools.cache
def fitted() -> FundusCheck:
    """The rule of this package."""
    arrays, record = load_fitted("fundus_check")
    return FundusCheck(arrays, record["limits"]["far"], record["limits"]["made"], record["limits"]["grey"], record)


def features(pixels: NDArray[np.uint8]) -> Floats | None:
    """What is measured of a view, float32 (F,), see `NAMES`; None when it is dark. Mirroring changes nothing.

    form: lit shares within the disc, in its corners and at its sides. colour: means, spread and percentiles of
    brightness and of the log ratios red:green and green:blue. texture: log standard deviation of red and green
    in each band, skewness and kurtosis of green, and its correlation with red.
    """
    picture = np.asarray(cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA), dtype=np.float32)
    lit = np.asarray(picture.max(2) > DARK)
    if lit.mean() < LIT_MIN:
        return None
    inner = np.asarray(lit & (_radius() < 0.9))
    if inner.mean() < LIT_MIN:
        return None
    return np.concatenate([_form(lit, picture, inner), _colour(picture[inner]), _texture(picture, inner)]).astype(
        np.float32
    )


@functools.cache
def _radius() -> Floats:
    axis = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE * 2 - 1
    return np.asarray(np.hypot(*np.meshgrid(axis, axis)), np.float32)


def _form(lit: NDArray[np.bool_], picture: Floats, inner: NDArray[np.bool_]) -> Floats:
    """How well the lit part is a disc, straight cuts apart (overlap over union), and how bright the corners are."""
    rows, columns = (np.flatnonzero(lit.mean(axis) > 0.05) for axis in (1, 0))
    disc = np.array(_radius() < 1.0)
    if len(rows) and len(columns):
        disc[: rows[0]] = disc[rows[-1] + 1 :] = False
        disc[:, : columns[0]] = disc[:, columns[-1] + 1 :] = False
    overlap = (lit & disc).sum() / max((lit | disc).sum(), 1)
    light = picture.max(2)
    corners = light[_radius() > 1.1].mean() / max(float(light[inner].mean()), 1.0)
    return np.array([overlap, corners], np.float32)


def _colour(inside: Floats) -> Floats:
    """Of the pixels (n, 3) within the disc."""
    light = inside.max(1) / 255
    ratios = np.log((inside[:, :2] + 8) / (inside[:, 1:] + 8))
    rows = np.column_stack([light, ratios])
    order = np.sort(rows, axis=0)
    parts = order[[round(share * (len(rows) - 1)) for share in SHARES]]
    return np.concatenate([parts.ravel(), rows.std(0)]).astype(np.float32)


def _texture(picture: Floats, inner: NDArray[np.bool_]) -> Floats:
    values: list[float] = []
    light = float(picture[inner].mean()) + 8
    mask = cv2.erode(inner.astype(np.uint8), np.ones((5, 5)))
    for _ in BANDS:
        size = picture.shape[0]
        below = np.asarray(cv2.resize(picture, (size // 2, size // 2), interpolation=cv2.INTER_AREA), np.float32)
        smooth = np.asarray(cv2.resize(below, (size, size), interpolation=cv2.INTER_LINEAR), np.float32)
        inside = np.asarray(mask, bool) if mask.any() else np.ones_like(mask, bool)
        values += _of_band((picture - smooth)[inside] / light)
        picture = below
        mask = np.ascontiguousarray(mask[::2, ::2] & mask[1::2, 1::2] & mask[::2, 1::2] & mask[1::2, ::2])  # type: ignore[operator]
    return np.array(values, np.float32)


def _of_band(band: Floats) -> list[float]:
    """Of a band (n, 3): log spread of red and green, skewness and kurtosis of green, its correlation with red."""
    centred = band - band.mean(0)
    covariance = centred.T @ centred / len(band)
    spread = np.sqrt(np.diag(covariance)) + 1e-3
    green = centred[:, 1] / spread[1]
    square = green * green
    red = float(covariance[1, 0] / (spread[1] * spread[0]))
    skewness, kurtosis = float((square * green).mean()), float((square * square).mean())
    return [*np.log(spread[:2]).tolist(), float(np.cbrt(skewness)), float(np.log(kurtosis + 0.1)), red]


def _names() -> tuple[str, ...]:
    form = [f"form:{name}" for name in ("disc", "corners")]
    colour = [f"colour:{name} {p}" for p in SHARES for name in ("light", "red:green", "green:blue")]
    colour += [f"colour:{name} spread" for name in ("light", "red:green", "green:blue")]
    kinds = ("red", "green", "skewness", "kurtosis", "with red")
    texture = [f"texture:{kind} {size}" for size in BANDS for kind in kinds]
    return (*form, *colour, *texture)


NAMES = _names()
"""Of the features, in order; what stands before the colon is the kind."""


def colourfulness(values: Floats) -> Floats:
    """How far rows (n, F) are from grey: the sum of the medians of both log ratios, without sign (n,)."""
    columns = [NAMES.index(f"colour:{name} 0.5") for name in ("red:green", "green:blue")]
    return np.asarray(np.abs(values[:, columns]).sum(1), np.float32)


def distances(arrays: dict[str, Floats], values: Floats) -> NDArray[np.float64]:
    """Root mean squared deviation of rows (n, F) from the fitted ones, 1 on average for those.

    Each row is scaled by `centre` and `spread`, turned onto `axes` (K, F) and divided by their deviations; what is
    left over is divided by its own, and counts as one axis per `rest_weight`.
    """
    scaled = np.clip((values - arrays["centre"]) / arrays["spread"], -CLIP, CLIP).astype(np.float64)
    inner = scaled @ arrays["axes"].T
    rest = (scaled**2).sum(1) - (inner**2).sum(1)
    parts = (inner / arrays["deviation"]) ** 2
    count = len(arrays["deviation"])
    weight = float(arrays["rest_weight"][0])
    rest_part = np.maximum(rest, 0) / float(arrays["rest"][0])
    return np.asarray(np.sqrt((parts.sum(1) + weight * rest_part) / (count + weight)))


def odds(arrays: dict[str, Floats], values: Floats) -> NDArray[np.float64]:
    """Logits (n,) of the network that rows (n, F) are of made pictures."""
    scaled = np.clip((values - arrays["centre"]) / arrays["spread"], -CLIP, CLIP).astype(np.float64)
    hidden = np.maximum(scaled @ arrays["hidden.weight"].T + arrays["hidden.bias"], 0)
    return np.asarray(hidden @ arrays["out.weight"] + arrays["out.bias"][0])


def reason(arrays: dict[str, Floats], values: Floats) -> str:
    """What does not fit, in words: the kind of feature that is farthest from the usual."""
    scaled = np.abs((values - arrays["centre"]) / arrays["spread"])
    kinds = [name.partition(":")[0] for name in NAMES]
    worst = {
        kind: float(np.sort(scaled[[k == kind for k in kinds]])[-3:].mean()) for kind in ("form", "colour", "texture")
    }
    kind = max(worst, key=lambda name: worst[name])
    return {
        "form": "its lit part has not the form of a camera's field",
        "colour": "its colours are not those of a retina",
        "texture": "its texture is not that of a retina",
    }[kind]
