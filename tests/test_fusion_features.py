"""Operators over two eyes' features: the laws all of them keep, then each against numbers from elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import expit
from torch import Tensor

from eyeground.nets.fusion_features import FEATURE_FUSIONS, AttentionFeatures, BilinearFeatures, FeatureFusion

K = 5
SEEN = torch.tensor([[True, False], [False, True], [True, True], [True, True]])
BOTH = torch.ones(4, 2, dtype=torch.bool)
NO_STAND_IN = ("concat",)
"""Operators that learn what stands for an eye that is not there."""


def made(name: str, channels: int = K) -> FeatureFusion:
    """The operator with every learned number drawn, `concat`'s zeros too."""
    torch.manual_seed(3)
    fuse = FEATURE_FUSIONS[name](channels)
    for weights in fuse.parameters():
        torch.nn.init.normal_(weights)
    return fuse


def features(visits: int = 4, channels: int = K) -> Tensor:
    return torch.randn(visits, 2, channels, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", FEATURE_FUSIONS)
@pytest.mark.parametrize("channels", [1, K, 300])
def test_shapes(name: str, channels: int) -> None:
    fuse = made(name, channels)
    found = fuse(features(channels=channels), SEEN)
    assert found.shape == (4, fuse.channels)
    assert torch.isfinite(found).all()
    assert fuse(features(0, channels), BOTH[:0]).shape == (0, fuse.channels)


@pytest.mark.parametrize("name", FEATURE_FUSIONS)
def test_exchanged_eyes_change_nothing_exactly_where_the_operator_says_so(name: str) -> None:
    fuse, f = made(name), features()
    there, swapped = fuse(f, SEEN), fuse(f.flip(1), SEEN.flip(1))
    if fuse.symmetric:
        torch.testing.assert_close(swapped, there)
    else:
        apart = (swapped - there)[SEEN.all(1)].abs().amax(1)
        assert (apart > 1e-2).all(), "every visit with two eyes answers otherwise"


def test_the_signed_difference_turns_its_sign() -> None:
    fuse, f = made("signed_difference"), features()
    assert torch.equal(fuse(f.flip(1), BOTH), -fuse(f, BOTH))


@pytest.mark.parametrize("wild", [torch.nan, torch.inf, 1e30])
@pytest.mark.parametrize("name", FEATURE_FUSIONS)
def test_an_eye_that_is_not_seen_reaches_neither_output_nor_gradient(name: str, wild: float) -> None:
    fuse, f = made(name), features()
    f[~SEEN] = 0.25
    gradients = []
    for fill in (0.25, wild):
        given = f.clone()
        given[~SEEN] = fill
        given.requires_grad_()
        fuse.zero_grad()
        found = fuse(given, SEEN)
        torch.testing.assert_close(found, fuse(f, SEEN), rtol=0, atol=0)
        found.square().sum().backward()
        assert given.grad is not None
        assert (given.grad[~SEEN] == 0).all()
        learned = [weights.grad for weights in fuse.parameters()]
        assert all(g is not None for g in learned)
        gradients.append([given.grad, *(g.clone() for g in learned if g is not None)])
        assert all(torch.isfinite(g).all() for g in gradients[-1])
    for calm, other in zip(*gradients, strict=True):
        assert torch.equal(calm, other)


@pytest.mark.parametrize("name", FEATURE_FUSIONS)
def test_every_seen_eye_and_every_learned_number_has_a_gradient(name: str) -> None:
    fuse, f = made(name), features().requires_grad_()
    fuse(f, SEEN).square().sum().backward()
    assert f.grad is not None
    assert (f.grad[2:].abs().sum(2) > 0).all(), "both eyes of a whole visit"
    assert all(weights.grad is not None and weights.grad.abs().sum() > 0 for weights in fuse.parameters())


@pytest.mark.parametrize("name", FEATURE_FUSIONS)
def test_one_eye_answers_as_this_eye_twice(name: str) -> None:
    fuse, f = made(name), features()
    one = torch.tensor([[True, False]] * 4)
    twice = fuse(f[:, :1].expand(-1, 2, -1), BOTH)
    if name in NO_STAND_IN:
        assert not torch.allclose(fuse(f, one), twice)
    else:
        torch.testing.assert_close(fuse(f, one), twice)
        torch.testing.assert_close(fuse(f.flip(1), one.flip(1)), twice)


def test_two_equal_eyes_give_what_the_page_says() -> None:
    f = features()[:, 0]
    nothing = torch.zeros_like(f)
    bilinear = made("bilinear")
    assert isinstance(bilinear, BilinearFeatures)
    expected = {
        **dict.fromkeys(("feature_mean", "feature_max", "feature_min", "gated", "attention"), f),
        **dict.fromkeys(("difference", "signed_difference"), nothing),
        "sum": 2 * f,
        "product": f**2,
        "concat": torch.cat([f, f], 1),
        "sum_difference": torch.cat([2 * f, nothing], 1),
        "bilinear": (f @ bilinear.left.weight.T) * (f @ bilinear.right.weight.T),
    }
    assert expected.keys() == FEATURE_FUSIONS.keys()
    for name, value in expected.items():
        torch.testing.assert_close(made(name)(torch.stack([f, f], 1), BOTH), value, msg=name)


@pytest.mark.parametrize("name", FEATURE_FUSIONS)
def test_a_visit_without_any_eye_counts_as_zeros(name: str) -> None:
    fuse, none = made(name), torch.zeros(4, 2, dtype=torch.bool)
    found = fuse(torch.full((4, 2, K), torch.nan), none)
    expected = fuse(torch.zeros(4, 2, K), none if name in NO_STAND_IN else BOTH)
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", FEATURE_FUSIONS)
def test_a_batch_is_one_by_one_in_any_order(name: str) -> None:
    fuse, f = made(name), features()
    whole = fuse(f, SEEN)
    for i in range(4):
        torch.testing.assert_close(fuse(f[i : i + 1], SEEN[i : i + 1])[0], whole[i])
    torch.testing.assert_close(fuse(f.flip(0), SEEN.flip(0)), whole.flip(0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", FEATURE_FUSIONS)
def test_other_precisions_stay_themselves_and_come_close(name: str, dtype: torch.dtype) -> None:
    f = features()
    f[~SEEN] = torch.nan
    found = made(name).to(dtype)(f.to(dtype), SEEN)
    assert found.dtype == dtype
    exact = made(name).double()(f.to(dtype).double(), SEEN)
    rough = {torch.float16: 0.02, torch.bfloat16: 0.12, torch.float64: 1e-6}[dtype]
    torch.testing.assert_close(found.double(), exact, atol=rough, rtol=rough)


@pytest.mark.parametrize("name", FEATURE_FUSIONS)
def test_mixed_precision_gives_finite_gradients(name: str) -> None:
    fuse, f = made(name), features()
    f[~SEEN] = torch.nan
    f.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = fuse(f, SEEN)
    torch.testing.assert_close(found.float(), fuse(f, SEEN), atol=0.12, rtol=0.12)
    found.float().sum().backward()
    assert f.grad is not None
    assert torch.isfinite(f.grad).all()


@pytest.mark.parametrize("name", ["sum", "product", "feature_mean", "feature_max", "feature_min"])
def test_plain_operators_are_numpys(name: str) -> None:
    f = features()
    along = {"sum": np.sum, "product": np.prod, "feature_mean": np.mean, "feature_max": np.max, "feature_min": np.min}
    np.testing.assert_allclose(made(name)(f, BOTH).numpy(), along[name](f.numpy(), axis=1), rtol=1e-6)


def test_differences_are_numpys() -> None:
    f = features()
    size = np.ptp(f.numpy(), axis=1)
    np.testing.assert_allclose(made("difference")(f, BOTH).numpy(), size, rtol=1e-6)
    np.testing.assert_allclose(made("signed_difference")(f, BOTH).numpy(), -np.diff(f.numpy(), axis=1)[:, 0], rtol=1e-6)
    both = np.concatenate([f.numpy().sum(1), size], axis=1)
    np.testing.assert_allclose(made("sum_difference")(f, BOTH).numpy(), both, rtol=1e-6)


def test_bilinear_is_torchs_with_matrices_of_rank_one_and_has_the_rank_it_states() -> None:
    fuse, f = made("bilinear"), features()
    assert isinstance(fuse, BilinearFeatures)
    matrices = torch.einsum("rk,rl->rkl", fuse.left.weight, fuse.right.weight)
    torch.testing.assert_close(fuse(f, BOTH), F.bilinear(f[:, 0], f[:, 1], matrices))
    assert [FEATURE_FUSIONS["bilinear"](channels).channels for channels in (5, 256, 2048)] == [5, 256, 256]


def test_the_gate_is_the_formula_and_stays_between_the_eyes() -> None:
    fuse, f = made("gated"), features()
    weight, bias = (value.detach().double().numpy() for value in fuse.parameters())
    left, right = f[:, 0].double().numpy(), f[:, 1].double().numpy()
    gate = expit(np.concatenate([left, right], 1) @ weight.T + bias)
    found = fuse(f, BOTH).detach()
    np.testing.assert_allclose(found.numpy(), gate * left + (1 - gate) * right, rtol=1e-4, atol=1e-5)
    assert ((found >= f.amin(1) - 1e-6) & (found <= f.amax(1) + 1e-6)).all()


def test_attention_is_torchs_and_its_weights_say_which_eye_counts() -> None:
    fuse, f = made("attention"), features()
    assert isinstance(fuse, AttentionFeatures)
    query = fuse.score.weight.expand(4, 1, K)
    expected = F.scaled_dot_product_attention(query, f, f, attn_mask=SEEN[:, None], scale=1.0)[:, 0]
    torch.testing.assert_close(fuse(f, SEEN), expected)
    f[~SEEN] = torch.nan
    weights = fuse.weights(f, SEEN)
    torch.testing.assert_close(weights.sum(1), torch.ones(4))
    assert torch.equal(weights[:2], SEEN[:2].float())
    assert ((weights[2:] > 0) & (weights[2:] < 1)).all()


def test_the_page_tells_every_operator_its_width_and_what_an_exchange_does() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "training.md").read_text(encoding="utf-8")
    table = page.split("| fusion | visit's features |")[1].split("\n\n")[0].splitlines()[2:]
    rows = {row.split("|")[1].strip(): [cell.strip() for cell in row.split("|")[2:-1]] for row in table}
    assert list(rows) == list(FEATURE_FUSIONS)
    told = {"0": 0, "K": 2048, "2 K": 4096, "R": 256, "2 R K": 2 * 256 * 2048, "2 K² + K": 2 * 2048**2 + 2048}
    for name, (_, width, learned, _, exchanged) in rows.items():
        fuse = FEATURE_FUSIONS[name](2048)
        assert told[width] == fuse.channels, name
        assert told[learned] == sum(weights.numel() for weights in fuse.parameters()), name
        assert exchanged == ("same" if fuse.symmetric else "changes"), name
    assert f"{told['2 K² + K']:,} learned numbers" in page
