"""Tables in a page of docs/, between the comments that name them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path


def fill(page: Path, tables: Mapping[str, Iterable[str]]) -> None:
    """Puts each table's lines between the page's `<!-- NAME -->` and the next `<!-- end -->`.

    Raises:
        ValueError: the page has no such place.
    """
    text = page.read_text(encoding="utf-8")
    for name, lines in tables.items():
        head, found, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        if not (found and end):
            raise ValueError(f"{page} has no <!-- {name} --> followed by <!-- end -->")
        text = head + found + "\n".join(lines) + "\n" + end + after
    page.write_text(text, encoding="utf-8")
