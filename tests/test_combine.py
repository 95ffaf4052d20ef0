"""`combine`: the mean of several networks is one bundle, and what can't be averaged is refused. Keywords are taught."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from batches_made import made_batch
from conftest import TINY, Made
from eyeground.augment import mirror
from eyeground.cli.main import main, run
from eyeground.cohorts import read_cohort
from eyeground.errors import UsageError
from eyeground.methods import pair
from eyeground.metrics.predictions import read_predictions
from eyeground.mixing import Mix, mixed
from eyeground.nets.fusion import max_logits
from eyeground.records import keyword_states
from eyeground.runs.bundle import load_bundle
from eyeground.runs.fit import common_keywords
from eyeground.runs.model import load
from eyeground.vocabulary import ODIR

SMALL = pair.Config(trunk="test_resnet", trunk_weights="none")


@pytest.fixture(scope="module")
def second(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another network on the same split, that was taught keywords beside the labels."""
    out = tmp_path_factory.mktemp("second")
    cohort = ["--layout", "odir", "--root", str(made.root), "--cache", str(made.cache), "--split", str(made.split)]
    assert (
        run(["train", *cohort, *TINY, "--seed", "1", "--findings", "3", "--sharpness", "0.5", "--out", str(out)]) == 0
    )
    return out / "bundle"


@pytest.fixture
def where(made: Made) -> list[str]:
    return ["--layout", "odir", "--root", str(made.root), "--cache", str(made.cache)]


def test_a_joint_bundle_says_the_mean_of_its_members(
    made: Made,
    second: Path,
    where: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[np.ndarray] = []
    monkeypatch.setattr("eyeground.runs.combine.evidence_scale", lambda maps, every: seen.append(maps) or 7.0)
    out = tmp_path / "joint"
    capsys.readouterr()
    words = ["combine", "--bundles", str(made.bundle), str(second), *where, "--out", str(out)]
    assert run([*words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [one["digest"] for one in report["members"]] == [load_bundle(b).digest for b in (made.bundle, second)]
    joint, members = load(out), [load(made.bundle), load(second)]
    assert joint.bundle.config["predict"]["members"] == 2
    assert not any("findings" in name for name, _ in joint.network.named_parameters())
    assert joint.bundle.conformal is not None and joint.map_note == members[0].map_note
    batch = replace(made_batch(), seen=torch.tensor([[True, True], [True, False], [False, True]] * 2))
    with torch.inference_mode():
        found, said = joint.network(batch), [one.network(batch) for one in members]
    eyes = (said[0].eye_logits + said[1].eye_logits) / 2
    every = torch.tensor([label.visit == "all" for label in ODIR.labels])
    torch.testing.assert_close(found.eye_logits, eyes, equal_nan=True)
    torch.testing.assert_close(found.evidence.mean((3, 4)), eyes, equal_nan=True, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.visit_logits, max_logits(eyes, batch.seen, every))
    assert joint.bundle.evidence_scale == 7
    assert seen[0].shape[:3] == (12, 2, 8), "measured on the mean's own maps of the validation part"
    judged = ["evaluate", "--bundle", str(out), *where, "--part", "test", "--draws", "0", "--out", str(tmp_path / "j")]
    assert run(judged) == 0
    assert np.isfinite(read_predictions(tmp_path / "j" / "predictions.csv", ODIR.codes).probability).all()


def test_what_has_no_mean_is_refused(
    made: Made, second: Path, where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    cohort = ["--layout", "odir", "--root", str(made.root), "--cache", str(made.cache), "--split", str(made.split)]
    assert run(["train", *cohort, *TINY, "--epochs", "1", "--pooling", "gmp", "--out", str(other)]) == 0
    for bundles, says in (
        ([made.bundle], "two or more"),
        ([made.bundle, made.bundle], "given twice"),
        ([made.bundle, other / "bundle"], "differ in pooling (gmp, gap)"),
        ([made.bundle, tmp_path / "none"], "no bundle at"),
    ):
        capsys.readouterr()
        out = tmp_path / "joint"
        assert main(["combine", "--bundles", *map(str, bundles), *where, "--out", str(out)]) == 2
        assert says in capsys.readouterr().err
        assert not out.exists()
    assert run(["combine", "--bundles", str(made.bundle), str(second), *where, "--out", str(tmp_path / "joint")]) == 0
    nested = ["combine", "--bundles", str(tmp_path / "joint"), str(second), *where, "--out", str(tmp_path / "nested")]
    assert main(nested) == 2
    assert "itself a mean" in capsys.readouterr().err
    begin = ["train", *cohort, *TINY, "--init", str(tmp_path / "joint"), "--out", str(tmp_path / "begun")]
    assert main(begin) == 2
    assert "mean of 2 networks; start from one of them" in capsys.readouterr().err
    with pytest.raises(UsageError, match="can't be joined"):
        pair.joined([], replace(SMALL, fusion="sum"))


def test_keywords_are_taught_and_travel_with_their_eye(made: Made, second: Path) -> None:
    cohort = read_cohort("odir", made.root)
    names = load_bundle(second).config["data"]["findings"]
    train = load_bundle(second).metrics["parts"]["train"]
    assert len(names) == 3 and train["visits"] > 10
    assert "normal fundus" not in names
    ids = [visit.id for visit in cohort.visits]
    assert common_keywords(cohort, ids, 2) == common_keywords(cohort, ids, 5)[:2]
    with pytest.raises(UsageError, match=r"--findings 99: .* different keywords"):
        common_keywords(cohort, ids, 99)
    states = keyword_states(cohort.visits, names)
    first = cohort.visits[0]
    for side, eye in enumerate(first.eyes):
        assert eye is not None
        assert states[0, side].tolist() == [float(name in eye.keywords) for name in names]
    findings = torch.tensor([[[1.0, 0.0], [0.0, torch.nan]], [[0.0, 0.0], [1.0, 1.0]]])
    batch = replace(made_batch(2), seen=torch.ones(2, 2, dtype=torch.bool), findings=findings)
    turned = mirror(batch, torch.tensor([True, False])).findings
    assert turned is not None
    torch.testing.assert_close(turned, torch.stack([findings[0].flip(0), findings[1]]), equal_nan=True)
    mix = Mix(torch.tensor([1, 1]), torch.tensor([0.5, 1.0]))
    joined = mixed(batch, mix, torch.tensor([label.visit == "all" for label in ODIR.labels])).findings
    assert joined is not None
    torch.testing.assert_close(joined[0], torch.tensor([[1.0, 0.0], [1.0, torch.nan]]), equal_nan=True)
    torch.testing.assert_close(joined[1], findings[1])


def test_keywords_move_the_trunk_and_unseen_eyes_do_not() -> None:
    config = replace(SMALL, findings=2, findings_weight=2.0)
    torch.manual_seed(0)
    net = pair.build(config, ODIR, 48)
    pair.start(net, config, torch.zeros(4, 8), torch.ones(4, 8))
    batch = made_batch()
    findings = torch.where(torch.rand(len(batch), 2, 2) < 0.5, 1.0, 0.0)
    parts = pair.loss(net, replace(batch, findings=findings), config)
    expected = parts["eye"] + parts["visit"] + 2 * parts["findings"]
    torch.testing.assert_close(parts["total"], expected)
    parts["findings"].backward()
    gradients = [one.grad for one in net.trunk.parameters() if one.grad is not None]
    assert gradients and all(bool(one.isfinite().all()) for one in gradients)
    assert any(bool(one.any()) for one in gradients)
    assert net.eval()(batch).findings is None
    nothing = torch.full_like(findings, torch.nan)
    assert not pair.loss(net.train(), replace(batch, findings=nothing), config)["findings"].detach().any()


@pytest.mark.parametrize(
    ("flags", "says"), [({"findings": -1}, "must not be negative"), ({"findings_weight": 2.0}, "no")]
)
def test_flags_that_can_not_be(flags: dict[str, float], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        replace(SMALL, **flags)
