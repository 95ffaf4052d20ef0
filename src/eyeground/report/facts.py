"""Facts that a run proves: a sentence or two, and the places in its files that they come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fact:
    """What is known.

    Attributes:
        key: what the checklists call it by, such as 'split.scheme'.
        lines: sentences, Markdown.
        sources: 'file#path.into.it', such as 'config.toml#recipe.seed' or 'E1#per_class'.
        stamped: whether it rests on stamped evaluations alone, and so can't fill an item.
    """

    key: str
    lines: tuple[str, ...]
    sources: tuple[str, ...]
    stamped: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {"lines": list(self.lines), "sources": list(self.sources), "stamped": self.stamped}


def fact(key: str, line: str | Iterable[str], *sources: str, stamped: bool = False) -> Fact:
    """A fact from one line or several."""
    return Fact(key, (line,) if isinstance(line, str) else tuple(line), sources, stamped)


def resolve(source: str, files: Mapping[str, Any]) -> Any:
    """What a source points at.

    Raises:
        KeyError: there is nothing.
    """
    name, _, path = source.partition("#")
    value = files[name]
    for step in path.split(".") if path else ():
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (IndexError, ValueError, TypeError):
            raise KeyError(source) from None
    return value


def number(value: float | None, digits: int = 3) -> str:
    """Decimals, or 'undefined'."""
    return "undefined" if value is None else f"{value:.{digits}f}"


def bounded(value: float | None, bounds: Iterable[float] | None) -> str:
    """A number with its interval; 'undefined' stays that, and a missing interval is said to be missing."""
    if value is None:
        return "undefined"
    if bounds is None:
        return f"{value:.3f} (no interval)"
    low, high = bounds
    return f"{value:.3f} ({low:.3f}–{high:.3f})"


def count(many: int, what: str) -> str:
    """'1 visit', '2 visits', '1,917 visits'."""
    return f"{many:,} {what}" if many == 1 else f"{many:,} {what}s"


def safe(text: str) -> str:
    """Text of files that can't begin a tag or a mark of the authors' blocks, on one line."""
    return " ".join(text.replace("<", "&lt;").split())
