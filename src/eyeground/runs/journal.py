"""What a bulk reading has done so far: `journal.jsonl` in its folder, one line per finished visit, only ever appended.

The first line has the settings, each other one a visit's facts (what its answer rests on) and its cells in the final
table. A line that a kill cut short does not count. One process at a time holds the journal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from eyeground.errors import DataError
from eyeground.files import disk_errors

NAME = "journal.jsonl"
FORMAT = "eyeground.readings/1"
HEAD = json.dumps({"format": FORMAT})[:-1].encode()
"""What the first line begins with."""


class Journal:
    """An open journal. `done` maps a row's number to where its line begins; the lines themselves stay on the disk.

    Raises:
        DataError: another process holds it, or it is not a journal.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.path = folder / NAME
        self.settings = {"format": FORMAT, **settings}
        self.done: dict[int, int] = {}
        with disk_errors(self.path):
            folder.mkdir(parents=True, exist_ok=True)
            self.stream = self.path.open("a+b")
        try:
            _hold(self.stream.fileno(), folder)
            self.earlier = self._scan()
        except BaseException:
            self.stream.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with disk_errors(self.path):
            self.stream.close()

    def differences(self) -> list[str]:
        """In which settings the journal's run differs from this one, in words."""
        if not self.earlier:
            return []
        names = sorted({*self.earlier, *self.settings})
        pairs = [(name.replace("_", " "), self.earlier.get(name), self.settings.get(name)) for name in names]
        return [f"{name} was {_short(before)} and is {_short(now)}" for name, before, now in pairs if before != now]

    def begin(self) -> None:
        """Starts a new journal, or goes on after the last whole line."""
        with disk_errors(self.path):
            self.stream.truncate(self.end)
        if not self.earlier:
            self._write(self.settings)

    def forget(self) -> None:
        """Empties the journal."""
        with disk_errors(self.path):
            self.stream.truncate(0)
        self.earlier, self.end = {}, 0
        self.done.clear()

    def add(self, row: int, facts: Mapping[str, Any], cells: Mapping[str, Any]) -> None:
        """Notes that a visit is finished; the line is on its way to the disk when this returns."""
        self.done[row] = self.end
        self._write({"row": row, "facts": facts, "cells": cells})

    def entry(self, row: int) -> dict[str, Any]:
        """`facts` and `cells` of a finished visit."""
        self.stream.seek(self.done[row])
        found: dict[str, Any] = json.loads(self.stream.readline())
        return found

    def entries(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """(row, entry) of all finished visits, in the order of their rows."""
        for row in sorted(self.done):
            yield row, self.entry(row)

    def _write(self, value: Mapping[str, Any]) -> None:
        line = json.dumps(value, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        with disk_errors(self.path):
            self.stream.write(line)
            self.stream.flush()
        self.end += len(line)

    def _scan(self) -> dict[str, Any]:
        """Reads what is there: the settings (empty in a new journal), `done`, and where the last whole line ends."""
        settings: dict[str, Any] = {}
        self.end = 0
        self.stream.seek(0)
        for line in self.stream:
            value = _line(line)
            if value is None:
                if not settings and line[: len(HEAD)] != HEAD[: len(line)]:
                    raise DataError(f"{self.path} is no journal of readings; choose another --out")
                break
            if not settings:
                if value.get("format") != FORMAT:
                    raise DataError(f"{self.path} is no journal of readings; choose another --out")
                settings = value
            else:
                self.done[int(value["row"])] = self.end  # a visit that was read again has its last line
            self.end += len(line)
        return settings


def _line(line: bytes) -> dict[str, Any] | None:
    """One whole line's values; None for what a kill left."""
    try:
        value = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _short(value: Any) -> str:
    text = json.dumps(value) if not isinstance(value, str) else value
    return f"{text[:12]}..." if len(text) > 40 else text


def _hold(handle: int, folder: Path) -> None:
    """Takes the file for this process alone, until it closes it or dies.

    Raises:
        DataError: another process has it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DataError(f"another process is reading into {folder}; wait for it or choose another --out") from None
    except OSError:  # a file system without locks
        return
