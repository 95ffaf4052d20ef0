"""ODIR's diagnostic keywords and what they mean for an eye and for a visit.

The table `odir_keywords.csv` names each of the 102 phrases of the training workbook with its class; phrases are
looked up whole, since substrings mislead ("proliferative retinopathy" is inside "non proliferative retinopathy").
Rules: the challenge's "Special Explanation on ODIR-5K Database and Annotations".
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import Literal

from eyeground.errors import DataError, nearest
from eyeground.records import State
from eyeground.vocabulary import ODIR

Unknown = Literal["error", "other", "ignore"]
IGNORED = "ignored"
UNKNOWN: tuple[State, ...] = (None,) * len(ODIR)
UNKNOWN_REMEDY = "correct the spelling, or say --unknown-keywords other (count as O) or ignore"
NOT_A_FUNDUS = ("anterior segment image", "no fundus image")
"""Photographs that show no fundus: they belong to no class, the fellow eye decides."""


@cache
def table() -> dict[str, str]:
    """Phrase to class code (`N D G C A H M O`) or `ignored`, in the file's order."""
    text = resources.files(__package__).joinpath("odir_keywords.csv").read_text(encoding="utf-8")
    return {row["phrase"]: row["class"] for row in csv.DictReader(text.splitlines())}


def split_keywords(text: str) -> tuple[str, ...]:
    """Phrases of one eye: parted by the full-width or the ASCII comma, stripped, runs of spaces made one."""
    phrases = (" ".join(part.split()) for part in re.split("[，,]", text))
    return tuple(phrase for phrase in phrases if phrase)


def unknown_phrases(keywords: Iterable[str]) -> tuple[str, ...]:
    """The phrases that the table does not have, in order; capitals don't matter."""
    return tuple(phrase for phrase in keywords if phrase.lower() not in table())


def eye_classes(keywords: Sequence[str], unknown: Unknown = "error") -> frozenset[str]:
    """Class codes that an eye's keywords decide; empty when nothing is decisive. N only when nothing else is there.

    Raises:
        DataError: a phrase is not in the table and `unknown` is "error".
    """
    strange = unknown_phrases(keywords)
    if strange and unknown == "error":
        raise DataError(f"unknown keyword '{strange[0]}'{nearest(strange[0], table())}; {UNKNOWN_REMEDY}")
    classes = {table()[phrase.lower()] for phrase in keywords if phrase not in strange} - {IGNORED}
    if strange and unknown == "other":
        classes.add("O")
    return frozenset(classes - {"N"} or classes)


def eye_labels(keywords: Sequence[str], unknown: Unknown = "error") -> tuple[State, ...]:
    """Labels of one eye in the order of `vocabulary.ODIR`; all unknown when no keyword is decisive.

    Raises:
        DataError: a phrase is not in the table and `unknown` is "error".
    """
    classes = eye_classes(keywords, unknown)
    return as_states(classes) if classes else UNKNOWN


def visit_labels(
    eyes: Iterable[frozenset[str]], undecided: Literal["normal", "drop"] = "normal"
) -> tuple[State, ...] | None:
    """Labels of a visit: the union of its eyes' classes, N only when nothing else is present.

    Args:
        eyes: classes of each listed eye, as from `eye_classes`.
        undecided: nothing decisive in either eye is N ("normal", the publishers' rule) or no label ("drop").

    Returns:
        Label states in the order of `vocabulary.ODIR`; None for an undecided visit under "drop".
    """
    union = frozenset[str]().union(*eyes)
    classes = union - {"N"} or union
    if classes:
        return as_states(classes)
    return as_states({"N"}) if undecided == "normal" else None


def as_states(classes: Iterable[str]) -> tuple[State, ...]:
    """1 for each class that is named, 0 for the others."""
    present = set(classes)
    return tuple(int(code in present) for code in ODIR.codes)


def class_names(states: Sequence[State]) -> str:
    """Codes of the labels that are present, such as `D+O`; `none` when there are none."""
    return "+".join(code for code, state in zip(ODIR.codes, states, strict=True) if state) or "none"
