"""How long work tells that it is alive. The command line passes a bar; everything below takes any `Track`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Track(Protocol):
    """Yields the items unchanged and shows how far it is; `total` where the iterable has no length."""

    def __call__(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]: ...


def quiet(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """A `Track` that shows nothing."""
    return iter(items)
