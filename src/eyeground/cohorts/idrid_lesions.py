"""Layout `idrid-lesions`: the Indian Diabetic Retinopathy Image Dataset, part "A. Segmentation" (Porwal et al., 2018).

Published as `1. Original Images/{a. Training Set, b. Testing Set}/IDRiD_01.jpg` and
`2. All Segmentation Groundtruths/{the same}/{1. Microaneurysms, 2. Haemorrhages, 3. Hard Exudates, 4. Soft Exudates,
5. Optic Disc}/IDRiD_01_MA.tif` (_HE, _EX, _SE, _OD): masks of one bit at the photograph's size, 4288 x 2848. A lesion type
without a mask file was not found in that photograph: absent; where the whole folder of a type is not there, it is unknown.
The optic disc is anatomy: `find_masks(cohort, ("OD",))` has it, the vocabulary does not.

The grading part numbers the same photographs differently and with three digits. Here a photograph is named by its part and
number, `lesions-train/IDRiD_01`. Neither patient nor side is told: each photograph counts as a patient of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eyeground.cohorts.finding import require_root
from eyeground.cohorts.masks import MaskFile, read_mask
from eyeground.cohorts.options import CohortOptions
from eyeground.errors import DataError, UsageError
from eyeground.records import Cohort, Eye, Flag, State, Visit
from eyeground.vocabulary import Label, Vocabulary

IMAGES, TRUTHS = "1. Original Images", "2. All Segmentation Groundtruths"
PARTS = {"train": "a. Training Set", "test": "b. Testing Set"}
FOLDERS = {
    "MA": "1. Microaneurysms",
    "HE": "2. Haemorrhages",
    "EX": "3. Hard Exudates",
    "SE": "4. Soft Exudates",
    "OD": "5. Optic Disc",
}
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
"""The four lesion types whose masks IDRiD has, in its order."""


def read(root: Path, options: CohortOptions) -> Cohort:
    """Reads the parts that are there; a photograph whose file is missing but that has masks is listed as missing.

    Raises:
        DataError: not this layout, a mask that can't be read, a photograph without any mask.
        UsageError: endpoints were asked for; lesions have no grades.
    """
    require_root(root)
    if options.endpoints:
        raise UsageError("layout idrid-lesions has no grades, so no --endpoints; its labels are the four lesion types")
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
    visits = tuple(visit for part, name in here.items() for visit in _part(folder, part, name))
    if not visits:
        raise DataError(f"no photographs and no masks below {folder}; download IDRiD's part A again")
    facts: dict[str, int | str] = {
        "photographs": len(visits),
        "laterality": "not told: every photograph is a visit of its own",
    }
    return Cohort("idrid-lesions", root, LESIONS, visits, tuple(flags), facts)


def masks(cohort: Cohort, codes: Sequence[str]) -> list[MaskFile]:
    """The masks of these codes that are not empty; OD is the optic disc. See `masks.find_masks`."""
    folder = _top(cohort.root)
    found = []
    for visit in cohort.visits:
        for eye in visit.listed():
            states = dict(zip(cohort.vocabulary.codes, eye.labels, strict=True))
            part, stem = Path(eye.file).parent.name, Path(eye.file).stem
            for code in codes:
                path = _mask(folder, part, stem, code)
                if states.get(code, 1) == 1 and path is not None and path.is_file():
                    found.append(MaskFile(visit.id, eye.side, code, path))
    return found


def _top(root: Path) -> Path:
    """The folder that holds the two numbered ones: the root, or `A. Segmentation` in it."""
    return root if (root / TRUTHS).is_dir() else root / "A. Segmentation"


def _mask(folder: Path, part: str, stem: str, code: str) -> Path | None:
    return folder / TRUTHS / part / FOLDERS[code] / f"{stem}_{code}.tif" if code in FOLDERS else None


def _part(folder: Path, part: str, name: str) -> list[Visit]:
    """The photographs of a part, those on disk and those that only have masks."""
    drawn = {
        path.stem.removesuffix(f"_{code}")
        for code, kind in FOLDERS.items()
        for path in (folder / TRUTHS / name / kind).glob(f"*_{code}.tif")
    }
    there = {path.stem for path in (folder / IMAGES / name).glob("*.jpg")}
    bare = sorted(there - drawn)
    if bare:
        raise DataError(
            f"{IMAGES}/{name}/{bare[0]}.jpg has no mask in '{TRUTHS}/{name}', not even of the optic disc "
            f"({len(bare)} such): what it shows is unknown; add its masks, or take it out"
        )
    return [_visit(folder, part, name, stem) for stem in sorted(drawn)]


def _visit(folder: Path, part: str, name: str, stem: str) -> Visit:
    file = f"{IMAGES}/{name}/{stem}.jpg"
    path = folder / file
    labels = tuple(_state(folder, name, stem, code) for code in LESIONS.codes)
    flags = () if path.is_file() else (Flag("missing_image", f"{file} has masks but is not there"),)
    eye = Eye("left", file, path if path.is_file() else None, labels, flags=flags, side_known=False)
    visit = f"lesions-{part}/{stem}"
    return Visit(visit, visit, (eye, None), labels, part=f"publishers' {part}")


def _state(folder: Path, name: str, stem: str, code: str) -> State:
    path = folder / TRUTHS / name / FOLDERS[code] / f"{stem}_{code}.tif"
    if path.is_file():
        return int(read_mask(path).any())
    return 0 if path.parent.is_dir() else None
