"""The page of duplicates: each pair's photographs side by side, what kind of pair it is, and whose labels disagree."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from eyeground import DISCLAIMER, __version__
from eyeground.errors import ImageError
from eyeground.images.decode import decode
from eyeground.leaks import Fingerprint, Pair
from eyeground.records import Cohort, Eye, Side
from eyeground.report import templates

THUMBNAIL = 240
"""Pixels along the longer side of a thumbnail."""
QUALITY = 80
KINDS = {
    "identical": "same bytes",
    "copy": "same picture, changed",
    "mirrored": "same picture, mirrored",
    "same_eye": "same eye photographed again (warning)",
    "known": "listed beforehand",
    "suspect": "perhaps one picture or one eye (warning)",
}
Eyes = Mapping[tuple[str, Side], Eye]


def eyes_of(cohort: Cohort) -> dict[tuple[str, Side], Eye]:
    """The listed eyes of a cohort by visit and side."""
    return {(visit.id, eye.side): eye for visit in cohort.visits for eye in visit.listed()}


def rows(pairs: Sequence[Pair], one: Cohort, two: Cohort) -> list[dict[str, Any]]:
    """The pairs as JSON-able rows, with files, labels, and `disagree`: codes that one eye has and the other lacks.

    Args:
        pairs: `a` is of the first cohort, `b` of the second.
        one: the first cohort.
        two: the second, or the first again.
    """
    first, second = eyes_of(one), eyes_of(two)
    return [_row(pair, first, second, (one.vocabulary.codes, two.vocabulary.codes)) for pair in pairs]


def _row(pair: Pair, first: Eyes, second: Eyes, codes: tuple[tuple[str, ...], tuple[str, ...]]) -> dict[str, Any]:
    a, b = first[pair.a.visit, pair.a.side], second[pair.b.visit, pair.b.side]
    labels = dict(zip(codes[0], a.labels, strict=True)), dict(zip(codes[1], b.labels, strict=True))
    common = [code for code in codes[0] if code in labels[1]]
    disagree = [code for code in common if {labels[0][code], labels[1][code]} == {0, 1}]
    present = [[code for code, state in one.items() if state == 1] for one in labels]
    named = {"file_a": a.file, "file_b": b.file, "labels_a": present[0], "labels_b": present[1]}
    return {**pair.to_shown(), **named, "disagree": disagree, "same_patient": pair.a.patient == pair.b.patient}


def page(pairs: Sequence[Pair], one: Cohort, two: Cohort, facts: Mapping[str, Any]) -> str:
    """One HTML page that needs nothing else.

    Args:
        pairs: see `rows`.
        one: the first cohort.
        two: the second, or the first again.
        facts: `photographs`, `compared` (pairs), and `method` in words.
    """
    first, second = eyes_of(one), eyes_of(two)
    shown = [
        row | {"picture_a": thumbnail(pair.a, first, False), "picture_b": thumbnail(pair.b, second, mirrored(pair))}
        for pair, row in zip(pairs, rows(pairs, one, two), strict=True)
    ]
    template = templates.environment().get_template("duplicates.html")
    groups = [(KINDS[kind], [row for row in shown if row["kind"] == kind]) for kind in KINDS]
    kinds = [(title, members) for title, members in groups if members]
    return template.render(kinds=kinds, facts=facts, disclaimer=DISCLAIMER, version=__version__)


def mirrored(pair: Pair) -> bool:
    """Whether the second photograph is shown mirrored, so that it looks like the first."""
    return pair.kind == "mirrored" or "mirrored" in pair.evidence


def thumbnail(one: Fingerprint, eyes: Eyes, turn: bool) -> str:
    """A photograph as a small JPEG in base64; empty when it can't be decoded."""
    path = eyes[one.visit, one.side].path
    if path is None:
        return ""
    try:
        pixels = decode(path, THUMBNAIL).pixels
    except ImageError:
        return ""
    high, wide = pixels.shape[:2]
    scale = min(THUMBNAIL / max(high, wide), 1.0)
    size = (max(round(wide * scale), 1), max(round(high * scale), 1))
    small = cv2.cvtColor(np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", small[:, ::-1] if turn else small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return base64.b64encode(data.tobytes()).decode("ascii")
