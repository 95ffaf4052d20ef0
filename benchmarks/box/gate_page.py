"""The tables of docs/gate.md, made from the record of `benchmarks.box.fit_gate`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.pages import fill
from benchmarks.record import RESULTS

PAGE = Path(__file__).parents[2] / "docs" / "gate.md"


def write_page(path: Path = RESULTS / "gate.json", page: Path = PAGE) -> None:
    """Puts the tables between the page's `<!-- NAME -->` and `<!-- end -->`."""
    figures = json.loads(path.read_text(encoding="utf-8"))["figures"]
    check, sides = figures["fundus_check"], figures["laterality"]
    tables = {
        "photographs": refused("true photographs", check["photographs"]),
        "untouched": refused("kinds that were never looked at", figures["untouched"]["negatives"]),
        "seen": refused("kinds that were seen while choosing", check["seen_negatives"]),
        "sides": sides_of(sides),
        "pairs": pairs_of(sides),
        "time": time_of(figures["time"]),
    }
    fill(page, tables)


def refused(title: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Kinds of pictures, and how many are refused."""
    yield f"| {title} | refused | share [95 %] | exact interval |"
    yield "|---|---|---|---|"
    for row in rows:
        yield f"| {row['kind']} | {row['hits']} of {row['n']} | {_share(row)} | {_range(row['exact'])} |"


def sides_of(sides: Mapping[str, Any]) -> Iterator[str]:
    """The detector on single photographs."""
    yield "| photographs | right | says “not sure” | right where sure | warned of, given alone for the eye it shows |"
    yield "|---|---|---|---|---|"
    for row in sides["photographs"]:
        unsure = row["sure"]["n"] - row["sure"]["hits"]
        cells = [f"{row['kind']} ({row['n']})", _share(row), f"{unsure / row['n']:.1%}"]
        yield f"| {' | '.join([*cells, _counted(row['right_where_sure']), _counted(row['one_eye_warned'])])} |"


def pairs_of(sides: Mapping[str, Any]) -> Iterator[str]:
    """The warnings about pairs."""
    names = {
        "correct_warned": "given correctly: any warning",
        "correct_called_exchanged": "given correctly: called exchanged",
        "exchanged_found": "exchanged: called so",
        "both_right_warned": "the right eye's photograph given for both: any warning of sides",
    }
    yield f"| pairs | {' | '.join(row['kind'] for row in sides['pairs'])} |"
    yield "|---|" + "---|" * len(sides["pairs"])
    for key, name in names.items():
        yield f"| {name} | {' | '.join(_counted(row[key]) for row in sides['pairs'])} |"


def time_of(found: Mapping[str, float]) -> Iterator[str]:
    """Milliseconds."""
    yield "| on one thread, median | ms of the processor |"
    yield "|---|---|"
    yield f"| is it a fundus photograph, one view | {found['fundus_check_ms']:.1f} |"
    yield f"| which side, one view | {found['laterality_ms']:.1f} |"
    yield f"| all checks, per eye of a pair (also: one photograph or eye twice) | {found['gate_per_eye_ms']:.1f} |"


def _counted(row: Mapping[str, Any]) -> str:
    return f"{row['hits']} of {row['n']}, {_share(row)}"


def _share(row: Mapping[str, Any]) -> str:
    return f"{row['share']:.1%} {_range(row['wilson'])}"


def _range(interval: list[float]) -> str:
    low, high = interval
    return f"[{100 * low:.1f} to {100 * high:.1f}]"
