"""The documentation runs: its Python prints what it shows, its commands, flags, keys and links exist.

In `docs/tour.md` every Python block runs, in other pages those fenced as ```python run; the blocks of a page share one
namespace and one temporary folder, and a ```text block right after one is its output. A block fenced with `file=NAME`
is written to NAME first. `docs/bundle.md` and `docs/export.md` go on in the folder where the tour ended. Decimal
fractions may differ a little, everything else is compared as it stands.

`python tests/test_docs.py docs/tour.md` writes the outputs anew.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOUR = ROOT / "docs" / "tour.md"
AFTER_TOUR = (ROOT / "docs" / "bundle.md", ROOT / "docs" / "export.md")
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


def compare(page: Path, all_printed: list[str]) -> None:
    for (block, shown), printed in zip(runnable(page), all_printed, strict=True):
        expected = shown.text if shown else ""
        assert same(expected, printed), f"after\n{block.text}\nthe page shows\n{expected}\nbut it prints\n{printed}"


@pytest.fixture(scope="module")
def toured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """The folder where the tour ended, and what its blocks printed."""
    folder = tmp_path_factory.mktemp("tour")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EYEGROUND_CACHE", str(folder / "cache"))
        yield folder, outputs(TOUR, folder)


def test_the_tour_prints_what_it_shows(toured: tuple[Path, list[str]]) -> None:
    compare(TOUR, toured[1])


@pytest.mark.parametrize("page", AFTER_TOUR, ids=lambda page: page.name)
def test_pages_that_go_on_after_the_tour(page: Path, toured: tuple[Path, list[str]]) -> None:
    assert runnable(page)
    compare(page, outputs(page, toured[0]))


ALONE = [page for page in PAGES if page.is_file() and page not in (TOUR, *AFTER_TOUR) and runnable(page)]


@pytest.mark.parametrize("page", ALONE, ids=lambda page: page.name)
def test_other_pages_print_what_they_show(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYEGROUND_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    compare(page, outputs(page, tmp_path))


def test_the_tour_has_every_station() -> None:
    shown = "".join(after.text for _, after in runnable(TOUR) if after)
    for station in ("Visit", "View", "Batch", "Output", "Reading"):
        assert re.search(rf"^{station} ?", shown, re.MULTILINE), f"no block prints a {station}"
        assert f"\n## {station}\n" in TOUR.read_text(encoding="utf-8")


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
                    line = line.strip().removeprefix("$ ")
                    if re.match(r"(\S*/)?eyeground ", line):
                        found.append((page.name, tuple(shlex.split(line, comments=True)[1:])))
    return found


@functools.cache
def help_of(*words: str) -> str:
    """What a command's --help prints, not wrapped. Raises an `EyegroundError` when its other words are refused."""
    from eyeground.cli.main import run

    with contextlib.redirect_stdout(io.StringIO()) as stream, pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "400")
        with contextlib.suppress(SystemExit):
            run([*words, "--help"])
    return stream.getvalue()


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


def page_text(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_toml_examples_are_taken_by_train(tmp_path: Path) -> None:
    shown = [block for page in PAGES if page.is_file() for block in blocks_of(page.read_text(encoding="utf-8"))]
    tomls = [block for block in shown if block.words[:1] == ("toml",) and block.file]
    assert tomls
    for number, block in enumerate(tomls):
        path = tmp_path / f"{number}.toml"
        path.write_text(block.text, encoding="utf-8")
        assert "--epochs" in help_of("train", "--config", str(path))


def test_training_tells_every_key_with_its_default() -> None:
    from eyeground.methods.pair import Config
    from eyeground.runs.machine import Machine
    from eyeground.runs.recipe import Recipe

    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", page_text("training.md"), re.MULTILINE))
    names = []
    for one in (*fields(Recipe), *fields(Config), *fields(Machine)):
        shown = rows.get(one.name, "nothing").strip("`")
        assert one.default is not MISSING
        value = None if shown == "none" else ast.literal_eval(shown)
        assert (tuple(value) if isinstance(value, list) else value) == one.default, one.name
        names.append(one.name)
    assert set(rows) == set(names)


def test_cohorts_tells_every_layout_option_and_flag() -> None:
    from eyeground.cohorts import LAYOUTS, CohortOptions

    page = page_text("cohorts.md")
    for layout in LAYOUTS:
        assert f"## `{layout}`" in page
    for one in fields(CohortOptions):
        assert f"`--{one.name.replace('_', '-')}`" in page
    codes = set()
    for path in (ROOT / "src" / "eyeground" / "cohorts").glob("*.py"):
        codes |= set(re.findall(r'Flag\(\s*"(\w+)"', path.read_text(encoding="utf-8")))
    table = page.split("| code | meaning |")[1].split("\n\n")[0]
    told = {
        code
        for row in table.splitlines()
        if row.startswith("| `")
        for code in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert told == codes


def test_bundle_tells_every_file() -> None:
    from eyeground.runs.bundle import FILES

    assert set(re.findall(r"^\| `([\w.]+\.\w+|LICENSE)` \|", page_text("bundle.md"), re.MULTILINE)) == {
        *FILES,
        "manifest.json",
    }


def test_architecture_names_every_package_and_module_of_the_top() -> None:
    page = page_text("architecture.md")
    for path in (ROOT / "src" / "eyeground").iterdir():
        if path.is_dir() and (path / "__init__.py").is_file():
            assert f"`{path.name}/`" in page, path.name
        elif path.suffix == ".py" and not path.name.startswith("__"):
            assert f"`{path.name}`" in page, path.name


def test_the_changelog_and_the_citation_know_the_version() -> None:
    from eyeground import __version__

    assert __version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def rewrite(page: Path, folder: Path) -> None:
    """Runs a page and writes what its blocks print into the blocks that show it."""
    printed = outputs(page, folder)
    text = page.read_text(encoding="utf-8")
    for (_, shown), new in reversed(list(zip(runnable(page), printed, strict=True))):
        if shown:
            text = text[: shown.start] + new.rstrip() + "\n" + text[shown.end :]
    page.write_text(text, encoding="utf-8")


def main() -> None:
    for argument in sys.argv[1:]:
        page = Path(argument).resolve()
        with tempfile.TemporaryDirectory() as folder:
            os.environ["EYEGROUND_CACHE"] = f"{folder}/cache"
            if page in AFTER_TOUR:
                outputs(TOUR, Path(folder))
            rewrite(page, Path(folder))


if __name__ == "__main__":
    main()
