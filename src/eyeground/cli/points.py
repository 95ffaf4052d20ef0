"""Operating points on the command line: `--points sensitivity=0.9 threshold=0.3 --prevalence 0.05`."""

from __future__ import annotations

from collections.abc import Sequence

from eyeground.errors import UsageError
from eyeground.metrics import details
from eyeground.metrics.operating import Point

POINTS = tuple(str(point) for point in details.POINTS)
"""What is told when nothing is asked for."""


def look_at(points: Sequence[str], prevalence: float | None, draws: int = 0) -> details.Look:
    """The points that the flags ask for.

    Raises:
        UsageError: a word that is no point, a prevalence outside [0, 1], or fewer draws than none.
    """
    if draws < 0:
        raise UsageError(f"--draws {draws}: give 0 (no intervals) or more")
    try:
        chosen = tuple(Point.parse(text) for text in points)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if prevalence is not None and not 0 <= prevalence <= 1:
        raise UsageError(f"--prevalence {prevalence} is no share of patients: it lies between 0 and 1")
    return details.Look(chosen, prevalence, draws=draws)
