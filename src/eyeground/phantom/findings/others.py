"""What the challenge calls O: epiretinal membrane, myelinated fibres, laser scars, vein occlusion, pigment."""

from __future__ import annotations

import math

import cv2
import numpy as np

from eyeground.phantom.canvas import Canvas, blobs, noise, splinters
from eyeground.phantom.findings.blood import lobes, spot
from eyeground.phantom.findings.place import Place
from eyeground.phantom.traits import Finding


def draw_membrane(place: Place) -> list[Finding]:
    """An epiretinal membrane over the macula."""
    where = (place.rng.normal(0, 0.06), place.rng.normal(0, 0.06))
    angle = place.rng.uniform(0, 3.1)
    return [place.finding("epiretinal_membrane", "O", where, place.rng.uniform(0.22, 0.38), angle=angle)]


def draw_myelinated(place: Place) -> list[Finding]:
    """Myelinated nerve fibres next to the disc."""
    angle = place.rng.choice((-1, 1)) * place.rng.uniform(0.9, 2.2)
    radius = place.anatomy.disc_radius
    where = (
        place.anatomy.disc_x - 1.15 * radius * math.cos(angle),
        place.anatomy.disc_y + 1.15 * radius * math.sin(angle),
    )
    return [place.finding("myelinated_fibres", "O", where, place.rng.uniform(0.13, 0.24), angle=angle)]


def draw_laser(place: Place) -> list[Finding]:
    """Scars of laser treatment in the periphery."""
    rng = place.rng
    low = rng.uniform(0.55, 0.7)
    return [
        place.finding("laser_scar", "O", place.somewhere(low, 1.3, margin=0.04), rng.uniform(0.026, 0.045))
        for _ in range(place.count(18, 44))
    ]


def draw_vein_occlusion(place: Place) -> list[Finding]:
    """A branch retinal vein occlusion: flame haemorrhages and cotton wool in one temporal quadrant."""
    rng = place.rng
    sign = rng.choice((-1, 1))
    height = place.anatomy.arcade_up if sign < 0 else place.anatomy.arcade_down
    found = []
    for index in range(place.count(14, 28)):
        t = rng.uniform(0.5, 1.9)
        x = place.anatomy.disc_x - place.anatomy.arcade_reach * (1 - math.cos(t)) + rng.normal(0, 0.09)
        y = sign * height * math.sin(t) * rng.uniform(0.65, 1.2)
        if place.seen(x, y) and place.disc_distance(x, y) > 1.3:
            kind = "cotton_wool" if index % 9 == 8 else "flame_haemorrhage"
            size = rng.uniform(0.025, 0.05)
            found.append(place.finding(kind, "O", (x, y), size, angle=place.fibre_angle(x, y)))
    return found or [place.finding("flame_haemorrhage", "O", (0.2, sign * 0.3), 0.05, angle=0.4)]


def draw_pigment(place: Place) -> list[Finding]:
    """Clumps of retinal pigment."""
    rng = place.rng
    return [
        place.finding("pigmentation", "O", place.somewhere(0.15, 0.85), rng.uniform(0.02, 0.06))
        for _ in range(place.count(2, 6))
    ]


def epiretinal_membrane(canvas: Canvas, finding: Finding) -> None:
    """A glistening film with fine folds."""
    rng = np.random.default_rng(finding.seed)
    patch = spot(canvas, finding, rough=0.3, soft=0.03)
    if patch is None:
        return
    height, width = patch.alpha.shape
    cos, sin = math.cos(finding.angle), math.sin(finding.angle)
    x, y = canvas.x[patch.window] - np.float32(finding.x), canvas.y[patch.window] - np.float32(finding.y)
    along, across = cos * y - sin * x, cos * x + sin * y
    bend = np.float32(0.03) * noise(rng, 4, max(height, width), 2)[:height, :width]
    table = rng.standard_normal((64, 64), dtype=np.float32)
    u, v = (along + 0.5 * bend) * np.float32(9) + 32, (across + bend) * np.float32(48) + 32
    folds = np.asarray(cv2.remap(table, u, v, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT), np.float32)
    strength = np.clip(0.5 + 0.35 * noise(rng, 5, max(height, width), 2)[:height, :width], 0.1, 1)
    canvas.cover(patch.times(strength * np.clip(0.5 + 0.3 * folds, 0, 1)), (1.25, 1.6, 1.95), 0.62 * finding.strength)
    canvas.mark(patch, finding.kind, finding.label)


def myelinated_fibres(canvas: Canvas, finding: Finding) -> None:
    """A white patch from the disc's edge outwards, frayed along the fibres."""
    rng = np.random.default_rng(finding.seed)
    away = np.array([-math.cos(finding.angle), math.sin(finding.angle)])
    normal = np.array([away[1], -away[0]])
    strand = []
    for count, spread, longest in ((16, 0.34, 0.8), (46, 0.42, 1.5)):
        lane = rng.normal(0, spread, count)
        length = finding.size * rng.uniform(0.45, longest, count) * np.exp(-1.2 * lane**2)
        start = np.array([finding.x, finding.y]) + finding.size * (lane[:, None] * normal - 0.25 * away)
        start -= (0.5 * finding.size * lane**2)[:, None] * away
        end = start + length[:, None] * (away + 0.5 * lane[:, None] * normal)
        middle, tip = canvas.frame.pixels((start + end) / 2), canvas.frame.pixels(end)
        width = finding.size * canvas.frame.radius * rng.uniform(0.05, 0.12, count) * (2.0 if count == 16 else 0.6)
        strand += list(splinters(middle, tip - middle, width, rng.normal(0, 0.05, count)))
    patch = canvas.shape(strand, 0.004)
    if patch is not None:
        canvas.cover(patch, (1.55, 2.15, 2.5), 0.85 * finding.strength)
        canvas.mark(patch, finding.kind, finding.label)


def laser_scar(canvas: Canvas, finding: Finding) -> None:
    """A round pale spot, often with a pigmented heart."""
    rng = np.random.default_rng(finding.seed)
    patch = spot(canvas, finding, rough=0.22, soft=float(rng.uniform(0.005, 0.012)))
    if patch is None:
        return
    canvas.cover(patch, (1.2, 1.5, 1.35), 0.6 * finding.strength)
    canvas.mark(patch, finding.kind, finding.label)
    if rng.random() < 0.6:
        radius = finding.size * canvas.frame.radius
        centre = canvas.frame.pixels(np.array([[finding.x, finding.y]]))[0] + rng.normal(0, 0.3, 2) * radius
        count = int(rng.integers(1, 5))
        flecks = blobs(
            rng, centre + rng.normal(0, 0.3, (count, 2)) * radius, radius * rng.uniform(0.1, 0.4, count), 0.4
        )
        heart = canvas.shape(list(flecks), 0.004)
        if heart is not None:
            canvas.tint(heart, (0.5, 0.45, 0.5), finding.strength)


def pigmentation(canvas: Canvas, finding: Finding) -> None:
    """A black-brown clump with flecks around it."""
    rng = np.random.default_rng(finding.seed)
    patch = lobes(canvas, finding, rng, 5, 0.005)
    if patch is not None:
        canvas.tint(patch, (0.45, 0.45, 0.55), finding.strength)
        canvas.mark(patch, finding.kind, finding.label)
