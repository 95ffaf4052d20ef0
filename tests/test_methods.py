"""The contract of every method in the registry."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from batches_made import made_batch
from eyeground.batches import Batch
from eyeground.errors import UsageError
from eyeground.methods import METHODS, find_method
from eyeground.methods.pair import Config, build, loss, maps
from eyeground.nets.fusion import LOGIT_FUSIONS
from eyeground.nets.fusion_features import FEATURE_FUSIONS
from eyeground.runs.recipe import Recipe
from eyeground.settings import fill
from eyeground.vocabulary import ODIR

SIZE = 64


def small(name: str) -> Any:
    """A method's configuration with a tiny trunk."""
    config = find_method(name).Config
    tiny = {"trunk": "test_resnet", "trunk_weights": "none", "dropout": 0.0}
    return config(**{key: value for key, value in tiny.items() if key in {field.name for field in fields(config)}})


def test_the_registry_names_every_method_file_and_nothing_else() -> None:
    import eyeground.methods

    folder = Path(eyeground.methods.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert {entry.module.rsplit(".", 1)[1] for entry in METHODS.values()} == files
    with pytest.raises(UsageError, match="did you mean 'pair'"):
        find_method("pairs")


@pytest.mark.parametrize("name", METHODS)
def test_shapes_and_missing_eyes(name: str) -> None:
    method, config = find_method(name), small(name)
    torch.manual_seed(0)
    model = method.build(config, ODIR, SIZE).eval()
    batch = made_batch(size=SIZE)
    out = model(batch)
    assert out.visit_logits.shape == (6, 8)
    assert torch.isfinite(out.visit_logits).all(), "a missing fellow eye gives an answer all the same"
    wild = batch.fundus.clone()
    wild[~batch.seen] = 1e6
    again = model(replace(batch, fundus=wild))
    torch.testing.assert_close(again.visit_logits, out.visit_logits, msg="pixels of an eye not seen were looked at")
    if out.eye_logits is not None:
        assert out.eye_logits.shape == (6, 2, 8)
        assert torch.equal(torch.isnan(out.eye_logits).all(-1), ~batch.seen)
    if out.evidence is not None:
        assert out.evidence.shape[:3] == (6, 2, 8)
    assert method.maps(config)


@pytest.mark.parametrize("name", METHODS)
def test_batch_equals_one_by_one(name: str) -> None:
    method, config = find_method(name), small(name)
    model = method.build(config, ODIR, SIZE).eval()
    batch = made_batch(size=SIZE)
    whole = model(batch).visit_logits
    for i in range(len(batch)):
        parts = {f.name: getattr(batch, f.name) for f in fields(batch)}
        one = replace(batch, **{k: v[i : i + 1] for k, v in parts.items() if v is not None})
        torch.testing.assert_close(model(one).visit_logits[0], whole[i], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", METHODS)
def test_learns_eight_visits_by_heart(name: str) -> None:
    method, config = find_method(name), small(name)
    torch.manual_seed(0)
    model = method.build(config, ODIR, SIZE).train()
    batch = made_batch(8, size=SIZE)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    first = None
    for _ in range(120):
        value = method.loss(model, batch, config)["total"]
        first = float(value.detach()) if first is None else first
        if float(value.detach()) < 0.25 * first:
            break
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert first is not None
    assert float(value.detach()) < 0.25 * first


@pytest.mark.parametrize("name", METHODS)
def test_an_exchange_of_eyes_does_what_the_method_says(name: str) -> None:
    method, config = find_method(name), small(name)
    torch.manual_seed(0)
    model = method.build(config, ODIR, SIZE).eval()
    batch = made_batch(size=SIZE)
    swapped = replace(batch, fundus=batch.fundus.flip(1), seen=batch.seen.flip(1))
    there, back = model(swapped), model(batch)
    same = torch.allclose(there.visit_logits, back.visit_logits, atol=1e-5, rtol=1e-4)
    assert same == (method.swap(config) == "same")
    if back.eye_logits is not None and method.swap(config) == "same":
        torch.testing.assert_close(there.eye_logits.flip(1), back.eye_logits, atol=1e-5, rtol=1e-4, equal_nan=True)


@pytest.mark.parametrize("name", METHODS)
def test_weights_come_back_bit_equal(name: str, tmp_path: Path) -> None:
    method, config = find_method(name), small(name)
    model = method.build(config, ODIR, SIZE).eval()
    if hasattr(method, "start"):
        method.start(model, config, (torch.rand(40, 8) < 0.3).float(), torch.ones(40, 8, dtype=torch.bool))
    weights = {key: value.detach().contiguous().clone() for key, value in model.state_dict().items()}
    save_file(weights, str(tmp_path / "weights.safetensors"))
    torch.manual_seed(7)
    other = method.build(config, ODIR, SIZE).eval()
    other.load_state_dict(load_file(str(tmp_path / "weights.safetensors")))
    batch = made_batch(size=SIZE)
    assert torch.equal(other(batch).visit_logits, model(batch).visit_logits)


@pytest.mark.parametrize("name", METHODS)
def test_its_graph_can_be_exported_with_any_number_of_visits(name: str) -> None:
    method, config = find_method(name), small(name)
    model = method.build(config, ODIR, SIZE).eval()

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, fundus: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
            empty = torch.zeros(fundus.shape[0], 8)
            eyes = torch.zeros(fundus.shape[0], 2, 8)
            out = self.model(Batch(fundus, seen, empty, empty > 0, eyes, eyes > 0, ()))
            return out.visit_logits

    batch, visits = made_batch(size=SIZE), torch.export.Dim("visits")
    graph = torch.export.export(
        Plain().eval(), (batch.fundus[:4], batch.seen[:4]), dynamic_shapes=({0: visits}, {0: visits})
    )
    found = graph.module()(batch.fundus, batch.seen)
    torch.testing.assert_close(found, model(batch).visit_logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", METHODS)
def test_the_papers_recipe_is_one(name: str) -> None:
    recipe = find_method(name).RECIPE
    assert fill(Recipe, recipe, name), "every key is a field of the recipe, every value fits"
    assert all(getattr(Recipe(), key) != value for key, value in recipe.items()), "only what differs is named"


@pytest.mark.parametrize("fusion", [*LOGIT_FUSIONS, *FEATURE_FUSIONS])
def test_pair_maps_explain_the_eye_logits_exactly(fusion: Any) -> None:
    config = replace(small("pair"), fusion=fusion)
    model = build(config, ODIR, SIZE).eval()
    batch = made_batch(size=SIZE)
    out = model(batch)
    assert out.eye_logits is not None
    assert out.evidence is not None
    torch.testing.assert_close(out.evidence.mean((3, 4))[batch.seen], out.eye_logits[batch.seen])
    assert ("no exact map" in maps(config)) == (fusion in ("noisy_or", "product", "bilinear"))


def test_pair_offers_every_operator_under_one_name() -> None:
    offered = get_args(get_type_hints(Config)["fusion"])
    assert sorted(offered) == sorted([*LOGIT_FUSIONS, *FEATURE_FUSIONS]), "the two registries share no name"


@pytest.mark.parametrize("fusion", [*LOGIT_FUSIONS, *FEATURE_FUSIONS])
def test_pair_answers_and_learns_where_an_eye_is_missing(fusion: Any) -> None:
    config = replace(small("pair"), fusion=fusion)
    model = build(config, ODIR, SIZE)
    batch = made_batch(size=SIZE)
    assert not batch.seen.all()
    assert torch.isfinite(model(batch).visit_logits).all()
    loss(model, batch, config)["total"].backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("fusion", [*LOGIT_FUSIONS, *(n for n, kind in FEATURE_FUSIONS.items() if kind.symmetric)])
def test_pair_does_not_care_which_eye_comes_first(fusion: Any) -> None:
    config = replace(small("pair"), fusion=fusion)
    model = build(config, ODIR, SIZE).eval()
    batch = made_batch(size=SIZE)
    swapped = replace(batch, fundus=batch.fundus.flip(1), seen=batch.seen.flip(1))
    torch.testing.assert_close(model(swapped).visit_logits, model(batch).visit_logits, atol=1e-5, rtol=1e-4)


def test_pair_starts_from_the_prevalence_of_the_training_eyes() -> None:
    from eyeground.methods.pair import start

    config = replace(small("pair"), pos_weight="balanced")
    model = build(config, ODIR, SIZE)
    labels = torch.zeros(100, 8)
    labels[:20, 1] = 1
    start(model, config, labels, torch.ones(100, 8, dtype=torch.bool))
    assert model.evidence.bias is not None
    assert torch.sigmoid(model.evidence.bias[1]).item() == pytest.approx(21 / 102)
    assert model.pos_weight[1].item() == pytest.approx((81 / 21) ** 0.5)
    assert model.pos_weight.max() <= 10


def test_pair_loss_parts_and_weights() -> None:
    config = Config("test_resnet", "none", eye_weight=0.5, visit_weight=2.0, dropout=0.0)
    model = build(config, ODIR, SIZE).eval()
    parts = loss(model, made_batch(size=SIZE), config)
    torch.testing.assert_close(parts["total"], 0.5 * parts["eye"] + 2.0 * parts["visit"])
    focal = loss(model, made_batch(size=SIZE), replace(config, loss="asymmetric"))
    assert focal["total"] < parts["total"]


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("dkcnet", {}),
        ("shallow_cnn", {}),
        ("image_mining", {}),
        ("gour_khanna", {"inputs": "one"}),
        ("bfpc_net", {"fusion": "none"}),
        ("mcg_net", {}),
        ("mcg_net", {"head": "linear"}),
    ],
)
def test_a_method_of_eyes_refuses_a_training_part_without_labels_of_eyes(name: str, more: dict[str, Any]) -> None:
    method, config = find_method(name), replace(small(name), **more)
    model, known = method.build(config, ODIR, SIZE), torch.zeros(40, 8, dtype=torch.bool)
    with pytest.raises(UsageError, match="--eye-labels visit"):
        method.start(model, config, torch.zeros(40, 8), known)


@pytest.mark.parametrize(
    ("name", "values", "flag"),
    [
        ("dcnet", {"fusion": "sum", "scm_width": 8}, "--scm-width changes nothing beside --fusion sum"),
        ("dcnet", {"fusion": "concat", "residual": False}, "--no-residual changes nothing beside --fusion concat"),
        ("dkcnet", {"block": False, "product": "chained"}, "--product changes nothing beside --no-block"),
        ("bfpc_net", {"attention": "ungated", "channel_pools": "mean_max"}, "--channel-pools changes nothing"),
        ("mcg_net", {"head": "linear", "weighted": True}, "--weighted changes nothing beside --head linear"),
        ("mcg_net", {"weighted": True, "tau": 0.3}, "--tau changes nothing beside --weighted"),
        ("mcg_net", {"embedding_size": 50}, "--embedding-size changes nothing beside --embedding onehot"),
        ("mcg_net", {"pretext_weight": 1.0}, "--pretext-weight changes nothing beside --pretext none"),
        ("odir_benchmark", {"most": 5.0}, "--most changes nothing beside --loss bce"),
        ("dual_efficientnet", {"views": "grey", "equalise": "v"}, "--equalise changes nothing beside --views grey"),
        ("bfenet", {"multiscale": False, "order": "fe_ms"}, "--order changes nothing beside --no-multiscale"),
        ("bfenet", {"multiscale": False, "ms_shared": False}, "--no-ms-shared changes nothing"),
        ("bfenet", {"enhancement": False, "order": "fe_ms"}, "--order changes nothing beside --no-enhancement"),
    ],
)
def test_a_flag_that_would_change_nothing_is_refused(name: str, values: dict[str, Any], flag: str) -> None:
    with pytest.raises(UsageError, match=flag):
        find_method(name).Config(**values)
