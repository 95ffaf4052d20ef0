"""`eyeground cohort check`: what is there, what is missing, what is suspicious."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tyro
from rich import box
from rich.table import Table

from eyeground import leaks
from eyeground.cli.cohort_options import CohortSource
from eyeground.cli.console import out, parse, print_json, track, warn
from eyeground.cohorts.census import census, unreadable_images
from eyeground.cohorts.lesion_counts import lesion_counts
from eyeground.cohorts.masks import has_masks
from eyeground.records import Cohort
from eyeground.splits import find_all_duplicates

FEW = 3
"""How many examples the tables show."""
WIDE = 24
"""Letters of label codes, all together, that fit side by side."""
MISMATCHES = ("rule_mismatch",)


@dataclass(frozen=True)
class Check:
    """Reads a cohort, opens its photographs, and tells what is there, missing and suspicious."""

    source: tyro.conf.OmitArgPrefixes[CohortSource]
    json: bool = False
    """Print one JSON object and nothing else."""
    strict: bool = False
    """Leave with code 2 when a photograph is missing or unreadable or labels contradict keywords."""
    quick: bool = False
    """Don't open the photographs: no test of readability, no duplicates."""
    verbose: bool = False
    """Name everything, not the first few."""
    workers: int = 2
    """Threads that open photographs."""


def check(cohort: Cohort, quick: bool = False, workers: int = 2) -> dict[str, Any]:
    """The census of a cohort, with unreadable photographs, duplicates (null when quick) and lesions, where drawn."""
    if quick:
        return census(cohort) | {"unreadable_images": None, "duplicates": None}
    drawn = {"lesions": lesion_counts(cohort, track)} if has_masks(cohort.layout) else {}
    prints = leaks.fingerprints(cohort.visits, workers, track)
    broken = unreadable_images(cohort, prints)
    pairs = find_all_duplicates(cohort.visits, prints, workers, track)
    found = {"unreadable_images": len(broken), "duplicates": [pair.to_shown() for pair in pairs]}
    return census(cohort, broken) | found | drawn


def main(argv: Sequence[str]) -> int:
    """Prints tables or JSON; 0, or with `--strict` 2 when something is missing, unreadable or mismatched."""
    config = parse(Check, argv, "cohort check")
    result = check(config.source.read(), config.quick, config.workers)
    if config.json:
        print_json(result)
    else:
        _show(result, None if config.verbose else FEW)
    wrong = _wrong(result)
    if config.strict and wrong:
        warn(f"strict: {', '.join(wrong)}")
        return 2
    return 0


def _wrong(result: dict[str, Any]) -> list[str]:
    """What `--strict` objects to."""
    mismatched = sum(result["flags"].get(code, {"count": 0})["count"] for code in MISMATCHES)
    counts = (("missing", result["missing_images"]), ("unreadable", result["unreadable_images"] or 0))
    wrong = [f"{count} photograph{'s' * (count > 1)} {what}" for what, count in counts if count]
    return wrong + ([f"{mismatched} rows whose labels contradict their keywords"] if mismatched else [])


def _show(result: dict[str, Any], few: int | None) -> None:
    """Tables for a person; `few` limits the examples, None names all."""
    out.print(_overview(result))
    out.print(_labels(result))
    if "lesions" in result:
        out.print(_lesions(result["lesions"]))
    if result["flags"]:
        out.print(_flags(result, few))
    pairs = result["duplicates"]
    if pairs is None:
        out.print("The photographs were not opened (--quick).")
    elif pairs:
        out.print(_duplicates(pairs, few))
    else:
        out.print("No duplicate photographs.")


def _overview(result: dict[str, Any]) -> Table:
    table = Table(title=f"cohort, layout {result['layout']}", title_justify="left", box=box.SIMPLE, show_header=False)
    table.add_column()
    table.add_column(justify="right", style="bold")
    rows = [("patients", "patients"), ("visits", "visits"), ("eyes listed", "eyes")]
    rows += [("photographs there", "images_present"), ("photographs missing", "missing_images")]
    rows += [("photographs unreadable", "unreadable_images"), ("visits with a photograph", "visits_with_images")]
    rows += [("visits with both eyes", "both_eyes")]
    for name, key in rows:
        table.add_row(name, "not opened" if result[key] is None else f"{result[key]:,}")
    if result["rule_matches"] is not None:
        total = result["facts"]["rows"]
        table.add_row("patient labels that follow from the keywords", f"{result['rule_matches']:,} of {total:,}")
    return table


def _labels(result: dict[str, Any]) -> Table:
    table = Table(title="labels", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("", no_wrap=True, min_width=max(map(len, result["vocabulary"])))
    kinds = ("present", "sole", "unknown")
    if sum(map(len, result["vocabulary"])) > WIDE:  # a row for each label: side by side they would not fit
        for name in (f"{level}, {what}" for level in ("visits", "eyes") for what in kinds):
            table.add_column(name, justify="right")
        for code in result["vocabulary"]:
            cells = [result["labels"][level][code][what] for level in ("visits", "eyes") for what in kinds]
            table.add_row(code, *map(str, cells))
        return table
    for code in result["vocabulary"]:
        table.add_column(code, justify="right")
    for level in ("visits", "eyes"):
        for what in kinds:
            counts = [result["labels"][level][code][what] for code in result["vocabulary"]]
            name = {"present": level, "sole": f"{level}, sole label", "unknown": f"{level}, unknown"}[what]
            table.add_row(name, *map(str, counts), end_section=what == "unknown")
    return table


def _lesions(found: dict[str, Any]) -> Table:
    table = Table(title="lesions: connected parts of the masks", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("", "in photos", "lesions", "per photo", "median px", "least", "greatest", "covered"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for code, row in found.items():
        least, median, greatest = row["pixels"]
        counts = (f"{row['photographs']:,}", f"{row['lesions']:,}", f"{row['median']:g}")
        areas = (f"{median:,.0f}", f"{least:,}", f"{greatest:,}", f"{row['covered']:.2%}")
        table.add_row(code, *counts, *areas)
    return table


def _flags(result: dict[str, Any], few: int | None) -> Table:
    table = Table(title="flags", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("code", no_wrap=True)
    table.add_column("count", justify="right")
    table.add_column("examples" if few else "all")
    for code, found in result["flags"].items():
        table.add_row(code, f"{found['count']:,}", _some(found["texts"], few))
    return table


def _duplicates(pairs: list[dict[str, Any]], few: int | None) -> Table:
    kinds: dict[str, list[str]] = {}
    for pair in pairs:
        kinds.setdefault(pair["kind"].replace("_", " "), []).append(f"{pair['a']} = {pair['b']} ({pair['evidence']})")
    table = Table(title="duplicate photographs", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("kind", no_wrap=True)
    table.add_column("pairs", justify="right")
    table.add_column("examples" if few else "all")
    for kind, texts in kinds.items():
        table.add_row(kind, str(len(texts)), _some(texts, few))
    return table


def _some(texts: Sequence[str], few: int | None) -> str:
    shown = list(texts if few is None else texts[:few])
    return "\n".join([*shown, "..."] if len(shown) < len(texts) else shown)
