"""The pictures of `cohort describe`: each takes the numbers of `tally` and returns a figure that says what one sees.

Colours: Okabe & Ito's palette, which stays apart under the common colour vision deficiencies; heatmaps use one hue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Tally = dict[str, Any]
BLUE, ORANGE, GREEN, SKY, GREY = "#0072B2", "#E69F00", "#009E73", "#56B4E9", "#B8BEC6"
INK, FAINT = "#1b2430", "#5b6674"
HEIGHT = 0.42
"""Inches of figure per bar."""


def age(t: Tally) -> Figure:
    """Women to the left, men to the right, one bar per age band."""
    bands, spread = t["age"]["bands"], t["age"]["spread"]
    figure, axes = _figure(
        f"Age in years, women and men: {t['age']['n']} of {t['n']} {t['unit']}",
        _sentence(
            f"age unknown in {t['age']['unknown']}",
            f"sex unknown in {t['sex']['unknown']}",
            "" if spread["all"]["median"] is None else f"median age {spread['all']['median']:.0f} years",
        ),
        max(3.2, 1.6 + 0.27 * len(bands)),
    )
    places = np.arange(len(bands))
    women, men, other = (np.array([band[key] for band in bands], dtype=int) for key in ("F", "M", "unknown"))
    axes.barh(places, -women, color=ORANGE, height=0.86, label=f"women (n = {spread['F']['n']})")
    axes.barh(places, men, color=BLUE, height=0.86, label=f"men (n = {spread['M']['n']})")
    if other.any():
        axes.barh(places, other, left=men, color=GREY, height=0.86, label=f"sex unknown (n = {spread['unknown']['n']})")
    widest = int(max([*women, *(men + other), 1]))
    for place, left, right in zip(places, women, men + other, strict=True):
        _number(axes, -left - widest * 0.015, float(place), left, "right")
        _number(axes, right + widest * 0.015, float(place), right, "left")
    axes.set_yticks(places, [f"{band['from']}–{band['below'] - 1}" for band in bands])
    axes.set_xlim(-1.14 * widest, 1.14 * widest)
    _no_x(axes)
    axes.axvline(0, color="white", linewidth=1.5)
    _legend(axes)
    return figure


def labels(t: Tally) -> Figure:
    """How often each label occurs, in patients and in eyes."""
    rows = t["labels"]
    eyes_known = any(row["eyes_known"] for row in rows)
    figure, axes = _figure(
        f"How often each label occurs: {t['n']} {t['unit']}, {t['images']['listed']} eyes listed",
        "Bars are counts; the percentage is of all in whom the label is known. Several labels may occur together."
        + ("" if eyes_known else " This cohort has no labels per eye."),
        1.7 + 1.45 * HEIGHT * len(rows),
    )
    places = np.arange(len(rows))[::-1]
    series = [("visits", t["unit"], BLUE, 0.2 if eyes_known else 0.0)]
    series += [("eyes", "eyes", SKY, -0.2)] if eyes_known else []
    widest = max([row[key] for row in rows for key, *_ in series] + [1])
    for key, name, colour, shift in series:
        numbers = [row[key] for row in rows]
        axes.barh(places + shift, numbers, height=0.36 if eyes_known else 0.6, color=colour, label=name)
        for place, row in zip(places + shift, rows, strict=True):
            text = f"{row[key]}  ({row[key] / row[f'{key}_known']:.1%})" if row[f"{key}_known"] else "unknown"
            _number(axes, row[key] + widest * 0.01, place, text, "left")
    _label_ticks(axes, t, places)
    axes.set_xlim(0, 1.2 * widest)
    _no_x(axes)
    _legend(axes)
    return figure


def cooccurrence(t: Tally) -> Figure:
    """Pairs of labels: counts, and the share of the row that also has the column."""
    codes, counts = t["cooccurrence"]["codes"], np.array(t["cooccurrence"]["visits"])
    share = np.array([[np.nan if v is None else v for v in row] for row in t["cooccurrence"]["share_of_row"]], float)
    size = 0.52 * len(codes)
    figure = Figure(figsize=(max(10.0, 2 * size + 3.4), max(3.4, size + 1.3)))
    _titles(
        figure,
        f"Which labels occur together: {t['n']} {t['unit']}",
        "Grey diagonal: all with that label. Left: how many have both. Right: of those with the row's label, "
        "how many per cent also have the column's.",
    )
    left, right = figure.subplots(1, 2)
    pairs = np.where(np.eye(len(codes), dtype=bool), 0, counts)
    for axes, values, texts, title in (
        (left, pairs / max(pairs.max(initial=0), 1), counts.astype(str), f"number of {t['unit']} with both"),
        (right, share, _per_cents(share), "of the row, per cent with the column"),
    ):
        colours = np.ma.masked_where(np.eye(len(codes), dtype=bool) | np.isnan(values), values)
        axes.set_facecolor("#DDE1E6")
        axes.imshow(colours, cmap="Blues", vmin=0, vmax=max(float(colours.max()) if colours.count() else 0, 1e-9) * 1.1)
        strong = np.nan_to_num(colours.filled(0)) > 0.6 * max(float(np.max(colours.filled(0), initial=0)), 1e-9)
        for r in range(len(codes)):
            for c in range(len(codes)):
                text = f"n={counts[r, r]}" if r == c and axes is right else texts[r, c]
                axes.text(c, r, text, ha="center", va="center", fontsize=8, color="white" if strong[r, c] else INK)
        axes.set_xticks(range(len(codes)), codes)
        names = [_name(row) for row in t["labels"]] if axes is left else codes
        axes.set_yticks(range(len(codes)), names)
        axes.tick_params(length=0)
        axes.set_title(title, fontsize=10, color=FAINT)
        axes.spines[:].set_visible(False)
    return figure


def labels_per_visit(t: Tally) -> Figure:
    """How many labels a patient has."""
    rows = t["labels_per_visit"]["counts"]
    total = sum(row["visits"] for row in rows)
    normal = any(row["name"].lower() in ("n", "normal") for row in t["labels"])
    figure, axes = _figure(
        f"Labels per {_one(t)}: {total} {t['unit']} with all labels known",
        _sentence(
            "Normal counts as a label" if normal else "", f"some label unknown in {t['labels_per_visit']['unknown']}"
        ),
        1.6 + 1.2 * HEIGHT * len(rows),
    )
    places = np.arange(len(rows))[::-1]
    axes.barh(places, [row["visits"] for row in rows], color=BLUE, height=0.7)
    widest = max([row["visits"] for row in rows] + [1])
    for place, row in zip(places, rows, strict=True):
        share = f"{row['visits']}  ({row['visits'] / total:.1%})" if total else "0"
        _number(axes, row["visits"] + widest * 0.01, place, share, "left")
    axes.set_yticks(
        places, [{0: "no label", 1: "1 label"}.get(row["labels"], f"{row['labels']} labels") for row in rows]
    )
    axes.set_xlim(0, 1.2 * widest)
    _no_x(axes)
    return figure


def eyes(t: Tally) -> Figure:
    """One eye or both: the right eye on the left, as one faces the patient."""
    rows = t["eyes"]
    parts = (
        ("right_only", "right (OD) only", ORANGE),
        ("both", "both eyes", GREEN),
        ("left_only", "left (OS) only", BLUE),
        ("fellow_unknown", "fellow eye unknown", GREY),
    )
    return _shares(
        t,
        rows,
        parts,
        f"One eye or both, per label: {t['n']} {t['unit']}",
        f"Bars: the {t['unit']} with the label in at least one eye; for Normal, 'only' means that the other eye is "
        "not normal. Right eye on the left, as one faces the patient. Parts below 4 % carry no number.",
    )


def images(t: Tally) -> Figure:
    """Which photographs are on disk, overall and per label."""
    rows = [{"code": "all", **t["images"]["visits"]}, *t["images"]["per_label"]]
    parts = (
        ("right_only", "right (OD) only", ORANGE),
        ("both", "both", GREEN),
        ("left_only", "left (OS) only", BLUE),
        ("neither", "none", GREY),
    )
    missing = t["images"]["listed"] - t["images"]["present"]
    return _shares(
        t,
        rows,
        parts,
        f"Which photographs are there: {t['images']['present']} of {t['images']['listed']} listed eyes",
        f"{missing} listed photographs have no file. Bars: the {t['unit']} with the label. Right eye on the left, as "
        "one faces the patient. Parts below 4 % carry no number.",
    )


PICTURES: dict[str, Callable[[Tally], Figure]] = {
    "age": age,
    "labels": labels,
    "labels_per_visit": labels_per_visit,
    "cooccurrence": cooccurrence,
    "eyes": eyes,
    "images": images,
}
"""File name to what draws it, in the order of the page."""


def _shares(
    t: Tally, rows: list[dict[str, Any]], parts: tuple[tuple[str, str, str], ...], title: str, subtitle: str
) -> Figure:
    """Bars of 100 %, one per row, cut into parts with their counts."""
    figure, axes = _figure(title, subtitle, 1.9 + HEIGHT * len(rows))
    places = np.arange(len(rows))[::-1]
    totals = np.array([sum(row[key] for key, *_ in parts) for row in rows])
    left = np.zeros(len(rows))
    for key, name, colour in parts:
        counts = np.array([row[key] for row in rows])
        if not counts.any():
            continue
        widths = 100 * counts / np.maximum(totals, 1)
        axes.barh(places, widths, left=left, color=colour, height=0.74, label=name)
        for place, start, width, count in zip(places, left, widths, counts, strict=True):
            if width > 4:
                ink = "white" if colour in (BLUE, GREEN) else INK
                axes.text(start + width / 2, place, str(count), ha="center", va="center", fontsize=8.5, color=ink)
        left = left + widths
    names = {row["code"]: _name(row) for row in t["labels"]}
    for place, total in zip(places, totals, strict=True):
        _number(axes, 101, place, f"n = {total}", "left")
    axes.set_yticks(places, [names.get(row["code"], f"all {t['unit']}") for row in rows])
    axes.set_xlim(0, 112)
    axes.set_xticks(range(0, 101, 25), [f"{x} %" for x in range(0, 101, 25)])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    _legend(axes)
    return figure


def _figure(title: str, subtitle: str, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(9.0, height))
    _titles(figure, title, subtitle)
    return figure, figure.subplots()


def _titles(figure: Figure, title: str, subtitle: str) -> None:
    figure.set_layout_engine("constrained", h_pad=0.12, w_pad=0.1)
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    figure.supxlabel(subtitle, x=0.01, ha="left", fontsize=9, color=FAINT, wrap=True)


def _legend(axes: Axes) -> None:
    """Names the colours above the bars, in the order in which they stand."""
    if axes.get_legend_handles_labels()[0]:
        spacing = {"borderaxespad": 0.2, "columnspacing": 1.3, "handlelength": 1.3}
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, fontsize=8.5, **spacing)


def _number(axes: Axes, x: float, y: float, text: object, side: str) -> None:
    axes.text(x, y, str(text), ha=side, va="center", fontsize=8.5, color=INK)


def _no_x(axes: Axes) -> None:
    """The numbers stand at the bars: no scale is needed."""
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _label_ticks(axes: Axes, t: Tally, places: Any) -> None:
    axes.set_yticks(places, [_name(row) for row in t["labels"]])


def _name(row: dict[str, Any]) -> str:
    return str(row["code"]) if row["code"] == row["name"] else f"{row['name']} ({row['code']})"


def _per_cents(share: Any) -> Any:
    return np.array([["–" if np.isnan(v) else f"{100 * v:.0f}" for v in row] for row in share], dtype=object)


def _one(t: Tally) -> str:
    return str(t["unit"])[:-1]


def _sentence(*parts: str) -> str:
    said = "; ".join(part for part in parts if part)
    return said[:1].upper() + said[1:] + "."
