"""Draws a made patient: which diseases, how severe, in which eyes, on which retina, through which camera.

Patients come in decks of 20: every block of 20 consecutive numbers holds each label as main disease at least twice,
in an order that the seed shuffles. So small cohorts have all labels, and patient 17 is the same in every cohort.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np

from eyeground.phantom import eyes
from eyeground.phantom.findings import diabetes, glaucoma, hypertension, lens, macula, myopia, others, polypoidal
from eyeground.phantom.findings.place import Place
from eyeground.phantom.traits import Difficulty, EyeTraits, Finding, PatientTraits
from eyeground.records import SIDES
from eyeground.vocabulary import ODIR

_DECK = "NNNNNDDDGGCCAAHHMMOO"
_BOTH_EYES = {"D": 0.75, "G": 0.6, "C": 0.6, "A": 0.55, "H": 0.8, "M": 0.7, "O": 0.35}
_ALONGSIDE = {
    "D": {"O": 0.25, "G": 0.04, "C": 0.06, "H": 0.06},
    "G": {"D": 0.12, "O": 0.18, "A": 0.04},
    "C": {"D": 0.16, "O": 0.1},
    "A": {"D": 0.08, "G": 0.05, "O": 0.08},
    "H": {"D": 0.38, "O": 0.1},
    "M": {"O": 0.2, "D": 0.08, "G": 0.04},
    "O": {"D": 0.22, "G": 0.04},
    "N": {},
}
_OTHERS = {
    "epiretinal membrane": 0.24,
    "myelinated nerve fibers": 0.18,
    "laser spot": 0.16,
    "drusen": 0.12,
    "chorioretinal atrophy": 0.08,
    "branch retinal vein occlusion": 0.08,
    "tessellated fundus": 0.05,
    "refractive media opacity": 0.05,
    "retinal pigmentation": 0.04,
}
_AGES = {
    "N": (55, 12),
    "D": (57, 10),
    "G": (61, 11),
    "C": (67, 8),
    "A": (69, 8),
    "H": (57, 10),
    "M": (53, 12),
    "O": (60, 11),
}


def patient(seed: int, number: int, difficulty: Difficulty) -> PatientTraits:
    """Draws patient `number` (1, 2, …) of the cohort of a seed; nothing else decides."""
    rng = np.random.default_rng([seed, number, 17])
    main = _deck(seed, number)
    diseases = [main, *(other for other, chance in _ALONGSIDE[main].items() if rng.random() < chance)]
    mean, spread = _AGES[main]
    age = int(np.clip(round(rng.normal(mean, spread)), 18, 91))
    shared = eyes.Shared.draw(rng, age, difficulty)
    affected = {disease: _affected(rng, disease) for disease in diseases if disease != "N"}
    severity = {disease: rng.uniform(0.1, 1.0) for disease in diseases}
    phrase = str(rng.choice(list(_OTHERS), p=list(_OTHERS.values())))
    if "O" in affected and "D" in affected and rng.random() < 0.5:
        phrase = "laser spot"
    pair = []
    for side, index in zip(SIDES, (0, 1), strict=True):
        place = Place(*shared.eye(rng), difficulty, rng)
        found = {
            disease: float(np.clip(severity[disease] + rng.normal(0, 0.12), 0, 1))
            for disease in affected
            if affected[disease][index]
        }
        pair.append(_eye(place, found, phrase, side == "left"))
    sex: Literal["Female", "Male"] = "Male" if rng.random() < 0.54 else "Female"
    present = {label for eye in pair for label in eye.labels} - {"N"}
    labels = tuple(code for code in ODIR.codes if code in (present or {"N"}))
    return PatientTraits(number, age, sex, labels, (pair[0], pair[1]))


def _deck(seed: int, number: int) -> str:
    block, position = divmod(number - 1, len(_DECK))
    order = np.random.default_rng([seed, block, 11]).permutation(len(_DECK))
    return _DECK[order[position]]


def _affected(rng: np.random.Generator, disease: str) -> tuple[bool, bool]:
    if rng.random() < _BOTH_EYES[disease]:
        return True, True
    left = bool(rng.random() < 0.5)
    return left, not left


def _eye(place: Place, severity: dict[str, float], phrase: str, left: bool) -> EyeTraits:
    """Draws the findings of one eye, disease after disease; some of them change its anatomy."""
    findings: list[Finding] = []
    keywords: list[str] = []
    for disease in (code for code in ODIR.codes if code in severity):
        place, found, word = _disease(place, disease, severity[disease], phrase)
        findings += found
        keywords.append(word)
    grade = diabetes.icdr_grade(findings)
    labels = tuple(code for code in ODIR.codes if code in severity) or ("N",)
    words = tuple(keywords) or ("normal fundus",)
    if place.camera.dust >= 3:
        words = ("lens dust", *words)
    return EyeTraits("left" if left else "right", place.anatomy, place.camera, tuple(findings), labels, words, grade)


def _disease(place: Place, disease: str, severity: float, phrase: str) -> tuple[Place, list[Finding], str]:
    """The place with its changed anatomy, the findings, and the reader's words."""
    rng = place.rng
    if disease == "D":
        grade = 1 + int(np.searchsorted((0.2, 0.68, 0.86), severity))
        return place, diabetes.draw(place, grade), diabetes.PHRASES[grade]
    if disease == "G":
        anatomy, found = glaucoma.draw(place, severity)
        return (
            dataclasses.replace(place, anatomy=anatomy),
            found,
            "suspected glaucoma" if severity < 0.3 else "glaucoma",
        )
    if disease == "C":
        return place, lens.draw(place, severity), "cataract"
    if disease == "A":
        subtype = rng.random()
        if subtype < 0.15:
            return place, macula.draw_wet(place, severity), macula.WET
        if subtype < 0.3:
            return place, polypoidal.draw(place, severity), polypoidal.PHRASE
        return place, macula.draw_dry(place, severity), macula.DRY
    if disease == "H":
        anatomy, found = hypertension.draw(place, severity)
        return dataclasses.replace(place, anatomy=anatomy), found, "hypertensive retinopathy"
    if disease == "M":
        anatomy, found = myopia.draw(place, severity)
        return dataclasses.replace(place, anatomy=anatomy), found, "pathological myopia"
    return _other(place, phrase)


def _other(place: Place, phrase: str) -> tuple[Place, list[Finding], str]:
    if phrase == "tessellated fundus":
        anatomy, found = myopia.draw_tessellation(place)
        return dataclasses.replace(place, anatomy=anatomy), found, phrase
    draws = {
        "epiretinal membrane": others.draw_membrane,
        "drusen": macula.draw_few_drusen,
        "myelinated nerve fibers": others.draw_myelinated,
        "laser spot": others.draw_laser,
        "chorioretinal atrophy": myopia.draw_atrophy,
        "branch retinal vein occlusion": others.draw_vein_occlusion,
        "refractive media opacity": lens.draw_opacity,
        "retinal pigmentation": others.draw_pigment,
    }
    return place, draws[phrase](place), phrase
