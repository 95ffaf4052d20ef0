"""What `read_speed` times: each contender reads one pair from the files to a reading as JSON text, with its 16 maps.

All take the same road and differ only in what computes logits and maps. `grad-cam package` makes the maps with
pytorch_grad_cam, one call per label for both eyes at once.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any

Work = Callable[[], Any]


def onnx(bundle: Path | None, pair: tuple[Path, Path], threads: int = 0) -> Work:
    from eyeground.runs.engine import open_model

    return partial(_read, open_model(bundle, "onnx", threads=threads), pair)


def onnx_page(bundle: Path | None, pair: tuple[Path, Path]) -> Work:
    """The same, and the pictures, the 16 PNG files and the page."""
    from eyeground.runs.engine import open_model
    from eyeground.runs.read import Request, read_visit, save

    model, folder = open_model(bundle, "onnx"), Path(tempfile.mkdtemp(prefix="read_speed."))

    def work() -> None:
        save(read_visit(model, Request(*pair)), folder / "out")
        shutil.rmtree(folder)

    return work


def torch_eager(bundle: Path | None, pair: tuple[Path, Path]) -> Work:
    from eyeground.runs.engine import open_model

    _torch_threads()
    return partial(_read, open_model(bundle, "torch"), pair)


def package(bundle: Path | None, pair: tuple[Path, Path]) -> Work:
    """PyTorch's logits, maps by the grad-cam package. Raises `LookupError` when the network has no trunk to look at."""
    from eyeground.runs.engine import open_model

    _torch_threads()
    model: Any = open_model(bundle, "torch")
    layers = [one for name, one in model.network.named_modules() if name.rpartition(".")[2] == "trunk"]
    if not layers:
        raise LookupError("the network has no part called trunk")
    return partial(_read, WithPackage(model, layers), pair)


CONTENDERS: dict[str, Callable[[Path | None, tuple[Path, Path]], Work]] = {
    "ONNX Runtime": onnx,
    "ONNX Runtime, with page and pictures": onnx_page,
    "PyTorch eager": torch_eager,
    "PyTorch + grad-cam package": package,
}


def serve(name: str, bundle: Path | None, pair: tuple[Path, Path], link: Connection) -> None:
    """A contender's process: makes itself ready, then one round for every `True` that comes; tells seconds and MiB."""
    started = perf_counter()
    try:
        work = CONTENDERS[name](bundle, pair)
        work()
    except Exception as error:  # noqa: BLE001 - the others are measured all the same
        link.send(f"{type(error).__name__}: {error}")
        return
    link.send(perf_counter() - started)
    while link.recv():
        started = perf_counter()
        work()
        link.send(perf_counter() - started)
    link.send(peak_mib())


def in_threads(bundle: Path | None, pairs: list[tuple[Path, Path]], threads: int, link: Connection) -> None:
    """All pairs by threads of one process that share one session of one thread: the other way to use all cores."""
    import cv2

    from eyeground.runs.engine import open_model

    cv2.setNumThreads(1)
    model = open_model(bundle, "auto", threads=1)
    _read(model, pairs[0])
    started = perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(partial(_read, model), pairs):
            pass
    link.send((perf_counter() - started, peak_mib()))


def peak_mib() -> float:
    """The largest resident memory of this process so far, in MiB (Linux only)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024, 1)


def _read(model: Any, pair: tuple[Path, Path]) -> str:
    from eyeground.runs.read import Request, read_visit

    return json.dumps(read_visit(model, Request(*pair), draw=False).reading.to_dict())


class WithPackage:
    """A torch model whose maps are Grad-CAMs of the package: one call per label, for both eyes at once.

    Mirror images go along where the bundle answers with them, so that the work is that of the other contenders.
    """

    map_note = "Grad-CAM"

    def __init__(self, model: Any, layers: list[Any]) -> None:
        self.model, self.layers, self.bundle = model, layers, model.bundle

    def predict(self, visits: Any, eyes: Any, evidence: bool) -> Any:
        """Of one visit with both eyes; maps (1, 2, C, S, S), each between 0 and 1, always."""
        return replace(self.model.predict(visits, eyes, evidence=False), evidence=self._maps(eyes[0]))

    def _maps(self, eyes: Any) -> Any:
        import numpy as np
        import torch
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        canonical = self.model.recipe.laterality == "canonical"
        pixels = torch.from_numpy(np.stack([eye.load() for eye in eyes])).permute(0, 3, 1, 2).float() / 255
        if canonical:
            pixels[1] = pixels[1].flip(-1)
        if self.bundle.config["predict"]["mirrored"]:
            pixels = torch.cat([pixels, pixels.flip(-1)])
        with GradCAM(one_eye(self.model.network, len(self.bundle.vocabulary)), self.layers) as cam:
            found = [cam(pixels, [ClassifierOutputTarget(k)] * len(pixels)) for k in range(len(self.bundle.vocabulary))]
        maps = np.stack(found, 1)  # (n, C, S, S)
        if len(maps) == 4:
            maps = (maps[:2] + maps[2:, ..., ::-1]) / 2
        if canonical:
            maps[1] = maps[1, ..., ::-1].copy()
        return maps[None]


def one_eye(network: Any, labels: int) -> Any:
    """Pixels (n, 3, S, S) from 0 to 1 to each eye's logits (n, labels), the way the package takes a network."""
    import torch

    from eyeground.batches import Batch

    class OneEye(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            fundus = torch.stack([pixels, torch.zeros_like(pixels)], 1)
            seen = torch.tensor([[True, False]] * len(pixels))
            empty = torch.zeros(len(pixels), labels)
            nothing = torch.zeros(len(pixels), 2, labels)
            batch = Batch(fundus, seen, empty, empty > 0, nothing, nothing > 0, ("",) * len(pixels))
            logits: torch.Tensor = self.network(batch).eye_logits[:, 0]
            return logits

    return OneEye()


def _torch_threads() -> None:
    import torch

    from eyeground.progress import cores

    torch.set_num_threads(cores())
