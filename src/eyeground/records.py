"""What a cohort holds: visits of patients, each with a left and a right eye. Paths, not pixels."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eyeground.vocabulary import Vocabulary

Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")
"""Eye order everywhere: index 0 is the left eye (OS), index 1 the right eye (OD)."""

State = int | None
"""A label is present (1), absent (0) or unknown (None)."""


@dataclass(frozen=True)
class Flag:
    """Something odd that a person should know; a flag never removes data.

    `code` is a stable snake_case name to count by, `text` one sentence with the particulars.
    """

    code: str
    text: str


@dataclass(frozen=True)
class Eye:
    """One listed eye of a visit. `path` is None when the listed file is not there.

    `side_known` is False where the publishers do not tell which eye was photographed: then `side` is only the place
    that the photograph takes. `grades` are the raw grades as published, such as ("dr", 3), of which endpoints are made.
    """

    side: Side
    file: str
    path: Path | None
    labels: tuple[State, ...]
    keywords: tuple[str, ...] = ()
    flags: tuple[Flag, ...] = ()
    side_known: bool = True
    grades: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Visit:
    """One patient on one day. Either eye may be None (not listed); visit labels are kept apart from eye labels.

    `id` names the visit within its cohort, `patient` the person; both are text, so leading zeros survive.
    Age in years; sex 'F', 'M' or None; unknown stays None. `part` is the publishers' own part, such as
    'off-site test', where the cohort has such parts.
    """

    id: str
    patient: str
    eyes: tuple[Eye | None, Eye | None]
    labels: tuple[State, ...]
    age: float | None = None
    sex: Literal["F", "M"] | None = None
    flags: tuple[Flag, ...] = ()
    part: str | None = None

    @property
    def left(self) -> Eye | None:
        return self.eyes[0]

    @property
    def right(self) -> Eye | None:
        return self.eyes[1]

    @property
    def seen(self) -> tuple[bool, bool]:
        """Which eyes (left, right) have a file."""
        left, right = (eye is not None and eye.path is not None for eye in self.eyes)
        return left, right

    def listed(self) -> Iterator[Eye]:
        """The eyes that the cohort lists, left first, whether or not the file is there."""
        return (eye for eye in self.eyes if eye is not None)


@dataclass(frozen=True)
class Cohort:
    """Visits read from one root folder. `facts` are the reader's own findings (such as `rule_matches`)."""

    layout: str
    root: Path
    vocabulary: Vocabulary
    visits: tuple[Visit, ...]
    flags: tuple[Flag, ...] = ()
    facts: dict[str, int | str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.visits)

    def without(self, ids: Collection[str]) -> Cohort:
        """The cohort without these visits."""
        return replace(self, visits=tuple(visit for visit in self.visits if visit.id not in ids))

    def with_images(self) -> tuple[Visit, ...]:
        """The visits with at least one eye on disk, in cohort order."""
        return tuple(visit for visit in self.visits if any(visit.seen))


def label_arrays(states: Sequence[tuple[State, ...]], count: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Turns label states into numbers and a mask.

    Args:
        states: n tuples of C label states.
        count: C, needed when n is 0.

    Returns:
        values float32 (n, C), 0 where unknown; known bool (n, C).
    """
    known = np.array([[s is not None for s in row] for row in states], dtype=bool).reshape(len(states), count)
    values = np.array([[float(s or 0) for s in row] for row in states], dtype=np.float32).reshape(len(states), count)
    return values, known


def keyword_states(visits: Sequence[Visit], names: Sequence[str]) -> NDArray[np.float32]:
    """Which of these keywords (in lower case) every eye has, float32 (n, 2, F): 1, 0, or NaN for an eye without any."""
    states = np.full((len(visits), 2, len(names)), np.nan, dtype=np.float32)
    for row, visit in enumerate(visits):
        for side, eye in enumerate(visit.eyes):
            if eye is not None and eye.keywords:
                told = {keyword.lower() for keyword in eye.keywords}
                states[row, side] = [name in told for name in names]
    return states
