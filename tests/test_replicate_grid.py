"""Grids: what is refused before anything runs, in which order runs stand, and that the shipped grid is sound."""

from __future__ import annotations

from pathlib import Path

import pytest

from eyeground.errors import UsageError
from eyeground.runs.replicate.grid import read_grid, resolve
from eyeground.runs.replicate.plan import settings_of
from grids_made import COMMON, SYSTEMS, grid_file

GRIDS = Path(__file__).resolve().parents[1] / "grids"
BAD = {
    "nme = 'x'": "unknown key 'nme'.*did you mean 'name'",
    "[common]\nsizes = 3": r"unknown key 'sizes' in \[common\].*did you mean 'size'",
    "[[system]]\nname = 'a'\nmethod = 'pear'": "no method 'pear'; did you mean 'pair'",
    "[[system]]\nname = 'a'": "has no 'method'",
    "[[system]]\nname = 'a'\nmethod = 'pair'\nfusoin = 'max'": "unknown key 'fusoin'.*did you mean 'fusion'",
    "[[system]]\nname = 'a'\nmethod = 'pair'\nfusion = 'sideways'": "'fusion' in system 'a' can't be 'sideways'",
    "[[system]]\nname = 'a'\nmethod = 'pair'\ndropout = 2.0": "system 'a': --dropout must be in",
    "[[system]]\nname = 'a'\nmethod = 'pair'\ntrunk = 'test_resnt'": "'a': no trunk.*did you mean 'test_resnet",
    "[[system]]\nname = 'a'\nmethod = 'pair'\nseed = 3": r"seeds = \[3\]",
    "[[system]]\nname = 'a'\nmethod = 'pair'\nfolds = [3]": "fold 3.*has folds 0 to 2",
    "[[system]]\nname = 'a b'\nmethod = 'pair'": "small letters",
    "[[system]]\nname = 'a'\nmethod = 'pair'\nrecipe = 'secret'": "recipe must be paper or common",
    "[[system]]\nname = 'a'\nmethod = 'pair'\nprotocol = 'odir-4fold'": "no protocol 'odir-4fold'",
    "[[system]]\nname = 'pair-max'\nmethod = 'pair'": "two systems called 'pair-max'",
    "[[more]]\nsystems = ['pair-mx']": "names 'pair-mx'.*did you mean 'pair-max'",
    "[[claim]]\npaper='p'\ntext='t'\nbetter='pair-max'\nworse='pair-som'": "names 'pair-som'.*did you mean 'pair-sum'",
    "[[claim]]\npaper='p'\ntext='t'\nbetter='pair-max'\nworse='pair-max'": "give two systems",
    "[[claim]]\npaper='p'\ntext='t'\nbetter='pair-max'\nworse='pair-sum'\nmeasure='luck'": "none of macro_auc",
    "[[claim]]\npaper='p'\ntext='t'\nworse='pair-sum'": "has no 'better'",
    "extends = 'grid.toml'": "extends itself",
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: text.replace("\n", " ")[-40:])
def test_a_bad_grid_is_refused_with_what_to_mend(text: str, tmp_path: Path) -> None:
    above = "" if text.startswith("[") else text + "\n"
    common = COMMON if not text.startswith("[common]") else text
    below = text if text.startswith("[[") else ""
    if text.startswith("nme"):
        common = common.replace("name =", "nme =")
        above = ""
    with pytest.raises(UsageError, match=f"(?s){BAD[text]}"):
        read_grid(grid_file(tmp_path, above + common + SYSTEMS + below))


def test_runs_stand_by_round_then_as_written_and_none_twice(tmp_path: Path) -> None:
    more = "\n[[more]]\nsystems = ['pair-sum']\nseeds = [0, 2]\nfolds = [0, 1]\n"
    grid = read_grid(grid_file(tmp_path, COMMON + SYSTEMS.replace("seeds = [0, 1]", "seeds = [0]") + more))
    assert [run.name for run in grid.runs] == [
        "pair-max-f0-s0",
        "pair-sum-f0-s0",
        "pair-sum-f0-s2",
        "pair-sum-f1-s0",
        "pair-sum-f1-s2",
    ]
    assert grid.chosen(1, ()) == {"pair-max-f0-s0", "pair-sum-f0-s0"}
    assert grid.chosen(None, ("pair-max",)) == {"pair-max-f0-s0"}
    with pytest.raises(UsageError, match="did you mean 'pair-max'"):
        grid.chosen(None, ("pair-mix",))


def test_settings_of_a_run_are_the_common_ones_under_its_own(tmp_path: Path) -> None:
    run = read_grid(grid_file(tmp_path)).runs[2]
    recipe, model = resolve(run)
    assert (recipe.size, recipe.seed, model.fusion, model.trunk) == (64, 0, "sum", "test_resnet")
    assert settings_of(run)["seed"] == 0 and settings_of(run)["method"] == "pair"


def test_weights_of_this_machine_go_to_their_trunk_only(tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    weights.touch()
    path = grid_file(tmp_path)
    for text, expected in (
        (f"test_resnet={weights}", str(weights)),
        (f"resnet50={weights}", "none"),
        ("imagenet", "imagenet"),
    ):
        assert read_grid(path, (text,)).runs[0].system.flags["trunk_weights"] == expected
    with pytest.raises(UsageError, match="no file"):
        read_grid(path, (f"test_resnet={tmp_path}/absent.safetensors",))


def test_a_grid_extends_another_with_other_common_flags(tmp_path: Path) -> None:
    grid_file(tmp_path)
    small = tmp_path / "smaller.toml"
    small.write_text('extends = "grid.toml"\nname = "smaller"\n[common]\nsize = 32\n', encoding="utf-8")
    grid = read_grid(small)
    assert grid.name == "smaller" and len(grid.runs) == 3 and len(grid.claims) == 1
    assert resolve(grid.runs[0])[0].size == 32 and resolve(grid.runs[0])[0].epochs == 1


@pytest.mark.parametrize("path", sorted(GRIDS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_grids_are_sound(path: Path) -> None:
    grid = read_grid(path)
    claimed = {name for claim in grid.claims for name in (claim.better, claim.worse)}
    assert len(grid.systems) > 40 and len(claimed) > 30
    assert claimed <= {run.system.name for run in grid.runs if run.round <= 1}


def test_rounds_count_from_any_number_and_an_empty_choice_is_refused(tmp_path: Path) -> None:
    more = "\n[[more]]\nsystems = ['pair-sum']\nround = 0\n[[more]]\nsystems = ['pair-sum']\nseeds = [3]\n"
    grid = read_grid(grid_file(tmp_path, COMMON + SYSTEMS + more))
    assert grid.chosen(0, ()) == {"pair-sum-f0-s0"}, "round 0 is a round, not all of them"
    assert grid.chosen(1, ["pair-max"]) == {"pair-max-f0-s0", "pair-max-f0-s1"}
    assert grid.chosen(None, ()) == {run.name for run in grid.runs} > grid.chosen(1, ())
    with pytest.raises(UsageError, match="--rounds 0: the first round of what is asked for is 1"):
        grid.chosen(0, ["pair-max"])
    with pytest.raises(UsageError, match=r"--rounds -1.*is 0; give 0 or more"):
        grid.chosen(-1, ())
    idle = read_grid(grid_file(tmp_path, COMMON + SYSTEMS + "[[system]]\nname = 'x'\nmethod = 'pair'\nseeds = []\n"))
    assert idle.chosen(None, ["x"]) == idle.chosen(1, ["x"]) == set()
