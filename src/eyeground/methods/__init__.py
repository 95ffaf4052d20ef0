"""The registry: every published method is one file of this folder, and one row here.

A method module holds `Config` (a frozen dataclass), `build(config, vocabulary, size) -> nn.Module` that maps a `Batch`
to an `Output`, `loss(model, batch, config) -> dict of named parts with 'total'`, and `maps(config) -> str`, which says
what its evidence maps explain. It may hold `start(model, config, labels, known)`: what the training part's eye labels
tell the model before the first step.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType

from eyeground.errors import UsageError, nearest


@dataclass(frozen=True)
class MethodEntry:
    """A row of the registry: the module that holds the method, and what it is in one line."""

    module: str
    line: str


METHODS = {
    "pair": MethodEntry(
        "eyeground.methods.pair", "baseline: one shared trunk, an evidence map per label and eye, a named fusion"
    ),
}


def find_method(name: str) -> ModuleType:
    """Imports a method's module. Raises `UsageError` with the nearest match for an unknown name."""
    if name not in METHODS:
        raise UsageError(f"no method '{name}'{nearest(name, METHODS)} (eyeground list names them)")
    return importlib.import_module(METHODS[name].module)
