"""Layout `diaretdb1`: DIARETDB1, version 1.1 (Kauppi et al., BMVC 2007), 89 photographs with the marks of four experts.

Published as `resources/images/ddb1_fundusimages/image001.png`, ground truth `resources/images/ddb1_groundtruth/
{redsmalldots, hemorrhages, hardexudates, softexudates}/image001.png`, and the parts in
`resources/traindatasets/trainset.txt` and `resources/testdatasets/testset.txt`. A ground truth is the experts' summed
confidence as grey levels up to 252. Where it is at least 0.75 of that, they agree: the publishers' own rule
(`evaldiaretdb1.m`: `gtruthim/252 >= 0.75`), so a pixel belongs to a lesion from grey level 189.

Version 2.1 has the experts' regions as XML (`groundtruth/diaretdb1_image001_01.xml`) and no such maps; how its three
words of confidence become numbers is not published with it, so it is not read. Neither patient nor side is told: each
photograph counts as a patient of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eyeground.cohorts.finding import files_in, require_root, text_lines
from eyeground.cohorts.lesions import Drawn, lesion_cohort, masks_of
from eyeground.cohorts.masks import MaskFile
from eyeground.cohorts.options import CohortOptions
from eyeground.errors import DataError
from eyeground.records import Cohort, Flag

IMAGES, TRUTHS = "images/ddb1_fundusimages", "images/ddb1_groundtruth"
FOLDERS = {"MA": "redsmalldots", "HE": "hemorrhages", "EX": "hardexudates", "SE": "softexudates"}
PARTS = {"train": "traindatasets/trainset.txt", "test": "testdatasets/testset.txt"}
AGREED = 189
"""0.75 of 252."""


def read(root: Path, options: CohortOptions) -> Cohort:
    """Reads all photographs that are there, have a ground truth or are in a part's list.

    Raises:
        DataError: not this layout or its version 2.1, a ground truth that can't be read, a photograph without one, a
            photograph in both parts.
        UsageError: endpoints were asked for; lesions have no grades.
    """
    require_root(root)
    folder = _top(root)
    if not (folder / TRUTHS).is_dir():
        if any(path.suffix == ".xml" for path in files_in(root / "groundtruth").values()):
            raise DataError(f"{root} is DIARETDB1 version 2.1; version 1.1 is read, with 'resources/{TRUTHS}'")
        raise DataError(f"no 'resources/{TRUTHS}' in {root}; --root is the folder of DIARETDB1 version 1.1")
    parts = _parts(folder)
    stems = {
        Path(name).stem
        for kind in (IMAGES, *(f"{TRUTHS}/{one}" for one in FOLDERS.values()))
        for name in files_in(folder / kind)
        if name.endswith(".png")
    } | set(parts)
    flags = [
        Flag("masks_absent", f"no folder '{TRUTHS}/{kind}': {code} is unknown")
        for code, kind in FOLDERS.items()
        if not (folder / TRUTHS / kind).is_dir()
    ]
    drawn = [_drawn(folder, stem, parts.get(stem)) for stem in sorted(stems)]
    return lesion_cohort("diaretdb1", root, drawn, flags, options, AGREED)


def masks(cohort: Cohort, codes: Sequence[str]) -> list[MaskFile]:
    """Where the experts agree, by lesion type, if anywhere. See `masks.find_masks`."""
    folder = _top(cohort.root)

    def place(file: str, code: str) -> Path | None:
        return folder / TRUTHS / FOLDERS[code] / Path(file).name if code in FOLDERS else None

    return masks_of(cohort, codes, place, AGREED)


def _top(root: Path) -> Path:
    """The folder `resources`: in the root, in the download's top folder, or the root itself."""
    folders = (root / "resources", root / "diaretdb1_v_1_1" / "resources")
    return next((folder for folder in folders if folder.is_dir()), root)


def _parts(folder: Path) -> dict[str, str]:
    """Photograph to the publishers' part, by their lists; empty where these are not there."""
    found: dict[str, str] = {}
    for part, name in PARTS.items():
        path = folder / name
        for line in text_lines(path) if path.is_file() else []:
            stem = Path(line.strip()).stem
            if stem and found.setdefault(stem, part) != part:
                raise DataError(f"{stem} is in {PARTS['train']} and in {name}; keep one")
    return found


def _drawn(folder: Path, stem: str, part: str | None) -> Drawn:
    file = f"{IMAGES}/{stem}.png"
    path = folder / file
    files = {code: folder / TRUTHS / kind / f"{stem}.png" for code, kind in FOLDERS.items()}
    there = path if path.is_file() else None
    return Drawn(f"diaretdb1/{stem}", file, there, f"publishers' {part}" if part else None, files)
