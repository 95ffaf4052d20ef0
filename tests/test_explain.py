"""Explainers against someone else's numbers: grad-cam and captum on one eye's path through `pair`; then laws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import InputXGradient, IntegratedGradients, Occlusion, Saliency
from pytorch_grad_cam import AblationCAM, GradCAM, GradCAMPlusPlus, HiResCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from batches_made import made_batch
from eyeground.batches import Batch, Output
from eyeground.errors import UsageError
from eyeground.explain import explain
from eyeground.explain.hue import signed
from eyeground.explain.integrated_gradients import STEPS
from eyeground.explain.occlusion import mean_colour
from eyeground.methods import find_method
from eyeground.nets.eyes import per_eye
from eyeground.nets.trunk import make_trunk
from eyeground.vocabulary import ODIR

SIZE, LABEL = 64, 3


def made(method: str = "pair", **more: Any) -> nn.Module:
    found = find_method(method)
    torch.manual_seed(0)
    config = found.Config(**{"trunk": "test_resnet", "trunk_weights": "none", **more})
    network: nn.Module = found.build(config, ODIR, SIZE).eval()
    return network


class OneEye(nn.Module):
    """(n, 3, H, W) to eye logits (n, C): the part of `pair` that another tool can take."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.network._eye(pixels)[0]
        return logits


@pytest.fixture(scope="module")
def steep() -> nn.Module:
    """`pair` with a pooling whose gradients differ from place to place, and logits of some size."""
    network = made(pooling="lse")
    with torch.no_grad():
        network.evidence.weight.mul_(30)
        network.evidence.bias.add_(20)
    return network


@pytest.fixture(scope="module")
def batch() -> Batch:
    return made_batch(3, size=SIZE)


def unscaled(kind: Callable[..., Any], network: nn.Module, pixels: Tensor) -> Tensor:
    """A map of the grad-cam package before it stretches it, (n, h, w)."""
    targets = [ClassifierOutputTarget(LABEL)] * len(pixels)
    with kind(OneEye(network), [network.trunk]) as cam:
        cam(pixels, targets)
        found = cam.activations_and_grads
        slopes = found.gradients[0].numpy() if found.gradients else None
        acts = found.activations[0].detach().numpy()
        raw = cam.get_cam_image(pixels, network.trunk, targets, acts, slopes, False)
    return torch.from_numpy(np.maximum(raw, 0))


@pytest.mark.parametrize(
    ("name", "kind"), [("grad_cam", GradCAM), ("grad_cam_pp", GradCAMPlusPlus), ("hires_cam", HiResCAM)]
)
def test_cams_equal_the_grad_cam_package(name: str, kind: Any, steep: nn.Module, batch: Batch) -> None:
    ours = explain(name, steep, batch, [LABEL])[:, :, 0][batch.seen].relu()
    theirs = unscaled(kind, steep, batch.fundus[batch.seen])
    assert theirs.max() > 0 and theirs.std() > 0
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.max()))


def test_ablation_equals_the_grad_cam_package_times_the_logit(steep: nn.Module, batch: Batch) -> None:
    pixels = batch.fundus[batch.seen]
    logits = OneEye(steep)(pixels)[:, LABEL].detach()
    assert (logits > 0).all(), "the package divides by the logit, and turns maps over where it is negative"
    theirs = unscaled(AblationCAM, steep, pixels) * logits[:, None, None]
    ours = explain("ablation_cam", steep, batch, [LABEL])[:, :, 0][batch.seen]
    assert theirs.max() > 0
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.max()))


def test_gradients_equal_captum(steep: nn.Module, batch: Batch) -> None:
    pixels, eye = batch.fundus[batch.seen], OneEye(steep)
    plain = Saliency(eye).attribute(pixels.clone().requires_grad_(), target=LABEL).amax(1)
    ours = explain("sensitivity", steep, batch, [LABEL])[:, :, 0][batch.seen]
    torch.testing.assert_close(ours, plain, rtol=1e-3, atol=1e-4 * float(plain.max()))
    mean, std = steep.trunk.mean, steep.trunk.std
    normal = ((pixels - mean) / std).requires_grad_()
    times = InputXGradient(lambda taken: eye(taken * std + mean)).attribute(normal, target=LABEL).sum(1).abs().detach()
    omega = explain("hue", steep, batch, [LABEL])[:, :, 0][batch.seen]
    torch.testing.assert_close(omega, times, rtol=1e-3, atol=1e-4 * float(times.max()))


def test_integrated_gradients_equal_captum_and_are_complete(steep: nn.Module, batch: Batch) -> None:
    pixels, eye = batch.fundus[batch.seen], OneEye(steep)
    method = IntegratedGradients(eye)
    theirs = method.attribute(pixels, target=LABEL, n_steps=STEPS, method="gausslegendre").sum(1).float()
    ours = explain("integrated_gradients", steep, batch, [LABEL])[:, :, 0][batch.seen]
    torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-3 * float(theirs.abs().max()))
    with torch.no_grad():
        whole = (eye(pixels) - eye(torch.zeros_like(pixels)))[:, LABEL]
    torch.testing.assert_close(ours.sum((1, 2)), whole, rtol=0.05, atol=0.02 * float(whole.abs().max()))


def test_occlusion_equals_captum(steep: nn.Module, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eyeground.explain.occlusion.CELLS", 4)
    pixels = batch.fundus[batch.seen]
    colour = mean_colour(batch.fundus)[batch.seen][:, :, None, None].expand_as(pixels)
    theirs = Occlusion(OneEye(steep)).attribute(
        pixels, (3, SIZE // 2, SIZE // 2), (3, SIZE // 4, SIZE // 4), colour, target=LABEL
    )
    ours = explain("occlusion", steep, batch, [LABEL])[:, :, 0][batch.seen]
    wide = ours.repeat_interleave(SIZE // 4, 1).repeat_interleave(SIZE // 4, 2)
    torch.testing.assert_close(wide, theirs[:, 0].float(), rtol=1e-3, atol=1e-4 * float(theirs.abs().max()))


def test_cam_of_pair_is_its_evidence_and_hires_cam_without_the_bias(batch: Batch) -> None:
    network = made()
    labels = [0, LABEL]
    evidence = explain("evidence", network, batch, labels)
    cam = explain("cam", network, batch, labels)
    torch.testing.assert_close(cam, evidence, atol=1e-4, rtol=1e-4, equal_nan=True)
    area = evidence.shape[-1] * evidence.shape[-2]
    bias = network.evidence.bias.detach()[labels][:, None, None]
    hires = explain("hires_cam", network, batch, labels)
    torch.testing.assert_close(hires * area + bias, evidence, atol=1e-4, rtol=1e-4, equal_nan=True)


@pytest.mark.parametrize(("method", "more"), [("dcnet", {"fusion": "concat"}), ("pair", {"fusion": "mean"})])
def test_cams_of_a_visit_add_up_to_its_logit(method: str, more: dict[str, Any], batch: Batch) -> None:
    network = made(method, **more)
    cam = explain("cam", network, batch, target="visit")
    logits = network(batch).visit_logits.detach()
    torch.testing.assert_close(cam.mean((3, 4)).nan_to_num().sum(1), logits, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("more", "target", "said"),
    [
        ({"pooling": "gmp"}, "eye", "weighs or pools places"),
        ({"fusion": "max"}, "visit", "not linear"),
        ({"fusion": "noisy_or"}, "visit", "not linear"),
        ({"fusion": "product"}, "visit", "not linear"),
    ],
)
def test_cam_refuses_what_is_not_linear(more: dict[str, Any], target: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        explain("cam", made(**more), made_batch(4, size=SIZE), target=target)


class Double(nn.Module):
    """A trunk and a head that keep double precision."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.trunk = make_trunk("test_resnet", "none", SIZE)
        self.head = nn.Linear(self.trunk.channels, 4)

    def forward(self, batch: Batch) -> Output:
        eyes = per_eye(lambda pixels: self.head(self.trunk(pixels).mean((2, 3))).tanh(), batch.fundus, batch.seen)
        return Output(eyes.sum(1), eyes)


def test_hue_tells_how_far_a_rescaled_pixel_moves_the_logit(batch: Batch) -> None:
    network = Double().double().eval()
    batch = replace(batch, fundus=batch.fundus.double())
    omega = signed(network, batch, [LABEL], "eye")[2, 1, 0]
    torch.testing.assert_close(explain("hue", network, batch, [LABEL])[2, 1, 0], omega.abs().float())
    mean, step = network.trunk.mean[0, :, 0, 0], 1e-5
    strongest = omega.abs().flatten().topk(5).indices
    for place in [(int(i) // SIZE, int(i) % SIZE) for i in strongest]:
        at = (2, 1, slice(None), *place)
        moved = batch.fundus.clone()
        moved[at] = mean + (1 + step) * (moved[at] - mean)
        with torch.no_grad():
            change = network(replace(batch, fundus=moved)).eye_logits - network(batch).eye_logits
        assert float(change[2, 1, LABEL]) == pytest.approx(float(omega[place]) * step, rel=1e-3)


def test_hue_takes_a_methods_own_centre(batch: Batch) -> None:
    method = find_method("shallow_cnn")
    built = method.build(method.Config(head="gap"), ODIR, SIZE).eval()
    slope = torch.autograd.functional.jacobian(
        lambda x: built(replace(batch, fundus=x)).eye_logits[2, 0, LABEL], batch.fundus
    )[2, 0]
    expected = ((batch.fundus[2, 0] - 0.5) * slope).sum(0).abs()
    torch.testing.assert_close(explain("hue", built, batch, [LABEL])[2, 0, 0], expected, rtol=1e-3, atol=1e-5)


class Meddling(nn.Module):
    """Eye logits that depend on the fellow eye as well."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 4, 5, stride=4), nn.ReLU())

    def forward(self, batch: Batch) -> Output:
        pooled = self.trunk(batch.fundus.flatten(0, 1)).mean((2, 3)).unflatten(0, (-1, 2))  # (B, 2, 4)
        eyes = pooled * (1 + pooled.flip(1))
        return Output(eyes.sum(1), eyes)


def test_an_eyes_map_leaves_out_what_it_did_to_the_other_eyes_score() -> None:
    torch.manual_seed(0)
    network, whole = Meddling().eval(), made_batch(2, size=32, labels=4)
    ours = explain("sensitivity", network, whole, [1])
    for e in range(2):
        pixels = whole.fundus.clone().requires_grad_()
        (slope,) = torch.autograd.grad(network(replace(whole, fundus=pixels)).eye_logits[:, e, 1].sum(), pixels)
        torch.testing.assert_close(ours[:, e, 0], slope[:, e].abs().amax(1))


def test_it_works_where_no_gradients_are_kept_and_leaves_frozen_weights_frozen(batch: Batch) -> None:
    network = made()
    expected = {name: explain(name, network, batch, [LABEL]) for name in ("cam", "grad_cam", "hue")}
    network.requires_grad_(False)
    with torch.inference_mode():
        inside = replace(batch, fundus=batch.fundus.clone(), seen=batch.seen.clone())
        for name, maps in expected.items():
            torch.testing.assert_close(explain(name, network, inside, [LABEL]).clone(), maps, equal_nan=True)
    assert not any(p.requires_grad for p in network.parameters())


def test_refusals_tell_the_way(batch: Batch) -> None:
    network = made()
    for labels in ([], [8], [-1]):
        with pytest.raises(UsageError, match="from 0 to 7"):
            explain("cam", network, batch, labels)
    with pytest.raises(UsageError, match=r"network.eval\(\)"):
        explain("cam", made().train(), batch)
    with pytest.raises(UsageError, match="use target 'eye'"):
        explain("evidence", network, batch, target="visit")
    with pytest.raises(UsageError, match="no score of a single eye"):
        explain("grad_cam", made("dcnet"), batch, target="eye")
    wide = made("dual_efficientnet")
    odd = next(side for side in (48, 24, 40) if wide.trunk(torch.zeros(1, 3, side, 2 * side)).shape[3] % 2)
    with pytest.raises(UsageError, match="can't be halved"):
        explain("grad_cam", wide, made_batch(2, size=odd))
