"""The flags that say which visits a bundle is judged on, shared by every command that does so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from eyeground.records import Cohort
from eyeground.runs.unseen import Asked
from eyeground.splits import Split


@dataclass(frozen=True)
class JudgedOn:
    """Which visits of a cohort."""

    split: Path | None = None
    """A split; default with --part: the bundle's own. Without both, every visit with an image."""
    part: Literal["train", "val", "test", "all"] | None = None
    """Which part of the split; default test when a split is given."""
    other_cohort: bool = False
    """Patient ids have nothing to do with those of the training data; photographs are still compared."""
    allow_leaky: bool = False
    """Go on where the split is of a leaky protocol; every number is stamped."""

    def of(self, cohort: Cohort) -> Asked:
        """What is asked of this cohort. Raises `DataError` for a split that can't be read."""
        split = Split.load(self.split) if self.split else None
        return Asked(cohort, split, self.part, self.other_cohort, self.allow_leaky)
