"""What every page is made with: templates that escape and miss nothing silently, parts of files, pictures inline."""

from __future__ import annotations

import base64
from importlib import resources

import jinja2
from markupsafe import Markup


def environment() -> jinja2.Environment:
    """Templates of this folder: all text is escaped, a name that is not given is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("eyeground", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def part(name: str) -> Markup:
    """A file of this folder as it is, such as a style sheet."""
    return Markup(resources.files("eyeground.report").joinpath(name).read_text(encoding="utf-8"))


def picture(kind: str, content: bytes) -> str:
    """An encoded picture as a URL that holds it. `kind` is jpeg or png."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
