"""DKCNet: the block against a straightforward computation, its switches, and the sizes of the paper's networks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from batches_made import made_batch
from conftest import TINY, Made
from eyeground.cli.main import run
from eyeground.errors import UsageError
from eyeground.methods.dkcnet import RECIPE, Config, build, loss
from eyeground.nets.dkc import DILATIONS, DilatedBranch, DkcBlock, DkcChoices, SqueezeExcitation, channel_shuffle
from eyeground.settings import read_toml
from eyeground.vocabulary import ODIR

SMALL = Config("test_resnet", "none", dropout=0.0)


def test_the_shuffle_is_a_permutation_and_its_twin_undoes_it() -> None:
    x = torch.arange(24.0).view(1, 24, 1, 1)
    shuffled = channel_shuffle(x, 8)
    assert shuffled.flatten().tolist()[:9] == [0, 3, 6, 9, 12, 15, 18, 21, 1], "(g, n) transposed to (n, g)"
    assert torch.equal(channel_shuffle(shuffled, 24 // 8), x)


@pytest.mark.parametrize("dilation", DILATIONS)
@pytest.mark.parametrize("depthwise", [False, True])
def test_a_branch_keeps_the_size_and_is_the_dilated_sum(dilation: int, depthwise: bool) -> None:
    torch.manual_seed(0)
    branch = DilatedBranch(4, dilation, depthwise).eval()
    x = torch.randn(2, 4, 5, 7)
    found = branch(x).detach().numpy()
    weight = branch.conv.weight.detach().numpy()
    wanted, start = np.zeros((2, 4, 5, 7)), dilation // 2
    for b, k, i, j in np.ndindex(2, 4, 5, 7):
        for u, v in np.ndindex(2, 2):
            row, column = i - start + u * dilation, j - start + v * dilation
            if 0 <= row < 5 and 0 <= column < 7:
                here = x[b, :, row, column].numpy()
                wanted[b, k, i, j] += weight[k, 0, u, v] * here[k] if depthwise else weight[k, :, u, v] @ here
    np.testing.assert_allclose(found, np.maximum(wanted / np.sqrt(1 + 1e-5), 0), atol=1e-5)


@pytest.mark.parametrize("product", ["separate", "chained"])
@pytest.mark.parametrize("r_source", ["shuffled", "trunk"])
def test_the_block_is_its_equations(product: Any, r_source: Any) -> None:
    torch.manual_seed(0)
    block = DkcBlock(16, DkcChoices(product, r_source, groups=4, se_ratio=4)).eval()
    f = torch.randn(3, 16, 5, 5)
    s = channel_shuffle(f, 4)
    r = s if r_source == "shuffled" else f
    p = [branch(s) for branch in block.branches]
    m = r * p[0] + r * p[1] + r * p[2] if product == "separate" else r * p[0] * p[1] * p[2]
    se = block.excitation
    hidden = torch.relu(m.mean((2, 3)) @ se.squeeze.weight.T + se.squeeze.bias)
    wanted = m * torch.sigmoid(hidden @ se.excite.weight.T + se.excite.bias)[:, :, None, None]
    torch.testing.assert_close(block(f), wanted)


def test_the_excitation_scales_whole_channels() -> None:
    x = torch.rand(2, 16, 3, 3) + 0.1
    scale = SqueezeExcitation(16, 16)(x) / x
    assert (scale > 0).all() and (scale < 1).all()
    torch.testing.assert_close(scale, scale[..., :1, :1].expand_as(scale))


@pytest.mark.parametrize("config", [SMALL, replace(SMALL, product="chained"), replace(SMALL, block=False)])
def test_maps_explain_the_eye_logits_exactly(config: Config) -> None:
    model = build(config, ODIR, 64).eval()
    batch = made_batch(size=64)
    out = model(batch)
    assert out.evidence is not None and out.eye_logits is not None
    torch.testing.assert_close(out.evidence.mean((3, 4))[batch.seen], out.eye_logits[batch.seen])
    features = model.block(model.trunk(batch.fundus[batch.seen])).mean((2, 3))
    linear = features @ model.evidence.weight[:, :, 0, 0].T + model.evidence.bias
    torch.testing.assert_close(linear, out.eye_logits[batch.seen], msg="FC(GAP)")


def test_the_loss_is_summed_over_the_labels() -> None:
    model, batch = build(SMALL, ODIR, 64).eval(), made_batch(size=64)
    logits = model(batch).eye_logits[batch.seen]
    targets = batch.eye_labels[batch.seen]
    per_eye = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(1)
    parts = loss(model, batch, SMALL)
    torch.testing.assert_close(parts["total"], per_eye.mean())
    mean = loss(model, batch, replace(SMALL, reduction="mean"))
    torch.testing.assert_close(mean["total"], per_eye.mean() / 8)


@pytest.mark.parametrize(
    ("trunk", "alone", "whole"),
    [("inception_resnet_v2", 54.32, 82.94), ("resnet101", 42.52, 93.39), ("inception_v3", 21.80, 72.67)],
)
def test_parameters_of_the_papers_trunks(trunk: str, alone: float, whole: float) -> None:
    with torch.device("meta"):
        for block, millions in ((False, alone), (True, whole)):
            model = build(Config(trunk, "none", block=block), ODIR, 224)
            assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.006)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"dropout": 1.0}, "--dropout must be"),
        ({"groups": 0}, "--groups must be"),
        ({"se_ratio": 0}, "--se-ratio must"),
    ],
)
def test_configurations_that_can_not_be(values: dict[str, Any], wanted: str) -> None:
    with pytest.raises(UsageError, match=wanted):
        Config(**values)


def test_groups_that_do_not_divide_name_the_nearest_that_do() -> None:
    with pytest.raises(UsageError, match="--groups 7 does not divide the trunk's 96 channels; take 6 or 8"):
        build(replace(SMALL, groups=7), ODIR, 64)
    with pytest.raises(UsageError, match=r"--groups 97 does not divide the trunk's 96 channels; take 96$"):
        build(replace(SMALL, groups=97), ODIR, 64)
    build(replace(SMALL, groups=7, block=False), ODIR, 64)


def test_it_trains_by_the_papers_recipe(made: Made, tmp_path: Path) -> None:
    where = ["--layout", "odir", "--root", str(made.root), "--split", str(made.split), "--cache", str(made.cache)]
    tiny = [*TINY]
    tiny[tiny.index("--epochs") + 1] = "1"
    assert run(["train", "--method", "dkcnet", *where, "--out", str(tmp_path / "run"), *tiny]) == 0
    config = read_toml(tmp_path / "run" / "bundle" / "config.toml")
    recipe, wanted = config["recipe"], {**RECIPE, "size": 64, "epochs": 1}
    assert {key: recipe[key] for key in wanted} == wanted
    (row,) = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert row["loss_total"] == pytest.approx(8 * row["loss_eye"])
