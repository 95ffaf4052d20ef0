"""The ODIR benchmark: its fusions, exact maps of the sum, class weights, and the zoo of trunks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from batches_made import made_batch
from eyeground.errors import UsageError
from eyeground.methods.odir_benchmark import RECIPE, BenchmarkNet, Config, build, loss, maps, start, swap
from eyeground.nets.trunk import make_trunk
from eyeground.runs.recipe import Recipe
from eyeground.settings import fill
from eyeground.vocabulary import ODIR

SIZE = 64
FUSIONS = ("sum", "product", "concat")


def model_of(**values: Any) -> tuple[BenchmarkNet, Config]:
    torch.manual_seed(0)
    config = Config("test_resnet", "none", **values)
    return build(config, ODIR, SIZE).eval(), config


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_logits_are_a_linear_layer_on_the_plain_operator(fusion: str) -> None:
    model, _ = model_of(fusion=fusion)
    batch = made_batch(size=SIZE)
    pooled = torch.stack([model.trunk(eye).mean((2, 3)) for eye in batch.fundus.unbind(1)], dim=1)
    for row in range(2, 6):
        left, right = pooled[row]
        fused = {"sum": left + right, "product": left * right, "concat": torch.cat([left, right])}[fusion]
        expected = model.head.weight @ fused + model.head.bias
        torch.testing.assert_close(model(batch).visit_logits[row], expected, atol=1e-5, rtol=1e-4)


def test_the_maps_of_the_sum_explain_eyes_and_visit_exactly() -> None:
    model, config = model_of()
    batch = made_batch(size=SIZE)
    out = model(batch)
    assert out.evidence is not None
    assert out.eye_logits is not None
    torch.testing.assert_close(out.evidence.mean((3, 4)), out.eye_logits, equal_nan=True)
    torch.testing.assert_close(out.eye_logits.nanmean(1), out.visit_logits, atol=1e-5, rtol=1e-4)
    for eye in range(2):
        alone = replace(batch, seen=batch.seen & (torch.arange(2) == eye))
        rows = alone.seen.any(1)
        torch.testing.assert_close(model(alone).visit_logits[rows], out.eye_logits[rows, eye], atol=1e-5, rtol=1e-4)
    assert "exactly" in maps(config)


@pytest.mark.parametrize("fusion", ["product", "concat"])
def test_other_fusions_have_no_maps_and_say_why(fusion: str) -> None:
    model, config = model_of(fusion=fusion)
    out = model(made_batch(size=SIZE))
    assert out.evidence is None
    assert out.eye_logits is None
    assert len(maps(config)) > 40


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_learns_with_all_its_weights(fusion: str) -> None:
    model, config = model_of(fusion=fusion)
    batch = made_batch(size=SIZE)
    loss(model.train(), batch, config)["total"].backward()
    assert all(one.grad is not None and torch.isfinite(one.grad).all() for one in model.parameters())
    swapped = replace(batch, fundus=batch.fundus.flip(1), seen=batch.seen.flip(1))
    same = torch.allclose(model.eval()(swapped).visit_logits, model(batch).visit_logits, atol=1e-5, rtol=1e-4)
    assert same == (swap(config) == "same")


def test_class_weights_count_the_training_labels() -> None:
    labels = torch.zeros(100, 8)
    labels[:20, 1] = 1
    labels[:90, 2] = 1
    known = torch.ones(100, 8, dtype=torch.bool)
    known[50:, 3] = False
    model, config = model_of(loss="weighted", most=30.0)
    start(model, config, labels, known)
    assert model.pos_weight[1].item() == pytest.approx(81 / 21)
    assert model.pos_weight[2].item() == pytest.approx(11 / 91)
    assert model.pos_weight[3].item() == pytest.approx(30.0), "51 / 1 is limited"
    plain, bce = model_of()
    start(plain, bce, labels, known)
    assert torch.equal(plain.pos_weight, torch.ones(8))
    batch = made_batch(size=SIZE)
    logits = model(batch).visit_logits
    p = torch.sigmoid(logits)
    cells = -(model.pos_weight * batch.labels * p.log() + (1 - batch.labels) * (1 - p).log())
    torch.testing.assert_close(loss(model, batch, config)["total"], cells[batch.known].mean())
    with pytest.raises(UsageError, match="no labels to count"):
        start(model, config, labels, torch.zeros_like(known))
    assert fill(Recipe, RECIPE, "odir_benchmark").eye_labels == "visit", "what start counts are visits' labels"


@pytest.mark.parametrize("most", [0.5, float("nan")])
def test_a_limit_below_one_is_refused(most: float) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        Config(most=most)


@pytest.mark.parametrize(("name", "channels"), [("vgg16", 512), ("inception_v4", 1536), ("densenet121", 1024)])
def test_the_zoo_gives_feature_maps(name: str, channels: int) -> None:
    with torch.device("meta"):
        trunk = make_trunk(name, "none", 256)
        found = trunk(torch.empty(2, 3, 256, 256))
    assert found.shape[:2] == (2, channels)
    assert min(found.shape[2:]) > 1
