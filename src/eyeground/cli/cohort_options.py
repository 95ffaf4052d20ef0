"""The flags that name a cohort and say how to read it, shared by every command that takes one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from eyeground.cohorts import CohortOptions, read_cohort
from eyeground.records import Cohort


@dataclass(frozen=True)
class CohortSource:
    """Which cohort, and how to read it."""

    layout: str
    """How the files are laid out: folder, odir, idrid, eyepacs and others; `eyeground list` describes them."""
    root: Path
    """The cohort's folder."""
    options: Annotated[CohortOptions, tyro.conf.arg(name="")] = field(default_factory=CohortOptions)

    def read(self) -> Cohort:
        """Reads the cohort. Raises `UsageError` for an unknown layout, `DataError` for bad files."""
        return read_cohort(self.layout, self.root, self.options)
