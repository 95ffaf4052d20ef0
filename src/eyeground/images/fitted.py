"""Small fitted numbers that lie in this package: NAME.safetensors, and NAME.json that says where they come from."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from eyeground.errors import DataError


def load_fitted(name: str) -> tuple[dict[str, NDArray[np.float32]], dict[str, Any]]:
    """Arrays as float32 by name, and the record. Raises `DataError` when the installation is not whole."""
    folder = resources.files("eyeground.images")
    try:
        arrays = load((folder / f"{name}.safetensors").read_bytes())
        record = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{name}.safetensors or its record is not in this installation; install eyeground again"
        ) from None
    return {key: value.astype(np.float32) for key, value in arrays.items()}, record
