"""`train` as a user means it: from a cohort and a split to a bundle, with the leak audit before the first step."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from safetensors.torch import save
from torch import nn

from eyeground import DISCLAIMER, __version__
from eyeground.batches import VisitSet
from eyeground.cohorts.part_counts import part_counts
from eyeground.errors import DataError, UsageError
from eyeground.files import digest, sha256_of
from eyeground.images.prepare import Preprocessing
from eyeground.leaks import audit
from eyeground.metrics.calibration import Calibration, fit_temperature
from eyeground.metrics.judge import judge
from eyeground.metrics.thresholds import choose
from eyeground.progress import Track
from eyeground.records import Cohort
from eyeground.runs import bundle
from eyeground.runs.data import PreparedVisits, prepare_visits
from eyeground.runs.inherit import Inherited, inherit
from eyeground.runs.machine import Machine, launch
from eyeground.runs.predict import predict
from eyeground.runs.recipe import Recipe
from eyeground.runs.train import Job, train
from eyeground.settings import plain
from eyeground.splits import Parts, Split

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What a training run is asked to do.

    `cohort` is as it was read. `mirrored`: the bundle answers with the mean over a visit and its mirror image; training
    itself does not change. `allow_leaky`: go on where the split is of a leaky protocol; every number is stamped.
    `init`: a bundle whose trunk this one starts from.
    """

    cohort: Cohort
    split: Split
    fold: int
    method: str
    config: Any
    recipe: Recipe
    machine: Machine
    out: Path
    mirrored: bool = False
    allow_leaky: bool = False
    init: Path | None = None

    @property
    def stamp(self) -> str | None:
        """What goes with every number of this run; None unless the split's protocol is leaky."""
        return self.split.stamp(self.fold)


def fit(plan: Plan, track: Track, say: Say, tensorboard: bool = False) -> Path:
    """Trains and writes `out/bundle`; called again after a kill it goes on, called again when done it says so.

    Returns:
        the bundle's folder.

    Raises:
        LeakError: a patient or photograph of the training part is also in the validation or test part (unless the split
            is of a leaky protocol and that was allowed).
        DataError, UsageError, TrainingError: with one sentence each.
    """
    parts = plan.split.fold(plan.fold)
    plan.split.protocol.require_allowed(plan.allow_leaky, "the split")
    plan = replace(plan, cohort=plan.split.protocol.view(plan.cohort))
    unknown = plan.split.check_against(plan.cohort)
    if unknown:
        say(f"{len(unknown)} visits with images are not in the split and take no part: {', '.join(unknown[:5])}")
    require_no_leak(plan.split, parts, plan.allow_leaky)
    inherited = inherit(plan.init, plan.split, plan.fold, plan.cohort) if plan.init else None
    if plan.stamp:
        say(f"warning: {plan.stamp}")
    recipe = plan.recipe
    preprocessing = Preprocessing(size=recipe.size, enhance=recipe.enhance)
    chosen = set(parts.train + parts.val)
    visits = [visit for visit in plan.cohort.with_images() if visit.id in chosen]
    machine = plan.machine
    prepared = prepare_visits(visits, preprocessing, machine.cache_path(), machine.workers, track)
    for text in prepared.unreadable:
        say(f"left out: {text}")
    _unchanged(plan.split, parts, prepared)
    if recipe.one_eye == "seen":
        prepared = prepared.seen_labels(plan.cohort.vocabulary)
    findings = common_keywords(plan.cohort, parts.train, getattr(plan.config, "findings", 0))
    job = _job(plan, parts, preprocessing, inherited, findings)
    fabric = launch(machine, recipe.precision)
    labels = len(plan.cohort.vocabulary)
    sets = (
        prepared.hold(parts.train, labels, machine, fabric.device, findings),
        prepared.hold(parts.val, labels, machine, fabric.device),
    )
    if not len(sets[0]) or not len(sets[1]):
        raise DataError(
            f"fold {plan.fold} has {len(sets[0])} training and {len(sets[1])} validation visits with images"
        )
    if fabric.is_global_zero:
        say(f"{len(sets[0])} training and {len(sets[1])} validation visits; {fabric.device}, {_precision(fabric)}")
    started = time.perf_counter()
    logger = _Tensorboard(plan.out) if tensorboard and fabric.is_global_zero else None
    model = train(job, sets, fabric, track, lambda row: _log(row, recipe, say, logger))
    folder = plan.out / "bundle"
    if fabric.is_global_zero:
        _write(plan, preprocessing, model, sets, fabric, inherited)
        say(f"{folder} written after {time.perf_counter() - started:.0f} s")
    fabric.barrier()
    return folder


def require_no_leak(split: Split, parts: Parts, allow_leaky: bool = False) -> None:
    """Raises `LeakError` when a patient or photograph of the training part is in the validation or test part.

    A leaky protocol parts them on purpose; it is refused unless it is allowed, and then not audited.
    """
    split.protocol.require_allowed(allow_leaky, "the split")
    if split.protocol.leaky:
        return
    train_prints = split.fingerprints_of(parts.train)
    for other in (parts.val, parts.test):
        found = audit(train_prints, split.fingerprints_of(other), same_cohort=True)
        found.require()


def _unchanged(split: Split, parts: Parts, prepared: PreparedVisits) -> None:
    """Photographs must be those that the split was made (and audited) on, and all of them."""
    hashes = prepared.hashes()
    readable = [one for one in split.fingerprints_of(parts.train + parts.val) if one.signature]
    gone = [one.shown for one in readable if (one.visit, one.side) not in hashes]
    if gone:
        raise DataError(
            f"{len(gone)} photographs of the split are not there or can't be read any more ({', '.join(gone[:3])}); "
            "bring them back, or make the split again"
        )
    known: dict[tuple[str, str], str] = {(one.visit, one.side): one.sha256 for one in split.fingerprints}
    changed = [f"{visit} {side}" for (visit, side), value in hashes.items() if known.get((visit, side)) != value]
    if changed:
        raise DataError(
            f"{len(changed)} photographs are not those the split was made on ({', '.join(changed[:3])}); "
            "make the split again"
        )


def common_keywords(cohort: Cohort, ids: Sequence[str], count: int) -> tuple[str, ...]:
    """The commonest keywords of these visits' photographs, Normal's apart, in lower case, the commonest first.

    Raises:
        UsageError: there are fewer than `count`.
    """
    if not count:
        return ()
    chosen = set(ids)
    eyes = [eye for visit in cohort.visits if visit.id in chosen for eye in visit.listed() if eye.path is not None]
    normal = [label.visit == "all" for label in cohort.vocabulary.labels]
    ill = [eye for eye in eyes if not any(state and all_ for state, all_ in zip(eye.labels, normal, strict=True))]
    tally = Counter(keyword.lower() for eye in ill for keyword in dict.fromkeys(eye.keywords))
    if len(tally) < count:
        raise UsageError(
            f"--findings {count}: the training eyes have {len(tally)} different keywords; lower it (0 teaches none)"
        )
    return tuple(sorted(tally, key=lambda name: (-tally[name], name))[:count])


def _job(
    plan: Plan, parts: Parts, preprocessing: Preprocessing, inherited: Inherited | None, findings: tuple[str, ...]
) -> Job:
    first = inherited.bundle if inherited else None
    described = {
        "method": plan.method,
        **{f"method.{key}": value for key, value in plain(plan.config).items()},
        **{f"recipe.{key}": value for key, value in plain(plan.recipe).items()},
        "split": plan.split.hash,
        "fold": plan.fold,
        "devices": plan.machine.devices * plan.machine.nodes,
        "init": first.digest[:12] if first else "none",
    }
    chosen = set(parts.train + parts.val)
    photographs = sorted(one.sha256 for one in plan.split.fingerprints_of(parts.train + parts.val))
    labels = [
        [visit.id, visit.labels, [eye.labels if eye else None for eye in visit.eyes]]
        for visit in plan.cohort.visits
        if visit.id in chosen
    ]
    described["labels"] = digest(labels)[:12]
    if findings:
        told = [[[e.keywords if e else None for e in v.eyes], v.id] for v in plan.cohort.visits if v.id in chosen]
        described["keywords"] = digest([findings, told])[:12]
    files = [*map(sha256_of, _files(plan.config).values()), *([first.digest] if first else [])]
    key = digest([described, photographs, preprocessing.digest, *files])
    vocabulary = plan.cohort.vocabulary
    return Job(plan.method, plan.config, plan.recipe, vocabulary, described, key, plan.out, plan.stamp, first)


def _precision(fabric: Any) -> str:
    return f"precision {fabric._precision.precision}, {torch.get_num_threads()} threads"


class _Tensorboard:
    """Scalars for TensorBoard, beside log.jsonl."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UsageError("--tensorboard needs the package tensorboard: pip install 'eyeground[track]'") from None
        self.writer = SummaryWriter(str(folder / "tensorboard"))

    def add(self, row: dict[str, Any]) -> None:
        for name, value in row.items():
            if isinstance(value, int | float):
                self.writer.add_scalar(name, value, row["epoch"])
        self.writer.flush()


def _log(row: dict[str, Any], recipe: Recipe, say: Say, logger: _Tensorboard | None) -> None:
    found = {key[4:]: value for key, value in row.items() if key.startswith("val_")}
    scores = "  ".join(f"{key} {'undefined' if value is None else f'{value:.3f}'}" for key, value in found.items())
    say(f"epoch {row['epoch']}/{recipe.epochs}  loss {row['loss_total']:.4f}  {scores}  {row['seconds']:.0f} s")
    if logger is not None:
        logger.add(row)


def _write(
    plan: Plan,
    preprocessing: Preprocessing,
    model: nn.Module,
    sets: tuple[VisitSet, VisitSet],
    fabric: Fabric,
    inherited: Inherited | None,
) -> None:
    """Fixes calibration, thresholds and evidence scale on the validation part, and writes the bundle."""
    training, validation = sets
    recipe, vocabulary = plan.recipe, plan.cohort.vocabulary
    found = predict(model, validation, recipe.batch_size, recipe.laterality, plan.mirrored, evidence=True)
    truth, known = validation.labels.numpy(), validation.known.numpy()
    calibration = fit_temperature(found.visit_logits, truth, known)
    probability = calibration.apply(found.visit_logits)
    chosen = choose(truth, known, probability, vocabulary, recipe.threshold_rule)
    values = [one.value for one in chosen]
    stamp = {"stamp": plan.stamp} if plan.stamp else {}
    place = {"part": "val", "split_hash": plan.split.hash, "fold": plan.fold, "n": len(validation)}
    tables = {
        "config.toml": {
            "method": {"name": plan.method, **_portable(plan.config)},
            "recipe": plain(recipe),
            "predict": {"mirrored": plan.mirrored},
            "data": {
                "layout": plan.cohort.layout,
                "fold": plan.fold,
                "split_hash": plan.split.hash,
                "protocol": plan.split.protocol.brief(),
                **stamp,
                "train_visits": len(training),
                **({"findings": list(training.named)} if training.named else {}),
                "precision": fabric._precision.precision,
                "processes": fabric.world_size,
                "device": fabric.device.type,
                "eyeground_version": __version__,
                **({"init": inherited.bundle.digest} if inherited else {}),
            },
        },
        **(inherited.tables() if inherited else {}),
        "vocabulary.json": vocabulary.to_dict(),
        "preprocess.json": preprocessing.to_dict(),
        "calibration.json": calibration.to_dict(),
        "thresholds.json": {
            "rule": recipe.threshold_rule,
            "chosen_on": place,
            "values": {one.code: one.value for one in chosen},
            "labels": [one.to_dict() for one in chosen],
        },
        "metrics.json": {
            **stamp,
            **place,
            "note": "on the part that chose epoch, calibration and thresholds: optimistic",
            "parts": {"train": _people(plan.cohort, training), "val": _people(plan.cohort, validation)},
            "validation": judge(truth, known, probability, vocabulary, values),
            "evidence_scale": evidence_scale(found.evidence, [label.visit == "all" for label in vocabulary.labels]),
        },
    }
    texts = {"card.md": _card(plan, calibration, len(training), len(validation)), "LICENSE": license_text()}
    with bundle.writing(plan.out / "bundle", tables, texts) as aside:
        plan.split.save(aside / "split.json")
        weights = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
        (aside / "weights.safetensors").write_bytes(save(weights, {"eyeground": __version__}))


def _people(cohort: Cohort, held: VisitSet) -> dict[str, Any]:
    """Who was learnt from or chosen on, with the labels as they were used; see `part_counts`."""
    visits = {visit.id: visit for visit in cohort.visits}
    rows = zip(held.ids, held.labels.tolist(), held.known.tolist(), strict=True)
    used = []
    for name, values, known in rows:
        states = (int(value) if here else None for value, here in zip(values, known, strict=True))
        used.append(replace(visits[name], labels=tuple(states)))
    return part_counts(used, cohort.vocabulary)


def _portable(config: Any) -> dict[str, Any]:
    """The method's fields; a file, of weights or word vectors, keeps its name but not its place on this machine."""
    files = _files(config)
    return {key: files[key].name if key in files else value for key, value in plain(config).items()}


def _files(config: Any) -> dict[str, Path]:
    """The method's fields that name a file which is there."""
    texts = {key: Path(value) for key, value in plain(config).items() if isinstance(value, str)}
    return {key: path for key, path in texts.items() if path.suffix and path.is_file()}


def evidence_scale(evidence: np.ndarray | None, every: list[bool]) -> float | None:
    """What counts as strong evidence: the 99.5th percentile of the positive evidence of all disease labels.

    Args:
        evidence: (n, E, C, h, w) logit units, NaN where no eye; every: labels that need all eyes (Normal) are left out.

    Returns:
        None where the method has no evidence maps.
    """
    if evidence is None:
        return None
    values = evidence[:, :, ~np.array(every)]
    positive = values[values > 0]
    return float(np.percentile(positive, 99.5)) if positive.size else 1.0


def license_text() -> str:
    """Terms that travel with a bundle."""
    return (resources.files("eyeground.runs") / "bundle_license.md").read_text(encoding="utf-8")


def _card(plan: Plan, calibration: Calibration, n_train: int, n_val: int) -> str:
    """What a reader must know before using the model; only what the run itself proves."""
    stamped = f"\n**{plan.stamp}.**\n" if plan.stamp else ""
    return f"""# Model card

{DISCLAIMER}
{stamped}
| | |
|---|---|
| made by | eyeground {__version__}, method `{plan.method}` |
| trained on | {n_train} visits (`{plan.cohort.layout}`), split {plan.split.hash[:12]}, fold {plan.fold} |
| protocol | {plan.split.protocol.name}, hash {plan.split.protocol.hash[:12]} |
| labels | {", ".join(f"{label.code} {label.name}" for label in plan.cohort.vocabulary.labels)} |
| input | colour fundus photographs, left and right, cropped to the field of view, {plan.recipe.size} px |
| epoch, temperature and thresholds chosen on | {n_val} validation visits (temperature {calibration.temperature:.2f}) |
| numbers | `metrics.json`: on the validation part, therefore optimistic; `eyeground evaluate` judges the test part |

The terms of the training data apply to this model beside those of the code. Other cameras, populations, ages and image
qualities than those of the training visits have not been tested by this run.
"""
