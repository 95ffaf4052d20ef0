"""What a cohort holds, counted: the numbers that `eyeground cohort check` shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eyeground.errors import ImageError
from eyeground.images.decode import decode
from eyeground.leaks import Fingerprint
from eyeground.records import Cohort, Flag, State


@dataclass(frozen=True)
class FlagCount:
    """All flags of one code; `texts` names every instance."""

    code: str
    texts: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return {"count": len(self.texts), "texts": list(self.texts)}


def census(cohort: Cohort, more: Iterable[Flag] = ()) -> dict[str, Any]:
    """Counts a cohort.

    Args:
        cohort: as read.
        more: flags found since, such as unreadable images.

    Returns:
        JSON-able numbers: `patients`, `visits`, `eyes` (listed), `images_present`, `missing_images`, `missing_files`
        (their names), `visits_with_images`, `both_eyes`, `labels` (per visit and eye: present, sole label, unknown),
        `flags` (code to count and texts), and the reader's own facts.
    """
    eyes = [eye for visit in cohort.visits for eye in visit.listed()]
    missing = [eye.file for eye in eyes if any(flag.code == "missing_image" for flag in eye.flags)]
    codes = cohort.vocabulary.codes
    return {
        "layout": cohort.layout,
        "vocabulary": list(codes),
        "patients": len({visit.patient for visit in cohort.visits}),
        "visits": len(cohort),
        "eyes": len(eyes),
        "images_present": sum(eye.path is not None for eye in eyes),
        "missing_images": len(missing),
        "missing_files": missing,
        "visits_with_images": len(cohort.with_images()),
        "both_eyes": sum(all(visit.seen) for visit in cohort.visits),
        "rule_matches": cohort.facts.get("rule_matches"),
        "labels": {
            "visits": label_counts([visit.labels for visit in cohort.visits], codes),
            "eyes": label_counts([eye.labels for eye in eyes], codes),
        },
        "flags": {one.code: one.to_dict() for one in flag_counts(cohort, more)},
        "facts": dict(cohort.facts),
    }


def label_counts(rows: Sequence[tuple[State, ...]], codes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Per label: in how many rows it is present, present alone, and unknown."""
    counts = {}
    for index, code in enumerate(codes):
        present = [row for row in rows if row[index] == 1]
        counts[code] = {
            "present": len(present),
            "sole": sum(sum(state or 0 for state in row) == 1 for row in present),
            "unknown": sum(row[index] is None for row in rows),
        }
    return counts


def flag_counts(cohort: Cohort, more: Iterable[Flag] = ()) -> tuple[FlagCount, ...]:
    """Flags of the cohort, its visits and eyes by code, most frequent first."""
    texts: dict[str, list[str]] = {}
    for flag in [*all_flags(cohort), *more]:
        texts.setdefault(flag.code, []).append(flag.text)
    ordered = sorted(texts.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(FlagCount(code, tuple(found)) for code, found in ordered)


def all_flags(cohort: Cohort) -> list[Flag]:
    """Every flag, from the cohort down to the eyes."""
    flags = list(cohort.flags)
    for visit in cohort.visits:
        flags += visit.flags
        for eye in visit.listed():
            flags += eye.flags
    return flags


def unreadable_images(cohort: Cohort, prints: Sequence[Fingerprint]) -> list[Flag]:
    """One `unreadable_image` flag, with the reason, for each photograph whose fingerprint could not be taken.

    Args:
        cohort: where the photographs are.
        prints: their fingerprints; taking one reads the whole file and decodes it.
    """
    broken = {(one.visit, one.side) for one in prints if not one.signature}
    flags = []
    for visit in cohort.visits:
        for eye in visit.listed():
            if eye.path is not None and (visit.id, eye.side) in broken:
                flags.append(Flag("unreadable_image", f"{eye.file}: {_reason(eye.path)}"))
    return flags


def _reason(path: Path) -> str:
    try:
        decode(path)
    except ImageError as error:
        return str(error)
    return "it can't be decoded at reduced size"
