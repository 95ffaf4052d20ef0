"""`eyeground blend` on a made cohort: fitted, judged, applied again, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import TINY, Made
from eyeground.cli.main import main, run
from eyeground.metrics.predictions import read_predictions
from eyeground.runs import blend as blending
from eyeground.runs.blend_features import Wanted
from eyeground.runs.blend_folder import load_networks
from eyeground.runs.place import Place
from eyeground.vocabulary import ODIR

SMALL = ("--trees", "5", "--draws", "100", "--rare-by-mean", "--seed", "1")


@pytest.fixture(scope="module")
def where(made: Made) -> list[str]:
    return ["--layout", "odir", "--root", str(made.root), "--cache", str(made.cache)]


@pytest.fixture(scope="module")
def second(made: Made, where: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same training from another seed."""
    out = tmp_path_factory.mktemp("second")
    assert run(["train", *where, "--split", str(made.split), "--out", str(out), *TINY, "--seed", "1"]) == 0
    return out / "bundle"


@pytest.fixture(scope="module")
def fitted(made: Made, where: list[str], second: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("blend") / "forest"
    bundles = ["--bundles", str(made.bundle), str(second)]
    assert run(["blend", *bundles, *where, *SMALL, "--out", str(out)]) == 0
    return out


def test_a_blend_is_judged_beside_what_it_is_made_of(fitted: Path, made: Made) -> None:
    record = json.loads((fitted / "judged.json").read_text())
    assert list(record["judged"]) == ["network 1", "network 2", "mean of networks", "forest"]
    assert record["part"] == "test" and record["fitted_on"]["part"] == "val" and "stamp" not in record
    assert record["leak_audit"]["passed"]
    assert record["visits"] == record["judged"]["forest"]["n"] == 18
    for level in ("visits", "eyes"):
        compared = record["compared"][level]
        assert [(one["name"], one["runs"]) for one in compared["systems"]] == [
            ("one network", 2),
            ("mean of networks", 1),
            ("forest", 1),
        ]
    assert record["compared"]["eyes"]["n"] > record["visits"], "photographs, of no more patients"
    assert record["compared"]["eyes"]["patients"] <= record["compared"]["visits"]["patients"]
    names = {"network_1.csv", "network_2.csv", "mean_of_networks.csv", "predictions.csv"}
    assert names | {"blend.json", "blend.safetensors", "manifest.json", "judged.json"} == {
        path.name for path in fitted.iterdir()
    }


def test_a_network_in_a_blend_is_the_network_that_evaluate_judges(
    fitted: Path, made: Made, where: list[str], tmp_path: Path
) -> None:
    words = ["evaluate", "--bundle", str(made.bundle), *where, "--part", "test", "--draws", "0", "--out", str(tmp_path)]
    assert run([*words, "--no-subgroups", "--no-gallery"]) == 0
    one, two = (read_predictions(path, ODIR.codes) for path in (fitted / "network_1.csv", tmp_path / "predictions.csv"))
    assert one.ids == two.ids
    np.testing.assert_allclose(one.probability, two.probability, atol=1e-6)


def test_a_blend_at_work_says_what_it_said(fitted: Path, where: list[str], tmp_path: Path) -> None:
    out = tmp_path / "again.csv"
    assert run(["blend", "--apply", str(fitted), *where, "--part", "test", "--predictions", str(out)]) == 0
    one, two = (read_predictions(path, ODIR.codes) for path in (fitted / "predictions.csv", out))
    assert one.ids == two.ids and np.allclose(one.probability, two.probability, atol=1e-12)


def test_refusals_are_one_sentence(
    fitted: Path,
    made: Made,
    second: Path,
    where: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    apply = ["blend", "--apply", str(fitted), *where]
    fit = ["blend", *where, "--out", str(tmp_path / "x"), "--bundles", str(made.bundle)]
    csv = ["--predictions", str(tmp_path / "x.csv")]
    moved = tmp_path / "deep" / "down" / "moved"
    shutil.copytree(fitted, moved)
    altered = tmp_path / "altered"
    shutil.copytree(fitted, altered)
    (altered / "blend.json").write_text((altered / "blend.json").read_text().replace('"eye"', '"visit"'))
    bundle = tmp_path / "bundle"
    shutil.copytree(second, bundle)
    (bundle / "thresholds.json").write_text("{}")
    for words, says in (
        ([*apply, *csv, "--part", "val"], "fitted on the validation part"),
        ([*apply, *csv, "--part", "all"], "fitted on the validation part"),
        ([*apply, *csv], "shared patient"),
        ([*apply, *csv, "--part", "test", "--bundles", str(second)], "needs the bundle"),
        ([*apply], "give --predictions"),
        (["blend", "--apply", str(tmp_path), *where, *csv], "no blend at"),
        (["blend", "--apply", str(altered), *where, *csv], "was altered: blend.json"),
        (["blend", "--apply", str(moved), *where, *csv], "no bundle at"),
        ([*fit, str(made.bundle)], "are one bundle"),
        ([*fit, str(bundle)], "was altered: thresholds.json"),
        ([*fit, str(second)], "--rare-by-mean"),
        ([*fit, str(second), "--part", "test"], "go with --apply"),
        ([*fit, str(second), "--trees", "0"], "give 1 or more"),
        (["blend", *where, "--out", str(tmp_path / "x")], "give --bundles"),
    ):
        capsys.readouterr()
        assert main(words) == 2, words
        err = capsys.readouterr().err
        assert says in err and err.count("eyeground: error:") == 1, (words, err)
    assert not (tmp_path / "x").exists() and not (tmp_path / "x.csv").exists()


def test_networks_of_another_split_are_refused(
    made: Made, where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = tmp_path / "split.json"
    shares = ["--folds", "1", "--test-share", "0.3", "--val-share", "0.2", "--seed", "4"]
    assert run(["cohort", "split", *where[:4], *shares, "--out", str(split)]) == 0
    run(["train", *where, "--split", str(split), "--out", str(tmp_path / "run"), *TINY, "--epochs", "1"])
    capsys.readouterr()
    words = ["blend", *where, "--out", str(tmp_path / "x"), "--bundles", str(made.bundle)]
    assert main([*words, str(tmp_path / "run" / "bundle")]) == 2
    assert "one split and fold" in capsys.readouterr().err


def test_a_blend_of_training_visits_is_marked(
    made: Made, second: Path, where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundles = ["--bundles", str(made.bundle), str(second)]
    assert run(["blend", *bundles, *where, *SMALL, "--fit", "train", "--out", str(tmp_path / "x")]) == 0
    assert "trained its networks" in capsys.readouterr().err
    record = json.loads((tmp_path / "x" / "judged.json").read_text())
    assert "trained its networks" in record["note"] and record["fitted_on"]["visits"] > 20
    assert read_predictions(tmp_path / "x" / "predictions.csv", ODIR.codes).stamp is None, "test visits are unseen"


@pytest.mark.parametrize("kind", ["logits", "pooled", "both"])
def test_features_of_one_eye_do_not_know_of_the_other(made: Made, where: list[str], kind: str) -> None:
    from eyeground.cohorts import CohortOptions, read_cohort
    from eyeground.runs.blend_features import ask, held
    from eyeground.runs.data import prepare_visits

    (model,) = load_networks([made.bundle], Place(accelerator="cpu"))
    cohort = read_cohort("odir", made.root, CohortOptions())
    visits = cohort.with_images()[:8]
    found = prepare_visits(visits, model.bundle.preprocessing, made.cache, 1, lambda items, label, total=None: items)
    pairs = [found.eyes[visit.id] for visit in visits]
    wanted = Wanted(kind)  # type: ignore[arg-type]
    whole = ask(model, held(model, visits, pairs), wanted)
    left = ask(model, held(model, visits, [(pair[0], None) for pair in pairs]), wanted)
    assert whole.mean.shape[2] == {"logits": 8, "pooled": model.network.trunk.channels}.get(
        kind, 8 + model.network.trunk.channels
    )
    np.testing.assert_allclose(left.mean[:, 0], whole.mean[:, 0], atol=1e-4)
    assert np.isnan(left.mean[:, 1]).all() and not np.isnan(whole.mean).any()
    if kind == "logits":
        two = ask(model, held(model, visits[:3], pairs[:3]), Wanted(views=3, seed=5))
        three = ask(model, held(model, visits[::-1], pairs[::-1]), Wanted(views=3, seed=5))
        assert two.deviation is not None and three.deviation is not None and (two.deviation > 0).all()
        np.testing.assert_allclose(three.mean[::-1][:3], two.mean, atol=1e-4)
        np.testing.assert_allclose(three.deviation[::-1][:3], two.deviation, atol=1e-4)


def test_with_both_eyes_keeps_visits_and_truth_together(made: Made, where: list[str]) -> None:
    from eyeground.cohorts import CohortOptions, read_cohort
    from eyeground.runs.unseen import Asked

    (model,) = load_networks([made.bundle], Place(accelerator="cpu"))
    cohort = read_cohort("odir", made.root, CohortOptions())
    desk = blending.Desk(
        Place(accelerator="cpu", cache=made.cache), lambda items, label, total=None: iter(items), print
    )
    answers = blending.gather([model], Asked(cohort, None, "test"), Wanted(), desk)
    both = blending.with_both_eyes(answers)
    wanted = [visit for visit in answers.visits if all(visit.seen)]
    assert 0 < len(both.visits) <= len(answers.visits) and list(both.visits) == wanted
    assert both.truth.patients.tolist() == [visit.patient for visit in wanted]
