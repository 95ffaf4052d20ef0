"""The judge's plots as SVG text: one small picture per label, so that a page can lay them out on any screen.

Colours: Okabe & Ito's palette, which stays apart under the common colour vision deficiencies; lines differ in dashes or
weight too. Letters stay letters, in the page's own font.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from eyeground.metrics.curves import LabelCurves
from eyeground.metrics.proportions import wilson

Array = NDArray[np.float64]
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#7a8594"
INK, FAINT = "#1b2430", "#4c5867"
SIDE = (3.1, 2.75)
"""Inches of a small plot; shown about 250 pixels wide."""
FINE = 400
"""Curves are drawn on a grid of so many steps a side: finer than a screen shows, and no curve grows with the cohort."""
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "eyeground",
    "font.size": 9.5,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": FAINT,
    "ytick.labelcolor": FAINT,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}
NOTHING: dict[str, str | None] = {"Date": None, "Creator": None, "Format": None, "Type": None}


def roc(curves: LabelCurves, name: str, alt: str) -> Markup:
    """Sensitivity against 1 - specificity, the diagonal of chance, and the point at the threshold."""
    assert curves.roc is not None
    with mpl.rc_context(SETTINGS):
        figure, axes = _square("1 − specificity", "sensitivity")
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.plot(*_thin(curves.roc.false_rate, curves.roc.true_rate), color=BLUE, linewidth=1.7)
        axes.plot(1 - curves.counts.specificity, curves.counts.sensitivity, **_dot())
        return _svg(figure, name, alt)


def precision_recall(curves: LabelCurves, name: str, alt: str) -> Markup:
    """Precision against recall as steps, the prevalence, and the point at the threshold where anything is called."""
    found = curves.precision_recall
    assert found is not None
    with mpl.rc_context(SETTINGS):
        figure, axes = _square("recall = sensitivity", "precision = PPV")
        prevalence = curves.counts.n_pos / curves.counts.n
        axes.axhline(prevalence, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
        recall, precision = _steps(found.recall, found.precision)
        axes.plot(*_thin(recall, precision), color=BLUE, linewidth=1.7)
        if curves.counts.tp + curves.counts.fp:
            axes.plot(curves.counts.sensitivity, curves.counts.ppv, **_dot())
        return _svg(figure, name, alt)


def calibration(bins: Sequence[Mapping[str, Any]], level: float | None, name: str, alt: str) -> Markup:
    """Share found against mean probability, one dot per bin; bars are Wilson's intervals where a level is given.

    Both axes end at the same number, just beyond the last dot or bar, so that rare labels can be read too.
    """
    bounds = [wilson(round(one["share"] * one["n"]), one["n"], level) if level else None for one in bins]
    ends = [one["mean"] for one in bins] + [one["share"] for one in bins]
    top = min(1.0, 0.1 * np.ceil(10 * max(0.1, *ends) + 0.5))
    with mpl.rc_context(SETTINGS):
        figure, axes = _square("mean probability", "share found", float(top))
        axes.plot([0, top], [0, top], color=GREY, linewidth=0.9, linestyle=(0, (4, 3)))
        for one, bound in zip(bins, bounds, strict=True):
            if bound:
                axes.plot([one["mean"]] * 2, bound, color=BLUE, linewidth=1.1, alpha=0.75)
        mean, share = ([one[key] for one in bins] for key in ("mean", "share"))
        axes.plot(mean, share, color=BLUE, linewidth=0, marker="o", markersize=4.6, clip_on=False)
        return _svg(figure, name, alt)


def decision(curves: LabelCurves, name: str, alt: str) -> Markup:
    """Net benefit against the probability at which one would act: the model, everyone and nobody."""
    found = curves.decision
    last = min(1.0, max(0.2, float(np.ceil(10 * curves.highest)) / 10))
    here = found.threshold <= last
    model, everyone = 100 * found.model[here], 100 * found.everyone[here]
    top = max(float(model.max()), float(everyone[0]), 1.0) * 1.12
    with mpl.rc_context(SETTINGS):
        figure, axes = _axes("threshold probability", "net benefit per 100")
        axes.axhline(0, color=GREY, linewidth=1.0)
        axes.plot(found.threshold[here], everyone, color=ORANGE, linewidth=1.3, linestyle=(0, (2, 1.5)))
        axes.plot(found.threshold[here], model, color=BLUE, linewidth=1.7)
        axes.set_xlim(0, last)
        axes.set_ylim(-0.25 * top, top)
        if curves.threshold <= last:
            axes.axvline(curves.threshold, color=INK, linewidth=0.8, linestyle=(0, (1, 2)))
        return _svg(figure, name, alt)


def refusing(points: Sequence[Mapping[str, Any]], name: str, alt: str) -> Markup:
    """Wrong calls and missed positives against the share of visits that is answered."""
    with mpl.rc_context(SETTINGS):
        figure, axes = _axes("visits answered, the most certain first (%)", "share (%)", (5.6, 3.1))
        answered = [100 * one["answered"] for one in points]
        for key, colour, dashes, title in (
            ("missed", ORANGE, (0, (4, 1.5)), "missed positives"),
            ("error", BLUE, "-", "wrong calls"),
        ):
            values = [np.nan if one[key] is None else 100 * one[key] for one in points]
            axes.plot(answered, values, color=colour, linestyle=dashes, linewidth=1.7, label=title)
        axes.set_xlim(0, 100)
        axes.set_ylim(bottom=0)
        axes.legend(loc="best")
        return _svg(figure, name, alt)


def _dot() -> dict[str, Any]:
    """The point at the threshold."""
    return {"color": ORANGE, "marker": "o", "markersize": 7, "markeredgecolor": "white", "clip_on": False, "zorder": 5}


def _axes(across: str, up: str, size: tuple[float, float] = SIDE) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size)
    width, height = size
    left, low, right, high = 0.6 / width, 0.46 / height, 1 - 0.14 / width, 1 - 0.14 / height
    axes = figure.add_axes((left, low, right - left, high - low))
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(color="#e4e9ee", linewidth=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def _square(across: str, up: str, top: float = 1.0) -> tuple[Figure, Axes]:
    """Two axes from 0 to the same end."""
    figure, axes = _axes(across, up, (SIDE[0], SIDE[0] - 0.14))  # the box itself is square
    ticks = np.linspace(0, top, 5) if top == 1 else np.arange(0, top + 1e-9, 0.1 if top <= 0.5 else 0.2)
    for ticked, limit in ((axes.set_xticks, axes.set_xlim), (axes.set_yticks, axes.set_ylim)):
        ticked(ticks, [f"{tick:g}" for tick in np.round(ticks, 2)])
        limit(0, top)
    return figure, axes


def _steps(recall: ArrayLike, precision: ArrayLike) -> tuple[Array, Array]:
    """Corners of the steps that keep each precision back to the recall before it, up to where all are found."""
    values = np.asarray(recall, float)
    shown = 1 + int(np.argmax(values >= 1))  # what follows lies straight below
    ends, heights = values[:shown], np.asarray(precision, float)[:shown]
    starts = np.concatenate([[0.0], ends[:-1]])
    return np.column_stack([starts, ends]).ravel(), np.repeat(heights, 2)


def _thin(across: ArrayLike, up: ArrayLike) -> tuple[Array, Array]:
    """The same curve on the grid, without points that repeat or lie on a straight line."""
    points = np.round(np.column_stack([np.asarray(across, float), np.asarray(up, float)]) * FINE)
    points = points[np.concatenate([[True], (np.diff(points, axis=0) != 0).any(axis=1)])]
    if len(points) > 2:
        before, after = points[1:-1] - points[:-2], points[2:] - points[1:-1]
        turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
        points = points[np.concatenate([[True], turns, [True]])]
    return points[:, 0] / FINE, points[:, 1] / FINE


def _svg(figure: Figure, name: str, alt: str) -> Markup:
    """The figure as an SVG element that scales with its place, told by `alt`; its ids begin with `name`."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata=NOTHING)
    text = stream.getvalue()
    box = re.search(r'viewBox="[^"]+"', text)
    assert box is not None
    text = text[text.index(">", text.index("<svg")) + 1 :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
    used = {one or two for one, two in re.findall(r'url\(#([^)]+)\)|xlink:href="#([^"]+)"', text)}
    text = re.sub(r' id="([^"]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'xlink:href="#', f'href="#{name}-', text)
    text = re.sub(r"font-family:[^;\"]*;?|; stroke-linecap: square", "", text)
    text = re.sub(r' transform="rotate\(-0[^"]*"', "", text)
    text = re.sub(r"(\.\d\d)\d+", r"\1", text)
    text = re.sub(r"\s*\n\s*", "\n", text)
    return Markup(f'<svg class="drawn" role="img" aria-label="{escape(alt)}" {box[0]}>{text.strip()}')
