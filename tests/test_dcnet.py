"""DCNet: its correlation module against a loop, its laws, its loss, its maps, its sizes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from batches_made import made_batch
from eyeground.errors import UsageError
from eyeground.methods.dcnet import Config, DCNet, SpatialCorrelation, build, loss, maps
from eyeground.vocabulary import ODIR

SIZE = 64
FUSIONS = ("scm", "sum", "product", "concat")


def small(**changes: Any) -> Config:
    return Config("test_resnet", "none", **changes)


def made_model(**changes: Any) -> DCNet:
    torch.manual_seed(0)
    return build(small(**changes), ODIR, SIZE).eval()


def at(layer: Any, maps: torch.Tensor, place: int) -> Any:
    """A 1×1 convolution at one place of a map (K, h, w), written out."""
    return layer.weight[:, :, 0, 0] @ maps.flatten(1)[:, place] + layer.bias


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("scaled", [True, False])
def test_the_module_equals_a_loop_over_places(shared: bool, residual: bool, scaled: bool) -> None:
    torch.manual_seed(1)
    scm: Any = SpatialCorrelation(6, small(scm_width=4, scm_shared=shared, residual=residual, scaled=scaled))
    assert len(scm.directions) == (1 if shared else 2)
    eyes = torch.randn(1, 2, 6, 2, 3)
    got = scm(eyes)
    for e in (0, 1):
        net, mine, other = scm.directions[e if not shared else 0], eyes[0, e], eyes[0, 1 - e]
        for i in range(6):
            query = at(net.query, mine, i)
            products = [
                float((query @ at(net.key, other, j)).detach()) / (math.sqrt(4) if scaled else 1) for j in range(6)
            ]
            total = sum(math.exp(p) for p in products)
            gathered = torch.stack([math.exp(products[j]) / total * at(net.value, other, j) for j in range(6)]).sum(0)
            wanted = net.out.weight[:, :, 0, 0] @ gathered + net.out.bias
            wanted = wanted + mine.flatten(1)[:, i] if residual else wanted
            torch.testing.assert_close(got[0, e].flatten(1)[:, i], wanted, atol=1e-5, rtol=1e-4)


def test_an_exchange_of_eyes_exchanges_the_maps() -> None:
    eyes = torch.randn(2, 2, 6, 3, 3)
    scm: Any = SpatialCorrelation(6, small())
    torch.testing.assert_close(scm(eyes.flip(1)), scm(eyes).flip(1))
    apart = SpatialCorrelation(6, small(scm_shared=False))
    assert not torch.allclose(apart(eyes.flip(1)), apart(eyes).flip(1))


def test_attention_rows_sum_to_one_and_without_w_nothing_changes() -> None:
    eyes = torch.randn(2, 2, 6, 3, 3)
    scm: Any = SpatialCorrelation(6, small())
    rows = scm.directions[0].attention(eyes[:, 0], eyes[:, 1])
    assert rows.shape == (2, 9, 9)
    torch.testing.assert_close(rows.sum(-1), torch.ones(2, 9))
    nn.init.zeros_(scm.directions[0].out.weight)
    nn.init.zeros_(scm.directions[0].out.bias)
    assert torch.equal(scm(eyes), eyes)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_visit_is_the_dense_layer_on_the_pooled_maps(fusion: Any) -> None:
    model, batch = made_model(fusion=fusion), made_batch(size=SIZE)
    batch.fundus, batch.seen = batch.fundus[2:], batch.seen[2:]  # both eyes
    found = torch.stack([model.trunk(batch.fundus[:, e]) for e in (0, 1)], 1)
    found = model.scm(found) if model.scm is not None else found
    left, right = found.mean((3, 4)).unbind(1)
    pooled = {"sum": left + right, "product": left * right}.get(fusion, torch.cat([left, right], 1))
    torch.testing.assert_close(model(batch).visit_logits, model.head(pooled), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_maps_of_the_seen_eyes_add_up_to_the_visit(fusion: Any) -> None:
    model, batch = made_model(fusion=fusion), made_batch(size=SIZE)
    nn.init.normal_(model.head.bias)
    out = model(batch)
    assert out.eye_logits is None
    if fusion == "product":
        assert out.evidence is None
        assert "no exact map" in maps(small(fusion=fusion))
        return
    assert out.evidence is not None
    means = out.evidence.mean((3, 4))
    assert torch.equal(torch.isnan(means).all(-1), ~batch.seen)
    torch.testing.assert_close(means.nan_to_num().sum(1), out.visit_logits, atol=1e-5, rtol=1e-4)
    said = maps(small(fusion=fusion))
    assert "together explain the visit's score exactly" in said
    assert ("found there in the other eye" in said) == (fusion == "scm")


@pytest.mark.parametrize("fusion", FUSIONS)
def test_it_learns_where_an_eye_is_missing(fusion: Any) -> None:
    model = made_model(fusion=fusion).train()
    loss(model, made_batch(size=SIZE), small(fusion=fusion))["total"].backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_a_visit_with_one_eye_answers_as_with_that_eye_twice() -> None:
    model, batch = made_model(), made_batch(size=SIZE)
    twice = replace(batch, fundus=batch.fundus[:, :1].repeat(1, 2, 1, 1, 1), seen=torch.ones_like(batch.seen))
    torch.testing.assert_close(model(batch).visit_logits[0], model(twice).visit_logits[0], atol=1e-5, rtol=1e-4)


def test_the_loss_is_the_soft_margin_loss_over_known_labels() -> None:
    model, batch = made_model(), made_batch(size=SIZE)
    logits = model(batch).visit_logits
    whole = replace(batch, known=torch.ones_like(batch.known))
    torch.testing.assert_close(
        loss(model, whole, small())["total"], F.multilabel_soft_margin_loss(logits, batch.labels)
    )
    assert not batch.known[2, :3].any()
    of_visits = []
    for row in range(len(batch)):
        here = batch.known[row]
        of_visits.append(F.multilabel_soft_margin_loss(logits[row, here], batch.labels[row, here]))
    each = torch.stack(of_visits)
    torch.testing.assert_close(loss(model, batch, small())["visit"], each.mean())
    weight = torch.tensor([0.0, 1.0, 2.0, 0.5, 1.0, 3.0])
    weighed = loss(model, replace(batch, weight=weight), small())["visit"]
    torch.testing.assert_close(weighed, (each * weight).sum() / weight.sum())
    nothing = replace(batch, known=torch.zeros_like(batch.known))
    assert loss(model, nothing, small())["total"] == 0


@pytest.mark.parametrize(
    ("changes", "millions"),
    [
        ({}, 50.93),
        ({"scm_shared": False}, 59.32),
        ({"scm_width": 2048}, 59.32),
        ({"scm_width": 2048, "scm_shared": False}, 76.10),
        ({"fusion": "sum"}, 42.52),
    ],
)
def test_the_numbers_of_parameters(changes: Any, millions: float) -> None:
    with torch.device("meta"):
        model = build(Config(trunk_weights="none", **changes), ODIR, 448)
    assert sum(one.numel() for one in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.005)


def test_a_bad_width_is_refused() -> None:
    with pytest.raises(UsageError, match="--scm-width"):
        small(scm_width=-1)
