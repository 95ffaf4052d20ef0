"""What the commands print: one JSON object on standard output, or tables; progress and warnings on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, TypeVar

import tyro
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")
A = TypeVar("A")

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def parse(kind: type[A], argv: Sequence[str], command: str, default: A | None = None) -> A:
    """Parses the flags of one command into its frozen dataclass. Unknown flags end the program with code 2."""
    return tyro.cli(
        kind,
        prog=f"eyeground {command}",
        description=kind.__doc__,
        args=list(argv),
        default=tyro.MISSING_NONPROP if default is None else default,
        config=(tyro.conf.FlagCreatePairsOff,),
    )


def track(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """A progress bar with the time left on standard error; nothing when that is not a terminal."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal, transient=True) as progress:
        task = progress.add_task(label, total=total)
        for item in items:
            yield item
            progress.advance(task)


def print_json(value: Any) -> None:
    """The one JSON object of a `--json` command. NaN is refused: undefined is null."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def warn(text: str) -> None:
    """One warning line on standard error."""
    err.print(f"eyeground: warning: {text}", markup=False, style="yellow")


def note(text: str) -> None:
    """One line of news on standard error."""
    err.print(text, markup=False)
