"""Reporting checklists, filled as far as the facts of a run go: TRIPOD+AI and CLAIM.

The items are tables beside this file (`tripod_ai.toml`, `claim.toml`). An item is *filled* when all its `needs` are
facts that do not rest on stamped evaluations alone, *partly* filled when any of its `facts` is there, else *open*.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import groupby
from typing import Any, Literal

from eyeground import DISCLAIMER
from eyeground.report.facts import Fact, safe
from eyeground.report.kept import block
from eyeground.settings import fill

Status = Literal["filled", "partly", "open"]
WORDS: dict[Status, str] = {"filled": "filled from the run", "partly": "partly, from the run", "open": "open"}


@dataclass(frozen=True)
class Item:
    """One item. `applies` is 'D', 'E', 'D;E' or empty; see the head of `tripod_ai.toml` for the rest."""

    id: str
    section: str
    topic: str
    asks: str
    facts: tuple[str, ...]
    authors: str
    needs: tuple[str, ...] = ()
    applies: str = ""

    @property
    def name(self) -> str:
        """How a person names it: '12a Analytical methods (D)'."""
        return f"{self.id} {self.topic}{f' ({self.applies})' if self.applies else ''}"

    def status(self, facts: Mapping[str, Fact]) -> Status:
        """How far the run fills it."""
        if self.needs and all(key in facts and not facts[key].stamped for key in self.needs):
            return "filled"
        return "partly" if any(key in facts for key in self.facts) else "open"


@dataclass(frozen=True)
class Checklist:
    """A checklist as published."""

    name: str
    source: str
    note: str
    main_items: int
    items: tuple[Item, ...]


def load_checklist(name: Literal["tripod_ai", "claim"]) -> Checklist:
    """Reads one of the tables of items."""
    text = (resources.files("eyeground.report") / f"{name}.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    items = tuple(fill(Item, row, f"{name}.toml") for row in data["items"])
    return Checklist(data["name"], data["source"], data["note"], data["main_items"], items)


def as_data(checklist: Checklist, facts: Mapping[str, Fact], authors: Mapping[str, str]) -> dict[str, Any]:
    """The filled checklist, JSON-able; `authors` is people's text by item."""
    rows = [
        {
            "id": item.id,
            "section": item.section,
            "topic": item.topic,
            **({"applies": item.applies} if item.applies else {}),
            "status": item.status(facts),
            "facts": [key for key in item.facts if key in facts],
            "wanted": item.authors,
            "authors": authors.get(item.id),
        }
        for item in checklist.items
    ]
    counts = {status: sum(row["status"] == status for row in rows) for status in WORDS}
    return {"name": checklist.name, "source": checklist.source, "counts": counts, "items": rows}


def as_markdown(
    checklist: Checklist, facts: Mapping[str, Fact], about: Sequence[str], authors: Mapping[str, str]
) -> str:
    """The filled checklist for people, with an empty block for the authors under each item (see `kept`).

    Args:
        about: lines on what it was made from.
        authors: people's text by item, to tell in the overview where there is some.
    """
    filled = as_data(checklist, facts, authors)
    counts = ", ".join(f"{number} {WORDS[status]}" for status, number in filled["counts"].items())  # type: ignore[index]
    lines = [f"# {checklist.name} checklist", "", DISCLAIMER, "", f"{checklist.source}. {checklist.note}", ""]
    lines += [*(f"- {line}" for line in about), ""]
    lines += [
        f"{len(checklist.items)} items: {counts}. The authors have written for {len(authors)}.",
        "",
        "What is filled is what the files of the run prove, each with its source. Everything else is the authors'. "
        "Write between the marks `authors` and `end` of an item: that is kept when this file is made again.",
        "",
    ]
    applies = any(item.applies for item in checklist.items)
    lines += [
        "| item | topic | for | the run | the authors |" if applies else "| item | topic | the run | the authors |"
    ]
    lines += ["|---|---|---|---|---|" if applies else "|---|---|---|---|"]
    for item in checklist.items:
        cells = [item.id, item.topic, *([item.applies] if applies else []), WORDS[item.status(facts)]]
        lines.append(f"| {' | '.join([*cells, 'written' if item.id in authors else ''])} |")
    for section, items in groupby(checklist.items, key=lambda item: item.section):
        lines += ["", f"## {section}"]
        for item in items:
            lines += ["", *_item(item, facts)]
    return "\n".join(lines)


def _item(item: Item, facts: Mapping[str, Fact]) -> list[str]:
    status = item.status(facts)
    known = [facts[key] for key in item.facts if key in facts]
    lines = [f"### {item.name}", "", f"**{WORDS[status]}** · {item.asks}", ""]
    for one in known:
        lines += bullets(one)
    if not known:
        lines += ["- No file of the run tells." if not item.facts else "- No file that was given tells."]
    return [*lines, "", f"*Wanted from the authors:* {item.authors}", "", block(item.id)]


def bullets(one: Fact) -> list[str]:
    """A fact's lines as Markdown bullets: each with its source where there are as many, else all behind the last."""
    if len(one.lines) == len(one.sources):
        return [f"- {safe(line)} (`{source}`)" for line, source in zip(one.lines, one.sources, strict=True)]
    where = ", ".join(f"`{source}`" for source in one.sources)
    lines = [f"- {safe(line)}" for line in one.lines]
    return [*lines[:-1], f"{lines[-1]} ({where})"]
