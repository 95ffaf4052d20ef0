"""`eyeground export`: a copy of a bundle that ONNX Runtime reads, written only when it answers as torch does.

The graph's weights are external data: ranges of the bundle's own weights.safetensors, whose header tells where each
tensor lies. So they exist once, torch and ONNX Runtime read the same bytes, and a graph is a few hundred kilobytes.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from eyeground import __version__
from eyeground.batches import Batch
from eyeground.errors import DataError, UsageError
from eyeground.files import sha256_of, write_json
from eyeground.images.cache import CacheEntry
from eyeground.images.prepare import Preprocessing
from eyeground.nets.placement import placement
from eyeground.records import Visit
from eyeground.runs import onnx_model
from eyeground.runs.bundle import GRAPH, GRAPH_RECORD, card_with, check_new, load_bundle, rewriting
from eyeground.runs.graph_weights import share_weights
from eyeground.runs.model import Model, build
from eyeground.runs.onnx_model import Record
from eyeground.runs.place import Place
from eyeground.runs.predictions import Predictions

OPSET = 18
OUTPUTS = ("visit_logits", "eye_logits", "evidence")
TOLERANCE = 1e-4
"""Largest difference from torch: absolute, or as a part of a value over 1."""

Eyes = tuple[CacheEntry | None, CacheEntry | None]


@dataclass(frozen=True)
class Exported:
    """What was written: the largest difference to torch and, where weights were halved, of a probability to before."""

    difference: float
    visits: int
    halved: float | None
    graph_bytes: int
    weight_bytes: int

    def to_dict(self) -> dict[str, float | int | None]:
        return asdict(self)


class _Graph(nn.Module):
    """(fundus, seen) to the outputs that the network has, in the order of `batches.Output`."""

    def __init__(self, network: nn.Module, labels: int) -> None:
        super().__init__()
        self.network, self.labels = network, labels

    def forward(self, fundus: Tensor, seen: Tensor) -> tuple[Tensor, ...]:
        output = self.network(self.batch(fundus, seen))
        return tuple(value for name in OUTPUTS if (value := getattr(output, name)) is not None)

    def batch(self, fundus: Tensor, seen: Tensor) -> Batch:
        """The visits without labels."""
        none = fundus.new_zeros(fundus.shape[0], self.labels)
        eyes = fundus.new_zeros(fundus.shape[0], 2, self.labels)
        return Batch(fundus, seen, none, none > 0, eyes, eyes > 0, ())


def export(source: Path, out: Path, eyes: Callable[[Preprocessing], Sequence[Eyes]], half: bool = False) -> Exported:
    """Writes the copy.

    Args:
        source, out: folders of the bundle and of the new one.
        eyes: gives prepared visits to compare on.
        half: also store matrices as float16; vectors, such as those of batch normalisation, stay float32.

    Raises:
        UsageError: onnx and onnxscript are not here, or the method's network can't become a graph.
        DataError: the graph does not answer as torch does; nothing is written.
        BundleError: the bundle can't be used, or `out` holds something else.
    """
    bundle = load_bundle(source)
    check_new(bundle, out)
    model = build(bundle, Place("cpu"))
    pairs = one_eyed_too(eyes(bundle.preprocessing))
    visits = [_visit(str(number), len(bundle.vocabulary)) for number in range(len(pairs))]
    made_from = {"digest": bundle.digest, "by": "export", "eyeground_version": __version__}
    tables = {"metrics.json": {**bundle.metrics, "made_from": made_from}}
    line = f"graph for ONNX Runtime{', weights stored in half precision' if half else ''}"
    with rewriting(bundle, out, tables, {"card.md": card_with(bundle, line)}) as place:
        before = model.predict(visits, pairs, evidence=True)
        if half:
            _halve(place / "weights.safetensors")
            model.network.load_state_dict(load_file(str(place / "weights.safetensors")))
        expected = model.predict(visits, pairs, evidence=True)
        write_graph(model.network, len(bundle.vocabulary), model.recipe.size, place / GRAPH)
        record = _record(model, sha256_of(place / "weights.safetensors"))
        write_json(place / GRAPH_RECORD, record.to_dict())
        reader = onnx_model.load(replace(bundle, folder=place))
        found = reader.predict(visits, pairs, evidence=True)
        alone = replace(reader, at_once=1).predict(visits, pairs, evidence=True)
        worst = max(_compare(found, expected, "torch"), _compare(alone, expected, "torch, one by one"))
        told = replace(record, largest_difference=worst, compared_on=f"{len(pairs)} visits")
        write_json(place / GRAPH_RECORD, told.to_dict())
        sizes = (place / GRAPH).stat().st_size, (place / "weights.safetensors").stat().st_size
    calibrated = (bundle.calibration.apply(one.visit_logits) for one in (before, expected))
    changed = float(np.abs(np.subtract(*calibrated)).max()) if half else None
    return Exported(worst, len(pairs), changed, *sizes)


def write_graph(network: nn.Module, labels: int, size: int, path: Path) -> None:
    """Writes a method's network, in eval mode, as a graph whose weights lie in weights.safetensors beside it.

    Args:
        labels, size: number of labels C, and side S of the pictures in pixels.

    Raises:
        UsageError: see `export`.
    """
    try:
        import onnx
        from onnxscript import optimizer
    except ModuleNotFoundError as error:
        raise UsageError(f"export needs {error.name}: pip install 'eyeground[train]'") from error
    graph = _Graph(network, labels).eval()
    given = (torch.rand(2, 2, 3, size, size), torch.tensor([[True, True], [True, False]]))
    with torch.inference_mode():
        output = network(graph.batch(*given))
    names = [name for name in OUTPUTS if getattr(output, name) is not None]
    visits = torch.export.Dim("visits")
    try:
        with _quietly(), torch.no_grad():
            program = torch.onnx.export(
                graph,
                given,
                dynamo=True,
                input_names=["fundus", "seen"],
                output_names=names,
                dynamic_shapes=({0: visits}, {0: visits}),
                opset_version=OPSET,
                optimize=False,  # it would multiply batch normalisation into the weights
                verbose=False,
            )
            assert program is not None
            optimizer.fold_constants_ir(program.model)
            optimizer.remove_unused_nodes(program.model)
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"{type(network).__name__} can't be exported as it is configured: {reason}") from error
    shared = share_weights(program.model_proto, path.parent / "weights.safetensors", prefix="network.")
    onnx.save_model(shared, str(path))


def one_eyed_too(pairs: Sequence[Eyes]) -> list[Eyes]:
    """The visits, and the first of them once with each eye alone.

    Raises:
        DataError: no visit has both eyes.
    """
    both = next((pair for pair in pairs if all(pair)), None)
    if both is None:
        raise DataError("no visit to compare on has two readable eyes")
    return [*pairs, (both[0], None), (None, both[1])]


def _visit(name: str, labels: int) -> Visit:
    return Visit(name, name, (None, None), (None,) * labels)


def _record(model: Model, weights: str) -> Record:
    placed = placement(model.network, model.recipe.size)
    return Record(
        weights=weights,
        size=model.recipe.size,
        laterality=model.recipe.laterality,
        map_note=model.map_note,
        shift=placed.shift,
        stretch=placed.stretch,
        spread=placed.spread,
        why=placed.why,
        opset=OPSET,
        torch=torch.__version__,
    )


def _halve(path: Path) -> None:
    """Stores tensors with two or more axes longer than 1 as float16.

    Raises:
        DataError: a weight is beyond what float16 holds.
    """
    weights = load_file(str(path))
    for name, value in weights.items():
        if value.dtype == torch.float32 and sum(side > 1 for side in value.shape) > 1:
            weights[name] = value.half()
            if not torch.isfinite(weights[name]).all():
                raise DataError(f"--half: {name} has weights over 65504; leave --half out")
    path.write_bytes(save(weights, {"eyeground_version": __version__, "stored": "matrices as float16"}))


def _compare(found: Predictions, expected: Predictions, what: str) -> float:
    """The largest difference; NaN stands for an eye that is not there and must be in the same places.

    Raises:
        DataError: it is over the tolerance, or an output is missing.
    """
    worst = 0.0
    for name in ("visit_logits", "eye_logits", "evidence", "map_shift"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        if ours is None and theirs is None:
            continue
        if ours is None or theirs is None or ours.shape != theirs.shape or (np.isnan(ours) != np.isnan(theirs)).any():
            raise DataError(
                f"the graph's {name} has another shape, or other eyes, than that of {what}; nothing written"
            )
        apart = np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))
        worst = max(worst, float(np.nanmax(apart, initial=0)))
    if not worst <= TOLERANCE:
        raise DataError(f"the graph differs from {what} by {worst:.2g}, more than {TOLERANCE:g}; nothing was written")
    return worst


@contextmanager
def _quietly() -> Iterator[None]:
    """Keeps the exporter's chatter from the terminal."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
