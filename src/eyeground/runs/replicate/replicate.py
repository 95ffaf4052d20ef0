"""The whole of `eyeground replicate`: plan, work, tell; one call at a time in one folder."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from eyeground.errors import UsageError
from eyeground.files import disk_errors, write_json, write_text
from eyeground.metrics.compare_pairs import Rules
from eyeground.progress import Track
from eyeground.records import Cohort
from eyeground.runs.replicate.estimate import Timer, estimated
from eyeground.runs.replicate.figure import forest
from eyeground.runs.replicate.found import findings
from eyeground.runs.replicate.grid import Grid
from eyeground.runs.replicate.plan import Item, Say, Site, items_of, splits_of
from eyeground.runs.replicate.table import markdown
from eyeground.runs.replicate.work import work
from eyeground.splits import Split


@dataclass(frozen=True)
class Asked:
    """How much is done in this call, and how finely claims are judged."""

    again: bool = False
    minutes: float | None = None
    draws: int = 2000
    permutations: int = 2000


class Session:
    """A call of the command, alone in its folder; a context manager."""

    def __init__(self, grid: Grid, site: Site, cohort: Cohort, asked: Asked, track: Track) -> None:
        self.grid, self.site, self.cohort, self.asked, self.track = grid, site, cohort, asked, track
        self.splits: dict[str, Split] = {}

    def __enter__(self) -> Session:
        with disk_errors(self.site.out):
            self.site.out.mkdir(parents=True, exist_ok=True)
            self.lock = _lock(self.site.out / ".lock")
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.lock is not None:
            os.close(self.lock)

    def plan(self, chosen: Collection[str], say: Say, timing: bool) -> list[Item]:
        """The runs of these names, each with its state and, where it is left, its time.

        Args:
            timing: time what can't be known from runs that are done; that takes minutes for a large grid.
        """
        self.splits = splits_of(self.grid, self.site, self.cohort, self.track, say)
        items = [one for one in items_of(self.grid, self.site, self.splits, self.asked.again) if one.run.name in chosen]
        timer = Timer(self.track, say) if timing else None
        return estimated(items, self.site, self.splits, self.cohort, timer)

    def work(self, items: Sequence[Item], say: Say) -> list[Item]:
        """Does what is left; returns what the budget did not allow."""
        return work([item for item in items if item.state == "left"], self.site, self.asked.minutes, say)

    def tell(self) -> dict[str, Any]:
        """What is known now; writes rows.jsonl, results.json, table.md and claims.svg."""
        items = items_of(self.grid, self.site, self.splits, again=False)
        rules = Rules(self.asked.draws, self.asked.permutations)
        found = findings(self.grid, items, self.site, self.cohort, rules, self.track)
        out = self.site.out
        rows = [self.site.row(item.run).read_text(encoding="utf-8") for item in items if item.state == "done"]
        write_text(out / "rows.jsonl", "".join(" ".join(map(str.strip, row.splitlines())) + "\n" for row in rows))
        write_json(out / "results.json", found)
        write_text(out / "table.md", markdown(found))
        picture = forest(found["claims"], self.grid.name)
        if picture is not None:
            write_text(out / "claims.svg", picture)
        return found


def devices_here(asked: str | None) -> tuple[str | None, ...]:
    """Names for CUDA_VISIBLE_DEVICES, one for each process; (None,) for the processor.

    Raises:
        UsageError: a GPU that is not here, or no number.
    """
    count = torch.cuda.device_count() if asked != "cpu" else 0
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    here = (visible or list(map(str, range(count))))[:count]
    if asked in (None, "cpu"):
        return tuple(here) or (None,)
    names = tuple(name.strip() for name in str(asked).split(","))
    for name in names:
        if not name.isdecimal() or int(name) >= count or names.count(name) > 1:
            raise UsageError(
                f"--devices {asked}: there are {count} GPUs here; give cpu, or each number once, as in 0,1"
            )
    return tuple(here[int(name)] for name in names)


def _lock(path: Path) -> int | None:
    """Holds a folder for this process, until it ends. Raises `UsageError` when another one holds it."""
    try:
        import fcntl
    except ImportError:  # a system without such locks
        return None
    handle = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise UsageError(
            f"another eyeground replicate works in {path.parent}; wait for it, or choose another --out"
        ) from None
    return handle
