"""OD or OS? Which eye a colour fundus photograph shows, told by where disc, macula and vessels lie.

A network g of four convolutions and one linear layer scores a small picture x, and the answer is
f(x) = g(x) - g(mirror(x)), so that a mirrored photograph gets exactly the opposite: a mirrored left eye looks like a
right one. It needs numpy and OpenCV alone. `benchmarks/box/gate_laterality.py` trains it; `docs/gate.md` has figures.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.images.fitted import load_fitted
from eyeground.records import SIDES, Side

SIZE = 64
"""Side of the small picture in pixels."""
DARK = 12
"""Pixels whose brightest channel is no more than this (of 255) are the surround."""

Floats = NDArray[np.float32]
Answer = Literal["left", "right", "not sure"]


@dataclass(frozen=True)
class Cuts:
    """Scores (logits) beyond which something is said, chosen on validation photographs.

    `answer`: for "left" or "right" instead of "not sure". `eye`: for a warning about one eye. `pair`: for a warning
    that a pair is exchanged, the sum of what both say against their places.
    """

    answer: float
    eye: float
    pair: float


@dataclass(frozen=True)
class Laterality:
    """The fitted network: `weights` by name, the cuts, and the record of how it was made."""

    weights: dict[str, Floats]
    cuts: Cuts
    origin: dict[str, Any]

    def score(self, pixels: NDArray[np.uint8]) -> float:
        """Logit that a view uint8 (S, S, 3) RGB shows a right eye; the mirrored view has exactly its negative."""
        return self._raw(pixels) - self._raw(np.ascontiguousarray(pixels[:, ::-1]))

    def answer(self, score: float) -> Answer:
        """What a score says."""
        if abs(score) <= self.cuts.answer:
            return "not sure"
        return "right" if score > 0 else "left"

    def _raw(self, pixels: NDArray[np.uint8]) -> float:
        x = small(pixels)
        for layer in range(4):
            x = convolve(x, self.weights[f"c{layer}.weight"], self.weights[f"c{layer}.bias"])
            np.maximum(x, 0, out=x)
        return float(x.ravel() @ self.weights["head.weight"].ravel())


@functools.cache
def fitted() -> Laterality:
    """The network of this package."""
    weights, record = load_fitted("laterality")
    return Laterality(weights, Cuts(**record["cuts"]), record)


def small(pixels: NDArray[np.uint8]) -> Floats:
    """What the network sees, float32 (2, SIZE, SIZE): red and green of the lit part, standardised, within 3."""
    picture = np.asarray(cv2.resize(pixels, (SIZE, SIZE), interpolation=cv2.INTER_AREA), dtype=np.float32)
    lit = np.asarray(picture.max(2) > DARK)
    out = np.zeros((2, SIZE, SIZE), np.float32)
    if lit.any():
        for channel in range(2):
            values = picture[..., channel]
            mean, spread = float(values[lit].mean()), float(values[lit].std()) + 4
            out[channel] = np.clip((values - mean) / spread, -3, 3) * lit
    return out


def convolve(x: Floats, weight: Floats, bias: Floats) -> Floats:
    """Cross-correlation of (c, h, w) with (k, c, s, s), s odd, padded with zeros by s // 2, stride 2: (k, h/2, w/2)."""
    side = weight.shape[2]
    padded = np.pad(x, ((0, 0), (side // 2, side // 2), (side // 2, side // 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), (1, 2))[:, ::2, ::2]
    high, wide = windows.shape[1:3]
    columns = windows.transpose(0, 3, 4, 1, 2).reshape(-1, high * wide)
    return np.asarray((weight.reshape(len(weight), -1) @ columns + bias[:, None]).reshape(-1, high, wide), np.float32)


def against_places(model: Laterality, scores: dict[Side, float]) -> str | None:
    """One sentence where the eyes do not look like the places they were given for, else None.

    Args:
        model: its cuts decide.
        scores: `Laterality.score` of each eye that was read, by the side it was given for.
    """
    wrong = {side: score if side == "left" else -score for side, score in scores.items()}
    accuracy = model.origin["words"]
    if len(wrong) == 2 and min(wrong.values()) > 0 and sum(wrong.values()) > model.cuts.pair:
        return (
            "The two photographs seem to be exchanged: the one given as left looks like a right eye, the one given as "
            f"right like a left eye ({accuracy}); check the sides."
        )
    for side in SIDES:
        if wrong.get(side, 0.0) <= model.cuts.eye:
            continue
        other: Side = "right" if side == "left" else "left"
        if wrong.get(other, 0.0) < -model.cuts.answer:
            return f"Both photographs look like {other} eyes ({accuracy}); check the one given as {side}."
        return f"The photograph given as the {side} eye looks like a {other} eye ({accuracy}); check the side."
    return None
