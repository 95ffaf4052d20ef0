"""Everything about counting lesions that one could dispute, as one record of named options with defaults."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from eyeground.errors import UsageError
from eyeground.metrics.froc import FPI, LIMIT
from eyeground.metrics.hits import Credit, Hit


@dataclass(frozen=True)
class Rules:
    """How candidates are made and counted. Lengths are parts of the field's diameter.

    Attributes:
        candidates: "peaks" (local maxima of the map's elements) or "components" (of the map above each threshold).
        hit: "inside": the candidate's point is in the lesion. "near": in it or within `tolerance`. "touch": the
            component shares a block with it. "iou": intersection over union of at least `iou`, in blocks. A component's
            point is its strongest block's centre; peaks have no extent and know "inside" and "near" only.
        tolerance: 0.01 is a third of the pointing game's 0.03, and about a fifteenth of an optic disc's diameter:
            a neighbouring lesion is seldom within it.
        radius: of non-maximum suppression; twice the tolerance, so that two peaks are rarely near one place.
        credit: whether a candidate finds "every" lesion that it hits, or of each type the "nearest".
        fpi_over: FPI over "all" photographs, or over the "lesion_free" ones alone: those without a lesion of any type
            where false means "any", without this type where it means "same_type".
        above: peaks at or below this value are no candidates; None keeps all.
        largest: a component that covers a larger part of the field points nowhere: it hits nothing and is false.
            1 switches this off, and a map that is the same everywhere then finds all lesions without a false positive.
        smallest_component: blocks; smaller ones are no candidates.
        smallest_lesion: pixels; smaller lesions are not asked for, and a candidate on one is not false.
        levels: thresholds of the sweep over components.
        fpi, limit: where sensitivities are read, and where the area ends.
    """

    candidates: Literal["peaks", "components"] = "peaks"
    hit: Hit = "near"
    tolerance: float = 0.01
    radius: float = 0.02
    iou: float = 0.1
    credit: Credit = "every"
    fpi_over: Literal["all", "lesion_free"] = "all"
    above: float | None = None
    largest: float = 0.05
    smallest_component: int = 1
    smallest_lesion: int = 1
    levels: int = 64
    fpi: tuple[float, ...] = FPI
    limit: float = LIMIT

    def __post_init__(self) -> None:
        """Raises `UsageError` for options that contradict each other or name nothing."""
        names = {
            "candidates": ("peaks", "components"),
            "hit": ("inside", "near", "touch", "iou"),
            "credit": ("every", "nearest"),
            "fpi_over": ("all", "lesion_free"),
        }
        for key, known in names.items():
            if getattr(self, key) not in known:
                raise UsageError(f"{key} is '{getattr(self, key)}': choose one of {', '.join(known)}")
        if self.candidates == "peaks" and self.hit in ("touch", "iou"):
            raise UsageError(f"hit '{self.hit}' needs an extent: choose candidates 'components', or hit 'near'")
        for key in ("tolerance", "radius", "iou", "largest"):
            if not 0 <= getattr(self, key) <= 1:
                raise UsageError(f"{key} is {getattr(self, key)}: it is a part, from 0 to 1")
        if not self.fpi or min(self.fpi) < 0 or not self.limit > 0 or self.levels < 2:
            raise UsageError("fpi must be given and not negative, limit above 0, levels at least 2")

    @property
    def extent(self) -> bool:
        """Whether the whole component decides, not its point."""
        return self.hit in ("touch", "iou")

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {**dataclasses.asdict(self), "fpi": list(self.fpi)}


QUELLEC = Rules(candidates="components", hit="touch", largest=1.0)
"""As read from Quellec et al. 2017 (recalled, not checked): components of the thresholded map that touch a lesion."""
