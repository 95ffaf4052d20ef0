"""A run that can be killed at any moment: after each epoch all of its state is on disk, whole or not at all."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import torch

from eyeground.errors import UsageError
from eyeground.files import aside, write_text

State = dict[str, Any]


def save(folder: Path, state: State) -> None:
    """Writes `checkpoint.pt` and `log.jsonl` (one line an epoch, from the state's history)."""
    held = io.BytesIO()  # torch hides a full disk behind an error of its own
    torch.save(state, held)
    with aside(folder / "checkpoint.pt") as place:
        place.write_bytes(held.getbuffer())
    write_text(folder / "log.jsonl", "".join(json.dumps(row) + "\n" for row in state["history"]))


def load(folder: Path, job: str, described: State) -> State | None:
    """The last checkpoint, or None when there is none.

    Args:
        job: digest of everything that decides the result; described: the same in words, for the message.

    Raises:
        UsageError: the folder holds a run with other settings.
    """
    path = folder / "checkpoint.pt"
    if not path.is_file():
        return None
    state: State = torch.load(path, map_location="cpu", weights_only=True)
    if state["job"] != job:
        old = state["described"]
        changed = [
            f"{key}: {old.get(key)} -> {described.get(key)}" for key in described if old.get(key) != described[key]
        ]
        raise UsageError(
            f"{folder} holds a run with other settings ({'; '.join(changed) or 'other data'}); "
            "use the same flags to go on, or choose another --out"
        )
    return state
