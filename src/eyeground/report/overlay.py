"""What the page lays over an eye: colours, contours and words for each label's map, all on one absolute scale."""

from __future__ import annotations

import html
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from eyeground.explain import contours, paint
from eyeground.readings import EyeReading, Finding, Reading
from eyeground.report import templates, words


@dataclass(frozen=True)
class Heat:
    """One label's map over one eye.

    `index` is the label's place among the findings, `peak` the map's highest value, `cold` says that it is below the
    first contour, `swatch` is its colour (CSS) on the scale.
    """

    index: int
    image: str
    alt: str
    caption: str
    lines: Markup
    peak: float
    cold: str
    swatch: str


def heat(index: int, finding: Finding, eye: EyeReading, values: NDArray[np.float32], reading: Reading) -> Heat:
    """Draws one map (h, w), in `reading.map_unit`."""
    scale, shift = reading.evidence_scale, eye.map_shift or (0.0, 0.0)
    first = contours.levels(scale)[0]
    side = min(256, 32 * max(values.shape))
    painted = paint.painted_png(paint.smooth(values, side, side, shift), scale)
    probability = finding.eye_probability[0 if eye.side == "left" else 1]
    strength = words.strength(values, reading.map_unit, first)
    scored = "" if probability is None else f" {words.percent(probability)}"
    finite = values[np.isfinite(values)]
    peak = float(finite.max()) if finite.size else float("nan")
    red, green, blue, alpha = paint.paint(np.array([[peak]]), scale)[0, 0].tolist()
    return Heat(
        index,
        templates.picture("png", painted),
        f"Evidence for {finding.name}, {eye.side} eye: {strength}",
        f"This eye{scored}: {strength}",
        Markup(contours.svg(values, scale, shift, f"of-{index}")),
        peak,
        "" if peak >= first else f"No evidence above {words.signed(first)}",
        f"rgb({red} {green} {blue} / {alpha / 255:.2f})",
    )


def warmth(heats: tuple[Heat, ...], reading: Reading) -> tuple[bool, str]:
    """Whether an eye is cold for all diseases, and the sentence that says so or names the warm ones."""
    level = f"{words.signed(contours.levels(reading.evidence_scale)[0])} {reading.map_unit}"
    found = [(one.peak, reading.findings[one.index].name) for one in heats if not one.cold]
    found = [(peak, name) for peak, name in found if name in {disease.name for disease in reading.diseases}]
    if not found:
        return True, f"Cold: no evidence above {level} for any disease label."
    named = ", ".join(f"{name} {words.signed(peak)}" for peak, name in sorted(found, reverse=True))
    return False, f"Evidence above {level} for {len(found)} of {len(reading.diseases)} disease labels: {named}."


def legend(reading: Reading) -> Markup:
    """The colour scale with its numbers, and the contours' levels marked on it with their own lines."""
    scale, unit = reading.evidence_scale, reading.map_unit
    marks = list(zip(contours.levels(scale), contours.DASHES, strict=True))
    text = paint.legend(scale, "ramp", [level for level, _ in marks], unit)
    lines = []
    for level, dashes in marks:
        at = 240 * level / scale
        dash = f' stroke-dasharray="{dashes}"' if dashes else ""
        lines.append(f'<path class="under" d="M{at:.1f} 0V16"/><path class="line" d="M{at:.1f} 0V16"{dash}/>')
    group = f'<g class="marks" aria-label="Contours at {html.escape(words.listed(contours.levels(scale)))}">'
    return Markup(text.replace("</svg>", f"{group}{''.join(lines)}</g></svg>"))
