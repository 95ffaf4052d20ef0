"""Where a figure was measured: writes `results/<name>.json` with the machine, the versions and the date."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from eyeground.files import write_json
from eyeground.runs.provenance import machine, versions

RESULTS = Path(__file__).parent / "results"


def write(name: str, figures: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Writes one benchmark's figures with where they were measured. NaN is refused."""
    path = folder / f"{name}.json"
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    write_json(path, {"name": name, "date": date, "machine": machine(), "versions": versions(), "figures": figures})
    return path
