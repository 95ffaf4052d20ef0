"""What is drawn by chance for one B-scan, kept as plain records, and the scan's physical scale.

Scan coordinates: x in millimetres from the fovea, positive towards the nose; heights in micrometres above Bruch's
membrane. They are the same for both eyes; the left eye's scan is mirrored when it is done.
"""

from __future__ import annotations

from dataclasses import dataclass

WIDTH, HEIGHT = 768, 496
"""Columns (A-scans) and rows of a B-scan."""
UM_X, UM_Z = 11.5, 3.87
"""Micrometres per column and per row: 8.8 mm wide and 1.9 mm deep, the scale of a common 30 degree scan."""
FIELD_MM = 6.5
"""Millimetres on the retina in one field radius of the photograph: a disc of 1.8 mm, 4.5 mm from the fovea."""


@dataclass(frozen=True)
class Tissue:
    """One healthy retina: the scan's geometry, and ratios around 1 unless a unit is named.

    `fovea_mm`: the fovea's distance from the scan's middle, nasal; `tilt` in micrometres per millimetre, `bend` in
    micrometres per square millimetre (the edges rise); `choroid_um` its thickness under the fovea; `hyaloid_um`
    the detached posterior hyaloid's height over the retina, 0 where none is seen.
    """

    fovea_mm: float
    tilt: float
    bend: float
    depth: float
    thickness: float
    pit_width: float
    nerve_fibres: float
    choroid_um: float
    hyaloid_um: float
    seed: int


@dataclass(frozen=True)
class Exposure:
    """How the instrument saw it: `gain` of the signal, `floor` and `speckle` of the noise (0 to 1 of full scale),
    `blur` in pixels, `reach_um` the depth under Bruch's membrane at which the signal falls to 1/e."""

    gain: float
    floor: float
    speckle: float
    blur: float
    reach_um: float
    seed: int


@dataclass(frozen=True)
class Lesion:
    """One thing that only the B-scan shows. `x` and `half` (half width) in millimetres, `height` in micrometres.

    `level` places a cyst or focus between the upper (0) and lower (1) edge of its layer; `power` is the steepness
    of an elevation's sides; `content` its reflectivity from 0 (clear fluid) to 1.
    """

    kind: str
    x: float
    half: float
    height: float
    level: float = 0.0
    power: float = 2.0
    content: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class ScanTraits:
    """All that chance decided for one B-scan."""

    tissue: Tissue
    exposure: Exposure
    lesions: tuple[Lesion, ...]

    def of(self, *kinds: str) -> list[Lesion]:
        """The lesions of these kinds."""
        return [lesion for lesion in self.lesions if lesion.kind in kinds]
