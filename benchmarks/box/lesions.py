"""Do the box's maps point at lesions? `eyeground localise` on IDRiD's lesion photographs, recorded.

python -m benchmarks.box.lesions --root IDRID_FOLDER [--bundle FOLDER]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks import record
from eyeground.cli.main import run
from eyeground.runs.engine import BOX


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.box.lesions", description=__doc__.split("\n\n")[0])
    parser.add_argument("--root", type=Path, required=True, help="IDRiD's folder")
    parser.add_argument("--bundle", type=Path, default=BOX)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        words = ["--layout", "idrid-lesions", "--root", str(arguments.root), "--maps", "evidence", "--out", folder]
        run(["localise", "--bundle", str(arguments.bundle), *words])
        found = json.loads((Path(folder) / "localisation.json").read_text(encoding="utf-8"))
    kept = {key: value for key, value in found.items() if key not in ("overlays", "visits", "findings", "per_visit")}
    print(f"recorded in {record.write('box_lesions', kept, lines=False)}")


if __name__ == "__main__":
    main()
