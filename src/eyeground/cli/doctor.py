"""`eyeground doctor`: what this installation has and can do, without importing what is heavy until asked."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eyeground import __version__
from eyeground.cli.console import out, parse, print_json

CORE = (
    "numpy",
    "opencv-python-headless",
    "pillow",
    "pandas",
    "openpyxl",
    "tyro",
    "rich",
    "matplotlib",
    "jinja2",
    "safetensors",
    "tomli-w",
    "onnxruntime",
    "contourpy",
)
TRAIN = ("torch", "torchvision", "timm", "lightning", "onnx", "onnxscript")


@dataclass(frozen=True)
class Flags:
    """Says what is installed, what is missing, and what follows from it. Exit code 1 when the core is incomplete."""

    json: bool = False
    """Print one JSON object and nothing else."""


def main(argv: Sequence[str]) -> int:
    flags = parse(Flags, argv, "doctor")
    found = examine()
    if flags.json:
        print_json(found)
    else:
        for name, value in found.items():
            shown = ", ".join(f"{k} {v or 'MISSING'}" for k, v in value.items()) if isinstance(value, dict) else value
            out.print(f"{name:<9} {shown}", markup=False)
    return 0 if all(found["core"].values()) else 1


def examine() -> dict[str, Any]:
    """The facts, JSON-able; a package that is missing has the version None."""
    cache = os.environ.get("EYEGROUND_CACHE") or os.path.expanduser("~/.cache/eyeground")
    free = shutil.disk_usage(os.path.expanduser("~")).free / 2**30
    train = {name: _version(name) for name in TRAIN}
    facts: dict[str, Any] = {
        "eyeground": __version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "core": {name: _version(name) for name in CORE},
        "train": train,
        "cache": f"{cache} ({free:.0f} GiB free on the home disk)",
    }
    if all(train.values()):
        facts["device"] = _device()
        facts["can"] = "train, export, evaluate, submit, read, score, cohort"
    else:
        facts["device"] = "the processor, by ONNX Runtime"
        facts["can"] = "read, evaluate, submit, score, cohort; for train and export: pip install 'eyeground[train]'"
    return facts


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _device() -> str:
    try:
        import torch

        from eyeground.runs.machine import choose_precision
    except (ImportError, OSError) as error:
        return f"unknown: torch is installed and can't be imported ({error})"
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if kind == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    return f"{name}, precision {choose_precision('auto', kind)}"
