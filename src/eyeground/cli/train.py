"""`eyeground train`: flags of the command, the recipe and the chosen method, with a TOML file beneath them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

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

RecipeName = Literal["paper", "common"]
COMMAND_NAMES: dict[str, Any] = {"method": str, "recipe": RecipeName}
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
    recipe: RecipeName = "paper"
    """paper: the method's own recipe as published (pair: the shared one); common: the shared recipe for any method."""
    fold: int = 0
    """Which fold of the split, from 0."""
    config: Path | None = None
    """TOML file with any flag of the recipe, the method or the machine as a key; flags win over it."""
    init: Path | None = None
    """A bundle whose trunk this one starts from; it must not have learnt from this fold's validation or test part."""
    mirrored: bool = False
    """The bundle answers with the mean over a visit and its mirror image: better, at twice the cost of a reading."""
    allow_leaky: bool = False
    """Go on where the split is of a leaky protocol; every number is stamped."""
    tensorboard: bool = False
    """Also write scalars for TensorBoard into OUT/tensorboard."""


def main(argv: Sequence[str]) -> int:
    path = _peek(argv, "--config")
    values = read_toml(Path(path)) if path else {}
    named: dict[str, str] = {}
    for flag, default in (("method", "pair"), ("recipe", "paper")):
        above = values.pop(flag, default)
        named[flag] = str(_peek(argv, f"--{flag}") or above)
    flags = parse(_flags(named, values, path or ""), argv, "train")
    for flag, name in named.items():
        if getattr(flags.command, flag) != name:
            raise UsageError(f"--{flag} is given twice, with two names; give it once")
    method = named["method"]
    cohort, split = flags.source.read(), Split.load(flags.command.split)
    command = flags.command
    plan = Plan(
        cohort,
        split,
        command.fold,
        method,
        flags.model,
        flags.training,
        flags.machine,
        command.out,
        command.mirrored,
        command.allow_leaky,
        command.init,
    )
    fit(plan, track, note, command.tensorboard)
    return 0


def _flags(named: Mapping[str, str], values: Mapping[str, Any], where: str) -> type[Any]:
    """A dataclass with every flag that this method's training has.

    The recipe's values are the defaults, beneath the TOML file's.
    """
    method = find_method(named["method"])
    if named["recipe"] not in get_args(RecipeName):
        raise UsageError(f"--recipe must be one of {', '.join(get_args(RecipeName))}, not {named['recipe']}")
    parts: dict[str, type] = {"training": Recipe, "machine": Machine, "model": method.Config}
    owners = {field.name: part for part, kind in parts.items() for field in dataclasses.fields(kind)}
    for key in values:
        if key not in owners:
            raise UsageError(f"unknown key '{key}' in {where}{nearest(key, owners)} (method {named['method']})")
    if named["recipe"] == "paper":
        values = {**method.RECIPE, **values}
    given = [(name, kind, dataclasses.field(default=named[name])) for name, kind in COMMAND_NAMES.items()]
    command = dataclasses.make_dataclass("Command", given, bases=(Command,), frozen=True)
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
