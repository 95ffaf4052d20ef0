"""What do the maps cost? One forward pass with the evidence of all labels and both eyes, beside logits alone.

`logits alone` pools the features first and multiplies once per eye, which gives the same logits and no maps. The third
row draws all 16 maps on a 512 px view. Contenders run in turn within each round; figures are medians over the rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch

from eyeground.batches import Batch
from eyeground.explain.paint import paint, smooth
from eyeground.methods.pair import Config, PairNet, build
from eyeground.vocabulary import ODIR

ROUNDS, LIMIT = 15, 1.15


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


def logits_alone(model: PairNet, batch: Batch) -> torch.Tensor:
    """Eye logits without maps."""
    features = model.trunk(batch.fundus[batch.seen]).mean((2, 3))
    return torch.nn.functional.linear(features, model.evidence.weight[:, :, 0, 0], model.evidence.bias)


@torch.inference_mode()
def run() -> dict[str, Any]:
    """Measures and prints; returns the figures."""
    rows = []
    for trunk, size in (("mobilenetv2_100", 256), ("resnet50", 256)):
        model = build(Config(trunk, "none"), ODIR, size).eval().to(memory_format=torch.channels_last)
        batch = one_visit(size)
        output = model(batch)
        assert output.eye_logits is not None
        torch.testing.assert_close(logits_alone(model, batch), output.eye_logits[0], atol=1e-4, rtol=1e-4)
        maps = np.random.default_rng(0).normal(size=(16, *output.evidence.shape[-2:])).astype(np.float32)
        contenders: dict[str, Callable[[], Any]] = {
            "logits alone": lambda model=model, batch=batch: logits_alone(model, batch),
            "logits and 16 maps": lambda model=model, batch=batch: model(batch),
            "painting 16 maps at 512 px": lambda maps=maps: [paint(smooth(one, 512, 512)) for one in maps],
        }
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(ROUNDS):
            for name, work in contenders.items():
                started = time.perf_counter()
                work()
                times[name].append(time.perf_counter() - started)
        plain = median(times["logits alone"])
        for name, seconds in times.items():
            row = {"trunk": trunk, "name": name, "ms": round(1000 * median(seconds), 1)}
            rows.append({**row, "times_logits": round(median(seconds) / plain, 3)})
    for row in rows:
        print(f"{row['trunk']:<16} {row['name']:<28} {row['ms']:>8.1f} ms  {row['times_logits']:.2f} × logits alone")
    print(f"limit for logits and maps: {LIMIT} × logits alone")
    return {"limit": LIMIT, "rounds": ROUNDS, "rows": rows}
