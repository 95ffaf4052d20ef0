"""FROC curves of several maps, a panel for each lesion type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from eyeground.files import aside
from eyeground.report.plots import GREY, SETTINGS

LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#1b2430", "#7f3b08")
"""Okabe and Ito's colours, dashes besides."""
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)))
LIMIT = 10


def froc_figure(
    curves: Sequence[tuple[str, Mapping[str, Any]]], kinds: Sequence[tuple[str, str]], floors: int, path: Path
) -> None:
    """Writes the figure.

    Args:
        curves: name of a map, and the rows of one FROC record by lesion type; the last `floors` of them know nothing.
        kinds: lesion type and its title, a panel each.
        path: of a PNG or SVG.

    Raises:
        OSError: the place can't be written to.
    """
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(2.75 * len(kinds), 3.5), layout="constrained")
        panels = figure.subplots(1, len(kinds), squeeze=False)[0]
        for axes, (kind, title) in zip(panels, kinds, strict=True):
            for number, (name, rows) in enumerate(curves):
                floor = number >= len(curves) - floors
                colour = GREY if floor else LINES[number % len(LINES)]
                dash = (0, (1, 2)) if floor else DASHES[number // 2 % len(DASHES)]
                x, y = _steps(rows[kind]["curve"])
                axes.plot(x, y, color=colour, linestyle=dash, linewidth=1.2 if floor else 1.8, label=name)
            axes.set(xlim=(0, LIMIT), ylim=(0, 1), title=title, xlabel="false positives per image")
            axes.grid(color=GREY, alpha=0.2, linewidth=0.6)
        panels[0].set_ylabel("part of the lesions found")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=min(6, len(names)))
        with aside(path) as temporary:
            figure.savefig(temporary, format=path.suffix.removeprefix("."), dpi=150)


def _steps(curve: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """The staircase from (0, 0), flat after its last point."""
    fpi = [0.0, *(float(one) for one in curve["fpi"] if one is not None)]
    found = [0.0, *(float(one or 0.0) for one in curve["sensitivity"])]
    x = np.repeat([*fpi, max(fpi[-1], LIMIT)], 2)[1:]
    y = np.repeat([*found, found[-1]], 2)[:-1]
    return x.tolist(), y.tolist()
