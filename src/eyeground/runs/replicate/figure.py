"""The claims as a forest: each difference with its interval, paper by paper, zero in the middle."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eyeground.metrics.compare_words import NAMES
from eyeground.report.plots import BLUE, FAINT, GREY, INK, ORANGE, SETTINGS
from eyeground.runs.replicate.claims import NOT_RUN, OPPOSITE, SUPPORTED
from eyeground.runs.replicate.table import signed

COLOURS = {SUPPORTED: BLUE, OPPOSITE: ORANGE}
MARKS = {SUPPORTED: "o", OPPOSITE: "s"}
ROW = 0.24
"""Inches of a line."""
WIDTH, LEFT, RIGHT = 10.0, 3.9, 2.7


def forest(claims: Sequence[Mapping[str, Any]], name: str) -> str | None:
    """The figure as SVG text; None when nothing was compared yet. Claims that were not run are left out."""
    shown = [(number, one) for number, one in enumerate(claims, start=1) if one.get("interval")]
    if not shown:
        return None
    lines: list[tuple[int, Mapping[str, Any]] | str] = []
    paper = ""
    for number, one in shown:
        if one["paper"] != paper:
            lines.append(one["paper"])
        paper = one["paper"]
        lines.append((number, one))
    with mpl.rc_context(SETTINGS):
        height = ROW * len(lines) + 1.35
        figure = Figure(figsize=(WIDTH, height))
        box = (LEFT / WIDTH, 0.6 / height, (WIDTH - LEFT - RIGHT) / WIDTH, ROW * len(lines) / height)
        axes = figure.add_axes(box)
        _axes(axes, [one for _, one in shown], len(lines))
        for place, line in enumerate(lines):
            _draw(axes, -place, line)
        left = sum(one["verdict"] == NOT_RUN for one in claims)
        about = f"{name}: {len(shown)} claims compared" + (f", {left} not run yet" if left else "")
        figure.text(0.1 / WIDTH, 1 - 0.3 / height, about, fontsize=12, color=INK, weight="bold")
        legend = "filled circle: supported; square: the opposite; hollow: undecided. Bars: 95 % intervals"
        figure.text(0.1 / WIDTH, 1 - 0.52 / height, legend, fontsize=9, color=FAINT)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", facecolor="white", metadata={"Date": None})
    return stream.getvalue()


def _axes(axes: Axes, shown: Sequence[Mapping[str, Any]], lines: int) -> None:
    reach = max(max(abs(bound) for bound in one["interval"]) for one in shown) * 1.05
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-lines + 0.5, 0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=GREY, linewidth=1)
    axes.grid(axis="x", color="#e4e9ee", linewidth=0.7)
    axes.set_axisbelow(True)
    measures = dict.fromkeys(NAMES[one["measure"]] for one in shown)
    axes.set_xlabel(f"difference in {' or '.join(measures)}: the claimed better less the other")


def _draw(axes: Axes, y: float, line: tuple[int, Mapping[str, Any]] | str) -> None:
    """A paper's heading, or a claim: its systems, the mark with its bar, its numbers."""
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "clip_on": False}
    start = -(LEFT - 0.1) / (WIDTH - LEFT - RIGHT)
    if isinstance(line, str):
        axes.text(start, y, line, fontsize=9, color=FAINT, weight="bold", **beside)
        return
    number, one = line
    colour = COLOURS.get(one["verdict"], FAINT)
    axes.text(start, y, f"{number}", fontsize=9, color=FAINT, **beside)
    axes.text(start + 0.1, y, f"{one['better']} > {one['worse']}{_apart(one)}", fontsize=9, color=INK, **beside)
    low, high = one["interval"]
    axes.plot([low, high], [y, y], color=colour, linewidth=1.8, solid_capstyle="butt")
    face = colour if one["verdict"] in COLOURS else "white"
    mark = MARKS.get(one["verdict"], "o")
    axes.plot([one["difference"]], [y], mark, markersize=5.5, color=colour, markerfacecolor=face)
    told = f"{signed(one['difference'])} ({signed(low)} to {signed(high)})"
    axes.text(1.03, y, told, fontsize=9, color=INK, **beside)


def _apart(one: Mapping[str, Any]) -> str:
    """What sets a claim apart from the usual one: its measure, its visits."""
    what = [] if one["measure"] == "macro_auc" else [NAMES[one["measure"]]]
    what += [] if one["visits"] == "all" else [one["visits"].replace("_", " ")]
    return f" ({', '.join(what)})" if what else ""
