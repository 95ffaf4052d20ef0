"""The model in the box: whole, small, without pictures of anybody, and the same by both engines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from eyeground.cli.main import main, run
from eyeground.cohorts import read_cohort
from eyeground.errors import ImageError
from eyeground.images.cache import prepare_all
from eyeground.leaks import WITHHELD
from eyeground.records import Visit
from eyeground.runs.bundle import load_bundle
from eyeground.runs.engine import BOX, Reader, open_model
from eyeground.splits import Split
from eyeground.vocabulary import ODIR

RECORD = Path(__file__).parents[1] / "benchmarks" / "results" / "box.json"


def same_by_both_engines(root: Path, count: int) -> None:
    """Logits and evidence by ONNX Runtime and torch, for `count` visits with two eyes and one of these with one."""
    readers: list[Reader] = [open_model(engine=engine) for engine in ("onnx", "torch")]
    visits = [visit for visit in read_cohort("odir", root).visits if all(visit.seen)][:count]
    pairs = []
    for visit in visits:
        left, right = prepare_all([eye.path for eye in visit.listed() if eye.path], readers[0].bundle.preprocessing)
        assert not isinstance(left, ImageError) and not isinstance(right, ImageError)
        pairs.append((left, right))
    last: Visit = visits[-1]
    one, two = (reader.predict([*visits, last], [*pairs, (None, pairs[-1][1])], True) for reader in readers)
    np.testing.assert_allclose(one.visit_logits, two.visit_logits, atol=1e-4, rtol=1e-4)
    assert one.evidence is not None and two.evidence is not None and one.eye_logits is not None
    np.testing.assert_allclose(one.evidence, two.evidence, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(one.evidence.mean((3, 4)), one.eye_logits, atol=1e-4, rtol=1e-4)
    assert np.isnan(one.eye_logits[-1, 0]).all() and np.isfinite(one.visit_logits).all()


def test_it_is_whole_small_and_the_one_that_was_judged() -> None:
    bundle, record = load_bundle(BOX), json.loads(RECORD.read_text(encoding="utf-8"))["figures"]
    assert bundle.digest == record["shipped"]["digest"]
    assert bundle.config == record["config"] and bundle.has_graph
    assert bundle.vocabulary.codes == ODIR.codes and bundle.conformal is not None
    assert sum(path.stat().st_size for path in BOX.iterdir()) <= 16 * 2**20
    told = (BOX / "LICENSE").read_text(encoding="utf-8") + (BOX / "card.md").read_text(encoding="utf-8")
    assert "Research use only. Not a medical device." in told and "for research" in told


def test_nothing_of_anybodys_photograph_is_in_it() -> None:
    split = Split.load(BOX / "split.json")
    assert split.hash == load_bundle(BOX).config["data"]["split_hash"]
    assert {one.signature for one in split.fingerprints} == {WITHHELD}
    assert not (BOX / "chosen_on.json").exists()


def test_both_engines_say_the_same(made_cohort: Path) -> None:
    same_by_both_engines(made_cohort, 2)


@pytest.mark.real
def test_both_engines_say_the_same_of_real_eyes(real_data: Path) -> None:
    same_by_both_engines(real_data / "odir5k", 4)


def test_it_is_the_default_of_read(
    made_cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    images = made_cohort / "ODIR-5K_Training_Images"
    capsys.readouterr()
    assert run(["read", str(images / "1_left.jpg"), str(images / "1_right.jpg"), "--json"]) == 0
    reading = json.loads(capsys.readouterr().out)
    assert reading["model"]["bundle_digest"] == load_bundle(BOX).digest
    assert [one["code"] for one in reading["findings"]] == list(ODIR.codes)
    assert not list(tmp_path.iterdir()), "nothing is written without --out"
    assert reading["eyes"][0]["heatmaps"] == {} and len(reading["eyes"][0]["evidence_peak"]) == 8
    assert main(["read", "--table", "pairs.csv"]) == 2
    assert "--table needs --out" in capsys.readouterr().err
