"""Where the scan line crosses what is drawn on the fundus, so that photograph and B-scan of an eye agree.

The fundus painters themselves mark their findings on a small picture of the macula whose scale does not depend on
the photograph; the scan line is its row through the fovea.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from eyeground.phantom import render
from eyeground.phantom.canvas import Bytes, Canvas, Floats, Frame
from eyeground.phantom.oct.traits import FIELD_MM
from eyeground.phantom.traits import Anatomy, EyeTraits, Finding

_SIDE = 384
_HALF_MM = 4.9
_UM = 2000 * _HALF_MM / _SIDE
_BEAM_UM = 60.0
CROSSED = (
    *("drusen", "geographic_atrophy", "patchy_atrophy", "chorioretinal_atrophy", "laser_scar", "membrane"),
    *("subretinal_haemorrhage", "pigment_detachment", "polyp", "hard_exudate", "exudate_star", "haemorrhage"),
    *("epiretinal_membrane", "preretinal_haemorrhage"),
)
"""Kinds of finding that a B-scan shows where it crosses them."""
_LEAKED = ("hard_exudate", "exudate_star")


@dataclass(frozen=True)
class Section:
    """How far inside the findings the scan line runs: `inside` by kind, in micrometres from the outline, (n,) at `x`.

    `x` (n,) in millimetres. A kind that the line does not cross is not there.
    """

    x: Floats
    inside: dict[str, Floats]

    def along(self, x: Floats, *kinds: str) -> Floats:
        """The distance inside any of these kinds (micrometres, 0 outside) at other places x (m,)."""
        total = np.zeros(len(x), np.float32)
        for kind in kinds:
            if kind in self.inside:
                total = np.maximum(total, np.interp(x, self.x, self.inside[kind]).astype(np.float32))
        return total

    def runs(self, *kinds: str) -> list[tuple[float, float]]:
        """Where the line is inside these kinds: start and end in millimetres, from temporal to nasal."""
        inside = np.concatenate(([0], (self.along(self.x, *kinds) > 0).astype(np.int8), [0]))
        starts, ends = np.flatnonzero(np.diff(inside) > 0), np.flatnonzero(np.diff(inside) < 0)
        half = _UM / 2000
        return [(float(self.x[a]) - half, float(self.x[b - 1]) + half) for a, b in zip(starts, ends, strict=True)]


def cross(eye: EyeTraits) -> Section:
    """Cuts the eye's findings along the horizontal through the fovea; a beam's width counts as on the line."""
    masks = _painted(finding for finding in eye.findings if finding.kind in CROSSED and not _leaked(finding))
    for kind, mask in _leaks(eye).items():
        masks[kind] = np.maximum(masks[kind], mask) if kind in masks else mask
    middle = _SIDE // 2
    reach = max(1, round(_BEAM_UM / _UM))
    inside = {}
    for kind in CROSSED:
        if kind in masks:
            rows = slice(middle - reach, middle + reach)
            if kind == "drusen" and not masks[kind][rows].any():
                rows = _nearest(masks[kind], middle, reach)
            depth = cv2.distanceTransform(masks[kind], cv2.DIST_L2, 3)[rows].max(axis=0)
            if depth.any():
                inside[kind] = np.asarray(depth * _UM, np.float32)
    x = (np.arange(_SIDE) - (_SIDE - 1) / 2) * (_UM / 1000)
    return Section(x.astype(np.float32), inside)


def macular_oedema(eye: EyeTraits) -> bool:
    """Whether diabetic hard exudates lie within one disc diameter of the fovea: IDRiD's macular oedema of risk 2.

    Porwal et al., Medical Image Analysis 59, 2020: risk 2 is hard exudates within that distance.
    """
    masks = _leaks(eye)
    steps = np.arange(_SIDE) - (_SIDE - 1) / 2
    distance = np.hypot(steps[:, None], steps[None, :]) * (_UM / 1000)
    near = distance <= 2 * eye.anatomy.disc_radius * FIELD_MM
    return any(bool((mask[near] > 0).any()) for kind, mask in masks.items() if kind in _LEAKED)


def _leaked(finding: Finding) -> bool:
    return finding.kind in _LEAKED and finding.label == "D"


@lru_cache(maxsize=1)
def _leaks(eye: EyeTraits) -> dict[str, Bytes]:
    """The masks of an eye's diabetic exudates, painted once for truth and scan; not to be written to."""
    return _painted(finding for finding in eye.findings if _leaked(finding))


def vessels_crossed(anatomy: Anatomy) -> list[tuple[float, float, bool]]:
    """Where retinal vessels cross the scan line: x and chord in millimetres, and whether it is an artery."""
    found = []
    for vessel in render.grown(anatomy):
        y = vessel.points[:, 1]
        for i in np.flatnonzero(y[:-1] * y[1:] < 0):
            (x0, y0), (x1, y1) = vessel.points[i], vessel.points[i + 1]
            x = x0 + (x1 - x0) * y0 / (y0 - y1)
            slant = max(abs(y1 - y0) / math.hypot(x1 - x0, y1 - y0), 0.35)
            found.append((float(x) * FIELD_MM, float(vessel.widths[i]) * FIELD_MM / slant, vessel.kind == "artery"))
    return sorted(found)


def _painted(findings: Iterable[Finding]) -> dict[str, Bytes]:
    """The masks of these findings on a picture of the macula with +x to the nose, fovea in the middle."""
    found = list(findings)
    if not found:
        return {}
    middle = ((_SIDE - 1) / 2,) * 2
    frame = Frame(_SIDE, middle, _SIDE / 2 / _HALF_MM * FIELD_MM, (0.0, 0.0), 0.0, 1)
    canvas = Canvas.blank(frame)
    for finding in found:
        (render.BELOW.get(finding.kind) or render.ABOVE[finding.kind])(canvas, finding)
    return canvas.masks


def _nearest(mask: Bytes, middle: int, reach: int) -> slice:
    """The rows of a beam moved to the marked row nearest to the scan line."""
    marked = np.flatnonzero(mask.any(axis=1))
    row = int(marked[np.abs(marked - middle).argmin()]) if len(marked) else middle
    return slice(max(0, row - reach), row + reach)
