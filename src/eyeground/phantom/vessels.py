"""Arteries and veins: trees that leave the disc, arch over the macula, branch, taper and spare the fovea."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eyeground.phantom.canvas import Points
from eyeground.phantom.traits import Anatomy

Kind = Literal["artery", "vein"]
_STEP = 0.022
_FINEST = 0.0026
_AVASCULAR = 0.13
ARCADE_POINTS = 90


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
        level = [_arcade(anatomy, rng, kind, width * rng.uniform(0.9, 1.08), up) for up in (True, False)]
        level += _forks(anatomy, rng, level)
        level += _nasal(anatomy, rng, kind, width)
        level += _twigs(anatomy, rng, kind, width * 0.34)
        vessels += level
        for _ in range(3):
            level = _branch(anatomy, rng, level)
            vessels += level
    return tuple(sorted(vessels, key=lambda vessel: -vessel.order))


def _arcade(anatomy: Anatomy, rng: np.random.Generator, kind: Kind, width: float, up: bool) -> Vessel:
    """A temporal arcade: an arc of an ellipse from the disc around the fovea, with its own wander."""
    sign = -1 if up else 1
    height = (anatomy.arcade_up if up else anatomy.arcade_down) * rng.uniform(0.92, 1.1)
    height *= 1.0 if kind == "vein" else rng.choice((0.86, 1.13))
    reach = anatomy.arcade_reach * rng.uniform(0.9, 1.25)
    t = np.linspace(0.04, rng.uniform(2.0, 2.5), ARCADE_POINTS)
    start = _origin(anatomy, rng, sign)
    lean = rng.uniform(-0.08, 0.16)
    wave = _meander(rng, t, anatomy.tortuosity) * np.minimum(1.5 * t, 1)
    x = start[0] - reach * (1 - np.cos(t)) - lean * np.sin(t)
    points = np.stack((x, start[1] + sign * height * np.sin(t)), axis=1)
    points += wave[:, None] * np.stack((-np.cos(t), sign * np.sin(t)), axis=1)
    return Vessel(kind, 0, _over_cup(anatomy, points), width * np.geomspace(1.0, 0.38, len(t)))


def _over_cup(anatomy: Anatomy, points: Points) -> Points:
    """The trunk (n, 2) with a kink where it climbs over the edge of a deep cup."""
    depth = min(max((anatomy.cup_ratio - 0.4) / 0.4, 0.0), 1.0)
    away = points - (anatomy.disc_x, anatomy.disc_y)
    distance = np.hypot(away[:, 0], away[:, 1]) / anatomy.disc_radius
    kink = 0.13 * depth * anatomy.disc_radius * np.exp(-(((distance - anatomy.cup_ratio) / 0.14) ** 2))
    side = np.stack((-away[:, 1], away[:, 0]), axis=1) / np.maximum(distance * anatomy.disc_radius, 1e-6)[:, None]
    return points + (kink * np.sign(points[-1, 1] - anatomy.disc_y))[:, None] * side


def _origin(anatomy: Anatomy, rng: np.random.Generator, sign: float) -> Points:
    """Where a trunk comes out of the disc: a little nasal of its centre, more so with a large cup."""
    nasal = 0.16 + 0.5 * max(anatomy.cup_ratio - 0.45, 0)
    x = anatomy.disc_x + (nasal + rng.normal(0, 0.08)) * anatomy.disc_radius
    return np.array([x, anatomy.disc_y + (0.04 * sign + rng.normal(0, 0.05)) * anatomy.disc_radius])


def _meander(rng: np.random.Generator, t: Points, tortuosity: float) -> Points:
    sizes = rng.normal(0, 1, 5) * (0.035, 0.018, 0.011, 0.006, 0.003)
    waves = list(zip(sizes, (2.0, 5.0, 9.0, 16.0, 27.0), strict=True))
    return tortuosity * np.sum([a * np.sin(f * t + rng.uniform(0, 6.28)) for a, f in waves], axis=0)


def _forks(anatomy: Anatomy, rng: np.random.Generator, arcades: list[Vessel]) -> list[Vessel]:
    """One or two large branches of each arcade outwards, and as many inwards, which run past the macula."""
    places = [
        (arcade, i, turn)
        for low, high, turn in ((9, 42, -1.0), (12, 56, 1.0))
        for arcade in arcades
        for i in rng.choice(np.arange(low, high), rng.integers(1, 3), replace=False)
    ]
    start = np.array([arcade.points[i] for arcade, i, _ in places])
    delta = np.array([arcade.points[i + 1] - arcade.points[i - 1] for arcade, i, _ in places])
    turns = np.array([turn for _, _, turn in places])
    heading = np.arctan2(delta[:, 1], delta[:, 0]) + np.sign(start[:, 1]) * turns * rng.uniform(0.35, 0.7, len(places))
    paths = _spare_fovea(_walk(anatomy, rng, start, heading, 34, toward=np.where(turns < 0, -0.5, 0.15)))
    taper = np.geomspace(1.0, 0.35, 35)
    widths = [
        arcade.widths[i] * (rng.uniform(0.66, 0.86) if turn < 0 else rng.uniform(0.45, 0.7)) * taper
        for arcade, i, turn in places
    ]
    return [Vessel(arcade.kind, 1, *line) for (arcade, _, _), *line in zip(places, paths, widths, strict=True)]


def _nasal(anatomy: Anatomy, rng: np.random.Generator, kind: Kind, width: float) -> list[Vessel]:
    """Nasal trunks: from the disc up or down and away from the macula."""
    signs = np.repeat((-1.0, 1.0), rng.integers(1, 3, 2))
    heading = signs * rng.uniform(0.55, 1.3, len(signs))
    start = np.array([_origin(anatomy, rng, sign) for sign in signs])
    paths = _walk(anatomy, rng, start, heading, 44, toward=np.full(len(signs), -0.25))
    taper = np.geomspace(1.0, 0.3, 45)
    return [Vessel(kind, 1, _over_cup(anatomy, path), width * rng.uniform(0.5, 0.8) * taper) for path in paths]


def _twigs(anatomy: Anatomy, rng: np.random.Generator, kind: Kind, width: float) -> list[Vessel]:
    """Twigs that leave the disc straight to the macula and to the nose."""
    count = int(rng.integers(2, 4))
    side = np.where(rng.random(count) < 0.5, -1, 1)
    temporal = rng.random(count) < 0.65
    heading = np.where(temporal, np.pi + side * rng.uniform(0.35, 0.9, count), side * rng.uniform(0, 0.5, count))
    start = np.tile([anatomy.disc_x, anatomy.disc_y], (count, 1)).astype(float)
    start += 0.3 * anatomy.disc_radius * np.stack((np.cos(heading), np.sin(heading)), axis=1)
    steps = int(rng.integers(18, 27))
    paths = _walk(anatomy, rng, start, heading, steps, toward=np.where(temporal, 0.5, -0.3))
    taper = np.geomspace(1, 0.4, steps + 1)
    return [Vessel(kind, 2, path, width * rng.uniform(0.7, 1.2) * taper) for path in _spare_fovea(paths)]


def _walk(
    anatomy: Anatomy, rng: np.random.Generator, start: Points, heading: Points, steps: int, toward: Points
) -> Points:
    """Walks many vessels at once, with a smoothly changing heading.

    Args:
        start: (b, 2). heading: radians (b,). toward: pull to the fovea (b,), negative is away from it.

    Returns:
        points (b, steps + 1, 2).
    """
    path = np.empty((steps + 1, len(start)), np.complex128)
    path[0] = position = start[:, 0] + 1j * start[:, 1]
    turn, main = np.zeros(len(start)), heading
    kicks = rng.normal(0, 0.21 * anatomy.tortuosity, (steps, len(start)))
    for step, kick in enumerate(kicks, 1):
        turn = 0.5 * turn + kick
        home = -position * np.exp(-1j * main)  # the fovea, seen along the heading
        main = main + 0.11 * toward * home.imag / np.maximum(np.abs(home), 1e-9) + 0.15 * turn
        heading = heading + 0.6 * turn + 0.3 * np.sin(main - heading)
        path[step] = position = position + _STEP * np.exp(1j * heading)
    return np.ascontiguousarray(path.T).view(np.float64).reshape(len(start), steps + 1, 2)


def _spare_fovea(path: Points) -> Points:
    """The points (..., 2) pushed out of the avascular zone around the fovea."""
    square = (path**2).sum(axis=-1, keepdims=True)
    pushed = np.sqrt(square + _AVASCULAR**2 * np.exp(-square / (1.6 * _AVASCULAR) ** 2))
    return path * pushed / np.maximum(np.sqrt(square), 1e-6)


def _branch(anatomy: Anatomy, rng: np.random.Generator, parents: list[Vessel]) -> list[Vessel]:
    """Side branches of these vessels, alternating sides."""
    starts, headings, widths, kinds, orders = [], [], [], [], []
    for parent in parents:
        gap = (7, 8, 9, 10)[min(parent.order, 3)]
        points, calibre = parent.points.tolist(), parent.widths.tolist()
        inwards = math.copysign(1, points[-1][1])  # the side of the macula, seen along an arcade
        index, side = int(rng.integers(6, 11)), 1 if rng.random() < 0.5 else -1
        while index < len(points) - 2:
            inner = parent.order == 0 and side == inwards
            width = calibre[index] * (rng.uniform(0.5, 0.75) if inner else rng.uniform(0.38, 0.65))
            (x, y), (x1, y1), (x2, y2) = points[index], points[index - 1], points[index + 1]
            if width > _FINEST and math.hypot(x, y) < 1.9:
                starts.append((x, y))
                headings.append(math.atan2(y2 - y1, x2 - x1) + side * rng.uniform(0.5, 1.1))
                widths.append(width)
                kinds.append(parent.kind)
                orders.append(parent.order + 1)
            index, side = index + gap + int(rng.integers(0, 10)), -side
    if not starts:
        return []
    start, heading = np.array(starts), np.array(headings)
    inward = np.cos(heading - np.arctan2(-start[:, 1], -start[:, 0]))
    lengths = np.clip(5 + np.array(widths) * 2300 * rng.uniform(0.6, 1.4, len(widths)), 7, 29).astype(int)
    steps = int(lengths.max()) - 1
    paths = _spare_fovea(_walk(anatomy, rng, start, heading, steps, toward=np.where(inward > 0, 0.8, -0.7)))
    return [
        Vessel(kind, order, path[:length], width * np.linspace(1.0, 0.45, length))
        for path, width, kind, order, length in zip(paths, widths, kinds, orders, lengths.tolist(), strict=True)
    ]
