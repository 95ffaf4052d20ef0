"""Rows whose labels contradict each other: none at all where Normal is a label, or Normal together with a disease.

They are judged as they stand, since anyone's label sets may be judged; a warning names them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from eyeground.vocabulary import Vocabulary

WORDS = {
    "without_label": "without any label, not even Normal",
    "normal_with_disease": "called Normal together with a disease",
}
SHOWN = 5


def label_logic(ids: Sequence[str], truth: ArrayLike, known: ArrayLike, vocabulary: Vocabulary) -> dict[str, list[str]]:
    """Ids of the odd rows by kind (`WORDS`), in the order of the rows; a kind without rows is left out.

    Args:
        ids: n names of rows.
        truth: (n, C), 1 where present.
        known: (n, C) bool; a row with an unknown cell can't be without a label.

    Raises:
        ValueError: shapes differ.
    """
    present, mask = np.asarray(truth) == 1, np.asarray(known, bool)
    if not present.shape == mask.shape == (len(ids), len(vocabulary)):
        raise ValueError(f"truth {present.shape} and known {mask.shape} are not ({len(ids)}, {len(vocabulary)})")
    normal = np.array([label.visit == "all" for label in vocabulary.labels])
    if not normal.any():
        return {}
    present &= mask
    odd = {
        "without_label": mask.all(axis=1) & ~present.any(axis=1),
        "normal_with_disease": present[:, normal].any(axis=1) & present[:, ~normal].any(axis=1),
    }
    return {kind: [ids[row] for row in np.flatnonzero(rows).tolist()] for kind, rows in odd.items() if rows.any()}


def in_words(odd: dict[str, list[str]]) -> list[str]:
    """One sentence a kind, with the first few rows by name."""
    sentences = []
    for kind, names in odd.items():
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        rows = "row is" if len(names) == 1 else "rows are"
        sentences.append(f"{len(names)} {rows} {WORDS[kind]}, and judged so: {', '.join(names[:SHOWN])}{more}")
    return sentences
