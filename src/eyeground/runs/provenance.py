"""Where and with what a number was made: machine and versions, for files that are compared later. No paths."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from eyeground import __version__
from eyeground.progress import cores

PACKAGES = ("numpy", "opencv-python-headless", "pillow", "torch", "torchvision", "timm", "lightning", "onnxruntime")


def machine() -> dict[str, Any]:
    """Processor, cores this process may use, memory in GiB, operating system."""
    return {
        "cpu": _cpu(),
        "cores": cores(),
        "memory_gib": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Versions of Python, eyeground and the packages that figures depend on; those not installed are left out."""
    found = {"python": platform.python_version(), "eyeground": __version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None
