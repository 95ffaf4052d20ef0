"""Blends of the three networks of `benchmarks.odir_pair_seeds` on real ODIR-5K: forest, dense net and mean.

    python -m benchmarks.blend_odir --root ODIR_FOLDER

Takes the bundles that `benchmarks.odir_pair_seeds` left. The networks are asked once for the validation and the test
part; then every kind of blend is fitted on validation visits and judged on the test part, visits with both eyes, as
`eyeground blend` does. Recorded are the commands that do the same one at a time, the split's hash, the seeds, every
system's numbers with intervals, and the paired comparisons by visit and by photograph.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from benchmarks import record
from eyeground.cohorts import CohortOptions, read_cohort
from eyeground.metrics.compare_pairs import Rules
from eyeground.progress import quiet
from eyeground.runs import blend as blending
from eyeground.runs.blend_features import Wanted
from eyeground.runs.blend_folder import load_networks, writing
from eyeground.runs.blend_judged import judge_all, save_judged, systems_of
from eyeground.runs.blender import Settings
from eyeground.runs.place import Place
from eyeground.runs.unseen import Asked

SEEDS = (0, 1, 2)
KINDS = ("forest", "dense", "mean")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.blend_odir", description=__doc__.split("\n\n")[0])
    parser.add_argument("--root", type=Path, required=True, help="the challenge's workbook and image folder")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="where the bundles are, and the blends go")
    arguments = parser.parse_args()
    paths = [arguments.out / f"odir-pair-192-seed{seed}" / "bundle" for seed in SEEDS]
    desk = blending.Desk(Place(), quiet, lambda text: print(text, flush=True))
    models = load_networks(paths, desk.place)
    cohort = read_cohort("odir", arguments.root, CohortOptions())
    wanted = Wanted()
    parts = {part: blending.gather(models, Asked(cohort, None, part), wanted, desk) for part in ("val", "test")}
    judged_on = blending.with_both_eyes(parts["test"])
    found: dict[str, Any] = {}
    for kind in KINDS:
        blend = blending.fit_on(models, parts["val"], blending.Order(wanted, Settings(kind)))
        systems = systems_of(blend, models, judged_on)
        told = judge_all(blend, models, judged_on, systems, Rules())
        folder = arguments.out / f"odir-blend-{kind}"
        with writing(folder, blend, [model.bundle for model in models]) as place:
            save_judged(place, told, systems, judged_on, blend.vocabulary.codes)
        words = ["eyeground", "blend", "--bundles", *map(str, paths), "--layout", "odir", "--root"]
        words += ["ODIR", "--kind", kind, "--both-eyes", "--out", str(folder)]
        found[kind] = {"command": shlex.join(words), **short(told, whole=not found)}
        print(kind, {name: row["macro_auc"] for name, row in told["judged"].items()}, flush=True)
    print(f"recorded in {record.write('blend_odir', {'seeds': SEEDS, 'blends': found})}")


def short(told: dict[str, Any], whole: bool) -> dict[str, Any]:
    """What is recorded: the networks and their mean with the first blend only, comparisons without single labels."""
    judged = told["judged"] if whole else dict([list(told["judged"].items())[-1]])
    compared = {
        unit: {key: _without_labels(value) for key, value in one.items()} if one else one
        for unit, one in told["compared"].items()
    }
    return {**told, "judged": judged, "compared": compared}


def _without_labels(value: Any) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [{key: one for key, one in row.items() if key != "per_class"} for row in value]
    return value


if __name__ == "__main__":
    main()
