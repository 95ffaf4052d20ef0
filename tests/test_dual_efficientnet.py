"""What is special to `dual_efficientnet`: two equalised views, pairs of eyes as one picture, averaged probabilities."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from batches_made import made_batch
from eyeground.errors import UsageError
from eyeground.methods.dual_efficientnet import Config, build, loss, maps, mean_probability, side_by_side
from eyeground.nets.equalise import COLOURS, grey
from eyeground.nets.eyes import stand_in
from eyeground.vocabulary import ODIR

SIZE = 64
TINY = Config("test_resnet", "none", dropout=0.0)
VARIANTS: list[dict[str, Any]] = [
    {"pairing": pairing, "views": views, "fuse": fuse}
    for pairing in ("side_by_side", "per_eye")
    for views, fuse in (("both", "feature"), ("both", "probability"), ("colour", "feature"), ("grey", "feature"))
]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda one: "-".join(one.values()))
def test_every_variant_answers_learns_and_leaves_unseen_eyes_alone(variant: dict[str, Any]) -> None:
    config = replace(TINY, **variant)
    model = build(config, ODIR, SIZE)
    batch = made_batch(size=SIZE)
    parts = loss(model, batch, config)
    parts["total"].backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters()), "all weights learn"
    model.eval()
    out = model(batch)
    wild = batch.fundus.clone()
    wild[~batch.seen] = 1e6
    assert torch.equal(model(replace(batch, fundus=wild)).visit_logits, out.visit_logits)
    assert ("no maps" in maps(config)) == (out.evidence is None)


def test_left_and_right_stand_side_by_side_and_a_missing_half_is_black() -> None:
    batch = made_batch(size=SIZE)
    wide = side_by_side(batch.fundus, batch.seen)
    assert wide.shape == (6, 3, SIZE, 2 * SIZE)
    assert torch.equal(wide[3, ..., :SIZE], batch.fundus[3, 0])
    assert torch.equal(wide[3, ..., SIZE:], batch.fundus[3, 1])
    assert wide[0, ..., SIZE:].abs().max() == 0
    assert wide[1, ..., :SIZE].abs().max() == 0


@pytest.mark.parametrize("equalise", COLOURS)
def test_the_logit_is_linear_in_the_pooled_features_of_both_views(equalise: Any) -> None:
    model = build(replace(TINY, equalise=equalise), ODIR, SIZE).eval()
    batch = made_batch(size=SIZE)
    wide = side_by_side(batch.fundus, batch.seen)
    assert model.trunk is not None and model.trunk_grey is not None
    pooled = [model.trunk(COLOURS[equalise](wide)).mean((2, 3)), model.trunk_grey(grey(wide)).mean((2, 3))]
    head: Any = model.heads[0]
    wanted = torch.cat(pooled, 1) @ head.weight[:, :, 0, 0].T + head.bias
    torch.testing.assert_close(model(batch).visit_logits, wanted, atol=1e-5, rtol=1e-4)


def test_the_maps_of_both_eyes_add_up_to_the_visit() -> None:
    batch = made_batch(size=SIZE)
    out = build(TINY, ODIR, SIZE).eval()(batch)
    assert out.evidence.shape == (6, 2, 8, 2, 2)
    assert torch.equal(torch.isnan(out.evidence).flatten(2).all(-1), ~batch.seen)
    both = batch.seen.all(1)
    torch.testing.assert_close(out.evidence[both].mean((1, 3, 4)), out.visit_logits[both])
    assert build(TINY, ODIR, 72).eval()(made_batch(size=72)).evidence is None, "a map of 3 x 5 can't be halved"


def test_probabilities_are_averaged() -> None:
    config = replace(TINY, fuse="probability")
    model = build(config, ODIR, SIZE).eval()
    batch = made_batch(size=SIZE)
    views = model._views(side_by_side(batch.fundus, batch.seen))
    each = [torch.sigmoid(head(view).mean((2, 3))) for head, view in zip(model.heads, views, strict=True)]
    torch.testing.assert_close(torch.sigmoid(model(batch).visit_logits), (each[0] + each[1]) / 2)
    far = torch.tensor([200.0, -200.0, 3.0])
    torch.testing.assert_close(mean_probability(far, far), far)


def test_by_eye_the_fellow_stands_in() -> None:
    config = replace(TINY, pairing="per_eye")
    model = build(config, ODIR, SIZE).eval()
    batch = made_batch(size=SIZE)
    doubled = replace(batch, fundus=stand_in(batch.fundus, batch.seen), seen=torch.ones_like(batch.seen))
    torch.testing.assert_close(model(batch).visit_logits, model(doubled).visit_logits, atol=1e-5, rtol=1e-4)


def test_a_trunk_for_squares_is_refused_side_by_side_only() -> None:
    config = replace(TINY, trunk="test_vit")
    with pytest.raises(UsageError, match=r"'test_vit' takes square pictures only; use --pairing per_eye, or .*resnet"):
        build(config, ODIR, SIZE)
    model = build(replace(config, pairing="per_eye"), ODIR, SIZE).eval()
    assert torch.isfinite(model(made_batch(size=SIZE)).visit_logits).all()


def test_bad_configurations_are_refused() -> None:
    with pytest.raises(UsageError, match="--fuse probability needs two views; use --views both, not grey"):
        Config(fuse="probability", views="grey")
    with pytest.raises(UsageError, match="--dropout"):
        Config(dropout=1.0)


def test_two_trunks_of_efficientnet_b3() -> None:
    with torch.device("meta"):
        model = build(Config(trunk_weights="none"), ODIR, 448)
    assert sum(p.numel() for p in model.parameters()) == 2 * 10_696_232 + 2 * 1536 * 8 + 8
