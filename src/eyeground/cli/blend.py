"""`eyeground blend`: several networks and both eyes, blended; or a blend at work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich import box
from rich.table import Table

from eyeground.cli.cohort_options import CohortSource
from eyeground.cli.console import note, out, parse, print_json, track, warn
from eyeground.cli.judged_options import JudgedOn
from eyeground.cli.tables import number
from eyeground.errors import UsageError
from eyeground.metrics.compare_pairs import Rules
from eyeground.nets.trees import Growth
from eyeground.runs import blend as blending
from eyeground.runs.blend_features import Wanted
from eyeground.runs.blend_folder import check_out, load_blend, load_networks, writing
from eyeground.runs.blend_judged import judge_all, save_judged, systems_of
from eyeground.runs.blender import Settings
from eyeground.runs.place import Place
from eyeground.runs.unseen import Asked

FLAT = tyro.conf.arg(name="")


@dataclass(frozen=True)
class Flags:
    """Blends several networks' answers to both eyes, fitted on validation visits and judged on the test part.

    With --apply FOLDER a fitted blend writes predictions of a cohort.
    """

    source: Annotated[CohortSource, FLAT]
    bundles: tuple[Path, ...] = ()
    """The networks: bundles trained on one split and fold. With --apply only where they are elsewhere now."""
    kind: Literal["forest", "dense", "mean"] = "forest"
    """What blends: a random forest for each label, six small dense nets, or the mean of the networks (the floor)."""
    features: Literal["logits", "pooled", "both"] = "logits"
    """What of each network and eye: its logits, the means of its trunk's maps (thousands of numbers), or both."""
    views: int = 0
    """Augmented views of each photograph whose mean and deviation are the features; 0 is the photograph itself."""
    fit: Literal["val", "train"] = "val"
    """The part it is fitted on. Training visits are too well remembered by the networks: such a blend is marked."""
    right_eye: bool = False
    """Tell the blend which eye is the right one; then an exchange of the eyes changes its answer."""
    trees: int = 300
    """Trees of each label's forest."""
    leaf: int = 5
    """Eyes in the smallest leaf of a tree."""
    nets: int = 6
    """Dense nets whose mean is the blend."""
    fewest: int = 5
    """Patients with, and without, a label that fitting needs."""
    rare_by_mean: bool = False
    """Labels with fewer are answered by the networks' mean in place of a refusal."""
    seed: int = 0
    """Of forests, nets, views, cross-fitting and resamples."""
    draws: int = 2000
    """Resamples of patients for the intervals of judgement and comparison."""
    both_eyes: bool = False
    """Judge (or answer) only visits of which both eyes can be read."""
    out: Path | None = None
    """Folder of the blend, with its judgement and every system's predictions."""
    apply: Path | None = None
    """A fitted blend's folder: write its predictions of this cohort, fit nothing."""
    predictions: Path | None = None
    """With --apply: the file to write, for `eyeground score`."""
    judged: Annotated[JudgedOn, FLAT] = field(default_factory=JudgedOn)
    json: bool = False
    """Print one JSON object and nothing else."""
    place: Annotated[Place, FLAT] = field(default_factory=Place)


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    flags = parse(Flags, argv, "blend")
    desk = blending.Desk(flags.place, track, note)
    if flags.apply is not None:
        return _apply(flags, flags.apply, desk)
    order = _order(flags)
    if flags.out is None or flags.predictions is not None:
        raise UsageError("give --out FOLDER for the blend; --predictions goes with --apply")
    if flags.judged.split is not None or flags.judged.part is not None:
        raise UsageError("a blend is fitted and judged on the networks' own split; --split and --part go with --apply")
    check_out(flags.out)
    models = load_networks(flags.bundles, flags.place)
    asked = flags.judged.of(flags.source.read())
    blend = blending.fit_blend(models, asked, order, desk)
    test = Asked(asked.cohort, None, "test", asked.other_cohort, asked.allow_leaky)
    answers = blending.gather(models, test, order.wanted, desk)
    answers = blending.with_both_eyes(answers) if flags.both_eyes else answers
    systems = systems_of(blend, models, answers)
    record = judge_all(blend, models, answers, systems, Rules(draws=flags.draws, seed=flags.seed))
    with writing(flags.out, blend, [model.bundle for model in models]) as folder:
        save_judged(folder, record, systems, answers, blend.vocabulary.codes)
    for key in ("stamp", "note"):
        if key in record:
            warn(record[key])
    if flags.json:
        print_json(record)
    else:
        _print(record)
    return 0


def _order(flags: Flags) -> blending.Order:
    """What to fit. Raises `UsageError` for numbers that make no sense."""
    for name, low in (("views", 0), ("trees", 1), ("leaf", 1), ("nets", 1), ("fewest", 1), ("seed", 0), ("draws", 100)):
        if getattr(flags, name) < low:
            raise UsageError(f"--{name} {getattr(flags, name)}: give {low} or more")
    growth = Growth(flags.trees, flags.leaf, flags.seed)
    settings = Settings(flags.kind, growth, flags.nets, flags.fewest, flags.rare_by_mean, flags.right_eye)
    return blending.Order(Wanted(flags.features, flags.views, flags.seed), settings, flags.fit)


def _apply(flags: Flags, folder: Path, desk: blending.Desk) -> int:
    if flags.predictions is None or flags.out is not None:
        raise UsageError("--apply writes predictions: give --predictions FILE.csv, and no --out")
    blend, models = load_blend(folder, flags.place, flags.bundles)
    asked = flags.judged.of(flags.source.read())
    count = blending.apply_blend(blend, models, asked, desk, flags.predictions, flags.both_eyes)
    told: dict[str, Any] = {"visits": count, "predictions": str(flags.predictions), "stamp": blend.stamp}
    for text in (blend.stamp, blend.note):
        if text:
            warn(text)
    if flags.json:
        print_json(told)
    else:
        out.print(f"predictions of {count} visits in {flags.predictions}", markup=False)
    return 0


def _print(record: dict[str, Any]) -> None:
    fitted = record["fitted_on"]
    table = Table(
        title=f"{record['part']} part, {record['visits']} visits, {record['both_eyes']} with both eyes; fitted on "
        f"{fitted['eyes']} eyes of the {fitted['part']} part",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("")
    for heading in ("macro AUC", "95 %", "macro AP", "final"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, row in record["judged"].items():
        low, high = row["intervals"]["macro_auc"] or (None, None)
        cells = (number(row["macro_auc"]), f"{number(low)}–{number(high)}", number(row["macro_ap"]))
        table.add_row(name, *cells, number(row["final"]))
    out.print(table)
    for what, found in record["compared"].items():
        for pair in found["pairs"] if found else ():
            out.print(f"by {what}: {pair['verdict']}.", markup=False, soft_wrap=False, width=80)
    out.print(f"leak audit: {record['leak_audit']['text']}", markup=False)
