"""What is asked of the faithfulness of maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from eyeground.errors import UsageError
from eyeground.explain.faithful.curves import Baseline
from eyeground.explain.faithful.road import PARTS
from eyeground.explain.faithful.sources import require_known

MAPS = ("evidence", "grad_cam", "hires_cam", "sensitivity", "hue")
"""Asked for by default, those that the method can have."""
Which = Literal["present_or_called", "present", "called", "all"]


@dataclass(frozen=True)
class Options:
    """What is measured, and how finely."""

    maps: tuple[str, ...] = ()
    """Kinds of maps; none is evidence grad_cam hires_cam sensitivity hue, as far as the method can have them."""
    labels: tuple[str, ...] = ()
    """Labels to explain; none is every label that is present in an eye on its own (not Normal)."""
    which: Which = "present_or_called"
    """Eyes that are explained for a label: where it is truly present, where the model calls it, either, or all."""
    visits: int = 12
    """Visits at most, drawn by --seed from those of the part in which one of the labels is truly present."""
    steps: int = 16
    """Steps of the deletion and insertion curves."""
    baseline: Baseline = "blurred"
    """What stands for removed pixels in deletion and insertion: the field's blur, its mean colour, or black."""
    score: Literal["logit", "probability"] = "logit"
    """Score in the table: what is left of the logit's full drop, or the probability. The file has both."""
    road_parts: tuple[float, ...] = PARTS
    """Parts of the field that ROAD removes."""
    random_weights: int = 2
    """Networks with random weights (seeds) for the randomisation check; 0 leaves it out."""
    depths: int = 5
    """Depths of the cascade from the head to the first layer; the last is the whole network."""
    random_visits: int = 6
    """Visits, the first of those chosen, that the randomisation check looks at."""
    draws: int = 2000
    """Resamples of patients for the intervals; 0 for none."""
    seed: int = 0
    """Of the draw of visits and of everything that is random."""

    def __post_init__(self) -> None:
        for name in ("visits", "steps", "depths", "random_visits"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name.replace('_', '-')} must be 1 or more, not {getattr(self, name)}")
        if min(self.random_weights, self.draws) < 0:
            raise UsageError("--random-weights and --draws must not be negative")
        if not self.road_parts or not all(0 < part <= 1 for part in self.road_parts):
            raise UsageError(f"--road-parts lie in (0, 1], one or more, not {' '.join(map(str, self.road_parts))}")
        require_known(self.maps)
