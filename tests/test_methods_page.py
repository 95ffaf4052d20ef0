"""docs/methods.md holds every method with its paper, its real number of parameters and what it promises."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from batches_made import made_batch
from eyeground.methods import METHODS, find_method
from eyeground.runs.recipe import Recipe
from eyeground.settings import fill
from eyeground.vocabulary import ODIR

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "methods.md"


def millions(name: str) -> float:
    """Learned numbers of a method at its default configuration and its recipe's size, without holding them."""
    method = find_method(name)
    recipe: Any = fill(Recipe, method.RECIPE, name)
    values = {"trunk_weights": "none"} if hasattr(method.Config, "trunk_weights") else {}
    with torch.device("meta"):
        model = method.build(method.Config(**values), ODIR, recipe.size)
    return sum(one.numel() for one in model.parameters()) / 1e6


def small(name: str) -> Any:
    """The method with a tiny trunk, to look at what it answers."""
    method = find_method(name)
    tiny = {"trunk": "test_resnet", "trunk_weights": "none"}
    config = method.Config(**{key: value for key, value in tiny.items() if hasattr(method.Config, key)})
    return method.build(config, ODIR, 64).eval()


def row(name: str) -> str:
    """The method's line in the page's table."""
    method, entry = find_method(name), METHODS[name]
    place = f"`{name}`" if name == "pair" else f"[`{name}`](methods/{name}.md)"
    published = f"{entry.published:g}" if entry.published else "not reported"
    maps = "none" if small(name)(made_batch(size=64)).evidence is None else "exact"
    paper = entry.paper or "none: ours"
    return f"| {place} | {paper} | {millions(name):.2f} | {published} | {method.swap(method.Config())} | {maps} |"


def tables() -> dict[str, str]:
    """The page's two marked blocks as they should be."""
    head = (
        "| method | paper | parameters, ours (M) | published (M) | eyes exchanged | maps |\n|---|---|---|---|---|---|"
    )
    counted = [f"* `{name}`: {entry.counted}" for name, entry in METHODS.items() if entry.counted]
    return {"methods": "\n".join([head, *map(row, METHODS)]), "counted": "\n".join(counted)}


def block(name: str) -> tuple[int, int]:
    """Where a marked block's content begins and ends in the page."""
    text = PAGE.read_text(encoding="utf-8")
    begin = f"<!-- {name}: begin -->\n"
    return text.index(begin) + len(begin), text.index(f"<!-- {name}: end -->")


@pytest.mark.parametrize("name", ["methods", "counted"])
def test_the_page_tells_what_is_so(name: str) -> None:
    begin, end = block(name)
    assert PAGE.read_text(encoding="utf-8")[begin:end].strip() == tables()[name]


@pytest.mark.parametrize("name", [name for name in METHODS if name != "pair"])
def test_every_paper_has_its_page(name: str) -> None:
    assert METHODS[name].paper or name == "two_experts"
    assert (ROOT / "docs" / "methods" / f"{name}.md").is_file()


@pytest.mark.parametrize("name", [name for name, entry in METHODS.items() if entry.counted])
def test_the_registry_counts_right(name: str) -> None:
    told = [float(number) for number in re.findall(r"(\d+\.\d+) M", METHODS[name].counted)]
    assert any(abs(number - millions(name)) < 0.06 for number in told), (METHODS[name].counted, millions(name))


if __name__ == "__main__":  # writes the two blocks anew
    for title, content in tables().items():
        begin, end = block(title)
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(f"{text[:begin]}{content}\n{text[end:]}", encoding="utf-8")
