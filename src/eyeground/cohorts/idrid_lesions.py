"""Layout `idrid-lesions`: the Indian Diabetic Retinopathy Image Dataset, part "A. Segmentation" (Porwal et al., 2018).

Published as `1. Original Images/{a. Training Set, b. Testing Set}/IDRiD_01.jpg` and
`2. All Segmentation Groundtruths/{the same}/{1. Microaneurysms, 2. Haemorrhages, 3. Hard Exudates, 4. Soft Exudates,
5. Optic Disc}/IDRiD_01_MA.tif` (_HE, _EX, _SE, _OD): masks of one bit at the photograph's size, 4288 x 2848. A lesion
type without a mask file was not found in that photograph: absent; where the whole folder of a type is not there, it is
unknown. The optic disc is anatomy: `find_masks(cohort, ("OD",))` has it, the vocabulary does not.

The grading part numbers the same photographs differently and with three digits. Here a photograph is named by its part
and number, `lesions-train/IDRiD_01`. Neither patient nor side is told: each photograph counts as a patient of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eyeground.cohorts.finding import require_root
from eyeground.cohorts.lesions import Drawn, lesion_cohort, masks_of
from eyeground.cohorts.masks import MaskFile
from eyeground.cohorts.options import CohortOptions
from eyeground.errors import DataError
from eyeground.records import Cohort, Flag

IMAGES, TRUTHS = "1. Original Images", "2. All Segmentation Groundtruths"
PARTS = {"train": "a. Training Set", "test": "b. Testing Set"}
FOLDERS = {
    "MA": "1. Microaneurysms",
    "HE": "2. Haemorrhages",
    "EX": "3. Hard Exudates",
    "SE": "4. Soft Exudates",
    "OD": "5. Optic Disc",
}


def read(root: Path, options: CohortOptions) -> Cohort:
    """Reads the parts that are there; a photograph whose file is missing but that has masks is listed as missing.

    Raises:
        DataError: not this layout, a mask that can't be read, a photograph without any mask.
        UsageError: endpoints were asked for; lesions have no grades.
    """
    require_root(root)
    folder = _top(root)
    here = {part: name for part, name in PARTS.items() if (folder / TRUTHS / name).is_dir()}
    if not here:
        raise DataError(f"no '{TRUTHS}/{PARTS['train']}' in {root}; --root is IDRiD's folder 'A. Segmentation'")
    absent = [part for part in PARTS if part not in here]
    flags = [Flag("part_absent", f"no masks '{TRUTHS}/{PARTS[part]}': the {part} set is left out") for part in absent]
    flags += [
        Flag("masks_absent", f"no folder '{TRUTHS}/{name}/{FOLDERS[code]}': {code} is unknown in the {part} set")
        for part, name in here.items()
        for code in FOLDERS
        if not (folder / TRUTHS / name / FOLDERS[code]).is_dir()
    ]
    drawn = [one for part, name in here.items() for one in _part(folder, part, name)]
    return lesion_cohort("idrid-lesions", root, drawn, flags, options)


def masks(cohort: Cohort, codes: Sequence[str]) -> list[MaskFile]:
    """The masks of these codes that are not empty; OD is the optic disc. See `masks.find_masks`."""
    folder = _top(cohort.root)
    return masks_of(cohort, codes, lambda file, code: _mask(folder, Path(file).parent.name, Path(file).stem, code))


def _top(root: Path) -> Path:
    """The folder that holds the two numbered ones: the root, or `A. Segmentation` in it."""
    return root if (root / TRUTHS).is_dir() else root / "A. Segmentation"


def _mask(folder: Path, part: str, stem: str, code: str) -> Path | None:
    return folder / TRUTHS / part / FOLDERS[code] / f"{stem}_{code}.tif" if code in FOLDERS else None


def _part(folder: Path, part: str, name: str) -> list[Drawn]:
    """The photographs of a part: those on disk, and those that only have masks."""
    stems = {path.stem for path in (folder / IMAGES / name).glob("*.jpg")}
    for code, kind in FOLDERS.items():
        stems |= {path.stem.removesuffix(f"_{code}") for path in (folder / TRUTHS / name / kind).glob(f"*_{code}.tif")}
    found = []
    for stem in sorted(stems):
        file = f"{IMAGES}/{name}/{stem}.jpg"
        path = folder / file
        files = {code: mask for code in FOLDERS if (mask := _mask(folder, name, stem, code))}
        found.append(
            Drawn(f"lesions-{part}/{stem}", file, path if path.is_file() else None, f"publishers' {part}", files)
        )
    return found
