"""What do the maps cost? A visit of 8 labels and 2 eyes, explained by each explainer, beside its logits alone.

`logits alone` pools the features first and multiplies once per eye: the same logits and no maps. `grad-cam package`
makes the same 16 maps with pytorch_grad_cam, one call per label for both eyes at once (its results are resized and
stretched, which is part of its price). Contenders run in turn within each round; times are medians over the rounds.
Memory is the growth of the process' resident set to its peak during one run (Linux only). Integrated gradients and
occlusion are measured with a part of their passes, and `passes_of` says of how many; their time is scaled.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from eyeground.batches import Batch
from eyeground.explain import explain, integrated_gradients, occlusion
from eyeground.explain.paint import paint, smooth
from eyeground.methods.pair import Config, PairNet, build
from eyeground.vocabulary import ODIR

ROUNDS, LIMIT = 7, 1.15
STEPS, CELLS = 2, 4
SLOW = {
    "integrated_gradients": integrated_gradients.STEPS / STEPS,
    "occlusion": (occlusion.CELLS - 1) ** 2 / (CELLS - 1) ** 2,
}
"""What is measured with a part of its passes, and of how many times as many."""


def one_visit(size: int) -> Batch:
    """One visit of random pixels, both eyes there."""
    labels, eyes = torch.zeros(1, len(ODIR)), torch.zeros(1, 2, len(ODIR))
    return Batch(
        fundus=torch.rand(1, 2, 3, size, size),
        seen=torch.ones(1, 2, dtype=torch.bool),
        labels=labels,
        known=labels.bool(),
        eye_labels=eyes,
        eye_known=eyes.bool(),
        ids=("made",),
    )


@torch.inference_mode()
def logits_alone(model: PairNet, batch: Batch) -> torch.Tensor:
    """Eye logits without maps."""
    features = model.trunk(batch.fundus[batch.seen]).mean((2, 3))
    return torch.nn.functional.linear(features, model.evidence.weight[:, :, 0, 0], model.evidence.bias)


class OneEye(torch.nn.Module):
    """(n, 3, H, W) to eye logits, the way the grad-cam package takes a network."""

    def __init__(self, model: PairNet) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model.evidence(self.model.trunk(pixels)).mean((2, 3))
        return logits


def package(model: PairNet, batch: Batch) -> list[Any]:
    """The same 16 maps by pytorch_grad_cam."""
    pixels = batch.fundus[batch.seen]
    with GradCAM(OneEye(model), [model.trunk]) as cam:
        return [cam(pixels, [ClassifierOutputTarget(label)] * 2) for label in range(len(ODIR))]


def run() -> dict[str, Any]:
    """Measures and prints; returns the figures."""
    rows = [row for trunk, size in (("mobilenetv2_100", 256), ("resnet50", 256)) for row in measured(trunk, size)]
    for row in rows:
        memory = "" if row["peak_mib"] is None else f"{row['peak_mib']:>8.0f} MiB"
        print(
            f"{row['trunk']:<16} {row['name']:<28} {row['ms']:>9.1f} ms {row['times_logits']:>8.2f} × logits {memory}"
        )
    print(f"limit for evidence and cam: {LIMIT} × logits alone")
    return {"limit": LIMIT, "rounds": ROUNDS, "rows": rows}


def measured(trunk: str, size: int) -> list[dict[str, Any]]:
    """One trunk's rows."""
    torch.manual_seed(0)
    model = build(Config(trunk, "none"), ODIR, size).eval().to(memory_format=torch.channels_last)
    batch = one_visit(size)
    output = model(batch)
    torch.testing.assert_close(logits_alone(model, batch), output.eye_logits[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(explain("cam", model, batch), output.evidence, atol=1e-3, rtol=1e-3)
    maps = np.random.default_rng(0).normal(size=(16, *output.evidence.shape[-2:])).astype(np.float32)
    contenders: dict[str, Callable[[], Any]] = {"logits alone": partial(logits_alone, model, batch)}
    for name in ("evidence", "cam", "grad_cam"):
        contenders[name] = partial(explain, name, model, batch)
    contenders["grad-cam package"] = partial(package, model, batch)
    for name in ("grad_cam_pp", "hires_cam", "sensitivity", "hue", "integrated_gradients", "occlusion"):
        contenders[name] = partial(explain, name, model, batch)
    contenders["painting 16 maps at 512 px"] = lambda: [paint(smooth(one, 512, 512)) for one in maps]
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    kept = integrated_gradients.STEPS, occlusion.CELLS
    integrated_gradients.STEPS, occlusion.CELLS = STEPS, CELLS
    try:
        peaks = {name: peak_mib(work) for name, work in contenders.items()}
        for number in range(ROUNDS):
            for name, work in contenders.items():
                if number == 0 or name not in SLOW:
                    started = time.perf_counter()
                    work()
                    seconds[name].append((time.perf_counter() - started) * SLOW.get(name, 1))
    finally:
        integrated_gradients.STEPS, occlusion.CELLS = kept
    return [_row(trunk, name, taken, seconds["logits alone"], peaks[name]) for name, taken in seconds.items()]


def _row(trunk: str, name: str, taken: list[float], plain: list[float], peak: float | None) -> dict[str, Any]:
    """One line of the table."""
    row = {"trunk": trunk, "name": name, "ms": round(1000 * median(taken), 1), "peak_mib": peak}
    row["times_logits"] = round(median(taken) / median(plain), 3)
    return {**row, "passes_of": SLOW[name]} if name in SLOW else row


def peak_mib(work: Callable[[], Any]) -> float | None:
    """How far the resident set grows while `work` runs, in MiB; None where the system does not tell."""
    clear, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        clear.write_text("5")  # sets the peak back to what is resident now
        before = _kib(status, "VmRSS")
        work()
        return round((_kib(status, "VmHWM") - before) / 1024, 1)
    except OSError:
        return None


def _kib(status: Path, key: str) -> int:
    (line,) = [line for line in status.read_text().splitlines() if line.startswith(f"{key}:")]
    return int(line.split()[1])
