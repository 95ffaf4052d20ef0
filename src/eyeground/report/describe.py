"""Writes a cohort's description: pictures, one self-contained page, and the numbers behind them."""

from __future__ import annotations

import base64
import io
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from eyeground import DISCLAIMER, __version__
from eyeground.errors import DataError
from eyeground.files import aside, write_json, write_text
from eyeground.records import Cohort
from eyeground.report.pictures import PICTURES
from eyeground.report.tally import tally

SCHEMA = "eyeground/describe/1"
DPI = 140


def describe(cohort: Cohort, out: Path) -> dict[str, Any]:
    """Writes `index.html`, a PNG per picture and `describe.json` into a folder; other files there stay.

    No patient identifier and no path is written: numbers only.

    Returns:
        What `describe.json` holds. `not_drawn` names the pictures that there is nothing to draw for, and why.

    Raises:
        DataError: a cohort without visits, no space, no permission.
    """
    if not cohort.visits:
        raise DataError(f"{cohort.root} has no visits: there is nothing to describe")
    numbers = {"schema": SCHEMA, "eyeground": __version__, **tally(cohort)}
    numbers["not_drawn"] = _nothing_known(numbers)
    pictures = {}
    for name, draw in PICTURES.items():
        path = out / f"{name}.png"
        if name in numbers["not_drawn"]:
            path.unlink(missing_ok=True)  # an earlier description's picture would contradict this page
            continue
        stream = io.BytesIO()
        draw(numbers).savefig(stream, format="png", dpi=DPI, metadata={"Software": None})
        pictures[name] = stream.getvalue()
        with aside(path) as temporary:
            temporary.write_bytes(pictures[name])
    write_json(out / "describe.json", numbers)
    write_text(out / "index.html", page(numbers, pictures))
    return numbers


def page(numbers: dict[str, Any], pictures: dict[str, bytes]) -> str:
    """The page as HTML, with the PNG pictures inside it."""
    source = (resources.files("eyeground.report") / "describe.html").read_text(encoding="utf-8")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
    inside = {name: base64.b64encode(data).decode("ascii") for name, data in pictures.items()}
    captions = {name: (PICTURES[name].__doc__ or "").splitlines()[0] for name in pictures}
    return template.render(t=numbers, pictures=inside, captions=captions, disclaimer=DISCLAIMER, version=__version__)


def _nothing_known(t: dict[str, Any]) -> dict[str, str]:
    """The pictures that would be empty, each with the reason."""
    eyes, visits = (any(row[f"{key}_known"] for row in t["labels"]) for key in ("eyes", "visits"))
    empty = {
        "age": None if t["age"]["n"] else "no age is known",
        "labels": None if eyes or visits else "no label is known",
        "labels_per_visit": None if visits else f"no label is known for whole {t['unit']}, only per eye",
        "cooccurrence": None if visits else f"no label is known for whole {t['unit']}, only per eye",
        "eyes": None if eyes else "no label is known per eye",
    }
    return {name: reason for name, reason in empty.items() if reason}
