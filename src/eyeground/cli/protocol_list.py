"""`eyeground protocol list`: the protocols that come with eyeground, and their hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

from eyeground.cli.console import out, parse, print_json
from eyeground.protocols import NAMES, find_protocol


@dataclass(frozen=True)
class Flags:
    """Names the protocols, with the first twelve digits of their hashes."""

    json: bool = False
    """Print one JSON object and nothing else."""


def main(argv: Sequence[str]) -> int:
    """Prints a table, or JSON with the whole hashes and contents."""
    flags = parse(Flags, argv, "protocol list")
    found = [find_protocol(name) for name in NAMES]
    if flags.json:
        print_json({"protocols": [{**one.to_dict(), **one.brief()} for one in found]})
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("protocol", "hash", "rule"):
        table.add_column(heading, no_wrap=heading != "rule")
    for one in found:
        table.add_row(one.name, one.hash[:12], one.rule + (" Needs --allow-leaky." if one.leaky else ""))
    out.print(table)
    return 0
