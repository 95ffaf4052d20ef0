"""A trained model is a folder. This file reads and writes it without torch; no pickle anywhere.

    weights.safetensors   config.toml (resolved)   vocabulary.json   preprocess.json   thresholds.json
    calibration.json   metrics.json   split.json   card.md   LICENSE   manifest.json (SHA-256 of every file)
    and, once `calibrate` has made it, conformal.json; chosen_on.json when that used photographs that split.json lacks;
    once `export` has made them, model.onnx, which reads its weights from weights.safetensors, and onnx.json

Format 2 knows calibrations other than one temperature and label sets; format 1 is still read.
A bundle that is incomplete, altered or of a newer format is refused with the reason.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from eyeground import __version__
from eyeground.errors import BundleError
from eyeground.files import digest, folder_aside, sha256_of, write_json
from eyeground.images.prepare import Preprocessing
from eyeground.metrics.calibration import Calibration
from eyeground.metrics.conformal import Conformal
from eyeground.vocabulary import Vocabulary

FORMAT = 2
FILES = (
    "weights.safetensors",
    "config.toml",
    "vocabulary.json",
    "preprocess.json",
    "thresholds.json",
    "calibration.json",
    "metrics.json",
    "split.json",
    "card.md",
    "LICENSE",
)
CONFORMAL = "conformal.json"
"""The label sets; not in every bundle."""
CHOSEN_ON = "chosen_on.json"
"""Photographs that served `train --init`, `calibrate` or `operating-point` and are not in split.json; not always."""
HEADING = "\n## Changed after training\n\n"
GRAPH, GRAPH_RECORD = "model.onnx", "onnx.json"
"""The network for ONNX Runtime and what is told of it; both or neither, and only for the weights beside them."""


@dataclass(frozen=True)
class Bundle:
    """Everything about a model but its weights.

    `config` has the tables `method` (name and its fields), `recipe`, `predict` (mirrored) and `data` (layout, fold,
    split_hash, train_visits, eyeground_version).
    `thresholds` has `values` {label: probability}, `rule`, `chosen_on` and per-label counts.
    `fitted_on` tells the visits that the calibration was fitted on (part, split_hash, fold, n).
    `conformal` holds the label sets, None in a bundle without them.
    `digest` names the bundle: it changes when any of its files does.
    """

    folder: Path
    config: dict[str, Any]
    vocabulary: Vocabulary
    preprocessing: Preprocessing
    thresholds: dict[str, Any]
    calibration: Calibration
    metrics: dict[str, Any]
    digest: str
    fitted_on: dict[str, Any]
    conformal: Conformal | None = None

    @property
    def weights(self) -> Path:
        return self.folder / "weights.safetensors"

    @property
    def split(self) -> Path:
        return self.folder / "split.json"

    @property
    def has_graph(self) -> bool:
        """Whether ONNX Runtime can read it."""
        return (self.folder / GRAPH).is_file()

    @property
    def evidence_scale(self) -> float | None:
        """Evidence, in logit units, that the pictures draw at full strength; one for all labels, None without maps."""
        found = self.metrics["evidence_scale"]
        return None if found is None else float(found)

    @property
    def stamp(self) -> str | None:
        """What a leaky protocol wrote into the bundle; None in one that was trained under a clean protocol."""
        found: str | None = self.config["data"].get("stamp")
        return found

    def threshold_values(self) -> list[float]:
        """The frozen thresholds in vocabulary order."""
        return [float(self.thresholds["values"][code]) for code in self.vocabulary.codes]


@contextmanager
def writing(folder: Path, tables: Mapping[str, Any], texts: Mapping[str, str]) -> Iterator[Path]:
    """Writes a bundle aside; the caller adds the weights in the block, then it is sealed and moved into place.

    A graph that was made for other weights is left out.

    Args:
        folder: where the bundle will be; what was there is replaced once the new one is whole.
        tables: JSON files by name, and 'config.toml'.
        texts: text files by name.

    Raises:
        DataError: no space or permission; nothing is left behind.
        BundleError: a file of the format is missing when the block ends.
    """
    with folder_aside(folder) as place:
        for name, value in tables.items():
            if name == "config.toml":
                (place / name).write_text(tomli_w.dumps(value), encoding="utf-8")
            else:
                write_json(place / name, value)
        for name, text in texts.items():
            (place / name).write_text(text, encoding="utf-8")
        yield place
        missing = [name for name in FILES if not (place / name).is_file()]
        if missing:
            raise BundleError(f"bundle {folder} would be incomplete: no {', '.join(missing)}")
        _drop_old_graph(place)
        hashes = {path.name: sha256_of(path) for path in sorted(place.iterdir())}
        manifest = {"format": FORMAT, "eyeground_version": __version__, "digest": digest(hashes), "files": hashes}
        write_json(place / "manifest.json", manifest)


def _drop_old_graph(place: Path) -> None:
    """Removes a graph (or half of one) that does not belong to these weights."""
    graph, record = place / GRAPH, place / GRAPH_RECORD
    weights = _json(record).get("weights") if record.is_file() else None
    if not graph.is_file() or weights != sha256_of(place / "weights.safetensors"):
        graph.unlink(missing_ok=True)
        record.unlink(missing_ok=True)


def load_bundle(folder: Path) -> Bundle:
    """Reads a bundle and verifies every file against the manifest.

    Raises:
        BundleError: no bundle there, a newer format, a missing or altered file (named).
    """
    manifest = _manifest(folder)
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise BundleError(f"bundle {folder} is incomplete: {name} is missing; copy the whole folder again")
        if sha256_of(path) != expected:
            raise BundleError(
                f"bundle {folder} was altered: {name} does not match manifest.json; copy the whole folder again"
            )
    if digest(manifest["files"]) != manifest["digest"]:
        raise BundleError(f"bundle {folder} was altered: manifest.json does not match its own digest")
    missing = [name for name in FILES if name not in manifest["files"]]
    if missing:
        raise BundleError(f"bundle {folder} is incomplete: its manifest has no {', '.join(missing)}")
    names = [name for name in (*FILES, CONFORMAL) if name.endswith(".json") and name != "split.json"]
    tables = {name: _json(folder / name) for name in names if name in manifest["files"]}
    try:
        calibration = Calibration.from_dict(tables["calibration.json"])
        conformal = Conformal.from_dict(tables[CONFORMAL]) if CONFORMAL in tables else None
    except (KeyError, ValueError) as error:
        raise BundleError(f"calibration.json or {CONFORMAL} of bundle {folder} can't be used: {error}") from error
    vocabulary = Vocabulary.from_dict(tables["vocabulary.json"])
    _same_labels(folder, vocabulary, calibration, conformal)
    return Bundle(
        folder=folder,
        config=tomllib.loads((folder / "config.toml").read_text(encoding="utf-8")),
        vocabulary=vocabulary,
        preprocessing=Preprocessing.from_dict(tables["preprocess.json"]),
        thresholds=tables["thresholds.json"],
        calibration=calibration,
        metrics=tables["metrics.json"],
        digest=manifest["digest"],
        fitted_on=tables["calibration.json"].get("fitted_on", tables["thresholds.json"]["chosen_on"]),
        conformal=conformal,
    )


def _same_labels(folder: Path, vocabulary: Vocabulary, calibration: Calibration, conformal: Conformal | None) -> None:
    curves = len(calibration.curves) or len(vocabulary)
    codes = vocabulary.codes if conformal is None else tuple(one.code for one in conformal.cuts)
    if curves != len(vocabulary) or codes != vocabulary.codes:
        raise BundleError(
            f"calibration.json or {CONFORMAL} of bundle {folder} is for other labels than vocabulary.json"
        )


def check_new(source: Bundle, folder: Path) -> None:
    """Whether a changed copy of a bundle may be written to `folder`.

    Raises:
        BundleError: it is the bundle itself, a trained bundle, or holds something else.
    """
    if folder.resolve() == source.folder.resolve():
        raise BundleError(
            f"{folder} is the bundle itself, and a bundle is never changed in place; choose another --out"
        )
    if folder.is_file():
        raise BundleError(f"{folder} is a file; --out takes a folder")
    if folder.is_dir() and any(folder.iterdir()):
        made = _json(folder / "metrics.json") if (folder / "metrics.json").is_file() else {}
        if not (isinstance(made, dict) and "made_from" in made):
            raise BundleError(f"{folder} is not empty and not a bundle made from another; choose another --out")


def rewrite(source: Bundle, folder: Path, tables: Mapping[str, Any], texts: Mapping[str, str]) -> None:
    """Writes a changed copy of a bundle: these files are new, all others are copied as they are.

    Raises:
        BundleError: see `check_new`.
        DataError: no space or permission; nothing is left behind.
    """
    with rewriting(source, folder, tables, texts):
        pass


@contextmanager
def rewriting(source: Bundle, folder: Path, tables: Mapping[str, Any], texts: Mapping[str, str]) -> Iterator[Path]:
    """`rewrite` for a caller that changes more: gives the unsealed copy. Other weights cost it the source's graph."""
    check_new(source, folder)
    with writing(folder, tables, texts) as place:
        for name in _manifest(source.folder)["files"]:
            if name not in tables and name not in texts:
                shutil.copyfile(source.folder / name, place / name)
        yield place


def card_with(bundle: Bundle, line: str) -> str:
    """The model card with one more line on what was changed."""
    text = (bundle.folder / "card.md").read_text(encoding="utf-8")
    start = text if HEADING in text else f"{text.rstrip()}\n{HEADING}"
    return f"{start}- {line} (eyeground {__version__}; replaces what was there)\n"


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    if not path.is_file():
        inner = folder / "bundle"
        hint = f"; did you mean {inner}?" if (inner / "manifest.json").is_file() else ""
        raise BundleError(f"no bundle at {folder}: there is no manifest.json{hint}")
    manifest = _json(path)
    version = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(version, int):
        raise BundleError(f"{path} is not a bundle's manifest")
    if version > FORMAT:
        raise BundleError(
            f"bundle {folder} has format {version} (made by eyeground {manifest.get('eyeground_version')}), this is "
            f"eyeground {__version__} and knows formats up to {FORMAT}; update eyeground"
        )
    if not isinstance(manifest.get("files"), dict) or not isinstance(manifest.get("digest"), str):
        raise BundleError(f"{path} is not whole: it has no files or no digest; copy the whole folder again")
    return manifest


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"{path} is not valid JSON: {error}") from error
