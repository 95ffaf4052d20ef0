"""A fitted blend is a folder; no pickle anywhere.

blend.json (what it reads, how it was fitted, calibration, thresholds)   blend.safetensors (its numbers)
manifest.json (SHA-256 of both, and the digests of the bundles that it can't answer without)
and what it was judged by: judged.json and the predictions of every system on the same visits
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from eyeground import __version__
from eyeground.errors import BundleError, DataError, UsageError
from eyeground.files import folder_aside, sha256_of, write_json
from eyeground.metrics.calibration import Calibration
from eyeground.runs.blend_features import Wanted
from eyeground.runs.blender import Blender, from_arrays, to_arrays
from eyeground.runs.bundle import Bundle
from eyeground.runs.model import Model, load
from eyeground.runs.place import Place
from eyeground.splits import Split
from eyeground.vocabulary import Vocabulary

FORMAT = 1
FILES = ("blend.json", "blend.safetensors")


@dataclass(frozen=True)
class Blend:
    """A fitted blend with all that it needs to answer but the networks.

    `stamp` is a leaky protocol's, `note` marks a blend that was fitted on its networks' training visits.
    `fitted_on`: part, split_hash, fold, visits, eyes. `calibration`, `thresholds` {label: probability}: of visits.
    """

    blender: Blender
    wanted: Wanted
    vocabulary: Vocabulary
    calibration: Calibration
    thresholds: dict[str, float]
    fitted_on: dict[str, Any]
    stamp: str | None = None
    note: str | None = None

    def cuts(self) -> list[float]:
        """The frozen thresholds in vocabulary order."""
        return [self.thresholds[code] for code in self.vocabulary.codes]


def load_networks(folders: Sequence[Path], place: Place) -> tuple[Model, ...]:
    """Loads bundles that a blend may join.

    Raises:
        UsageError: none, or one of them twice.
        DataError: they answer other labels, or were trained on other splits or folds.
        BundleError: one is incomplete, altered or newer.
    """
    if not folders:
        raise UsageError("give --bundles: the trained models to blend")
    models = tuple(load(folder, place) for folder in folders)
    first = models[0].bundle
    for k, model in enumerate(models):
        bundle = model.bundle
        for other in models[:k]:
            if bundle.digest == other.bundle.digest:
                raise UsageError(f"{bundle.folder} and {other.bundle.folder} are one bundle; give each once")
        if bundle.vocabulary != first.vocabulary:
            ours, theirs = (", ".join(one.vocabulary.codes) for one in (first, bundle))
            raise DataError(
                f"{bundle.folder} answers {theirs}, {first.folder} {ours}; blend networks of the same labels"
            )
        if _trained_on(bundle) != _trained_on(first):
            told = [f"split {split[:12]}, fold {fold}" for split, fold in map(_trained_on, (first, bundle))]
            raise DataError(
                f"{bundle.folder} was trained on {told[1]} and {first.folder} on {told[0]}: what one was tested on the "
                "other may have learnt; blend bundles of one split and fold"
            )
    return models


def _trained_on(bundle: Bundle) -> tuple[str, int]:
    return Split.load(bundle.split).hash, int(bundle.config["data"]["fold"])


@contextmanager
def writing(folder: Path, blend: Blend, bundles: Sequence[Bundle]) -> Iterator[Path]:
    """Writes a blend aside; the caller adds what it was judged by, then the folder is moved into place.

    Raises:
        DataError: see `check_out`; no space or permission, and nothing is left behind.
    """
    check_out(folder)
    blender = blend.blender
    about = {
        "kind": blender.kind,
        "target": blender.target,
        "every": list(blender.every),
        "right_eye": blender.right_eye,
        "by_mean": list(blender.by_mean),
        "features": asdict(blend.wanted),
        "vocabulary": blend.vocabulary.to_dict(),
        "calibration": blend.calibration.to_dict(),
        "thresholds": blend.thresholds,
        "fitted_on": blend.fitted_on,
        "stamp": blend.stamp,
        "note": blend.note,
    }
    with folder_aside(folder) as place:
        write_json(place / "blend.json", about)
        arrays = {name: np.ascontiguousarray(value) for name, value in to_arrays(blender).items()}
        save_file(arrays, str(place / "blend.safetensors"))
        manifest = {
            "format": FORMAT,
            "eyeground_version": __version__,
            "files": {name: sha256_of(place / name) for name in FILES},
            "bundles": [{"path": os.path.relpath(one.folder, folder), "digest": one.digest} for one in bundles],
        }
        write_json(place / "manifest.json", manifest)
        yield place


def check_out(folder: Path) -> None:
    """Raises `DataError` when `folder` is a file, or holds something that is not an earlier blend."""
    if folder.is_file():
        raise DataError(f"{folder} is a file; --out takes a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "blend.json").is_file():
        raise DataError(f"{folder} is not empty and not an earlier blend; choose another --out")


def load_blend(folder: Path, place: Place, bundles: Sequence[Path] = ()) -> tuple[Blend, tuple[Model, ...]]:
    """Reads a blend and the networks it needs, and verifies both.

    Args:
        bundles: where they are now, in any order; none: where they were, seen from the folder.

    Raises:
        BundleError: incomplete, altered or newer; a bundle that is not the one it was fitted with.
    """
    manifest = _manifest(folder)
    for name, expected in manifest["files"].items():
        if not (folder / name).is_file() or sha256_of(folder / name) != expected:
            raise BundleError(f"blend {folder} was altered: {name} is not what manifest.json tells; fit it again")
    try:
        blend = _blend(json.loads((folder / "blend.json").read_text(encoding="utf-8")), folder)
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise BundleError(f"blend {folder} can't be used: {error}; fit it again") from error
    wanted = [one["digest"] for one in manifest["bundles"]]
    paths = bundles or [Path(os.path.normpath(folder / one["path"])) for one in manifest["bundles"]]
    models = {model.bundle.digest: model for model in load_networks(paths, place)}
    for row, digest in zip(manifest["bundles"], wanted, strict=True):
        if digest not in models:
            raise BundleError(
                f"blend {folder} needs the bundle {digest[:12]} (once {row['path']}), which is none of "
                f"{', '.join(map(str, paths))}; give --bundles, as they were when it was fitted"
            )
    return blend, tuple(models[digest] for digest in wanted)


def _manifest(folder: Path) -> Mapping[str, Any]:
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version, files, bundles = manifest["format"], manifest["files"], manifest["bundles"]
    except (OSError, KeyError, TypeError, ValueError):
        raise BundleError(f"no blend at {folder}: --apply takes a folder that eyeground blend has written") from None
    if version > FORMAT:
        raise BundleError(f"blend {folder} has format {version}, this eyeground knows up to {FORMAT}; update eyeground")
    if set(files) != set(FILES) or not bundles:
        raise BundleError(f"blend {folder} is incomplete: its manifest does not name {' and '.join(FILES)}; fit again")
    return dict(manifest)


def _blend(about: Mapping[str, Any], folder: Path) -> Blend:
    return Blend(
        blender=from_arrays(about, load_file(str(folder / "blend.safetensors"))),
        wanted=Wanted(**about["features"]),
        vocabulary=Vocabulary.from_dict(about["vocabulary"]),
        calibration=Calibration.from_dict(about["calibration"]),
        thresholds={code: float(value) for code, value in about["thresholds"].items()},
        fitted_on=dict(about["fitted_on"]),
        stamp=about["stamp"],
        note=about["note"],
    )
