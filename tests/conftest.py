"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets; tests that need it skip where it is absent."""
    here = Path(__file__).resolve().parents[1]
    root = Path(os.environ.get("EYEGROUND_DATA", here / "../shared/data")).resolve()
    if not root.is_dir():
        pytest.skip(f"no real data at {root}: set EYEGROUND_DATA to the folder that holds odir5k/")
    return root
