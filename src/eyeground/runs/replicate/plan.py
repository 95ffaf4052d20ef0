"""What is there of a grid, what is left, and how each run is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import tomli_w

from eyeground import leaks
from eyeground.errors import BundleError, UsageError
from eyeground.files import sha256_of, write_text
from eyeground.progress import Track
from eyeground.protocols import find_protocol
from eyeground.records import Cohort
from eyeground.runs.bundle import load_bundle
from eyeground.runs.replicate.grid import Grid, Run, resolve
from eyeground.runs.replicate.rows import judged, read_json
from eyeground.settings import plain
from eyeground.splits import Split, find_all_duplicates, make_split

Spec = dict[str, Any]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Item:
    """A run of the grid: what defines it, how it stands, and how long it will take (None: not known, or done)."""

    run: Run
    spec: Spec
    state: str
    reason: str = ""
    seconds: float | None = None
    basis: str = ""


@dataclass(frozen=True)
class Site:
    """This machine's side: where all goes, the words that name the cohort, those of the machine, the devices.

    A device of None is whatever the command finds by itself (a processor).
    """

    out: Path
    source: tuple[str, ...]
    machine: tuple[str, ...] = ()
    place: tuple[str, ...] = ()
    devices: tuple[str | None, ...] = (None,)
    allow_leaky: bool = False

    @property
    def threads(self) -> int:
        """Processor threads of each run; 0 is torch's default."""
        words = dict(zip(self.machine[::2], self.machine[1::2], strict=True))
        return int(words.get("--threads", 0))

    def split(self, protocol: str) -> Path:
        return self.out / f"{Path(protocol).stem}.json"

    def folder(self, run: Run) -> Path:
        return self.out / "runs" / run.name

    def row(self, run: Run) -> Path:
        return self.out / "rows" / f"{run.name}.json"

    def failure(self, run: Run) -> Path:
        return self.out / "failed" / f"{run.name}.json"

    def log(self, run: Run) -> Path:
        return self.out / "logs" / f"{run.name}.log"

    def commands(self, item: Item) -> list[tuple[str, list[str]]]:
        """The steps that are not done yet, with the words of each; writes the run's settings."""
        run, folder = item.run, self.folder(item.run)
        settings = folder / "settings.toml"
        write_text(settings, tomli_w.dumps(settings_of(run)))
        leaky = ["--allow-leaky"] if self.allow_leaky else []
        train = ["train", *self.source, "--split", str(self.split(run.system.protocol)), "--fold", str(run.fold)]
        train += ["--config", str(settings), "--out", str(folder), *self.machine, *self.place, *leaky]
        train += ["--mirrored"] if run.system.flags.get("mirrored") else []
        evaluate = ["evaluate", *self.source, "--bundle", str(folder / "bundle"), "--part", "test"]
        evaluate += ["--out", str(folder / "test"), "--no-gallery", "--json", *self.place, *leaky]
        steps = [] if (folder / "bundle").is_dir() else [("train", train)]
        return steps if not steps and judged(folder) else [*steps, ("evaluate", evaluate)]


def settings_of(run: Run) -> dict[str, Any]:
    """The keys of the TOML file that `eyeground train --config` is given."""
    flags = {key: value for key, value in run.system.flags.items() if key != "mirrored"}
    return {"method": run.system.method, **flags, "seed": run.seed}


def spec_of(run: Run, split: Split) -> Spec:
    """What defines a run, without this machine's paths: a weights file is its name and content."""
    flags = dict(run.system.flags)
    weights = str(flags.get("trunk_weights", ""))
    if "/" in weights:
        flags["trunk_weights"] = f"{Path(weights).name} {_content(weights)[:16]}"
    base = {"method": run.system.method, "flags": flags, "fold": run.fold, "seed": run.seed}
    return {**base, "split_hash": split.hash, "protocol": split.protocol.name, "protocol_hash": split.protocol.hash}


@cache
def _content(weights: str) -> str:
    return sha256_of(Path(weights))


def splits_of(grid: Grid, site: Site, cohort: Cohort, track: Track, say: Say) -> dict[str, Split]:
    """One split for each protocol, made once.

    Raises:
        UsageError: the file in OUT is of another protocol; LeakError: a leaky one that was not allowed.
    """
    found = {}
    for name in grid.protocols:
        protocol, path = find_protocol(name), site.split(name)
        protocol.require_allowed(site.allow_leaky, f"the grid's protocol {name}")
        protocol.require_layout(cohort.layout)
        view = protocol.view(cohort)
        if not path.is_file():
            say(f"making {path.name}: photographs are compared, once")
            prints = leaks.fingerprints(view.visits, 2, track)
            make_split(view, prints, protocol, 0, find_all_duplicates(view.visits, prints, 2, track)).save(path)
        found[name] = Split.load(path)
        if found[name].protocol.hash != protocol.hash:
            raise UsageError(f"{path} was made under another protocol than {name}; choose another --out")
        found[name].check_against(view)
    return found


def items_of(grid: Grid, site: Site, splits: Mapping[str, Split], again: bool) -> list[Item]:
    """Every run of the grid with its state: done, failed, or left.

    Raises:
        UsageError: something in OUT was made with other settings than the grid has now; all such runs are named.
    """
    items, changed = [], []
    for run in grid.runs:
        split = splits[run.system.protocol]
        spec = spec_of(run, split)
        said = _differs(run, spec, site, split)
        if said:
            changed.append(f"{run.name} ({said})")
        row, failure = site.row(run).is_file(), read_json(site.failure(run))
        failed = bool(failure) and failure.get("spec") == spec and not again
        state = "done" if row else "failed" if failed else "left"
        items.append(Item(run, spec, state, failure.get("reason", "") if state == "failed" else ""))
    if changed:
        some = "; ".join(changed[:3]) + (f"; and {len(changed) - 3} more" if len(changed) > 3 else "")
        raise UsageError(
            f"{site.out} holds runs with other settings than the grid has now: {some}; choose another --out, or move "
            "their rows/ and runs/ away"
        )
    return items


def _differs(run: Run, spec: Spec, site: Site, split: Split) -> str:
    """What differs between the grid and what is there of a run; nothing when they agree or nothing is there."""
    folder = site.folder(run)
    there = read_json(site.row(run)).get("spec") or read_json(folder / "spec.json")
    if there:
        return _changes(_flat(there), _flat(spec))
    if not (folder / "bundle").is_dir():
        return ""
    try:  # a run that this command did not make: its bundle must be what the grid asks for
        config = load_bundle(folder / "bundle").config
    except BundleError as error:
        return str(error)
    recipe, model = resolve(run)
    values = plain(model)
    if "trunk_weights" in values:
        values["trunk_weights"] = Path(values["trunk_weights"]).name
    data = {"split_hash": split.hash, "fold": run.fold}
    wanted = {"name": run.system.method, **values, **plain(recipe), **data}
    wanted["mirrored"] = bool(run.system.flags.get("mirrored"))
    old = {**config["data"], **config["predict"], **config["method"], **config["recipe"]}
    defaults = {**plain(type(recipe)()), **plain(type(model)())}  # a flag that is younger than the bundle
    return _changes({key: old.get(key, defaults.get(key)) for key in wanted}, wanted)


def _flat(spec: Spec) -> Spec:
    return {**{key: value for key, value in spec.items() if key != "flags"}, **spec["flags"]}


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    keys: Sequence[str] = sorted({*old, *new})
    return ", ".join(
        f"{key}: {_short(old.get(key))} -> {_short(new.get(key))}" for key in keys if old.get(key) != new.get(key)
    )


def _short(value: Any) -> str:
    text = "not given" if value is None else str(value)
    return text if len(text) <= 24 else f"{text[:20]}…"
