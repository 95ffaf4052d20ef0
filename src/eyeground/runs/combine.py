"""Several bundles of one method become one whose answers are the mean of theirs, chosen on the validation part anew."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from eyeground import __version__
from eyeground.errors import UsageError
from eyeground.methods import find_method
from eyeground.progress import Track
from eyeground.runs.bundle import CHOSEN_ON, Bundle, check_new, load_bundle, writing
from eyeground.runs.calibrate import Wish, calibrate
from eyeground.runs.chosen import chosen_on
from eyeground.runs.fit import evidence_scale
from eyeground.runs.held import hold
from eyeground.runs.model import load
from eyeground.runs.place import Place
from eyeground.runs.unseen import Asked

TAUGHT_ONLY = "findings"
"""Of `pair`: a head that serves in training and has no part in the answer; its keys and its method fields."""
DECIDES = ("trunk", "stages", "fusion", "pooling", "pooling_gamma", "pooling_learned", "pooling_part")
"""Fields of `pair` that decide the network; weights, losses and dropout may differ."""


def combine(
    folders: Sequence[Path], asked: Asked, wish: Wish, out: Path, place: Place, track: Track, say: Callable[[str], None]
) -> dict[str, Any]:
    """Writes the joint bundle; thresholds, calibration and label sets are those of the mean, not of any member.

    Returns:
        what `calibrate` reports, and `members`: digest and validation macro AUC of each.

    Raises:
        UsageError: fewer than two bundles, one twice, or bundles that differ in more than their weights.
        LeakError, DataError, BundleError: see `hold` and `load_bundle`.
    """
    bundles = [load_bundle(folder) for folder in folders]
    check_alike(bundles)
    check_new(bundles[0], out)
    with tempfile.TemporaryDirectory(prefix="eyeground-") as aside:
        _write(bundles, Path(aside) / "joint")
        model = load(Path(aside) / "joint", place)
        held = hold(model, asked, place, track, say, evidence=True)
        every = [label.visit == "all" for label in model.bundle.vocabulary.labels]
        scale = {**model.bundle.metrics, "evidence_scale": evidence_scale(held.evidence, every)}
        report = calibrate(replace(model.bundle, metrics=scale), held, wish, out)
    members = [{"digest": one.digest, "val_macro_auc": one.metrics["validation"]["macro_auc"]} for one in bundles]
    return {**report, "members": members}


def check_alike(bundles: Sequence[Bundle]) -> None:
    """Raises `UsageError` unless these are two or more bundles that differ in weights and how they learnt only."""
    if len(bundles) < 2:
        raise UsageError("one bundle is no mean: give --bundles two or more")
    first = bundles[0]
    if not hasattr(find_method(first.config["method"]["name"]), "joined"):
        raise UsageError(f"networks of method {first.config['method']['name']} can't be joined; pair's can")
    for k, one in enumerate(bundles):
        if one.digest in [earlier.digest for earlier in bundles[:k]]:
            raise UsageError(f"{one.folder} is given twice; give each bundle once")
        if int(one.config["predict"].get("members", 1)) > 1:
            raise UsageError(f"{one.folder} is itself a mean; join its members")
        for name, mine in _deciding(one).items():
            if mine != _deciding(first)[name]:
                raise UsageError(
                    f"{one.folder} and {first.folder} differ in {name} ({mine}, {_deciding(first)[name]}); "
                    "bundles that are joined read the same photographs in the same way"
                )


def _deciding(bundle: Bundle) -> dict[str, Any]:
    """What must be equal: the network's shape, the labels, the preprocessing, the patients that were learnt from."""
    method, data = bundle.config["method"], bundle.config["data"]
    return {
        "method": method["name"],
        **{name: method[name] for name in DECIDES if name in method},
        "labels": bundle.vocabulary.codes,
        "preprocessing": bundle.preprocessing.to_dict(),
        "laterality": bundle.config["recipe"]["laterality"],
        "mirrored": bundle.config["predict"]["mirrored"],
        "split": (data["split_hash"], data["fold"]),
        "stamp": bundle.stamp,
    }


def _write(bundles: Sequence[Bundle], folder: Path) -> None:
    """The joint network with the first member's tables; `calibrate` replaces those that were chosen."""
    first = bundles[0]
    method = {key: value for key, value in first.config["method"].items() if not key.startswith(TAUGHT_ONLY)}
    data = {**first.config["data"], "joined": [one.digest for one in bundles]}
    config = {**first.config, "method": method, "predict": {**first.config["predict"], "members": len(bundles)}}
    names = ("vocabulary.json", "preprocess.json", "thresholds.json", "calibration.json", "metrics.json", "split.json")
    tables = {name: json.loads((first.folder / name).read_text(encoding="utf-8")) for name in names}
    used = [one.to_dict() for bundle in bundles for one in chosen_on(bundle)]
    if used:
        tables[CHOSEN_ON] = {"used": used}
    texts = {name: (first.folder / name).read_text(encoding="utf-8") for name in ("card.md", "LICENSE")}
    texts["card.md"] = (
        f"{texts['card.md'].rstrip()}\n\nThe mean of {len(bundles)} networks, of which this was the first.\n"
    )
    weights: dict[str, Tensor] = {}
    for number, bundle in enumerate(bundles):
        own = load_file(str(bundle.weights))
        kept = {key: value for key, value in own.items() if not key.startswith(f"{TAUGHT_ONLY}.")}
        weights |= {f"members.{number}.{key}": value for key, value in kept.items()}
    with writing(folder, {**tables, "config.toml": {**config, "data": data}}, texts) as place:
        save_file(weights, str(place / "weights.safetensors"), {"eyeground": __version__})
