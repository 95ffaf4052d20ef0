"""`eyeground protocol show`: a protocol as TOML, to be read, or edited and given as a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from eyeground.cli.console import note, parse, print_json
from eyeground.files import write_text
from eyeground.protocols import find_protocol


@dataclass(frozen=True)
class Flags:
    """Prints a protocol as TOML; its hash goes to standard error."""

    protocol: tyro.conf.Positional[str]
    """A name from `eyeground protocol list`, or a .toml file."""
    out: Path | None = None
    """Write the TOML into this file instead."""
    json: bool = False
    """Print one JSON object, with the hash, and nothing else."""


def main(argv: Sequence[str]) -> int:
    """Prints or writes the TOML."""
    flags = parse(Flags, argv, "protocol show")
    protocol = find_protocol(flags.protocol)
    if flags.out is not None:
        write_text(flags.out, protocol.to_toml())
    if flags.json:
        print_json({**protocol.to_dict(), **protocol.brief()})
        return 0
    note(f"protocol {protocol.name}, hash {protocol.hash}")
    if flags.out is None:
        sys.stdout.write(protocol.to_toml())
    return 0
