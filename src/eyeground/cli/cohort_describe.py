"""`eyeground cohort describe`: the data in pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from eyeground.cli.cohort_options import CohortSource
from eyeground.cli.console import note, out, parse


@dataclass(frozen=True)
class Describe:
    """Draws a cohort: ages, label counts, co-occurrence, one eye or both, which photographs are there."""

    source: Annotated[CohortSource, tyro.conf.OmitArgPrefixes]
    out: Path
    """Folder for index.html (open this one), the pictures and describe.json."""


def main(argv: Sequence[str]) -> int:
    """Reads the cohort, writes the folder and says where the page is."""
    flags = parse(Describe, argv, "cohort describe")
    cohort = flags.source.read()
    from eyeground.report.describe import describe  # matplotlib, only once the cohort is known to be readable

    numbers = describe(cohort, flags.out)
    images = numbers["images"]
    note(f"{numbers['n']} {numbers['unit']}, {images['present']} of {images['listed']} listed eyes have a photograph")
    out.print(str(flags.out / "index.html"), markup=False)
    return 0
