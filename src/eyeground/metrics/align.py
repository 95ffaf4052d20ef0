"""Predictions laid beside the truth, patient by patient; whatever does not fit is refused by name."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eyeground.errors import DataError
from eyeground.metrics.predictions import Predictions


def align(
    truth_ids: Sequence[str], predictions: Predictions, reorder: bool = False, subset: bool = False
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Pairs predictions with the truth.

    Ids are compared as whole numbers where that is unambiguous in the truth (so '0007' is 7), else as text.

    Args:
        truth_ids: n patients.
        predictions: from `read_predictions`.
        reorder: match by id whatever the order; otherwise the order must be the truth's, as in the challenge.
        subset: allow patients of the truth without predictions.

    Returns:
        rows (m,) of the truth in ascending order, and their probabilities (m, C). m is n unless `subset`.

    Raises:
        DataError: extra, missing or repeated patients, or another order; names the first.
    """
    keys, found = plain_keys(truth_ids, predictions.ids)
    place = {key: row for row, key in enumerate(keys)}
    where = [f"{predictions.path}, row {number}" for number in predictions.rows]
    first: dict[str, str] = {}
    for key, row in zip(found, where, strict=True):
        if key in first:
            raise DataError(f"{row} repeats ID {key} of {first[key].rsplit(', ', 1)[1]}; keep one row a patient")
        first[key] = row
        if key not in place:
            raise DataError(f"{row}: the truth has no patient with ID {key}; remove the row or correct its ID")
    missing = [key for key in keys if key not in first]
    if missing and not (subset and found):
        raise DataError(
            f"{predictions.path} lacks {len(missing)} of the truth's {len(keys)} patients, first ID {missing[0]}; "
            "add them, or score only the patients it has with --subset"
        )
    rows = np.array([place[key] for key in found], dtype=np.intp)
    order = np.argsort(rows, kind="stable")
    if not reorder and not np.array_equal(order, np.arange(len(order))):
        at = int(np.flatnonzero(order != np.arange(len(order)))[0])
        raise DataError(
            f"{where[at]} is ID {found[at]} where the truth's order has ID {found[order[at]]}; "
            "sort the rows like the truth, or match them by ID with --reorder"
        )
    return rows[order], predictions.probability[order]


def plain_keys(truth_ids: Sequence[str], ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """Both lists in the form in which they are compared: whole numbers where that is unambiguous in the truth."""
    whole = [_whole(name) for name in truth_ids]
    if len(set(whole)) == len(whole):
        return whole, [_whole(name) for name in ids]
    return list(truth_ids), list(ids)


def _whole(name: str) -> str:
    """'0007' as '7'; what is no whole number stays as it is."""
    return (name.lstrip("0") or "0") if re.fullmatch(r"[0-9]+", name) else name
