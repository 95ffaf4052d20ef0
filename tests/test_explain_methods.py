"""The contract of every explainer, over the whole registry of methods."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from batches_made import made_batch
from eyeground import explain as package
from eyeground.batches import Batch
from eyeground.errors import UsageError
from eyeground.explain import EXPLAINERS, explain, find_explainer
from eyeground.methods import METHODS, find_method
from eyeground.vocabulary import ODIR

SIZE = 64
SLOW = ("ablation_cam", "occlusion", "integrated_gradients")
LABELS = [1, 5]

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in METHODS),
    ("pair", {"fusion": "gated"}),
    ("aubnet", {"shared": False}),
    ("bfpc_net", {"fusion": "none"}),
    ("bfpc_net", {"shared": False}),
    ("dcnet", {"fusion": "concat"}),
    ("dual_efficientnet", {"pairing": "per_eye"}),
    ("gour_khanna", {"shared": False}),
    ("gour_khanna", {"inputs": "one", "head": "gap"}),
    ("mcg_net", {"level": "visit"}),
    ("shallow_cnn", {"head": "gap"}),
    ("two_experts", {"shared_trunk": False}),
]

REFUSED = {
    "evidence": ("no evidence maps", None),
    "cam": ("not linear|weighs|pools", None),
    "integrated_gradients": ("no gradient", {"dual_efficientnet"}),
    "sensitivity": ("no gradient", {"dual_efficientnet"}),
    "hue": ("no gradient", {"dual_efficientnet"}),
}
"""Explainer to what its refusal says, and the methods it may refuse (None: wherever it can't be right)."""


def small(name: str, more: dict[str, Any] | None = None) -> nn.Module:
    """A method's network with a tiny trunk, not trained, in eval mode."""
    method = find_method(name)
    tiny = {"trunk": "test_resnet", "trunk_weights": "none", "fusion_channels": 16, **(more or {})}
    known = {field.name for field in fields(method.Config)}
    torch.manual_seed(0)
    built: nn.Module = method.build(method.Config(**{k: v for k, v in tiny.items() if k in known}), ODIR, SIZE).eval()
    return built


def one_of(batch: Batch, i: int) -> Batch:
    parts = {f.name: getattr(batch, f.name) for f in fields(batch)}
    return replace(batch, **{k: v[i : i + 1] for k, v in parts.items() if v is not None})


def state(network: nn.Module) -> list[Any]:
    """All that an explainer must leave as it was."""
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks), sorted(vars(m))) for m in network.modules()]
    flags = [(p.requires_grad, p.grad is None) for p in network.parameters()]
    return [hooks, flags, network.training, {k: v.clone() for k, v in network.state_dict().items()}]


def test_the_registry_names_every_explainer_and_nothing_else() -> None:
    folder = Path(package.__file__).parent
    files = {path.stem for path in folder.glob("*.py") if "def maps(network" in path.read_text(encoding="utf-8")}
    assert {entry.module.rsplit(".", 1)[1] for entry in EXPLAINERS.values()} == files == set(EXPLAINERS)
    with pytest.raises(UsageError, match="did you mean 'grad_cam'"):
        find_explainer("gradcam")


@pytest.mark.parametrize(("name", "more"), VARIANTS, ids=["-".join([n, *map(str, m.values())]) for n, m in VARIANTS])
def test_every_explainer_on_a_method(name: str, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eyeground.explain.occlusion.CELLS", 3)
    monkeypatch.setattr("eyeground.explain.integrated_gradients.STEPS", 2)
    network, batch = small(name, more), made_batch(3, size=SIZE)
    before = state(network)
    for explainer in EXPLAINERS:
        maps = maps_or_none(explainer, name, network, batch)
        if maps is not None:
            check(explainer, network, batch, maps)
    after = state(network)
    assert before[:3] == after[:3], "hooks, attributes, gradients or mode changed"
    assert all(torch.equal(value, after[3][key]) for key, value in before[3].items())


def maps_or_none(explainer: str, name: str, network: nn.Module, batch: Batch) -> torch.Tensor | None:
    """The maps, or None where the explainer refuses, which it may do for a known reason only."""
    try:
        return explain(explainer, network, batch, LABELS)
    except UsageError as error:
        said, allowed = REFUSED.get(explainer, ("never", set()))
        assert re.search(said, str(error)), error
        assert allowed is None or name in allowed
        return None


def check(explainer: str, network: nn.Module, batch: Batch, maps: torch.Tensor) -> None:
    """Shape, missing eyes, one by one; for the quick ones also labels by themselves and pixels not seen."""
    assert maps.shape[:3] == (3, 2, 2) and maps.dtype == torch.float32 and not maps.requires_grad
    assert torch.equal(torch.isnan(maps).all(4).all(3).all(2), ~batch.seen)
    assert torch.isfinite(maps[batch.seen]).all()
    tolerance = {"equal_nan": True, "atol": 1e-6 + 1e-4 * float(maps.nan_to_num().abs().max()), "rtol": 1e-3}
    for i in range(3) if explainer not in SLOW else (1,):
        torch.testing.assert_close(explain(explainer, network, one_of(batch, i), LABELS)[0], maps[i], **tolerance)
    if explainer not in SLOW:
        wild = replace(batch, fundus=torch.where(batch.seen[:, :, None, None, None], batch.fundus, 9.0))
        torch.testing.assert_close(explain(explainer, network, wild, LABELS[1:]), maps[:, :, 1:], **tolerance)
