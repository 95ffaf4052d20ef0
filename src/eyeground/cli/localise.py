"""`eyeground localise`: whether the heatmaps point at the lesions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from eyeground.cli.cohort_options import CohortSource
from eyeground.cli.console import note, out, parse, print_json, track, warn
from eyeground.cli.judged_options import JudgedOn
from eyeground.cli.localise_tables import print_localisation
from eyeground.cohorts import read_cohort
from eyeground.errors import UsageError
from eyeground.runs.localise import Wanted, localise
from eyeground.runs.localise_out import write_localisation
from eyeground.runs.model import load
from eyeground.runs.place import Place
from eyeground.runs.unseen import Asked

FLAT = tyro.conf.arg(name="")


@dataclass(frozen=True)
class Flags:
    """Holds maps against lesion masks: the pointing game, FROC, pixel measures and image-level areas."""

    bundle: Path
    """The trained model's folder."""
    source: Annotated[CohortSource, FLAT]
    judged: Annotated[JudgedOn, FLAT] = field(default_factory=JudgedOn)
    maps: tuple[str, ...] = ("evidence",)
    """Explainers whose maps are held against the masks, such as evidence hue grad_cam; eyeground list names them."""
    label: str | None = None
    """The model's label whose maps are held against all masks. Default: each mask's own label, or for a lesion type the
    first of referable_dr, any_dr, ..., D that the model has."""
    healthy_layout: str | None = None
    """Layout of a cohort whose healthy eyes are negatives of the image-level areas; with --healthy-root."""
    healthy_root: Path | None = None
    """Its folder."""
    healthy_part: Literal["train", "val", "test", "all"] | None = None
    """Which part of the bundle's split they are of; default: every one of that cohort."""
    blur: float = 0.0
    """Smooth every map by a Gaussian of this sigma, a part of the field's diameter; gradients are speckled."""
    resamples: int = 2000
    """Resamples of patients for the intervals; 0 leaves them out."""
    seed: int = 0
    """Of the resamples."""
    out: Path | None = None
    """Also write localisation.json, froc.png, pointing.png and overlays of hits and misses into it."""
    json: bool = False
    """Print one JSON object and nothing else."""
    place: Annotated[Place, FLAT] = field(default_factory=Place)

    def healthy(self) -> Asked | None:
        """The cohort with healthy eyes. Raises `UsageError` for half of what names it."""
        if self.healthy_layout is None or self.healthy_root is None:
            if self.healthy_layout or self.healthy_root or self.healthy_part:
                raise UsageError("--healthy-layout and --healthy-root belong together (--healthy-part is of them)")
            return None
        cohort = read_cohort(self.healthy_layout, self.healthy_root)
        return Asked(cohort, None, self.healthy_part, False, self.judged.allow_leaky)


def main(argv: Sequence[str]) -> int:
    """Runs the command; returns its exit code."""
    flags = parse(Flags, argv, "localise")
    wanted = Wanted(flags.maps, flags.label, flags.healthy(), flags.resamples, flags.seed, flags.blur)
    model = load(flags.bundle, flags.place)
    found = localise(model, flags.judged.of(flags.source.read()), wanted, flags.place, track, note)
    if flags.out:
        write_localisation(found, flags.out, track, note)
    for stamp in found.stamps:
        warn(stamp)
    if flags.json:
        print_json(found.record)
        return 0
    print_localisation(found.record, out)
    return 0
