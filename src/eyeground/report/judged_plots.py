"""All plots of a judgement, by kind and label, with the words that a reader who can't see them needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from eyeground.metrics.curves import LabelCurves
from eyeground.report import plots
from eyeground.report.forest import named, said


@dataclass(frozen=True)
class Plot:
    """A plot with its title and caption; `svg` is None where there is nothing to draw and the caption says why."""

    title: str
    svg: Markup | None
    caption: str


def drawn(judgement: Mapping[str, Any], curves: Sequence[LabelCurves]) -> dict[str, list[Plot]]:
    """Lists of plots by kind: roc, precision_recall, calibration, decision (one per label), refusing (one or none)."""
    bounds = judgement.get("intervals")
    each = bounds["per_class"] if bounds else [{}] * len(curves)
    found: dict[str, list[Plot]] = {key: [] for key in ("roc", "precision_recall", "calibration", "decision")}
    for place, (row, one) in enumerate(zip(judgement["per_class"], curves, strict=True)):
        found["roc"].append(_roc(row, one, each[place], f"roc{place}"))
        found["precision_recall"].append(_precision_recall(row, one, each[place], f"pr{place}"))
        bins = judgement["details"]["reliability"][place]["bins"]
        alone = not bounds or bounds["patients"] == judgement["n"]
        found["calibration"].append(
            _calibration(row, bins, each[place], bounds["level"] if bounds and alone else None, place)
        )
        found["decision"].append(_decision(row, one, f"net{place}"))
    return {**found, "refusing": _refusing(judgement["details"]["abstaining"])}


def _roc(row: Mapping[str, Any], one: LabelCurves, bound: Mapping[str, Any], name: str) -> Plot:
    if one.roc is None:
        return Plot(named(row), None, f"undefined: {row['undefined'].get('auc', 'no positive or no negative')}")
    caption = (
        f"AUC {said(row['auc'], bound.get('auc'))}. At {_cut(row)}: sensitivity {said(row['sensitivity'])}, "
        f"specificity {said(row['specificity'])}. {row['n_pos']} of {row['n']} positive."
    )
    return Plot(named(row), plots.roc(one, name, f"ROC curve of {named(row)}. {caption}"), caption)


def _precision_recall(row: Mapping[str, Any], one: LabelCurves, bound: Mapping[str, Any], name: str) -> Plot:
    if one.precision_recall is None:
        return Plot(named(row), None, f"undefined: {row['undefined'].get('ap', 'no positive')}")
    caption = (
        f"AP {said(row['ap'], bound.get('ap'))}; prevalence {row['n_pos'] / row['n']:.3f}. At {_cut(row)}: "
        f"recall {said(row['sensitivity'])}, precision {said(row['ppv'])}."
    )
    return Plot(
        named(row), plots.precision_recall(one, name, f"Precision against recall, {named(row)}. {caption}"), caption
    )


def _calibration(
    row: Mapping[str, Any],
    bins: Sequence[Mapping[str, Any]],
    bound: Mapping[str, Any],
    level: float | None,
    place: int,
) -> Plot:
    if not bins:
        return Plot(named(row), None, "undefined: no known row")
    sizes = sorted({one["n"] for one in bins})
    held = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    words = "1 bin" if len(bins) == 1 else f"{len(bins)} bins"
    brier = said(row["brier"], bound.get("brier"))
    caption = f"ECE {said(row['ece'], bound.get('ece'))}, Brier score {brier}. {words} of {held} visits."
    alt = f"Calibration of {named(row)}: share found against mean probability. {caption}"
    return Plot(named(row), plots.calibration(bins, level, f"cal{place}", alt), caption)


def _decision(row: Mapping[str, Any], one: LabelCurves, name: str) -> Plot:
    if not one.counts.n:
        return Plot(named(row), None, "undefined: no known row")
    values = one.decision
    best = values.model > [max(everyone, 0.0) + 1e-12 for everyone in values.everyone]
    told = "nowhere above both simple rules"
    if best.any():
        inside = values.threshold[best]
        whole = len(inside) == round((inside[-1] - inside[0]) * 100) + 1
        told = f"above both simple rules {'from' if whole else 'at places between'} {inside[0]:.2f} "
        told += f"{'to' if whole else 'and'} {inside[-1]:.2f}"
    alt = f"Decision curve of {named(row)}: the model's net benefit is {told}."
    return Plot(
        named(row), plots.decision(one, name, alt), f"The model is {told}. Prevalence {values.everyone[0]:.3f}."
    )


def _refusing(found: Mapping[str, Any]) -> list[Plot]:
    if not found["points"]:
        return []
    half = next((one for one in found["points"] if one["answered"] >= 0.5 - 1e-9), found["points"][-1])
    last = found["points"][-1]
    caption = (
        f"All {last['n']} visits answered: {_percent(last['error'])} of the calls are wrong, "
        f"{_percent(last['missed'])} of the positives are missed. The most certain {half['n']}: "
        f"{_percent(half['error'])} and {_percent(half['missed'])}. Means over 1, 2, … visits answered: "
        f"{said(found['area_error'])} and {said(found['area_missed'])}."
    )
    svg = plots.refusing(found["points"], "refuse", f"Errors against the share of visits answered. {caption}")
    return [Plot("When the least certain visits are refused", svg, caption)]


def _cut(row: Mapping[str, Any]) -> str:
    return f"the threshold {row['threshold']:.3f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
