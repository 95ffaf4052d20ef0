"""The judgement's page: self-contained, whole, escaped, honest about what is undefined."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Made
from eyeground.cli.main import main, run
from eyeground.images.cache import CacheEntry
from eyeground.images.geometry import Geometry
from eyeground.metrics.details import details
from eyeground.metrics.intervals import Bootstrap, intervals
from eyeground.metrics.judge import judge
from eyeground.metrics.mistakes import Sheet
from eyeground.records import Flag
from eyeground.report import judged_words
from eyeground.report.gallery import Gallery, gather
from eyeground.report.judged import About, curves_of, write_html
from eyeground.vocabulary import Label, Vocabulary

VOID = {"meta", "img", "br", "link", "input", "hr", "col", "wbr", "source"}
WORDS = Vocabulary(
    "three", "multilabel", (Label("N", "Normal", "all"), Label("D", "<b>Diabetic & co"), Label("X", "Absent"))
)


class Page(HTMLParser):
    """What a page holds; fails on tags that do not close in order and on ids that repeat."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open
        assert len(set(self.ids)) == len(self.ids)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def sheet(n: int = 60, seed: int = 0, ids: str = "v") -> Sheet:
    """Three labels; the last has no positive."""
    random = np.random.default_rng(seed)
    truth = (random.random((n, 3)) < [0.5, 0.3, 0.0]).astype(float)
    score = np.clip(0.3 * truth + random.random((n, 3)) * 0.7, 0, 1)
    known = np.ones((n, 3), bool)
    return Sheet([f"{ids}{k}" for k in range(n)], WORDS.codes, truth, known, score, np.array([0.4, 0.5, 0.6]))


def judged(one: Sheet, draws: int = 20, words: Vocabulary = WORDS) -> dict[str, Any]:
    cells = (one.truth, one.known, one.probability, words, one.thresholds)
    found = {**judge(*cells), "details": details(*cells)}
    return {**found, "intervals": intervals(*cells, bootstrap=Bootstrap(draws))} if draws else found


def draw(one: Sheet, gallery: Gallery | None = None, **more: Any) -> str:
    found = {**judged(one, more.pop("draws", 20)), **more}
    return write_html(found, curves_of(one), gallery or gather(one, None, "none here"), About("A <title>"))


def test_it_is_whole_and_asks_nothing_of_a_network() -> None:
    text = draw(sheet())
    page = Page(text)
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)
        assert not any(name.startswith("on") for name in attributes)
        if tag == "script":
            assert attributes["type"] == "application/json"
        if tag == "img":
            assert attributes["alt"]
    assert "http:" not in text.replace("http-equiv", "") and "https:" not in text and "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    used = re.findall(r"url\(#([^)]+)\)", text) + [
        a["href"][1:] for _, a in page.tags if (a.get("href") or "")[:1] == "#"
    ]
    assert used and set(used) <= set(page.ids)
    drawn = [a for tag, a in page.tags if tag == "svg"]
    assert len(drawn) == 3 * 4 - 2 + 1 and all(a["role"] == "img" and a["aria-label"] for a in drawn)
    assert len(text) < 400_000


def test_numbers_are_the_judgements() -> None:
    one = sheet()
    found = judged(one)
    page = Page(draw(one))
    low, high = found["intervals"]["macro_auc"]
    assert f"Macro AUC {found['macro_auc']:.3f} ({low:.2f}–{high:.2f})" in page.text
    for row in found["per_class"][:2]:
        assert f"{row['auc']:.3f}" in page.text and f"{row['ppv']:.3f}" in page.text
    called = int((one.probability[:, 1] > 0.5)[one.truth[:, 1] == 1].sum())
    assert f"has it {called} " in page.text
    embedded = re.search(r'<script type="application/json" id="judgement">(.*?)</script>', draw(one), re.DOTALL)
    assert embedded is not None
    assert json.loads(embedded[1]) == json.loads(json.dumps(found))


def test_what_is_undefined_is_said_with_its_reason() -> None:
    page = Page(draw(sheet()))
    assert "Absent (X): auc, ap" in page.text and "no positive" in page.text
    assert "Means are over 2 labels, without those that lack a positive or a negative: X" in page.text
    assert "Not drawn." in page.text and "– undefined: no positive" in page.text
    assert "nan" not in re.sub(r"[a-z]*nan[a-z]+|[a-z]+nan", "", page.text.lower())


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("draws", [0, 20])
def test_a_visit_or_two(n: int, draws: int) -> None:
    one = sheet(n)
    page = Page(draw(one, draws=draws))
    assert f"{n} visits" in page.text
    assert ("No intervals were asked for" in page.text) == (draws == 0)


def test_unknown_cells_and_constant_scores() -> None:
    one = sheet(12)
    known = one.known.copy()
    known[:, 0] = False
    known[0, 1] = False
    blank = Sheet(one.ids, one.codes, one.truth, known, np.zeros_like(one.probability), one.thresholds)
    page = Page(draw(blank))
    assert "no known row" in page.text and "cells are unknown" in page.text
    assert "(N D unknown)" in page.text or "N unknown" in page.text


def test_everything_from_files_is_escaped() -> None:
    nasty = '"><script>alert(1)</script>'
    one = sheet(30, ids=nasty)
    text = write_html(
        {**judged(one), "stamp": nasty, "notes": [nasty + "</script><!--"]},
        curves_of(one),
        gather(one, None, nasty),
        About(nasty, nasty, {nasty: nasty}, nasty, versions={nasty: nasty}),
    )
    page = Page(text)
    assert text.count("<script") == 1 and "<script>alert" not in text and "<b>Diabetic" not in text
    assert "<b>Diabetic & co" in page.text
    assert nasty in page.text


def test_loud_warnings_come_before_the_numbers() -> None:
    audit = {"passed": False, "text": "3 shared", "stamp": "these numbers say how well the model remembers"}
    more = {"leak_audit": audit, "truth_patients": 100, "unreadable": ["a.jpg"], "stamp": "made under a leaky protocol"}
    text = Page(draw(sheet(), **more)).text
    at = text.index("The numbers, beside")
    for words in (
        "These numbers say how well",
        "made under a leaky".capitalize(),
        "leak audit failed",
        "only 60 of".capitalize(),
    ):
        assert -1 < text.lower().find(words.lower()) < at, words
    assert "FAILED: 3 shared" in text


def test_subgroups_are_drawn_and_small_cells_only_named() -> None:
    told = {"n": 40, "n_pos": 12, "n_neg": 28, "suppressed": False, "auc": 0.811, "auc_interval": [0.7, 0.9]}
    told |= {"sensitivity": 0.75, "sensitivity_interval": [0.5, 0.9], "specificity": None, "specificity_interval": None}
    small = {"n": 21, "n_pos": None, "n_neg": None, "suppressed": True, "auc": None, "auc_interval": None}
    small |= {key: None for key in told if key not in small} | {"undefined": {}}
    base = {"n": 40, "patients": 40, "macro_auc": 0.8, "macro_auc_interval": [0.7, 0.87], "macro_n": 1, "undefined": {}}
    groups = [
        {"group": "<F>", **base, "per_class": [{"code": "D", **told, "undefined": {"specificity": "why not"}}]},
        {"group": "M", **base, "macro_auc": None, "macro_auc_interval": None, "per_class": [{"code": "D", **small}]},
    ]
    gap = {"code": "D", "measure": "auc", "best": "<F>", "worst": "M", "gap": 0.05, "interval": [0.01, 0.09]}
    by = {"name": "sex", "title": "Sex", "source": "the table", "unknown": 3, "groups": groups}
    by["largest_gap"] = {"macro_auc": {**gap, "gap": 0.031}, "per_class": [gap]}
    cut = {"suppressed_below": 10, "level": 0.95, "by": [by]}
    text = Page(draw(sheet(), subgroups=cut)).text
    assert "suppressed: fewer than 10" in text and "0.811 (0.70–0.90)" in text and "undefined: why not" in text
    assert "Unknown in 3 visits" in text and "<F> above M by 0.031" in text and "0.050 (0.01–0.09)" in text


def test_the_gallery_shows_the_right_eye_first() -> None:
    one = sheet(8)
    pixels = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    place = Geometry(200, 200, 0.0, 0.0, 200.0, 200)
    entry = CacheEntry(Path("x"), "0", place, {}, (Flag("too_dark", "dark"),), pixels=pixels)
    gallery = gather(one, dict.fromkeys(one.ids, (entry, None)))
    assert gallery.misses and [eye.side for eye in gallery.misses[0].eyes] == ["right", "left"]
    text = draw(one, gallery)
    page = Page(text)
    assert text.count("data:image/jpeg;base64,") == len(gallery.misses)
    assert (
        "right eye not seen" in page.text and "left: too dark" in page.text and "treat it like their files" in page.text
    )
    with pytest.raises(ValueError, match="says why"):
        gather(one, None)


def test_exclusive_classes_have_their_table() -> None:
    words = Vocabulary("grades", "grades", WORDS.labels)
    random = np.random.default_rng(1)
    truth = np.eye(3)[random.integers(0, 3, 40)]
    one = Sheet(
        [str(k) for k in range(40)], words.codes, truth, np.ones((40, 3), bool), random.dirichlet([1, 1, 1], 40)
    )
    text = write_html(judged(one, words=words), curves_of(one), gather(one, None, "no"), About("x"))
    assert "quadratically weighted" in Page(text).text


def test_score_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = sheet(20)
    for name, table in (("truth", one.truth.astype(int)), ("given", one.probability)):
        lines = [",".join([str(k), *map(str, row)]) for k, row in enumerate(table.tolist())]
        (tmp_path / f"{name}.csv").write_text("\n".join(["ID,a,b,c", *lines]) + "\n")
    where = ["--truth", str(tmp_path / "truth.csv"), "--predictions", str(tmp_path / "given.csv"), "--draws", "20"]
    assert main(["score", *where, "--json"]) == 0
    bare = capsys.readouterr().out
    assert main(["score", *where, "--json", "--report", str(tmp_path / "deep" / "page.html")]) == 0
    assert capsys.readouterr().out == bare
    text = (tmp_path / "deep" / "page.html").read_text(encoding="utf-8")
    assert "Judgement of given.csv" in Page(text).text and "No photographs" in text
    assert main(["score", *where, "--report", str(tmp_path)]) == 2
    assert "can't write" in capsys.readouterr().err


def test_evaluate_writes_it_with_photographs_or_without(made: Made, tmp_path: Path) -> None:
    where = ["--bundle", str(made.bundle), "--layout", "odir", "--root", str(made.root), "--cache", str(made.cache)]
    asked = ["evaluate", *where, "--draws", "20", "--part", "test", "--json"]
    assert run([*asked, "--out", str(tmp_path / "a")]) == 0
    assert run([*asked, "--out", str(tmp_path / "b"), "--no-gallery"]) == 0
    shown, bare = ((tmp_path / name / "report.html").read_text(encoding="utf-8") for name in "ab")
    assert "data:image/jpeg" in shown and "data:image/jpeg" not in bare and "--no-gallery was given" in bare
    judgement = json.loads((tmp_path / "a" / "evaluation.json").read_text())
    page = Page(shown)
    assert judgement["bundle"]["digest"] in page.text and judgement["split_hash"] in page.text
    assert "passed: " in page.text and "eyeground evaluate --bundle" in page.text


def test_plots_wait_until_a_page_is_drawn() -> None:
    code = "import sys, eyeground.cli.score; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_page_tells_a_stamp_once_and_no_place_on_this_machine() -> None:
    stamp = "LEAKY PROTOCOL x"
    base = {"n": 0, "per_class": [], "stamp": stamp}
    assert judged_words.warnings({**base, "leak_audit": {"passed": True, "stamp": stamp}}) == [stamp]
    told = judged_words.command("evaluate", ["--root", "/clinic/ann/eyes", "--split=/x/split.json", "--out", "judged"])
    assert told == "eyeground evaluate --root eyes --split=split.json --out judged"
