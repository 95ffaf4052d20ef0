"""The softmax over multi-hot targets: against the sum written out, and what unknown labels may not do."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from eyeground.losses.softmax import sigmoid_logits, softmax_cross_entropy


def made(rows: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    labels = (torch.rand(rows, 8, generator=generator) < 0.3).float()
    labels[:, 2] = 1
    return torch.randn(rows, 8, generator=generator), labels, torch.ones(rows, 8, dtype=torch.bool)


def test_it_is_torchs_cross_entropy_with_soft_targets() -> None:
    logits, labels, known = made()
    wanted = F.cross_entropy(logits, labels / labels.sum(1, keepdim=True))
    torch.testing.assert_close(softmax_cross_entropy(logits, labels, known), wanted)
    torch.testing.assert_close(softmax_cross_entropy(logits + 7, labels, known), wanted)


def test_its_least_value_is_the_entropy_of_the_target() -> None:
    labels = torch.tensor([[1.0, 1.0, 0.0]])
    logits = torch.tensor([[30.0, 30.0, -30.0]])
    assert softmax_cross_entropy(logits, labels, labels > -1).item() == pytest.approx(math.log(2))


def test_an_unknown_label_has_no_part_in_value_or_gradient() -> None:
    logits, labels, known = made()
    known[1, :2] = False
    known[3] = False
    logits.requires_grad_(True)
    value = softmax_cross_entropy(logits, labels, known)
    value.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all() and not logits.grad[~known].any()
    shorter = F.cross_entropy(logits[1:2, 2:], labels[1:2, 2:] / labels[1, 2:].sum())
    rest = F.cross_entropy(logits[[0, 2, 4]], labels[[0, 2, 4]] / labels[[0, 2, 4]].sum(1, keepdim=True))
    torch.testing.assert_close(value, (shorter + 3 * rest) / 4)


def test_rows_without_a_target_are_left_out_and_weights_count() -> None:
    logits, labels, known = made()
    labels[4] = 0
    weight = torch.tensor([1.0, 0.0, 3.0, 0.0, 9.0])
    first, third = (F.cross_entropy(logits[r : r + 1], labels[r : r + 1] / labels[r].sum()) for r in (0, 2))
    torch.testing.assert_close(softmax_cross_entropy(logits, labels, known, weight), (first + 3 * third) / 4)
    nothing = softmax_cross_entropy(logits.requires_grad_(True), labels * 0, known)
    nothing.backward()
    assert nothing == 0 and logits.grad is not None and not logits.grad.any()


def test_sigmoid_of_its_logits_is_the_softmax() -> None:
    logits = 20 * torch.randn(9, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = sigmoid_logits(logits)
    torch.testing.assert_close(torch.sigmoid(found), torch.softmax(logits, -1))
    torch.testing.assert_close(F.logsigmoid(found), torch.log_softmax(logits, -1))
    wild = sigmoid_logits(torch.tensor([[300.0, 0.0, -300.0]]))
    assert torch.isfinite(wild).all(), "probabilities that float32 rounds to 0 or 1 still have a logit"
