"""Every method of the registry as a graph on ONNX Runtime: what torch answers, for any number of visits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from batches_made import made_batch
from eyeground.errors import UsageError
from eyeground.methods import METHODS, find_method
from eyeground.runs.export import OUTPUTS, write_graph
from eyeground.vocabulary import ODIR
from test_methods import SIZE, small


def written(network: nn.Module, folder: Path) -> Path:
    weights = {key: value.detach().contiguous().clone() for key, value in network.state_dict().items()}
    save_file(weights, str(folder / "weights.safetensors"))
    write_graph(network, len(ODIR), SIZE, folder / "model.onnx")
    return folder / "model.onnx"


def answers(session: Any, fundus: torch.Tensor, seen: torch.Tensor) -> dict[str, np.ndarray]:
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(names, {"fundus": fundus.numpy(), "seen": seen.numpy()}), strict=True))


@pytest.mark.parametrize("name", METHODS)
def test_the_graph_answers_as_torch_does(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = find_method(name).build(small(name), ODIR, SIZE).eval()
    path = written(network, tmp_path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    batch = made_batch(size=SIZE)
    assert not batch.seen.all(), "a visit with one eye is among them"
    with torch.inference_mode():
        expected = network(batch)
    found = answers(session, batch.fundus, batch.seen)
    assert list(found) == [one for one in OUTPUTS if getattr(expected, one) is not None]
    for key, value in found.items():
        np.testing.assert_allclose(value, getattr(expected, key).numpy(), atol=1e-4, rtol=1e-4, err_msg=key)
    for row in range(len(batch)):
        alone = answers(session, batch.fundus[row : row + 1], batch.seen[row : row + 1])
        for key, value in alone.items():
            np.testing.assert_allclose(value[0], found[key][row], atol=1e-4, rtol=1e-4, err_msg=key)
    wild = batch.fundus.clone()
    wild[~batch.seen] = 1e6
    again = answers(session, wild, batch.seen)["visit_logits"]
    np.testing.assert_allclose(again, found["visit_logits"], atol=1e-5, err_msg="pixels of an eye not seen were used")
    inside = sum(len(one.raw_data) for one in onnx.load(str(path), load_external_data=False).graph.initializer)
    size = (tmp_path / "weights.safetensors").stat().st_size
    assert inside < 0.1 * size + 4096, "the weights are in their own file, not once more in the graph"


class Refused(nn.Module):
    """Its flow depends on what it sees."""

    def forward(self, batch: Any) -> Any:
        from eyeground.batches import Output

        if batch.fundus.sum() > 0:
            return Output(batch.labels + 1)
        return Output(batch.labels)


def test_a_network_that_is_no_graph_is_refused_with_the_reason(tmp_path: Path) -> None:
    save_file({"none": torch.zeros(1)}, str(tmp_path / "weights.safetensors"))
    with pytest.raises(UsageError, match=r"Refused can.t be exported as it is configured: .+"):
        write_graph(Refused(), 8, 64, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()
