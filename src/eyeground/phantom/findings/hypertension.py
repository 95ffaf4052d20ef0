"""Hypertensive retinopathy: narrow arteries, nicked crossings, flame haemorrhages, cotton wool, a macular star."""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np

from eyeground.phantom.canvas import Canvas
from eyeground.phantom.findings.place import Place
from eyeground.phantom.traits import Anatomy, Finding
from eyeground.phantom.vessel_layers import Layers


def draw(place: Place, severity: float) -> tuple[Anatomy, list[Finding]]:
    """The changed vessels and the findings of one eye; `severity` 0 to 1."""
    rng, anatomy = place.rng, place.anatomy
    ratio = anatomy.artery_ratio * (0.72 - 0.2 * severity)
    changed = dataclasses.replace(anatomy, artery_ratio=round(ratio, 4))
    found = [
        place.finding("narrow_artery", "H", (anatomy.disc_x, anatomy.disc_y), 0.8),
        place.finding("nicking", "H", (anatomy.disc_x, anatomy.disc_y), 0.03 + 0.01 * severity),
    ]
    for _ in range(place.count(5, 9 + int(9 * severity))):
        where = place.near_disc(1.2, 4.2)
        size = rng.uniform(0.028, 0.055)
        found.append(place.finding("flame_haemorrhage", "H", where, size, angle=place.fibre_angle(*where)))
    if severity > 0.3:
        for _ in range(place.count(1, 5)):
            where = place.near_disc(1.4, 4.0)
            angle = place.fibre_angle(*where) + math.pi / 2
            found.append(place.finding("cotton_wool", "H", where, rng.uniform(0.03, 0.055), angle=angle))
    if severity > 0.7:
        found.append(place.finding("exudate_star", "H", (0.0, 0.0), rng.uniform(0.2, 0.26)))
    return changed, found


def nick(layers: Layers, canvas: Canvas, finding: Finding) -> Layers:
    """Thins the veins on both sides of where wide arteries cross them, and marks these crossings."""
    wide = (layers.vein > 0.62) & (layers.artery > 0.42)
    distance = np.hypot(canvas.x - finding.x, canvas.y - finding.y)
    wide &= (distance > 0.24) & (np.hypot(canvas.field_x, canvas.field_y) < 0.92)
    count, _, _, centres = cv2.connectedComponentsWithStats(wide.astype(np.uint8))
    gap = np.zeros(wide.shape, np.uint8)
    radius = max(2, round(finding.size * canvas.frame.radius))
    for x, y in centres[1 : min(count, 9)]:
        cv2.circle(gap, (round(x), round(y)), radius, 255, -1, cv2.LINE_AA)
    soft = cv2.GaussianBlur(gap, (0, 0), 0.3 * radius).astype(np.float32) / 255
    vein = layers.vein * (1 - np.minimum(0.85 * finding.strength * soft, 0.95) * (layers.artery < 0.3))
    if count > 1:
        canvas.mark(canvas.whole(soft), finding.kind, finding.label)
    return dataclasses.replace(layers, vein=vein.astype(np.float32))


def narrow_artery(layers: Layers, canvas: Canvas, finding: Finding) -> None:
    """Marks the larger arteries around the disc, which the narrowing concerns."""
    near = np.hypot(canvas.x - finding.x, canvas.y - finding.y) < finding.size
    found = np.where(near & (layers.artery > 0.4), 1, 0).astype(np.float32)
    canvas.mark(canvas.whole(found), finding.kind, finding.label)
