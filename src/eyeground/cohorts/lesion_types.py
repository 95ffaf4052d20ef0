"""Lesion types of diabetic retinopathy: their names, and which of a model's labels explains them.

A model that was trained with image labels has no label "microaneurysm": its map for a label of which the lesion is a
sign is held against the lesion's mask (Quellec et al., Medical Image Analysis 39:178, 2017, use referable retinopathy).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from eyeground.errors import UsageError, nearest

RETINOPATHY = ("referable_dr", "any_dr", "severe_dr", "proliferative_dr", "D", "DR", "dr")
"""Labels of which every lesion below is a sign, the best first: endpoints, then ODIR's, then those of others."""


@dataclass(frozen=True)
class LesionType:
    """`explained_by` are a model's labels, the first that it has is taken; `also` name further labels worth a look."""

    name: str
    explained_by: tuple[str, ...] = RETINOPATHY
    also: tuple[str, ...] = ()


LESION_TYPES: dict[str, LesionType] = {
    "MA": LesionType("Microaneurysms"),
    "HE": LesionType("Haemorrhages"),
    "EX": LesionType("Hard exudates", also=("dme", "severe_dme")),
    "SE": LesionType("Soft exudates"),
}
"""Code to type; hard exudates near the macula are also what DME grades are made of (Porwal et al., Data 3:25, 2018)."""


def explaining_label(code: str, labels: Collection[str], asked: str | None = None) -> str:
    """Which of a model's labels explains a mask of this code.

    Args:
        code: a lesion type, or a label of the model itself, which explains itself.
        labels: the codes of the model's vocabulary.
        asked: a label that was asked for; it wins.

    Raises:
        UsageError: the model does not have the label asked for, or none that explains this code.
    """
    if asked is not None:
        if asked not in labels:
            raise UsageError(f"the model has no label '{asked}'{nearest(asked, labels)} (it has {', '.join(labels)})")
        return asked
    if code in labels:
        return code
    wanted = LESION_TYPES[code].explained_by if code in LESION_TYPES else ()
    for label in wanted:
        if label in labels:
            return label
    why = f"one of {', '.join(wanted)} is needed" if wanted else "it is no lesion type that is known"
    raise UsageError(f"none of the model's labels ({', '.join(labels)}) explains {code}: {why}")


def explaining_labels(code: str, labels: Collection[str]) -> tuple[str, ...]:
    """Every label that may explain this code, the preferred one first; empty when there is none."""
    kind = LESION_TYPES.get(code)
    wanted = (code, *(kind.explained_by + kind.also if kind else ()))
    return tuple(label for label in wanted if label in labels)
