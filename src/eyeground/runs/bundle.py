"""A trained model is a folder. This file reads and writes it without torch; no pickle anywhere.

    weights.safetensors   config.toml (resolved)   vocabulary.json   preprocess.json   thresholds.json
    calibration.json   metrics.json   split.json   card.md   LICENSE   manifest.json (SHA-256 of every file)

A bundle that is incomplete, altered or of a newer format is refused with the reason.
"""

from __future__ import annotations

import json
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
from eyeground.vocabulary import Vocabulary

FORMAT = 1
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


@dataclass(frozen=True)
class Bundle:
    """Everything about a model but its weights.

    `config` has the tables `method` (name and its fields), `recipe`, `predict` (mirrored) and `data` (layout, fold,
    split_hash, train_visits, eyeground_version).
    `thresholds` has `values` {label: probability}, `rule`, `chosen_on` and per-label counts.
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

    @property
    def weights(self) -> Path:
        return self.folder / "weights.safetensors"

    @property
    def split(self) -> Path:
        return self.folder / "split.json"

    @property
    def evidence_scale(self) -> float:
        """Evidence, in logit units, that the pictures draw at full strength; one number for all labels."""
        return float(self.metrics["evidence_scale"])

    def threshold_values(self) -> list[float]:
        """The frozen thresholds in vocabulary order."""
        return [float(self.thresholds["values"][code]) for code in self.vocabulary.codes]


@contextmanager
def writing(folder: Path, tables: Mapping[str, Any], texts: Mapping[str, str]) -> Iterator[Path]:
    """Writes a bundle aside; the caller adds the weights in the block, then it is sealed and moved into place.

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
        hashes = {path.name: sha256_of(path) for path in sorted(place.iterdir())}
        manifest = {"format": FORMAT, "eyeground_version": __version__, "digest": digest(hashes), "files": hashes}
        write_json(place / "manifest.json", manifest)


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
    tables = {name: _json(folder / name) for name in FILES if name.endswith(".json") and name != "split.json"}
    return Bundle(
        folder=folder,
        config=tomllib.loads((folder / "config.toml").read_text(encoding="utf-8")),
        vocabulary=Vocabulary.from_dict(tables["vocabulary.json"]),
        preprocessing=Preprocessing.from_dict(tables["preprocess.json"]),
        thresholds=tables["thresholds.json"],
        calibration=Calibration.from_dict(tables["calibration.json"]),
        metrics=tables["metrics.json"],
        digest=manifest["digest"],
    )


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
