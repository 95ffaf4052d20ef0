"""The documentation runs: its Python prints what it shows, its commands and flags exist.

In `docs/tour.md` every Python block runs, in other pages those fenced as ```python run; the blocks of a page share one
namespace and one temporary folder, and a ```text block right after one is its output. A block fenced with `file=NAME`
is written to NAME first. Decimal fractions may differ a little, everything else is compared as it stands.

`python tests/test_docs.py docs/tour.md` writes the outputs anew.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
FENCE = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FRACTION = re.compile(r"(-?\d+\.\d+)")


@dataclass(frozen=True)
class Block:
    """A fenced block: the words after the fence, its text and where the text starts and ends in the page."""

    words: tuple[str, ...]
    text: str
    start: int
    end: int

    @property
    def file(self) -> str | None:
        return next((word.removeprefix("file=") for word in self.words if word.startswith("file=")), None)


def blocks_of(page: str) -> list[Block]:
    return [Block(tuple(m[1].split()), m[2], m.start(2), m.end(2)) for m in FENCE.finditer(page)]


def runnable(page: Path) -> list[tuple[Block, Block | None]]:
    """The Python blocks that run, each with the block that shows its output."""
    blocks = blocks_of(page.read_text(encoding="utf-8"))
    found = []
    for block, after in zip(blocks, [*blocks, None][1:], strict=True):
        if block.words[:1] == ("python",) and (page.name == "tour.md" or "run" in block.words):
            found.append((block, after if after and after.words == ("text",) else None))
    return found


def outputs(page: Path, folder: Path) -> list[str]:
    """Runs a page's blocks in `folder`; returns what each printed."""
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if block.file:
            (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.file).write_text(block.text, encoding="utf-8")
    space: dict[str, object] = {"__name__": page.stem}
    printed = []
    with contextlib.chdir(folder):
        for number, (block, _) in enumerate(runnable(page), start=1):
            with contextlib.redirect_stdout(io.StringIO()) as stream:
                exec(compile(block.text, f"{page.name}, block {number}", "exec"), space)
            printed.append(stream.getvalue())
    return printed


def same(shown: str, printed: str) -> bool:
    """Equal text; decimal fractions within 0.05 or 5 %."""
    one, two = FRACTION.split(shown.rstrip()), FRACTION.split(printed.rstrip())
    fractions = zip(map(float, one[1::2]), map(float, two[1::2]), strict=False)
    return one[::2] == two[::2] and all(a == pytest.approx(b, rel=0.05, abs=0.05) for a, b in fractions)


RUNNING = [page for page in PAGES if page.is_file() and runnable(page)]


@pytest.mark.parametrize("page", RUNNING, ids=lambda page: page.name)
def test_python_blocks_print_what_they_show(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYEGROUND_CACHE", str(tmp_path / "cache"))
    for (block, shown), printed in zip(runnable(page), outputs(page, tmp_path), strict=True):
        expected = shown.text if shown else ""
        assert same(expected, printed), f"after\n{block.text}\nthe page shows\n{expected}\nbut it prints\n{printed}"


def test_the_tour_has_every_station() -> None:
    tour = ROOT / "docs" / "tour.md"
    shown = "".join(after.text for _, after in runnable(tour) if after)
    for station in ("Visit", "View", "Batch", "Output", "Reading"):
        assert re.search(rf"^{station} ?", shown, re.MULTILINE), f"no block prints a {station}"
        assert f"\n## {station}\n" in tour.read_text(encoding="utf-8")


def test_the_comparison_can_fail() -> None:
    assert same("(2, 8) 0.31\n", "(2, 8) 0.33\n\n")
    assert not same("(2, 8)", "(2, 7)")
    assert not same("value 1.0", "value 1.3")
    assert not same("value 1.0", "value 1.0 2.0")


def commands() -> list[tuple[str, tuple[str, ...]]]:
    """Every `eyeground ...` line in the pages' shell blocks: the page's name and the words."""
    found = []
    for page in (page for page in PAGES if page.is_file()):
        for block in blocks_of(page.read_text(encoding="utf-8")):
            if block.words[:1] in ((), ("bash",), ("sh",), ("console",)):
                for line in block.text.replace("\\\n", " ").splitlines():
                    words = tuple(shlex.split(line.removeprefix("$ ").strip(), comments=True))
                    if words and words[0].endswith("eyeground"):
                        found.append((page.name, words[1:]))
    return found


@functools.cache
def help_of(*command: str) -> str:
    """What a command's --help prints, unwrapped."""
    words = [sys.executable, "-m", "eyeground", *command, "--help"]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "COLUMNS": "400"}, check=True)
    return done.stdout


def test_commands_and_flags_in_the_pages_exist() -> None:
    from eyeground.cli.main import find

    shown = commands()
    assert shown
    for page, words in shown:
        if words[0].startswith("-"):
            continue
        name, rest = find(words)
        known = set(re.findall(r"--[a-z0-9-]+", help_of(*name.split())))
        for word in rest:
            flag = word.partition("=")[0]
            assert not flag.startswith("--") or flag in known, f"{page}: eyeground {name} has no flag {flag}"


def links() -> list[tuple[Path, str]]:
    """Relative links of the pages, outside of fenced blocks: page and target."""
    found = []
    for page in (page for page in PAGES if page.is_file()):
        prose = FENCE.sub("", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)#\s]+)", prose):
            if "://" not in target and not target.startswith("mailto:"):
                found.append((page, target))
    return found


def test_links_lead_somewhere() -> None:
    for page, target in links():
        assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


def rewrite(page: Path) -> None:
    """Runs a page and writes what its blocks print into the blocks that show it."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EYEGROUND_CACHE"] = str(Path(folder) / "cache")
        printed = outputs(page, Path(folder))
    text = page.read_text(encoding="utf-8")
    for (_, shown), new in reversed(list(zip(runnable(page), printed, strict=True))):
        if shown:
            text = text[: shown.start] + new.rstrip() + "\n" + text[shown.end :]
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        rewrite(Path(argument).resolve())
