"""The sentences and numbers that the terminal and the page share."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from eyeground.readings import Certainty, EyeReading, Finding, Reading
from eyeground.records import Side

EYES: dict[Side, str] = {"left": "Left eye · OS", "right": "Right eye · OD"}
_SEX = {"F": "female", "M": "male"}


def percent(probability: float | None) -> str:
    """A probability with one decimal, never rounded to certainty; a dash where there is none."""
    if probability is None or math.isnan(probability):
        return "–"
    if probability < 0.001:
        return "< 0.1 %"
    if probability > 0.999:
        return "> 99.9 %"
    return f"{100 * probability:.1f} %"


def number(value: float) -> str:
    """Three significant digits, thousands kept whole, a true minus; a dash where undefined."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return text.replace("-", "−")


def when(created: str) -> str:
    """`2026-01-31T08:05:00Z` as `2026-01-31, 08:05 UTC`; other texts as they are."""
    day, mark, clock = created.partition("T")
    return f"{day}, {clock[:5]} UTC" if mark and clock.endswith(("Z", "+00:00")) else created


def verdict(finding: Finding) -> str:
    """`present`, `absent`, or `undefined` where the probability or the threshold is."""
    if math.isnan(finding.probability) or math.isnan(finding.threshold):
        return "undefined"
    return "present" if finding.positive else "absent"


def answer(finding: Finding) -> str:
    """The verdict, with 'uncertain' where the label set is not exactly that."""
    return verdict(finding) + (", uncertain" if finding.uncertain else "")


def sentence(text: str) -> str:
    """The text with a capital at its start and a full stop at its end."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", ":")) else ".")


def facts(reading: Reading) -> list[str]:
    """Who was read, as far as it was given: visit, age, sex."""
    known = [f"visit {reading.visit}" if reading.visit is not None else ""]
    known.append(f"age {reading.age:g} years" if reading.age is not None else "age not given")
    known.append(_SEX[reading.sex] if reading.sex else "sex not given")
    return [fact for fact in known if fact]


def summary(reading: Reading) -> list[str]:
    """The reading in sentences: what is present, whether the labels agree, which eye is not part of it."""
    positive = sorted((f for f in reading.diseases if f.positive), key=lambda finding: -finding.ratio)
    normal = [finding for finding in reading.findings if finding.rule == "all"]
    named = ", ".join(f"{finding.name} {percent(finding.probability)}" for finding in positive)
    lines = [f"Above threshold: {named}." if positive else "No disease label is above its threshold."]
    lines += [f"{finding.name}: {percent(finding.probability)}, {verdict(finding)}." for finding in normal]
    if normal and any(finding.positive for finding in normal) == bool(positive):
        lines.append(
            "The labels contradict each other: Normal and a disease are both above their thresholds."
            if positive
            else "The model is undecided: neither Normal nor a disease is above its threshold."
        )
    if reading.certainty is not None and reading.certainty.uncertain:
        lines.append(f"The model is uncertain; a person should decide. {' '.join(reading.certainty.reasons)}")
    unread = [eye for eye in reading.eyes if eye.status != "read"]
    lines += [absence(eye) for eye in unread]
    if len(unread) == 1:
        lines.append(f"The probabilities rest on the {'right' if unread[0].side == 'left' else 'left'} eye alone.")
    return lines


def of_eyes(reading: Reading) -> str:
    """That the model scores no single eye, where this is so; else nothing."""
    scored = any(value is not None for finding in reading.findings for value in finding.eye_probability)
    return "" if scored else "The model gives no probability of a single eye."


def sources(reading: Reading) -> list[tuple[str, list[str]]]:
    """Where the thresholds came from, and the labels that share each source with their thresholds."""
    found: dict[str, list[str]] = {}
    for finding in reading.findings:
        found.setdefault(finding.threshold_source, []).append(f"{finding.name} {percent(finding.threshold)}")
    return list(found.items())


def promise(certainty: Certainty) -> str:
    """What the label sets promise, in one sentence."""
    level = f"{100 * certainty.level:g} %"
    return sentence(
        f"in {level} of the patients with a label, and of those without, its set holds the truth; {certainty.note}"
    )


def absence(eye: EyeReading) -> str:
    """Why an eye is not shown, in one sentence."""
    verb = {"missing": "is missing", "unreadable": "could not be read", "read": "was read; no picture was kept"}
    because = f": {eye.reason.rstrip('.')}" if eye.reason else ""
    return f"The {eye.side} eye {verb[eye.status]}{because}."


def signed(value: float) -> str:
    """A value of a map with its sign, at least one decimal below 10."""
    return f"{value:+.1f}".replace("-", "−")


def listed(values: Iterable[float]) -> str:
    """Numbers with their signs: `+1, +2 and +3`."""
    *first, last = [f"{value:+.3g}".replace("-", "−") for value in values]
    return f"{', '.join(first)} and {last}" if first else last


def strength(values: NDArray[np.float32], unit: str = "logits", first: float = 0.0) -> str:
    """How strong a map is: its strongest place and its mean (the eye's logit, with mean pooling).

    `first` is the lowest contour's level; a map below it is said to be.
    """
    if not np.isfinite(values).any():
        return "no map"
    highest, mean = float(np.nanmax(values)), float(np.nanmean(values))
    cold = ", nothing to colour" if highest <= 0 else f", none above {signed(first)}" if highest < first else ""
    return f"strongest {signed(highest)}, mean {signed(mean)} {unit}{cold}"
