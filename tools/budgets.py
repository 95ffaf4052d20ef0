"""Floors and budgets of the source, read from its syntax trees; part of `make check`. Standard library only.

Prints every violation as `path:line: what` and leaves with code 1 when there is one.

* Floors: every import of `src/eyeground`, also inside functions, goes to its own floor or below (`FLOORS`), a method
  never imports another method, floor 0 needs nothing but numpy, and no modules import each other in a circle.
* Light modules (`LIGHT`) start without torch, neither by themselves nor through the modules they import.
* Sizes: files, function bodies (docstring not counted), arguments.
* Public functions are annotated; no bare `except`, no `print` below floor 5, nothing called utils.
* No tracked text file names a machine's folders or a package registry's host.
"""

from __future__ import annotations

import ast
import math
import re
import statistics
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "eyeground"
FLOORS = {
    0: "errors vocabulary records readings progress files settings __init__",
    1: "cohorts images augment mixing sampling batches splits protocols leaks same_eye metrics phantom",
    2: "nets losses explain",
    3: "methods",
    4: "runs report",
    5: "cli serve __main__",
}
"""Floor to the modules and packages that live there."""
LIGHT = (
    *("errors", "vocabulary", "records", "readings", "progress", "files", "settings"),
    *("cohorts", "images", "splits", "protocols", "leaks", "same_eye", "metrics", "phantom"),
    *("explain.paint", "explain.contours", "report", "runs.bundle"),
    *("cli.read", "cli.evaluate", "cli.submit", "cli.calibrate", "cli.operating_point"),
    *("cli.main", "cli.console", "cli.tables", "cli.cohort_options", "cli.cohort_check"),
    *("cli.cohort_describe", "cli.cohort_duplicates"),
    *("cli.cohort_split", "cli.protocol_list", "cli.protocol_show", "cli.protocol_check", "cli.score", "cli.compare"),
    *("runs.compare", "cli.card", "cli.listing", "cli.doctor", "cli.phantom"),
)
"""Modules and packages that start without torch. A command may import torch when called, the others never."""
HEAVY = ("torch", "torchvision", "timm", "lightning", "safetensors.torch")
FILE_LINES, FILE_MEDIAN = 400, 150
BODY_LINES, BODY_P90 = 60, 30
ARGUMENTS = 7

PLACES = (
    (r"(?<![\w.~])/(?:work|root|home/\w+|Users/\w+|mnt/\w+)/", "a machine's folder"),
    (r"[A-Za-z]:\\Users\\", "a machine's folder"),
    (
        r"\b(?:py[p]i|python[h]osted|npm[j]s|yarn[p]kg|crates|anaconda|rubygems)\.(?:org|com|io)\b",
        "a package registry's host",
    ),
    (r"\b(?:download\.py[t]orch|proxy\.go[l]ang)\.org\b", "a package registry's host"),
    (r"index-url[= ]+\S*://", "a package registry's host"),
)
"""What no tracked text file says: pattern and what it is."""


@dataclass(frozen=True)
class Violation:
    """One finding. `path` is relative to the repository."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


@dataclass(frozen=True)
class Import:
    """`target` is a module's dotted name; `at_start`: runs when the importing module is imported.

    A `named` module is not imported here, its name stands in a string (a registry's row): it counts for floors only.
    """

    line: int
    target: str
    at_start: bool
    named: bool = False


@dataclass(frozen=True)
class Source:
    """One Python file. `module` is its dotted name inside the package (`cohorts.odir`), None outside of it."""

    path: str
    text: str
    tree: ast.Module
    module: str | None


def main(root: Path) -> int:
    """Checks the repository and prints violations and a summary."""
    sources = read_sources(root)
    found = check(root, sources)
    for violation in found:
        print(violation)
    print(summary(sources), file=sys.stderr)
    return 1 if found else 0


def check(root: Path, sources: list[Source]) -> list[Violation]:
    """Every violation, by path and line."""
    package = {source.module: source for source in sources if source.module is not None}
    imports = {name: list(imports_of(source, package)) for name, source in package.items()}
    found = [
        *floors(package, imports),
        *circles(package, imports),
        *torch_free(package, imports),
        *sizes(sources),
        *texts(root),
    ]
    for name, source in package.items():
        found += style(source, floor_of(name))
    return sorted(set(found), key=lambda one: (one.path, one.line, one.what))


def read_sources(root: Path) -> list[Source]:
    """Parses the Python files of the package, the tools and the benchmarks."""
    sources = []
    for folder in (f"src/{PACKAGE}", "tools", "benchmarks"):
        for path in sorted((root / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            name = path.relative_to(root).as_posix()
            sources.append(Source(name, text, ast.parse(text, name), _module(path, root)))
    return sources


def _module(path: Path, root: Path) -> str | None:
    """`cohorts.odir`; a package is called by its folder, the root package `__init__`; None outside the package."""
    base = root / "src" / PACKAGE
    if not path.is_relative_to(base):
        return None
    parts = path.relative_to(base).with_suffix("").parts
    if parts[-1] == "__init__" and len(parts) > 1:
        parts = parts[:-1]
    return ".".join(parts)


def floor_of(module: str) -> int | None:
    """The floor of a module of the package; None when `FLOORS` does not have it."""
    first = module.partition(".")[0]
    return next((floor for floor, names in FLOORS.items() if first in names.split()), None)


def imports_of(source: Source, package: Mapping[str, Source]) -> Iterator[Import]:
    """What a module imports, anywhere in it. Own modules are named as in `Source.module`, others in full."""
    late = set(_late(source.tree))
    for node in ast.walk(source.tree):
        at_start = node not in late
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, _own(alias.name, package), at_start)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, source)
            for alias in node.names:
                inner = _own(f"{base}.{alias.name}", package)
                target = inner if inner in package else _own(base, package)
                yield Import(node.lineno, target, at_start)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            target = _own(node.value, package) if node.value.startswith(f"{PACKAGE}.") else ""
            if target in package:
                yield Import(node.lineno, target, at_start=False, named=True)


def _late(tree: ast.Module) -> Iterator[ast.AST]:
    """Nodes that don't run when the module is imported: those in functions and under `if TYPE_CHECKING`."""
    for node in ast.walk(tree):
        inside: list[ast.stmt] = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = node.body
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            inside = node.body
        for statement in inside:
            yield from ast.walk(statement)


def _absolute(node: ast.ImportFrom, source: Source) -> str:
    """The full name that `from ... import` names, also when it is relative."""
    if node.level == 0:
        return node.module or ""
    parts = [PACKAGE, *Path(source.path).with_suffix("").parts[2:]]
    return ".".join([*parts[: -node.level], *([node.module] if node.module else [])])


def _own(name: str, package: Mapping[str, Source]) -> str:
    """`eyeground.cohorts.odir` as `cohorts.odir`, `eyeground` as `__init__`; other names as they are."""
    if name == PACKAGE:
        return "__init__"
    inner = name.removeprefix(f"{PACKAGE}.")
    return inner if name != inner and inner in package else name


def floors(package: Mapping[str, Source], imports: Mapping[str, list[Import]]) -> Iterator[Violation]:
    """Arrows upwards, methods that import methods, and floor 0 with more than numpy."""
    for name, source in package.items():
        here = floor_of(name)
        if here is None:
            yield Violation(source.path, 1, f"{name} has no floor: name it in FLOORS of tools/budgets.py")
            continue
        for one in imports[name]:
            what = _wrong_arrow(name, here, one, package)
            if what:
                yield Violation(source.path, one.line, what)


def _wrong_arrow(name: str, here: int, one: Import, package: Mapping[str, Source]) -> str | None:
    target = one.target
    if target not in package:
        top = target.split(".")[0]
        if top == PACKAGE:
            return f"imports {target}, which is not there"
        if here == 0 and top != "numpy" and top not in sys.stdlib_module_names:
            return f"floor 0 takes the standard library and numpy only, not {top}"
        return None
    there = floor_of(target)
    if there is not None and there > here:
        return f"floor {here} imports {target} of floor {there}"
    if name.startswith("methods.") and target.startswith("methods.") and not one.named:
        return f"a method imports another method, {target}"
    return None


def circles(package: Mapping[str, Source], imports: Mapping[str, list[Import]]) -> Iterator[Violation]:
    """One violation for each circle of imports, at the import that closes it."""
    state: dict[str, bool] = {}  # False while a module is on the way, True when everything below it is seen

    def walk(name: str, way: list[str]) -> Iterator[Violation]:
        state[name] = False
        for one in imports[name]:
            if one.named or one.target not in package or one.target == name:
                continue
            if one.target not in state:
                yield from walk(one.target, [*way, one.target])
            elif not state[one.target] and one.target in way:
                circle = [*way[way.index(one.target) :], one.target]
                yield Violation(package[name].path, one.line, f"import circle: {' -> '.join(circle)}")
        state[name] = True

    for name in package:
        if name not in state:
            yield from walk(name, [name])


def torch_free(package: Mapping[str, Source], imports: Mapping[str, list[Import]]) -> Iterator[Violation]:
    """Light modules from which torch is reached."""
    for name in package:
        if not within(name, LIGHT):
            continue
        for one in imports[name]:
            if one.at_start or not name.startswith("cli."):
                way = _to_torch(one.target, imports, set())
                if way and not one.named:
                    what = f"{name} must start without torch: {' -> '.join([name, *way])}"
                    yield Violation(package[name].path, one.line, what)


def _to_torch(target: str, imports: Mapping[str, list[Import]], seen: set[str]) -> list[str] | None:
    """The way from a module to torch along what runs when it is imported, or None."""
    if within(target, HEAVY):
        return [target]
    parts = target.split(".")
    for name in (".".join(parts[:end]) for end in range(1, len(parts) + 1)):  # importing a.b runs a first
        if name not in imports or name in seen:
            continue
        seen.add(name)
        for one in imports[name]:
            way = _to_torch(one.target, imports, seen) if one.at_start else None
            if way:
                return [name, *way]
    return None


def within(name: str, places: Iterable[str]) -> bool:
    """Whether a module is one of these places or below one."""
    return any(name == place or name.startswith(f"{place}.") for place in places)


def style(source: Source, floor: int | None) -> Iterator[Violation]:
    """Bare `except`, `print` below floor 5, and public functions without annotations."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield Violation(source.path, node.lineno, "bare except: name what is caught")
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "pprint", "pprint.pprint") and floor != 5:
            yield Violation(source.path, node.lineno, "print below floor 5: return the value instead")
    for function in _public(source.tree):
        missing = _unannotated(function)
        if missing:
            yield Violation(source.path, function.lineno, f"{function.name} has no annotation for {', '.join(missing)}")


def _public(tree: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public(node)


def _unannotated(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    missing = [argument.arg for argument in _arguments(function) if argument.annotation is None]
    return missing + (["what it returns"] if function.returns is None else [])


def _arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.arg]:
    """All arguments but `self` and `cls`."""
    given = function.args
    listed = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    listed += [one for one in (given.vararg, given.kwarg) if one is not None]
    return [one for here, one in enumerate(listed) if here > 0 or one.arg not in ("self", "cls")]


def sizes(sources: list[Source]) -> Iterator[Violation]:
    """Files, function bodies and argument lists that are too long."""
    for source in sources:
        lines = len(source.text.splitlines())
        if lines > FILE_LINES:
            yield Violation(source.path, FILE_LINES + 1, f"{lines} lines, at most {FILE_LINES}: part the file")
        for function in functions_of(source):
            length, count = body_lines(function), len(_arguments(function))
            if length > BODY_LINES:
                yield Violation(
                    source.path, function.lineno, f"{function.name} has {length} lines, at most {BODY_LINES}"
                )
            if count > ARGUMENTS:
                what = f"{function.name} takes {count} arguments, at most {ARGUMENTS}: make them a frozen dataclass"
                yield Violation(source.path, function.lineno, what)
    p90 = percentile_90(body_lines(function) for source in sources for function in functions_of(source))
    if p90 > BODY_P90:
        yield Violation(f"src/{PACKAGE}", 1, f"one function in ten has more than {p90} lines, at most {BODY_P90}")


def functions_of(source: Source) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file, methods and inner functions too."""
    return [node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first statement after the docstring to the last."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def percentile_90(values: Iterable[int]) -> int:
    """The smallest value that nine of ten do not exceed; 0 of nothing."""
    ordered = sorted(values)
    return ordered[math.ceil(0.9 * len(ordered)) - 1] if ordered else 0


def texts(root: Path) -> Iterator[Violation]:
    """Names and contents of tracked text files: nothing called utils, no machine's folder, no registry's host."""
    patterns = [(re.compile(pattern), what) for pattern, what in PLACES]
    for name in tracked(root):
        if any(Path(part).stem in ("utils", "util") for part in Path(name).parts):
            yield Violation(name, 1, "nothing is called utils: say what is in it")
        try:
            text = (root / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            for pattern, what in patterns:
                match = pattern.search(line)
                if match:
                    yield Violation(name, number, f"{what}: '{match.group()}'")


def tracked(root: Path) -> list[str]:
    """Files that git tracks; without git, all that are not hidden."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True)
        return [name for name in done.stdout.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
        return sorted(path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))


def summary(sources: list[Source]) -> str:
    """Sizes in one line."""
    lines = [len(source.text.splitlines()) for source in sources if source.text.strip()]
    bodies = [body_lines(function) for source in sources for function in functions_of(source)]
    median, longest = statistics.median(lines or [0]), max(lines, default=0)
    return (
        f"{len(lines)} files, median {median:g} lines (aim {FILE_MEDIAN}), longest {longest}; "
        f"{len(bodies)} functions, 90th percentile {percentile_90(bodies)} lines, longest {max(bodies, default=0)}"
    )


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parents[1]))
