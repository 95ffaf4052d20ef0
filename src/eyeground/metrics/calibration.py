"""Probabilities that mean what they say: one temperature for all labels, fitted on validation logits.

Guo, Pleiss, Sun & Weinberger, "On calibration of modern neural networks", ICML 2017, section 4.2, with a sigmoid
per label in place of the softmax.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LOWEST, HIGHEST = 0.05, 20.0
"""The fitted temperature stays within these; separable or useless logits would send it to 0 or infinity."""


@dataclass(frozen=True)
class Calibration:
    """Divides logits by `temperature`. `n` cells were fitted; log losses in nats per cell, nan when n is 0."""

    temperature: float = 1.0
    n: int = 0
    log_loss_before: float = float("nan")
    log_loss_after: float = float("nan")

    def apply(self, logits: ArrayLike) -> NDArray[np.float64]:
        """Calibrated probability of each logit, same shape. It never changes a label's order."""
        return sigmoid(np.asarray(logits, dtype=np.float64) / self.temperature)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; undefined log losses become None."""
        return {key: None if isnan(value) else value for key, value in asdict(self).items()}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Calibration:
        """The inverse of `to_dict`. Raises `ValueError` for a temperature that is not positive and finite."""
        temperature = float(data["temperature"])
        if not 0 < temperature < float("inf"):
            raise ValueError(f"temperature {temperature} is not a positive number")
        losses = (float("nan") if data[key] is None else data[key] for key in ("log_loss_before", "log_loss_after"))
        return Calibration(temperature, int(data["n"]), *losses)


def fit_temperature(logits: ArrayLike, truth: ArrayLike, known: ArrayLike) -> Calibration:
    """Finds the temperature with the smallest log loss over the known cells.

    The log loss is convex in 1 / temperature; its derivative is bisected within [LOWEST, HIGHEST].

    Args:
        logits: (n, C).
        truth: (n, C), 0 or 1 where known.
        known: (n, C) bool.

    Raises:
        ValueError: shapes differ or a logit of a known cell is not finite.
    """
    z, y, mask = np.asarray(logits, np.float64), np.asarray(truth, np.float64), np.asarray(known, bool)
    if not z.shape == y.shape == mask.shape:
        raise ValueError(f"logits {z.shape}, truth {y.shape} and known {mask.shape} differ in shape")
    z, y = z[mask], y[mask]
    if z.size == 0:
        return Calibration()
    if not np.isfinite(z).all():
        raise ValueError("a logit is not finite")

    def slope(scale: float) -> float:  # d log loss / d scale, scale = 1 / temperature; never decreases
        return float((z * (sigmoid(scale * z) - y)).mean())

    low, high = 1 / HIGHEST, 1 / LOWEST
    if slope(1.0) == 0:
        low = high = 1.0
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    temperature = (low * high) ** -0.5
    return Calibration(temperature, z.size, log_loss(z, y), log_loss(z / temperature, y))


def log_loss(logits: ArrayLike, truth: ArrayLike) -> float:
    """Mean binary cross-entropy in nats, from logits, without overflow."""
    z, y = np.asarray(logits, np.float64), np.asarray(truth, np.float64)
    return float((np.logaddexp(0, z) - y * z).mean())


def sigmoid(logits: ArrayLike) -> NDArray[np.float64]:
    """1 / (1 + exp(-z)) without overflow at either end."""
    z = np.asarray(logits, dtype=np.float64)
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, small) / (1 + small)
