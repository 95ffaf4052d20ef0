"""`eyeground export`: a bundle that ONNX Runtime reads, for machines without torch."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from eyeground.cli.console import note, out, parse, print_json
from eyeground.cohorts import CohortOptions, read_cohort
from eyeground.errors import DataError, ImageError, UsageError
from eyeground.images.cache import prepare_all
from eyeground.images.prepare import Preprocessing
from eyeground.runs.data import Pair


@dataclass(frozen=True)
class Flags:
    """Writes a copy of a bundle with model.onnx, after comparing its answers with torch's."""

    bundle: Path
    """The trained model's folder."""
    out: Path
    """Folder of the new bundle."""
    half: bool = False
    """Store matrices as float16: half the size. The calibration stays as it was; run `eyeground calibrate` after it."""
    layout: str | None = None
    """Compare on a cohort of this layout; default: on made eyes."""
    root: Path | None = None
    """The cohort's folder."""
    options: Annotated[CohortOptions, tyro.conf.arg(name="")] = field(default_factory=CohortOptions)
    visits: int = 8
    """Visits to compare on; two more have one eye."""
    json: bool = False
    """Print one JSON object and nothing else."""


def main(argv: Sequence[str]) -> int:
    flags = parse(Flags, argv, "export")
    if (flags.layout is None) != (flags.root is None):
        raise UsageError("--layout and --root name a cohort together; give both or none")
    if flags.visits < 1:
        raise UsageError(f"--visits {flags.visits}: compare on 1 or more")
    from eyeground.runs.export import TOLERANCE, export

    def eyes(preprocessing: Preprocessing) -> list[Pair]:
        return _eyes(flags, preprocessing)

    done = export(flags.bundle, flags.out, eyes, flags.half)
    if flags.json:
        print_json({"out": str(flags.out), **done.to_dict()})
        return 0
    where = "made eyes" if flags.layout is None else f"photographs of {flags.root}"
    out.print(
        f"largest difference to torch {done.difference:.1e} (at most {TOLERANCE:g}), {done.visits} visits, {where}"
    )
    if done.halved is not None:
        out.print(f"half precision moves a probability by at most {done.halved:.1e} there")
    graph, weights = (f"{size / 2**20:.1f} MiB" for size in (done.graph_bytes, done.weight_bytes))
    note(f"{flags.out} written: model.onnx {graph}, weights.safetensors {weights}")
    return 0


def _eyes(flags: Flags, preprocessing: Preprocessing) -> list[Pair]:
    """Prepared pairs to compare on."""
    with tempfile.TemporaryDirectory() as folder:
        layout, root = flags.layout, flags.root
        if layout is None or root is None:
            from eyeground.phantom import make_cohort

            layout, root = "odir", Path(folder)
            make_cohort(root, patients=flags.visits, size=min(max(preprocessing.size, 96), 2048), seed=0)
        cohort = read_cohort(layout, root, flags.options)
        paths = [[eye.path for eye in visit.eyes if eye] for visit in cohort.visits if all(visit.seen)][: flags.visits]
        made = [prepare_all([path for path in pair if path], preprocessing) for pair in paths]
        pairs: list[Pair] = [
            (left, right)
            for left, right in made
            if not isinstance(left, ImageError) and not isinstance(right, ImageError)
        ]
    if not pairs:
        raise DataError(f"{root} has no visit with two readable photographs to compare on")
    return pairs
