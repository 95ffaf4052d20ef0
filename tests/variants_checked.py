"""What the contract of tests/test_methods.py asks of a method at its defaults, asked of one more configuration."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import torch
from torch import nn

from batches_made import made_batch
from eyeground.batches import Batch, Output
from eyeground.vocabulary import ODIR

SIZE = 64


def check_variant(method: ModuleType, config: Any, size: int = SIZE, mean: bool = True) -> Output:
    """Shapes, missing eyes, gradients, the exchange of eyes, its evidence, the exported graph. Returns its output.

    mean: an eye's logit is the mean of its map.
    """
    torch.manual_seed(0)
    model = method.build(config, ODIR, size)
    batch = made_batch(size=size)
    _learns(method, model, batch, config)
    model.eval()
    with torch.no_grad():
        out: Output = model(batch)
        wild = torch.where(batch.seen[:, :, None, None, None], batch.fundus, 1e6)
        torch.testing.assert_close(model(replace(batch, fundus=wild)).visit_logits, out.visit_logits)
        assert out.visit_logits.shape == (6, 8) and torch.isfinite(out.visit_logits).all()
        swapped = model(replace(batch, fundus=batch.fundus.flip(1), seen=batch.seen.flip(1)))
        same = torch.allclose(swapped.visit_logits, out.visit_logits, atol=1e-5, rtol=1e-4)
        assert same == (method.swap(config) == "same")
    if out.eye_logits is not None:
        assert torch.equal(torch.isnan(out.eye_logits).all(-1), ~batch.seen)
        if out.evidence is not None and mean:
            torch.testing.assert_close(out.evidence.mean((3, 4))[batch.seen], out.eye_logits[batch.seen])
    assert ("There are no maps" in method.maps(config)) == (out.evidence is None)
    _exports(model, batch, out)
    return out


def _learns(method: ModuleType, model: nn.Module, batch: Batch, config: Any) -> None:
    """Every parameter has a finite gradient although eyes and labels are missing; the weight of visits counts."""
    method.loss(model.train(), batch, config)["total"].backward()
    for name, one in model.named_parameters():
        assert one.grad is not None and torch.isfinite(one.grad).all(), name
    model.eval()
    weight = torch.zeros(6)
    weight[3] = 2.0
    parts = {"fundus": batch.fundus[3:4], "seen": batch.seen[3:4], "labels": batch.labels[3:4], "ids": ("3",)}
    alone = replace(
        batch,
        **parts,
        known=batch.known[3:4],
        eye_labels=batch.eye_labels[3:4],
        eye_known=batch.eye_known[3:4],
    )
    with torch.no_grad():
        whole = method.loss(model, replace(batch, weight=weight), config)["total"]
        torch.testing.assert_close(whole, method.loss(model, alone, config)["total"], atol=1e-5, rtol=1e-4)
        none = replace(batch, known=batch.known & False, eye_known=batch.eye_known & False)
        assert method.loss(model, none, config)["total"] == 0


def _exports(model: nn.Module, batch: Batch, out: Output) -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, fundus: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
            empty = torch.zeros(fundus.shape[0], 8)
            eyes = torch.zeros(fundus.shape[0], 2, 8)
            found: Output = self.model(Batch(fundus, seen, empty, empty > 0, eyes, eyes > 0, ()))
            return found.visit_logits

    visits = torch.export.Dim("visits")
    graph = torch.export.export(
        Plain().eval(), (batch.fundus[:4], batch.seen[:4]), dynamic_shapes=({0: visits}, {0: visits})
    )
    found = graph.module()(batch.fundus, batch.seen)
    torch.testing.assert_close(found, out.visit_logits, atol=1e-4, rtol=1e-4)
