"""`eyeground phantom`: a made cohort whose truth is known, in the ODIR challenge's layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eyeground.cli import console


@dataclass(frozen=True)
class PhantomFlags:
    """Makes fundus photographs of patients that do not exist, with exact masks of all that is in them."""

    out: Path
    """Folder to write; called again with the same flags it goes on where it stopped."""
    patients: int = 200
    """How many patients, two eyes each."""
    size: int = 512
    """Height and width of the photographs in pixels."""
    seed: int = 0
    """Chooses the cohort. Patient 17 of a seed is the same however many are made."""
    difficulty: float = 0.5
    """0 plain findings and a clean camera, 1 faint findings and a poor camera."""
    workers: int = 1
    """Processes that paint."""
    oct: bool = False
    """Also make an OCT B-scan through each fovea (oct/), and the paired layouts mmc-amd/ and tvhl/."""
    sheet: bool = False
    """Also write sheet.png: the first patients, and under each row the outlines of the truth; oct_sheet.png too."""


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    flags = console.parse(PhantomFlags, argv, "phantom")
    from eyeground.phantom.cohort import Spec, fill
    from eyeground.phantom.oct.sheet import oct_sheet
    from eyeground.phantom.sheet import contact_sheet

    spec = Spec(flags.size, flags.seed, flags.difficulty, oct=flags.oct)
    fill(flags.out, flags.patients, spec, flags.workers, console.track)
    console.note(f"{flags.patients} made patients in {flags.out}: read them with --layout odir --root {flags.out}")
    if flags.sheet:
        console.note(f"contact sheet: {contact_sheet(flags.out)}")
    if flags.sheet and flags.oct:
        console.note(f"B-scans: {oct_sheet(flags.out)}")
    return 0
