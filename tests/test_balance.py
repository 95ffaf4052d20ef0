"""Class balance: the published table, what a row with several labels gets, and a training that draws by it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from conftest import TINY, Made
from eyeground.cli.main import run
from eyeground.cohorts import read_cohort
from eyeground.errors import UsageError
from eyeground.runs.recipe import Recipe
from eyeground.sampling import Rows, Sampling, make_sampler
from eyeground.sampling.balance import factors_of, table
from eyeground.vocabulary import ODIR

CODES = ("N", "H", "M")
FACTORS = ("N=0", "H=3", "M=1")


def rows_of(*sets: str, codes: tuple[str, ...] = CODES) -> Rows:
    """A row per word; its letters are the labels that are present, '?' says that none is known."""
    labels = np.array([[float(code in word) for code in codes] for word in sets], np.float32)
    known = np.array([["?" not in word] * len(codes) for word in sets])
    return Rows(labels, known, codes)


def times(settings: Sampling, rows: Rows, epochs: int = 1) -> np.ndarray:
    """How often each row is drawn in the mean over epochs."""
    sampler = make_sampler(settings, rows)
    drawn = [sampler.draw(e, epochs, np.random.default_rng([0, e])) for e in range(epochs)]
    assert all(len(one) == sampler.count for one in drawn), "every epoch has the same number of rows"
    return np.bincount(np.concatenate(drawn), minlength=len(rows)) / epochs


def test_over_a_row_is_repeated_for_the_largest_of_its_factors() -> None:
    rows = rows_of("N", "H", "M", "HM", "", "H?")
    assert times(Sampling(balance="over", balance_factors=FACTORS), rows).tolist() == [1, 4, 2, 4, 1, 1]


def test_under_a_row_is_kept_at_the_share_of_its_rarest_label() -> None:
    rows = rows_of(*["N"] * 40, *["H"] * 5, *["M"] * 10, *["NM"] * 10)
    settings = Sampling(balance="under", balance_factors=("N=10", "M=2"))
    drawn = times(settings, rows, epochs=400)
    assert drawn[40:45].tolist() == [1] * 5, "H is not named: all are kept"
    assert drawn[:40].sum() == pytest.approx(4) and drawn[45:].sum() == pytest.approx(10)
    np.testing.assert_allclose(drawn[:40], 0.1, atol=0.07, err_msg="no row is left out for good")
    assert make_sampler(settings, rows).count == 4 + 5 + 10


@pytest.mark.parametrize("rule", ["over", "under"])
def test_the_same_generator_draws_the_same_rows(rule: str) -> None:
    rows = rows_of(*["N"] * 20, *["H"] * 5)
    sampler = make_sampler(Sampling(balance=rule, balance_factors=("N=2", "H=3")), rows)  # type: ignore[arg-type]
    one, two, other = (sampler.draw(0, 3, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, two) and not np.array_equal(one, other)


@pytest.mark.parametrize("rule", ["over", "under"])
def test_the_table_tells_what_is_drawn(rule: str) -> None:
    rng = np.random.default_rng(0)
    rows = Rows((rng.random((300, 8)) < 0.15).astype(np.float32), rng.random((300, 8)) < 0.9, ODIR.codes)
    settings = Sampling(balance=rule)  # type: ignore[arg-type]
    drawn = times(settings, rows, epochs=1 if rule == "over" else 2000)
    for line, present in zip(table(settings, rows), rows.present().T, strict=True):
        assert line.natural == present.sum()
        assert line.drawn == pytest.approx(drawn[present].sum(), rel=1e-9 if rule == "over" else 0.03)


def test_rows_with_one_label_get_exactly_the_rule() -> None:
    rows = rows_of(*["N"] * 9, *["H"] * 4, *["M"] * 2)
    lines = table(Sampling(balance="over", balance_factors=FACTORS), rows)
    assert [(line.code, line.natural, line.rule, line.drawn) for line in lines] == [
        ("N", 9, 9, 9),
        ("H", 4, 16, 16),
        ("M", 2, 4, 4),
    ]


PUBLISHED = {
    "over": (3095, 1801, 1956, 1878, 2240, 2509, 1876, 1200),
    "under": (258, 164, 163, 156, 140, 193, 134, 120),
}


@pytest.mark.parametrize("rule", PUBLISHED)
def test_the_published_table_from_the_workbooks_keywords(real_data: Path, rule: str) -> None:
    eyes = [eye.labels for visit in read_cohort("odir", real_data / "odir5k").visits for eye in visit.listed()]
    states = np.array([[-1 if state is None else state for state in labels] for labels in eyes])
    rows = Rows((states == 1).astype(np.float32), states >= 0, ODIR.codes)
    lines = table(Sampling(balance=rule), rows)  # type: ignore[arg-type]
    assert [line.natural for line in lines] == [3095, 1801, 326, 313, 280, 193, 268, 1200]
    assert tuple(line.rule for line in lines) == PUBLISHED[rule]
    if rule == "over":
        assert all(line.drawn >= line.rule for line in lines), "a row with several labels follows its largest factor"


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"balance_factors": ("H=2",)}, "has an effect with --balance over or under only"),
        ({"balance": "over", "balance_factors": ("H",)}, "takes LABEL=k, such as H=12, not 'H'"),
        ({"balance": "over", "balance_factors": ("H=x",)}, "takes LABEL=k"),
        ({"balance": "over", "balance_factors": ("H=nan",)}, "takes LABEL=k"),
        ({"balance": "over", "balance_factors": ("H=1.5",)}, "whole number from 0 on"),
        ({"balance": "over", "balance_factors": ("H=-1",)}, "whole number from 0 on"),
        ({"balance": "under", "balance_factors": ("H=0.5",)}, "k is 1 or more"),
        ({"balance": "under", "balance_factors": ("H=2", "H=3")}, "names H twice"),
    ],
)
def test_factors_that_can_not_be(settings: dict, wanted: str) -> None:
    with pytest.raises(UsageError, match=wanted):
        Recipe(**settings)


def test_other_labels_need_factors_of_their_own() -> None:
    with pytest.raises(UsageError, match=r"labels N D G .* only; give those of N H M, such as .*N=2 H=2"):
        factors_of(Sampling(balance="over"), CODES)
    with pytest.raises(UsageError, match="no label 'h'"):
        factors_of(Sampling(balance="over", balance_factors=("h=2",)), CODES)
    with pytest.raises(UsageError, match="both say what is drawn"):
        make_sampler(Sampling(balance="over", curriculum="paced"), rows_of("N", "HM", codes=ODIR.codes))


def test_a_training_by_eyes_draws_by_it(made: Made, tmp_path: Path) -> None:
    from lightning.fabric import Fabric

    from eyeground.runs.train import order_of

    where = ["--layout", "odir", "--root", str(made.root), "--split", str(made.split), "--cache", str(made.cache)]
    more = ["--unit", "eye", "--balance", "over", "--balance-factors", "H=3", "G=1"]
    tiny = [*TINY]
    tiny[tiny.index("--epochs") + 1] = "1"
    assert run(["train", *where, "--out", str(tmp_path / "run"), *tiny, *more]) == 0
    config = (tmp_path / "run" / "bundle" / "config.toml").read_text()
    assert 'balance = "over"' in config and '"H=3"' in config
    sampler = make_sampler(Sampling(balance="over", balance_factors=FACTORS), rows_of("N", "H", "HM"))
    steps = order_of(sampler, Recipe(batch_size=4), 0, Fabric(accelerator="cpu", devices=1))
    assert sorted(int(row) for step in steps for row in step) == [0, *[1] * 4, *[2] * 4]


def balance(made: Made, capsys: pytest.CaptureFixture[str], *more: str) -> dict:
    capsys.readouterr()
    words = ["cohort", "balance", "--layout", "odir", "--root", str(made.root), "--json"]
    assert run([*words, *more]) == 0
    answer: dict = json.loads(capsys.readouterr().out)
    return answer


def test_the_command_counts_photographs_visits_and_the_training_part(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort = read_cohort("odir", made.root)
    eyes = balance(made, capsys)
    assert eyes["rows"] == 120 and eyes["unit"] == "eye" and [one["code"] for one in eyes["labels"]] == [*ODIR.codes]
    glaucoma = sum(eye.labels[2] == 1 for visit in cohort.visits for eye in visit.listed())
    assert eyes["labels"][2]["natural"] == glaucoma and eyes["labels"][2]["rule"] == 6 * glaucoma
    visits = balance(made, capsys, "--unit", "visit", "--balance", "under", "--balance-factors", "N=2")
    assert visits["rows"] == 60 and visits["drawn"] < 60
    train = balance(made, capsys, "--split", str(made.split))
    assert train["rows"] < eyes["rows"]
    assert run(["cohort", "balance", "--layout", "odir", "--root", str(made.root)]) == 0
    assert "natural" in capsys.readouterr().out
