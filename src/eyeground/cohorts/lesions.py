"""Cohorts whose lesions are drawn: a mask file for each photograph and lesion type; shared by their layouts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eyeground.cohorts.masks import MaskFile, read_mask
from eyeground.cohorts.options import CohortOptions
from eyeground.errors import DataError, UsageError
from eyeground.records import Cohort, Eye, Flag, State, Visit
from eyeground.vocabulary import Label, Vocabulary

LESIONS = Vocabulary(
    "dr-lesions",
    "multilabel",
    (
        Label("MA", "Microaneurysms"),
        Label("HE", "Haemorrhages"),
        Label("EX", "Hard exudates"),
        Label("SE", "Soft exudates"),
    ),
)
"""The four lesion types of diabetic retinopathy whose masks are published, in IDRiD's order."""


@dataclass(frozen=True)
class Drawn:
    """One photograph: its visit's name, the file as listed, its path (None: not there), the publishers' part.

    `masks` has the file of each code, whether or not it is there.
    """

    name: str
    file: str
    path: Path | None
    part: str | None
    masks: Mapping[str, Path]


def lesion_cohort(
    layout: str, root: Path, drawn: Sequence[Drawn], flags: Sequence[Flag], options: CohortOptions, least: int = 1
) -> Cohort:
    """A cohort whose labels are the four lesion types: present where the mask is not empty.

    Args:
        drawn: photographs. Neither patient nor side is told: each is a patient and a visit of its own. A type without a
            mask file is absent; where not even the folder of the file is there, it is unknown.
        flags: of the cohort.
        least: the grey level from which a pixel of a mask belongs to it.

    Raises:
        DataError: no photographs, a mask that can't be read, a photograph without any mask.
        UsageError: endpoints were asked for; lesions have no grades.
    """
    if options.endpoints:
        raise UsageError(f"layout {layout} has no grades, so no --endpoints; its labels are the four lesion types")
    if not drawn:
        raise DataError(f"no photographs and no masks in {root}; is it the folder of layout {layout}?")
    bare = [one for one in drawn if not any(path.is_file() for path in one.masks.values())]
    if bare:
        raise DataError(
            f"{bare[0].file} of {root} has no mask of any type ({len(bare)} such photographs): what it shows is "
            "unknown; add its masks, or take it out"
        )
    visits = tuple(_visit(one, least) for one in drawn)
    facts: dict[str, int | str] = {
        "photographs": len(visits),
        "laterality": "not told: every photograph is a visit of its own",
    }
    return Cohort(layout, root, LESIONS, visits, tuple(flags), facts)


def masks_of(
    cohort: Cohort, codes: Sequence[str], place: Callable[[str, str], Path | None], least: int = 1
) -> list[MaskFile]:
    """The masks of these codes that are there and not empty; see `masks.find_masks`.

    Args:
        place: an eye's file as listed and a code to where its mask would be; None for a code without masks.
    """
    found = []
    for visit in cohort.visits:
        for eye in visit.listed():
            states = dict(zip(cohort.vocabulary.codes, eye.labels, strict=True))
            for code in codes:
                path = place(eye.file, code)
                if states.get(code, 1) == 1 and path is not None and path.is_file():
                    found.append(MaskFile(visit.id, eye.side, code, path, least))
    return found


def _visit(one: Drawn, least: int) -> Visit:
    labels = tuple(_state(one.masks[code], least) for code in LESIONS.codes)
    flags = () if one.path else (Flag("missing_image", f"{one.file} has masks but is not there"),)
    eye = Eye("left", one.file, one.path, labels, flags=flags, side_known=False)
    return Visit(one.name, one.name, (eye, None), labels, part=one.part)


def _state(path: Path, least: int) -> State:
    if path.is_file():
        return int(read_mask(path, least).any())
    return 0 if path.parent.is_dir() else None
