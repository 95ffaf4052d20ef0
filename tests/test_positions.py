"""Attention between the places of two maps, against loops and its laws."""

from __future__ import annotations

import math

import pytest
import torch

from eyeground.nets.positions import attend, position_attention


@pytest.mark.parametrize("scaled", [True, False])
def test_attention_equals_a_loop_over_places(scaled: bool) -> None:
    query, key, value = torch.randn(2, 5, 2, 3), torch.randn(2, 5, 2, 3), torch.randn(2, 4, 2, 3)
    rows = position_attention(query, key, scaled)
    got = attend(rows, value)
    for b in range(2):
        for i in range(6):
            y, x = divmod(i, 3)
            products = [float(query[b, :, y, x] @ key[b, :, j // 3, j % 3]) for j in range(6)]
            strength = [math.exp(p / (math.sqrt(5) if scaled else 1)) for p in products]
            share = [one / sum(strength) for one in strength]
            torch.testing.assert_close(rows[b, i], torch.tensor(share))
            wanted = sum(share[j] * value[b, :, j // 3, j % 3] for j in range(6))
            torch.testing.assert_close(got[b, :, y, x], wanted)


def test_rows_sum_to_one_and_maps_may_differ_in_size() -> None:
    rows = position_attention(torch.randn(3, 8, 4, 4), 20 * torch.randn(3, 8, 2, 5))
    assert rows.shape == (3, 16, 10)
    torch.testing.assert_close(rows.sum(-1), torch.ones(3, 16))


def test_equal_keys_give_the_mean() -> None:
    value = torch.randn(1, 3, 2, 2)
    got = attend(position_attention(torch.randn(1, 4, 2, 2), torch.ones(1, 4, 2, 2)), value)
    torch.testing.assert_close(got, value.mean((2, 3), keepdim=True).expand_as(value))
