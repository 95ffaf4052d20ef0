"""Diabetic retinopathy: lesions drawn so that the ICDR rules give the wanted grade.

International Clinical Diabetic Retinopathy scale (Wilkinson et al., Ophthalmology 110, 2003): 1 microaneurysms only;
2 more than that; 3 over 20 haemorrhages in each of four quadrants, or venous beading in two; 4 new vessels or
preretinal haemorrhage.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import cv2
import numpy as np

from eyeground.phantom.canvas import Canvas
from eyeground.phantom.findings.blood import BLOOD, spot
from eyeground.phantom.findings.place import Place
from eyeground.phantom.traits import Finding

PHRASES = {
    1: "mild nonproliferative retinopathy",
    2: "moderate non proliferative retinopathy",
    3: "severe nonproliferative retinopathy",
    4: "proliferative diabetic retinopathy",
}
_MORE_THAN_ANEURYSMS = {"haemorrhage", "flame_haemorrhage", "hard_exudate", "cotton_wool"}


def draw(place: Place, grade: int) -> list[Finding]:
    """The lesions of one eye with diabetic retinopathy of a grade from 1 to 4."""
    low, high = {1: (7, 16), 2: (8, 22), 3: (20, 40), 4: (10, 30)}[grade]
    found = [_aneurysm(place) for _ in range(place.count(low, high))]
    if grade >= 2:
        found += [_haemorrhage(place) for _ in range(place.count(*{2: (4, 14), 3: (14, 26), 4: (8, 30)}[grade]))]
        found += _deposits(place, grade)
    if grade == 3:
        found += _severe(place)
    if grade == 4:
        found += _new_vessels(place)
    return found


def icdr_grade(findings: Iterable[Finding]) -> int:
    """The ICDR grade of the lesions owned by D, by the rules above (quadrants are centred on the fovea)."""
    own = [finding for finding in findings if finding.label == "D"]
    kinds = {finding.kind for finding in own}
    if kinds & {"neovascularisation", "preretinal_haemorrhage"}:
        return 4
    bleeding = [finding for finding in own if finding.kind == "haemorrhage"]
    quadrants = [(finding.x > 0, finding.y > 0) for finding in bleeding]
    crowded = all(quadrants.count((nasal, down)) > 20 for nasal in (False, True) for down in (False, True))
    if crowded or len({finding.angle for finding in own if finding.kind == "venous_beading"}) >= 2:
        return 3
    return 2 if kinds & _MORE_THAN_ANEURYSMS else int("microaneurysm" in kinds)


def _aneurysm(place: Place) -> Finding:
    return place.finding("microaneurysm", "D", place.somewhere(0.12, 0.8), place.rng.uniform(0.0065, 0.011))


def _haemorrhage(place: Place) -> Finding:
    size = min(place.rng.lognormal(math.log(0.016), 0.5), 0.055)
    return place.finding("haemorrhage", "D", place.somewhere(0.15, 1.0), size, angle=place.rng.uniform(0, 3.1))


def _deposits(place: Place, grade: int) -> list[Finding]:
    rng, found = place.rng, []
    if rng.random() < 0.75:
        for _ in range(place.count(1, 4)):
            found.append(place.finding("hard_exudate", "D", place.somewhere(0.1, 0.5), rng.uniform(0.05, 0.16)))
    if rng.random() < 0.1:
        found.append(place.finding("exudate_star", "D", (0.0, 0.0), rng.uniform(0.2, 0.28)))
    if rng.random() < (0.3 if grade == 2 else 0.6):
        for _ in range(place.count(1, 5)):
            where = place.near_arcade()
            angle = place.fibre_angle(*where) + math.pi / 2
            found.append(place.finding("cotton_wool", "D", where, rng.uniform(0.025, 0.05), angle=angle))
    return found


def _severe(place: Place) -> list[Finding]:
    """What makes it severe: haemorrhages all over, or beaded veins above and below (`angle` names the arcade)."""
    if place.rng.random() < 0.6:
        found = []
        for sign_x in (-1, 1):
            for sign_y in (-1, 1):
                for _ in range(21):
                    found.append(_in_quadrant(place, sign_x, sign_y))
        return found
    return [
        Finding("venous_beading", "D", angle=side, strength=1.0, seed=int(place.rng.integers(2**31)))
        for side in (-1.0, 1.0)
    ]


def _in_quadrant(place: Place, sign_x: int, sign_y: int) -> Finding:
    for _ in range(60):
        finding = _haemorrhage(place)
        if (finding.x > 0) == (sign_x > 0) and (finding.y > 0) == (sign_y > 0):
            return finding
    x, y = place.rng.uniform(0.12, 0.4, 2)
    return place.finding("haemorrhage", "D", (sign_x * x, sign_y * y), 0.018)


def _new_vessels(place: Place) -> list[Finding]:
    rng, found = place.rng, []
    if rng.random() < 0.55:
        where = place.near_disc(0.0, 0.6)
        found.append(place.finding("neovascularisation", "D", where, rng.uniform(0.14, 0.24)))
    for _ in range(int(rng.integers(0 if found else 1, 3))):
        found.append(place.finding("neovascularisation", "D", place.near_arcade(), rng.uniform(0.08, 0.15)))
    if rng.random() < 0.4:
        where = place.somewhere(0.3, 0.7, margin=0.25)
        found.append(place.finding("preretinal_haemorrhage", "D", where, rng.uniform(0.1, 0.22)))
    return found


def neovascularisation(canvas: Canvas, finding: Finding) -> None:
    """A lacy tangle of fine loops."""
    rng = np.random.default_rng(finding.seed)
    size, frame = canvas.frame.size, canvas.frame
    layer = np.zeros((size, size), np.uint8)
    for _ in range(int(rng.integers(14, 22))):
        turn = np.cumsum(rng.normal(0, 0.45, 26)) + rng.uniform(0, 6.28)
        steps = np.stack((np.cos(turn), np.sin(turn)), axis=1) * finding.size / 14
        line = np.cumsum(steps, axis=0) * rng.uniform(0.6, 1.1) + (finding.x, finding.y)
        points = np.round(frame.pixels(line) * 16).astype(np.int32)
        cv2.polylines(layer, [points], False, 255, max(1, round(size / 400)), cv2.LINE_AA, 4)
    alpha = cv2.GaussianBlur(layer, (0, 0), 0.0025 * frame.radius + 0.2).astype(np.float32) / 255
    canvas.tint(canvas.whole(alpha), (0.72, 0.42, 0.5), 0.95 * finding.strength)
    canvas.mark(
        canvas.whole(np.asarray(cv2.GaussianBlur(alpha, (0, 0), 0.008 * frame.radius))),
        finding.kind,
        finding.label,
        level=0.2,
    )


def preretinal(canvas: Canvas, finding: Finding) -> None:
    """A boat: blood in front of the retina with a level upper edge."""
    patch = spot(canvas, finding, rough=0.08, soft=0.006, stretch=1.35)
    if patch is None:
        return
    level = finding.y - 0.25 * finding.size
    below = np.clip((canvas.y[patch.window] - level) * 60 + 0.5, 0, 1)
    boat = patch.times(below)
    canvas.tint(boat, BLOOD, 1.1 * finding.strength)
    canvas.mark(boat, finding.kind, finding.label)
