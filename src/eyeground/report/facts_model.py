"""What a bundle proves of the model: what it is, reads and answers, and where calibration and thresholds come from."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from math import isnan, prod
from pathlib import Path
from typing import Any

from eyeground.errors import BundleError
from eyeground.methods import METHODS
from eyeground.report.card_input import Run
from eyeground.report.facts import Fact, bounded, count, fact


def model_facts(run: Run) -> Iterator[Fact]:
    """Facts of the model itself."""
    yield from _what(run)
    yield from _reads(run)
    yield from _answers(run)
    yield from _calibration(run)
    yield from _thresholds(run)
    yield from _updated(run)


def _what(run: Run) -> Iterator[Fact]:
    bundle, manifest, method = run.bundle, run.files["manifest.json"], run.bundle.config["method"]
    name = f"Bundle `{bundle.digest[:12]}`, format {manifest['format']}, method `{method['name']}`"
    yield fact("model.name", f"{name}. The whole digest: `{bundle.digest}`.", "manifest.json#digest")
    line = METHODS[method["name"]].line if method["name"] in METHODS else "a method that this version does not know"
    trunk = f", trunk `{method['trunk']}`" if "trunk" in method else ""
    yield fact(
        "model.type", f"A neural network (deep learning): `{method['name']}`{trunk}; {line}.", "config.toml#method"
    )
    fields = ", ".join(f"{key} = {_value(value)}" for key, value in method.items() if key != "name")
    yield fact("model.method", f"Method `{method['name']}`: {fields}.", "config.toml#method")
    tensors, parameters = weights_size(bundle.weights)
    text = f"{count(parameters, 'number')} in {count(tensors, 'tensor')} of weights.safetensors (buffers included)."
    yield fact("model.size", text, "manifest.json#files.weights.safetensors")
    if "trunk_weights" in method:
        weights = method["trunk_weights"]
        start = "drawn at random" if weights == "none" else f"`{weights}`"
        text = f"The trunk's weights before training: {start}. The rest was drawn at random, by the seed."
        yield fact("model.start", text, "config.toml#method.trunk_weights")
    mirrored = bundle.config.get("predict", {}).get("mirrored", False)
    answers = ["An answer is the mean of a visit and its mirror image." if mirrored else "One pass gives the answer."]
    if ema := bundle.config["recipe"].get("ema"):
        answers.append(f"The weights are a running mean over training steps (decay {ema:g}).")
    text = " ".join(["The bundle holds one set of weights: no ensemble of several models.", *answers])
    yield fact("model.ensemble", text, "config.toml#recipe")
    yield fact("model.maps", _maps(bundle.evidence_scale), "metrics.json#evidence_scale")
    yield fact("model.licence", _sentences(run.files["LICENSE"]), "LICENSE")
    made = f"Made by eyeground {manifest['eyeground_version']}."
    trained = bundle.config["data"].get("eyeground_version")
    if trained and trained != manifest["eyeground_version"]:
        made = f"Trained by eyeground {trained}, this bundle written by {manifest['eyeground_version']}."
    yield fact("software.versions", made, "manifest.json#eyeground_version")


def _maps(scale: float | None) -> str:
    if scale is None:
        return "The program draws no evidence maps for this method: an answer comes without a picture of its reasons."
    return (
        "The program draws evidence maps on the photographs, on one scale for all labels (full strength: "
        f"{scale:.3g} logits). That they point at lesions is not shown by this run."
    )


def weights_size(path: Path) -> tuple[int, int]:
    """Number of tensors and of numbers in them, from the head of a safetensors file.

    Raises:
        BundleError: not such a file.
    """
    try:
        with path.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            head = json.loads(stream.read(length))
        shapes = [value["shape"] for key, value in head.items() if key != "__metadata__"]
    except (struct.error, ValueError, KeyError, TypeError, MemoryError, OverflowError) as error:
        raise BundleError(f"{path} is not a safetensors file; copy the whole folder again") from error
    return len(shapes), sum(prod(shape) for shape in shapes)


def _reads(run: Run) -> Iterator[Fact]:
    how = run.bundle.preprocessing
    yield fact(
        "model.inputs",
        "Colour photographs of the fundus of the left and the right eye of one visit; one may be missing. No age, "
        "sex or other data go in.",
        "manifest.json#eyeground_version",
    )
    crop = "cropped to the field of view" if how.crop == "field" else "the centred square of the whole picture"
    enhance = f"enhanced by {', '.join(how.enhance)}" if how.enhance else "no enhancement"
    text = f"Decoded upright, {crop}, {how.size} × {how.size} pixels, {enhance} (version {how.version})."
    yield fact("model.preprocessing", text, "preprocess.json")


def _answers(run: Run) -> Iterator[Fact]:
    labels = run.bundle.vocabulary.labels
    words = ", ".join(f"{one.code} {one.name}" if one.name != one.code else one.code for one in labels)
    every = [one.code for one in labels if one.visit == "all"]
    rule = (
        f" A visit is {', '.join(every)} only when all eyes are; any other label counts in either eye." if every else ""
    )
    kind = {"multilabel": "independent findings", "exclusive": "exclusive classes", "grades": "ordered grades"}
    text = f"{len(labels)} labels of a visit ({kind[run.bundle.vocabulary.kind]}): {words}.{rule}"
    yield fact("model.labels", text, "vocabulary.json#labels")
    text = f"A calibrated probability for each of {len(labels)} labels; it is called when above the label's threshold."
    yield fact("model.outputs", text, "vocabulary.json#labels", "thresholds.json#values", "calibration.json")
    sets = run.bundle.conformal
    if sets is not None:
        usable = sum(one.usable for one in sets.cuts)
        text = (
            f"Label sets at {1 - sets.alpha:.0%} for {usable} of {len(sets.cuts)} labels; {sets.note}. Where a set "
            "can't rule an answer out, a reading says 'uncertain'."
        )
        yield fact("model.sets", text, "conformal.json")


def _calibration(run: Run) -> Iterator[Fact]:
    how, place = run.bundle.calibration, run.bundle.fitted_on
    lines = [f"Probabilities: {how.words}, fitted on {_place(place)} ({how.n:,} cells)."]
    if not isnan(how.log_loss_before):
        change = f"{how.log_loss_before:.4f} before, {how.log_loss_after:.4f} after"
        lines.append(f"Log loss on those same cells: {change} (no interval).")
    yield fact("calibration.how", lines, "calibration.json")
    pooled = run.bundle.metrics.get("calibration", {}).get("pooled")
    if pooled:
        lines = []
        for key, name in (("log_loss", "log loss"), ("brier", "Brier score"), ("ece", "ECE")):
            told = [
                f"{bounded(pooled[when][key]['value'], pooled[when][key]['interval'])} {when}"
                for when in ("before", "after")
            ]
            lines.append(f"Recalibration, {name}: {', '.join(told)}; after is cross-validated, on {_place(place)}.")
        yield fact("calibration.before_after", lines, "metrics.json#calibration.pooled")


def _thresholds(run: Run) -> Iterator[Fact]:
    table = run.bundle.thresholds
    used = run.files.get("chosen_on.json", {}).get("used", [])
    lines = [f"Thresholds: rule `{table['rule']}`, chosen on {_place(table['chosen_on'])}, then frozen."]
    lines += [
        f"`{one['by']}` used {count(len(one['fingerprints']), 'photograph')} of split `{one['split_hash'][:12]}` "
        f"(`{one['layout']}`) that the training's split does not have."
        for one in used
    ]
    yield fact("thresholds.origin", lines, "thresholds.json#chosen_on", *(["chosen_on.json#used"] if used else []))
    rows = table["labels"]
    values = "; ".join(f"{row['code']} {row['value']:.3f} ({_why(row)})" for row in rows)
    yield fact("thresholds.values", f"{values}.", "thresholds.json#labels")
    counts = ", ".join(f"{row['code']} {row['n_pos']} of {row['n']}" for row in rows)
    yield fact(
        "thresholds.counts", f"Visits with the label where thresholds were chosen: {counts}.", "thresholds.json#labels"
    )


def _updated(run: Run) -> Iterator[Fact]:
    made = run.bundle.metrics.get("made_from")
    if made:
        text = (
            f"Updated after training: `{made['by']}` (eyeground {made['eyeground_version']}) made this bundle from "
            f"`{made['digest'][:12]}`; calibration and thresholds changed, weights did not."
        )
        yield fact("model.updated", text, "metrics.json#made_from")
    else:
        text = "Not updated: calibration and thresholds are those that the training run fixed."
        yield fact("model.updated", text, "metrics.json", "thresholds.json#chosen_on")


def _why(row: dict[str, Any]) -> str:
    return row.get("aim") or row["reason"]


def _place(place: dict[str, Any]) -> str:
    part = "validation" if place["part"] == "val" else place["part"]
    return f"{place['n']:,} {part} visits of split `{place['split_hash'][:12]}`"


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _sentences(text: str) -> str:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return " ".join(lines)
