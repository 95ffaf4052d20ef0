"""The reading as lines for a terminal."""

from __future__ import annotations

import math

from eyeground.readings import Finding, Reading
from eyeground.report import words

_WIDTH = 24


def lines(reading: Reading) -> list[str]:
    """The reading in plain text: summary, a bar per label with its threshold as `|`, eyes, model, disclaimer."""
    text = [f"Fundus reading, {words.when(reading.created)} ({', '.join(words.facts(reading))})", ""]
    text += words.summary(reading)
    text += [f"Warning: {words.sentence(warning)}" for warning in reading.warnings]
    text.append("")
    width = max((len(finding.name) for finding in reading.findings), default=0)
    room = max((len(words.answer(finding)) for finding in reading.findings), default=0)
    text.append(f"{'':<{width}}  {'':<{room}}  {'':<{_WIDTH}}  {'prob.':>8} {'thresh.':>8} {'OD':>8} {'OS':>8}")
    text += [_row(finding, width, room) for finding in reading.findings]
    text += [note] if (note := words.of_eyes(reading)) else []
    text.append("")
    for eye in reversed(reading.eyes):
        what = f"{eye.width} × {eye.height} px" if eye.status == "read" else words.absence(eye)
        numbers = [f"{name.replace('_', ' ')} {words.number(value)}" for name, value in eye.quality.items()]
        text.append(f"{words.EYES[eye.side]}: {', '.join([what, *numbers])}")
        text += [f"  flag: {words.sentence(flag.text)}" for flag in eye.flags]
    model = reading.model
    calibration = model.calibration or "none, the probabilities are not calibrated"
    text += ["", f"Model {model.method} on {model.trunk}, version {model.version}, {model.bundle_digest[:12]}"]
    text += [f"Learnt from {model.trained_on}. Calibration: {calibration}."]
    if reading.certainty is not None:
        text.append(f"Label sets: {words.promise(reading.certainty)}")
    return [*text, "", reading.disclaimer]


def _row(finding: Finding, width: int, room: int) -> str:
    left, right = finding.eye_probability
    numbers = (finding.probability, finding.threshold, right, left)
    digits = " ".join(f"{words.percent(value):>8}" for value in numbers)
    return f"{finding.name:<{width}}  {words.answer(finding):<{room}}  {_bar(finding)}  {digits}"


def _bar(finding: Finding) -> str:
    filled = 0 if math.isnan(finding.probability) else round(finding.probability * _WIDTH)
    cells = ["█"] * filled + ["·"] * (_WIDTH - filled)
    if not math.isnan(finding.threshold):
        cells[min(int(finding.threshold * _WIDTH), _WIDTH - 1)] = "|"
    return "".join(cells)
