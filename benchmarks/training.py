"""Does loading keep up? Photographs a second of real training, beside the same loop fed with tensors that are there.

All contenders run the same epoch function on the same model, in turn within each round; a contender's figure is its
best round. `tensors, no augmentation` shows what augmenting on the device costs.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eyeground.batches import Batch, VisitSet
from eyeground.cohorts import read_cohort
from eyeground.images.prepare import Preprocessing
from eyeground.methods.pair import Config
from eyeground.phantom import make_cohort
from eyeground.progress import quiet
from eyeground.runs.data import prepare_visits
from eyeground.runs.machine import Machine, launch
from eyeground.runs.recipe import Recipe
from eyeground.runs.train import Job, Trainee, run_epoch
from eyeground.vocabulary import ODIR

PATIENTS, ROUNDS, FLOOR = 64, 3, 0.9
RECIPE = Recipe(size=256, batch_size=16, epochs=1000)
STILL = replace(RECIPE, rotate=0, zoom=0, shift=0, brightness=0, contrast=0, saturation=0, laterality="keep")


class Tensors(VisitSet):
    """The same visits, but every batch is one that is already on the device."""

    def __init__(self, like: VisitSet) -> None:
        self.__dict__.update(like.__dict__)
        rows = torch.arange(RECIPE.batch_size)
        self.ready = next(like.batches([rows]))

    def batches(self, order: Sequence[Tensor]) -> Iterator[Batch]:
        return (self.ready for _ in order)


def run() -> dict[str, Any]:
    """Measures and prints; returns the figures."""
    machine = Machine()
    fabric = launch(machine, "auto")
    with tempfile.TemporaryDirectory() as folder:
        make_cohort(Path(folder) / "cohort", PATIENTS, size=256, workers=2)
        cohort = read_cohort("odir", Path(folder) / "cohort")
        visits = cohort.with_images()
        prepared = prepare_visits(visits, Preprocessing(256), Path(folder) / "cache", 2, quiet)
        ids = [visit.id for visit in visits]
        kept = prepared.hold(ids, len(ODIR), machine, fabric.device)
        read = prepared.hold(ids, len(ODIR), replace(machine, keep="disk"), fabric.device)
        job = Job("pair", Config("mobilenetv2_100", "none"), RECIPE, ODIR, {}, "", Path(folder))
        still = replace(job, recipe=STILL)
        trainee = Trainee(job, kept, fabric)
        contenders: dict[str, Callable[[], Any]] = {
            "tensors": lambda: run_epoch(job, trainee, Tensors(kept), fabric, quiet),
            f"photographs, {kept.pixels.keep}": lambda: run_epoch(job, trainee, kept, fabric, quiet),
            "photographs, disk": lambda: run_epoch(job, trainee, read, fabric, quiet),
            "tensors, no augmentation": lambda: run_epoch(still, trainee, Tensors(kept), fabric, quiet),
        }
        best = dict.fromkeys(contenders, float("inf"))
        for epoch in contenders.values():  # warm up
            epoch()
        for _ in range(ROUNDS):
            for name, epoch in contenders.items():
                started = time.perf_counter()
                epoch()
                best[name] = min(best[name], time.perf_counter() - started)
    eyes = 2 * PATIENTS
    rates = {name: eyes / seconds for name, seconds in best.items()}
    rows = [
        {"name": name, "photographs_per_s": round(rate, 2), "of_tensors": round(rate / rates["tensors"], 3)}
        for name, rate in rates.items()
    ]
    print(f"MobileNetV2 `pair`, 256 px, {RECIPE.batch_size} visits a step, {fabric.device}")
    for row in rows:
        print(f"{row['name']:<28} {row['photographs_per_s']:>8.1f} photographs/s  {row['of_tensors']:.2f} of tensors")
    print(f"floor for training from photographs: {FLOOR} of tensors")
    return {"device": str(fabric.device), "eyes": eyes, "rounds": ROUNDS, "floor": FLOOR, "rows": rows}
