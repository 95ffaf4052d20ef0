"""The registry: every published method is one file of this folder, and one row here.

A method module holds

* `Config`, a frozen dataclass with the paper's choices as defaults, and `RECIPE`, the paper's own training recipe as
  fields of `runs.recipe.Recipe` that differ from the shared defaults;
* `build(config, vocabulary, size) -> nn.Module` that maps a `Batch` to an `Output`. The trunk, where there is one, is
  called `trunk` (a second one `trunk_...`), so that it can learn at its own rate;
* `loss(model, batch, config) -> dict of named parts with 'total'`;
* `maps(config) -> str`: what its evidence maps explain, or why there are none;
* `swap(config)`: `same` where an exchange of left and right eye leaves every visit logit as it is, else `differs`.

It may hold `start(model, config, labels, known)`: what the training part's eye labels tell the model before the first
step.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType

from eyeground.errors import UsageError, nearest


@dataclass(frozen=True)
class MethodEntry:
    """A row of the registry: the module that holds the method, and what it is in one line.

    `paper` cites it. `published` is the reported number of parameters in millions (None: not reported), `counted` says
    where ours at the default `Config` comes from or why it differs.
    """

    module: str
    line: str
    paper: str = ""
    published: float | None = None
    counted: str = ""


METHODS = {
    "pair": MethodEntry(
        "eyeground.methods.pair", "baseline: one shared trunk, an evidence map per label and eye, a named fusion"
    ),
}
"""In the order in which `eyeground list` and docs/methods.md name them."""


def find_method(name: str) -> ModuleType:
    """Imports a method's module. Raises `UsageError` with the nearest match for an unknown name."""
    if name not in METHODS:
        raise UsageError(f"no method '{name}'{nearest(name, METHODS)} (eyeground list names them)")
    return importlib.import_module(METHODS[name].module)
