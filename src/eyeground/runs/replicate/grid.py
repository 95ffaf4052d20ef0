"""A grid as a TOML file says it: systems, in which order they are trained, and claims about them.

All of it is checked before anything runs: keys, methods, every run's settings, and the systems that claims name.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import timm

from eyeground.errors import UsageError, nearest
from eyeground.methods import find_method
from eyeground.metrics.compare_words import NAMES
from eyeground.protocols import find_protocol
from eyeground.runs.recipe import Recipe
from eyeground.settings import fill, read_toml

Values = Mapping[str, Any]
SECTIONS = ("name", "extends", "protocol", "common", "system", "more", "claim")
OF_RUN = ("recipe", "mirrored")
"""Flags of `eyeground train` that a grid may give beside those of the recipe and the method."""
VISITS = ("all", "one_label", "several_labels")
LONGEST = 20
"""Letters of a system's name: tables stay within 120 columns."""


@dataclass(frozen=True)
class Place:
    """Which runs of a system there are, and when: the keys of a `[[system]]` that are no flags of `train`."""

    name: str
    method: str
    protocol: str = ""
    round: int = 1
    seeds: tuple[int, ...] = (0,)
    folds: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class More:
    """Further runs of systems that are there already."""

    systems: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    folds: tuple[int, ...] = (0,)
    round: int = 2


@dataclass(frozen=True)
class Claim:
    """What a paper says: `better` has a higher `measure` than `worse`, on all visits or on those of some labels."""

    paper: str
    text: str
    better: str
    worse: str
    measure: str = "macro_auc"
    visits: Literal["all", "one_label", "several_labels"] = "all"
    source: str = ""


@dataclass(frozen=True)
class System:
    """What is trained: a method with flags. `name` is unique in its grid."""

    name: str
    method: str
    protocol: str
    flags: Values


@dataclass(frozen=True)
class Run:
    """One training of a system: a fold of the protocol's split, and a seed."""

    system: System
    fold: int
    seed: int
    round: int

    @property
    def name(self) -> str:
        return f"{self.system.name}-f{self.fold}-s{self.seed}"


@dataclass(frozen=True)
class Grid:
    """A checked grid; `runs` are in the order of work."""

    name: str
    systems: tuple[System, ...]
    runs: tuple[Run, ...]
    claims: tuple[Claim, ...]

    @property
    def protocols(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(run.system.protocol for run in self.runs))

    def system(self, name: str) -> System:
        return next(one for one in self.systems if one.name == name)

    def chosen(self, rounds: int | None, only: Sequence[str]) -> set[str]:
        """Names of the runs up to a round, and of some systems alone.

        Raises:
            UsageError: an unknown system, or a round before the first of these systems' runs.
        """
        names = [one.name for one in self.systems]
        for name in only:
            if name not in names:
                raise UsageError(f"--only {name}: the grid has no such system{nearest(name, names)}")
        asked = [run for run in self.runs if not only or run.system.name in only]
        first = min((run.round for run in asked), default=rounds or 0)  # a system may have no seeds yet
        if rounds is not None and rounds < first:
            raise UsageError(
                f"--rounds {rounds}: the first round of what is asked for is {first}; give {first} or more"
            )
        return {run.name for run in asked if rounds is None or run.round <= rounds}


def read_grid(path: Path, weights: Sequence[str] = ()) -> Grid:
    """Reads and checks a grid.

    Args:
        weights: trunk weights of this machine, 'TRUNK=FILE' or one value for every trunk; they win over `[common]`, a
            system's own win over them.

    Raises:
        UsageError: anything that would stop a run later: an unknown key, method or flag, a value out of range, a name
            twice, a claim about a system that is not there.
    """
    values = _extended(path, ())
    name = str(values.get("name", path.stem))
    protocol = str(values.get("protocol", "odir-3fold"))
    tables = [dict(one) for one in _tables(values, "system", path)]
    if not tables:
        raise UsageError(f"{path} has no [[system]]: give at least one, with a name and a method")
    common = dict(values.get("common", {}))
    systems: list[System] = []
    runs: list[Run] = []
    placed = [_placed(table, path) for table in tables]
    _check_common(common, [place.method for place, _ in placed], path)
    for place, own in placed:
        system = System(place.name, place.method, place.protocol or protocol, own)
        system = dataclasses.replace(system, flags=_flags(system, common, weights))
        if system.name in [one.name for one in systems]:
            raise UsageError(f"{path} has two systems called '{system.name}'; give each its own name")
        systems.append(system)
        runs += [Run(system, fold, seed, place.round) for fold in place.folds for seed in place.seeds]
    for table in _tables(values, "more", path):
        more = fill(More, _complete(More, table, f"a [[more]] of {path}"), f"a [[more]] of {path}")
        for word in more.systems:
            system = _named(word, systems, f"a [[more]] of {path}")
            runs += [Run(system, fold, seed, more.round) for fold in more.folds for seed in more.seeds]
    first: dict[str, Run] = {}
    for run in sorted(runs, key=lambda run: run.round):
        first.setdefault(run.name, run)
    grid = Grid(name, tuple(systems), tuple(first.values()), tuple(_claims(values, systems, path)))
    for run in grid.runs:
        _check_run(run)
    return grid


def resolve(run: Run) -> tuple[Recipe, Any]:
    """A run's recipe and method configuration, all values, as `eyeground train` fills them."""
    method = find_method(run.system.method)
    flags = {key: value for key, value in run.system.flags.items() if key not in OF_RUN}
    if run.system.flags.get("recipe", "paper") == "paper":
        flags = {**method.RECIPE, **flags}
    of_recipe = {field.name for field in dataclasses.fields(Recipe)}
    where = f"system '{run.system.name}'"
    mine = {key: value for key, value in flags.items() if key in of_recipe}
    recipe = fill(Recipe, {**mine, "seed": run.seed}, where)
    return recipe, fill(method.Config, {key: value for key, value in flags.items() if key not in of_recipe}, where)


def known_flags(method: ModuleType) -> set[str]:
    """The flags of a method's training that a grid may give."""
    fields = (*dataclasses.fields(Recipe), *dataclasses.fields(method.Config))
    return {*(field.name for field in fields), *OF_RUN} - {"seed"}


def _extended(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """The file's values; with `extends`, over those of another grid: `[common]` key by key, tables added."""
    values = read_toml(path)
    for key in values:
        if key not in SECTIONS:
            raise UsageError(f"unknown key '{key}' in {path}{nearest(key, SECTIONS)}")
    if "extends" not in values:
        return values
    base = path.parent / str(values["extends"])
    if base.resolve() in (*seen, path.resolve()):
        raise UsageError(f"{path} extends itself; take one 'extends' out of the circle")
    below = _extended(base, (*seen, path.resolve()))
    joined = {**below, **values, "common": {**below.get("common", {}), **values.get("common", {})}}
    for key in ("system", "more", "claim"):
        joined[key] = [*_tables(below, key, base), *_tables(values, key, path)]
    return joined


def _tables(values: Values, key: str, path: Path) -> list[dict[str, Any]]:
    found = values.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise UsageError(f"'{key}' in {path} is a list of tables: write [[{key}]]")
    return found


def _complete(kind: type, table: Values, where: str) -> dict[str, Any]:
    """The table, when it has every key that `kind` asks for."""
    asked = [field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING]
    for key in asked:
        if key not in table:
            raise UsageError(f"{where} has no '{key}'; every one needs {', '.join(asked)}")
    return dict(table)


def _placed(table: Values, path: Path) -> tuple[Place, dict[str, Any]]:
    """A `[[system]]` in two: where it stands in the grid, and its flags."""
    where = f"system '{table.get('name', '?')}' in {path}"
    keys = [field.name for field in dataclasses.fields(Place)]
    place = fill(Place, {k: v for k, v in _complete(Place, table, where).items() if k in keys}, where)
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", place.name) or len(place.name) > LONGEST:
        raise UsageError(f"{where}: a name is of small letters, digits, - and _, {LONGEST} at most")
    own = {key: value for key, value in table.items() if key not in keys}
    known = known_flags(find_method(place.method))
    for key, value in own.items():
        if key == "seed":
            raise UsageError(f"{where}: 'seed' is given as seeds = [{value}]")
        if key not in known:
            raise UsageError(f"unknown key '{key}' in {where}{nearest(key, [*known, *keys])} (method {place.method})")
    return place, own


def _check_common(common: Values, methods: Sequence[str], path: Path) -> None:
    known = set().union(*(known_flags(find_method(name)) for name in methods))
    for key in common:
        if key not in known:
            raise UsageError(f"unknown key '{key}' in [common] of {path}{nearest(key, known)}")


def _flags(system: System, common: Values, weights: Sequence[str]) -> dict[str, Any]:
    """All flags of a system: the common ones that its method has, the machine's weights, its own."""
    method = find_method(system.method)
    known = known_flags(method)
    flags = {key: value for key, value in common.items() if key in known}
    trunk = {**flags, **system.flags}.get("trunk", getattr(method.Config, "trunk", None))
    for text in weights if "trunk_weights" in known else ():
        of, equals, value = text.partition("=")
        value = value if equals else of
        if not equals or of == trunk:
            flags["trunk_weights"] = value if value in ("imagenet", "none") else str(Path(value).absolute())
    return {**flags, **system.flags}


def _named(word: str, systems: Sequence[System], where: str) -> System:
    for one in systems:
        if one.name == word:
            return one
    raise UsageError(f"{where} names '{word}', which is no system{nearest(word, [one.name for one in systems])}")


def _claims(values: Values, systems: Sequence[System], path: Path) -> list[Claim]:
    found = []
    for number, table in enumerate(_tables(values, "claim", path), start=1):
        where = f"claim {number} of {path}"
        table = _complete(Claim, table, where)
        beaten = table["worse"] if isinstance(table["worse"], list) else [table["worse"]]
        for worse in beaten:
            claim = fill(Claim, {**table, "worse": worse}, where)
            if claim.measure not in NAMES:
                raise UsageError(f"{where}: measure '{claim.measure}' is none of {', '.join(NAMES)}")
            better, other = (_named(word, systems, where) for word in (claim.better, claim.worse))
            if better.name == other.name or better.protocol != other.protocol:
                raise UsageError(f"{where} compares {better.name} and {other.name}: give two systems of one protocol")
            found.append(claim)
    return found


def _check_run(run: Run) -> None:
    where = f"system '{run.system.name}'"
    folds = find_protocol(run.system.protocol).folds
    if not 0 <= run.fold < folds or run.seed < 0:
        raise UsageError(
            f"{where}: fold {run.fold}, seed {run.seed}: {run.system.protocol} has folds 0 to {folds - 1}, seeds count "
            "from 0"
        )
    if run.system.flags.get("recipe", "paper") not in ("paper", "common"):
        raise UsageError(f"{where}: recipe must be paper or common, not {run.system.flags['recipe']!r}")
    if not isinstance(run.system.flags.get("mirrored", False), bool):
        raise UsageError(f"{where}: mirrored must be true or false")
    try:
        resolve(run)
    except UsageError as error:
        raise UsageError(str(error) if where in str(error) else f"{where}: {error}") from None
    trunk = getattr(resolve(run)[1], "trunk", None)
    if trunk is not None and not timm.is_model(trunk):
        raise UsageError(f"{where}: no trunk '{trunk}' in timm{nearest(trunk, timm.list_models())}")
    weights = run.system.flags.get("trunk_weights", "")
    if isinstance(weights, str) and "/" in weights and not Path(weights).is_file():
        raise UsageError(f"{where}: no file {weights}; give --trunk-weights FILE, imagenet or none")
