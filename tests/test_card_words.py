"""The checklists as published, people's words in the program's files, and who is counted in a part."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conftest import Made
from eyeground.cohorts.part_counts import part_counts
from eyeground.errors import DataError
from eyeground.records import Visit
from eyeground.report.card import write_card
from eyeground.report.card_input import split_stamps, stamps_of
from eyeground.report.card_tables import Table, mean_said
from eyeground.report.checklists import Item, load_checklist
from eyeground.report.facts import Fact, bounded, safe
from eyeground.report.kept import BLANK, block, sealed, written
from eyeground.vocabulary import Vocabulary

TRIPOD = (
    *("1", "2", "3a", "3b", "3c", "4", "5a", "5b", "6a", "6b", "6c", "7", "8a", "8b", "8c", "9a", "9b", "9c", "10"),
    *("11", "12a", "12b", "12c", "12d", "12e", "12f", "12g", "13", "14", "15", "16", "17", "18a", "18b", "18c", "18d"),
    *("18e", "18f", "19", "20a", "20b", "20c", "21", "22", "23a", "23b", "24", "25", "26", "27a", "27b", "27c"),
)
"""Table 2 of Collins et al., BMJ 2024;385:e078378."""
DEVELOPMENT, EVALUATION = ["9a", "12a", "12b", "12c", "15", "22", "27a", "27b"], ["12f", "12g", "20c", "24"]


def test_tripod_ai_has_the_items_as_published() -> None:
    found = load_checklist("tripod_ai")
    assert tuple(item.id for item in found.items) == TRIPOD
    assert found.main_items == 27 == len({re.sub(r"\D", "", item.id) for item in found.items})
    assert [item.id for item in found.items if item.applies == "D"] == DEVELOPMENT
    assert [item.id for item in found.items if item.applies == "E"] == EVALUATION
    assert {item.applies for item in found.items} == {"D", "E", "D;E"}
    sections = list(dict.fromkeys(item.section for item in found.items))
    assert sections == [
        "Title",
        "Abstract",
        "Introduction",
        "Methods",
        "Open science",
        "Patient and public involvement",
        "Results",
        "Discussion",
    ]


def test_claim_has_the_items_as_published() -> None:
    found = load_checklist("claim")
    assert [item.id for item in found.items] == [str(number) for number in range(1, 45)]
    assert found.main_items == 44 and not any(item.applies for item in found.items)
    topics = {item.id: item.topic for item in found.items}
    assert (topics["20"], topics["33"]) == ("Level at which partitions are disjoint", "Testing on external data")
    assert sum(item.section.startswith("Methods") for item in found.items) == 30


@pytest.mark.parametrize("name", ["tripod_ai", "claim"])
def test_every_item_asks_and_says_what_is_wanted(name: str) -> None:
    for item in load_checklist(name).items:  # type: ignore[arg-type]
        assert item.asks.endswith(".") and item.authors.endswith(".") and item.topic and item.section
        assert len(set(item.facts)) == len(item.facts)


def test_an_item_is_filled_partly_or_open() -> None:
    item = Item("1", "S", "T", "asks", ("a", "b", "c"), "authors", needs=("a", "b"))
    facts = {key: Fact(key, ("line",), ("x",)) for key in "abc"}
    assert item.status(facts) == "filled"
    assert item.status({key: facts[key] for key in "bc"}) == "partly"
    assert item.status({}) == item.status({"d": facts["a"]}) == "open"
    assert item.status({**facts, "a": Fact("a", ("line",), ("x",), stamped=True)}) == "partly"
    assert Item("1", "S", "T", "asks", ("a",), "authors").status(facts) == "partly"


def test_the_same_input_gives_the_same_bytes(made: Made, tmp_path: Path) -> None:
    write_card(made.bundle, [], tmp_path / "one")
    write_card(made.bundle, [], tmp_path / "two")
    first = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()}
    write_card(made.bundle, [], tmp_path / "one")
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert set(first) == {"card.md", "card.json", "tripod_ai.md", "claim.md"}


def test_what_authors_wrote_is_kept(made: Made, tmp_path: Path) -> None:
    write_card(made.bundle, [], tmp_path)
    path = tmp_path / "tripod_ai.md"
    words = "Approved by the board of X, 12/3.\n\n| a | b |\n|---|---|\n| <b> | `\\1` |"
    start, end = "<!-- authors 17 -->\n", "\n<!-- end 17 -->"
    text = path.read_text()
    path.write_text(text.replace(f"{start}{BLANK}{end}", f"{start}{words}{end}").replace("\n", "\r\n"), newline="")
    data = write_card(made.bundle, [], tmp_path)
    after = path.read_text()
    assert f"{start}{words}{end}" in after and after.count(BLANK) == text.count(BLANK) - 1
    assert "The authors have written for 1." in after and "| 17 | Ethical approval | D;E | open | written |" in after
    rows = {row["id"]: row["authors"] for row in data["checklists"]["tripod_ai"]["items"]}
    assert rows["17"] == words and sum(value is not None for value in rows.values()) == 1
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    write_card(made.bundle, [], tmp_path)
    assert before == {one.name: one.read_bytes() for one in tmp_path.iterdir()}


@pytest.mark.parametrize("name", ["card.md", "claim.md", "card.json"])
def test_text_that_would_be_lost_stops_everything(made: Made, tmp_path: Path, name: str) -> None:
    write_card(made.bundle, [], tmp_path)
    path = tmp_path / name
    path.write_text(path.read_text().replace("Research use only", "My own words. Research use only", 1))
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    with pytest.raises(DataError, match=r"changed .*would be lost"):
        write_card(made.bundle, [], tmp_path)
    assert before == {one.name: one.read_bytes() for one in tmp_path.iterdir()}


def test_foreign_files_and_damaged_marks_are_refused(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "claim.md"
    path.write_text("# My checklist\n")
    with pytest.raises(DataError, match="was not written by this program"):
        write_card(made.bundle, [], tmp_path)
    assert path.read_text() == "# My checklist\n" and len(list(tmp_path.iterdir())) == 1
    path.unlink()
    (tmp_path / "card.json").write_text('{"schema": "other"}')
    with pytest.raises(DataError, match="is not this program's"):
        write_card(made.bundle, [], tmp_path)
    (tmp_path / "card.json").unlink()
    write_card(made.bundle, [], tmp_path)
    path.write_text(path.read_text().replace("<!-- end 7 -->", ""))
    with pytest.raises(DataError, match=r"marks .* damaged"):
        write_card(made.bundle, [], tmp_path)


def test_blocks_and_seals() -> None:
    text = f"head\n{block('a')}\nmiddle\n{block('b')}\n"
    full = sealed(text, {"b": "mine"})
    assert "<!-- authors b -->\nmine\n<!-- end b -->" in full and full.count(BLANK) == 1
    with pytest.raises(DataError, match="wrote in c"):
        sealed(text, {"c": "nowhere to go"})


def test_a_block_reads_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "x.md"
    assert written(path) == {}
    path.write_text(sealed(f"head\n{block('a')}\n{block('b')}", {"a": "one\n\ntwo"}))
    assert written(path) == {"a": "one\n\ntwo"}
    path.write_text(path.read_text().replace("head", "heads"))
    with pytest.raises(DataError, match="changed outside"):
        written(path)


def test_words_of_files_can_not_break_the_page() -> None:
    assert safe("a <!-- end 7 -->\nb") == "a &lt;!-- end 7 --> b"
    table = Table("t", "s", ("a",), (("x|y\n<!-- authors 7 -->",),))
    assert "| x\\|y &lt;!-- authors 7 --> |" in table.markdown()


def test_numbers_in_words() -> None:
    assert bounded(None, [0.1, 0.2]) == "undefined"
    assert bounded(0.5, None) == "0.500 (no interval)"
    assert bounded(0.12345, [0.1, 0.2]) == "0.123 (0.100–0.200)"
    assert mean_said([]) is None
    assert mean_said([{"n": 1, "mean": 0.2}, {"n": 3, "mean": 0.6}]) == pytest.approx(0.5)


def test_stamps_are_told_once() -> None:
    clean = {"leak_audit": {"passed": True}}
    assert stamps_of(clean) == ()
    both = {"stamp": "LEAKY x", "leak_audit": {"passed": False, "stamp": "LEAKY x; part 'all' holds training visits"}}
    assert stamps_of(both) == ("LEAKY x; part 'all' holds training visits",)
    assert stamps_of({"leak_audit": {"passed": False, "text": "3 patients"}}) == (
        "the leak audit did not pass: 3 patients",
    )
    assert "leaks" in stamps_of({**clean, "protocol": {"name": "y-leaky", "leaky": True}})[0]
    assert split_stamps({"stamps": ["one", "two"]}, 1) == ("two",)
    assert split_stamps({"protocol": {"name": "p", "leaky": False}}, 0) == split_stamps({}, 0) == ()


def test_a_part_is_counted_with_what_is_unknown() -> None:
    words = Vocabulary.multilabel("two", ("D", "G"))
    visits = [
        Visit("1", "a", (None, None), (1, None), age=40.0, sex="F"),
        Visit("2", "a", (None, None), (0, 1), age=50.0, sex="M"),
        Visit("3", "b", (None, None), (1, 0), age=None, sex=None),
    ]
    found = part_counts(visits, words)
    assert (found["visits"], found["patients"]) == (3, 2)
    assert found["sex"] == {"F": 1, "M": 1, "unknown": 1}
    assert found["age"] == {"known": 2, "unknown": 1, "q1": 42.5, "median": 45.0, "q3": 47.5}
    assert found["labels"][0] == {"code": "D", "present": 2, "absent": 1, "unknown": 0}
    assert found["labels"][1] == {"code": "G", "present": 1, "absent": 1, "unknown": 1}
    assert part_counts(list(reversed(visits)), words) == found
    nobody = part_counts([], words)
    assert nobody["age"]["median"] is None and nobody["labels"][0]["present"] == 0
