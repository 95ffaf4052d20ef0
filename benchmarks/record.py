"""Where a figure was measured: writes `results/<name>.json` with the machine, the versions and the date."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from eyeground.files import write_json, write_text
from eyeground.runs.provenance import machine, versions

RESULTS = Path(__file__).parent / "results"


def write(name: str, figures: dict[str, Any], folder: Path = RESULTS, lines: bool = True) -> Path:
    """Writes one benchmark's figures with where they were measured; without `lines`, many of them. NaN is refused."""
    path = folder / f"{name}.json"
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    whole = {"name": name, "date": date, "machine": machine(), "versions": versions(), "figures": figures}
    if lines:
        write_json(path, whole)
    else:
        write_text(path, json.dumps(whole, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n")
    return path
