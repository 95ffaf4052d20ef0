"""`eyeground protocol check`: whether a split was made under a protocol, without the cohort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from eyeground.cli.console import out, parse, print_json
from eyeground.protocols import find_protocol
from eyeground.protocols.remake import against_protocol
from eyeground.splits import Split


@dataclass(frozen=True)
class Flags:
    """Says whether a split was made under a protocol, and in what it differs; code 2 when it was not.

    `cohort split --verify SPLIT` also makes the split again.
    """

    protocol: tyro.conf.Positional[str]
    """A name from `eyeground protocol list`, or a .toml file."""
    split: tyro.conf.Positional[Path]
    """A split, from `eyeground cohort split`."""
    json: bool = False
    """Print one JSON object and nothing else."""


def main(argv: Sequence[str]) -> int:
    """Prints the verdict; 0 for the same protocol, else 2."""
    flags = parse(Flags, argv, "protocol check")
    protocol, split = find_protocol(flags.protocol), Split.load(flags.split)
    differences = against_protocol(split, protocol)
    if flags.json:
        told = {"same": not differences, "differences": differences, "protocol": protocol.brief()}
        print_json({**told, "split": {"hash": split.hash, "seed": split.seed, "protocol": split.protocol.brief()}})
        return 2 if differences else 0
    for line in differences:
        out.print(line, markup=False)
    verdict = "not made" if differences else "made"
    out.print(f"{flags.split} was {verdict} under {protocol.name}, hash {protocol.hash}", markup=False)
    return 2 if differences else 0
