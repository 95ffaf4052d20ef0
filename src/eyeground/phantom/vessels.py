"""Arteries and veins: trees that leave the disc, arch over the macula, branch, taper and spare the fovea."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from eyeground.phantom.canvas import Canvas, Floats, Points, ramp
from eyeground.phantom.traits import Anatomy, Finding

Kind = Literal["artery", "vein"]
_STEP = 0.022
_FINEST = 0.0022
_AVASCULAR = 0.13
_ARCADE_POINTS = 90


@dataclass(frozen=True)
class Vessel:
    """A tapering line: points (n, 2) in retinal coordinates, full widths (n,) in field radii; order 0 is a trunk."""

    kind: Kind
    order: int
    points: Points
    widths: Points


def grow(anatomy: Anatomy) -> tuple[Vessel, ...]:
    """Grows both trees of one eye, finest vessels first. Pure: the anatomy's seed decides."""
    rng = np.random.default_rng([anatomy.seed, 1])
    vessels: list[Vessel] = []
    trees: tuple[tuple[Kind, float], ...] = (("vein", 1.0), ("artery", anatomy.artery_ratio))
    for kind, ratio in trees:
        width = ratio * anatomy.vessel_width
        level = [_arcade(anatomy, rng, kind, width, up) for up in (True, False)]
        level += [_nasal(anatomy, rng, kind, width * 0.8, up) for up in (True, False)]
        level += _small_ones(anatomy, rng, kind, width * 0.36)
        vessels += level
        for _ in range(3):
            level = _branch(anatomy, rng, level)
            vessels += level
    return tuple(sorted(vessels, key=lambda vessel: -vessel.order))


def _arcade(anatomy: Anatomy, rng: np.random.Generator, kind: Kind, width: float, up: bool) -> Vessel:
    """A temporal arcade: an arc of an ellipse from the disc around the fovea."""
    sign = -1 if up else 1
    height = (anatomy.arcade_up if up else anatomy.arcade_down) * rng.uniform(0.94, 1.06)
    height *= 1.0 if kind == "vein" else rng.choice((0.88, 1.1))
    reach = anatomy.arcade_reach * rng.uniform(0.95, 1.05)
    t = np.linspace(0.05, rng.uniform(2.3, 2.8), _ARCADE_POINTS)
    start = np.array([anatomy.disc_x + 0.25 * anatomy.disc_radius, anatomy.disc_y])
    start = start + rng.normal(0, 0.08, 2) * anatomy.disc_radius
    wave = _meander(rng, t, anatomy.tortuosity) * np.minimum(t, 1)
    points = np.stack((start[0] - reach * (1 - np.cos(t)), start[1] + sign * height * np.sin(t)), axis=1)
    points += wave[:, None] * np.stack((-np.cos(t), sign * np.sin(t)), axis=1)
    return Vessel(kind, 0, points, width * np.linspace(1.0, 0.34, len(t)))


def _meander(rng: np.random.Generator, t: Points, tortuosity: float) -> Points:
    waves = [(rng.normal(0, 0.02), 2.2), (rng.normal(0, 0.012), 5.0), (rng.normal(0, 0.006), 11.0)]
    return tortuosity * np.sum([a * np.sin(f * t + rng.uniform(0, 6.28)) for a, f in waves], axis=0)


def _nasal(anatomy: Anatomy, rng: np.random.Generator, kind: Kind, width: float, up: bool) -> Vessel:
    """A nasal trunk: from the disc up or down and away from the macula."""
    sign = -1 if up else 1
    heading = np.array([sign * rng.uniform(0.75, 1.25)])
    start = np.array([[anatomy.disc_x + 0.25 * anatomy.disc_radius, anatomy.disc_y]])
    path = _walk(anatomy, rng, start, heading, steps=int(rng.integers(36, 50)), toward=np.zeros(1))
    return Vessel(kind, 0, path[0], width * np.linspace(0.9, 0.3, path.shape[1]))


def _small_ones(anatomy: Anatomy, rng: np.random.Generator, kind: Kind, width: float) -> list[Vessel]:
    """Twigs that leave the disc straight to the macula and to the nose."""
    count = int(rng.integers(3, 6))
    heading = np.where(rng.random(count) < 0.6, np.pi + rng.uniform(-0.8, 0.8, count), rng.uniform(-0.6, 0.6, count))
    start = np.tile([anatomy.disc_x, anatomy.disc_y], (count, 1)).astype(float)
    start += 0.2 * anatomy.disc_radius * np.stack((np.cos(heading), np.sin(heading)), axis=1)
    steps = int(rng.integers(18, 26))
    paths = _walk(anatomy, rng, start, heading, steps, toward=np.full(count, 0.3))
    taper = np.linspace(1, 0.4, steps + 1)
    return [Vessel(kind, 1, path, width * rng.uniform(0.7, 1.2) * taper) for path in map(_spare_fovea, paths)]


def _walk(
    anatomy: Anatomy, rng: np.random.Generator, start: Points, heading: Points, steps: int, toward: Points
) -> Points:
    """Walks many vessels at once, with a smoothly changing heading.

    Args:
        start: (b, 2). heading: radians (b,). toward: pull to the fovea (b,), negative is away from it.

    Returns:
        points (b, steps + 1, 2).
    """
    position, turn = start.copy(), np.zeros(len(start))
    path = [position.copy()]
    kicks = rng.normal(0, 0.085 * anatomy.tortuosity, (steps, len(start)))
    for kick in kicks:
        turn = 0.72 * turn + kick
        wanted = np.arctan2(-position[:, 1], -position[:, 0])
        heading = heading + turn + 0.07 * toward * np.sin(wanted - heading)
        position = position + _STEP * np.stack((np.cos(heading), np.sin(heading)), axis=1)
        path.append(position.copy())
    return np.stack(path, axis=1)


def _spare_fovea(path: Points) -> Points:
    """The path pushed out of the avascular zone around the fovea."""
    distance = np.hypot(path[:, 0], path[:, 1])
    pushed = np.sqrt(distance**2 + _AVASCULAR**2 * np.exp(-((distance / (1.6 * _AVASCULAR)) ** 2)))
    return path * (pushed / np.maximum(distance, 1e-6))[:, None]


def _branch(anatomy: Anatomy, rng: np.random.Generator, parents: list[Vessel]) -> list[Vessel]:
    """Side branches of these vessels, alternating sides."""
    starts, headings, widths, kinds, orders = [], [], [], [], []
    for parent in parents:
        gap = 4 if parent.order == 0 else 6
        index, side = int(rng.integers(5, 9)), rng.choice((-1, 1))
        while index < len(parent.points) - 2:
            width = parent.widths[index] * rng.uniform(0.42, 0.74)
            delta = parent.points[index + 1] - parent.points[index - 1]
            if width > _FINEST and np.hypot(*parent.points[index]) < 1.9:
                starts.append(parent.points[index])
                headings.append(np.arctan2(delta[1], delta[0]) + side * rng.uniform(0.45, 1.05))
                widths.append(width)
                kinds.append(parent.kind)
                orders.append(parent.order + 1)
            index, side = index + gap + int(rng.integers(0, 9)), -side
    if not starts:
        return []
    start, heading = np.array(starts), np.array(headings)
    inward = np.cos(heading - np.arctan2(-start[:, 1], -start[:, 0]))
    paths = _walk(anatomy, rng, start, heading, 24, toward=np.where(inward > 0, 0.9, -0.5))
    children = []
    for path, width, kind, order in zip(paths, widths, kinds, orders, strict=True):
        length = int(np.clip(6 + width * 2200 * rng.uniform(0.7, 1.3), 7, 25))
        points = _spare_fovea(path)[:length]
        children.append(Vessel(kind, order, points, width * np.linspace(1.0, 0.45, len(points))))
    return children


@dataclass(frozen=True)
class Layers:
    """How much of each pixel a vessel covers, float32 (H, W) in 0..1; `reflex` is the bright line on wide ones."""

    artery: Floats
    vein: Floats
    reflex: Floats


def draw(vessels: tuple[Vessel, ...], canvas: Canvas, widest: float) -> Layers:
    """Draws the vessels as tapered ribbons, at twice the picture's size and then reduced."""
    size, frame = canvas.frame.size, canvas.frame
    layers = {name: np.zeros((2 * size, 2 * size), np.uint8) for name in ("artery", "vein", "reflex")}
    for vessel in vessels:
        points = (frame.pixels(vessel.points) + 0.5) * 2 - 0.5
        half = vessel.widths * frame.radius
        shade = int(255 * np.clip(0.34 + 0.66 * vessel.widths[0] / widest, 0, 1))
        _ribbon(layers[vessel.kind], points, np.maximum(half - 0.4, 0.35), shade)
        if vessel.order <= 1:
            _ribbon(
                layers["reflex"],
                points,
                np.maximum(half * 0.26 - 0.2, 0.15),
                shade if vessel.kind == "artery" else shade // 2,
            )
    reduced = {name: cv2.resize(layer, (size, size), interpolation=cv2.INTER_AREA) for name, layer in layers.items()}
    soft = {name: cv2.GaussianBlur(layer, (0, 0), 0.0016 * frame.radius + 0.35) for name, layer in reduced.items()}
    return Layers(*(soft[name].astype(np.float32) / 255 for name in ("artery", "vein", "reflex")))


def _ribbon(layer: np.ndarray, points: Points, half: Points, shade: int) -> None:
    """Fills the band of half width `half` (n,) around a line (n, 2), both in pixels of the layer."""
    tangent = np.gradient(points, axis=0)
    length = np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-6)
    normal = np.stack((-tangent[:, 1], tangent[:, 0]), axis=1) / length[:, None] * half[:, None]
    outline = np.concatenate((points + normal, (points - normal)[::-1]))
    cv2.fillPoly(layer, [np.round(outline * 16).astype(np.int32)], shade, cv2.LINE_AA, 4)


def paint(layers: Layers, canvas: Canvas, anatomy: Anatomy) -> None:
    """Lays the blood over the retina and marks `artery` and `vein`."""
    distance = np.hypot(canvas.x - anatomy.disc_x, canvas.y - anatomy.disc_y)
    on_disc = 1 - 0.35 * ramp(distance, 1.1 * anatomy.disc_radius, 0.5 * anatomy.disc_radius)
    canvas.tint(canvas.whole(layers.vein * on_disc), (0.66, 0.42, 0.52))
    canvas.tint(canvas.whole(layers.artery * on_disc), (0.86, 0.54, 0.62))
    canvas.tint(canvas.whole(layers.reflex), (1.12, 1.3, 1.25))
    for name in ("artery", "vein"):
        canvas.masks[name] = np.where(getattr(layers, name) > 0.25, 255, 0).astype(np.uint8)


def beaded(vessel: Vessel, sides: list[float]) -> Vessel:
    """The vessel, its width swelling and shrinking when it is a temporal vein trunk of a side (-1 up, 1 down)."""
    if vessel.kind != "vein" or vessel.order != 0 or len(vessel.points) != _ARCADE_POINTS:
        return vessel
    if np.sign(vessel.points[30, 1]) not in sides:
        return vessel
    wave = 1 + 0.42 * np.sin(np.arange(_ARCADE_POINTS) * 0.95) * np.clip((np.arange(_ARCADE_POINTS) - 12) / 8, 0, 1)
    return Vessel(vessel.kind, vessel.order, vessel.points, vessel.widths * 1.15 * wave)


def mark_beading(trees: tuple[Vessel, ...], canvas: Canvas, finding: Finding) -> None:
    """Marks the beaded trunk of the finding's side."""
    layer = np.zeros(canvas.pixels.shape[:2], np.uint8)
    for vessel in trees:
        arcade = vessel.kind == "vein" and vessel.order == 0 and len(vessel.points) == _ARCADE_POINTS
        if arcade and np.sign(vessel.points[30, 1]) == finding.angle:
            part = slice(14, 70)
            half = vessel.widths[part] * canvas.frame.radius * 0.6
            _ribbon(layer, canvas.frame.pixels(vessel.points[part]), half, 255)
    canvas.mark(canvas.whole(layer.astype(np.float32) / 255), finding.kind, finding.label)
