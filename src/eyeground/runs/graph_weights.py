"""Weights that a graph shares with a safetensors file: initialisers become ranges of the file (ONNX external data).

A safetensors file is 8 bytes with the length n of its header, n bytes of JSON that tell each tensor's type, shape and
`data_offsets`, then the data. So a tensor begins at 8 + n + its first offset, in the byte order that ONNX wants too.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

TYPES = {"F32": np.float32, "F16": np.float16, "I64": np.int64}


def share_weights(graph: Any, weights: Path, prefix: str = "") -> Any:
    """Points a graph's initialisers at the tensors of a safetensors file that have their name and values.

    Where the file has float16, the graph reads that and casts it to float32. Initialisers without such a tensor
    (constants of the graph) stay in it.

    Args:
        graph: an `onnx.ModelProto` without external data; changed in place.
        weights: the file, in the folder where the graph will be.
        prefix: of the initialisers' names, before the tensors'.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    for part in (*graph.graph.node, *graph.graph.value_info):  # where in whose source it came from
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    table, begin = _header(weights)
    data = np.memmap(weights, np.uint8, "r")
    casts = []
    for initialiser in graph.graph.initializer:
        row = table.get(initialiser.name.removeprefix(prefix))
        if row is None or row["dtype"] not in TYPES:
            continue
        first, last = (begin + offset for offset in row["data_offsets"])
        stored = data[first:last].view(TYPES[row["dtype"]]).reshape(row["shape"])
        own = numpy_helper.to_array(initialiser)
        if own.shape != stored.shape or not np.array_equal(own, stored.astype(own.dtype)):
            continue
        shape, name = list(initialiser.dims), initialiser.name
        half = row["dtype"] == "F16"
        initialiser.Clear()
        initialiser.name = f"{name}.half" if half else name
        initialiser.dims.extend(shape)
        initialiser.data_type = helper.np_dtype_to_tensor_dtype(stored.dtype)
        initialiser.data_location = TensorProto.EXTERNAL
        where = {"location": weights.name, "offset": first, "length": last - first}
        for key, value in where.items():
            entry = initialiser.external_data.add()
            entry.key, entry.value = key, str(value)
        if half:
            casts.append(helper.make_node("Cast", [initialiser.name], [name], to=onnx.TensorProto.FLOAT))
    for place, node in enumerate(casts):
        graph.graph.node.insert(place, node)
    return graph


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """The file's table of tensors by name, and where its data begin."""
    with path.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        table = json.loads(stream.read(length))
    table.pop("__metadata__", None)
    return table, 8 + length
