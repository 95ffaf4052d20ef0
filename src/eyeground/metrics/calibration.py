"""Probabilities that mean what they say: a calibration for all labels, fitted on validation logits.

Guo, Pleiss, Sun & Weinberger, "On calibration of modern neural networks", ICML 2017, section 4.2 (temperature, here
with a sigmoid per label in place of the softmax). The curves are in `calibrators`, the choice in `calibration_choice`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.calibrators import (
    HIGHEST,
    LOWEST,
    Curve,
    Line,
    curve_from_dict,
    fit_line,
    fit_scale,
    fit_steps,
    log_loss,
    sigmoid,
)
from eyeground.metrics.probability import cell_losses

__all__ = ["HIGHEST", "LOWEST", "Calibration", "fit_temperature", "log_loss", "sigmoid"]

Array = NDArray[np.float64]
Method = Literal["temperature", "temperature-per-label", "platt", "isotonic"]
METHODS: tuple[Method, ...] = get_args(Method)
"""The simplest first."""
FEWEST = 10
"""A label with fewer positives (or negatives) shares the temperature of all labels."""


@dataclass(frozen=True)
class Calibration:
    """How logits become probabilities.

    Attributes:
        temperature: shared by all labels; logits are divided by it.
        n: cells that were fitted.
        log_loss_before, log_loss_after: nats per cell on those same cells, without and with the calibration; nan
            when n is 0.
        method: which of `METHODS`.
        curves: one per label, in vocabulary order; empty with `temperature`.
    """

    temperature: float = 1.0
    n: int = 0
    log_loss_before: float = float("nan")
    log_loss_after: float = float("nan")
    method: Method = "temperature"
    curves: tuple[Curve, ...] = ()

    def apply(self, logits: ArrayLike) -> Array:
        """Calibrated probability of each logit (..., C), same shape. It never reverses two logits of a label.

        Raises:
            ValueError: curves for another number of labels.
        """
        z = np.asarray(logits, dtype=np.float64)
        if not self.curves:
            return sigmoid(z / self.temperature)
        if z.ndim == 0 or z.shape[-1] != len(self.curves):
            raise ValueError(f"logits of shape {z.shape} for a calibration of {len(self.curves)} labels")
        return np.stack([curve.apply(z[..., c]) for c, curve in enumerate(self.curves)], axis=-1)

    @property
    def words(self) -> str:
        """What it is, for people: 'one temperature, 1.31', or per label and how many labels share the temperature."""
        if not self.curves:
            return f"one temperature, {self.temperature:.2f}"
        what = {"temperature-per-label": "one temperature", "platt": "Platt's slope and offset"}
        shared = sum(isinstance(curve, Line) and bool(curve.reason) for curve in self.curves)
        few = f" ({shared} of {len(self.curves)} labels have too few cases and share a temperature)" if shared else ""
        return f"{what.get(self.method, 'isotonic regression')} per label{few}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; undefined log losses become None. `labels` has the curves, where there are any."""
        names = ("temperature", "n", "log_loss_before", "log_loss_after")
        numbers = {name: None if isnan(getattr(self, name)) else getattr(self, name) for name in names}
        labels = {"labels": [curve.to_dict() for curve in self.curves]} if self.curves else {}
        return {"method": self.method, **numbers, **labels}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Calibration:
        """The inverse of `to_dict`; also reads what was written before there were methods.

        Raises:
            ValueError: a temperature that is not positive and finite, an unknown method, or bad curves.
        """
        temperature, method = float(data["temperature"]), data.get("method", "temperature")
        if not 0 < temperature < float("inf"):
            raise ValueError(f"temperature {temperature} is not a positive number")
        curves = tuple(curve_from_dict(one) for one in data.get("labels", ()))
        if method not in METHODS or bool(curves) != (method != "temperature"):
            raise ValueError(f"a calibration by '{method}' with {len(curves)} curves is not known here")
        before, after = (
            float("nan") if data[f"log_loss_{when}"] is None else float(data[f"log_loss_{when}"])
            for when in ("before", "after")
        )
        return Calibration(temperature, int(data["n"]), before, after, method, curves)


def fit_temperature(logits: ArrayLike, truth: ArrayLike, known: ArrayLike) -> Calibration:
    """Finds the temperature with the smallest log loss over the known cells.

    Args:
        logits: (n, C).
        truth: (n, C), 0 or 1 where known.
        known: (n, C) bool.

    Raises:
        ValueError: shapes differ or a logit of a known cell is not finite.
    """
    z, y, mask = checked(logits, truth, known)
    z, y = z[mask], y[mask]
    if z.size == 0:
        return Calibration()
    temperature = fit_scale(z, y)
    return Calibration(temperature, z.size, log_loss(z, y), log_loss(z / temperature, y))


def fit(
    method: Method, logits: ArrayLike, truth: ArrayLike, known: ArrayLike, own: ArrayLike | None = None
) -> Calibration:
    """Fits one method on the known cells.

    Args:
        logits, truth, known: as in `fit_temperature`.
        own: (C,) bool, labels with a curve of their own; None: those with `FEWEST` positives and negatives. The others
            share the temperature, and so does a label that has no positive or no negative here.

    Raises:
        ValueError: as in `fit_temperature`, or an unknown method.
    """
    if method not in METHODS:
        raise ValueError(f"no calibration '{method}' (there are {', '.join(METHODS)})")
    z, y, mask = checked(logits, truth, known)
    shared = fit_temperature(z, y, mask)
    if method == "temperature" or not shared.n:
        return shared
    allowed = enough(y, mask) if own is None else np.asarray(own, bool)
    curves: list[Curve] = []
    for c in range(z.shape[1]):
        label, score = y[mask[:, c], c], z[mask[:, c], c]
        if not allowed[c] or not 0 < label.sum() < len(label):
            curves.append(Line(1 / shared.temperature, 0.0, _few(label)))
        elif method == "temperature-per-label":
            curves.append(Line(1 / fit_scale(score, label)))
        else:
            curves.append(fit_line(score, label) if method == "platt" else fit_steps(score, label))
    found = Calibration(shared.temperature, shared.n, shared.log_loss_before, 0.0, method, tuple(curves))
    after = float(cell_losses(y[mask] == 1, found.apply(z)[mask])[1].mean())
    return Calibration(found.temperature, found.n, found.log_loss_before, after, method, found.curves)


def enough(truth: ArrayLike, known: ArrayLike) -> NDArray[np.bool_]:
    """Labels (C,) that have at least `FEWEST` known positives and as many negatives."""
    y, mask = np.asarray(truth, np.float64), np.asarray(known, bool)
    positives = ((y == 1) & mask).sum(axis=0)
    return (positives >= FEWEST) & (mask.sum(axis=0) - positives >= FEWEST)


def _few(label: Array) -> str:
    n_pos = int(label.sum())
    what = f"{n_pos} positives" if n_pos < FEWEST else f"{len(label) - n_pos} negatives"
    return f"shares the temperature: only {what}, {FEWEST} are wanted"


def checked(logits: ArrayLike, truth: ArrayLike, known: ArrayLike) -> tuple[Array, Array, NDArray[np.bool_]]:
    """The three as arrays (n, C). Raises `ValueError` for other shapes, or a known cell without a finite logit."""
    z, y, mask = np.asarray(logits, np.float64), np.asarray(truth, np.float64), np.asarray(known, bool)
    if not z.shape == y.shape == mask.shape:
        raise ValueError(f"logits {z.shape}, truth {y.shape} and known {mask.shape} differ in shape")
    if not np.isfinite(z[mask]).all():
        raise ValueError("a logit is not finite")
    return z, y, mask
