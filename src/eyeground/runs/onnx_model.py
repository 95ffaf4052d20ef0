"""A bundle read by ONNX Runtime: `model.onnx` answers, torch is not needed.

    model.onnx   the network as a graph; its weights are ranges of weights.safetensors beside it, so they exist once
    onnx.json    what reading needs to know of the network and the graph does not say (`Record`)

The graph takes `fundus` float32 (B, E, 3, S, S), RGB in [0, 1], and `seen` bool (B, E), and gives `visit_logits` (B, C)
and, where the method has them, `eye_logits` (B, E, C) and `evidence` (B, E, C, h, w). Laterality and mirrored averaging
are outside of it, in `runs.predictions`, as for torch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

from eyeground.errors import BundleError
from eyeground.files import sha256_of
from eyeground.images.cache import CacheEntry
from eyeground.images.geometry import Placement
from eyeground.progress import cores
from eyeground.records import Visit
from eyeground.runs.bundle import GRAPH, GRAPH_RECORD, Bundle
from eyeground.runs.predictions import Array, Predictions, Raw, answer, gather
from eyeground.settings import fill, plain

FORMAT = 1
REFUSALS = (
    *(runtime.Fail, runtime.InvalidArgument, runtime.InvalidGraph, runtime.InvalidProtobuf, runtime.NoModel),
    *(runtime.NoSuchFile, runtime.NotImplemented, runtime.RuntimeException, RuntimeError, ValueError),
)
"""What ONNX Runtime raises for a graph that it can't run."""
AT_ONCE = 4
"""Visits in one run of the graph, at most: more are not faster on a CPU and need more memory."""


@dataclass(frozen=True)
class Record:
    """onnx.json. `weights` is the SHA-256 of the weights.safetensors that the graph reads; `size` S in pixels."""

    weights: str
    size: int
    laterality: Literal["swap", "canonical", "keep"]
    map_note: str
    shift: tuple[float, float]
    stretch: tuple[float, float]
    spread: tuple[float, float]
    why: str
    opset: int
    torch: str
    largest_difference: float = 0.0
    compared_on: str = ""
    format: int = FORMAT

    @property
    def placement(self) -> Placement:
        return Placement(self.shift, self.stretch, self.spread, self.why)

    def to_dict(self) -> dict[str, Any]:
        return plain(self)


@dataclass(frozen=True)
class OnnxModel:
    """A bundle whose graph is loaded. `map_note` says what the evidence maps explain."""

    bundle: Bundle
    record: Record
    session: onnxruntime.InferenceSession
    at_once: int = AT_ONCE

    @property
    def map_note(self) -> str:
        return self.record.map_note

    def predict(
        self, visits: Sequence[Visit], eyes: Sequence[tuple[CacheEntry | None, CacheEntry | None]], evidence: bool
    ) -> Predictions:
        """Logits (and evidence) of visits whose eyes were prepared with this bundle's preprocessing."""
        names = [one.name for one in self.session.get_outputs() if evidence or one.name != "evidence"]
        laterality, placed = self.record.laterality, self.record.placement if evidence else Placement()
        mirrored = bool(self.bundle.config["predict"]["mirrored"])
        answers: list[Raw] = []
        shift: Array = np.zeros((2, 2), np.float32)
        for first in range(0, len(visits), self.at_once):
            fundus, seen = _pixels(eyes[first : first + self.at_once], self.record.size)
            one = self._run(fundus, seen, names)
            two = self._run(fundus[:, ::-1, ..., ::-1], seen[:, ::-1], names) if mirrored else None
            found, shift = answer(one, two, laterality, placed)
            answers.append(found)
        return gather(tuple(visit.id for visit in visits), answers, shift, placed)

    def _run(self, fundus: Array, seen: NDArray[np.bool_], names: list[str]) -> Raw:
        """The network's answer; with the laterality 'canonical' it sees right eyes mirrored."""
        if self.record.laterality == "canonical":
            fundus = np.stack([fundus[:, 0], fundus[:, 1, ..., ::-1]], 1)
        given = {"fundus": np.ascontiguousarray(fundus), "seen": np.ascontiguousarray(seen)}
        found = dict(zip(names, self.session.run(names, given), strict=True))
        return Raw(found["visit_logits"], found.get("eye_logits"), found.get("evidence"))


def load(bundle: Bundle, threads: int = 0) -> OnnxModel:
    """Opens the bundle's graph.

    Args:
        threads: of the processor; 0 takes as many as there are cores for this process (OMP_NUM_THREADS at most).

    Raises:
        BundleError: no graph, one of other weights or of a newer format, or one that this ONNX Runtime can't run.
    """
    path = bundle.folder / GRAPH_RECORD
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} can't be read ({error}); make it with `eyeground export`") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise BundleError(f"{path} is not of format {FORMAT}, which this eyeground knows; run `eyeground export` again")
    record: Record = fill(Record, values, str(path))
    if record.weights != sha256_of(bundle.weights):
        raise BundleError(f"{path} is of other weights than those beside it; run `eyeground export` again")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or _threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    graph = bundle.folder / GRAPH
    try:
        session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except REFUSALS as error:
        reason = str(error).splitlines()[0]
        raise BundleError(f"ONNX Runtime can't run {graph}: {reason}; run `eyeground export` again") from error
    return OnnxModel(bundle, record, session)


def _threads() -> int:
    """As many as there are cores for this process, OMP_NUM_THREADS at most."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores(), int(asked)) if asked.isdecimal() and int(asked) > 0 else cores()


def _pixels(eyes: Sequence[tuple[CacheEntry | None, CacheEntry | None]], size: int) -> tuple[Array, NDArray[np.bool_]]:
    """fundus float32 (B, 2, 3, S, S), zeros where there is no eye, and seen bool (B, 2)."""
    fundus = np.zeros((len(eyes), 2, 3, size, size), np.float32)
    seen = np.zeros((len(eyes), 2), bool)
    for row, pair in enumerate(eyes):
        for side, entry in enumerate(pair):
            if entry is not None:
                fundus[row, side] = entry.load().transpose(2, 0, 1)
                seen[row, side] = True
    fundus /= np.float32(255)
    return fundus, seen
