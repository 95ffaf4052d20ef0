"""Augmentation: what was drawn is what is done, and a mirrored left eye is a right eye."""

from __future__ import annotations

import pytest
import torch

from batches_made import made_batch
from eyeground.augment import Augmentation, apply, canonical, draw, mirror

STILL = Augmentation(0, 0, 0, 0, 0, 0, laterality="keep")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_nothing_drawn_is_the_identity() -> None:
    batch = made_batch()
    out = apply(batch, draw(len(batch), STILL, generator()))
    torch.testing.assert_close(out.fundus, batch.fundus, atol=1e-5, rtol=0)
    assert torch.equal(out.eye_labels, batch.eye_labels)


def test_mirroring_twice_is_the_identity_and_once_swaps_eyes_with_their_labels() -> None:
    batch = made_batch()
    which = torch.tensor([True, False, True, True, False, True])
    once = mirror(batch, which)
    assert torch.equal(once.fundus[2, 0], batch.fundus[2, 1].flip(-1))
    assert torch.equal(once.eye_labels[3, 1], batch.eye_labels[3, 0])
    assert torch.equal(once.seen[0], batch.seen[0].flip(0)), "a missing right eye becomes a missing left eye"
    assert torch.equal(once.labels, batch.labels), "what the patient has does not depend on the mirror"
    assert torch.equal(once.fundus[1], batch.fundus[1])
    twice = mirror(once, which)
    assert torch.equal(twice.fundus, batch.fundus)
    assert torch.equal(twice.eye_known, batch.eye_known)


def test_swap_mirrors_about_half_of_the_visits_and_canonical_none_at_random() -> None:
    coin = draw(4000, Augmentation(), generator()).mirrored.float().mean()
    assert 0.46 < coin < 0.54
    assert not draw(100, Augmentation(laterality="canonical"), generator()).mirrored.any()


def test_canonical_puts_every_disc_on_one_side() -> None:
    batch = made_batch()
    out = canonical(batch, "canonical")
    assert torch.equal(out.fundus[:, 0], batch.fundus[:, 0])
    assert torch.equal(out.fundus[:, 1], batch.fundus[:, 1].flip(-1))
    assert canonical(batch, "keep") is batch


def test_the_same_draws_do_the_same_and_eyes_that_are_not_there_stay_black() -> None:
    batch = made_batch()
    draws = draw(len(batch), Augmentation(), generator(3))
    one, two = apply(batch, draws), apply(batch, draws)
    assert torch.equal(one.fundus, two.fundus)
    assert one.fundus[~one.seen].abs().sum() == 0
    again = draw(len(batch), Augmentation(), generator(3))
    assert torch.equal(draws.angle, again.angle)
    assert one.fundus.min() >= 0
    assert one.fundus.max() <= 1


@pytest.mark.parametrize("visits", [1, 3])
def test_batch_equals_one_by_one(visits: int) -> None:
    batch = made_batch(3)
    draws = draw(3, Augmentation(), generator(1))
    whole = apply(batch, draws)
    alone = made_batch(3)
    for i in range(visits):
        one = type(batch)(
            **{
                name: getattr(alone, name)[i : i + 1]
                for name in ("fundus", "seen", "labels", "known", "eye_labels", "eye_known", "ids")
            }
        )
        mine = type(draws)(**{name: value[i : i + 1] for name, value in vars(draws).items()})
        torch.testing.assert_close(apply(one, mine).fundus[0], whole.fundus[i])


def test_a_quarter_turn_moves_a_corner_where_it_should() -> None:
    batch = made_batch(1, size=64)
    batch.fundus.zero_()
    batch.fundus[0, 0, :, 4:8, 4:8] = 1  # upper left
    draws = draw(1, STILL, generator())
    turned = apply(batch, type(draws)(**{**vars(draws), "angle": torch.full((1, 2), torch.pi / 2)}))
    spot = turned.fundus[0, 0, 0].argmax()
    row, column = divmod(int(spot), 64)
    assert (row < 16) != (column < 16), "a quarter turn takes a corner to a neighbouring corner"


def test_shrinking_does_not_alias() -> None:
    batch = made_batch(1, size=64)
    batch.fundus[0, 0] = (torch.arange(64) % 2).float().expand(3, 64, 64)  # stripes of one pixel
    out = apply(batch, draw(1, STILL, generator()), size=32)
    assert out.fundus.shape[-1] == 32
    assert out.fundus[0, 0, 0, 8:24, 8:24].std() < 0.1, "stripes become grey, not stripes"
