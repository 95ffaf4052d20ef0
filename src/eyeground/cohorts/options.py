"""How a cohort is read where its publishers left a choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class CohortOptions:
    """Choices in reading a cohort. The defaults reproduce the published labels of all 3,500 ODIR-5K patients."""

    unknown_keywords: Literal["error", "other", "ignore"] = "error"
    """a diagnostic phrase that the table does not have: refuse, count it as O, or let it decide nothing"""
    undecided: Literal["normal", "drop"] = "normal"
    """a visit with nothing decisive in either eye: Normal as the publishers did, or left out"""
    age_filler: Literal["missing", "keep"] = "missing"
    """ODIR's placeholder age 1: unknown, or taken at its word"""
    drop_preprocessed: bool = False
    """leave out the 16 ODIR photographs whose background was processed"""
    no_class_eye: Literal["mask", "keep", "drop_patient"] = "mask"
    """an eye photographed without its fundus: labels unknown, labels by its keywords, or the patient left out"""
    endpoints: tuple[str, ...] = ()
    """what graded cohorts are labelled with, such as referable_dr dme; none is every endpoint that their scales tell"""
    kaggle_labels: bool = False
    """use Kaggle's labels column, which keeps one class of several, as eye labels"""
