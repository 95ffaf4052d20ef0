"""How long a run will take: from runs that are done, else from a few real steps on a made batch.

The rate is seconds for a visit at the run's full picture size, forward and backward, in one epoch; a run takes rate x
visits x epochs, and what preparing and judging take. It is kept by (method, trunk, size, device) in OUT/timed.json.
A timed rate is scaled by what runs that are done took against theirs.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import torch

from eyeground.batches import Batch
from eyeground.errors import EyegroundError
from eyeground.files import write_json
from eyeground.methods import find_method
from eyeground.progress import Track
from eyeground.records import Cohort, label_arrays
from eyeground.runs.optimise import make_optimizer
from eyeground.runs.recipe import Recipe
from eyeground.runs.replicate.grid import Run, resolve
from eyeground.runs.replicate.plan import Item, Say, Site
from eyeground.runs.replicate.rows import read_json
from eyeground.sampling import Rows, make_sampler
from eyeground.settings import fill
from eyeground.splits import Split
from eyeground.vocabulary import Vocabulary

BESIDE = 1.2
"""What validation after each epoch and reading photographs add to the steps, as a factor."""
FIXED = 60.0
"""Seconds of starting two processes, preparing photographs and judging the test part with its intervals."""
ON_PROCESSOR = 4
"""Visits in a timed step on a processor, where time goes with their number; a GPU is timed with the whole batch."""


def estimated(
    items: Sequence[Item], site: Site, splits: Mapping[str, Split], cohort: Cohort, timer: Timer | None = None
) -> list[Item]:
    """The items, those that are left with seconds and what these are based on ('rows', 'timed' or '').

    Args:
        timer: times a few steps of what was neither run nor timed before; None leaves its seconds out.
    """
    device = "cuda" if site.devices[0] is not None else "cpu"
    rates = _from_rows(site, device)
    path = site.out / "timed.json"
    timed = read_json(path)
    left = [item for item in items if item.state == "left"]
    unknown = {
        key: item for item in reversed(left) if (key := _key(item, device)) not in rates and timed.get(key) is None
    }
    if unknown and timer is not None:
        timed |= timer(dict(reversed(unknown.items())), site, cohort.vocabulary)
        write_json(path, timed)
    scale = _scale(rates, timed)
    found = []
    for item in items:
        if item.state != "left" or (site.folder(item.run) / "bundle").is_dir():
            found.append(dataclasses.replace(item, seconds=FIXED / 2) if item.state == "left" else item)
            continue
        key = _key(item, device)
        rate, basis = (rates[key], "rows") if key in rates else (timed.get(key), "timed")
        if rate is None:
            found.append(item)
            continue
        visits = len(splits[item.run.system.protocol].fold(item.run.fold).train)
        epochs = _epochs(resolve(item.run)[0])
        beside = scale * drawn_share(item.run, splits, cohort) if basis == "timed" else 1.0
        seconds = rate * visits * epochs * beside + FIXED
        found.append(dataclasses.replace(item, seconds=seconds, basis=basis))
    return found


def _scale(rates: Mapping[str, float], timed: Mapping[str, float | None]) -> float:
    """What real epochs take for each second of timed steps: the median of runs that were both, else `BESIDE`."""
    plain = {key: rate for key, rate in rates.items() if not key.endswith((" over", " under"))}
    found = [rate / steps for key, rate in plain.items() if (steps := timed.get(key))]
    return statistics.median(found) if found else BESIDE


def _key(item: Item, device: str) -> str:
    recipe, config = resolve(item.run)
    return _named(item.run.system.method, getattr(config, "trunk", None), recipe, device)


def _named(method: str, trunk: str | None, recipe: Recipe, device: str) -> str:
    balance = "" if recipe.balance == "none" else f" {recipe.balance}"
    return f"{method} {trunk or '-'} {recipe.size} {device}{balance}"


def drawn_share(run: Run, splits: Mapping[str, Split], cohort: Cohort) -> float:
    """Rows of an epoch over training visits: other than 1 where rare labels are drawn more often, or less.

    It is counted over visits, also where the run draws single eyes.
    """
    recipe = resolve(run)[0]
    if recipe.balance == "none":
        return 1.0
    split = splits[run.system.protocol]
    chosen = set(split.fold(run.fold).train)
    visits = [visit for visit in split.protocol.view(cohort).visits if visit.id in chosen]
    values, known = label_arrays([visit.labels for visit in visits], len(cohort.vocabulary))
    return make_sampler(recipe, Rows(values, known, cohort.vocabulary.codes)).count / len(visits)


def _epochs(recipe: Recipe) -> float:
    """Epochs as if all were at the full size."""
    return sum((recipe.side_at(epoch) / recipe.size) ** 2 for epoch in range(recipe.epochs))


def _from_rows(site: Site, device: str) -> dict[str, float]:
    """Rates of the runs that are done, the median of several."""
    seen: dict[str, list[float]] = {}
    for path in sorted((site.out / "rows").glob("*.json")):
        row = read_json(path)
        if row.get("train_seconds") and row["device"] == device:
            names = ("size", "start_size", "balance", "balance_factors")
            known = {name: row["recipe"][name] for name in names if name in row["recipe"]}
            recipe = fill(Recipe, {**known, "epochs": row["epochs"]}, str(path))
            key = _named(row["method"], row["config"].get("trunk"), recipe, device)
            seen.setdefault(key, []).append(row["train_seconds"] / (row["train_visits"] * _epochs(recipe)))
    return {key: statistics.median(values) for key, values in seen.items()}


@dataclass(frozen=True)
class Timer:
    """Times each in a process of its own, so that memory comes back and a crash stays there; None where it failed."""

    track: Track
    say: Say

    def __call__(self, items: Mapping[str, Item], site: Site, vocabulary: Vocabulary) -> dict[str, float | None]:
        self.say(f"timing a few steps of {len(items)} kinds of run, once; later calls know them")
        found: dict[str, float | None] = {}
        device = "cuda" if site.devices[0] is not None else "cpu"
        for key, item in self.track(list(items.items()), "timing a few steps"):
            recipe, config = resolve(item.run)
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                try:
                    run = (item.run.system.method, config, recipe)
                    asked = pool.submit(seconds_a_visit, run, vocabulary, device, site.threads)
                    found[key] = asked.result()
                except (EyegroundError, RuntimeError, BrokenProcessPool):
                    found[key] = None  # the run itself will say what is wrong
        return found


def seconds_a_visit(run: tuple[str, Any, Recipe], vocabulary: Vocabulary, device: str, threads: int = 0) -> float:
    """Seconds for one visit of a training step: the quicker of two after a first that does not count.

    Args:
        run: method, its configuration and the recipe. threads: processor threads as the run has them; 0: the default.
    """
    method, config, recipe = run
    module = find_method(method)
    if threads:
        torch.set_num_threads(threads)
    if hasattr(config, "trunk_weights"):
        config = dataclasses.replace(config, trunk_weights="none")
    count = recipe.batch_size if device == "cuda" else min(recipe.batch_size, ON_PROCESSOR)
    model = module.build(config, vocabulary, recipe.size)
    model = model.to(device, memory_format=torch.channels_last).train()  # as in a training
    optimizer = make_optimizer(model, recipe)
    batch = made_batch(count, recipe.size, len(vocabulary)).to(torch.device(device))
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda" and recipe.precision != "32-true"):
            total = module.loss(model, batch, config)["total"]
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    return min(taken[1:]) / count


def made_batch(count: int, size: int, labels: int) -> Batch:
    """Noise with both eyes and labels of all kinds."""
    generator = torch.Generator().manual_seed(0)
    truth = (torch.rand(count, 2, labels, generator=generator) < 0.3).float()
    return Batch(
        fundus=torch.rand(count, 2, 3, size, size, generator=generator),
        seen=torch.ones(count, 2, dtype=torch.bool),
        labels=truth.amax(1),
        known=torch.ones(count, labels, dtype=torch.bool),
        eye_labels=truth,
        eye_known=torch.ones(count, 2, labels, dtype=torch.bool),
        ids=tuple(map(str, range(count))),
    )


def total_minutes(items: Iterable[Item]) -> float:
    """Of all that is left, one after the other."""
    return sum(item.seconds or 0.0 for item in items if item.state == "left") / 60
