"""The judgement as one self-contained HTML page: no network, no script; for a desk, a telephone and paper."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from importlib import metadata
from typing import Any

import jinja2
from markupsafe import Markup

from eyeground import DISCLAIMER, __version__
from eyeground.metrics.curves import LabelCurves, trace
from eyeground.metrics.mistakes import CalledWhere, Sheet, called_where
from eyeground.report import forest, judged_words, templates
from eyeground.report.gallery import Gallery
from eyeground.report.judged_plots import drawn

PACKAGES = ("numpy", "opencv-python-headless", "matplotlib", "torch", "timm")


def _versions() -> dict[str, str]:
    """Of eyeground, Python and the packages that numbers depend on, as far as they are installed."""
    found = {"eyeground": __version__, "python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class Curves:
    """What is drawn and not in the judgement: curves by label, and which label was called where which was true."""

    labels: tuple[LabelCurves, ...]
    called: CalledWhere


@dataclass(frozen=True)
class About:
    """What the page says of itself: `facts` are shown under 'What was judged', `versions` under 'To repeat it'."""

    title: str
    command: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    json_file: str = ""
    created: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    versions: Mapping[str, str] = field(default_factory=_versions)


def curves_of(sheet: Sheet) -> Curves:
    """The curves of what was judged."""
    cells = (sheet.truth, sheet.known, sheet.probability, sheet.thresholds)
    return Curves(trace(*cells), called_where(*cells))


def write_html(judgement: Mapping[str, Any], curves: Curves, gallery: Gallery, about: About) -> str:
    """Draws the page.

    Args:
        judgement: of `metrics.judge` with `details`; `intervals`, `subgroups` and what `evaluate` adds are shown when
            they are there.
        curves: of the same cells, labels in the judgement's order.
        gallery: the worst misses.
        about: title, command, versions.

    Returns:
        HTML text: about 10 kB for a plot and 8 kB for a photograph.

    Raises:
        ValueError: curves of another number of labels.
    """
    if len(curves.labels) != len(judgement["per_class"]):
        raise ValueError(f"{len(judgement['per_class'])} labels were judged, but there are {len(curves.labels)} curves")
    names = {row["code"]: row["name"] for row in judgement["per_class"]}
    cut = judgement.get("subgroups") or {"by": [], "suppressed_below": 0}
    plots = drawn(judgement, curves.labels)
    absent = {
        "points": not judgement["details"]["operating"],
        "refusing": not plots["refusing"],
        "sets": "label_sets" not in judgement,
    }
    return _template().render(
        j=judgement,
        contents=[(at, name) for at, name in judged_words.CONTENTS if not absent.get(at)],
        about=about,
        names=names,
        rows=list(zip(judgement["per_class"], curves.labels, strict=True)),
        bounds=_bounds(judgement),
        plots=plots,
        called=curves.called,
        labels=forest.labels(judgement),
        subgroups=[(by, forest.subgroups(by, names, cut["suppressed_below"])) for by in cut["by"]],
        gallery=gallery,
        facts=judged_words.facts(judgement, about.facts),
        warnings=judged_words.warnings(judgement),
        summary=judged_words.summary(judgement, curves.labels),
        undefined=judged_words.undefined(judgement),
        data=_embedded(judgement),
        disclaimer=DISCLAIMER,
        style=templates.part("page.css") + templates.part("judged.css"),
    )


def _bounds(judgement: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Each label's intervals; empty where none were made."""
    found = judgement.get("intervals")
    return list(found["per_class"]) if found else [{} for _ in judgement["per_class"]]


def _embedded(judgement: Mapping[str, Any]) -> Markup:
    """The judgement as JSON that can't end its element: every '<' is escaped."""
    text = json.dumps(judgement, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


@cache
def _template() -> jinja2.Template:
    made = templates.environment()
    made.filters.update(
        when=judged_words.when,
        number=judged_words.number,
        percent=judged_words.percent,
        sentence=judged_words.sentence,
        said=forest.said,
        named=forest.named,
        picture=partial(templates.picture, "jpeg"),
    )
    made.globals.update(said=forest.said, parts=judged_words.HEADLINES)
    return made.get_template("judged.html")
