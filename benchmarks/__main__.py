"""Runs the benchmarks named on the command line, or all, and records their figures."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

from benchmarks import record

BENCHMARKS = {
    "bootstrap": "benchmarks.bootstrap",
    "crop": "benchmarks.crop",
    "heatmaps": "benchmarks.heatmaps",
    "phantom": "benchmarks.phantom",
    "read_speed": "benchmarks.read_speed",
    "training": "benchmarks.training",
}
"""Name to module; a module has `run() -> dict` of JSON-able figures and prints its table."""

LONG = {
    "comparison": "benchmarks.comparison",
    "coverage": "benchmarks.coverage",
    "coverage_ece": "benchmarks.coverage_ece",
    "coverage_points": "benchmarks.coverage_points",
    "leaks": "benchmarks.leaks",
    "phantom_learning": "benchmarks.phantom_learning",
    "subgroups": "benchmarks.subgroups",
}
"""The same, but run only when named: most take ten minutes or more, `leaks` needs real data."""


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"of: {', '.join(BENCHMARKS)}; all of these by default, and {', '.join(LONG)} when named",
    )
    parser.add_argument("--no-record", action="store_true", help="print only; write nothing to benchmarks/results")
    arguments = parser.parse_args(argv)
    known = BENCHMARKS | LONG
    for name in arguments.names:
        if name not in known:
            parser.error(f"no benchmark '{name}': there are {', '.join(known)}")
    for name in arguments.names or BENCHMARKS:
        print(f"== {name}", flush=True)
        figures = importlib.import_module(known[name]).run()
        if not arguments.no_record:
            print(f"recorded in {record.write(name, figures)}\n", flush=True)


if __name__ == "__main__":
    main()
