"""Where is the lesion? Poolings, resolutions, explainers and the third pass on IDRiD, judged on lesions drawn by hand.

    python -m benchmarks.idrid_lesions --root IDRID_FOLDER --trunk-weights mobilenetv2_100.safetensors

Splits the grading part without the photographs of the segmentation part (and their copies), trains every system on the
same visits, judges image-level AUC on the test part, and holds maps against the lesions. Goes on where it was stopped;
`--only` takes some systems, `--judge` trains nothing. `docs/heatmaps.md` has the tables (`--docs`).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.idrid_lesions_page import write_page
from benchmarks.odir_leak import cohort, step
from eyeground.runs.bundle import load_bundle
from eyeground.splits import Split

LABEL = "referable_dr"
SHARES = ("--folds", "1", "--test-share", "0.25", "--val-share", "0.1", "--seed", "0")
PAIR = ("--method", "pair", "--trunk", "mobilenetv2_100", "--dropout", "0.2", "--batch-size", "8", "--rotate", "180")
MINING = (
    *("--method", "image_mining", "--batch-size", "8", "--recipe", "common", "--unit", "eye", "--lr", "0.0005"),
    *("--enhance", "background", "--outside", "0.50196", "--rotate", "180", "--zoom", "0.15", "--shift", "0.089"),
    *("--stretch", "--channel-contrast", "0.67", "--brightness", "0", "--contrast", "0", "--saturation", "0"),
)
EMA = ("--ema", "0.98")
OWN = ("evidence", "hue")
PIXELS = ("hue", "sensitivity")


@dataclass(frozen=True)
class System:
    """One training, its first net (a system before it) and the maps it is judged by."""

    name: str
    about: str
    flags: tuple[str, ...]
    maps: tuple[str, ...] = ()
    first: str | None = None

    @property
    def judged(self) -> bool:
        """Steps on the way to a larger net are not."""
        return bool(self.maps)


def pair(name: str, about: str, size: int, *flags: str, start: int = 0, **more: Any) -> System:
    """MobileNetV2 from ImageNet, half of the epochs at `start` px where that is given; a few where a trunk is given."""
    epochs = ("--epochs", "3" if "first" in more else "16")
    sizes = ("--size", str(size), *(("--start-size", str(start)) if start else ()))
    return System(name, about, (*PAIR, *sizes, *epochs, *EMA, *flags), **{"maps": OWN, **more})


def mining(name: str, about: str, size: int, epochs: int, *flags: str, **more: Any) -> System:
    """Net A of team o_O, grown from 112 to 224 to 448 px."""
    return System(name, about, (*MINING, "--size", str(size), "--epochs", str(epochs), *EMA, *flags), **more)


EVERY = ("evidence", "grad_cam", "grad_cam_pp", "hires_cam", "sensitivity", "hue")
SYSTEMS = (
    pair("gap256", "mean pooling, 256 px", 256),
    pair("gap512", "mean pooling, 512 px", 512, start=256, maps=EVERY),
    pair("gap768", "mean pooling, 768 px, from gap512's trunk", 768, "--lr", "0.0003", first="gap512"),
    pair("lse512", "log-sum-exp, γ 5, 512 px", 512, "--pooling", "lse", start=256),
    pair("mil512", "attention MIL, 512 px", 512, "--pooling", "mil", start=256),
    pair("cwp512", "confidence-weighted, 512 px", 512, "--pooling", "cwp", start=256),
    mining("a112", "net A, 112 px", 112, 120),
    mining("a224", "net A, 224 px", 224, 40, first="a112"),
    mining("a448", "net A, 448 px, ν 0", 448, 14, maps=PIXELS, first="a224"),
    mining("a448nu", "net A, 448 px, ν 0.005", 448, 14, "--nu", "0.005", maps=PIXELS, first="a224"),
)
BLURS = (0.0, 0.01)
"""Maps as they are, and smoothed: gradients are speckled, and only they are smoothed."""


@dataclass(frozen=True)
class Places:
    """Where data, splits and runs lie."""

    grading: Path
    lesions: Path
    out: Path
    weights: str

    @property
    def split(self) -> Path:
        return self.out / "split.json"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.idrid_lesions", description=__doc__.split("\n\n")[0])
    parser.add_argument("--root", type=Path, required=True, help="folder with 'A. Segmentation', 'B. Disease Grading'")
    parser.add_argument("--trunk-weights", required=True, help="ImageNet weights of mobilenetv2_100, or imagenet")
    parser.add_argument("--out", type=Path, default=Path("runs/idrid"), help="where split and runs are kept")
    parser.add_argument("--only", nargs="*", default=[one.name for one in SYSTEMS], help="systems by name")
    parser.add_argument("--judge", action="store_true", help="train nothing: judge the systems that are there")
    parser.add_argument(
        "--docs", type=Path, help="a page whose marked blocks are written anew, such as docs/heatmaps.md"
    )
    arguments = parser.parse_args()
    root = arguments.root
    places = Places(root / "B. Disease Grading", root / "A. Segmentation", arguments.out, arguments.trunk_weights)
    commands: list[str] = []
    keep_out = ("--keep-out-layout", "idrid-lesions", "--keep-out-root", str(places.lesions))
    step(commands, places.split, "cohort", "split", *cohort("idrid", places.grading), *SHARES, *keep_out, places.split)
    rows = {}
    for system in SYSTEMS:
        there = (places.out / system.name / "bundle").is_dir()
        if system.name not in arguments.only or (arguments.judge and not there):
            continue
        train(commands, system, places)
        if system.judged:
            rows[system.name] = judged(commands, system, places)
    told = [command.replace(str(root), "IDRID") for command in commands]
    split = Split.load(places.split)
    figures = {"commands": told, "split_hash": split.hash, "kept_out": list(split.kept_out), "systems": rows}
    print(f"recorded in {record.write('idrid_lesions', figures, lines=False)}")
    if arguments.docs:
        write_page(figures, arguments.docs)


def train(commands: list[str], system: System, places: Places) -> None:
    """Trains a system, or notes how it was trained."""
    run = places.out / system.name
    weights = ("--trunk-weights", places.weights) if "pair" in system.flags else ()
    init = ("--init", str(places.out / system.first / "bundle")) if system.first else ()
    where = ("--split", str(places.split), *system.flags, *weights, *init)
    step(commands, run / "bundle", "train", *cohort("idrid", places.grading), *where, run)


def judged(commands: list[str], system: System, places: Places) -> dict[str, Any]:
    """Image-level numbers of the test part, and the lesion score of each map."""
    run = places.out / system.name
    bundle = ("--bundle", str(run / "bundle"))
    test = (*cohort("idrid", places.grading), "--part", "test", "--no-gallery", "--no-subgroups")
    step(commands, run / "test" / "evaluation.json", "evaluate", *bundle, *test, run / "test")
    found = json.loads((run / "test" / "evaluation.json").read_text(encoding="utf-8"))
    healthy = ("--healthy-layout", "idrid", "--healthy-root", str(places.grading), "--healthy-part", "test")
    lesions: dict[str, Any] = {}
    for blur in BLURS:
        out = run / f"lesions-{blur:g}"
        maps = [one for one in system.maps if one in PIXELS or not blur]
        asked = (*cohort("idrid-lesions", places.lesions), *healthy, "--blur", f"{blur:g}", "--maps", *maps)
        step(commands, out / "localisation.json", "localise", *bundle, *asked, out)
        lesions[f"{blur:g}"] = kept(json.loads((out / "localisation.json").read_text(encoding="utf-8")))
    log = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    label = next(row for row in found["per_class"] if row["code"] == LABEL)
    return {
        "about": system.about,
        "config": load_bundle(run / "bundle").config,
        "training_seconds": round(sum(row["seconds"] for row in log), 1),
        "test": {"n": found["n"], LABEL: label, "intervals": found["intervals"], "macro_auc": found["macro_auc"]},
        "grade": found["details"]["grade"],
        "lesions": lesions,
    }


FROC = ("type", "area", "area_interval")
PIXELS_KEPT = ("type", "prevalence", "ap", "ap_interval", "auroc", "iou_best")


def kept(localisation: dict[str, Any]) -> dict[str, Any]:
    """What of a localisation is recorded: the numbers to five digits, without curves; what holds for all maps once."""
    rows = {}
    every = [*localisation["maps"], *localisation["floors"]]
    for row in every:
        score = row["lesions"][LABEL]
        froc = {
            way: {"false": {name: [_froc_row(part) for part in parts] for name, parts in _told(way, one).items()}}
            for way, one in score["froc"].items()
        }
        pixels = [{key: one[key] for key in PIXELS_KEPT} for one in score["pixels"]]
        level = [{key: one[key] for key in ("type", "az")} for one in score["image_level"]]
        rows[row["map"]] = {
            **{key: row[key] for key in ("unit", "map_elements", "notes")},
            "pointing": {"local": row["pointing"]["local"]},
            "score": {"froc": froc, "pixels": pixels, "image_level": level},
        }
    first = every[0]["lesions"][LABEL]
    about = {
        "healthy": localisation["healthy"]["eyes"],
        "leak_audit": localisation["leak_audit"]["text"],
        "types": first["types"],
        "intervals": first["intervals"],
        "rules": {way: one["rules"] for way, one in first["froc"].items()},
    }
    short: dict[str, Any] = _short({**about, "maps": rows})
    return short


def _told(way: str, froc: dict[str, Any]) -> dict[str, Any]:
    """Both conventions of what is false for peaks near a lesion, one for the other ways of counting."""
    return {name: rows for name, rows in froc["false"].items() if way == "near" or name == "any"}


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items()}
    return [_short(one) for one in value] if isinstance(value, list) else value


def _froc_row(row: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in FROC} | {
        "sensitivity": [one for one in row["sensitivity"] if one["fpi"] in (1, 10)]
    }


if __name__ == "__main__":
    main()
