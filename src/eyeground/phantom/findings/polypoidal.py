"""Polypoidal choroidal vasculopathy: orange-red nodules at the edge of a pigment epithelial detachment, and blood.

The aneurysmal dilations ("polyps") of an abnormal choroidal network are seen as orange-red nodules; serous or bloody
detachments of the pigment epithelium and subretinal blood go with them (Cheung et al., Ophthalmology 125, 2018).
The challenge's vocabulary has no phrase for it, so a reader of this cohort calls it wet.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from eyeground.phantom.canvas import Canvas
from eyeground.phantom.findings import macula
from eyeground.phantom.findings.blood import spot
from eyeground.phantom.findings.place import Place
from eyeground.phantom.traits import Finding

PHRASE = macula.WET


def draw(place: Place, severity: float) -> list[Finding]:
    """A detachment near the fovea, two to five polyps at its edge, mostly blood, often exudates; few drusen."""
    rng = place.rng
    side = -1.0 if rng.random() < 0.5 else 1.0
    centre = (rng.uniform(-0.12, 0.12), rng.uniform(-0.02, 0.02))
    size = rng.uniform(0.09, 0.13 + 0.05 * severity)
    found = []
    if rng.random() < 0.75:
        turn = rng.uniform(0, 6.28)
        at = (centre[0] + 1.1 * size * np.cos(turn), centre[1] + 1.1 * size * np.sin(turn))
        blood = rng.uniform(0.1, 0.16 + 0.12 * severity)
        found.append(place.finding("subretinal_haemorrhage", "A", at, blood))
    found.append(place.finding("pigment_detachment", "A", centre, size))
    first = (centre[0] + side * 0.95 * size, rng.uniform(-0.012, 0.012))
    found.append(place.finding("polyp", "A", first, rng.uniform(0.028, 0.042)))
    for _ in range(int(rng.integers(1, 5))):
        turn = rng.uniform(-1.1, 1.1) + (0.0 if side > 0 else np.pi)
        reach = size * rng.uniform(0.8, 1.3)
        at = (centre[0] + reach * np.cos(turn), centre[1] + reach * np.sin(turn))
        found.append(place.finding("polyp", "A", at, rng.uniform(0.018, 0.036)))
    if rng.random() < 0.55:
        turn = rng.uniform(0, 6.28)
        at = (centre[0] + 2.2 * size * np.cos(turn), centre[1] + 2.2 * size * np.sin(turn))
        found.append(place.finding("hard_exudate", "A", at, rng.uniform(0.08, 0.14)))
    return found


def pigment_detachment(canvas: Canvas, finding: Finding) -> None:
    """A smooth orange dome: pale on top, a darker ring where the pigment epithelium comes down."""
    patch = spot(canvas, finding, rough=0.06, soft=0.012, stretch=1.08)
    if patch is None:
        return
    canvas.tint(patch, (0.94, 0.86, 0.84), finding.strength)
    dome = spot(canvas, dataclasses.replace(finding, size=0.72 * finding.size), 0.06, 0.03, 1.08)
    if dome is not None:
        canvas.tint(dome, (1.16, 1.22, 1.08), finding.strength)
    canvas.mark(patch, finding.kind, finding.label)


def polyp(canvas: Canvas, finding: Finding) -> None:
    """One orange-red nodule with a lighter top."""
    patch = spot(canvas, finding, rough=0.1, soft=0.006)
    if patch is None:
        return
    canvas.tint(patch, (1.06, 0.62, 0.5), 0.9 * finding.strength)
    top = spot(canvas, dataclasses.replace(finding, size=0.45 * finding.size), 0.1, 0.006)
    if top is not None:
        canvas.tint(top, (1.2, 1.32, 1.1), finding.strength)
    canvas.mark(patch, finding.kind, finding.label)
