"""What one reading says: the object behind reading.json, the terminal and the page.

A reading carries no patient identifier and no name of the input files; `visit` is filled only when the user asks.
Undefined numbers are `nan` here and `null` in JSON. Every field is told in `docs/reading.md`; the file's JSON Schema
is `report/reading_schema.json`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from eyeground import DISCLAIMER
from eyeground.errors import DataError, nearest
from eyeground.records import Flag, Side
from eyeground.vocabulary import VisitRule

FORMAT = "eyeground.reading"
VERSION = 3
SCHEMA = f"{FORMAT}/{VERSION}"
"""Rises by one whenever a field is added, removed or changes its meaning. Older versions are still read."""

Status = Literal["read", "missing", "unreadable"]
Answer = Literal["absent", "present"]
R = TypeVar("R")


@dataclass(frozen=True)
class Finding:
    """One label's answer for the visit.

    `probability` and `eye_probability` (left, right; None for an eye that was not read) are calibrated, 0 to 1.
    `threshold_source` says by which rule and on which split the threshold was chosen, with its number of positives.
    `rule` tells how the visit follows from its eyes: a disease is present when in `any` eye, Normal when in `all`.
    `label_set` holds the answers that can't be ruled out at the reading's `certainty.level`, None where none was made;
    `uncertain` when that is not exactly what `positive` says.
    """

    code: str
    name: str
    probability: float
    threshold: float
    threshold_source: str
    positive: bool
    eye_probability: tuple[float | None, float | None]
    rule: VisitRule = "any"
    label_set: tuple[Answer, ...] | None = None
    uncertain: bool | None = None

    def __post_init__(self) -> None:
        for value in (self.probability, self.threshold, *self.eye_probability):
            if value is not None and not math.isnan(value) and not 0 <= value <= 1:
                raise ValueError(f"finding '{self.code}' has {value}, which is no probability between 0 and 1")
        sure: tuple[Answer] = ("present",) if self.positive else ("absent",)
        if self.uncertain != (None if self.label_set is None else tuple(self.label_set) != sure):
            raise ValueError(f"finding '{self.code}': `uncertain` contradicts its label set {self.label_set}")

    @property
    def ratio(self) -> float:
        """Odds of the probability over odds of the threshold: how clear a positive is. 0 where either is undefined."""
        if math.isnan(self.probability) or math.isnan(self.threshold):
            return 0.0
        p, t = (min(max(value, 1e-9), 1 - 1e-9) for value in (self.probability, self.threshold))
        return p / (1 - p) * (1 - t) / t


@dataclass(frozen=True)
class Certainty:
    """Whether the visit should be left to a person.

    `level`: in how many of the patients with (and without) a label its set holds the truth, such as 0.9. `uncertain`
    with the `reasons`, one sentence each. `note` says how far the level can be relied on.
    """

    level: float
    uncertain: bool
    reasons: tuple[str, ...]
    note: str

    def __post_init__(self) -> None:
        if not 0 < self.level < 1 or self.uncertain != bool(self.reasons):
            raise ValueError(f"a certainty of level {self.level} with {len(self.reasons)} reasons is none")


@dataclass(frozen=True)
class EyeReading:
    """What was seen of one eye.

    Width and height are the photograph's own pixels; `crop` is the geometry that places view and heatmaps on them
    (`images.geometry.Geometry.to_dict`). `heatmaps` maps a label's code to a file beside reading.json,
    `evidence_peak` to its map's highest value. `map_shift` (dx, dy) in map elements, x first: how far the elements sit
    from the centres of a regular grid; None where there are no maps, or it can't be established.
    """

    side: Side
    status: Status
    reason: str | None = None
    width: int | None = None
    height: int | None = None
    crop: dict[str, float] | None = None
    quality: dict[str, float] = dataclasses.field(default_factory=dict)
    flags: tuple[Flag, ...] = ()
    heatmaps: dict[str, str] = dataclasses.field(default_factory=dict)
    evidence_peak: dict[str, float] = dataclasses.field(default_factory=dict)
    map_shift: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.status != "read" and not self.reason:
            raise ValueError(f"the {self.side} eye is {self.status}: say why in `reason`")


@dataclass(frozen=True)
class ModelRecord:
    """Which model answered, and what it learnt from. `bundle_digest` and `split_hash` are SHA-256, hexadecimal."""

    method: str
    trunk: str
    version: str
    bundle_digest: str
    trained_on: str
    split_hash: str
    calibration: str


@dataclass(frozen=True)
class Reading:
    """One visit, read. Eyes and eye probabilities are in the order left (OS), right (OD).

    `evidence_scale` is the value that heatmaps draw at full strength, in `map_unit`.
    """

    eyeground_version: str
    created: str
    model: ModelRecord
    findings: tuple[Finding, ...]
    eyes: tuple[EyeReading, EyeReading]
    map_note: str
    evidence_scale: float
    age: float | None = None
    sex: Literal["F", "M"] | None = None
    visit: str | None = None
    warnings: tuple[str, ...] = ()
    certainty: Certainty | None = None
    map_unit: str = "logits"
    disclaimer: str = DISCLAIMER
    schema: str = SCHEMA

    def __post_init__(self) -> None:
        if tuple(eye.side for eye in self.eyes) != ("left", "right"):
            raise ValueError("a reading's eyes are in the order left, right")
        if not self.evidence_scale > 0:
            raise ValueError(
                f"evidence_scale is {self.evidence_scale}; it is the positive logit drawn at full strength"
            )

    @property
    def diseases(self) -> tuple[Finding, ...]:
        """The findings that one eye is enough for, i.e. all but Normal."""
        return tuple(finding for finding in self.findings if finding.rule == "any")

    @property
    def notable(self) -> Finding | None:
        """The disease to look at first: of the positive ones, else of all, the highest ratio to its threshold."""
        among = [finding for finding in self.diseases if finding.positive] or self.diseases or self.findings
        return max(among, key=lambda finding: finding.ratio, default=None)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values, every field present, undefined as None, the schema first."""
        values = {"schema": self.schema, **dataclasses.asdict(self)}
        if self.visit is None:
            del values["visit"]
        return _plain(values)

    @staticmethod
    def from_dict(data: Mapping[str, Any], where: str = "the reading") -> Reading:
        """Rebuilds a reading from reading.json's values.

        Raises:
            DataError: not a reading, one of a newer schema, or a field that is missing, unknown or out of range.
        """
        data = _upgraded(data, where)
        values = dict(data)
        try:
            values["findings"] = tuple(_finding(item, where) for item in data["findings"])
            left, right = (_eye(item, where) for item in data["eyes"])
            values["eyes"] = (left, right)
            values["model"] = _make(ModelRecord, data["model"], f"model of {where}")
            values["warnings"] = tuple(data["warnings"])
            if data["certainty"] is not None:
                sure = {**data["certainty"], "reasons": tuple(data["certainty"]["reasons"])}
                values["certainty"] = _make(Certainty, sure, f"certainty of {where}")
            return _make(Reading, values, where)
        except KeyError as error:
            raise DataError(f"{where} has no field {error}; write it again with eyeground read") from None
        except (TypeError, ValueError) as error:
            raise DataError(f"{where} can't be read: {error}") from None


def _upgraded(data: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The values in this version's fields. Raises `DataError` for another format or a newer version."""
    name, _, number = str(data.get("schema", "")).partition("/") if isinstance(data, Mapping) else ("", "", "")
    if name != FORMAT or not number.isdecimal():
        raise DataError(f"{where} is no {FORMAT} file: its 'schema' should be '{SCHEMA}'")
    if int(number) > VERSION:
        raise DataError(f"{where} has schema {name}/{number}; this eyeground knows up to {SCHEMA}: update eyeground")
    if int(number) < 2 and isinstance(data.get("findings"), list):
        data = {**data, "findings": _added(data["findings"], label_set=None, uncertain=None), "certainty": None}
    if int(number) < 3 and isinstance(data.get("eyes"), list):
        data = {**data, "eyes": _added(data["eyes"], evidence_peak={}, map_shift=None), "map_unit": "logits"}
    return {**data, "schema": SCHEMA}


def _added(items: list[Any], **fields: Any) -> list[Any]:
    """Each record of a list with more fields."""
    return [{**one, **fields} if isinstance(one, Mapping) else one for one in items]


def _finding(data: Mapping[str, Any], where: str) -> Finding:
    values = dict(data)
    for key in ("probability", "threshold"):
        values[key] = math.nan if data[key] is None else data[key]
    left, right = data["eye_probability"]
    values["eye_probability"] = (left, right)
    if data.get("label_set") is not None:
        values["label_set"] = tuple(data["label_set"])
    return _make(Finding, values, f"a finding of {where}")


def _eye(data: Mapping[str, Any], where: str) -> EyeReading:
    values = dict(data)
    values["flags"] = tuple(_make(Flag, flag, f"a flag of {where}") for flag in data["flags"])
    values["quality"] = {name: math.nan if value is None else value for name, value in data["quality"].items()}
    if data.get("map_shift") is not None:
        dx, dy = data["map_shift"]
        values["map_shift"] = (dx, dy)
    return _make(EyeReading, values, f"an eye of {where}")


def _make(kind: type[R], values: Mapping[str, Any], where: str) -> R:
    """Builds a record whose file must name every field (`visit` of a reading excepted) and no other."""
    assert dataclasses.is_dataclass(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    for key in values:
        if key not in names:
            raise DataError(f"unknown field '{key}' in {where}{nearest(key, names)}")
    for name in names:
        if name not in values and not (kind is Reading and name == "visit"):
            raise DataError(f"{where} has no field '{name}'; write it again with eyeground read")
    return kind(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
