"""`eyeground localise`: whether the heatmaps point at the lesions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich import box
from rich.table import Table

from eyeground.cli.cohort_options import CohortSource
from eyeground.cli.console import note, out, parse, print_json, track, warn
from eyeground.cli.judged_options import JudgedOn
from eyeground.files import disk_errors, write_json
from eyeground.report.pointed import Spot, pointing_sheet
from eyeground.runs.localise import Localisation, localise
from eyeground.runs.machine import Place
from eyeground.runs.model import load

FLAT = tyro.conf.arg(name="")
SHOWN = 36


@dataclass(frozen=True)
class Flags:
    """Holds the peak of every evidence map against the mask of its label (ROOT/masks/LABEL/PHOTOGRAPH.png)."""

    bundle: Path
    """The trained model's folder."""
    source: Annotated[CohortSource, FLAT]
    judged: Annotated[JudgedOn, FLAT] = field(default_factory=JudgedOn)
    out: Path | None = None
    """Also write localisation.json and pointing.png into this folder."""
    json: bool = False
    """Print one JSON object and nothing else."""
    place: Annotated[Place, FLAT] = field(default_factory=Place)


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    flags = parse(Flags, argv, "localise")
    model = load(flags.bundle, flags.place)
    found = localise(model, flags.judged.of(flags.source.read()), flags.place, track, note)
    if flags.out:
        with disk_errors(flags.out):
            write_json(flags.out / "localisation.json", found.record)
            spots = _spots(found)
            if spots:
                pointing_sheet(spots, flags.out / "pointing.png")
            else:
                note("no finding has a place of its own: no pointing.png")
    if "stamp" in found.record["leak_audit"]:
        warn(found.record["leak_audit"]["stamp"])
    if flags.json:
        print_json(found.record)
        return 0
    _print(found.record)
    return 0


def _print(record: dict[str, Any]) -> None:
    title = (
        f"does the heatmap's peak lie on the lesion? {record['part']} part, maps of {record['map_elements'][0]} rows"
    )
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("")
    for heading in ("findings", "in the mask", "hit", "95 %", "by chance", "mask covers"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in record["per_class"]:
        table.add_row(row["code"], *_cells(row))
    local = record["local"]
    if local["n"]:
        table.add_section()
        table.add_row("all with a place", *_cells(local), style="bold")
    out.print(table)
    out.print(
        f"A hit lies in the mask or within {record['tolerance']:.0%} of the field's diameter (the pointing game). "
        f"By chance: a point anywhere in the field. {record['everywhere_n']} findings cover more than "
        f"{record['everywhere']:.0%} of the field and have no place; they are not in the last row.",
        markup=False,
    )


def _cells(row: dict[str, Any]) -> list[str]:
    low, high = row["hit_interval"]
    return [
        str(row["n"]),
        f"{row['inside_rate']:.0%}",
        f"{row['hit_rate']:.0%}",
        f"{low:.0%}–{high:.0%}",
        f"{row['chance']:.0%}",
        f"{row['cover']:.0%}",
    ]


def _spots(found: Localisation) -> list[Spot]:
    """Tiles of findings that have a place, every label in turn, as they come."""
    local = [one for one in found.pointings if one.result.local]
    by_label = [[one for one in local if one.code == code] for code in dict.fromkeys(one.code for one in local)]
    turns = max(map(len, by_label), default=0)
    mixed = [group[turn] for turn in range(turns) for group in by_label if turn < len(group)]
    chosen = mixed[:SHOWN]
    order = {code: index for index, code in enumerate(dict.fromkeys(one.code for one in local))}
    return [
        Spot(
            one.photograph,
            one.mask.read(one.width, one.height),
            one.at,
            f"{one.code}  {one.visit} {one.side}  {'hit' if one.result.hit else 'miss'}",
            one.result.hit,
        )
        for one in sorted(chosen, key=lambda one: order[one.code])
    ]
