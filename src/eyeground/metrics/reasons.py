"""Why a number is undefined, in words."""

from __future__ import annotations

from collections.abc import Mapping

from eyeground.metrics.counts import Counts

INFINITE = "infinite: a probability of exactly 0 or 1 is wrong"
CALLS = {
    "micro_precision": "nothing is called",
    "micro_recall": "no known cell is positive",
    "micro_f1": "no known cell is positive and nothing is called",
}
NO_BOTH = "no label has both a positive and a negative"


def of_label(numbers: Mapping[str, float | None], counts: Counts) -> dict[str, str]:
    """For each of a label's numbers that is None, why."""
    missing = [key for key, value in numbers.items() if value is None]
    return {key: _of_label(key, counts) for key in missing}


def _of_label(key: str, counts: Counts) -> str:
    lacking = "no positive" if not counts.n_pos else "no negative"
    if not counts.n:
        return "no known row"
    return {
        "ppv": "nothing is called",
        "npv": "everything is called",
        "f1": "no positive and nothing is called",
        "kappa": "truth and calls are the same everywhere",
        "log_loss": INFINITE,
    }.get(key, lacking)


def of_all(numbers: Mapping[str, float | None], known: int, cells: int) -> dict[str, str]:
    """For each number over all labels that is None, why.

    Args:
        known: cells that are known. cells: all cells.
    """
    return {key: _of_all(key, known, cells) for key, value in numbers.items() if value is None}


def _of_all(key: str, known: int, cells: int) -> str:
    if not known:
        return "no known cell"
    if key in ("kappa", "f1", "auc", "final"):
        unknown = cells - known
        return (
            f"{unknown} of {cells} truth cells are unknown" if unknown else "the cells are all positive or all negative"
        )
    if key == "exact_match":
        return "no row has every label known"
    if key in CALLS:
        return CALLS[key]
    if key == "log_loss":
        return INFINITE
    if key == "macro_log_loss":
        return f"{NO_BOTH}, or one of them is {INFINITE}"
    if key.startswith(("macro_", "weighted_")):
        return NO_BOTH
    return "the known cells are all positive or all negative"
