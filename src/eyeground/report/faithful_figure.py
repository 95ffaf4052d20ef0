"""The faithfulness of maps as a picture: deletion and insertion curves beside their floors, and the cascade."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eyeground.files import aside
from eyeground.report.plots import GREY, INK, SETTINGS

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7a3fb0", "#8c6d31", "#000000", "#b8a800")
DASHES: dict[str, Any] = {"random": (0, (1, 2)), "random_places": (0, (4, 2)), "centre": (0, (6, 2, 1, 2))}


def faithful_figure(record: Mapping[str, Any], path: Path) -> None:
    """Writes the figure of a faithfulness record as PNG. Raises `OSError` where the place can't be used."""
    score = record["score"]
    cascade = any("randomisation" in row for row in record["rows"])
    with mpl.rc_context({**SETTINGS, "font.size": 9}):
        figure = Figure(figsize=(12.6 if cascade else 8.6, 4.4), layout="constrained")
        axes = figure.subplots(1, 3 if cascade else 2)
        words = "part of the logit's drop left" if score == "logit" else "probability"
        for one, kind, x in ((axes[0], "deletion", "part removed"), (axes[1], "insertion", "part brought back")):
            _curves(one, record["rows"], f"{kind}_{score}")
            one.set(title=f"{kind}: {'lower' if kind == 'deletion' else 'higher'} is better", xlabel=x, ylabel=words)
        if cascade:
            _cascade(axes[2], record)
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), 9))
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=130, metadata={"Software": None})
    with aside(path) as temporary:
        temporary.write_bytes(stream.getvalue())


def _styles(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Colours for maps, grey dashes for floors."""
    styles: dict[str, dict[str, Any]] = {}
    colours = iter(COLOURS * 2)
    for row in rows:
        name = row["map"]
        if name in DASHES:
            styles[name] = {"color": GREY, "linestyle": DASHES[name], "linewidth": 1.4}
        else:
            style = (0, (3, 1)) if row["control"] else "-"
            styles[name] = {"color": next(colours), "linewidth": 1.7, "linestyle": style}
    return styles


def _curves(axes: Axes, rows: list[dict[str, Any]], key: str) -> None:
    for name, style in _styles(rows).items():
        curve = next(row["curves"][key] for row in rows if row["map"] == name)
        if None not in curve:
            axes.plot(np.linspace(0, 1, len(curve)), curve, label=name, **style)
    axes.set_xlim(0, 1)


def _cascade(axes: Axes, record: Mapping[str, Any]) -> None:
    rows = [row for row in record["rows"] if "randomisation" in row]
    styles = _styles(record["rows"])
    for row in rows:
        found = row["randomisation"]["absolute"]
        part = np.linspace(0, 1, len(found) + 1)[1:]
        means = [np.nan if one["mean"] is None else one["mean"] for one in found]
        axes.plot([0, *part], [1, *means], marker=".", **styles[row["map"]])
    axes.axhline(record["limit"], color=INK, linewidth=0.7)
    axes.text(0.01, record["limit"] + 0.015, "from here on a map survives", fontsize=7.5, color=INK)
    axes.set(title="random weights: lower is better", ylabel="|rank correlation| with the trained map", ylim=(0, 1.02))
    axes.set_xlabel("depth of randomisation, head to first layer")
    axes.set_xlim(0, 1)
