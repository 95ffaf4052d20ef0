"""Which calibration? Cross-validated over patients on log loss; the simplest within one standard error of the best.

Hastie, Tibshirani & Friedman, "The Elements of Statistical Learning", 2009, section 7.10 (cross-validation, the one
standard error rule); Varma & Simon, BMC Bioinformatics 7, 2006 (why the choice is repeated inside the outer parts).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.calibration import METHODS, Calibration, Method, checked, enough, fit
from eyeground.metrics.probability import cell_losses

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
FOLDS = 10
"""Parts of the cross-validation; fewer where there are fewer patients."""
INNER = 5
"""Parts where the choice is repeated inside a part of the outer cross-validation."""


@dataclass(frozen=True)
class Choice:
    """A calibration, how each method did in cross-validation, and probabilities of patients it did not learn from.

    Attributes:
        calibration: fitted on all patients.
        foretold: (n, C) probabilities of every patient by a calibration that was fitted (and, with `auto`, chosen)
            without them; nan with fewer than two patients.
        scores: per method in `METHODS` that was tried, its cross-validated `log_loss`, and `behind` the best by how
            much, with the standard error of that difference over patients.
        reason: why this method, in words.
    """

    calibration: Calibration
    foretold: Array
    scores: dict[str, dict[str, float]]
    reason: str


def select(
    logits: ArrayLike,
    truth: ArrayLike,
    known: ArrayLike,
    patients: ArrayLike,
    method: Method | Literal["auto"] = "auto",
    seed: int = 0,
) -> Choice:
    """Fits a calibration; `auto` chooses the method by cross-validation over patients on log loss.

    The simplest method wins whose log loss is at most one standard error behind the best, the standard error being that
    of the difference between the two over patients. `foretold` comes from an outer cross-validation that repeats the
    whole procedure, choice included, so what is judged on it is not flattered by the choice.

    Args:
        logits, truth, known: as in `fit_temperature`.
        patients: (n,) who each row belongs to; all rows of a patient are in one part.
        seed: of the parts.

    Raises:
        ValueError: as in `fit`.
    """
    z, y, mask = checked(logits, truth, known)
    who = np.unique(np.asarray(patients), return_inverse=True)[1]
    if who.shape != (len(z),):
        raise ValueError(f"{len(who)} patients for {len(z)} rows")
    own = enough(y, mask)  # decided once, on all: in every part the same labels have their own curve

    def chosen(rows: NDArray[np.intp], folds: int) -> tuple[Calibration, dict[str, dict[str, float]], str]:
        here = (z[rows], y[rows], mask[rows])
        if method != "auto":
            return fit(method, *here, own), {}, f"'{method}' was asked for"
        scores, name, reason = _compare(here, who[rows], own, (seed, folds))
        return fit(name, *here, own), scores, reason

    calibration, scores, reason = chosen(np.arange(len(z)), FOLDS)
    foretold = _held_out((z, y, mask), who, (seed, FOLDS), lambda rows: chosen(rows, INNER)[0])
    if method != "auto":
        scores = {method: {"log_loss": _mean_loss(foretold, y, mask), "behind": 0.0, "standard_error": 0.0}}
    return Choice(calibration, foretold, scores, reason)


def _compare(
    cells: tuple[Array, Array, Mask], who: NDArray[np.int64], own: Mask, parts: tuple[int, int]
) -> tuple[dict[str, dict[str, float]], Method, str]:
    """Each method's cross-validated log loss; the simplest that ties with the best; the reason. Parts: seed, number."""
    z, y, mask = cells
    if len(np.unique(who)) < 2 or not mask.any():
        return {}, "temperature", "nothing to choose on: fewer than two patients"
    losses: dict[Method, Array] = {}
    for name in METHODS:

        def fitted(rows: NDArray[np.intp], name: Method = name) -> Calibration:
            return fit(name, z[rows], y[rows], mask[rows], own)

        foretold = _held_out(cells, who, parts, fitted)
        loss = np.where(mask, cell_losses((y == 1) & mask, foretold)[1], 0.0)
        if np.isfinite(loss).all():  # one that gave a case no chance at all is out
            losses[name] = loss
    if not losses:
        return {}, "temperature", "each method gave some case no chance at all"
    means = {name: float(loss[mask].mean()) for name, loss in losses.items()}
    best = min(means, key=lambda name: (means[name], METHODS.index(name)))
    scores: dict[str, dict[str, float]] = {}
    for name, loss in losses.items():
        error = _standard_error((loss - losses[best]).sum(axis=1), mask.sum(axis=1), who)
        scores[name] = {"log_loss": means[name], "behind": means[name] - means[best], "standard_error": error}
    winner = next(name for name in losses if scores[name]["behind"] <= scores[name]["standard_error"])
    row = scores[winner]
    if winner == best:
        return scores, winner, f"lowest cross-validated log loss ({row['log_loss']:.4f} nats per cell)"
    gap = f"{row['behind']:.4f} nats behind {best}, standard error {row['standard_error']:.4f}"
    return scores, winner, f"the simplest within one standard error of the best ({gap})"


def _held_out(
    cells: tuple[Array, Array, Mask],
    who: NDArray[np.int64],
    parts: tuple[int, int],
    fitted: Callable[[NDArray[np.intp]], Calibration],
) -> Array:
    """Probabilities (n, C) of every row by a calibration fitted without its patient."""
    z, y, mask = cells
    part = deal(y, mask, who, *parts)
    out = np.full(z.shape, np.nan)
    for one in np.unique(part) if part.max(initial=0) else ():
        out[part == one] = fitted(np.flatnonzero(part != one)).apply(z[part == one])
    return out


def deal(truth: Array, known: Mask, who: NDArray[np.int64], seed: int, folds: int = FOLDS) -> NDArray[np.int64]:
    """Deals patients out to parts: (n,) part of each row. Those with a rare label go first, so every part has it."""
    people, person = np.unique(who, return_inverse=True)
    positive = (truth == 1) & known
    rank = np.argsort(np.argsort(positive.sum(axis=0), kind="stable"), kind="stable")  # 0 is the rarest label
    rarest = np.full(len(people), len(rank))
    np.minimum.at(rarest, person, np.where(positive, rank, len(rank)).min(axis=1, initial=len(rank)))
    order = np.lexsort((np.random.default_rng(seed).random(len(people)), rarest))
    part = np.empty(len(people), np.int64)
    part[order] = np.arange(len(people)) % min(folds, max(len(people), 1))
    return part[person]


def _standard_error(sums: Array, cells: NDArray[np.int64], who: NDArray[np.int64]) -> float:
    """Standard error of (sum of `sums`) / (sum of `cells`), patients being the units."""
    person = np.unique(who, return_inverse=True)[1]
    total, count = np.bincount(person, sums), np.bincount(person, cells)
    rest = total - count * total.sum() / count.sum()
    return float(np.sqrt(len(total) / (len(total) - 1) * (rest**2).sum()) / count.sum())


def _mean_loss(probability: Array, truth: Array, known: Mask) -> float:
    return float(cell_losses(truth[known] == 1, probability[known])[1].mean()) if known.any() else float("nan")
