"""Where answers are computed and prepared photographs are kept. Starts without torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from eyeground.errors import UsageError


def cache_folder() -> Path:
    """Where prepared photographs are kept: EYEGROUND_CACHE, else `~/.cache/eyeground`."""
    return Path(os.environ.get("EYEGROUND_CACHE") or Path.home() / ".cache" / "eyeground")


@dataclass(frozen=True)
class Place:
    """Where answers are computed, and where prepared photographs are kept."""

    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    """Which kind of device computes."""
    workers: int = 2
    """Processes that prepare photographs, and threads that read ahead."""
    cache: Path | None = None
    """Folder of prepared photographs; default EYEGROUND_CACHE or ~/.cache/eyeground."""

    def cache_path(self) -> Path:
        """The folder of prepared photographs in use."""
        return self.cache or cache_folder()

    def kind(self) -> Literal["cpu", "cuda"]:
        """The device kind in use. Raises `UsageError` when a GPU is asked for and there is none."""
        if self.accelerator == "cpu":
            return "cpu"
        import torch

        there = torch.cuda.is_available()
        if self.accelerator == "cuda" and not there:
            raise UsageError("--accelerator cuda: torch finds no CUDA device here; use cpu or auto")
        return "cuda" if there else "cpu"
