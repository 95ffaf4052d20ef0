"""`train --init`: the trunk comes over whole, never from a bundle that knows this run's held-out patients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from conftest import TINY, Made
from eyeground.cli.main import run
from eyeground.cohorts import odir
from eyeground.cohorts.options import CohortOptions
from eyeground.errors import LeakError, UsageError
from eyeground.methods import pair, two_experts
from eyeground.records import Cohort
from eyeground.runs.bundle import load_bundle, rewrite
from eyeground.runs.chosen import chosen_on
from eyeground.runs.inherit import BY, inherit, start_trunk
from eyeground.runs.optimise import freeze
from eyeground.splits import Parts, Split
from eyeground.vocabulary import ODIR


@pytest.fixture(scope="module")
def cohort(made: Made) -> Cohort:
    return odir.read(made.root, CohortOptions())


def flags(made: Made, out: Path, *more: str) -> list[str]:
    tiny = [*TINY]
    tiny[tiny.index("--epochs") + 1] = "1"
    where = ["--layout", "odir", "--root", str(made.root), "--split", str(made.split), "--cache", str(made.cache)]
    return ["train", *where, "--out", str(out), *tiny, *more]


def test_a_trunk_that_is_held_still_is_the_first_bundles_to_the_bit(made: Made, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run(flags(made, out, "--init", str(made.bundle), "--trunk-lr", "0", "--curriculum", "none")) == 0
    first, second = (load_file(str(bundle / "weights.safetensors")) for bundle in (made.bundle, out / "bundle"))
    trunk = [key for key in first if key.startswith("trunk.")]
    assert any("running_mean" in key for key in trunk)
    assert all(torch.equal(first[key], second[key]) for key in trunk), "weights, running means and their counts"
    assert not torch.equal(first["evidence.weight"], second["evidence.weight"])
    made_of = load_bundle(out / "bundle")
    assert made_of.config["data"]["init"] == load_bundle(made.bundle).digest
    assert chosen_on(made_of) == (), "the same fold of the same split: split.json tells everything"
    with pytest.raises(UsageError, match=r"holds a run with other settings .*init: "):
        run(flags(made, out, "--trunk-lr", "0"))


def test_a_bundle_that_knows_the_held_out_patients_is_refused(made: Made, cohort: Cohort, tmp_path: Path) -> None:
    split = Split.load(made.split)
    parts = split.folds[0]
    assert inherit(made.bundle, split, 0, cohort).seen == ()
    for train, val, test in (
        (parts.train[1:], parts.val, (*parts.test, parts.train[0])),
        (parts.train[1:], (*parts.val, parts.train[0]), parts.test),
        (parts.train, parts.test, parts.val),  # its validation part chose its epoch
    ):
        other = replace(split, hash="other", folds=(Parts(train, val, test),))
        with pytest.raises(LeakError, match=r"--init .* has learnt from patients .*the same fold of the same split"):
            inherit(made.bundle, other, 0, cohort)
    again = tmp_path / "split.json"
    where = ("--layout", "odir", "--root", str(made.root), "--folds", "1", "--test-share", "0.3", "--seed", "5")
    assert run(["cohort", "split", *where, "--out", str(again)]) == 0
    arguments = flags(made, tmp_path / "run", "--init", str(made.bundle))
    arguments[arguments.index("--split") + 1] = str(again)
    with pytest.raises(LeakError, match="--init"):
        run(arguments)


def test_what_the_first_trunk_has_seen_travels_with_the_bundle(made: Made, cohort: Cohort, tmp_path: Path) -> None:
    split = Split.load(made.split)
    parts = split.folds[0]
    smaller = replace(split, hash="other", folds=(Parts(parts.train[5:], parts.val, parts.test),))
    inherited = inherit(made.bundle, smaller, 0, cohort)
    (told,) = inherited.seen
    assert told.by == BY
    assert {one.visit for one in told.fingerprints} == set(parts.train[:5]), "what split.json will not tell"
    second = tmp_path / "second"
    rewrite(load_bundle(made.bundle), second, inherited.tables(), {})
    assert chosen_on(load_bundle(second)) == inherited.seen
    strangers = replace(split, hash="third", folds=(Parts(parts.train[5:], parts.val, parts.train[:2]),))
    with pytest.raises(LeakError, match="--init"):
        inherit(second, strangers, 0, cohort)


def test_both_trunks_of_two_experts_start_from_the_one(made: Made) -> None:
    model = two_experts.build(two_experts.Config("test_resnet", "none", shared_trunk=False), ODIR, 64)
    start_trunk(model, load_bundle(made.bundle))
    first = load_file(str(made.bundle / "weights.safetensors"))
    for trunk in (model.trunk, model.trunk_multi):
        assert trunk is not None
        assert all(torch.equal(value, first[f"trunk.{key}"]) for key, value in trunk.state_dict().items())


def test_other_trunks_and_none_are_refused(made: Made) -> None:
    bundle = load_bundle(made.bundle)
    for stages in ((8,), (16,)):
        model = pair.build(pair.Config("test_resnet", "none", stages=stages), ODIR, 64)
        with pytest.raises(UsageError, match=r"trunk test_resnet\) does not fit this one .*use the same --trunk"):
            start_trunk(model, bundle)
    with pytest.raises(UsageError, match="this method has none"):
        start_trunk(nn.Linear(2, 2), bundle)
    with pytest.raises(UsageError, match="this method has none"):
        freeze(nn.Linear(2, 2))
