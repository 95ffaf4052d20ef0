"""How long work tells that it is alive, and on how many cores: the command line passes a bar, others any `Track`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Track(Protocol):
    """Yields the items unchanged and shows how far it is; `total` where the iterable has no length."""

    def __call__(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]: ...


def quiet(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """A `Track` that shows nothing."""
    return iter(items)


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
