"""The floors and budgets hold, and the checker that says so can fail."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("budgets", ROOT / "tools" / "budgets.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["budgets"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


budgets = _load()


@pytest.fixture(scope="module")
def sources() -> list:
    return budgets.read_sources(ROOT)


def found(root: Path, files: dict[str, str]) -> list[str]:
    """Writes files below `root` and gives what the checker says of them."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return [str(one) for one in budgets.check(root, budgets.read_sources(root))]


def package(modules: dict[str, str]) -> dict[str, str]:
    """Files of a package: `cohorts/odir` is src/eyeground/cohorts/odir.py."""
    return {f"src/eyeground/{name}.py": text for name, text in modules.items()}


def test_this_repository_has_no_violation(sources: list) -> None:
    assert [str(one) for one in budgets.check(ROOT, sources)] == []


def test_the_architecture_page_draws_the_same_floors() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    here = {path.stem for path in (ROOT / "src" / "eyeground").iterdir() if not path.name.startswith("__")}
    for floor, names in budgets.FLOORS.items():
        (line,) = [line for line in page.splitlines() if line.startswith(f"{floor}  ")]
        assert here & set(names.split()) <= set(line.split()), f"floor {floor}"


def test_every_module_is_seen(sources: list) -> None:
    names = {source.module for source in sources}
    assert {"__init__", "__main__", "cohorts", "cohorts.odir", "records", "methods.pair", "cli.main"} <= names


def test_light_modules_start_without_torch(sources: list) -> None:
    light = [one.module for one in sources if one.module and budgets.within(one.module, budgets.LIGHT)]
    assert len(light) > 50
    lines = [f"import eyeground.{name}" for name in light]
    script = "\n".join([*lines, "import sys", "print(sorted({'torch', 'timm', 'lightning'} & set(sys.modules)))"])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


BAD_ARROWS = [
    (
        package({"records": "from eyeground.cohorts import odir", "cohorts/odir": ""}),
        "1: floor 0 imports cohorts.odir of floor 1",
    ),
    (package({"metrics/auc": "import eyeground.runs.fit", "runs/fit": ""}), "1: floor 1 imports runs.fit of floor 4"),
    (
        package({"nets/trunk": "def build() -> None:\n    from eyeground.methods import pair", "methods/pair": ""}),
        "2: floor 2 imports methods.pair of floor 3",
    ),
    (package({"runs/fit": "from ..cli.main import main", "cli/main": ""}), "1: floor 4 imports cli.main of floor 5"),
    (
        package({"losses/registry": 'ROWS = {"pair": "eyeground.methods.pair"}', "methods/pair": ""}),
        "floor 2 imports methods.pair",
    ),
    (
        package({"methods/a": "from eyeground.methods.b import build", "methods/b": ""}),
        "a method imports another method",
    ),
    (package({"errors": "import pandas"}), "1: floor 0 takes the standard library and numpy only, not pandas"),
    (package({"files": "from eyeground.nowhere import x"}), "imports eyeground.nowhere, which is not there"),
    (package({"helpers/x": ""}), "helpers.x has no floor"),
]


@pytest.mark.parametrize(("files", "wanted"), BAD_ARROWS, ids=[wanted for _, wanted in BAD_ARROWS])
def test_wrong_arrows_are_found(tmp_path: Path, files: dict[str, str], wanted: str) -> None:
    assert any(wanted in line for line in found(tmp_path, files))


def test_a_registry_may_name_its_own_floor(tmp_path: Path) -> None:
    files = package(
        {"methods/__init__": 'ROWS = {"pair": "eyeground.methods.pair"}', "methods/pair": "import eyeground.batches"}
    )
    assert found(tmp_path, files | package({"batches": "import torch"})) == []


def test_circles_are_found_also_through_functions(tmp_path: Path) -> None:
    files = package(
        {"images/a": "from eyeground.images.b import x", "images/b": "def f() -> None:\n    import eyeground.images.a"}
    )
    assert found(tmp_path, files) == [
        "src/eyeground/images/b.py:2: import circle: images.a -> images.b -> images.a",
    ]


def test_torch_is_found_along_the_way(tmp_path: Path) -> None:
    files = package(
        {"report/page": "from eyeground.nets.trunk import T", "nets/trunk": "import eyeground.nets.deep as d"}
    )
    lines = found(tmp_path, files | package({"nets/deep": "from torch import nn"}))
    assert lines == [
        "src/eyeground/report/page.py:1: report.page must start without torch: "
        "report.page -> nets.trunk -> nets.deep -> torch",
    ]


def test_torch_in_a_package_counts_for_its_modules(tmp_path: Path) -> None:
    files = package(
        {"report/page": "from eyeground.explain.cam import f", "explain/__init__": "import timm", "explain/cam": ""}
    )
    assert "report.page -> explain -> timm" in found(tmp_path, files)[0]


@pytest.mark.parametrize(
    ("module", "text", "fine"),
    [
        ("cli/doctor", "def main() -> None:\n    import torch", True),
        ("cli/doctor", "import torch", False),
        ("images/decode", "def f() -> None:\n    import torch", False),
        ("images/decode", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import json", True),
        ("runs/bundle", "from safetensors.torch import load_file", False),
        ("runs/bundle", "from safetensors import safe_open", True),
        ("runs/train", "import torch", True),
    ],
)
def test_which_modules_may_import_torch(tmp_path: Path, module: str, text: str, fine: bool) -> None:
    assert (found(tmp_path, package({module: text})) == []) is fine


def test_sizes(tmp_path: Path) -> None:
    long = "def f() -> None:\n" + '    """Doc."""\n' + "    x = 1\n" * 61
    wide = "def g(a: int, b: int, c: int, d: int, e: int, *, f: int, g: int, h: int) -> None: ..."
    lines = found(tmp_path, package({"images/long": long, "images/wide": wide, "images/big": "x = 1\n" * 401}))
    assert [line.partition(": ")[2] for line in lines] == [
        "one function in ten has more than 61 lines, at most 30",
        "401 lines, at most 400: part the file",
        "f has 61 lines, at most 60",
        "g takes 8 arguments, at most 7: make them a frozen dataclass",
    ]


def test_sizes_at_the_limit_pass(tmp_path: Path) -> None:
    short = "def s() -> None:\n    x = 1\n"
    method = "class C:\n    def f(self, a: int, b: int, c: int, d: int, e: int, f: int, *g: int) -> None: ...\n"
    text = "def f() -> None:\n" + '    """Doc\n    of two lines."""\n' + "    x = 1\n" * 60 + short * 20 + method
    assert found(tmp_path, package({"images/long": text, "images/big": "x = 1\n" * 400})) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("try:\n    x = 1\nexcept:\n    x = 2", "3: bare except"),
        ("def _f() -> None:\n    print(1)", "2: print below floor 5"),
        ("def f(x) -> None: ...", "1: f has no annotation for x"),
        ("def f(x: int): ...", "1: f has no annotation for what it returns"),
        ("class C:\n    def f(self, x, *y) -> None: ...", "2: f has no annotation for x, y"),
    ],
)
def test_style(tmp_path: Path, text: str, wanted: str) -> None:
    (line,) = found(tmp_path, package({"images/x": text}))
    assert wanted in line


def test_floor_5_prints(tmp_path: Path) -> None:
    assert found(tmp_path, package({"cli/main": "print(1)"})) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("see " + "/wo" + "rk/main/x.py", "a machine's folder"),
        ("root = '" + "/ho" + "me/anna/data'", "a machine's folder"),
        ("https://" + "py" + "pi.org/project/x", "a package registry's host"),
        ("--extra-index-" + "url https://mirror.example/simple", "a package registry's host"),
        ("https://example.org/wo" + "rk/x ~/wo" + "rk/x a/home/b /workbook/ --no-emit-index-url", None),
    ],
)
def test_places_in_text(tmp_path: Path, text: str, wanted: str | None) -> None:
    lines = found(tmp_path, {"docs/page.md": f"first line\n{text}\n"})
    assert lines == [] if wanted is None else len(lines) == 1 and lines[0].startswith(f"docs/page.md:2: {wanted}")


def test_utils_are_refused(tmp_path: Path) -> None:
    lines = found(tmp_path, {"src/eyeground/images/utils.py": "", "docs/utils/a.md": ""})
    assert [line.partition(": ")[0] for line in lines] == ["docs/utils/a.md:1", "src/eyeground/images/utils.py:1"]


def test_the_program_prints_and_leaves_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found(tmp_path, package({"errors": "import pandas"}))
    assert budgets.main(tmp_path) == 1
    printed = capsys.readouterr()
    assert printed.out == "src/eyeground/errors.py:1: floor 0 takes the standard library and numpy only, not pandas\n"
    assert "1 files" in printed.err
