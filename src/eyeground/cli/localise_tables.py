"""What `eyeground localise` prints: the lesion score and the pointing game, a row for each map and lesion type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from eyeground.metrics.lesion_counts import POOLED

CONVENTION = "any"
"""What is false in the tables: a candidate on no lesion of any type. The record has both conventions."""


def print_localisation(record: dict[str, Any], target: Console) -> None:
    """Prints what `runs.localise.localise` returned."""
    if _labels(record):
        target.print(_lesions(record))
    target.print(_pointing(record))
    for line in _legend(record):
        target.print(line, markup=False)


def _labels(record: dict[str, Any]) -> list[str]:
    return list(record["maps"][0]["lesions"])


def _rows(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Explainers, then floors."""
    return [*record["maps"], *record["floors"]]


def _lesions(record: dict[str, Any]) -> Table:
    """A section for each lesion type, under the label whose maps are held against it."""
    labels = _labels(record)
    images = max(record["maps"][0]["lesions"][label]["n_images"] for label in labels)
    whose = labels[0] if len(labels) == 1 else "their labels"
    title = f"are the lesions found by the maps of {whose}? {images} photographs"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("", "map", "area", "95 %", "at 10", "3 %", "touch", "AP", "IoU", "Az"):
        table.add_column(heading, justify="left" if heading in ("", "map") else "right", no_wrap=heading != "map")
    for label in labels:
        kinds = record["maps"][0]["lesions"][label]["types"]
        for kind in kinds if len(kinds) > 2 else kinds[:1]:
            for number, row in enumerate(_rows(record)):
                cells = _lesion_cells(row["lesions"][label], kind["type"])
                name = _name(kind) if number == 0 else ""
                table.add_row(name, row["map"], *cells, style="dim" if row in record["floors"] else None)
            table.add_section()
    return table


def _name(kind: dict[str, Any]) -> str:
    return f"{'all' if kind['type'] == POOLED else kind['type']} ({kind['n_lesions']})"


def _lesion_cells(score: dict[str, Any], kind: str) -> Iterator[str]:
    near, wide, touch = (_of(score["froc"][name]["false"][CONVENTION], kind) for name in ("near", "wide", "touch"))
    yield _two(near["area"])
    yield _interval(near["area_interval"])
    yield _two(next(one["value"] for one in near["sensitivity"] if one["fpi"] == 10))
    yield _two(wide["area"])
    yield _two(touch["area"])
    pixels, level = _of(score["pixels"], kind), _of(score["image_level"], kind)
    yield _three(pixels["ap"])
    yield _three(pixels["iou_best"])
    yield _two(level["az"])


def _of(rows: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(row for row in rows if row["type"] == kind)


def _two(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _three(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _interval(found: list[float] | None) -> str:
    return "–" if found is None else f"{found[0]:.2f}–{found[1]:.2f}"


def _pointing(record: dict[str, Any]) -> Table:
    table = Table(title=f"does the map's peak lie on it? {record['part']} part", title_justify="left")
    table.box = box.SIMPLE_HEAD
    for heading in ("", "map", "n", "inside", "hit", "95 %", "chance", "covers"):
        table.add_column(heading, justify="left" if heading in ("", "map") else "right", no_wrap=heading != "map")
    codes = [row["code"] for row in record["maps"][0]["pointing"]["per_class"]]
    for code in codes:
        for number, row in enumerate(_rows(record)):
            found = next(one for one in row["pointing"]["per_class"] if one["code"] == code)
            _add_pointing(table, code if number == 0 else "", row, found, row in record["floors"])
        table.add_section()
    if record["maps"][0]["pointing"]["local"]["n"]:
        for number, row in enumerate(_rows(record)):
            _add_pointing(table, "all" if number == 0 else "", row, row["pointing"]["local"], row in record["floors"])
    return table


def _add_pointing(table: Table, name: str, row: dict[str, Any], found: dict[str, Any], floor: bool) -> None:
    low, high = found["hit_interval"]
    cells = [
        str(found["n"]),
        f"{found['inside_rate']:.0%}",
        f"{found['hit_rate']:.0%}",
        f"{low:.0%}–{high:.0%}",
        f"{found['chance']:.0%}",
        f"{found['cover']:.1%}" if found["cover"] < 0.1 else f"{found['cover']:.0%}",
    ]
    table.add_row(name, row["map"], *cells, style="dim" if floor else None)


def _legend(record: dict[str, Any]) -> Iterator[str]:
    """What the columns mean, and what limits them."""
    if _labels(record):
        ways = next(iter(record["maps"][0]["lesions"].values()))["froc"]
        near, wide, touch = (ways[name]["rules"] for name in ("near", "wide", "touch"))
        yield (
            "area: of the FROC up to 10 false positives per image, divided by 10; a peak within "
            f"{near['tolerance']:.0%} of the field's diameter of a lesion finds it, one on no lesion of any type is "
            "false. 95 %: bootstrap over patients. at 10: sensitivity at 10 false positives per image."
        )
        yield (
            f"3 %: the same area with a reach of {wide['tolerance']:.0%}. touch: the same where the component above a "
            f"threshold touches the lesion, components of more than {touch['largest']:.0%} of the field being false. "
            "AP, IoU: of pixels. Az: the map's maximum tells photographs with the type from those without; – where "
            "there are none without (--healthy-layout gives some)."
        )
    local = record["maps"][0]["pointing"]
    reach, wide = f"{record['tolerance']:.0%}", f"{record['everywhere']:.0%}"
    yield (
        f"inside: in the mask; hit: in it or within {reach} of the field's diameter (the pointing game). Chance: a "
        f"point anywhere in the field. {local['everywhere_n']} findings cover more than {wide} of the field and have "
        "no place."
    )
    yield "centre and noise are floors: maps that know nothing of the photograph."
    for row in record["maps"]:
        for text in row["notes"]:
            yield f"{row['map']}: {text}"
