"""All that a grid's runs say so far, JSON-able: systems, claims, how it was made. Written as results.json."""

from __future__ import annotations

import datetime
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eyeground.errors import DataError
from eyeground.files import digest, sha256_of, write_json
from eyeground.metrics.compare_pairs import Rules
from eyeground.progress import Track
from eyeground.protocols import find_protocol
from eyeground.records import Cohort
from eyeground.runs.provenance import machine, versions
from eyeground.runs.replicate.claims import Cell, Truth, judge_claim, system_numbers, with_holm
from eyeground.runs.replicate.grid import Grid
from eyeground.runs.replicate.plan import Item, Site
from eyeground.runs.replicate.rows import read_json

NUMBERS = ("macro_auc", "macro_ap", "final")


def _predictions(site: Site, item: Item, row: dict[str, Any]) -> Path:
    """The probabilities that a row tells of. Raises `DataError` when they are gone or others by now."""
    path = site.folder(item.run) / "test" / "predictions.csv"
    if not path.is_file() or sha256_of(path) != row["predictions_sha256"]:
        raise DataError(
            f"{path} is not what the row of {item.run.name} was written for; bring it back, or remove "
            f"{site.row(item.run)} to have the run judged again"
        )
    return path


def findings(
    grid: Grid, items: Sequence[Item], site: Site, cohort: Cohort, rules: Rules, track: Track
) -> dict[str, Any]:
    """Judges every system and claim with what is done; what was judged before on the same predictions is kept."""
    rows = {item.run.name: read_json(site.row(item.run)) for item in items if site.row(item.run).is_file()}
    done: dict[str, dict[Cell, Path]] = {}
    hashes: dict[str, dict[str, str]] = {}
    for item in items:
        row = rows.get(item.run.name)
        if row:
            name, cell = item.run.system.name, (item.run.fold, item.run.seed)
            done.setdefault(name, {})[cell] = _predictions(site, item, row)
            hashes.setdefault(name, {})[str(cell)] = row["predictions_sha256"]
    truths = {name: Truth.of(find_protocol(name).view(cohort)) for name in grid.protocols}
    kept = _Kept(site.out / "judged.json", (rules.draws, rules.permutations, rules.seed, rules.level))
    claims = []
    for claim in track(grid.claims, "judging claims"):
        truth = truths[grid.system(claim.better).protocol] if done else None
        about = [vars(claim), hashes.get(claim.better), hashes.get(claim.worse)]
        found = kept.get(about)
        if found is None:
            assert truth is not None or not done
            found = kept.put(about, judge_claim(claim, done, truth or Truth.of(cohort), rules))
        claims.append({**found, **vars(claim)})
    systems = []
    for system in grid.systems:
        mine = [rows[item.run.name] for item in items if item.run.system == system and item.run.name in rows]
        which = [system.name, hashes.get(system.name)]
        numbers = kept.get(which)
        if mine and numbers is None:
            numbers = kept.put(which, _numbers(done[system.name], mine, truths[system.protocol], rules))
        planned = sum(item.run.system == system for item in items)
        systems.append({"name": system.name, "method": system.method, "planned": planned, **_told(mine, numbers)})
    kept.save()
    return {
        **_head(grid, items, site),
        "rules": {"draws": rules.draws, "permutations": rules.permutations, "seed": rules.seed, "level": rules.level},
        "baseline": next(iter(rows.values()))["baseline"] if rows else None,
        "systems": systems,
        "claims": with_holm(claims),
    }


class _Kept:
    """Judgements by what they were made from, on disk."""

    def __init__(self, path: Path, rules: Sequence[Any]) -> None:
        self.path, self.rules = path, list(rules)
        self.old = read_json(path)
        self.new: dict[str, Any] = {}

    def get(self, about: Any) -> Any:
        key = digest([self.rules, about])
        if key in self.old:
            self.new[key] = self.old[key]
        return self.new.get(key)

    def put(self, about: Any, found: dict[str, Any]) -> dict[str, Any]:
        self.new[digest([self.rules, about])] = found
        return found

    def save(self) -> None:
        write_json(self.path, {**self.old, **self.new})


def _numbers(
    cells: Mapping[Cell, Path], rows: Sequence[Mapping[str, Any]], truth: Truth, rules: Rules
) -> dict[str, Any]:
    """A system's numbers; with a single run those that `eyeground evaluate` wrote."""
    if len(rows) > 1:
        return system_numbers(cells, truth, rules)
    row = rows[0]
    return {
        "n": row["n"],
        "folds": [row["fold"]],
        "seeds": [row["seed"]],
        **{key: row["scores"][key] for key in NUMBERS},
    }


def _told(rows: Sequence[Mapping[str, Any]], numbers: dict[str, Any] | None) -> dict[str, Any]:
    """A system's line of the table."""
    if not rows or numbers is None:
        return {"done": 0}
    seconds = [row["train_seconds"] for row in rows if row["train_seconds"]]
    peaks = [one["peak_bytes"] for row in rows if (one := row["cost"]["train"]) and one["peak_bytes"]]
    return {
        "done": len(rows),
        **numbers,
        "parameters": rows[0]["parameters"],
        "train_minutes": round(statistics.mean(seconds) / 60, 1) if seconds else None,
        "peak_gib": round(max(peaks) / 2**30, 2) if peaks else None,
        "device": rows[0]["device"],
        "stamps": sorted({row["stamp"] for row in rows if "stamp" in row}),
        "flags": rows[0]["spec"]["flags"],
    }


def _head(grid: Grid, items: Sequence[Item], site: Site) -> dict[str, Any]:
    """What was run, where, when, and how to do it again."""
    specs = {item.run.system.protocol: item.spec for item in items}
    return {
        "name": grid.name,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        "protocols": {
            name: {"protocol_hash": spec["protocol_hash"], "split_hash": spec["split_hash"]}
            for name, spec in specs.items()
        },
        "command": f"eyeground replicate GRID.toml {' '.join(_portable(site))} --out OUT",
        "runs": {state: sum(item.state == state for item in items) for state in ("done", "failed", "left")},
        "failed": {item.run.name: item.reason for item in items if item.state == "failed"},
    }


def _portable(site: Site) -> list[str]:
    """The words that name the cohort, without its place."""
    words = list(site.source)
    words[words.index("--root") + 1] = "ROOT"
    return words
