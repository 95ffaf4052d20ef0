"""The reading's record: JSON there and back, its schema, its documentation, its refusals."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

from eyeground.errors import DataError
from eyeground.readings import SCHEMA, Certainty, EyeReading, Finding, ModelRecord, Reading
from eyeground.records import Flag
from readings_made import SCHEMA_FILE, made_reading

DOC = Path(__file__).resolve().parents[1] / "docs" / "reading.md"


@pytest.fixture(scope="module")
def schema() -> dict:
    return json.loads(resources.files("eyeground.report").joinpath(SCHEMA_FILE).read_text(encoding="utf-8"))


def test_json_and_back_is_the_same_reading():
    reading = made_reading(left=None, visit="0013")
    text = json.dumps(reading.to_dict(), allow_nan=False)
    assert Reading.from_dict(json.loads(text)) == reading


def test_undefined_numbers_are_null_in_json_and_nan_in_python():
    reading = made_reading()
    undefined = dataclasses.replace(reading.findings[2], threshold=math.nan, positive=False)
    data = dataclasses.replace(reading, findings=(undefined,)).to_dict()
    assert data["findings"][0]["threshold"] is None
    assert math.isnan(Reading.from_dict(data).findings[0].threshold)
    assert undefined.ratio == 0


@pytest.mark.parametrize("case", [{}, {"left": None}, {"visit": "7"}, {"flags": (Flag("too_dark", "dark"),)}])
def test_every_reading_fits_the_published_schema(schema, case):
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(made_reading(**case).to_dict(), schema)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), "eyeground.reading/4"),
        (("patient",), "0013"),
        (("findings", 0, "probability"), 1.2),
        (("eyes", 0, "side"), "right"),
        (("created",), "yesterday"),
        (("sex",), "X"),
    ],
)
def test_the_schema_refuses(schema, path, value):
    data = made_reading().to_dict()
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, schema)


def test_schema_and_records_name_the_same_fields(schema):
    definitions = schema["$defs"]
    pairs = [
        (Reading, schema),
        (Finding, definitions["finding"]),
        (EyeReading, definitions["eye"]),
        (Certainty, definitions["certainty"]),
        (ModelRecord, definitions["model"]),
        (Flag, definitions["flag"]),
    ]
    for record, part in pairs:
        names = {field.name for field in dataclasses.fields(record)}
        assert set(part["properties"]) == names, record
        assert all(prop.get("description") or "$ref" in prop for prop in part["properties"].values()), record


def test_every_field_is_documented_and_the_example_is_valid(schema):
    text = DOC.read_text(encoding="utf-8")
    rows = set(re.findall(r"`(\w+)`", " ".join(line for line in text.splitlines() if line.startswith("|"))))
    parts = [schema, *schema["$defs"].values()]
    assert {name for part in parts for name in part["properties"]} <= rows | {"code", "text"}
    example = json.loads(text.split("```json")[1].split("```")[0])
    jsonschema.validate(example, schema)
    assert Reading.from_dict(example).to_dict() == example


def unsure() -> Reading:
    """A reading with label sets: D present for sure, G uncertain, M without a set."""
    sets = {"D": ("present",), "G": ("absent", "present"), "M": None}
    findings = []
    for finding in made_reading().findings:
        answers = sets.get(finding.code, ("absent",))
        findings.append(
            dataclasses.replace(finding, label_set=answers, uncertain=None if answers is None else len(answers) == 2)
        )
    certainty = Certainty(0.9, True, ("Neither answer can be ruled out at 90 % for Glaucoma.",), "approximate")
    return dataclasses.replace(made_reading(), findings=tuple(findings), certainty=certainty)


def test_label_sets_go_there_and_back(schema):
    reading = unsure()
    data = json.loads(json.dumps(reading.to_dict()))
    jsonschema.validate(data, schema)
    assert Reading.from_dict(data) == reading
    with pytest.raises(ValueError, match="contradicts"):
        dataclasses.replace(reading.findings[1], uncertain=True)
    with pytest.raises(ValueError, match="is none"):
        Certainty(0.9, True, (), "")


def test_the_first_schema_is_still_read():
    data = made_reading().to_dict()
    old = {key: value for key, value in data.items() if key != "certainty"}
    old["findings"] = [{k: v for k, v in f.items() if k not in ("label_set", "uncertain")} for f in data["findings"]]
    assert Reading.from_dict({**old, "schema": "eyeground.reading/1"}) == made_reading()
    with pytest.raises(DataError, match="no field 'label_set'"):
        Reading.from_dict({**data, "findings": old["findings"]})


def test_the_second_schema_is_still_read():
    data = made_reading().to_dict()
    old = {key: value for key, value in data.items() if key != "map_unit"}
    old["eyes"] = [{k: v for k, v in eye.items() if k not in ("evidence_peak", "map_shift")} for eye in data["eyes"]]
    assert Reading.from_dict({**old, "schema": "eyeground.reading/2"}) == made_reading()
    with pytest.raises(DataError, match="no field 'evidence_peak'"):
        Reading.from_dict({**data, "eyes": old["eyes"]})


def test_where_the_maps_sit_goes_there_and_back(schema):
    reading = made_reading()
    placed = dataclasses.replace(reading.eyes[1], map_shift=(-0.48, 0.0), evidence_peak={"D": 12.5})
    reading = dataclasses.replace(reading, eyes=(reading.eyes[0], placed), map_unit="logits per element")
    data = json.loads(json.dumps(reading.to_dict()))
    jsonschema.validate(data, schema)
    assert Reading.from_dict(data) == reading


def test_no_identifier_unless_asked():
    assert "visit" not in made_reading().to_dict()
    assert made_reading(visit="0013").to_dict()["visit"] == "0013"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": "eyeground.reading/4"}, "update eyeground"),
        ({"schema": "report"}, SCHEMA),
        ({"schema": None}, SCHEMA),
        ({"warnigns": []}, "did you mean 'warnings'"),
        ({"eyes": []}, "can't be read"),
        ({"evidence_scale": 0}, "evidence_scale"),
        ({"findings": [{"code": "D"}]}, "no field"),
    ],
)
def test_from_dict_refuses_with_a_reason(change, says):
    with pytest.raises(DataError, match=re.escape(says)):
        Reading.from_dict({**made_reading().to_dict(), **change}, "old/reading.json")


@pytest.mark.parametrize("name", ["findings", "created", "age"])
def test_a_missing_field_is_named(name):
    data = made_reading().to_dict()
    del data[name]
    with pytest.raises(DataError, match=name):
        Reading.from_dict(data)


def test_records_refuse_nonsense():
    with pytest.raises(ValueError, match="no probability"):
        Finding("D", "Diabetic retinopathy", 1.4, 0.5, "", True, (None, None))
    with pytest.raises(ValueError, match="say why"):
        EyeReading("left", "missing")
    with pytest.raises(ValueError, match="order"):
        dataclasses.replace(made_reading(), eyes=made_reading().eyes[::-1])


def test_the_notable_label_is_a_positive_disease_by_ratio_and_never_normal():
    probabilities = {"N": 0.99, "D": 0.60, "G": 0.45, "C": 0.95}
    reading = made_reading(probabilities=probabilities, thresholds={"N": 0.1, "D": 0.5, "G": 0.1, "C": 0.96})
    assert reading.notable is not None
    assert reading.notable.code == "G"
    healthy = made_reading(probabilities={"N": 0.99, "D": 0.2, "G": 0.09, "C": 0.1}, thresholds={"G": 0.1})
    assert healthy.notable is not None
    assert healthy.notable.code == "G"
