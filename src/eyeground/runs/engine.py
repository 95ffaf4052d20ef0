"""Which program computes a bundle's answers: ONNX Runtime where the bundle has a graph, else torch."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from eyeground.errors import UsageError
from eyeground.images.cache import CacheEntry
from eyeground.records import Visit
from eyeground.runs.bundle import Bundle, load_bundle
from eyeground.runs.place import Place
from eyeground.runs.predictions import Predictions

BOX = Path(__file__).resolve().parents[1] / "box"
"""The model that comes with the package, a bundle."""

Engine = Literal["auto", "onnx", "torch"]


class Reader(Protocol):
    """A bundle that answers. `map_note` says what its evidence maps explain."""

    @property
    def bundle(self) -> Bundle: ...

    @property
    def map_note(self) -> str: ...

    def predict(
        self, visits: Sequence[Visit], eyes: Sequence[tuple[CacheEntry | None, CacheEntry | None]], evidence: bool
    ) -> Predictions:
        """Logits (and evidence) of visits whose eyes were prepared with this bundle's preprocessing."""
        ...


def bundle_folder(asked: Path | None) -> Path:
    """The bundle asked for, or the model in the box. Raises `UsageError` when there is none in it."""
    if asked is None and not (BOX / "manifest.json").is_file():
        raise UsageError("this eyeground has no model in the box; give one with --bundle FOLDER")
    return asked or BOX


def open_model(
    folder: Path | None = None, engine: Engine = "auto", place: Place | None = None, threads: int = 0
) -> Reader:
    """Opens a bundle for reading.

    Args:
        folder: the bundle; None is the model in the box.
        engine: `onnx` needs the bundle's model.onnx, `torch` the extra [train]; `auto` takes the first of them that is
            there, and torch where `place` asks for a GPU.
        place: the device, for torch only.
        threads: of the processor, for ONNX Runtime only; 0 takes all cores that this process may use.

    Raises:
        UsageError: no model in the box, or an engine that is not there.
        BundleError: the bundle is incomplete, altered or newer.
    """
    folder = bundle_folder(folder)
    bundle = load_bundle(folder)
    gpu = place is not None and place.accelerator == "cuda"
    if engine == "onnx" and gpu:
        raise UsageError("--engine onnx computes on the processor; leave --accelerator cuda out, or use --engine torch")
    if engine == "onnx" or (engine == "auto" and bundle.has_graph and not gpu):
        if not bundle.has_graph:
            raise UsageError(f"bundle {folder} has no model.onnx; make it with `eyeground export --bundle {folder}`")
        from eyeground.runs import onnx_model

        return onnx_model.load(bundle, threads)
    if importlib.util.find_spec("torch") is None:
        missing = "" if bundle.has_graph else f"bundle {folder} has no model.onnx (`eyeground export` makes it), and "
        raise UsageError(f"{missing}torch is not installed: pip install 'eyeground[train]'")
    from eyeground.runs.model import build

    return build(bundle, place)
