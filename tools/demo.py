"""`make demo`: two photographs read by the model in the box, and a table of many. Nothing is downloaded."""

from __future__ import annotations

import csv
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "demo-out"
EYES, READING, READINGS = OUT / "eyes", OUT / "reading", OUT / "readings"
PATIENTS, SIZE = 8, 768


def eyeground(*words: str | Path) -> None:
    """Shows a command and runs it; its failure ends the demo with its own message and code."""
    shown = [str(Path(word).relative_to(ROOT)) if isinstance(word, Path) else word for word in words]
    print(f"\n$ eyeground {shlex.join(shown)}", flush=True)
    done = subprocess.run([sys.executable, "-m", "eyeground", *shown], cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def main() -> None:
    """Makes eyes, reads one pair with a report, then all of them into a table."""
    started = time.perf_counter()
    print("eyeground demo: made eyes, read by the model in the box. A minute on two cores.", flush=True)
    eyeground("phantom", "--patients", str(PATIENTS), "--size", str(SIZE), "--out", EYES)
    images = EYES / "ODIR-5K_Training_Images"
    ill = _ill()
    eyeground("read", images / f"{ill}_left.jpg", images / f"{ill}_right.jpg", "--out", READING)
    with (OUT / "pairs.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(("visit", "left", "right"))
        for number in range(1, PATIENTS + 1):
            table.writerow((number, *(images.relative_to(OUT) / f"{number}_{side}.jpg" for side in ("left", "right"))))
    eyeground("read", "--table", OUT / "pairs.csv", "--out", READINGS)
    places = {
        READING / "report.html": "the report of one patient, open it in a browser",
        READING / "heatmaps": "its evidence, drawn on the photographs",
        READING / "reading.json": "the same for programs",
        READINGS / "readings.csv": f"all {PATIENTS} patients, a row each",
    }
    lines = [f"{path.relative_to(ROOT)!s:<30} {text}" for path, text in places.items()]
    print(
        f"\nDone in {time.perf_counter() - started:.0f} s.\n\nLook at   " + "\n          ".join(lines) + "\n\n"
        "These eyes are made by a program, and the model learned from real ones: what it says of them shows how a\n"
        "reading looks, not how good it is (docs/box.md has that). With photographs of your own:\n"
        "  .venv/bin/eyeground read LEFT.jpg RIGHT.jpg\n"
        "`make demo-train` trains, judges and explains a small model of its own in about ten minutes."
    )


def _ill() -> int:
    """The first patient with diabetic retinopathy alone, what most screening looks for."""
    patients = json.loads((EYES / "truth.json").read_text(encoding="utf-8"))["patients"]
    return next(int(one["id"]) for one in patients if one["labels"] == ["D"])


if __name__ == "__main__":
    main()
