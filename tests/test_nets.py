"""Trunks, fusion of logits and losses; fusion of features has its own file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from eyeground.errors import UsageError
from eyeground.losses.masked import asymmetric, binary_cross_entropy
from eyeground.nets.fusion import LOGIT_FUSIONS
from eyeground.nets.trunk import make_trunk

EVERY = torch.tensor([True, False, False])


def logits(seed: int = 0) -> torch.Tensor:
    return torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(seed)) * 3


BOTH = torch.ones(5, 2, dtype=torch.bool)


def test_noisy_or_is_what_it_says_in_probabilities() -> None:
    z = logits()
    p = torch.sigmoid(z.double())
    expected = 1 - (1 - p).prod(1)
    expected[:, 0] = p[:, :, 0].prod(1)  # Normal needs both eyes
    found = torch.sigmoid(LOGIT_FUSIONS["noisy_or"](z.double(), BOTH, EVERY))
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)


def test_max_takes_the_worse_eye_and_for_normal_the_less_normal_one() -> None:
    z = logits()
    found = LOGIT_FUSIONS["max"](z, BOTH, EVERY)
    assert torch.equal(found[:, 1:], z[:, :, 1:].amax(1))
    assert torch.equal(found[:, 0], z[:, :, 0].amin(1))


@pytest.mark.parametrize("name", LOGIT_FUSIONS)
def test_logit_fusions_ignore_missing_eyes_and_do_not_care_for_order(name: str) -> None:
    fuse, z = LOGIT_FUSIONS[name], logits()
    one = torch.tensor([[True, False]] * 5)
    torch.testing.assert_close(fuse(z, one, EVERY), z[:, 0], atol=1e-5, rtol=1e-5)
    wild = z.clone()
    wild[:, 1] = torch.nan
    torch.testing.assert_close(fuse(wild, one, EVERY), z[:, 0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(fuse(z.flip(1), BOTH, EVERY), fuse(z, BOTH, EVERY))
    finite = fuse(z * 40, BOTH, EVERY)
    assert torch.isfinite(finite).all()


@pytest.mark.parametrize("name", LOGIT_FUSIONS)
def test_gradients_are_numbers_where_an_eye_is_missing(name: str) -> None:
    z = logits().requires_grad_()
    seen = torch.tensor([[True, False], [False, True], [True, True], [True, True], [True, True]])
    LOGIT_FUSIONS[name](z, seen, EVERY).sum().backward()
    assert z.grad is not None
    assert torch.isfinite(z.grad).all()
    assert z.grad[0, 1].abs().sum() == 0


def test_masked_cross_entropy_is_torchs_over_the_known_cells() -> None:
    z, y = torch.randn(4, 3), (torch.rand(4, 3) < 0.5).float()
    known = torch.rand(4, 3) < 0.7
    known[0] = True
    weight = torch.tensor([1.0, 2.0, 3.0])
    expected = F.binary_cross_entropy_with_logits(z, y, pos_weight=weight, reduction="none")[known].mean()
    torch.testing.assert_close(binary_cross_entropy(z, y, known, weight), expected)


def test_unknown_cells_give_no_gradient_even_when_they_are_nan() -> None:
    z = torch.tensor([[0.5, torch.nan]], requires_grad=True)
    known = torch.tensor([[True, False]])
    for loss in (binary_cross_entropy, asymmetric):
        value = loss(z, torch.tensor([[1.0, 1.0]]), known)
        (gradient,) = torch.autograd.grad(value, z)
        assert torch.isfinite(value)
        assert gradient[0, 1] == 0
        assert gradient[0, 0] != 0
    nothing = binary_cross_entropy(z, z.detach(), torch.zeros(1, 2, dtype=torch.bool))
    assert nothing == 0


def test_asymmetric_without_asymmetry_is_cross_entropy_and_with_it_forgives_easy_negatives() -> None:
    z, y, known = torch.randn(6, 3), (torch.rand(6, 3) < 0.5).float(), torch.ones(6, 3, dtype=torch.bool)
    same = asymmetric(z, y, known, negative=0, positive=0, margin=0)
    torch.testing.assert_close(same, binary_cross_entropy(z, y, known))
    easy = torch.full((1, 1), -4.0)
    one = torch.ones(1, 1, dtype=torch.bool)
    assert asymmetric(easy, torch.zeros(1, 1), one) < 1e-6 < binary_cross_entropy(easy, torch.zeros(1, 1), one)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit", "test_convnext", "lcnet_035"])
def test_every_kind_of_trunk_gives_a_feature_map(name: str) -> None:
    trunk = make_trunk(name, "none", 96).eval()
    features = trunk(torch.rand(2, 3, 96, 96))
    assert features.dim() == 4
    assert features.shape[:2] == (2, trunk.channels)
    torch.testing.assert_close(trunk(torch.rand(1, 3, 96, 96)).shape[1:], features.shape[1:])


def test_weights_from_a_file_with_their_record(tmp_path: Path) -> None:
    source = make_trunk("test_resnet", "none", 64)
    path = tmp_path / "weights.safetensors"
    save_file(source.body.state_dict(), str(path), metadata={"mean": "0.5,0.5,0.5", "std": "0.25,0.25,0.25"})
    trunk = make_trunk("test_resnet", str(path), 64)
    assert trunk.record.mean == (0.5, 0.5, 0.5)
    assert trunk.record.std == (0.25, 0.25, 0.25)
    assert trunk.record.weights == "weights.safetensors"
    assert all(torch.equal(a, b) for a, b in zip(source.body.parameters(), trunk.body.parameters(), strict=True))


def test_trunks_and_weights_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no trunk 'resnet5o'.*resnet50"):
        make_trunk("resnet5o", "none", 64)
    with pytest.raises(UsageError, match="no weights file"):
        make_trunk("test_resnet", str(tmp_path / "gone.safetensors"), 64)
    junk = tmp_path / "junk.safetensors"
    junk.write_bytes(b"not weights")
    with pytest.raises(UsageError, match="not a safetensors file"):
        make_trunk("test_resnet", str(junk), 64)
    other = tmp_path / "other.safetensors"
    save_file(make_trunk("test_efficientnet", "none", 64).body.state_dict(), str(other))
    with pytest.raises(UsageError, match=r"other\.safetensors does not fit trunk 'test_resnet'"):
        make_trunk("test_resnet", str(other), 64)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext", "lcnet_035"])
def test_stages_are_joined_at_the_finest_and_the_coarse_ones_are_the_trunks_own(name: str) -> None:
    torch.manual_seed(0)
    joined = make_trunk(name, "none", 96, stages=(32, 8)).eval()
    fine = make_trunk(name, "none", 96, stages=(8,)).eval()
    fine.body.load_state_dict(joined.body.state_dict(), strict=False)
    pixels = torch.rand(2, 3, 96, 96)
    features = joined(pixels)
    assert features.shape == (2, joined.channels, 12, 12)
    torch.testing.assert_close(features[:, : fine.channels], fine(pixels))
    coarse = features[:, fine.channels :]
    assert coarse.std() > 0
    torch.testing.assert_close(coarse[:, :, 0, 0], coarse[:, :, 1, 1])  # enlarged four times: a corner is one element


def test_stages_take_weights_of_the_whole_trunk_and_refuse_strides_that_are_not_there(tmp_path: Path) -> None:
    source, path = make_trunk("test_resnet", "none", 64), tmp_path / "weights.safetensors"
    save_file(source.body.state_dict(), str(path))
    state = make_trunk("test_resnet", str(path), 64, stages=(8, 16)).body.state_dict()
    whole = source.body.state_dict()
    assert state
    assert all(torch.equal(value, whole[name]) for name, value in state.items())
    with pytest.raises(UsageError, match=r"no stage with stride 7; it has .*8"):
        make_trunk("test_resnet", "none", 64, stages=(7,))
    with pytest.raises(UsageError, match=r"does not give the maps of its stages|no stage with stride 8"):
        make_trunk("test_vit", "none", 96, stages=(8,))
