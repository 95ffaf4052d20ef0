"""`eyeground train`: flags of the command, the recipe and the chosen method, with a TOML file beneath them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from eyeground.cli.cohort_options import CohortSource
from eyeground.cli.console import note, parse, track
from eyeground.errors import UsageError, nearest
from eyeground.methods import find_method
from eyeground.runs.fit import Plan, fit
from eyeground.runs.machine import Machine
from eyeground.runs.recipe import Recipe
from eyeground.settings import fill, read_toml
from eyeground.splits import Split

FLAT = tyro.conf.arg(name="")


@dataclass(frozen=True)
class Command:
    """The run itself."""

    split: Path
    """The split, from `eyeground cohort split`."""
    out: Path
    """Folder of the run: checkpoint.pt, log.jsonl, and the bundle when it is done."""
    method: str = "pair"
    """What to train; `eyeground list` names the methods, each has flags of its own."""
    fold: int = 0
    """Which fold of the split, from 0."""
    config: Path | None = None
    """TOML file with any flag of the recipe, the method or the machine as a key; flags win over it."""
    mirrored: bool = False
    """The bundle answers with the mean over a visit and its mirror image: better, at twice the cost of a reading."""
    allow_leaky: bool = False
    """Go on where the split is of a leaky protocol; every number is stamped."""
    tensorboard: bool = False
    """Also write scalars for TensorBoard into OUT/tensorboard."""


def main(argv: Sequence[str]) -> int:
    path, method = _peek(argv, "--config"), _peek(argv, "--method")
    values = read_toml(Path(path)) if path else {}
    method = str(method or values.get("method", "pair"))
    values.pop("method", None)
    parts = {"recipe": Recipe, "machine": Machine, "model": find_method(method).Config}
    flags = parse(_flags(method, parts, values, path or ""), argv, "train")
    if flags.command.method != method:
        raise UsageError("--method is given twice, with two names; give it once")
    cohort, split = flags.source.read(), Split.load(flags.command.split)
    command = flags.command
    plan = Plan(
        cohort,
        split,
        command.fold,
        method,
        flags.model,
        flags.recipe,
        flags.machine,
        command.out,
        command.mirrored,
        command.allow_leaky,
    )
    fit(plan, track, note, command.tensorboard)
    return 0


def _flags(method: str, parts: Mapping[str, type], values: Mapping[str, Any], where: str) -> type[Any]:
    """A dataclass with every flag that this method's training has; the TOML file's values are the defaults."""
    owners = {field.name: part for part, kind in parts.items() for field in dataclasses.fields(kind)}
    for key in values:
        if key not in owners:
            raise UsageError(f"unknown key '{key}' in {where}{nearest(key, owners)} (method {method})")
    command = dataclasses.make_dataclass(
        "Command", [("method", str, dataclasses.field(default=method))], bases=(Command,), frozen=True
    )
    fields: list[Any] = [("source", Annotated[CohortSource, FLAT]), ("command", Annotated[command, FLAT])]
    for part, kind in parts.items():
        mine = {key: value for key, value in values.items() if owners[key] == part}
        default: Any = fill(kind, mine, where)
        fields.append((part, Annotated[kind, FLAT], dataclasses.field(default=default)))
    flags = dataclasses.make_dataclass("Flags", fields, frozen=True)
    flags.__doc__ = (
        "Trains a method on one fold of a split and writes OUT/bundle. Called again after a stop, it goes on."
    )
    return flags


def _peek(argv: Sequence[str], flag: str) -> str | None:
    """The value of one flag, before the others are known."""
    for here, word in enumerate(argv):
        if word == flag and here + 1 < len(argv):
            return argv[here + 1]
        if word.startswith(f"{flag}="):
            return word.split("=", 1)[1]
    return None
