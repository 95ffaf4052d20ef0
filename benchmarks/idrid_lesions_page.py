"""The tables of docs/heatmaps.md from what `idrid_lesions` found, between marks that name them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

KINDS = ("MA", "HE", "EX", "SE", "all")
FALSE = "any"
LABEL = "referable_dr"


def write_page(figures: dict[str, Any], page: Path) -> None:
    """Writes every block anew. Raises `ValueError` for a page without the marks of a table."""
    text = page.read_text(encoding="utf-8")
    for name, lines in (("systems", _systems(figures)), ("maps", _maps(figures)), ("pixels", _pixels(figures))):
        start, end = f"<!-- idrid: begin {name} -->", f"<!-- idrid: end {name} -->"
        if start not in text or end not in text:
            raise ValueError(f"{page} has no '{start}' ... '{end}'")
        block = f"{start}\n\n" + "\n".join(lines) + f"\n\n{end}"
        text = re.sub(f"{re.escape(start)}.*?{re.escape(end)}", lambda _: block, text, flags=re.DOTALL)  # noqa: B023
    page.write_text(text, encoding="utf-8")


def _systems(figures: dict[str, Any]) -> Iterator[str]:
    """What was trained, and how well it knows referable retinopathy."""
    yield "| system | | minutes | referable DR, AUC (95 %) | macro AUC | grade, quadratic kappa |"
    yield "|---|---|---|---|---|---|"
    for name, row in figures["systems"].items():
        label, test = row["test"][LABEL], row["test"]
        found: dict[str, Any] = next((one for one in test["intervals"]["per_class"] if one["code"] == LABEL), {})
        between = _interval(found.get("auc"))
        minutes = row["training_seconds"] / 60
        told = f"{label['auc']:.3f}{between} | {test['macro_auc']:.3f} | {row['grade']['kappa_quadratic']:.3f}"
        yield f"| {name} | {row['about']} | {minutes:.0f} | {told} |"


def _rows(figures: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """System, map with its smoothing, record; floors of the finest evidence map once, at the end."""
    floors = {}
    for name, row in figures["systems"].items():
        for blur, found in row["lesions"].items():
            for map_, one in found["maps"].items():
                if map_ in ("centre", "noise"):
                    floors[map_, name] = one
                else:
                    yield name, map_ + (f", smoothed {float(blur):.0%}" if float(blur) else ""), one
    for map_ in ("centre", "noise"):
        for name in figures["systems"]:
            if name in ("gap512", "a448") and (map_, name) in floors:
                yield "floor", f"{map_}, {' × '.join(map(str, floors[map_, name]['map_elements']))}", floors[map_, name]


def _maps(figures: dict[str, Any]) -> Iterator[str]:
    """Areas under the FROC by lesion type, sensitivity at 10 FPI, and the image level."""
    yield "| system | map | MA | HE | EX | SE | all (95 %) | all at 10 FPI | all, 3 % | all, touch | Az of EX |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for name, map_, one in _rows(figures):
        near = _near(one, "near")
        areas = [_two(near[kind]["area"]) for kind in KINDS[:-1]]
        every = near["all"]
        at = next(part["value"] for part in every["sensitivity"] if part["fpi"] == 10)
        level = next(row for row in one["score"]["image_level"] if row["type"] == "EX")
        cells = [
            *areas,
            _two(every["area"]) + _interval(every["area_interval"]),
            _two(at),
            _two(_near(one, "wide")["all"]["area"]),
            _two(_near(one, "touch")["all"]["area"]),
            _two(level["az"]),
        ]
        yield f"| {name} | {map_} | {' | '.join(cells)} |"


def _pixels(figures: dict[str, Any]) -> Iterator[str]:
    """Pixel AP and IoU of all types, and the pointing game."""
    yield "| system | map | elements | AP of EX | AP of HE | AP of all (95 %) | best IoU | peak hits | by chance |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, map_, one in _rows(figures):
        pixels = {row["type"]: row for row in one["score"]["pixels"]}
        local = one["pointing"]["local"]
        cells = [
            " × ".join(map(str, one["map_elements"])),
            f"{pixels['EX']['ap']:.3f}",
            f"{pixels['HE']['ap']:.3f}",
            f"{pixels['all']['ap']:.3f}" + _interval(pixels["all"]["ap_interval"], 3),
            f"{pixels['all']['iou_best']:.3f}",
            f"{local['hits']} of {local['n']}",
            f"{local['chance']:.0%}",
        ]
        yield f"| {name} | {map_} | {' | '.join(cells)} |"


def _near(one: dict[str, Any], way: str) -> dict[str, dict[str, Any]]:
    return {row["type"]: row for row in one["score"]["froc"][way]["false"][FALSE]}


def _two(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _interval(found: Any, digits: int = 3) -> str:
    if isinstance(found, dict):
        found = [found.get("low"), found.get("high")]
    if not found or found[0] is None:
        return ""
    return f" ({found[0]:.{digits}f} to {found[1]:.{digits}f})"
