"""Poolings: each against a plain loop, its limits, and what it promises of its map."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.special import logsumexp, softmax
from torch import Tensor

from batches_made import made_batch
from eyeground.errors import UsageError
from eyeground.methods import pair
from eyeground.nets.pooling import POOLINGS, Pooling, PoolingOptions
from eyeground.nets.pooling.lse import log_mean_exp
from eyeground.settings import fill, plain
from eyeground.vocabulary import ODIR
from variants_checked import check_variant

N, C, K, H, W = 3, 4, 5, 3, 4
OPTIONS = PoolingOptions(channels=K, labels=C, gamma=2.5, part=0.3)
Config: Any = pair.Config


def made(name: str, options: PoolingOptions = OPTIONS) -> tuple[Pooling, Tensor, Tensor]:
    """A pooling with random weights, evidence and features."""
    torch.manual_seed(1)
    pooling = POOLINGS[name](options)
    with torch.no_grad():
        for one in pooling.parameters():
            one.normal_()
    return pooling, torch.randn(N, C, H, W) * 2 - 3, torch.randn(N, K, H, W)


def by_loop(name: str, pooling: Any, e: np.ndarray, f: np.ndarray) -> float:
    """The logit of one label from its evidence (h, w), with features (K, h, w), of the pooling's label 2."""
    values = list(e.ravel())
    if name == "gap":
        return sum(values) / len(values)
    if name == "gmp":
        return max(values)
    if name == "lse":
        return float(logsumexp(2.5 * e) - math.log(e.size)) / 2.5
    if name == "topk":
        return sum(sorted(values, reverse=True)[:4]) / 4  # 0.3 of 12 is 3.6
    weights = {key: value.double().numpy() for key, value in pooling.state_dict().items()}
    raw = []
    for i in range(H):
        for j in range(W):
            at = f[:, i, j]
            if name == "cwp":
                raw.append(
                    np.log1p(np.exp(weights["confidence.weight"][0, :, 0, 0] @ at + weights["confidence.bias"][0]))
                )
            else:
                value = np.tanh(weights["value.weight"][:, :, 0, 0] @ at + weights["value.bias"])
                gate = 1 / (1 + np.exp(-(weights["gate.weight"][:, :, 0, 0] @ at + weights["gate.bias"])))
                raw.append(weights["question.weight"][2, :, 0, 0] @ (value * gate))
    share = np.array(raw) / sum(raw) if name == "cwp" else softmax(raw)
    return float(share @ e.ravel())


@pytest.mark.parametrize("name", POOLINGS)
def test_each_pooling_is_its_equation(name: str) -> None:
    pooling, evidence, features = made(name)
    logits, maps = pooling(evidence, features)
    assert logits.shape == (N, C) and maps.shape == evidence.shape
    for n in range(N):
        wanted = by_loop(name, pooling, evidence[n, 2].double().numpy(), features[n].double().numpy())
        assert logits[n, 2].item() == pytest.approx(wanted, abs=2e-4)


@pytest.mark.parametrize("name", POOLINGS)
def test_the_map_keeps_the_poolings_promise(name: str) -> None:
    pooling, evidence, features = made(name)
    logits, maps = pooling(evidence, features)
    if pooling.exact:
        torch.testing.assert_close(maps.mean((2, 3)), logits, atol=1e-5, rtol=1e-5)
    else:
        assert torch.equal(maps, evidence)
        assert not torch.allclose(maps.mean((2, 3)), logits, atol=1e-2), "no other sentence would be needed"
        torch.testing.assert_close(pooling(maps, features * 0)[0], logits, msg="the logit is a function of the map")
    assert ("its mean is the eye's logit" in pooling.promise) == pooling.exact


@pytest.mark.parametrize("name", POOLINGS)
def test_places_have_no_order_and_rows_no_neighbours(name: str) -> None:
    pooling, evidence, features = made(name)
    logits, maps = pooling(evidence, features)
    order = torch.randperm(H * W)

    def moved(values: Tensor) -> Tensor:
        return values.flatten(2)[:, :, order].view_as(values)

    again, moved_maps = pooling(moved(evidence), moved(features))
    torch.testing.assert_close(again, logits)
    torch.testing.assert_close(moved_maps, moved(maps), atol=1e-4, rtol=1e-4)
    for n in range(N):
        torch.testing.assert_close(pooling(evidence[n : n + 1], features[n : n + 1])[0][0], logits[n])


@pytest.mark.parametrize("name", POOLINGS)
def test_a_constant_goes_through(name: str) -> None:
    pooling, evidence, features = made(name)
    logits, maps = pooling(evidence, features)
    shifted, shifted_maps = pooling(evidence + 4, features)
    torch.testing.assert_close(shifted, logits + 4, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(shifted_maps, maps + 4, atol=1e-4, rtol=1e-4)
    flat, _ = pooling(torch.full_like(evidence, -3.25), features)
    torch.testing.assert_close(flat, torch.full_like(flat, -3.25), msg="an even map gives its value")


def logits_of(name: str, evidence: Tensor, **options: Any) -> Tensor:
    found: Tensor = made(name, replace(OPTIONS, **options))[0](evidence, torch.zeros(N, K, H, W))[0]
    return found


def test_limits() -> None:
    evidence = made("gap")[1]
    mean, top = logits_of("gap", evidence), logits_of("gmp", evidence)
    torch.testing.assert_close(logits_of("lse", evidence, gamma=1e-6), mean, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(logits_of("lse", evidence, gamma=1e5), top, atol=1e-4, rtol=1e-4)
    between = [logits_of("lse", evidence, gamma=gamma) for gamma in (0.1, 1.0, 5.0, 20.0)]
    assert all((a < b).all() for a, b in zip([mean, *between], [*between, top], strict=True)), "γ goes up, z goes up"
    torch.testing.assert_close(logits_of("topk", evidence, part=1.0), mean)
    assert torch.equal(logits_of("topk", evidence, part=1 / (H * W)), top)
    assert torch.equal(logits_of("topk", evidence, part=1e-9), top), "at least one element"
    fresh = {name: POOLINGS[name](OPTIONS)(evidence, torch.randn(N, K, H, W)) for name in ("cwp", "mil")}
    for logits, maps in fresh.values():
        torch.testing.assert_close(logits, mean, msg="training starts from the mean")
        torch.testing.assert_close(maps, evidence)


def test_log_mean_exp_is_stable_and_its_gradient_is_softmax() -> None:
    wide = torch.randn(2, 3, 4, 4, dtype=torch.float64) * 300
    for gamma in (1e-8, 1e-3, 1.0, 80.0):
        wanted = (logsumexp(gamma * wide.flatten(2).numpy(), axis=2) - math.log(16)) / gamma
        if gamma > 1e-4:  # below, the plain formula itself has no digits left
            np.testing.assert_allclose(log_mean_exp(wide, gamma).numpy(), wanted, rtol=1e-9, atol=1e-15)
        found = log_mean_exp(wide.float(), gamma)
        np.testing.assert_allclose(found.numpy(), log_mean_exp(wide, gamma).numpy(), rtol=1e-4, atol=1e-3)
    values = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    log_mean_exp(values, torch.tensor([0.5, 7.0], dtype=torch.float64)).sum().backward()
    assert values.grad is not None
    for label, gamma in enumerate((0.5, 7.0)):
        wanted = softmax(gamma * values.detach().numpy()[0, label])
        np.testing.assert_allclose(values.grad[0, label].numpy(), wanted, rtol=1e-9, atol=1e-15)


def test_a_learned_gamma_starts_as_given_and_is_each_labels_own() -> None:
    pooling = POOLINGS["lse"](replace(OPTIONS, learned=True))
    evidence, features = made("gap")[1:]
    torch.testing.assert_close(pooling(evidence, features)[0], logits_of("lse", evidence))
    (gamma,) = pooling.parameters()
    assert gamma.shape == (C,)
    pooling(evidence, features)[0][:, 1].sum().backward()
    assert gamma.grad is not None and (gamma.grad != 0).tolist() == [False, True, False, False]


def test_elements_without_weight_stay_cold_in_a_map_of_contributions() -> None:
    """A label far below 0 everywhere: what is not looked at must not look hotter than what is looked at most."""
    pooling, _, features = made("mil")
    evidence = torch.full((N, C, H, W), -6.0)
    evidence[:, :, 1, 2] = -2.0
    weights = torch.full((N, C, H, W), 0.1 / 11)
    weights[:, :, 1, 2] = 0.9
    pooling.weights = lambda features: weights  # type: ignore[assignment, operator]
    logits, maps = pooling(evidence, features)
    torch.testing.assert_close(logits, torch.full((N, C), 0.9 * -2 + 0.1 * -6))
    assert (maps.flatten(2).argmax(2) == 1 * W + 2).all()
    assert (maps[:, :, 0, 0] < -5).all()


SMALL = Config("test_resnet", "none", dropout=0.0)


@pytest.mark.parametrize("name", POOLINGS)
def test_pair_keeps_the_contract_with_every_pooling(name: Any) -> None:
    config = replace(SMALL, pooling=name)
    check_variant(pair, config, mean=POOLINGS[name].exact)
    assert pair.maps(config).startswith(POOLINGS[name].promise)


def test_pair_keeps_the_contract_with_a_learned_gamma_and_features_fused() -> None:
    check_variant(pair, replace(SMALL, pooling="lse", pooling_learned=True, fusion="gated"), mean=False)


@pytest.mark.parametrize("name", POOLINGS)
def test_pair_learns_with_every_pooling_and_its_weights_come_back(name: Any, tmp_path: Path) -> None:
    config = replace(SMALL, pooling=name)
    torch.manual_seed(0)
    model, batch = pair.build(config, ODIR, 64).train(), made_batch(8, size=64)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(120):
        value = pair.loss(model, batch, config)["total"]
        losses.append(value.item())
        if losses[-1] < 0.25 * losses[0]:
            break
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert losses[-1] < 0.25 * losses[0]
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, str(tmp_path / "w.safetensors"))
    other = pair.build(config, ODIR, 64).eval()
    other.load_state_dict(load_file(str(tmp_path / "w.safetensors")))
    with torch.no_grad():
        assert torch.equal(other(batch).visit_logits, model.eval()(batch).visit_logits)


@pytest.mark.parametrize("name", POOLINGS)
def test_training_starts_from_the_prevalence(name: Any) -> None:
    config = replace(SMALL, pooling=name)
    model = pair.build(config, ODIR, 64).eval()
    labels = torch.zeros(100, 8)
    labels[:20, 1] = 1
    pair.start(model, config, labels, torch.ones(100, 8, dtype=torch.bool))
    batch = made_batch(size=64)
    with torch.no_grad():
        found = torch.sigmoid(model(batch).eye_logits[batch.seen])
    torch.testing.assert_close(found[:, 1], torch.full_like(found[:, 1], 21 / 102), atol=0.01, rtol=0)
    torch.testing.assert_close(found[:, 2], torch.full_like(found[:, 2], 1 / 102), atol=0.01, rtol=0)


def test_bundles_of_before_still_load() -> None:
    old = {key: value for key, value in plain(SMALL).items() if not key.startswith(("pooling", "sparsity"))}
    assert fill(Config, old, "config.toml") == SMALL
    names = pair.build(SMALL, ODIR, 64).state_dict()
    assert {name for name in names if not name.startswith("trunk.body.")} == {
        "trunk.mean",
        "trunk.std",
        "evidence.weight",
        "evidence.bias",
        "pos_weight",
    }


def test_pair_offers_every_pooling() -> None:
    assert get_args(get_type_hints(Config)["pooling"]) == tuple(POOLINGS)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"pooling_gamma": 2.0}, "--pooling-gamma changes nothing beside --pooling gap"),
        ({"pooling": "topk", "pooling_learned": True}, "--pooling-learned changes nothing beside --pooling topk"),
        ({"pooling": "lse", "pooling_part": 0.5}, "--pooling-part changes nothing beside --pooling lse"),
        ({"pooling": "lse", "pooling_gamma": 0.0}, "--pooling-gamma must be a positive number"),
        ({"pooling": "topk", "pooling_part": 1.5}, "--pooling-part must be in"),
    ],
)
def test_flags_that_change_nothing_or_mean_nothing_are_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Config(**values)
