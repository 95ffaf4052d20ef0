"""Contours of evidence maps at stated levels, as lines over the picture.

The levels are parts of the absolute scale, so the same line means the same evidence in every label, eye and patient; a
map that reaches none of them has none.
"""

from __future__ import annotations

import numpy as np
from contourpy import LineType, contour_generator
from numpy.typing import NDArray

from eyeground.explain.paint import smooth

PARTS = (0.25, 0.5, 0.75)
"""The levels as parts of the scale."""
DASHES = ("1 3.5", "6 3.5", "")
"""Dash pattern of each level's line: dotted, dashed, drawn through."""
_DRAWN = 48


def levels(scale: float) -> tuple[float, ...]:
    """The contours' levels for a scale, at two significant digits so that the lines are where the legend says."""
    return tuple(float(f"{part * scale:.2g}") for part in PARTS)


def contour(
    values: NDArray[np.floating], level: float, shift: tuple[float, float] = (0.0, 0.0)
) -> list[NDArray[np.float64]]:
    """Where a map passes a level.

    Args:
        values: map (h, w) over the picture; not finite counts as the lowest value.
        level: in the map's unit.
        shift: (dx, dy) in cells, as in `paint.smooth`.

    Returns:
        lines (n, 2), (x, y) in parts of the picture's sides; closed unless they leave the picture.
    """
    finite = np.isfinite(values)
    if not finite.any() or values[finite].max() <= level:
        return []
    filled = np.where(finite, values, values[finite].min())
    placed = smooth(filled, _DRAWN, _DRAWN, shift)
    if placed.max() <= level or placed.min() >= level:
        return []
    at = (np.arange(_DRAWN) + 0.5) / _DRAWN
    lines = contour_generator(at, at, placed, line_type=LineType.Separate).lines(level)
    return [np.asarray(line, np.float64) for line in lines if len(line) > 1]


def svg(values: NDArray[np.floating], scale: float, shift: tuple[float, float], ident: str) -> str:
    """All contours of a map as an inline SVG of class `lines <ident>` over the picture; empty without any."""
    drawn = []
    for level, dashes in zip(levels(scale), DASHES, strict=True):
        path = "".join(_path(line) for line in contour(values, level, shift))
        if path:
            dash = f' stroke-dasharray="{dashes}"' if dashes else ""
            drawn.append(f'<path class="under" d="{path}"/><path class="line" d="{path}"{dash}/>')
    if not drawn:
        return ""
    return f'<svg class="lines {ident}" viewBox="0 0 400 400" aria-hidden="true">{"".join(drawn)}</svg>'


def _path(line: NDArray[np.float64]) -> str:
    """The line in whole units of the picture's 400, every second point, each from the one before."""
    kept = np.vstack([line[:-1:2], line[-1:]])
    points = np.rint(400 * kept).astype(int)
    steps = np.diff(points, axis=0)
    (x, y), steps = points[0], steps[steps.any(axis=1)]
    return f"M{x} {y}l" + " ".join(f"{dx} {dy}" for dx, dy in steps) if len(steps) else ""
