"""The third pass: its penalty against finite differences and loops, and that without it nothing changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from batches_made import made_batch
from eyeground.batches import Output
from eyeground.errors import UsageError
from eyeground.losses.masked import binary_cross_entropy
from eyeground.losses.sparsity import hoyer, sensitivity, sparsity
from eyeground.methods import pair
from eyeground.nets.feeds import downsamples, feeding
from eyeground.nets.trunk import make_trunk
from eyeground.vocabulary import ODIR
from variants_checked import check_variant

Config: Any = pair.Config
SMALL = Config("test_resnet", "none", dropout=0.0)
PENALTIES: tuple[Any, ...] = ("l1", "hoyer")


class Tiny(nn.Module):
    """Two smooth layers, the second with a stride, on 7 × 7 pictures, in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 3, stride=2)
        self.last = nn.Linear(2, 1)
        self.double()

    def forward(self, picture: Tensor) -> tuple[Tensor, list[Tensor]]:
        feeds = torch.tanh(self.one(picture))
        logits = self.last(nn.functional.softplus(self.two(feeds)).mean((2, 3)))[:, 0]
        return logits, [picture, feeds]


def tiny() -> tuple[Tiny, Tensor]:
    torch.manual_seed(3)
    return Tiny(), torch.randn(2, 3, 7, 7, dtype=torch.float64, requires_grad=True)


def penalty_of(net: Tiny, picture: Tensor, penalty: Any) -> Tensor:
    target, layers = net(picture)
    return sparsity(target, layers, penalty)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_penaltys_gradient_is_that_of_finite_differences(penalty: Any) -> None:
    net, picture = tiny()
    penalty_of(net, picture, penalty).backward()
    step = 1e-6
    for name, weights in net.named_parameters():
        grad = torch.zeros_like(weights) if weights.grad is None else weights.grad  # y's last bias has no part in g
        flat, wanted = weights.data.view(-1), grad.flatten()
        for place in range(0, flat.numel(), max(1, flat.numel() // 7)):
            kept = flat[place].item()
            values = []
            for moved in (kept + step, kept - step):
                flat[place] = moved
                values.append(penalty_of(net, picture, penalty).item())
            flat[place] = kept
            slope = (values[0] - values[1]) / (2 * step)
            assert wanted[place].item() == pytest.approx(slope, rel=1e-4, abs=1e-8), f"{name}[{place}]"


def test_sensitivity_is_how_the_target_answers_to_a_pixel_that_keeps_its_hue() -> None:
    """A change of one pixel by (1 + δ) changes y by ω δ."""
    net, picture = tiny()
    logits, layers = net(picture)
    found = sensitivity(logits, layers)
    assert [tuple(one.shape) for one in found] == [(2, 7, 7), (2, 7, 7)]
    for i, j in ((0, 0), (2, 5), (6, 3)):
        moved = picture.detach().clone()
        moved[1, :, i, j] *= 1 + 1e-6
        change = (net(moved)[0] - logits)[1].item() / 1e-6
        assert found[0][1, i, j].item() == pytest.approx(abs(change), rel=1e-4)


@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_penalty_is_its_equation(penalty: Any) -> None:
    torch.manual_seed(0)
    layers = [torch.randn(3, 2, 4, 5, requires_grad=True), torch.randn(3, 6, 2, 2, requires_grad=True)]
    weights = [torch.randn(2, 4, 5), torch.randn(6, 2, 2)]
    target = sum((layer * weight).sum((1, 2, 3)) for layer, weight in zip(layers, weights, strict=True))
    assert isinstance(target, Tensor)
    rows = np.zeros((2, 3))
    for k in range(2):
        for n in range(3):
            s = np.abs((layers[k][n] * weights[k]).sum(0).detach().double().numpy()).ravel()
            rows[k, n] = s.sum() if penalty == "l1" else s.sum() / np.sqrt(s.size) / np.linalg.norm(s)
    assert sparsity(target, layers, penalty).item() == pytest.approx(rows.mean(), rel=1e-5)
    heavy = sparsity(target, layers, penalty, torch.tensor([1.0, 0.0, 3.0])).item()
    assert heavy == pytest.approx((rows[:, 0].mean() + 3 * rows[:, 2].mean()) / 4, rel=1e-5)
    assert sparsity(target, layers, penalty, torch.zeros(3)).item() == 0
    assert sparsity(target.sum(), layers, penalty).item() == pytest.approx(rows.mean(), rel=1e-5), "a scalar"
    scaled = sparsity(1e-15 * target, layers, penalty).item()
    assert scaled == pytest.approx(rows.mean() * (1e-15 if penalty == "l1" else 1), rel=1e-4), "hoyer has no scale"
    with pytest.raises(ValueError, match="no layers"):
        sparsity(target, [], penalty)


def test_a_target_that_does_not_ask_a_layer_has_nothing_to_make_sparse() -> None:
    layer, other = torch.randn(2, 3, 4, 4, requires_grad=True), torch.randn(2, 3, 4, 4, requires_grad=True)
    for penalty in PENALTIES:
        value = sparsity(other.square().sum((1, 2, 3)) + 0 * layer.sum(), [layer], penalty)
        assert value.item() == 0
        value.backward()
    assert sensitivity(other.sum((1, 2, 3)), [layer])[0].eq(0).all()


def test_l1_is_at_least_the_logit_at_every_layer_whatever_its_size() -> None:
    """Euler: for a piecewise linear net without biases Σ D g = y. So one weight fits all layers."""
    torch.manual_seed(0)
    picture = torch.randn(4, 3, 16, 16, requires_grad=True)
    conv, last = nn.Conv2d(3, 8, 3, stride=2, bias=False), nn.Linear(8, 1, bias=False)
    feeds = torch.relu(conv(picture))
    logits = last(nn.functional.max_pool2d(feeds, 2).mean((2, 3)))[:, 0]
    for map_ in sensitivity(logits, [picture, feeds]):
        assert (map_.sum((1, 2)) >= logits.abs() - 1e-5).all()


def test_hoyers_sparsity() -> None:
    one = torch.zeros(1, 3, 3)
    one[0, 1, 2] = -5.0
    torch.testing.assert_close(hoyer(one), torch.ones(1))
    torch.testing.assert_close(hoyer(torch.full((2, 5, 4), 0.3)), torch.zeros(2), atol=1e-6, rtol=0)
    assert hoyer(torch.zeros(1, 3, 3)).isnan().all() and hoyer(torch.ones(2, 1)).isnan().all()
    values = np.random.default_rng(0).normal(size=(3, 6, 7))
    flat = values.reshape(3, 42)
    root = 42**0.5
    wanted = (root - np.abs(flat).sum(1) / np.linalg.norm(flat, axis=1)) / (root - 1)
    np.testing.assert_allclose(hoyer(torch.from_numpy(values)).numpy(), wanted, rtol=1e-12)
    np.testing.assert_allclose(hoyer(torch.from_numpy(values * 1e-30).float()).numpy(), wanted, rtol=1e-5)


def gradients(config: Any, value: Any = None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parts of the loss and all gradients of one training step from the same start; `value` gives another loss."""
    torch.manual_seed(0)
    model, batch = pair.build(config, ODIR, 64).train(), made_batch(size=64)
    parts = pair.loss(model, batch, config) if value is None else value(model, batch)
    parts["total"].backward()
    return parts, {name: one.grad for name, one in model.named_parameters() if one.grad is not None}


def test_nu_0_is_the_baseline_bit_for_bit() -> None:
    def baseline(model: nn.Module, batch: Any) -> dict[str, Tensor]:
        out: Output = model(batch)
        assert out.eye_logits is not None
        eye = binary_cross_entropy(out.eye_logits, batch.eye_labels, batch.eye_known)
        return {"total": eye + binary_cross_entropy(out.visit_logits, batch.labels, batch.known)}

    parts, found = gradients(SMALL)
    wanted, same = gradients(SMALL, baseline)
    assert set(parts) == {"eye", "visit", "total"}
    assert torch.equal(parts["total"], wanted["total"])
    assert found.keys() == same.keys() and all(torch.equal(found[name], same[name]) for name in found)
    with_it, other = gradients(replace(SMALL, sparsity=0.5))
    assert torch.equal(with_it["eye"], parts["eye"]) and torch.equal(with_it["visit"], parts["visit"])
    assert with_it["total"].item() == pytest.approx((parts["total"] + 0.5 * with_it["sparsity"]).item())
    assert any(not torch.equal(found[name], other[name]) for name in found)


def test_which_logit_is_differentiated() -> None:
    """Labels known to be present; else all known; an eye without known labels takes its visit's."""
    torch.manual_seed(0)
    config = replace(SMALL, sparsity=1.0, sparsity_layers="input")
    model: Any = pair.build(config, ODIR, 64).eval()
    batch = made_batch(3, size=64)
    seen, labels, known = batch.seen, torch.zeros(3, 2, 8), torch.ones(3, 2, 8, dtype=torch.bool)
    labels[0, 0, [1, 4]] = 1  # two present
    known[2, 0, 5:] = False  # none present, five known
    known[2, 1] = False  # the visit's: label 3 present
    visit, visit_known = torch.zeros(3, 8), torch.zeros(3, 8, dtype=torch.bool)
    visit[2, 3], visit_known[2, 3] = 1, True
    batch = replace(batch, eye_labels=labels, eye_known=known, labels=visit, known=visit_known)
    chosen = {(0, 0): [1, 4], (1, 1): list(range(8)), (2, 0): [0, 1, 2, 3, 4], (2, 1): [3]}
    assert {tuple(one) for one in seen.nonzero().tolist()} == set(chosen)
    for target in ("logit", "prob"):
        found = pair.loss(model, batch, replace(config, sparsity_target=target))["sparsity"]
        rows = []
        for (b, e), places in chosen.items():
            picture = ((batch.fundus[b, e] - model.trunk.mean) / model.trunk.std).requires_grad_()
            features = model.trunk.body.forward_features(picture)
            logits = model.evidence(features).mean((2, 3))[0]
            y = (logits if target == "logit" else torch.sigmoid(logits))[places].mean()
            (grad,) = torch.autograd.grad(y, picture)
            rows.append((picture * grad).sum(1).abs().sum().item())
        assert found.item() == pytest.approx(np.mean(rows), rel=1e-4)


@pytest.mark.parametrize(("trunk", "shapes"), [
    ("resnet18", [(3, 64), (64, 32), (64, 16), (128, 8), (256, 4)]),
    ("mobilenetv2_100", [(3, 64), (96, 32), (144, 16), (192, 8), (576, 4)]),
    ("vgg11", [(3, 64), (64, 64), (128, 32), (256, 16), (512, 8), (512, 4)]),
])  # fmt: skip
def test_what_feeds_the_down_sampling_operators(trunk: str, shapes: list[tuple[int, int]]) -> None:
    net, picture = make_trunk(trunk, "none", 64).eval(), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        plain = net(picture)
    with feeding(net, "all") as layers:
        features = net(picture)
    assert torch.equal(features, plain), "watching changes nothing"
    assert [(one.shape[1], one.shape[2]) for one in layers] == shapes
    for grad in torch.autograd.grad(features.sum(), layers):
        assert grad.abs().sum() > 0
    with feeding(net, "input") as alone:
        net(picture)
    assert [tuple(one.shape) for one in alone] == [(1, 3, 64, 64)]
    torch.testing.assert_close(alone[0], (picture - net.mean) / net.std)
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in net.modules())
    assert not net(picture)[0].isnan().any() and len(alone) == 1 and len(layers) == len(shapes)


def test_strides_make_an_operator_down_sampling() -> None:
    yes = [nn.Conv2d(3, 3, 3, stride=2), nn.MaxPool2d(2), nn.AvgPool2d(3, (1, 2))]
    no = [nn.Conv2d(3, 3, 3), nn.MaxPool2d(3, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]
    assert all(map(downsamples, yes)) and not any(map(downsamples, no))


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("penalty", PENALTIES)
def test_it_trains_under_fabric_and_makes_maps_sparser(precision: Any, penalty: Any) -> None:
    """Batch normalisation in training mode, channels last; the penalty alone, so that it must fall."""
    config = replace(SMALL, sparsity=1.0, sparsity_penalty=penalty, eye_weight=1e-6, visit_weight=0.0)
    torch.manual_seed(0)
    model = pair.build(config, ODIR, 64).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    batch = made_batch(4, size=64)
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    wrapped, optimizer = fabric.setup(model, torch.optim.AdamW(model.parameters(), lr=3e-3))
    found = []
    for _ in range(8):
        parts = pair.loss(wrapped, batch, config)
        optimizer.zero_grad()
        fabric.backward(parts["total"])
        optimizer.step()
        found.append(parts["sparsity"].item())
    assert all(one.grad is not None and torch.isfinite(one.grad).all() for one in model.parameters())
    assert np.isfinite(found).all() and found[-1] < 0.9 * found[0]


@pytest.mark.parametrize("more", [{"sparsity_penalty": "hoyer", "pooling": "lse"}, {"pooling": "mil"}])
def test_pair_keeps_the_contract_with_the_third_pass(more: dict[str, Any]) -> None:
    check_variant(pair, replace(SMALL, sparsity=0.3, **more), mean="lse" not in more.values())


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"sparsity_penalty": "hoyer"}, "--sparsity-penalty changes nothing beside --sparsity 0"),
        ({"sparsity_layers": "input"}, "--sparsity-layers changes nothing beside --sparsity 0"),
        ({"sparsity_target": "prob"}, "--sparsity-target changes nothing beside --sparsity 0"),
        ({"sparsity": -1.0}, "--sparsity must be a number from 0 on"),
    ],
)
def test_flags_that_change_nothing_or_mean_nothing_are_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Config(**values)
