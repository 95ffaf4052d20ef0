"""The loop: one file to read. Fabric gives device, precision and processes; everything else is here.

Killed at any moment, the same call goes on from the last whole epoch and ends with the same weights: order,
augmentation and dropout are drawn from (seed, epoch), never from a generator that has lived longer than an epoch.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from eyeground.augment import apply, canonical, draw
from eyeground.batches import Batch, VisitSet
from eyeground.errors import TrainingError, UsageError
from eyeground.methods import find_method
from eyeground.metrics.calibration import sigmoid
from eyeground.metrics.judge import judge
from eyeground.mixing import draw_mix, mixed
from eyeground.progress import Track
from eyeground.runs import checkpoint
from eyeground.runs.bundle import Bundle
from eyeground.runs.inherit import start_trunk
from eyeground.runs.optimise import freeze, make_optimizer, set_lr
from eyeground.runs.predict import predict
from eyeground.runs.recipe import Recipe
from eyeground.sampling import Rows, Sampler, Sampling, make_sampler
from eyeground.sampling.curriculum import group_weights
from eyeground.vocabulary import Vocabulary

CHECK_EVERY = 50
"""Steps between looks at whether the loss is still a number (a look waits for a GPU)."""

Logger = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Job:
    """What decides the result of a training run.

    `described` says it in words, `digest` covers that and the data: labels, photographs, preprocessing, trunk weights.
    `stamp` is a leaky protocol's, and goes into every row of the log. `init`: the bundle that gives the first trunk.
    """

    method: str
    config: Any
    recipe: Recipe
    vocabulary: Vocabulary
    described: dict[str, Any]
    digest: str
    folder: Path
    stamp: str | None = None
    init: Bundle | None = None


class Trainee:
    """Model, averaged weights, optimiser and how far they are."""

    def __init__(self, job: Job, train: VisitSet, fabric: Fabric) -> None:
        method = find_method(job.method)
        if job.recipe.mix != "none" and job.vocabulary.kind != "multilabel":
            raise UsageError(
                f"--mix {job.recipe.mix} joins labels, and those of this cohort exclude each other; use none"
            )
        torch.manual_seed(job.recipe.seed)
        model = method.build(job.config, job.vocabulary, job.recipe.size)
        if hasattr(method, "start"):
            count = len(job.vocabulary)
            method.start(model, job.config, train.eye_labels.reshape(-1, count), train.eye_known.reshape(-1, count))
        if job.init is not None:
            start_trunk(model, job.init)
        if job.recipe.trunk_lr == 0:
            freeze(model)
        model = model.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(model).to(fabric.device).requires_grad_(False).eval()
        optimizer = make_optimizer(model, job.recipe)
        self.model, self.optimizer = fabric.setup(model, optimizer)
        self.every = torch.tensor([label.visit == "all" for label in job.vocabulary.labels])
        rows = Rows(train.labels.numpy(), train.known.numpy(), job.vocabulary.codes, tuple(self.every.tolist()))
        self.sampler = make_sampler(job.recipe, rows)
        self.epoch = 0
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Tensor] = {}

    def state(self, job: Job) -> checkpoint.State:
        return {
            "job": job.digest,
            "described": job.described,
            "epoch": self.epoch,
            "history": self.history,
            "model": self.model.module.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
        }

    def resume(self, state: checkpoint.State) -> None:
        try:
            self.model.module.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError, KeyError) as error:
            raise UsageError(
                f"the run's checkpoint does not fit this version of the model ({str(error).splitlines()[-1].strip()}); "
                "choose another --out"
            ) from error
        self.epoch, self.history, self.best = state["epoch"], state["history"], state["best"]

    @torch.no_grad()
    def follow(self, decay: float, step: int) -> None:
        """Moves the averaged weights towards the model's; early steps count more. Integers are copied."""
        weight = 1 - min(decay, (1 + step) / (10 + step))
        ours, theirs = self.average.state_dict(), self.model.module.state_dict()
        pairs = [(ours[key], theirs[key]) for key in ours]
        floats = [(a, b) for a, b in pairs if a.is_floating_point()]
        torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], weight)
        for a, b in pairs:
            if not a.is_floating_point():
                a.copy_(b)


def train(
    job: Job, sets: tuple[VisitSet, VisitSet], fabric: Fabric, track: Track, log: Logger = lambda row: None
) -> nn.Module:
    """Trains to the last epoch, going on where an earlier call was stopped; returns the weights to keep, in eval mode.

    Args:
        sets: training and validation visits.
        log: is given one row of numbers after each epoch.

    Raises:
        TrainingError: the loss is not a number any more, or memory is short.
        UsageError: the folder holds a run with other settings.
    """
    training, validation = taught(sets[0], job.recipe), sets[1]
    trainee = Trainee(job, training, fabric)
    found = checkpoint.load(job.folder, job.digest, job.described)
    if found is not None:
        trainee.resume(found)
    while trainee.epoch < job.recipe.epochs:
        started = time.perf_counter()
        try:
            losses = run_epoch(job, trainee, training, fabric, track)
            scores = _validate(job, trainee.average, validation, fabric)
        except (torch.OutOfMemoryError, RuntimeError, ValueError) as error:
            raise _told(error, job.recipe) from error
        row: dict[str, Any] = {
            "epoch": trainee.epoch + 1,
            **losses,
            **scores,
            "seconds": round(time.perf_counter() - started, 1),
        }
        row = {**row, **({"stamp": job.stamp} if job.stamp else {})}
        judged = [old["select"] for old in trainee.history if old["select"] is not None]
        score = scores["select"]  # None where no label has both kinds: then the latest weights are kept
        if job.recipe.select == "last" or score is None or score > max(judged, default=-1.0):
            trainee.best = {key: value.detach().cpu().clone() for key, value in trainee.average.state_dict().items()}
        trainee.history.append(row)
        trainee.epoch += 1
        if fabric.is_global_zero:
            checkpoint.save(job.folder, trainee.state(job))
            log(row)
        fabric.barrier()
    trainee.average.load_state_dict(trainee.best)
    return trainee.average


def taught(data: VisitSet, sampling: Sampling) -> VisitSet:
    """The training visits as the recipe wants them taught: their eyes' labels, photographs by themselves, weights."""
    if sampling.eye_labels == "visit":
        data = data.visit_labels_to_eyes()
    data = data.by_eye() if sampling.unit == "eye" else data
    weight = group_weights(sampling, Rows(data.labels.numpy(), data.known.numpy(), ()))
    return data.weighted(None if weight is None else torch.from_numpy(weight))


def order_of(sampler: Sampler, recipe: Recipe, epoch: int, fabric: Fabric) -> list[Tensor]:
    """This process's row numbers, a tensor per step: what the sampler draws, in batches as even as they can be."""
    drawn = sampler.draw(epoch, recipe.epochs, np.random.Generator(np.random.PCG64([recipe.seed, epoch])))
    together = recipe.batch_size * fabric.world_size
    steps = np.array_split(drawn, max(1, round(len(drawn) / together)))
    return [torch.from_numpy(step[fabric.global_rank :: fabric.world_size].copy()) for step in steps]


def run_epoch(job: Job, trainee: Trainee, data: VisitSet, fabric: Fabric, track: Track) -> dict[str, float]:
    """One pass over the training visits; returns the mean of each part of the loss."""
    recipe, method = job.recipe, find_method(job.method)
    trainee.model.train()
    if recipe.trunk_lr == 0:
        freeze(trainee.model.module)
    torch.manual_seed(recipe.seed + 1_000_003 * (trainee.epoch + 1) + fabric.global_rank)
    generator = torch.Generator().manual_seed(torch.initial_seed() ^ 0x5EED)
    order = order_of(trainee.sampler, recipe, trainee.epoch, fabric)
    side = recipe.side_at(trainee.epoch)
    first, steps = trainee.epoch * len(order), recipe.epochs * len(order)
    sums: dict[str, Tensor] = {}
    label = f"epoch {trainee.epoch + 1}/{recipe.epochs}"
    for step, batch in enumerate(track(data.batches(order), label, len(order))):
        batch = prepare_batch(batch, recipe, generator, side, trainee.every)
        set_lr(trainee.optimizer, recipe.lr_at(first + step, steps, recipe.epochs))
        parts = method.loss(trainee.model, batch, job.config)
        trainee.optimizer.zero_grad(set_to_none=True)
        fabric.backward(parts["total"])
        limit = recipe.clip or torch.inf
        norm = fabric.clip_gradients(trainee.model, trainee.optimizer, max_norm=limit, error_if_nonfinite=False)
        assert norm is not None
        trainee.optimizer.step()
        trainee.follow(recipe.ema, first + step)
        for name, value in {**parts, "gradient": norm}.items():
            sums[name] = sums.get(name, torch.zeros((), device=fabric.device)) + value.detach()
        if step % CHECK_EVERY == 0 or step + 1 == len(order):
            _finite(sums, trainee.epoch, step, batch)
    return {f"loss_{name}": float(value) / len(order) for name, value in sums.items()}


def prepare_batch(batch: Batch, recipe: Recipe, generator: torch.Generator, side: int, every: Tensor) -> Batch:
    """Augments a batch on its device, to `side` pixels, then mixes its visits. every: bool (C,), see `mixed`."""
    batch = canonical(apply(batch, draw(len(batch), recipe, generator), side), recipe.laterality)
    return mixed(batch, draw_mix(len(batch), recipe, generator), every)


def _finite(sums: dict[str, Tensor], epoch: int, step: int, batch: Batch) -> None:
    bad = [name for name, value in sums.items() if not torch.isfinite(value)]
    if bad:
        raise TrainingError(
            f"the {bad[0]} is not a number any more at epoch {epoch + 1}, step {step + 1} or up to {CHECK_EVERY} steps "
            f"before (visits {', '.join(batch.ids[:4])}…); lower --lr, or train with --precision 32-true. "
            "The last whole epoch is kept"
        )


def _told(error: Exception, recipe: Recipe) -> Exception:
    """The failures that a user can mend, in a sentence; all others as they came."""
    text = str(error)
    if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in text or "not enough memory" in text:
        return TrainingError(
            f"not enough memory for --batch-size {recipe.batch_size} at --size {recipe.size}; "
            "lower --batch-size (or --size), or set --keep disk"
        )
    if "more than 1 value per channel" in text:  # torch's batch normalisation
        return TrainingError(
            f"a step with one eye whose map has one element can't be normalised (--batch-size {recipe.batch_size}, "
            f"--size {recipe.size}); raise either"
        )
    return error


def _validate(job: Job, model: nn.Module, data: VisitSet, fabric: Fabric) -> dict[str, float | None]:
    """Scores of the averaged weights on the validation visits; `select` is what the best epoch is chosen by."""
    logits = predict(model, data, job.recipe.batch_size, job.recipe.laterality).visit_logits
    if not np.isfinite(logits).all():
        raise TrainingError("the model's answers on the validation visits are not numbers any more; lower --lr")
    found = judge(data.labels.numpy(), data.known.numpy(), sigmoid(logits), job.vocabulary)
    names = ("macro_auc", "macro_ap", "final")
    both = [found[name] for name in names[:2] if found[name] is not None]
    scores: dict[str, float | None] = {f"val_{name}": found[name] for name in names}
    return {**scores, "select": float(np.mean(both)) if both else None}
