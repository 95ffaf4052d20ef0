"""Real photographs and made ones with the same labels, row under row, so that anyone can judge the realism.

`python -m benchmarks.phantom_beside --real FOLDER --out sheet.png [--seed N]` wants a folder that holds `odir5k` (and,
for two more rows of larger tiles, `idrid`), as published; without `--real` it takes `EYEGROUND_DATA`. The sheet shows
real eyes: it stays with you and is not for the repository.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.cohorts import read_cohort
from eyeground.errors import DataError, EyegroundError, UsageError
from eyeground.images.prepare import Preprocessing, prepare
from eyeground.phantom.draw import patient
from eyeground.phantom.render import render
from eyeground.phantom.traits import Difficulty, EyeTraits
from eyeground.records import Cohort
from eyeground.vocabulary import ODIR

Bytes = NDArray[np.uint8]
ROOT = Path(__file__).resolve().parents[1]
TILE, ACROSS = 256, 8
LARGE, FEW = 512, 4
PAINTED = 512
"""Side at which the made photographs are painted before they are reduced."""
SEARCH = 2000
"""Made patients looked through for eyes with one label alone."""


def real_folder(given: Path | None) -> Path:
    """The folder of real data: the one given, else `EYEGROUND_DATA`, else the one beside the project.

    Raises:
        DataError: it holds no `odir5k` folder.
    """
    folder = given or Path(os.environ.get("EYEGROUND_DATA", ROOT / "../shared/data"))
    if not (folder / "odir5k").is_dir():
        raise DataError(
            f"{folder} holds no odir5k folder, and without real photographs there is nothing to compare with: "
            "give --real FOLDER or set EYEGROUND_DATA"
        )
    return folder


def sheet(folder: Path, seed: int) -> Bytes:
    """The contact sheet: per ODIR label a row of real and a row of made eyes; then IDRiD's above made grades 2 to 4.

    Args:
        folder: real data, see `real_folder`.
        seed: chooses which real eyes and which made patients.

    Returns:
        uint8 (rows x 256, 2048, 3) RGB; the last two rows are 512 pixels high where there is IDRiD.

    Raises:
        DataError: the real data are not what they should be, or no eye has some label alone.
    """
    rng = np.random.default_rng(seed)
    cohort = read_cohort("odir", folder / "odir5k")
    rows = []
    for code in ODIR.codes:
        paths = _choose(rng, real_eyes(cohort, code), ACROSS)
        rows.append(_row([_real(path, TILE) for path in paths], f"real {code}"))
        rows.append(_row([_made(eye, TILE) for eye in made_eyes(seed, code, ACROSS)], f"made {code}"))
    photographs = sorted(folder.glob("idrid/*/*Original Images/**/*.jpg"))
    if photographs:
        rows.append(_row([_real(path, LARGE) for path in _choose(rng, photographs[:16], FEW)], "real IDRiD"))
        rows.append(_row([_made(eye, LARGE) for eye in made_eyes(seed + 1, "D", FEW, 2)], "made D, grade 2 to 4"))
    return np.vstack(rows)


def real_eyes(cohort: Cohort, code: str) -> list[Path]:
    """The photographs of ODIR-5K whose eye has this label and no other. Raises `DataError` when there is none."""
    wanted = tuple(int(other == code) for other in ODIR.codes)
    eyes = [eye for visit in cohort.visits for eye in visit.eyes if eye is not None and eye.path is not None]
    found = [eye.path for eye in eyes if eye.labels == wanted and eye.path is not None]
    if not found:
        raise DataError(
            f"odir5k has no photograph of an eye with the label {code} alone: is the image folder complete?"
        )
    return found


def made_eyes(seed: int, code: str, count: int, grade: int = 0) -> list[EyeTraits]:
    """The first made eyes of a seed, one a patient, that have this label alone and at least this ICDR grade."""
    found: list[EyeTraits] = []
    for number in range(1, SEARCH):
        eyes = patient(seed, number, Difficulty.at(0.5)).eyes
        found += [eye for eye in eyes if eye.labels == (code,) and eye.grade >= grade][:1]
        if len(found) == count:
            break
    return found


def _choose(rng: np.random.Generator, paths: list[Path], count: int) -> list[Path]:
    return [paths[i] for i in sorted(rng.permutation(len(paths))[:count])]


def _real(path: Path, size: int) -> Bytes:
    return prepare(path, Preprocessing(size=size)).view.pixels


def _made(eye: EyeTraits, size: int) -> Bytes:
    pixels = render(eye, PAINTED).pixels
    return np.asarray(cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def _row(tiles: list[Bytes], words: str) -> Bytes:
    row = np.zeros((tiles[0].shape[0], TILE * ACROSS, 3), np.uint8)
    joined = np.hstack(tiles)
    row[:, : joined.shape[1]] = joined
    cv2.putText(row, words, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
    return row


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.phantom_beside", description=__doc__)
    parser.add_argument("--real", type=Path, help="folder that holds odir5k (and idrid); EYEGROUND_DATA by default")
    parser.add_argument("--out", type=Path, required=True, help="the PNG to write, outside the repository")
    parser.add_argument("--seed", type=int, default=0, help="chooses the eyes")
    arguments = parser.parse_args(argv)
    try:
        folder = real_folder(arguments.real)
        if arguments.seed < 0:
            raise UsageError(f"seed can't be {arguments.seed}: it takes a number from 0")
        if arguments.out.suffix != ".png" or not arguments.out.resolve().parent.is_dir():
            raise UsageError(f"can't write {arguments.out}: give a name that ends in .png in a folder that exists")
        if arguments.out.resolve().is_relative_to(ROOT):
            raise UsageError(f"{arguments.out} lies in the repository, where no real eyes go: write it somewhere else")
        picture = cv2.cvtColor(sheet(folder, arguments.seed), cv2.COLOR_RGB2BGR)
    except EyegroundError as error:
        print(f"phantom_beside: {error}", file=sys.stderr)
        return error.exit_code
    cv2.imwrite(str(arguments.out), picture)
    print(f"{arguments.out}: real rows from {folder}, made ones of seed {arguments.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
