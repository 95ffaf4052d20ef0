"""A bundle exported, and read where torch can't be imported: the same reading as torch's."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from conftest import Made
from eyeground.cli.main import main, run
from eyeground.errors import BundleError, UsageError
from eyeground.images.cache import prepare_all
from eyeground.records import Visit
from eyeground.runs import engine, export, onnx_model
from eyeground.runs.bundle import load_bundle, rewrite, rewriting
from eyeground.runs.model import Model, load

WITHOUT_TORCH = """
import importlib.abc, sys
BARRED = ("torch", "torchvision", "timm", "lightning", "onnx", "onnxscript", "sklearn", "scipy")
class Bar(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BARRED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Bar())
from eyeground.cli.main import main
import json
for words in json.loads(sys.argv[1]):
    code = main(words)
    if code:
        sys.exit(f"{words} left with {code}")
print(json.dumps(sorted(sys.modules)))
"""


def without_torch(*commands: list[str]) -> list[str]:
    """Runs commands in one process that can't import torch and its kin; returns the modules it loaded."""
    script = [sys.executable, "-c", WITHOUT_TORCH, json.dumps(commands)]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    names: list[str] = json.loads(done.stdout.splitlines()[-1])
    return names


@pytest.fixture(scope="module")
def exported(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "bundle"
    cohort = ("--layout", "odir", "--root", str(made.root))
    assert run(["export", "--bundle", str(made.bundle), "--out", str(out), *cohort, "--visits", "3"]) == 0
    return out


@pytest.fixture(scope="module")
def half(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("half") / "bundle"
    assert run(["export", "--bundle", str(made.bundle), "--out", str(out), "--visits", "2", "--half"]) == 0
    return out


def pairs(made: Made, folder: Path) -> list[Any]:
    """Prepared visits, some with one eye."""
    preprocessing = load_bundle(folder).preprocessing
    names = [(f"{n}_left.jpg", f"{n}_right.jpg") for n in (1, 2, 3, 4, 5, 6, 7)]
    both = [prepare_all([made.images / name for name in pair], preprocessing) for pair in names]
    return [(None, both[0][1]), *both, (both[1][0], None)]


def visits(count: int) -> list[Visit]:
    return [Visit(str(n), str(n), (None, None), (None,) * 8) for n in range(count)]


def test_the_reading_without_torch_is_that_of_torch(made: Made, exported: Path, tmp_path: Path) -> None:
    photographs = [str(made.images / "1_left.jpg"), str(made.images / "1_right.jpg")]
    alone = ["-", str(made.images / "2_right.jpg")]
    read = ["read", "--bundle", str(exported), "--age", "60"]
    modules = without_torch(
        [*read, *photographs, "--out", str(tmp_path / "onnx")], [*read, *alone, "--out", str(tmp_path / "onnx_one")]
    )
    assert not {"matplotlib", "pandas", "openpyxl"} & set(modules), "slow to import, and a reading needs none of it"
    for name, given in (("torch", photographs), ("torch_one", alone)):
        assert run([*read, *given, "--out", str(tmp_path / name), "--engine", "torch"]) == 0
    for ours, theirs in (("onnx", "torch"), ("onnx_one", "torch_one")):
        one, two = (json.loads((tmp_path / name / "reading.json").read_text()) for name in (ours, theirs))
        assert close(one, two | {"created": one["created"]}), (one, two)
        for path in sorted((tmp_path / theirs / "heatmaps").iterdir()):
            assert (tmp_path / ours / "heatmaps" / path.name).is_file()


def close(one: Any, two: Any) -> bool:
    """Equal JSON values; numbers within 1e-4."""
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(close(one[key], two[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(two) and all(map(close, one, two))
    if isinstance(one, float) and isinstance(two, float):
        return abs(one - two) <= 1e-4 * max(1, abs(two))
    return bool(one == two)


def test_judging_needs_no_torch(made: Made, exported: Path, tmp_path: Path) -> None:
    cohort = ["--layout", "odir", "--root", str(made.root)]
    judge = ["--draws", "0", "--part", "test", "--cache", str(tmp_path / "cache"), "--workers", "1"]
    bundle = ["--bundle", str(exported)]
    sheet = str(tmp_path / "sheet.csv")
    without_torch(
        ["evaluate", *bundle, *cohort, *judge, "--out", str(tmp_path / "judged")],
        ["submit", *bundle, "--images", str(made.images), "--out", sheet, "--cache", str(tmp_path / "cache")],
        ["calibrate", *bundle, *cohort, "--draws", "10", "--out", str(tmp_path / "calibrated")],
        ["cohort", "check", *cohort],
        ["card", "--bundle", str(exported), "--out", str(tmp_path / "card")],
        ["protocol", "list"],
        ["list"],
        ["doctor"],
    )
    assert run(["evaluate", *bundle, *cohort, *judge, "--out", str(tmp_path / "torch"), "--engine", "torch"]) == 0
    one, two = (json.loads((tmp_path / name / "evaluation.json").read_text()) for name in ("judged", "torch"))
    assert close(one["calibrated"], two["calibrated"])
    kept = load_bundle(tmp_path / "calibrated")
    assert kept.has_graph, "what keeps the weights keeps the graph"


@pytest.mark.parametrize("laterality", ["swap", "canonical", "keep"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_laterality_and_mirror_images_as_in_torch(made: Made, exported: Path, laterality: Any, mirrored: bool) -> None:
    bundle = load_bundle(exported)
    bundle = replace(bundle, config={**bundle.config, "predict": {"mirrored": mirrored}})
    theirs = replace(load(exported), bundle=bundle)
    theirs = replace(theirs, recipe=replace(theirs.recipe, laterality=laterality, batch_size=2))
    ours = onnx_model.load(bundle)
    ours = replace(ours, record=replace(ours.record, laterality=laterality))
    eyes = pairs(made, exported)
    one, two = (model.predict(visits(len(eyes)), eyes, evidence=True) for model in (ours, theirs))
    for name in ("visit_logits", "eye_logits", "evidence", "map_shift"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), atol=1e-4, rtol=1e-4, err_msg=name)
    assert one.placement == two.placement
    assert (one.ids, ours.map_note) == (two.ids, theirs.map_note)
    plain = ours.predict(visits(len(eyes)), eyes, evidence=False)
    assert plain.evidence is None
    np.testing.assert_array_equal(plain.visit_logits, one.visit_logits)


def test_half_precision_stores_matrices_only_and_torch_reads_it(made: Made, exported: Path, half: Path) -> None:
    weights, before = (load_file(str(folder / "weights.safetensors")) for folder in (half, made.bundle))
    assert weights.keys() == before.keys()
    for name, value in weights.items():
        matrix = before[name].dtype == np.float32 and sum(side > 1 for side in value.shape) > 1
        assert value.dtype == (np.float16 if matrix else before[name].dtype), name
        np.testing.assert_array_equal(value, before[name].astype(value.dtype))
    eyes = pairs(made, half)
    model = load(half)
    assert all(one.dtype.itemsize >= 4 for one in model.network.parameters()), "computed with in float32"
    one = onnx_model.load(load_bundle(half)).predict(visits(len(eyes)), eyes, evidence=True)
    two = model.predict(visits(len(eyes)), eyes, evidence=True)
    full = load(exported).predict(visits(len(eyes)), eyes, evidence=True)
    np.testing.assert_allclose(one.visit_logits, two.visit_logits, atol=1e-4)
    np.testing.assert_allclose(one.visit_logits, full.visit_logits, atol=0.02)
    assert not np.array_equal(two.visit_logits, full.visit_logits), "half precision is another model"
    record = json.loads((half / "onnx.json").read_text())
    assert 0 <= record["largest_difference"] <= export.TOLERANCE
    small, large = ((folder / "weights.safetensors").stat().st_size for folder in (half, exported))
    assert small < 0.6 * large
    assert load_bundle(half).metrics["made_from"]["by"] == "export"


def test_other_weights_lose_the_graph(exported: Path, half: Path, tmp_path: Path) -> None:
    bundle = load_bundle(exported)
    rewrite(bundle, tmp_path / "same", {}, {"card.md": "other words"})
    assert load_bundle(tmp_path / "same").has_graph
    with rewriting(bundle, tmp_path / "other", {}, {}) as place:
        (place / "weights.safetensors").write_bytes((half / "weights.safetensors").read_bytes())
    other = load_bundle(tmp_path / "other")
    assert not other.has_graph
    assert not (tmp_path / "other" / "onnx.json").exists()
    with pytest.raises(UsageError, match=r"has no model\.onnx; make it with `eyeground export"):
        engine.open_model(tmp_path / "other", "onnx")
    assert isinstance(engine.open_model(tmp_path / "other"), Model)
    assert isinstance(engine.open_model(exported), onnx_model.OnnxModel)


def test_a_graph_that_differs_is_not_written(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:

    out = tmp_path / "out"
    words = ["export", "--bundle", str(made.bundle), "--out", str(out), "--visits", "1"]
    monkeypatch.setattr(export, "TOLERANCE", 0.0)
    assert main(words) == 2
    assert "nothing was written" in capsys.readouterr().err
    assert not out.exists()


def test_refusals(
    made: Made, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--bundle", str(made.bundle), "--out", str(made.bundle)]) == 2
    assert "never changed in place" in capsys.readouterr().err
    assert main(["export", "--bundle", str(made.bundle), "--out", str(tmp_path / "x"), "--layout", "odir"]) == 2
    assert "--layout and --root" in capsys.readouterr().err
    monkeypatch.setattr(engine, "BOX", tmp_path / "nothing")
    with pytest.raises(UsageError, match="no model in the box; give one with --bundle"):
        engine.open_model()
    monkeypatch.setattr(engine, "BOX", exported)
    assert engine.open_model().bundle.digest == load_bundle(exported).digest
    monkeypatch.setattr(engine.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"eyeground export.*pip install 'eyeground\[train\]'"):
        engine.open_model(made.bundle)
    stray = tmp_path / "stray"
    rewrite(load_bundle(exported), stray, {}, {})
    (stray / "weights.safetensors").write_bytes(load_bundle(exported).weights.read_bytes() + b" ")
    with pytest.raises(BundleError, match="is of other weights"):
        onnx_model.load(replace(load_bundle(exported), folder=stray))
    altered = tmp_path / "altered"
    rewrite(load_bundle(exported), altered, {}, {})
    (altered / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleError, match="altered"):
        engine.open_model(altered)
    with pytest.raises(BundleError, match="ONNX Runtime can't run"):
        onnx_model.load(replace(load_bundle(exported), folder=altered))
