"""What is special to `mcg_net`: the label graph, its classifiers, label vectors and pretext tasks."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from batches_made import made_batch
from conftest import TINY
from eyeground.cohorts import read_cohort
from eyeground.errors import DataError, UsageError
from eyeground.methods.mcg_net import Config, build, loss, maps, start
from eyeground.nets.eyes import stand_in
from eyeground.nets.label_graph import GraphClassifier, adjacency, conditional, label_vectors, require_edges
from eyeground.nets.pretext import WAYS, changed
from eyeground.records import label_arrays
from eyeground.vocabulary import ODIR, Vocabulary

SIZE = 64
SMALL = Config("test_resnet", "none", hidden=32)


def made_labels(samples: int = 200) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(samples, 8, generator=generator) < 0.3).float()
    return labels, torch.rand(samples, 8, generator=generator) < 0.8


# the graph


def test_chances_are_counted_where_both_labels_are_known() -> None:
    labels, known = made_labels()
    found = conditional(labels, known)
    for i in range(8):
        for j in range(8):
            rows = [n for n in range(200) if known[n, i] and known[n, j] and labels[n, i]]
            wanted = 0.0 if i == j else sum(float(labels[n, j]) for n in rows) / len(rows)
            assert float(found[i, j]) == pytest.approx(wanted)
    assert torch.equal(conditional(labels * known, known), found), "what is not known has no part"
    labels[:, 2] = 0
    assert conditional(labels, known)[2].eq(0).all(), "a label that never occurs has no edge"


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("tau", [0.0, 0.3, 0.35])
def test_rows_of_the_graph_sum_to_one_so_that_its_normalisation_changes_nothing(tau: float, weighted: bool) -> None:
    chance = conditional(*made_labels())
    chance[4] = 0
    found = adjacency(chance, tau, 0.2, weighted)
    torch.testing.assert_close(found.sum(1), torch.ones(8, dtype=found.dtype))
    for i in range(8):
        edges = [0.0 if i == j else float(chance[i, j]) if weighted else float(chance[i, j] >= tau) for j in range(8)]
        for j in range(8):
            alone, both = 1.0 if i == j else 0.0, 0.8 if i == j else 0.2 * edges[j] / (sum(edges) or 1)
            assert float(found[i, j]) == pytest.approx(both if any(edges) else alone)
    degree = torch.diag(found.sum(1) ** -0.5)
    torch.testing.assert_close(degree @ found @ degree, found)


@pytest.mark.real
def test_odirs_graph_is_all_but_empty_at_the_usual_threshold(real_data: Path) -> None:
    cohort = read_cohort("odir", real_data / "odir5k")

    def chances(rows: list[tuple[int | None, ...]]) -> dict[str, float]:
        labels, known = label_arrays(rows, 8)
        found = conditional(torch.from_numpy(labels), torch.from_numpy(known))
        codes = ODIR.codes
        return {f"{codes[i]} {codes[j]}": round(float(found[i, j]), 3) for i in range(8) for j in range(8) if i != j}

    of_visits = chances([visit.labels for visit in cohort.visits])
    largest = sorted(of_visits, key=lambda key: -of_visits[key])[:6]
    assert {key: of_visits[key] for key in largest} == {
        "H D": 0.437, "O D": 0.309, "D O": 0.269, "M O": 0.253, "G O": 0.228, "C D": 0.184
    }  # fmt: skip
    assert [key for key, value in of_visits.items() if value >= 0.4] == ["H D"]
    assert all(of_visits[f"N {code}"] == 0 for code in ODIR.codes[1:])
    of_eyes = chances([eye.labels for visit in cohort.visits for eye in visit.eyes if eye is not None])
    assert {key: value for key, value in of_eyes.items() if value >= 0.15} == {"H D": 0.347, "O D": 0.222}


def test_a_graph_without_edges_is_refused_with_the_way_out() -> None:
    chance = torch.zeros(8, 8)
    chance[5, 1], chance[7, 1] = 0.347, 0.2
    require_edges(chance, 0.34, ODIR)
    with pytest.raises(UsageError, match=r"--tau 0.4: the largest is P\(D \| H\) = 0.347; choose --tau 0.34 or --head"):
        require_edges(chance, 0.4, ODIR)
    with pytest.raises(UsageError, match=r"0.003; choose --weighted or --head linear"):
        require_edges(chance / 100, 0.4, ODIR)
    with pytest.raises(UsageError, match=r"ever occur together, so there is no graph: --head linear$"):
        require_edges(chance * 0, 0.4, ODIR)
    one_each, known = torch.eye(8).repeat(5, 1), torch.ones(40, 8, dtype=torch.bool)
    for config in (SMALL, replace(SMALL, weighted=True)):
        with pytest.raises(UsageError, match="--head linear"):
            start(build(config, ODIR, SIZE), config, one_each, known)
    linear = replace(SMALL, head="linear")
    start(build(linear, ODIR, SIZE), linear, one_each, known)
    with pytest.raises(UsageError, match="--eye-labels visit"):
        start(build(linear, ODIR, SIZE), linear, one_each, ~known)


# its classifiers


def test_before_start_the_graph_is_a_linear_head_on_transformed_vectors() -> None:
    model = build(SMALL, ODIR, SIZE).eval()
    assert model.graph is not None
    assert torch.equal(model.graph.adjacency, torch.eye(8))
    hidden = model.graph.first
    weight = torch.where(hidden > 0, hidden, 0.2 * hidden) @ model.graph.second  # (C, K)
    batch = made_batch(size=SIZE)
    out = model(batch)
    pooled = model.trunk(batch.fundus[2]).amax((2, 3))
    torch.testing.assert_close(out.eye_logits[2], pooled @ weight.T)


def test_two_graph_layers_label_by_label() -> None:
    graph = GraphClassifier(3, 5, 4, 6)
    chance = torch.tensor([[0.0, 0.5, 0.3], [0.1, 0.0, 0.0], [0.0, 0.0, 0.0]])
    graph.adjacency.copy_(adjacency(chance, 0.2, 0.25))
    graph.vectors.copy_(torch.randn(3, 5))
    z, w0, w1 = graph.vectors, graph.first, graph.second
    mixed = torch.stack([0.75 * z[0] + 0.125 * (z[1] + z[2]), z[1], z[2]]) @ w0
    mixed = torch.maximum(mixed, 0.2 * mixed)
    wanted = torch.stack([0.75 * mixed[0] + 0.125 * (mixed[1] + mixed[2]), mixed[1], mixed[2]]) @ w1
    torch.testing.assert_close(graph(), wanted)


def test_the_graph_comes_from_what_start_is_given_and_stays() -> None:
    torch.manual_seed(0)
    labels, known = made_labels()
    model = build(SMALL, ODIR, SIZE)
    start(model, SMALL, labels, known)
    assert model.graph is not None
    wanted = adjacency(conditional(labels, known), 0.15, 0.2).float()
    assert not torch.equal(wanted, torch.eye(8))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    loss(model, made_batch(size=SIZE), SMALL)["total"].backward()
    optimizer.step()
    assert torch.equal(model.graph.adjacency, wanted)
    assert torch.equal(model.state_dict()["graph.adjacency"], wanted), "it travels with the weights"


def test_at_level_visit_the_larger_eye_counts_in_every_feature() -> None:
    config = replace(SMALL, level="visit", head="linear")
    model = build(config, ODIR, SIZE).eval()
    batch = made_batch(size=SIZE)
    out = model(batch)
    assert out.eye_logits is None
    eyes = stand_in(batch.fundus, batch.seen)
    pooled = torch.stack([model.trunk(eyes[:, side]).amax((2, 3)) for side in (0, 1)]).amax(0)
    torch.testing.assert_close(out.visit_logits, model.linear(pooled), atol=1e-5, rtol=1e-4)
    assert set(loss(model, batch, config)) == {"visit", "total"}
    assert "no maps" in maps(config)


# label vectors


def _vectors(folder: Path, *lines: str) -> Path:
    path = folder / "vectors.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_label_vectors_by_name_by_words_and_by_code(tmp_path: Path) -> None:
    words = Vocabulary.from_dict(
        {"name": "made", "kind": "multilabel", "labels": [
            {"code": "A", "name": "Old Sight"}, {"code": "G", "name": "Glaucoma"},
            {"code": "X", "name": "Other finding"},
        ]}
    )  # fmt: skip
    lines = ("a 9 9", "the 0.5 0.5", "old 1 2", "sight 3 4", "glaucoma -1 1e-1", "other 5 5", "X 7 8", "12 3 4 5")
    found = label_vectors(_vectors(tmp_path, *lines), words, 2)
    torch.testing.assert_close(found, torch.tensor([[2.0, 3.0], [-1.0, 0.1], [7.0, 8.0]]))
    found = label_vectors(_vectors(tmp_path, "old sight 0 1", *lines), words, 2)
    assert found[0].tolist() == [0, 1], "the whole name wins over its words"
    with pytest.raises(UsageError, match="has no vector for Old Sight, Other finding; add a line"):
        label_vectors(_vectors(tmp_path, "glaucoma 1 2", "finding 3 4"), words, 2)
    with pytest.raises(DataError, match=r"line 1 of .* has 3 numbers after 'glaucoma', not 2 as --embedding-size"):
        label_vectors(_vectors(tmp_path, "glaucoma 1 2 3"), words, 2)
    with pytest.raises(UsageError, match="can't be read"):
        label_vectors(tmp_path / "nothing.txt", words, 2)


def test_label_vectors_travel_with_the_weights(tmp_path: Path) -> None:
    lines = [f"{label.name} {' '.join(str(i + k / 4) for k in range(5))}" for i, label in enumerate(ODIR.labels)]
    config = replace(SMALL, embedding=str(_vectors(tmp_path, *lines)), embedding_size=5)
    model = build(config, ODIR, SIZE).eval()
    start(model, config, *made_labels())
    assert model.graph is not None
    assert model.graph.vectors[3].tolist() == [3, 3.25, 3.5, 3.75, 4]
    other = build(replace(config, embedding="no/longer/there.txt"), ODIR, SIZE).eval()
    other.load_state_dict(model.state_dict())
    batch = made_batch(size=SIZE)
    assert torch.equal(other(batch).visit_logits, model(batch).visit_logits)


# pretext tasks


def test_pictures_are_turned_and_shuffled() -> None:
    pixels = torch.rand(24, 3, 6, 6)
    turned = changed("rotation", pixels[:4], torch.tensor([0, 1, 2, 3]))
    for way in range(4):
        assert np.array_equal(turned[way].permute(1, 2, 0), np.rot90(pixels[way].permute(1, 2, 0), way))
    shuffled = changed("jigsaw", pixels, torch.arange(24))
    assert torch.equal(shuffled[0], pixels[0])
    halves = (slice(0, 3), slice(3, 6))
    places = [(rows, columns) for rows in halves for columns in halves]
    for way, order in enumerate(permutations(range(4))):
        for place, source in zip(places, order, strict=True):
            assert torch.equal(shuffled[way][:, *place], pixels[way][:, *places[source]])
    assert changed("jigsaw", torch.rand(2, 3, 7, 7), torch.tensor([3, 4])).shape == (2, 3, 6, 6)


@pytest.mark.parametrize("task", WAYS)
@pytest.mark.parametrize("level", ["eye", "visit"])
def test_photographs_without_labels_teach_the_trunk_through_the_pretext_task(task: Any, level: Any) -> None:
    config = replace(SMALL, pretext=task, level=level)
    torch.manual_seed(0)
    model = build(config, ODIR, SIZE).train()
    batch = made_batch(size=SIZE)
    pool = replace(batch, known=torch.zeros_like(batch.known), eye_known=torch.zeros_like(batch.eye_known))
    parts = loss(model, pool, config)
    assert set(parts) == {level, "pretext", "pretext_accuracy", "total"}
    assert float(parts[level].detach()) == 0
    torch.testing.assert_close(parts["total"], 0.5 * parts["pretext"])
    assert not parts["pretext_accuracy"].requires_grad
    parts["total"].backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert all(
        p.grad is not None and p.grad.abs().sum() > 0
        for p in (*model.pretext.parameters(), next(model.trunk.parameters()))
    )
    model.eval()
    assert set(loss(model, batch, config)) == {level, "total"}, "asked in training only"


def test_the_pretext_loss_is_the_seen_eyes_mean_and_drawn_anew_from_torchs_generator() -> None:
    config = replace(SMALL, pretext="rotation", trunk="test_vit")  # no batch statistics
    model = build(config, ODIR, SIZE).train()
    batch = made_batch(size=SIZE)
    torch.manual_seed(3)
    parts = loss(model, batch, config)
    torch.manual_seed(3)
    ways = torch.randint(4, (6, 2))
    each, right = [], []
    for visit, side in batch.seen.nonzero().tolist():
        picture = torch.rot90(batch.fundus[visit, side], int(ways[visit, side]), (1, 2))
        logits = model.pretext(model.trunk(picture[None]).amax((2, 3)))[0]
        each.append(-torch.log_softmax(logits, 0)[ways[visit, side]])
        right.append(float(logits.argmax() == ways[visit, side]))
    torch.testing.assert_close(parts["pretext"], torch.stack(each).mean())
    assert float(parts["pretext_accuracy"]) == pytest.approx(sum(right) / 10)
    assert loss(model, batch, config)["pretext"] != parts["pretext"]


def test_training_takes_a_pool_without_labels_and_keeps_the_graph_of_the_training_part(
    made_cohort: Path, tmp_path: Path
) -> None:
    from eyeground.cli.main import run
    from eyeground.splits import Split

    cohort = read_cohort("odir", made_cohort)
    rows: list[dict[str, Any]] = []
    for number, visit in enumerate(cohort.visits[:40]):
        for eye in visit.eyes:
            if eye is not None and eye.path is not None:
                states = eye.labels if number % 2 else (None,) * 8
                shown = dict(zip(ODIR.codes, ["" if one is None else one for one in states], strict=True))
                rows.append({"patient": visit.patient, "eye": eye.side, "file": str(eye.path), **shown})
    pd.DataFrame(rows).to_csv(tmp_path / "cohort.csv", index=False)
    there = ("--layout", "folder", "--root", str(tmp_path))
    split, out = tmp_path / "split.json", tmp_path / "run"
    shares = ("--folds", "1", "--test-share", "0.2", "--val-share", "0.2")
    assert run(["cohort", "split", *there, *shares, "--out", str(split)]) == 0
    flags = ("--method", "mcg_net", "--pretext", "rotation", "--weighted", "--hidden", "16", "--out", str(out))
    assert run(["train", *there, "--split", str(split), "--cache", str(tmp_path / "cache"), *flags, *TINY]) == 0
    logged = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert all(0 <= row["loss_pretext_accuracy"] <= 1 and row["loss_pretext"] > 0 for row in logged)
    chosen = set(Split.load(split).fold(0).train)
    taught = [visit for visit in read_cohort("folder", tmp_path).visits if visit.id in chosen]
    assert any(set(visit.labels) == {None} for visit in taught), "the pool takes part in training"
    labels, known = label_arrays([eye.labels for visit in taught for eye in visit.eyes if eye is not None], 8)
    wanted = adjacency(conditional(torch.from_numpy(labels), torch.from_numpy(known)), 0.15, 0.2, True).float()
    weights = load_file(str(out / "bundle" / "weights.safetensors"))
    torch.testing.assert_close(weights["graph.adjacency"], wanted)
    assert not torch.equal(wanted, torch.eye(8))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"tau": 1.5}, "--tau must be in"),
        ({"p": -0.1}, "--p must be in"),
        ({"hidden": 0}, "--hidden must be at least 1"),
        ({"embedding_size": 0}, "--embedding-size must be at least 1"),
        ({"pretext_weight": 0.0}, "--pretext none"),
    ],
)
def test_bad_configurations_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Config(**wrong)


def test_parameters_of_the_default() -> None:
    with torch.device("meta"):
        model = build(Config(trunk_weights="none"), ODIR, 448)
    assert sum(p.numel() for p in model.parameters()) == 42_500_160 + 8 * 1024 + 1024 * 2048
