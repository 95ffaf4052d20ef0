"""Whether maps show the lesions, in one record: FROC, pixel measures and image-level areas with intervals.

`score_lesions` looks at each photograph once: its masks are loaded, turned into counts and let go. Intervals draw
patients with replacement; the same draws serve every number. docs/lesion_score.md defines each number and option.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eyeground.errors import UsageError
from eyeground.metrics.auc_interval import auc_interval
from eyeground.metrics.froc import Counts, curve, numbers
from eyeground.metrics.lesion_counts import FALSE, POOLED, Held, Sweep, Swept, counts_of, peaks_held, swept
from eyeground.metrics.lesion_rules import Rules
from eyeground.metrics.lesions import Lesions, find_lesions
from eyeground.metrics.map_grid import Blocks, Floats, Grid, LesionImage, blocks_of, levels_of, on_blocks, thinned
from eyeground.metrics.pixel_maps import BINS, NAMES, PixelCounts, drawn_numbers, overlap_at, pixel_counts
from eyeground.metrics.ranking import auc
from eyeground.metrics.resample import Plan, percentile, weights_of

POINTS = 200
"""A curve in the record has at most about this many points."""
NOTE = (
    "Percentile bootstrap over patients. With few photographs it is too short: every draw repeats the same few, "
    "and with 16 a nominal 95 % covers less. It says nothing about another training run or another camera."
)


@dataclass(frozen=True)
class Asking:
    """What is reported besides the rules.

    Attributes:
        thresholds: values of the map at which IoU and Dice are stated.
        level: of the intervals. plan: of the draws; `draws=0` leaves intervals out.
        grid: what pixel measures and components are worked out on.
    """

    thresholds: tuple[float, ...] = ()
    level: float = 0.95
    plan: Plan = field(default_factory=Plan)
    grid: Grid = field(default_factory=Grid)


@dataclass(frozen=True)
class _Seen:
    """What remains of one photograph."""

    found: list[Held | Swept]
    pixels: PixelCounts
    about: dict[str, dict[str, Any]]
    top: float


@dataclass(frozen=True)
class _Job:
    """What one look at a photograph needs besides the rules: thresholds of pixel measures (bins,), falling."""

    grid: Grid
    bins: Floats


def score_lesions(
    images: Sequence[LesionImage],
    kinds: Sequence[str],
    rules: Rules | Sequence[Rules] = (),
    asking: Asking | None = None,
) -> dict[str, Any]:
    """Holds maps against lesion masks.

    Args:
        images: photographs with their maps; those without lesions are negatives. Thresholds are shared by all of
            them, so all maps are on one scale.
        kinds: the lesion types to ask for (of IDRiD, leave the optic disc out); others that `masks` gives are not
            looked at.
        rules: one or several ways of counting; each gives an entry of `froc`. Without any, the defaults.
        asking: see there.

    Returns:
        JSON-able: `n_images, n_patients, types, intervals, grid, froc, pixels, image_level` and the options of each;
        undefined numbers are None with the counts beside. docs/lesion_score.md names every key.

    Raises:
        UsageError: no photograph or type, or a type that is asked for twice or called "all".
        DataError: a map or mask that does not fit its photograph.
    """
    asked, every = asking or Asking(), [rules] if isinstance(rules, Rules) else list(rules) or [Rules()]
    if not images or not kinds or POOLED in kinds or len(set(kinds)) < len(kinds):
        raise UsageError(
            f"give photographs ({len(images)}) and lesion types, each once and none '{POOLED}': {list(kinds)}"
        )
    samples = [thinned(_placed(image, asked.grid)[1]) for image in images]
    sweeps = _sweeps(every, samples)
    levels = [next((part.levels for part in sweeps if one in part.rules), np.empty(0)) for one in every]
    bins = np.unique(np.concatenate([levels_of(samples, BINS), np.asarray(asked.thresholds, np.float64)]))[::-1]
    seen = [_look(image, kinds, every, sweeps, _Job(asked.grid, bins)) for image in images]
    weights = _weights(images, asked.plan)
    patients = len({_patient(image, k) for k, image in enumerate(images)})
    froc = [
        {"rules": one.to_dict(), **_froc([part.found[k] for part in seen], kinds, one, levels[k], weights, asked.level)}
        for k, one in enumerate(every)
    ]
    bootstrap = {"method": "percentile", "unit": "patient", "level": asked.level, "draws": len(weights)}
    return {
        "n_images": len(images),
        "n_patients": patients,
        "types": [_about(seen, kind) for kind in (*kinds, POOLED)],
        "intervals": {**bootstrap, "seed": asked.plan.seed, "note": NOTE},
        "grid": {"cells": asked.grid.cells, "interpolation": asked.grid.interpolation, "pooling": asked.grid.pooling},
        "froc": froc,
        "pixels": [_pixels(seen, kind, bins, weights, asked) for kind in (*kinds, POOLED)],
        "image_level": [_image_level(seen, kind, images, asked.level) for kind in (*kinds, POOLED)],
    }


def _sweeps(rules: Sequence[Rules], samples: list[Floats]) -> list[Sweep]:
    """Rules over components, those with the same components together."""
    groups: dict[tuple[int, int], list[Rules]] = {}
    for one in dict.fromkeys(rules):
        if one.candidates == "components":
            groups.setdefault((one.levels, one.smallest_component), []).append(one)
    return [Sweep(tuple(group), levels_of(samples, levels)) for (levels, _), group in groups.items()]


def _placed(image: LesionImage, grid: Grid) -> tuple[Blocks, Floats, Any]:
    blocks = blocks_of(image.geometry, grid.cells)
    return blocks, *on_blocks(image, blocks, grid.interpolation)


def _look(image: LesionImage, kinds: Sequence[str], rules: list[Rules], sweeps: list[Sweep], job: _Job) -> _Seen:
    """One photograph under all rules."""
    blocks, placed, inside = _placed(image, job.grid)
    masks = image.masks()
    empty = np.zeros((image.geometry.height, image.geometry.width), bool)
    lesions = {kind: find_lesions(np.asarray(masks.get(kind, empty), bool), kind, image) for kind in kinds}
    components = [dict(zip(one.rules, swept(image, placed, blocks, lesions, one), strict=True)) for one in sweeps]
    found: list[Held | Swept] = []
    for one in rules:
        if one.candidates == "peaks":
            found.append(peaks_held(image, lesions, one)[1])
        else:
            found.append(next(part[one] for part in components if one in part))
    shares = {kind: blocks.share(one.rows, one.columns) for kind, one in lesions.items()}
    rows, columns = (np.concatenate([getattr(one, key) for one in lesions.values()]) for key in ("rows", "columns"))
    shares[POOLED] = blocks.share(rows, columns)
    if job.grid.pooling == "any":
        shares = {kind: (one > 0).astype(np.float64) for kind, one in shares.items()}
    x, y = image.centres
    here = image.in_field(x[None, :], y[:, None])
    top = float(image.values[here].max()) if here.any() else float(placed.max())
    return _Seen(found, pixel_counts(placed, inside, shares, job.bins), _described(lesions), top)


def _described(lesions: dict[str, Lesions]) -> dict[str, dict[str, Any]]:
    about = {kind: {"areas": one.area, "outside": one.outside} for kind, one in lesions.items()}
    areas = np.concatenate([one.area for one in lesions.values()])
    return {**about, POOLED: {"areas": areas, "outside": sum(one.outside for one in lesions.values())}}


def _about(seen: list[_Seen], kind: str) -> dict[str, Any]:
    """What there was to find of a type."""
    areas = np.concatenate([one.about[kind]["areas"] for one in seen])
    return {
        "type": kind,
        "n_lesions": len(areas),
        "n_images_with": sum(len(one.about[kind]["areas"]) > 0 for one in seen),
        "n_outside_field": sum(one.about[kind]["outside"] for one in seen),
        "area_median": float(np.median(areas)) if len(areas) else None,
        "area_largest": int(areas.max()) if len(areas) else None,
    }


def _froc(
    found: list[Held | Swept], kinds: Sequence[str], rules: Rules, levels: Floats, weights: Floats, level: float
) -> dict[str, Any]:
    """Both conventions of what is false, for every type and all together (where they are one)."""
    candidates = sum(len(one.scores) if isinstance(one, Held) else int(one.candidates.max(initial=0)) for one in found)
    result: dict[str, Any] = {"candidates_per_image": candidates / len(found), "false": {}}
    for convention in FALSE:
        rows = []
        for kind in (*kinds, POOLED):
            counts = counts_of(found, kind, convention, rules, levels)
            rows.append({"type": kind, **_numbers(counts, rules, weights, level)})
        result["false"][convention] = rows
    return result


def _numbers(counts: Counts, rules: Rules, weights: Floats, level: float) -> dict[str, Any]:
    """One curve, read."""
    whole = numbers(counts, np.ones((1, len(counts.lesions))), rules.fpi, rules.limit)
    drawn = numbers(counts, weights, rules.fpi, rules.limit) if len(weights) else None
    line, own = curve(counts), _interval
    keep = np.flatnonzero(line.fpi <= 2 * rules.limit)
    keep = (
        keep[np.unique(np.linspace(0, len(keep) - 1, min(len(keep), POINTS)).round().astype(int))]
        if len(keep)
        else keep
    )
    return {
        "n_lesions": line.n_lesions,
        "n_images_with": int((counts.lesions > 0).sum()),
        "n_images_fpi": line.n_images,
        "area": _number(whole.area[0]),
        "area_interval": own(drawn.area, level) if drawn else None,
        "sensitivity": [
            {
                "fpi": one,
                "value": _number(whole.sensitivity[0, k]),
                "interval": own(drawn.sensitivity[:, k], level) if drawn else None,
            }
            for k, one in enumerate(rules.fpi)
        ],
        "found_at_all": _number(whole.total[0]),
        "fpi_last": _number(line.fpi[-1]),
        "curve": {
            "fpi": [_number(one) for one in line.fpi[keep]],
            "sensitivity": [_number(one) for one in line.sensitivity[keep]],
            "threshold": [_number(one) for one in line.thresholds[keep]],
        },
    }


def _pixels(seen: list[_Seen], kind: str, bins: Floats, weights: Floats, asked: Asking) -> dict[str, Any]:
    """Pixel measures of one type over all photographs."""
    positive = np.stack([one.pixels.positive[kind] for one in seen])
    every = np.stack([one.pixels.every for one in seen])
    whole = drawn_numbers(positive, every, np.ones((1, len(seen))))
    drawn = drawn_numbers(positive, every, weights) if len(weights) else {}
    row: dict[str, Any] = {"type": kind, "n_images_with": int((positive.sum(axis=1) > 0).sum())}
    row["prevalence"] = _number(whole["prevalence"][0])
    for name in NAMES:
        row[name] = _number(whole[name][0])
        row[f"{name}_interval"] = _interval(drawn[name], asked.level) if drawn else None
    overlaps = overlap_at(positive.sum(axis=0), every.sum(axis=0), bins, asked.thresholds)
    clean = [{key: _number(value) for key, value in one.items()} for one in overlaps]
    return {**row, "at": clean[:-1], "best": clean[-1] if clean else None}


def _image_level(seen: list[_Seen], kind: str, images: Sequence[LesionImage], level: float) -> dict[str, Any]:
    """Whether the map's maximum tells photographs with the type from those without it."""
    truth = np.array([len(one.about[kind]["areas"]) > 0 for one in seen])
    top = np.array([one.top for one in seen])
    patients = np.array([_patient(image, k) for k, image in enumerate(images)])
    return {
        "type": kind,
        "n_with": int(truth.sum()),
        "n_without": int((~truth).sum()),
        "az": _number(auc(truth, top)),
        "az_interval": auc_interval(truth, top, patients, level),
    }


def _patient(image: LesionImage, row: int) -> str:
    return f"patient {image.patient}" if image.patient is not None else f"photograph {row}"


def _weights(images: Sequence[LesionImage], plan: Plan) -> Floats:
    """How often each photograph counts in each draw of patients, (draws, images)."""
    names, where = np.unique([_patient(image, k) for k, image in enumerate(images)], return_inverse=True)
    return weights_of(len(names), plan, range(plan.draws))[:, where].astype(np.float64)


def _interval(drawn: Floats, level: float) -> list[float] | None:
    """None when undefined in more than half of the draws, or when all draws say the same."""
    found = percentile(drawn, level)
    return [found.low, found.high] if found.low < found.high else None


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
