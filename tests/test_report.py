"""The page and the terminal: everything said, nothing fetched, nothing leaked."""

from __future__ import annotations

import base64
import dataclasses
import html
import io
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from eyeground import DISCLAIMER
from eyeground.readings import Certainty
from eyeground.records import Flag
from eyeground.report import page, terminal, words
from readings_made import made_evidence, made_picture, made_reading


class Tags(HTMLParser):
    """Every tag with its attributes; checks that tags close in order."""

    void = frozenset({"meta", "img", "input", "br", "rect", "line", "stop"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def rendered(reading=None, left=True, right=True, **options) -> str:
    pictures = {"left": made_picture(1) if left else None, "right": made_picture(2) if right else None}
    evidence = {"left": made_evidence(None, 1) if left else None, "right": made_evidence("D", 2) if right else None}
    return page.render(reading or made_reading(), pictures, evidence, **options)


def plain(text: str) -> str:
    body = re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_the_page_is_whole_and_fetches_nothing():
    text = rendered()
    tags = Tags(text)
    for _, attrs in tags.tags:
        for key in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
            assert key not in attrs or str(attrs[key]).startswith("data:image/")
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org/2000/svg)", text)
    assert "default-src 'none'" in text
    assert len(text) < 2_500_000


def test_sixteen_full_maps_stay_small():
    rng = np.random.default_rng(0)
    evidence = {side: rng.normal(4, 6, (8, 16, 16)).astype(np.float32) for side in ("left", "right")}
    noise = rng.integers(0, 255, (512, 512, 3)).astype(np.uint8)  # the worst JPEG there is
    assert len(page.render(made_reading(), {"left": noise, "right": noise}, evidence)) < 2_500_000


def test_every_finding_is_told_in_words_and_numbers():
    reading = made_reading(probabilities={"D": 0.834, "M": 0.0004}, thresholds={"D": 0.34})
    text = plain(rendered(reading))
    for finding in reading.findings:
        assert finding.name in text
    row = text[text.index("Findings") :]
    assert "Diabetic retinopathy present 83.4 % 34.0 % 83.4 % 10.0 %" in row
    assert "Pathological myopia absent < 0.1 % 50.0 % < 0.1 % < 0.1 %" in row
    assert text.count(DISCLAIMER) == 2
    for said in (reading.model.bundle_digest, reading.schema, reading.model.trained_on, reading.map_note, "calibrated"):
        assert said in text
    assert "lesion" not in text.lower()


def test_the_right_eye_stands_on_the_left():
    text = plain(rendered())
    assert text.index("Right eye · OD") < text.index("Left eye · OS")
    assert "the right eye (OD) on the left" in text


@pytest.mark.parametrize(("hot", "chosen"), [({"D": 0.8, "G": 0.6}, 1), ({"N": 0.9, "G": 0.3}, 2)])
def test_the_notable_label_is_shown_first(hot, chosen):
    picks = Tags(rendered(made_reading(probabilities=hot))).named("input")
    assert [pick["id"] for pick in picks if "checked" in pick] == [f"map-{chosen}", "contours"]


def test_maps_are_there_without_a_script_and_only_heat_where_there_is_evidence():
    tags = Tags(rendered())
    heats = [attrs for attrs in tags.named("img") if "heat" in str(attrs.get("class"))]
    assert len(heats) == 16
    for heat in heats:
        picture = Image.open(io.BytesIO(base64.b64decode(str(heat["src"]).split(",")[1])))
        warm = np.asarray(picture.convert("RGBA"))[..., 3].any()
        assert warm == (heat["alt"] == heats[1]["alt"])
        assert ("nothing to colour" in str(heat["alt"])) != warm
    assert "Evidence for Diabetic retinopathy, right eye" in str(heats[1]["alt"])


def test_everything_is_reachable_and_named():
    tags = Tags(rendered())
    assert all(attrs.get("alt") for attrs in tags.named("img"))
    targets = {attrs["for"] for attrs in tags.named("label") if "for" in attrs}
    picks = [attrs for attrs in tags.named("input") if attrs["type"] in ("radio", "checkbox")]
    assert targets == {pick["id"] for pick in picks}
    assert all(pick["aria-label"] for pick in picks)
    ids = [attrs["id"] for _, attrs in tags.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_a_cold_eye_is_said_to_be_cold_and_a_warm_one_names_its_labels():
    text = rendered()
    said = plain(text)
    assert said.count("Cold: no evidence above +2.5 logits for any disease label.") == 1, "the left eye"
    assert "Evidence above +2.5 logits for 1 of 7 disease labels: Diabetic retinopathy +12.0." in said
    assert said.count("No evidence above +2.5") == 15, "every map but one, on the picture itself"
    lines = re.findall(r'<svg class="lines (of-\d)"', text)
    assert lines == ["of-1"], "only what reaches a level has contours"
    assert "Evidence for Diabetic retinopathy (logits), one scale" in said
    assert "Contours at +2.5, +5 and +7.5" in said


def test_maps_in_another_unit_are_told_in_it():
    said = plain(rendered(dataclasses.replace(made_reading(), map_unit="logits per element")))
    assert "Evidence for Diabetic retinopathy (logits per element)" in said
    assert "above +2.5 logits per element" in said


def test_a_map_is_drawn_where_it_sits():
    def lines(shift):
        reading = made_reading()
        eyes = tuple(dataclasses.replace(eye, map_shift=shift) for eye in reading.eyes)
        text = rendered(dataclasses.replace(reading, eyes=eyes)).split('<svg class="lines')[1]
        steps = np.array(re.findall(r"-?\d+", re.search(r' d="([^"]*)"', text).group(1)), float)
        points = np.cumsum(steps.reshape(-1, 2), 0)
        return (points.min(0) + points.max(0)) / 2  # of all points the mean would weigh the sides by their points

    np.testing.assert_allclose(lines((-0.5, 0.25)) - lines(None), (-25, 12.5), atol=2)


def test_a_missing_eye_is_said_and_not_invented():
    text = rendered(made_reading(left=None), left=False)
    said = plain(text)
    assert said.count("The left eye is missing: no photograph was given.") == 2
    assert "rest on the right eye alone" in said
    assert len([attrs for attrs in Tags(text).named("img") if "heat" not in str(attrs.get("class"))]) == 1


def test_without_maps_the_page_says_so():
    text = page.render(made_reading(), {"left": made_picture(), "right": made_picture()}, {"left": None, "right": None})
    assert "No evidence maps were made" in text
    assert not Tags(text).named("input")


def test_texts_from_outside_are_escaped():
    bad = "<script>alert('x')</script>"
    reading = made_reading(visit=bad, warnings=(bad,), flags=(Flag("blurred", bad),))
    reading = dataclasses.replace(reading, map_note=bad, model=dataclasses.replace(reading.model, trained_on=bad))
    text = rendered(reading)
    assert text.count("<script>") == 1
    assert "alert(" not in re.sub(r"&lt;script&gt;alert\(&#39;x&#39;\)", "", text)


def test_flags_and_warnings_are_shown_with_their_numbers():
    flag = Flag("too_dark", "the retina is dark: mean brightness 0.09")
    said = plain(rendered(made_reading(flags=(flag,), warnings=("left and right are the same photograph",))))
    assert "The retina is dark: mean brightness 0.09." in said
    assert "Warning: Left and right are the same photograph." in said


def test_undefined_is_shown_as_undefined():
    reading = made_reading()
    finding = dataclasses.replace(reading.findings[5], threshold=math.nan, positive=False)
    reading = dataclasses.replace(reading, findings=(*reading.findings[:5], finding, *reading.findings[6:]))
    assert "Hypertensive retinopathy undefined 5.0 % – 5.0 % 5.0 %" in plain(rendered(reading))
    assert any("undefined" in line for line in terminal.lines(reading))


def test_uncertain_is_said_beside_the_answer_and_in_the_summary():
    reading = made_reading()
    both = dataclasses.replace(reading.findings[2], label_set=("absent", "present"), uncertain=True)
    sure = [dataclasses.replace(f, label_set=(words.verdict(f),), uncertain=False) for f in reading.findings]
    reason = "Neither answer can be ruled out at 90 % for Glaucoma."
    certainty = Certainty(0.9, True, (reason,), "the promise is approximate")
    unsure = dataclasses.replace(reading, findings=(*sure[:2], both, *sure[3:]), certainty=certainty)
    said = plain(rendered(unsure))
    assert "Glaucoma absent uncertain 5.0 %" in said
    assert said.count(" uncertain ") == 1, "beside this label alone"
    assert f"The model is uncertain; a person should decide. {reason}" in said
    assert "In 90 % of the patients with a label, and of those without, its set holds the truth" in said
    lines = terminal.lines(unsure)
    assert sum("absent, uncertain" in line for line in lines) == 1
    assert any(line.startswith("Label sets: In 90 %") for line in lines)
    for text in (plain(rendered(reading)), *terminal.lines(reading)):
        assert "uncertain" not in text.lower()


def test_not_calibrated_is_not_called_calibrated():
    reading = made_reading()
    reading = dataclasses.replace(reading, model=dataclasses.replace(reading.model, calibration=""))
    assert "Probability, not calibrated" in plain(rendered(reading))
    assert any("not calibrated" in line for line in terminal.lines(reading))


@pytest.mark.parametrize("maps", [np.zeros((7, 8, 8), np.float32), np.zeros((8, 8), np.float32)])
def test_maps_that_do_not_fit_the_findings_are_refused(maps):
    with pytest.raises(ValueError, match="8 findings"):
        page.render(made_reading(), {"left": made_picture()}, {"left": maps})


def test_pictures_are_reduced_never_enlarged():
    for size, side in ((32, 32), (512, 64)):
        source = Tags(rendered(size=size)).named("img")[0]["src"]
        picture = Image.open(io.BytesIO(base64.b64decode(str(source).split(",")[1])))
        assert picture.size == (side, side)
        assert not picture.getexif()


def test_terminal_lines():
    lines = terminal.lines(made_reading(left=None, probabilities={"D": 0.8}, thresholds={"D": 0.34}))
    row = next(line for line in lines if line.startswith("Diabetic"))
    assert re.search(r"present +█{8}\|█{10}·{5} +80\.0 % +34\.0 % +80\.0 % +–$", row)
    assert any("left eye is missing" in line for line in lines)
    assert lines[-1] == DISCLAIMER


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.0, "< 0.1 %"), (0.5, "50.0 %"), (0.9999, "> 99.9 %"), (1.0, "> 99.9 %"), (None, "–"), (math.nan, "–")],
)
def test_percent_is_never_certain(probability, text):
    assert words.percent(probability) == text


@pytest.mark.parametrize(
    ("probabilities", "says"),
    [
        ({"N": 0.9}, "No disease label is above its threshold."),
        ({}, "The model is undecided: neither Normal nor a disease is above its threshold."),
        (
            {"N": 0.9, "D": 0.9},
            "The labels contradict each other: Normal and a disease are both above their thresholds.",
        ),
        ({"D": 0.8, "C": 0.9}, "Above threshold: Cataract 90.0 %, Diabetic retinopathy 80.0 %."),
    ],
)
def test_the_summary_is_honest(probabilities, says):
    assert says in words.summary(made_reading(probabilities=probabilities))
