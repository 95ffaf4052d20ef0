"""Runs the benchmarks named on the command line, or all, and records their figures."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

from benchmarks import record

BENCHMARKS = {
    "bootstrap": "benchmarks.bootstrap",
    "coverage": "benchmarks.coverage",
    "crop": "benchmarks.crop",
    "heatmaps": "benchmarks.heatmaps",
    "training": "benchmarks.training",
}
"""Name to module; a module has `run() -> dict` of JSON-able figures and prints its table."""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--no-record", action="store_true", help="print only; write nothing to benchmarks/results")
    arguments = parser.parse_args(argv)
    for name in arguments.names:
        if name not in BENCHMARKS:
            parser.error(f"no benchmark '{name}': there are {', '.join(BENCHMARKS)}")
    for name in arguments.names or BENCHMARKS:
        print(f"== {name}", flush=True)
        figures = importlib.import_module(BENCHMARKS[name]).run()
        if not arguments.no_record:
            print(f"recorded in {record.write(name, figures)}\n", flush=True)


if __name__ == "__main__":
    main()
