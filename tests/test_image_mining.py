"""Deep image mining: its nets to the table, growth by name, the third pass, and what a pixel's rescaling does."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from torchvision.models import alexnet

from batches_made import made_batch
from eyeground.errors import UsageError
from eyeground.losses.sparsity import sensitivity
from eyeground.methods import image_mining
from eyeground.methods.image_mining import Config, build, loss
from eyeground.nets.maxout_head import MaxoutHead, maxout, rms_pool
from eyeground.nets.mining_trunk import MiningTrunk, last_layer, sizes
from eyeground.runs.inherit import start_trunk
from eyeground.vocabulary import ODIR, Vocabulary
from variants_checked import check_variant

ONE = Vocabulary.multilabel("dr", ["referable_dr"])
TABLE = {
    "a": [(32, 224), (32, 224), (64, 56), (64, 56), (64, 56), *[(128, 27)] * 3, *[(256, 13)] * 3, *[(512, 6)] * 2],
    "b": [
        *[(32, 224), (32, 225), (64, 56), (64, 57), (64, 56)],
        *[(128, 28), (128, 27), (128, 28), (256, 14), (256, 13), (256, 14), (512, 5)],
    ],
}
"""Units and side after every convolution at 448 px."""
POOLS = {"a": [111, 27, 13, 6], "b": [112, 27, 13, 6]}


def tiny(**more: Any) -> Config:
    return Config(**{"width": 4, "dense_units": 32, "dropout": 0.0, **more})


@pytest.mark.parametrize("net", ["a", "b"])
def test_every_map_has_the_size_of_the_table(net: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[tuple[int, int]] = []
    pooled: list[int] = []
    real = F.max_pool2d

    def told(*given: Any, **more: Any) -> torch.Tensor:
        out: torch.Tensor = real(*given, **more)
        pooled.append(out.shape[-1])
        return out

    monkeypatch.setattr(F, "max_pool2d", told)
    with torch.device("meta"):
        model = build(Config(net=net), ONE, 448)
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(lambda *given: found.append(tuple(given[2].shape[1:3])))
    maps = model.trunk(torch.zeros(1, 3, 448, 448, device="meta"))
    last = rms_pool(maps, 3, 3 if net == "a" else 2)
    assert found == TABLE[net]
    assert pooled == POOLS[net]
    assert last.flatten(1).shape == (1, 2048)
    assert isinstance(model.head, MaxoutHead)
    assert [tuple(one.weight.shape) for one in (model.head.first, model.head.second, model.head.last)] == [
        (1024, 2048),
        (1024, 512),
        (1, 512),
    ]
    sides = sizes(net, 448, 18)
    assert [sides[number] for number in (4, 8, 12, 16)] == POOLS[net]
    assert sides[19] == 2


@pytest.mark.parametrize(
    ("net", "untied", "millions"), [("a", False, 8.15), ("b", False, 8.18), ("a", True, 12.40), ("b", True, 12.47)]
)
def test_parameters_are_those_of_the_table(net: Any, untied: bool, millions: float) -> None:
    with torch.device("meta"):
        model = build(Config(net=net, untied_bias=untied), ONE, 448)
    assert round(sum(one.numel() for one in model.parameters()) / 1e6, 2) == millions


def test_pool_and_maxout_are_their_equations() -> None:
    values = torch.randn(2, 3, 7, 7)
    pooled = rms_pool(values, 3, 2)
    for n, k, i, j in ((0, 0, 0, 0), (1, 2, 2, 1), (0, 1, 1, 2)):
        window = values[n, k, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        torch.testing.assert_close(pooled[n, k, i, j], ((window**2).sum() / 9 + 1e-12).sqrt())
    assert rms_pool(torch.zeros(1, 1, 3, 3), 3, 3).item() == pytest.approx(1e-6)
    assert maxout(torch.tensor([[1.0, 2.0, 5.0, -3.0, 0.0, 0.5]])).tolist() == [[2.0, 5.0, 0.5]]


@pytest.mark.parametrize(("net", "untied"), [("a", False), ("a", True), ("b", True)])
def test_the_network_is_its_layers(net: Any, untied: bool) -> None:
    torch.manual_seed(0)
    model = build(tiny(net=net, untied_bias=untied, last_layer=15), ONE, 224).eval()
    state, batch = model.state_dict(), made_batch(2, size=224, labels=1)
    paddings = {2: 1, 3: 2, 5: 1, 6: 2, 7: 1, 9: 2, 10: 1, 11: 2, 13: 2, 14: 1, 15: 2}
    with torch.no_grad():
        maps = (batch.fundus[:, 0] - 128 / 255) / 0.035
        for number in range(2, 16):
            if number in (4, 8, 12):
                maps = maps.unfold(2, 3, 2).unfold(3, 3, 2).amax((4, 5))
                continue
            weight, stride = state[f"trunk.conv{number}.weight"], 2 if number in (2, 5) else 1
            assert weight.shape[2:] == ((4, 4) if net == "b" else (5, 5) if number in (2, 5) else (3, 3))
            maps = F.conv2d(maps, weight, None, stride, paddings[number] if net == "b" else weight.shape[-1] // 2)
            bias = state[f"trunk.untied{number}.bias" if untied else f"trunk.conv{number}.bias"]
            maps = maps + (bias.view(maps.shape[1:]) if untied else bias.view(-1, 1, 1))
            maps = torch.where(maps > 0, maps, 0.01 * maps)
        step = 3 if net == "a" else 2
        values = (maps.unfold(2, 3, step).unfold(3, 3, step).square().mean((4, 5)) + 1e-12).sqrt().flatten(1)
        for name in ("first", "second"):
            values = values @ state[f"head.{name}.weight"].T + state[f"head.{name}.bias"]
            values = torch.where(values > 0, values, 0.01 * values)
            values = torch.maximum(values[:, ::2], values[:, 1::2])
        wanted = values @ state["head.last.weight"].T + state["head.last.bias"]
        torch.testing.assert_close(model(batch).eye_logits[:, 0], wanted, atol=1e-4, rtol=1e-4)


def test_weights_are_drawn_as_published() -> None:
    trunk = MiningTrunk("a", 448, 18, width=8)
    for layer in trunk.children():
        assert isinstance(layer, nn.Conv2d) and layer.bias is not None
        rows = layer.weight.flatten(1)
        product = rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows
        torch.testing.assert_close(product, torch.eye(len(product)), atol=1e-5, rtol=0)
        assert (layer.bias == 0.05).all()


def test_alexnet_is_torchvisions() -> None:
    torch.manual_seed(0)
    ours = build(Config(net="alexnet", dropout=0.0, pixels="raw"), ONE, 224).eval()
    theirs = alexnet(num_classes=1).eval()
    assert sum(one.numel() for one in ours.parameters()) == sum(one.numel() for one in theirs.parameters())
    mine = [one for one in ours.modules() if isinstance(one, nn.Conv2d | nn.Linear)]
    other = [one for one in theirs.modules() if isinstance(one, nn.Conv2d | nn.Linear)]
    for from_, to in zip(mine, other, strict=True):
        to.load_state_dict(from_.state_dict())
    batch = made_batch(1, size=224, labels=1)
    mean, std = torch.tensor([108.6, 75.9, 54.3]) / 255, torch.tensor([70.5, 51.7, 43.0]) / 255
    with torch.no_grad():
        wanted = theirs((batch.fundus[:, 0] - mean.view(3, 1, 1)) / std.view(3, 1, 1))
        torch.testing.assert_close(ours(batch).eye_logits[:, 0], wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "config",
    [tiny(net="b", untied_bias=True), tiny(net="alexnet"), tiny(nu=0.1), tiny(nu=0.1, sparsity_penalty="hoyer")],
)
def test_variants_keep_the_contract(config: Config) -> None:
    assert check_variant(image_mining, config).evidence is None


def bundle_of(model: nn.Module, folder: Path) -> Any:
    """What `start_trunk` reads of a bundle."""
    folder.mkdir(exist_ok=True)
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, str(folder / "w.safetensors"))
    config = {"method": {"name": "image_mining"}}
    return SimpleNamespace(weights=folder / "w.safetensors", folder=folder, config=config)


def test_a_stage_has_the_published_layers() -> None:
    assert [last_layer(size) for size in (64, 112, 128, 160, 224, 256, 448, 512)] == [11, 11, 11, 15, 15, 15, 18, 18]


@pytest.mark.parametrize("untied", [False, True])
def test_a_net_grows_from_112_to_224_to_448_px(untied: bool, tmp_path: Path) -> None:
    models = []
    for seed, size in enumerate((112, 224, 448)):
        torch.manual_seed(seed)
        models.append(build(tiny(untied_bias=untied), ONE, size))
    for smaller, larger, last in ((models[0], models[1], 11), (models[1], models[2], 15)):
        before = copy.deepcopy(larger.state_dict())
        start_trunk(larger, bundle_of(smaller, tmp_path))
        theirs, after = smaller.state_dict(), larger.state_dict()
        for key, value in after.items():
            number = int("".join(one for one in key if one.isdigit()) or 0)
            shared = "conv" in key and number <= last
            assert torch.equal(value, theirs[key] if shared or "mean" in key or "std" in key else before[key]), key
        assert any("conv" in key and key not in theirs for key in after)


def test_a_net_that_does_not_fit_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    bundle = bundle_of(build(tiny(), ONE, 224), tmp_path)
    for config, size in ((tiny(net="b"), 448), (tiny(width=5), 448), (tiny(), 112), (tiny(net="alexnet"), 112)):
        model = build(config, ONE, size)
        before = copy.deepcopy(model.state_dict())
        with pytest.raises(
            UsageError, match=r"does not fit this one .*a net grows from one with the same first layers"
        ):
            start_trunk(model, bundle)
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    for net in ("a", "alexnet"):  # its filters know pictures of --enhance background, not raw ones
        with pytest.raises(UsageError, match="see --pixels"):
            start_trunk(
                build(tiny(net=net, pixels="raw"), ONE, 224), bundle_of(build(tiny(net=net), ONE, 224), tmp_path)
            )
    half: Any = SimpleNamespace(**vars(bundle))
    save_file(
        {"trunk.conv2.weight": build(tiny(), ONE, 224).state_dict()["trunk.conv2.weight"]}, str(tmp_path / "half")
    )
    half.weights = tmp_path / "half"
    with pytest.raises(UsageError, match="does not fit"):
        start_trunk(build(tiny(), ONE, 224), half)


@pytest.mark.parametrize("net", ["a", "b", "alexnet"])
def test_a_picture_of_which_nothing_would_be_left_is_refused(net: Any) -> None:
    with pytest.raises(UsageError, match="raise --size"):
        build(tiny(net=net), ONE, 32)
    with pytest.raises(UsageError, match="leave --start-size out"):
        build(tiny(net=net), ONE, 64)(made_batch(size=96))


@pytest.mark.parametrize(
    ("values", "flag"),
    [
        ({"last_layer": 12}, "--last-layer must be 0 or one of 11, 15, 18"),
        ({"sparsity_penalty": "hoyer"}, "--sparsity-penalty changes nothing beside --nu 0"),
        ({"net": "alexnet", "untied_bias": True}, "--untied-bias changes nothing beside --net alexnet"),
        ({"dense_units": 7}, "an even number"),
        ({"nu": -1.0}, "--nu must be"),
    ],
)
def test_flags_that_cant_be_are_refused(values: dict[str, Any], flag: str) -> None:
    with pytest.raises(UsageError, match=flag):
        Config(**values)
    with pytest.raises(UsageError, match="layer 2 feeds no stride or pool; take some of 1 3 4 7 11"):
        build(tiny(nu=1.0, sparsity_layers=(1, 2)), ODIR, 112)


def test_layers_that_feed_a_stride_or_pool_are_watched() -> None:
    assert build(tiny(), ONE, 448).trunk.feeding == (1, 3, 4, 7, 11, 15, 18)
    assert build(tiny(net="b"), ONE, 448).trunk.feeding == (1, 3, 4, 7, 11, 15, 17)
    assert build(tiny(), ONE, 112).trunk.feeding == (1, 3, 4, 7, 11)
    assert build(tiny(net="alexnet"), ONE, 224).trunk.feeding == (1, 2, 3, 6)


def test_without_weight_the_third_pass_is_not_there_and_with_it_nothing_is_left_behind() -> None:
    torch.manual_seed(0)
    batch = made_batch(4, size=64)
    model = build(tiny(), ODIR, 64)
    plain = loss(model, batch, tiny())
    sparse = loss(model, batch, tiny(nu=1e-3))
    assert set(plain) == {"eye", "total"}
    assert torch.equal(plain["total"], sparse["eye"]), "the forward pass is the same to the bit"
    torch.testing.assert_close(sparse["total"], sparse["eye"] + 1e-3 * sparse["sparsity"])
    assert model.trunk.watched == {} and not model.trunk.watching
    copy.deepcopy(model)


@pytest.mark.parametrize("penalty", ["l1", "hoyer"])
@pytest.mark.parametrize("target", ["logit", "prob"])
def test_the_third_pass_by_finite_differences(penalty: Any, target: Any) -> None:
    torch.manual_seed(0)
    config = tiny(nu=0.5, sparsity_penalty=penalty, sparsity_target=target)
    model, batch = build(config, ODIR, 64).double(), made_batch(3, size=64)
    batch.fundus, batch.labels = batch.fundus.double(), batch.labels.double()
    loss_of = lambda: loss(model, batch, config)["sparsity"]  # noqa: E731
    for name in ("trunk.conv2.weight", "trunk.conv7.weight", "head.first.weight"):
        weight = model.get_parameter(name)
        along = torch.randn_like(weight)
        model.zero_grad()
        (slope,) = torch.autograd.grad(loss_of(), weight)
        wanted, step = (slope * along).sum().item(), 1e-7
        with torch.no_grad():
            weight.add_(step * along)
        above = loss_of().item()
        with torch.no_grad():
            weight.sub_(2 * step * along)
        below = loss_of().item()
        with torch.no_grad():
            weight.add_(step * along)
        assert (above - below) / (2 * step) == pytest.approx(wanted, rel=1e-3, abs=1e-6), name
        assert abs(wanted) > 1e-6


def test_training_with_the_third_pass_makes_the_sensitivity_sparser() -> None:
    batch, found = made_batch(8, size=64), []
    for nu in (0.0, 1.0):
        torch.manual_seed(0)
        config = tiny() if nu == 0 else tiny(nu=nu, sparsity_penalty="hoyer", sparsity_layers=(1,))
        model = build(config, ODIR, 64)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(12):
            optimizer.zero_grad()
            loss(model, batch, config)["total"].backward()
            optimizer.step()
        judged = tiny(nu=1.0, sparsity_penalty="hoyer", sparsity_layers=(1,))
        found.append(loss(model, batch, judged)["sparsity"].item())
    assert found[1] < found[0] - 0.02, found


@pytest.mark.parametrize("net", ["a", "b"])
def test_a_rescaled_pixel_moves_the_score_by_its_sensitivity(net: Any) -> None:
    torch.manual_seed(0)
    model = build(tiny(net=net), ONE, 64).double().eval()
    picture = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    centred = ((picture - model.trunk.mean) / model.trunk.std).requires_grad_()

    def score(values: torch.Tensor) -> torch.Tensor:
        return model._eye(values * model.trunk.std + model.trunk.mean)[:, 0]

    (omega,) = sensitivity(score(centred), [centred], graph=False)
    (slope,) = torch.autograd.grad(score(centred).sum(), centred)
    signed = (slope * centred).sum(1)
    torch.testing.assert_close(omega, signed.abs())
    for row, column in ((20, 31), (40, 12)):
        delta = 1e-6
        rescaled = centred.detach().clone()
        rescaled[:, :, row, column] *= 1 + delta  # intensity changes, hue does not
        change = (score(rescaled) - score(centred)).item()
        assert change == pytest.approx(signed[0, row, column].item() * delta, rel=1e-3)
