"""What deep image mining's published recipe asked of the shared one; none of it changes a run that does not ask."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from batches_made import made_batch
from eyeground.augment import Augmentation, apply, draw
from eyeground.errors import UsageError
from eyeground.images.enhance import background
from eyeground.methods.image_mining import RECIPE
from eyeground.runs.optimise import Optimisation, make_optimizer
from eyeground.runs.recipe import Recipe

STILL = Augmentation(0, 0, 0, 0, 0, 0, laterality="keep")


def drawn(settings: Augmentation, visits: int = 6) -> Any:
    return draw(visits, settings, torch.Generator().manual_seed(0))


def test_the_rate_falls_at_the_published_epochs() -> None:
    recipe, steps = Recipe(**RECIPE), 2500
    rates = [recipe.lr_at(step, steps, recipe.epochs) for step in (0, 1499, 1500, 2199, 2200, 2499)]
    assert rates == pytest.approx([0.003, 0.003, 0.0003, 0.0003, 0.00003, 0.00003])
    assert recipe.lr_at(15, 20, 2) == recipe.lr, "a shorter run never comes to epoch 150"


def test_nesterov_looks_ahead() -> None:
    weights = []
    for nesterov in (False, True):
        model = nn.Linear(1, 1, bias=False)
        nn.init.ones_(model.weight)
        optimizer = make_optimizer(
            model, Optimisation(optimizer="sgd", lr=0.1, momentum=0.5, weight_decay=0, nesterov=nesterov)
        )
        for _ in range(2):
            model.weight.grad = torch.ones(1, 1)
            optimizer.step()
        weights.append(model.weight.item())
    # v = 1, then 1.5; plain steps lr·v, Nesterov lr·(g + m·v): 1.5, then 1.75
    assert weights == pytest.approx([1 - 0.1 * 2.5, 1 - 0.1 * 3.25])


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"nesterov": True}, "--nesterov changes nothing beside --optimizer adamw"),
        ({"optimizer": "sgd", "momentum": 0.0, "nesterov": True}, "looks ahead by the momentum"),
        ({"drop_epochs": (3,)}, "--drop-epochs changes nothing beside --schedule one_cycle"),
        ({"schedule": "drops"}, "give some"),
        ({"stretch": True, "zoom": 0.0}, "--zoom is 0"),
        ({"outside": 1.5}, r"--outside is a level in \[0, 1\]"),
        ({"channel_contrast": -1.0}, "--channel-contrast must be a number from 0 on"),
    ],
)
def test_values_that_cant_be_are_refused(values: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        Recipe(**values)


def test_old_draws_stay_what_they_were_whatever_is_asked_for_besides() -> None:
    plain = drawn(Augmentation())
    more = drawn(Augmentation(stretch=True, channel_contrast=0.5, colour_noise=0.5, outside=0.5))
    for name in ("mirrored", "angle", "zoom", "shift", "brightness", "contrast", "saturation"):
        assert torch.equal(getattr(plain, name), getattr(more, name)), name
    assert (plain.stretch == 1).all() and (plain.channels == 1).all() and not plain.noise.any()


def test_stretch_scales_height_and_width_apart() -> None:
    some = drawn(replace(STILL, zoom=0.15, stretch=True), 4000)
    for factor in (some.zoom, some.zoom * some.stretch):
        assert 0.85 <= factor.min() < 0.86 and 1.14 < factor.max() <= 1.15
    batch = made_batch(1, size=64)
    batch.fundus[:] = 0
    batch.fundus[0, 0, :, 24:40, 24:40] = 1
    still = drawn(STILL, 1)
    tall = apply(batch, replace(still, stretch=still.stretch * 2)).fundus[0, 0, 0]
    assert tall[:, 32].sum() == pytest.approx(32, abs=1.1), "twice as high"
    assert tall[32].sum() == pytest.approx(16, abs=1.1), "as wide as before"


def test_what_comes_from_outside_has_the_level_asked_for() -> None:
    batch = made_batch(1, size=64)
    batch.fundus[:] = 0.5
    turned = replace(drawn(replace(STILL, outside=0.5), 1), angle=torch.full((1, 2), 0.6))
    torch.testing.assert_close(apply(batch, turned).fundus, batch.fundus)
    assert apply(batch, replace(turned, outside=turned.outside * 0)).fundus.min() == 0


def test_channels_keep_their_means_and_change_their_contrast() -> None:
    factors = drawn(replace(STILL, channel_contrast=0.5), 4000).channels
    assert 1 / 1.5 <= factors.min() < 0.67 and 1.49 < factors.max() <= 1.5
    assert abs(factors.log().mean()) < 0.01, "as often up as down"
    batch = made_batch(1, size=64)
    batch.fundus.mul_(0.4).add_(0.3)
    still = drawn(STILL, 1)
    out = apply(batch, replace(still, channels=torch.tensor([0.5, 1.0, 1.2]).expand(1, 2, 3))).fundus[0, 0]
    before = batch.fundus[0, 0]
    torch.testing.assert_close(out.mean((1, 2)), before.mean((1, 2)), atol=1e-4, rtol=0)
    torch.testing.assert_close(out.std((1, 2)), before.std((1, 2)) * torch.tensor([0.5, 1.0, 1.2]), atol=1e-4, rtol=0)


def test_colour_noise_has_the_covariance_of_the_photographs_colours() -> None:
    torch.manual_seed(0)
    mixing = torch.tensor([[0.05, 0, 0], [0.03, 0.02, 0], [0.01, -0.01, 0.01]])
    picture = torch.einsum("cd,dhw->chw", mixing, torch.randn(3, 16, 16)) + 0.5
    wanted = torch.cov(picture.flatten(1), correction=0)
    batch = made_batch(2000, size=16)
    batch.fundus[:] = picture
    batch.seen[:] = torch.tensor([True, False])
    out = apply(batch, drawn(replace(STILL, colour_noise=0.5), 2000)).fundus[:, 0]
    shift = (out - picture).mean((2, 3))
    torch.testing.assert_close(out - picture, shift[..., None, None].expand_as(out), atol=1e-3, rtol=0)
    found = torch.cov(shift.T)
    torch.testing.assert_close(found, 0.25 * wanted, atol=0.1 * 0.25 * wanted.max().item(), rtol=0)


def test_background_takes_shading_away_and_leaves_spots() -> None:
    size, (y, x) = 224, np.mgrid[:224, :224]
    inside = np.hypot(y - 111.5, x - 111.5) < 111
    shaded = (80 + 0.4 * x)[..., None] * np.array([1.0, 0.6, 0.3])
    plain = np.where(inside[..., None], shaded, 0)
    spotted = plain.copy()
    spotted[100:106, 100:106] -= 30
    clean, found = (background(one.round().astype(np.uint8)).astype(float) for one in (plain, spotted.clip(0)))
    heart = np.hypot(y - 111.5, x - 111.5) < 60
    assert plain[heart].std(0).max() > 10
    assert clean[heart].std(0).max() < 3, "shading is gone"
    assert (found - clean)[100:106, 100:106].max() < -24, "the spot is not"
    rim = np.hypot(y - 111.5, x - 111.5) > 0.97 * 111
    assert (clean[rim] == 128).all(), "the rim is trimmed, and not the frame twice"
    kept = np.abs(clean - 128).max(2) > 0
    assert kept[size // 2, 8:12].any()
    dark = plain.copy()
    dark[60:64, 60:64] = 0
    around = background(dark.round().astype(np.uint8)).astype(float)
    assert np.abs(around - clean)[70:90, 70:90].max() < 4, "a dark spot inside is no edge of the field"
