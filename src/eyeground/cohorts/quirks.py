"""What the publishers of ODIR-5K say about single photographs, and what the workbook shows.

Source: "Special Explanation on ODIR-5K Database and Annotations" (ODIR-2019 challenge).
"""

from __future__ import annotations

PREPROCESSED = frozenset(
    {
        *("2174_right", "2175_left", "2176_left", "2177_left", "2177_right", "2178_right", "2179_left", "2179_right"),
        *("2180_left", "2180_right", "2181_left", "2181_right", "2182_left", "2182_right", "2957_left", "2957_right"),
    }
)
"""Photographs whose background was processed; their use is optional."""

ROTATED_COPIES = frozenset({"4580_left"})
"""The fellow eye's photograph, turned."""

AGE_FILLER = 1
"""Sixteen patients of the workbook have this age, which fits nobody in the cohort (the next age is 14)."""
