"""Two experts: each learns from its own rows, the gate mixes them, and the log says where it leans."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from batches_made import made_batch
from eyeground.errors import UsageError
from eyeground.methods.two_experts import Config, TwoExperts, build, groups, loss, start
from eyeground.vocabulary import ODIR

SMALL = Config("test_resnet", "none", dropout=0.0)


def made(config: Config = SMALL) -> TwoExperts:
    torch.manual_seed(0)
    return build(config, ODIR, 64)


def grads(model: TwoExperts, part: torch.Tensor, name: str) -> float:
    model.zero_grad()
    part.backward(retain_graph=True)
    module: Any = getattr(model, name)
    return sum(float(one.grad.abs().sum()) for one in module.parameters() if one.grad is not None)


@pytest.mark.parametrize("shared", [True, False])
def test_the_mixture_is_the_gates_mean_of_both_experts(shared: bool) -> None:
    model, batch = made(replace(SMALL, shared_trunk=shared)).eval(), made_batch(size=64)
    out = model(batch)
    single, multi = out.expert_logits.unbind(2)
    gate, seen = out.gate[..., None], batch.seen
    torch.testing.assert_close(out.eye_logits[seen], ((1 - gate) * single + gate * multi)[seen])
    torch.testing.assert_close(out.evidence.mean((3, 4))[seen], out.eye_logits[seen])
    features = model.trunk(batch.fundus[seen])
    torch.testing.assert_close(
        single[seen], F.linear(features.mean((2, 3)), model.single.weight.flatten(1), model.single.bias)
    )
    other = features if model.trunk_multi is None else model.trunk_multi(batch.fundus[seen])
    torch.testing.assert_close(
        multi[seen], F.linear(other.mean((2, 3)), model.multi.weight.flatten(1), model.multi.bias)
    )
    assert ((out.gate[seen] > 0) & (out.gate[seen] < 1)).all()


def test_groups_are_counted_over_known_labels() -> None:
    labels = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 0]])
    known = torch.tensor([[True, True, True], [True, True, True], [True, True, True], [True, False, True]])
    single, multi = groups(labels, known, SMALL)
    assert single.tolist() == [True, False, False, True]
    assert multi.tolist() == [False, True, False, False]
    assert groups(labels, known, replace(SMALL, multi_learns="all"))[1].all()


def test_each_expert_learns_from_its_own_group() -> None:
    model, batch = made(), made_batch(8, size=64)
    one = torch.zeros(8, 8)
    one[:, 3] = 1
    for labels, silent, taught in ((one, "multi", "single"), (torch.ones(8, 8), "single", "multi")):
        eyes = labels[:, None].expand(-1, 2, -1) * batch.seen[..., None]
        told = replace(batch, labels=labels, known=torch.ones(8, 8, dtype=torch.bool), eye_labels=eyes)
        parts = loss(model, told, SMALL)
        assert float(parts[silent].detach()) == 0
        assert grads(model, parts[taught], taught) > 0
        assert grads(model, parts[taught], silent) == 0
        assert grads(model, parts["mixture"], silent) > 0, "the mixture moves both"


def test_gate_only_leaves_the_experts_to_their_own_rows() -> None:
    config = replace(SMALL, gate_only=True)
    model = made(config)
    parts = loss(model, made_batch(8, size=64), config)
    for name, moved in (("gate", True), ("single", False), ("multi", False), ("trunk", False)):
        assert (grads(model, parts["mixture"], name) > 0) == moved, name
    torch.testing.assert_close(parts["total"], parts["mixture"] + parts["single"] + parts["multi"])


def test_the_log_tells_the_mean_gate_of_both_groups() -> None:
    model, batch = made(), made_batch(8, size=64)
    parts = loss(model, batch, SMALL)
    gate, several = model(batch).gate, batch.eye_labels.sum(-1)
    for name, rows in (("single", several == 1), ("multi", several > 1)):
        expected = gate[rows & batch.seen].mean()
        torch.testing.assert_close(parts[f"gate_{name}"], expected.detach())
        assert not parts[f"gate_{name}"].requires_grad
    before = model.told.clone()
    loss(model.eval(), batch, SMALL)
    assert torch.equal(model.told, before), "only training is told of"
    untold = replace(batch, eye_known=torch.zeros_like(batch.eye_known))
    assert torch.isfinite(loss(made(), untold, SMALL)["total"]), "visit labels alone will do"


def test_a_gate_can_learn_to_lean() -> None:
    """Bright eyes have several labels, dark ones have one: the gate finds out, and the log says so."""
    model, batch = made(), made_batch(8, size=64)
    seen = torch.ones(8, 2, dtype=torch.bool)
    bright = torch.arange(8) % 2 == 0
    eyes = torch.zeros(8, 2, 8)
    eyes[bright, :, 1] = eyes[bright, :, 2] = 1
    eyes[~bright, :, 5] = 1
    fundus = (0.1 + 0.8 * bright.float())[:, None, None, None, None] + 0.1 * torch.rand(8, 2, 3, 64, 64)
    known = torch.ones(8, 8, dtype=torch.bool)
    batch = replace(batch, fundus=fundus, seen=seen, eye_labels=eyes, eye_known=known[:, None].expand(-1, 2, -1))
    batch = replace(batch, labels=eyes[:, 0], known=known)
    config = replace(SMALL, gate_only=True)
    model = made(config)
    start(model, config, eyes.reshape(-1, 8), torch.ones(16, 8, dtype=torch.bool))
    assert torch.equal(model(batch).gate, torch.full((8, 2), 0.5))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(40):
        parts = loss(model, batch, config)
        optimizer.zero_grad()
        parts["total"].backward()
        optimizer.step()
    assert parts["gate_multi"] > parts["gate_single"] + 0.05


def test_start_gives_each_expert_the_prevalence_of_its_rows() -> None:
    model = made()
    labels = torch.zeros(100, 8)
    labels[:40, 1] = 1
    labels[40:60, 1] = labels[40:60, 2] = 1
    start(model, SMALL, labels, torch.ones(100, 8, dtype=torch.bool))
    assert model.single.bias is not None and model.multi.bias is not None
    assert torch.sigmoid(model.single.bias[2]).item() == pytest.approx(1 / 42)
    assert torch.sigmoid(model.multi.bias[2]).item() == pytest.approx(21 / 22)


@pytest.mark.parametrize(
    "values",
    [
        {"dropout": 1.0},
        {"eye_weight": -1.0},
        {"eye_weight": 0.0, "visit_weight": 0.0},
        {"gate_only": True, "expert_weight": 0.0},
    ],
)
def test_bad_settings_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--"):
        Config(**values)
