r"""The model in the box, from the raw folder to the bundle that ships, in one go; goes on where it was stopped.

    python -m benchmarks.box.make --root ODIR_FOLDER --trunk-weights mobilenetv2_100.safetensors \
        --known-duplicates ODIR_FOLDER/duplicates.csv --ship

1. the baselines' split, and two networks as `benchmarks.odir_pair` (256 px) and `odir_pair_seeds` (192 px, seed 2)
   train them: their commands are the same, so runs that are there are taken;
2. each goes on at 288 px, with the eyes' keywords taught beside the labels and other cameras' sharpness drawn;
3. `combine` makes their mean one bundle; calibration, thresholds and label sets are those of the mean on the validation
   part; `export --half` gives it 16-bit weights and the graph for ONNX Runtime, `calibrate` chooses again with these;
4. the test part is judged, with and without visits of one eye, and compared with the baseline on the same patients;
5. with --ship the bundle goes to src/eyeground/box, with its card and terms, and a split without the small pictures of
   photographs that the audit for near copies needs.

Which of the members, or their mean, ships was decided on the validation part.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import odir_pair, odir_pair_seeds, record
from benchmarks.odir_pair import eyeground
from eyeground.runs.bundle import CHOSEN_ON, load_bundle, writing
from eyeground.runs.engine import BOX
from eyeground.splits import Split

HERE = Path(__file__).parent
SEED = 2
"""The run of `odir_pair_seeds` that was best on the validation part."""
NEXT = ("--method", "pair", "--trunk", "mobilenetv2_100", "--trunk-weights", "none", "--size", "288", "--epochs", "5")
RATES = ("--lr", "8e-4", "--ema", "0.99", "--dropout", "0.3", "--weight-decay", "0.05", "--visit-weight", "0.5")
SHAPE = ("--zoom", "0.15", "--stretch", "--rotate", "30")
LIGHT = ("--brightness", "0.25", "--contrast", "0.25", "--saturation", "0.25", "--sharpness", "0.8")
MORE = ("--findings", "20", "--mirrored")
BEGUN = ("odir-pair", f"odir-pair-192-seed{SEED}")
"""Runs that the members go on from."""
KEPT = (*odir_pair.KEPT, "label_sets", "subgroups", "ece")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.box.make", description=__doc__.split("\n\n")[0])
    parser.add_argument("--root", required=True, help="the ODIR-5K challenge's workbook and image folder")
    parser.add_argument("--trunk-weights", required=True, help="ImageNet weights of mobilenetv2_100, or imagenet")
    parser.add_argument("--known-duplicates", help="duplicates known beforehand, as for `cohort split`")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="where split and runs are kept")
    parser.add_argument("--ship", action="store_true", help="replace the bundle in src/eyeground/box")
    arguments = parser.parse_args()
    out, cohort = arguments.out, ("--layout", "odir", "--root", arguments.root)
    split, commands = out / "odir-split.json", list[str]()
    known = ("--known-duplicates", arguments.known_duplicates) if arguments.known_duplicates else ()
    if split.is_file() and not known and any(pair["kind"] == "known" for pair in Split.load(split).duplicates):
        parser.error(f"{split} was made with --known-duplicates; give the same file, or the record would tell another")
    _once(commands, split, "cohort", "split", *cohort, *odir_pair.SPLIT_FLAGS, *known, "--out", str(split))
    members = _members(commands, out, cohort, arguments.trunk_weights)
    joint, half, box = (out / "box" / name for name in ("joint", "half", "bundle"))
    bundles = [str(run / "bundle") for run in members]
    eyeground(commands, "combine", "--bundles", *bundles, *cohort, "--out", str(joint))
    eyeground(commands, "export", "--bundle", str(joint), "--half", *cohort, "--out", str(half))
    eyeground(commands, "calibrate", "--bundle", str(half), *cohort, "--out", str(box))
    judged = {}
    for name, more in (("both eyes", ("--both-eyes",)), ("all visits", ())):
        place = out / "box" / f"judged-{name.replace(' ', '-')}"
        eyeground(commands, "evaluate", "--bundle", str(box), *cohort, "--part", "test", *more, "--out", str(place))
        found = json.loads((place / "evaluation.json").read_text(encoding="utf-8"))
        judged[name] = {key: found[key] for key in KEPT if key in found}
    figures = _figures(commands, members, box, Split.load(split), judged)
    if arguments.ship:
        evaluations = [str(out / "box" / f"judged-{name.replace(' ', '-')}") for name in judged]
        eyeground(
            commands, "card", "--bundle", str(box), "--evaluation", *evaluations, "--out", str(out / "box" / "card")
        )
        ship(box, out / "box" / "card" / "card.md", BOX)
        figures["shipped"] = {
            "digest": load_bundle(BOX).digest,
            "bytes": sum(path.stat().st_size for path in BOX.iterdir()),
        }
        print(f"{BOX} replaced")
    print(f"recorded in {record.write('box', figures)}")


def _once(commands: list[str], made: Path, *words: str) -> None:
    """Runs a command whose file is not there yet; it is noted either way, for the record is of the whole making."""
    if made.is_file():
        commands.append(shlex.join(["eyeground", *words]))
    else:
        eyeground(commands, *words)


def _members(commands: list[str], out: Path, cohort: tuple[str, ...], weights: str) -> list[Path]:
    """The networks that are averaged, each trained in two steps."""
    given = (*cohort, "--split", str(out / "odir-split.json"))
    large = (*odir_pair.TRAIN_FLAGS, *odir_pair.RECIPE_FLAGS)
    small = (*odir_pair_seeds.FLAGS, *odir_pair_seeds.RECIPE, "--seed", str(SEED))
    runs = []
    for name, begun, flags, seed in (("a", out / BEGUN[0], large, 0), ("b", out / BEGUN[1], small, SEED)):
        start = ("train", *given, *flags, "--trunk-weights", weights, "--out", str(begun))
        _once(commands, begun / "bundle" / "manifest.json", *start)
        run = out / "box" / name
        recipe = (*NEXT, *RATES, *SHAPE, *LIGHT, *MORE, "--seed", str(seed), "--init", str(begun / "bundle"))
        eyeground(commands, "train", *given, *recipe, "--out", str(run))
        runs.append(run)
    return runs


def _figures(
    commands: list[str], members: list[Path], box: Path, split: Split, judged: dict[str, Any]
) -> dict[str, Any]:
    """What was run, on what, and what came out."""
    runs = [*(run.parents[1] / name for run, name in zip(members, BEGUN, strict=True)), *members]
    logs = {run.name: [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()] for run in runs}
    bundle = load_bundle(box)
    return {
        "commands": commands,
        "split_hash": split.hash,
        "config": bundle.config,
        "bundle_digest": bundle.digest,
        "weights_bytes": bundle.weights.stat().st_size,
        "bundle_bytes": sum(path.stat().st_size for path in box.iterdir()),
        "wall_seconds_of_training": {
            name: round(sum(row["seconds"] for row in rows), 1) for name, rows in logs.items()
        },
        "epochs": {run.name: logs[run.name] for run in members},
        "validation": {run.name: load_bundle(run / "bundle").metrics["validation"] for run in members},
        "validation_of_the_mean": bundle.metrics["validation"],
        "test": judged,
    }


def ship(bundle: Path, card: Path, folder: Path) -> None:
    """Copies a bundle for shipping: with this card and the box's terms, and a split that holds no pictures."""
    split = Split.load(bundle / "split.json")
    bare = replace(split, fingerprints=tuple(one.without_picture() for one in split.fingerprints))
    about = (HERE / "about.md").read_text(encoding="utf-8")
    texts = {
        "card.md": f"{about.rstrip()}\n\n{card.read_text(encoding='utf-8')}",
        "LICENSE": (HERE / "terms.md").read_text(encoding="utf-8"),
    }
    assert not (bundle / CHOSEN_ON).is_file(), f"{CHOSEN_ON} holds small pictures of photographs too"
    with writing(folder, {}, texts) as place:
        for path in bundle.iterdir():
            if path.name not in (*texts, "split.json", "manifest.json"):
                shutil.copyfile(path, place / path.name)
        bare.save(place / "split.json")


if __name__ == "__main__":
    main()
