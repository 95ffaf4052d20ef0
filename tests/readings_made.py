"""Readings, pictures and evidence made for the tests of the reading and its report."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from eyeground.readings import EyeReading, Finding, ModelRecord, Reading
from eyeground.records import Flag
from eyeground.vocabulary import ODIR

SCHEMA_FILE = "reading_schema.json"
MODEL = ModelRecord("pair", "resnet50", "1", "ab" * 32, "made eyes", "cd" * 32, "one temperature per label")
LOW = 0.05


def made_reading(
    left: float | None = 0.1,
    probabilities: Mapping[str, float] | None = None,
    thresholds: Mapping[str, float] | None = None,
    flags: tuple[Flag, ...] = (),
    **fields: object,
) -> Reading:
    """A reading of ODIR's labels; `left=None` leaves the left eye out, `flags` are put on the right eye."""
    probabilities = {"D": 0.8} if probabilities is None else probabilities
    findings = []
    for label in ODIR.labels:
        probability = probabilities.get(label.code, LOW)
        threshold = (thresholds or {}).get(label.code, 0.5)
        eyes = (None if left is None else min(left, probability), probability)
        source = "largest F1 on the validation part of split cdcdcdcd, 40 positives"
        findings.append(
            Finding(label.code, label.name, probability, threshold, source, probability > threshold, eyes, label.visit)
        )
    crop = {"width": 300, "height": 200, "x": 50.0, "y": 0.0, "side": 200.0, "size": 64}
    right_eye = EyeReading("right", "read", None, 300, 200, crop, {"sharpness": 3.1}, flags)
    left_eye = (
        EyeReading("left", "missing", "no photograph was given")
        if left is None
        else EyeReading("left", "read", None, 300, 200, crop, {"sharpness": 2.9})
    )
    given = {"age": 63.0, "sex": "F", **fields}
    return Reading(
        eyeground_version="0.1.0",
        created="2026-03-14T09:26:00Z",
        model=MODEL,
        findings=tuple(findings),
        eyes=(left_eye, right_eye),
        map_note="Each map explains its eye's score exactly",
        evidence_scale=10.0,
        **given,  # type: ignore[arg-type]
    )


def made_picture(seed: int = 0, side: int = 64) -> np.ndarray:
    """A round orange something, RGB uint8 (side, side, 3)."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    inside = (x**2 + y**2 < (0.48 * side) ** 2)[..., None]
    noise = np.random.default_rng(seed).integers(0, 20, (side, side, 3))
    return (inside * (np.array([190, 95, 40]) + noise)).astype(np.uint8)


def made_evidence(hot: str | None = "D", seed: int = 0) -> np.ndarray:
    """Evidence float32 (8, 8, 8): cold everywhere, but for a warm place of one label."""
    maps = np.random.default_rng(seed).normal(-3.5, 0.5, (len(ODIR), 8, 8)).astype(np.float32)
    if hot:
        maps[ODIR.index(hot), 2:4, 4:6] = 12
    return maps
