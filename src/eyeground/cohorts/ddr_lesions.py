"""Layout `ddr-lesions`: the lesion segmentation part of DDR (Li et al., Information Sciences 501:511, 2019).

Published as `lesion_segmentation/{train,valid,test}/image/007-1774-100.jpg` with masks
`label/{MA,HE,EX,SE}/007-1774-100.tif`; the folder of the valid part's masks is `segmentation label` (also read as
`label`, as many rename it). Every photograph has a mask of each type, empty where the type was not found. Layout as
read in public code of several hands. Neither patient nor side is told: each photograph counts as a patient of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eyeground.cohorts.finding import require_root
from eyeground.cohorts.lesions import LESIONS, Drawn, lesion_cohort, masks_of
from eyeground.cohorts.masks import MaskFile
from eyeground.cohorts.options import CohortOptions
from eyeground.errors import DataError
from eyeground.records import Cohort, Flag

FOLDER = "lesion_segmentation"
PARTS = ("train", "valid", "test")
LABELS = ("label", "segmentation label")


def read(root: Path, options: CohortOptions) -> Cohort:
    """Reads the parts that are there; a photograph whose file is missing but that has masks is listed as missing.

    Raises:
        DataError: not this layout, a mask that can't be read, a photograph without any mask.
        UsageError: endpoints were asked for; lesions have no grades.
    """
    require_root(root)
    folder = _top(root)
    here = [part for part in PARTS if (folder / part).is_dir()]
    if not here:
        raise DataError(f"no '{FOLDER}/train' in {root}; --root is the folder that holds '{FOLDER}'")
    flags = [
        Flag("part_absent", f"no folder '{FOLDER}/{part}': the {part} set is left out")
        for part in PARTS
        if part not in here
    ]
    flags += [
        Flag("masks_absent", f"no masks of {code} in '{FOLDER}/{part}': {code} is unknown in the {part} set")
        for part in here
        for code in LESIONS.codes
        if not (_labels(folder, part) / code).is_dir()
    ]
    return lesion_cohort("ddr-lesions", root, [one for part in here for one in _part(folder, part)], flags, options)


def masks(cohort: Cohort, codes: Sequence[str]) -> list[MaskFile]:
    """The masks of these codes that are not empty. See `masks.find_masks`."""
    folder = _top(cohort.root)

    def place(file: str, code: str) -> Path:
        return _labels(folder, Path(file).parts[0]) / code / f"{Path(file).stem}.tif"

    return masks_of(cohort, codes, place)


def _top(root: Path) -> Path:
    folders = (root / FOLDER, root / "DDR-dataset" / FOLDER)
    return next((folder for folder in folders if folder.is_dir()), root)


def _labels(folder: Path, part: str) -> Path:
    """The folder of a part's masks: the one of its names that holds folders of lesion types."""
    named = [folder / part / name for name in LABELS]
    return next((one for one in named if any((one / code).is_dir() for code in LESIONS.codes)), named[0])


def _part(folder: Path, part: str) -> list[Drawn]:
    labels = _labels(folder, part)
    stems = {path.stem for path in (folder / part / "image").glob("*.jpg")}
    for code in LESIONS.codes:
        stems |= {path.stem for path in (labels / code).glob("*.tif")}
    found = []
    for stem in sorted(stems):
        path = folder / part / "image" / f"{stem}.jpg"
        files = {code: labels / code / f"{stem}.tif" for code in LESIONS.codes}
        there = path if path.is_file() else None
        found.append(Drawn(f"lesions-{part}/{stem}", f"{part}/image/{stem}.jpg", there, f"publishers' {part}", files))
    return found
