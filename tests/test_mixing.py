"""Mixed visits: what was drawn is what is done, labels are the union, and what is unknown stays so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from batches_made import made_batch
from eyeground.batches import Batch
from eyeground.mixing import Mix, Mixing, draw_mix, mixed

EVERY = torch.tensor([True] + [False] * 7)
N, D, G, C = range(4)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def whole_batch(*visits: tuple[set[int], set[int]], seen: Any = None) -> Batch:
    """Visits by the labels of their left and right eye, everything known; what an unseen eye would have is not told."""
    here = torch.ones(len(visits), 2, dtype=torch.bool) if seen is None else torch.tensor(seen)
    eyes = torch.zeros(len(visits), 2, 8)
    for row, pair in enumerate(visits):
        for side, present in enumerate(pair):
            eyes[row, side, list(present)] = 1
    labels = torch.where(here[..., None], eyes, 0).amax(1)
    labels[:, N] = torch.where(here, eyes[:, :, N], 1).amin(1)
    batch = made_batch(len(visits))
    eyes = eyes * here[..., None]
    told = here[..., None].expand(-1, -1, 8)
    return replace(batch, seen=here, labels=labels, known=labels > -1, eye_labels=eyes, eye_known=told)


def pair_mix(lam: float = 0.3, centre: Tensor | None = None) -> Mix:
    """Visits 0 and 1 exchange."""
    return Mix(torch.tensor([1, 0]), torch.full((2,), lam), centre)


def told(values: Tensor, known: Tensor) -> list[int | None]:
    return [int(v) if k else None for v, k in zip(values, known, strict=True)]


def test_nothing_is_drawn_or_done_without_mixing() -> None:
    before = generator()
    assert draw_mix(5, Mixing(), before) is None
    assert torch.equal(torch.rand(3, generator=before), torch.rand(3, generator=generator())), "nothing was drawn"
    batch = made_batch()
    assert mixed(batch, None, EVERY) is batch


def test_draws_are_of_the_generator_and_of_the_share() -> None:
    settings = Mixing(mix="cutmix", mix_share=0.3)
    one, two = draw_mix(4000, settings, generator()), draw_mix(4000, settings, generator())
    assert one is not None and two is not None and one.centre is not None and two.centre is not None
    assert torch.equal(one.partner, two.partner) and torch.equal(one.lam, two.lam)
    assert torch.equal(one.centre, two.centre)
    assert (one.partner != torch.arange(4000)).float().mean() == pytest.approx(0.3, abs=0.03)
    assert one.lam.mean() == pytest.approx(0.5, abs=0.03)
    variance = 0.4 * 0.4 / (0.8**2 * 1.8)
    assert one.lam.var() == pytest.approx(variance, abs=0.01), "Beta(0.4, 0.4)"


def test_mixup_is_the_weighted_mean_of_both_eyes() -> None:
    batch = whole_batch(({D}, {N}), ({G}, {C}))
    out = mixed(batch, pair_mix(0.3), EVERY)
    torch.testing.assert_close(out.fundus, 0.3 * batch.fundus + 0.7 * batch.fundus.flip(0))
    same = mixed(batch, Mix(torch.tensor([0, 1]), torch.tensor([0.3, 0.6])), EVERY)
    assert torch.equal(same.fundus, batch.fundus), "its own partner: nothing changes"
    assert torch.equal(same.labels, batch.labels)


def test_cutmix_pastes_a_box_of_the_partners_share() -> None:
    batch = whole_batch(({D}, {N}), ({G}, {C}))
    out = mixed(batch, pair_mix(0.75, torch.full((2, 2), 0.5)), EVERY)
    side = batch.fundus.shape[-1]
    inside = slice(side // 4, 3 * side // 4)  # a quarter of the picture, in its middle
    expected = batch.fundus.clone()
    expected[..., inside, inside] = batch.fundus.flip(0)[..., inside, inside]
    assert torch.equal(out.fundus, expected)
    corner = mixed(batch, pair_mix(0.75, torch.tensor([[0.0, 1.0]] * 2)), EVERY).fundus
    changed = (corner != batch.fundus).any((0, 1, 2))
    assert changed[3 * side // 4 :, : side // 4].all(), "x to the left, y to the bottom"
    assert changed.float().mean() == pytest.approx(1 / 16)


def test_labels_are_the_union_without_normal() -> None:
    out = mixed(whole_batch(({D}, {N}), ({N}, {N})), pair_mix(), EVERY)
    for row in range(2):
        assert out.eye_labels[row].nonzero().tolist() == [[0, D], [1, N]]
        assert out.labels[row].nonzero().flatten().tolist() == [D]
    out = mixed(whole_batch(({D}, {N}), ({G, C}, {D})), pair_mix(), EVERY)
    assert out.eye_labels[0].nonzero().tolist() == [[0, D], [0, G], [0, C], [1, D]]
    assert out.labels[0].nonzero().flatten().tolist() == [D, G, C]
    out = mixed(whole_batch(({N}, {N}), ({N}, {N})), pair_mix(), EVERY)
    assert out.labels[:, N].tolist() == [1, 1], "two normal visits make a normal one"


@pytest.mark.parametrize("seed", range(5))
def test_with_everything_known_a_visit_follows_from_its_eyes(seed: int) -> None:
    sets = []
    drawn = torch.rand(12, 2, 3, generator=generator(seed)) < 0.3
    for pair in drawn:
        sets.append(tuple({int(label) + 1 for label in eye.nonzero()} or {N} for eye in pair))
    seen = (torch.rand(12, 2, generator=generator(seed + 100)) < 0.8).tolist()
    seen = [pair if any(pair) else [True, False] for pair in seen]
    batch = whole_batch(*sets, seen=seen)  # type: ignore[arg-type]
    out = mixed(batch, draw_mix(12, Mixing(mix="mixup", mix_share=1.0), generator(seed)), EVERY)
    here = out.seen[..., None]
    present = torch.where(here, out.eye_labels, 0).amax(1)
    present[:, N] = torch.where(out.seen, out.eye_labels[:, :, N], 1).amin(1)
    assert out.known.all()
    assert torch.equal(out.labels, present)


def test_unknown_stays_unknown_unless_the_other_settles_it() -> None:
    batch = whole_batch(({D}, {D}), ({G}, {G}))
    hidden = torch.tensor([N, D, G, C])
    known, eye_known = batch.known.clone(), batch.eye_known.clone()
    known[0, hidden] = False
    eye_known[0, :, hidden] = False
    batch = replace(batch, known=known, eye_known=eye_known, labels=batch.labels * known)
    out = mixed(batch, pair_mix(), EVERY)
    for row in range(2):
        assert told(out.labels[row], out.known[row])[:5] == [0, None, 1, None, 0]
        assert told(out.eye_labels[row, 0], out.eye_known[row, 0])[:5] == [0, None, 1, None, 0]
    assert (out.labels[~out.known] == 0).all()


def test_normal_is_unknown_where_one_is_normal_and_the_other_not_told() -> None:
    batch = whole_batch(({N}, {N}), ({N}, {N}))
    nothing = torch.ones(2, 8, dtype=torch.bool)
    nothing[1] = False
    batch = replace(batch, known=nothing, eye_known=nothing[:, None].expand(-1, 2, -1), labels=batch.labels * nothing)
    out = mixed(batch, pair_mix(), EVERY)
    assert not out.known.any(), "nothing is told of the other, so no absence and no Normal is"


def test_an_eye_that_only_one_visit_has_is_left_alone_and_brings_nothing() -> None:
    batch = whole_batch(({D}, {C}), ({G}, set()), seen=[[True, True], [True, False]])
    out = mixed(batch, pair_mix(), EVERY)
    assert torch.equal(out.fundus[0, 1], batch.fundus[0, 1])
    assert torch.equal(out.seen, batch.seen)
    assert out.eye_labels[0].nonzero().tolist() == [[0, D], [0, G], [1, C]]
    assert told(out.labels[0], out.known[0]) == [0, 1, 1, 1, 0, 0, 0, 0]
    assert told(out.labels[1], out.known[1]) == [0, 1, 1, 0, 0, 0, 0, 0], "C is in the eye that visit 1 does not have"
    apart = whole_batch(({D}, set()), (set(), {G}), seen=[[True, False], [False, True]])
    alone = mixed(apart, pair_mix(), EVERY)
    assert torch.equal(alone.fundus, apart.fundus) and torch.equal(alone.labels, apart.labels)


def test_weights_are_mixed_like_the_pictures() -> None:
    batch = replace(whole_batch(({D}, {N}), ({G}, {C})), weight=torch.tensor([1.0, 3.0]))
    out = mixed(batch, pair_mix(0.25), EVERY)
    assert out.weight is not None
    torch.testing.assert_close(out.weight, torch.tensor([0.25 + 2.25, 0.75 + 0.75]))


def test_training_mixes_after_augmentation() -> None:
    from eyeground.augment import apply, draw
    from eyeground.runs.recipe import Recipe
    from eyeground.runs.train import prepare_batch

    batch, recipe = made_batch(), Recipe(mix="mixup", mix_share=1.0)
    out = prepare_batch(batch, recipe, generator(), 48, EVERY)
    same = generator()
    first = apply(batch, draw(len(batch), recipe, same), 48)
    expected = mixed(first, draw_mix(len(batch), recipe, same), EVERY)
    assert torch.equal(out.fundus, expected.fundus)
    assert torch.equal(out.labels, expected.labels)
    assert not torch.equal(out.fundus, first.fundus)
