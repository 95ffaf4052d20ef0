"""The judgement's page of a bundle: the worst misses with their photographs, and how to repeat it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eyeground.files import write_text
from eyeground.report.gallery import gather
from eyeground.runs.bundle import Bundle
from eyeground.runs.evaluate import Answer

NAME = "report.html"


def write_page(answer: Answer, bundle: Bundle, folder: Path, argv: Sequence[str], photographs: bool = True) -> Path:
    """Writes `report.html` into the folder that `save` wrote the judgement to; matplotlib is imported only here.

    Args:
        argv: the command's arguments, told on the page.
        photographs: show the worst misses' photographs; False leaves them out.

    Raises:
        DataError: a prepared view is gone, no space, no permission.
    """
    from eyeground.report.judged import About, curves_of, write_html
    from eyeground.report.judged_words import command

    gallery = gather(
        answer.sheet, answer.eyes if photographs else None, "" if photographs else "--no-gallery was given."
    )
    facts = {"Thresholds": _origin(bundle, answer.judgement["probabilities"] == "mapped")}
    title = f"Judgement of {bundle.config['method']['name']}, {answer.judgement['part']} part"
    about = About(title, command("evaluate", argv), facts, json_file="evaluation.json")
    path = folder / NAME
    write_text(path, write_html(answer.judgement, curves_of(answer.sheet), gallery, about))
    return path


def _origin(bundle: Bundle, mapped: bool) -> str:
    """Where the thresholds came from, in words."""
    rules = bundle.thresholds
    told = ", ".join(f"{key.replace('_', ' ')} {str(value)[:16]}" for key, value in rules["chosen_on"].items())
    return f"frozen in the bundle, rule {rules['rule']}, chosen on {told}" + ("; each mapped to 0.5" if mapped else "")
