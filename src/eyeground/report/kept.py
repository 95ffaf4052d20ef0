"""Files that a program and people write together: people's text stands in named blocks, and is never lost.

A block begins with `<!-- authors NAME -->` and ends with `<!-- end NAME -->`. The file's last line seals everything
outside of the blocks with its SHA-256, so that a change there is noticed instead of written over.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from eyeground.errors import DataError

BLANK = "_To be written by the authors._"
BLOCK = re.compile(r"<!-- authors (\S+) -->\n(.*?)<!-- end \1 -->", re.DOTALL)
MARKS = re.compile(r"<!-- (?:authors|end) \S+ -->")
SEAL = re.compile(r"\n<!-- all but the authors' blocks is the program's, SHA-256 ([0-9a-f]{64}) -->\n*\Z")


def block(name: str) -> str:
    """An empty block for people."""
    return f"<!-- authors {name} -->\n{BLANK}\n<!-- end {name} -->"


def written(path: Path) -> dict[str, str]:
    """People's text by the name of its block; nothing for a file that is not there, and no empty blocks.

    Raises:
        DataError: not the program's file, damaged marks of a block, or text that was changed outside of the blocks.
    """
    if not path.exists():
        return {}
    try:
        text = path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise DataError(f"{path} is there and is no text of this program; choose another --out") from error
    seal = SEAL.search(text)
    if seal is None:
        raise DataError(f"{path} was not written by this program, or its last line is gone; choose another --out")
    body = text[: seal.start()]
    found = BLOCK.findall(body)
    names = [name for name, _ in found]
    if len(MARKS.findall(body)) != 2 * len(found) or len(set(names)) != len(names):
        raise DataError(f"{path}: the marks of the authors' blocks are damaged; mend them or choose another --out")
    if _digest(body) != seal[1]:
        raise DataError(
            f"{path} was changed outside of the authors' blocks, and that would be lost; move it into a block (or undo "
            "it), or choose another --out"
        )
    return {name: inner.strip("\n") for name, inner in found if inner.strip() not in ("", BLANK)}


def sealed(text: str, kept: dict[str, str]) -> str:
    """The text with people's words in their blocks, and the seal.

    Raises:
        DataError: there are words for a block that the text does not have.
    """
    text = text.rstrip("\n")
    lost = sorted(set(kept) - {name for name, _ in BLOCK.findall(text)})
    if lost:
        raise DataError(
            f"the authors wrote in {', '.join(lost)}, which this program does not know; choose another --out"
        )
    full = BLOCK.sub(lambda found: _filled(found[1], kept.get(found[1], BLANK)), text)
    return f"{full}\n<!-- all but the authors' blocks is the program's, SHA-256 {_digest(text)} -->\n"


def _filled(name: str, inner: str) -> str:
    return f"<!-- authors {name} -->\n{inner}\n<!-- end {name} -->"


def _digest(body: str) -> str:
    """Of the text without what stands in blocks, and without blanks at the ends of lines."""
    bare = BLOCK.sub(lambda found: f"<!-- {found[1]} -->", body)
    lines = [line.rstrip() for line in bare.rstrip().splitlines()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
