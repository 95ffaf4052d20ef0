"""What `pip install` of this package takes on disk, without extras and with [train], by package.

    python -m benchmarks.box.install_size

Makes two fresh virtual environments in a temporary folder, which needs a network and about 10 GB. Sizes are the sums of
the installed files that each distribution lists, in MB of 10⁶ bytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "benchmarks" / "results" / "install_size.json"
AIM_MB = 550

LISTING = """
import importlib.metadata, json, pathlib
found = {}
for one in importlib.metadata.distributions():
    files = {pathlib.Path(one.locate_file(f)).resolve() for f in one.files or ()}
    found[one.metadata["Name"]] = [one.version, sum(f.stat().st_size for f in files if f.is_file())]
print(json.dumps(found))
"""


def measure(what: str, folder: Path) -> dict[str, Any]:
    """Installs `what` into a fresh environment; total and packages in MB, the largest first."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    quiet = ("-q", "--disable-pip-version-check", "--no-compile")
    subprocess.run([python, "-m", "pip", "install", *quiet, what], check=True, cwd=folder)
    listed = subprocess.run([python, "-c", LISTING], check=True, cwd=folder, capture_output=True, text=True).stdout
    sizes = {name: row for name, row in json.loads(listed).items() if name not in ("pip", "setuptools")}
    ordered = sorted(sizes.items(), key=lambda item: -item[1][1])
    return {
        "installed": what.replace(str(ROOT), "."),
        "total_mb": round(sum(size for _, size in sizes.values()) / 1e6, 1),
        "packages_mb": {f"{name} {version}": round(size / 1e6, 1) for name, (version, size) in ordered},
    }


def main() -> None:
    found: dict[str, Any] = {"python": sys.version.split()[0], "platform": sys.platform, "aim_mb": AIM_MB}
    with tempfile.TemporaryDirectory() as place:
        for name, what in (("core", str(ROOT)), ("train", f"{ROOT}[train]")):
            found[name] = measure(what, Path(place) / name)
            print(f"{name}: {found[name]['total_mb']} MB, {len(found[name]['packages_mb'])} packages")
    found["part"] = round(found["core"]["total_mb"] / found["train"]["total_mb"], 3)
    OUT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if found["core"]["total_mb"] > AIM_MB:
        sys.exit(f"{found['core']['total_mb']} MB without extras, more than {AIM_MB}")


if __name__ == "__main__":
    main()
