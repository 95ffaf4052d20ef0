"""`eyeground compare`: which of several systems is better, by how much and how certainly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich import box
from rich.markup import escape
from rich.table import Table

from eyeground.cli.console import out, parse, print_json, warn
from eyeground.cli.tables import number
from eyeground.errors import UsageError
from eyeground.metrics.compare_pairs import Rules
from eyeground.metrics.compare_words import NAMES
from eyeground.runs.compare import compare_files, named

Several = Annotated[tuple[str, ...], tyro.conf.UseAppendAction]


@dataclass(frozen=True)
class Flags:
    """Compares systems on the same patients: differences with intervals, p values after Holm, ranks with ties."""

    files: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Prediction files, each a system of one training run that is called by its file."""
    truth: Path = tyro.MISSING
    """Truth, .xlsx or .csv: the challenge's workbook, or an ID column and one 0/1 column per label."""
    system: Several = ()
    """NAME=FILE,FILE,...: a system and the predictions of its training runs (seeds). May be given several times."""
    by: Literal["macro_auc", "macro_ap", "final"] = "macro_auc"
    """The number that ranks and that the verdicts are about; name it before you look at the others."""
    subset: bool = False
    """The files may lack patients of the truth, all files the same ones."""
    patients: Path | None = None
    """CSV with columns ID and patient: whose each row is, where a patient has several (eyes, visits)."""
    draws: int = 2000
    """Bootstrap draws over patients, the same for all systems."""
    permutations: int = 10_000
    """Swaps of patients between two systems; where there are no more than these, all swaps."""
    seed: int = 0
    """Of draws and swaps."""
    json: bool = False
    """Print one JSON object and nothing else."""


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    flags = parse(Flags, argv, "compare")
    for name in ("draws", "permutations"):
        if getattr(flags, name) < 100:
            raise UsageError(f"--{name} {getattr(flags, name)} are too few to tell chance from skill; give 100 or more")
    if flags.seed < 0:
        raise UsageError(f"--seed {flags.seed}: give 0 or more")
    rules = Rules(flags.draws, flags.permutations, flags.seed, by=flags.by)
    found = compare_files(flags.truth, named(flags.files, flags.system), flags.subset, rules, flags.patients)
    for pair in found["pairs"]:
        if pair["identical"]:
            warn(f"{pair['verdict']}; is it the same file twice?")
    for one in found["systems"]:
        for stamp in one.get("stamps", ()):
            warn(f"{one['name']}: {stamp}")
    if flags.json:
        print_json(found)
        return 0
    print_comparison(found)
    return 0


def print_comparison(found: dict[str, Any]) -> None:
    """Verdicts, ranks, and a table for each pair; 80 columns."""
    for pair in found["pairs"]:
        out.print(f"{pair['verdict']}.", markup=False, soft_wrap=False, width=80)
    out.print(_ranks(found))
    for pair in found["pairs"]:
        out.print(_pair(pair, found))
    for line in _legend(found):
        out.print(line, markup=False, soft_wrap=False, width=80)


def _ranks(found: dict[str, Any]) -> Table:
    of = f" of {found['truth_patients']}" if found["n"] < found["truth_patients"] else ""
    table = Table(
        title=f"{found['n']}{of} patients, ranked by {NAMES[found['by']]}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("rank")
    table.add_column("system", overflow="fold", max_width=24)
    table.add_column("runs", justify="right")
    several = any(one["runs"] > 1 for one in found["systems"])
    for key, name in NAMES.items():
        table.add_column(name, justify="right", style="bold" if key == found["by"] else "")
        if several:
            table.add_column("sd", justify="right", style="dim")
    for one in sorted(found["systems"], key=lambda one: (one["rank"], -(one[found["by"]]["value"] or 0.0))):
        cells = []
        for key in NAMES:
            cells.append(number(one[key]["value"]))
            if several:
                cells.append(number(one[key]["sd_runs"]))
        table.add_row("–".join(map(str, sorted(set(one["rank"])))), escape(one["name"]), str(one["runs"]), *cells)
    return table


def _pair(pair: dict[str, Any], found: dict[str, Any]) -> Table:
    table = Table(
        title=escape(f"{pair['first']} less {pair['second']}"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.padding = 0
    table.add_column("", min_width=9, overflow="fold")
    table.add_column("pos.", justify="right", no_wrap=True)
    for heading in ("1st", "2nd", "less", f"{found['level']:.0%} interval", "p", "Holm ", "DeLong", "finds"):
        table.add_column(heading, justify="right", no_wrap=True)
    for key, name in NAMES.items():
        table.add_row(name, "", *_cells(pair[key], found), end_section=key == "final")
    for one in pair["per_class"]:
        table.add_row(escape(one["code"]), str(one["n_pos"]), *_cells(one["auc"], found))
    return table


def _cells(one: dict[str, Any], found: dict[str, Any]) -> list[str]:
    bounds = one["interval"]
    shown = one["p_holm"] is not None and one["p_holm"] <= 1 - found["level"]
    return [
        number(one["first"]),
        number(one["second"]),
        _signed(one["difference"]),
        "–" if bounds is None else f"{_signed(bounds[0])} to {_signed(bounds[1])}",
        _p(one["p"]),
        _p(one["p_holm"]) + ("*" if shown else " "),
        _p(one["delong"]["p"]) if "delong" in one else "–",
        number(one["detectable"]),
    ]


def _count(number_of: int, what: str) -> str:
    return f"{number_of} {what}" if number_of == 1 else f"{number_of} {what}s"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}".replace("-0.000", "+0.000")


def _p(value: float | None) -> str:
    return "–" if value is None else "<.001" if value < 0.001 else f"{value:.3f}"


def _legend(found: dict[str, Any]) -> list[str]:
    several = any(one["runs"] > 1 for one in found["systems"])
    swaps = f"all {found['permutations']}" if found["exact"] else f"{found['permutations']} random"
    tests = found["tests"]
    what = (
        f"p: {swaps} swaps of patients between the two systems"
        if not several
        else ("p: Student's t over patients and training runs where a system has several, else swaps of patients")
    )
    return [
        "A rank of 1–2 is a tie: from 1 and one for each system shown to be better, to the last less one for each "
        "system shown to be worse.",
        f"{what}. Holm: corrected for each overall number over {_count(tests[found['by']], 'pair')}, for the "
        f"labels' AUCs over {_count(tests['auc'], 'test')}; * at most {1 - found['level']:.2g}.",
        f"finds: the difference found with {found['power']:.0%} power at Holm's first step. Labels: AUCs, their APs "
        "are in the JSON (--json). – is undefined.",
        *(f"note: {line}." for line in found["notes"]),
    ]
