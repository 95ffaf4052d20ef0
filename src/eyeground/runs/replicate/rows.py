"""One row for each finished run: what was trained, on what, where, at what cost, and how it was judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from eyeground.errors import BundleError, DataError
from eyeground.files import sha256_of
from eyeground.methods import find_method
from eyeground.runs.bundle import load_bundle
from eyeground.runs.provenance import machine, versions
from eyeground.runs.replicate.grid import Run
from eyeground.settings import fill
from eyeground.vocabulary import Vocabulary

SCORES = ("macro_auc", "macro_ap", "final", "kappa", "f1", "auc")
GROUPS = ("one_label", "several_labels")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, empty where there is no file. Raises `DataError` when it is not JSON."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}); remove it and call again") from None
    return found


def judged(folder: Path) -> bool:
    """Whether a run's bundle, as it is, was judged on the test part."""
    manifest = read_json(folder / "bundle" / "manifest.json")
    found = read_json(folder / "test" / "evaluation.json")
    there = (folder / "test" / "predictions.csv").is_file() and found.get("part") == "test"
    return there and "intervals" in found and found["bundle"]["digest"] == manifest.get("digest")


def row_of(run: Run, spec: dict[str, Any], folder: Path, cost: dict[str, Any]) -> dict[str, Any]:
    """The row, JSON-able and without this machine's paths.

    Args:
        cost: wall seconds and peak memory by step, None for a step that another call did; what that call left in
            cost.json is taken then.
    """
    bundle = load_bundle(folder / "bundle")
    evaluation = read_json(folder / "test" / "evaluation.json")
    if not judged(folder):
        raise BundleError(f"{folder / 'test'} does not judge the bundle beside it; remove it and call again")
    earlier = read_json(folder / "cost.json")
    cost = {step: found or earlier.get(step) for step, found in cost.items()}
    epochs = _log(folder / "log.jsonl")
    data = bundle.config["data"]
    row = {
        "run": run.name,
        "system": run.system.name,
        "method": run.system.method,
        "fold": run.fold,
        "seed": run.seed,
        "spec": spec,
        "config": bundle.config["method"],
        "recipe": bundle.config["recipe"],
        "split_hash": data["split_hash"],
        "protocol": data["protocol"],
        "parameters": parameters(bundle.config["method"], bundle.config["recipe"]["size"], bundle.vocabulary),
        "train_visits": data["train_visits"],
        "epochs": len(epochs) or None,
        "train_seconds": round(sum(one["seconds"] for one in epochs), 1) if epochs else None,
        "cost": cost,
        "device": data["device"],
        "precision": data["precision"],
        "machine": machine(),
        "versions": {**versions(), "trained_with": data["eyeground_version"]},
        "n": evaluation["n"],
        "scores": _scores(evaluation),
        "baseline": evaluation["baselines"]["prevalence"],
        "predictions_sha256": sha256_of(folder / "test" / "predictions.csv"),
    }
    return row | ({"stamp": evaluation["stamp"]} if "stamp" in evaluation else {})


def parameters(config: dict[str, Any], size: int, vocabulary: Vocabulary) -> int:
    """How many numbers the model learns; it is built without memory for them."""
    values = {key: value for key, value in config.items() if key != "name"}
    method = find_method(config["name"])
    if "trunk_weights" in values:
        values["trunk_weights"] = "none"
    with torch.device("meta"):
        model = method.build(fill(method.Config, values, "the bundle's config.toml"), vocabulary, size)
    return sum(one.numel() for one in model.parameters())


def _scores(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Each number with its 95 % interval, for all visits and by how many labels they have."""
    bounds = evaluation["intervals"]
    found: dict[str, Any] = {key: {"value": evaluation[key], "interval": bounds.get(key)} for key in SCORES}
    parts = evaluation["details"]["by_label_count"]
    for group in GROUPS:
        part = parts[group]
        numbers = {key: {"value": part[key], "interval": part["intervals"][key]} for key in ("macro_auc", "macro_ap")}
        found[group] = {"n": part["n"], **numbers}
    return found


def _log(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
