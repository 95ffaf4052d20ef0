"""Verdicts on planted predictions, tables and the figure made from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eyeground.errors import DataError
from eyeground.metrics.compare_pairs import Rules
from eyeground.runs.replicate.claims import judge_claim, shared_cells, system_numbers, verdict, with_holm
from eyeground.runs.replicate.figure import forest
from eyeground.runs.replicate.grid import Claim
from eyeground.runs.replicate.table import WIDTH, markdown, tally, write_block
from grids_made import made_truth, plant

RULES = Rules(200, 200, threads=1)
CLAIM = Claim("Nobody (2026)", "The first is better.", "first", "second")


def judged(tmp_path: Path, skills: tuple[float, float], claim: Claim = CLAIM, seeds: int = 1) -> dict[str, Any]:
    truth = made_truth()
    done = {
        name: {(0, seed): plant(tmp_path / f"{name}{seed}.csv", truth, skill, 10 * k + seed) for seed in range(seeds)}
        for k, (name, skill) in enumerate(zip(("first", "second"), skills, strict=True))
    }
    return judge_claim(claim, done, truth, RULES)


@pytest.mark.parametrize(
    ("skills", "expected"),
    [((3.0, 0.5), "supported"), ((0.5, 3.0), "not supported"), ((1.0, 1.0), "undecided")],
)
@pytest.mark.parametrize("seeds", [1, 3])
def test_planted_skill_decides(tmp_path: Path, skills: tuple[float, float], expected: str, seeds: int) -> None:
    found = judged(tmp_path, skills, seeds=seeds)
    assert found["verdict"] == expected
    assert found["seeds"] == list(range(seeds)) and found["folds"] == [0] and found["n"] == 240
    low, high = found["interval"]
    assert low < found["difference"] < high
    assert found["difference"] == pytest.approx(found["first"] - found["second"])


def test_the_same_predictions_are_undecided(tmp_path: Path) -> None:
    truth = made_truth()
    path = plant(tmp_path / "one.csv", truth, 2.0, 0)
    found = judge_claim(CLAIM, {"first": {(0, 0): path}, "second": {(0, 0): path}}, truth, RULES)
    assert found["verdict"] == "undecided" and found["difference"] == 0


def test_a_claim_of_visits_with_several_labels_uses_those_alone(tmp_path: Path) -> None:
    several = int((made_truth().values.sum(1) > 1).sum())
    found = judged(tmp_path, (3.0, 0.5), Claim("p", "t", "first", "second", visits="several_labels"))
    assert found["n"] == several < 240


def test_folds_are_pooled_seed_by_seed(tmp_path: Path) -> None:
    truth = made_truth()
    halves = (slice(0, 120), slice(120, None))
    cells = {(k, 0): plant(tmp_path / f"f{k}.csv", truth, 2.0, 5, half) for k, half in enumerate(halves)}
    whole = {(0, 0): plant(tmp_path / "whole.csv", truth, 2.0, 5)}
    assert system_numbers(cells, truth, RULES)["macro_auc"] == system_numbers(whole, truth, RULES)["macro_auc"]
    twice = {(0, 0): whole[0, 0], (1, 0): cells[1, 0]}
    with pytest.raises(DataError, match="test part of two folds"):
        system_numbers(twice, truth, RULES)


def test_only_what_both_have_is_compared() -> None:
    first = {(0, 0), (0, 1), (1, 0)}
    assert shared_cells([first, {(0, 0), (0, 1), (2, 0)}]) == ((0,), (0, 1))
    assert shared_cells([first, first]) == ((0, 1), (0,))  # as many runs; more folds are more patients
    assert shared_cells([first, set()]) == ((), ())
    assert verdict(None) == "undecided"


def findings(tmp_path: Path) -> dict[str, Any]:
    one, two = judged(tmp_path, (3.0, 0.5)), judged(tmp_path, (0.5, 3.0))
    names = {"better": "a" * 20, "worse": "b" * 20}
    absent = judge_claim(CLAIM, {}, made_truth(), RULES)
    claims = with_holm([{**one, **names}, {**two, **names}, {**judged(tmp_path, (1.0, 1.0)), **names}, absent])
    number = {"value": 0.81, "interval": [0.79, 0.83]}
    system = {"name": "a" * 20, "planned": 1, "done": 1, "folds": [0, 1, 2], "seeds": [0, 1, 2], "final": number}
    system |= {"macro_auc": number, "macro_ap": number, "parameters": 123_456_789, "train_minutes": 1234.0}
    head = {"name": "made", "date": "2026-01-01T00:00:00", "runs": {"done": 1, "failed": 1, "left": 3}}
    head |= {"machine": {"cpu": "a processor", "cores": 2}, "versions": {"eyeground": "0.1.0", "torch": "2.11"}}
    return {
        **head,
        "failed": {"x-f0-s0": "not enough memory for --batch-size 16 at --size 256; " * 4},
        "protocols": {"odir-3fold": {"split_hash": "0" * 64}},
        "baseline": {"macro_auc": 0.5, "macro_ap": 0.16, "final": 0.4},
        "systems": [{**system, "peak_gib": 12.3}, {"name": "later", "done": 0}],
        "claims": claims,
    }


def test_tables_stay_within_their_width_and_tell_what_was_not_run(tmp_path: Path) -> None:
    text = markdown(findings(tmp_path))
    assert max(map(len, text.splitlines())) <= WIDTH
    for word in (
        "**supported**",
        "not supported",
        "undecided",
        "not run yet",
        "one each",
        "x-f0-s0 failed",
        "later",
    ):
        assert word in text
    assert "4 claims: 1 supported, 1 not supported, 1 undecided, 1 not run yet." in text
    assert "prevalence" in text and tally([]).startswith("0 claims")


def test_holm_counts_the_claims_that_were_tested() -> None:
    found = with_holm([{"p": 0.01}, {"p": 0.04}, {"verdict": "not run yet"}])
    assert [one.get("p_holm") for one in found] == [0.02, 0.04, None]


def test_a_page_gets_its_block_and_keeps_the_rest(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("top\n<!-- replication: begin a -->\nold\n<!-- replication: end a -->\nbottom\n", encoding="utf-8")
    for _ in range(2):
        write_block(page, "a", "new\n")
    text = page.read_text(encoding="utf-8")
    assert text == "top\n<!-- replication: begin a -->\n\nnew\n\n<!-- replication: end a -->\nbottom\n"
    with pytest.raises(DataError, match="begin b"):
        write_block(page, "b", "new")


def test_the_figure_shows_what_was_compared(tmp_path: Path) -> None:
    picture = forest(findings(tmp_path)["claims"], "made")
    assert picture is not None and picture.count("Nobody (2026)") == 1
    assert "3 claims compared, 1 not run yet" in picture
    assert forest([{"verdict": "not run yet", "paper": "p"}], "made") is None
