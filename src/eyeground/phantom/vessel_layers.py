"""Draws the vessel trees: coverage of each pixel, blood over the retina, masks; and beaded veins."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from eyeground.phantom.canvas import Bytes, Canvas, Floats, Frame, Patch, Points, ramp
from eyeground.phantom.traits import Anatomy, Finding
from eyeground.phantom.vessels import ARCADE_POINTS, Vessel

_VEIN, _ARTERY, _REFLEX = (0.76, 0.47, 0.63), (0.93, 0.62, 0.73), (1.1, 1.28, 1.22)
_VEIN_ON_DISC, _ARTERY_ON_DISC = (1.15, 0.62, 0.62), (1.5, 0.88, 0.8)


@dataclass(frozen=True)
class Layers:
    """How much of each pixel a vessel covers, float32 (H, W) in 0..1; `reflex` is the bright line on wide ones."""

    artery: Floats
    vein: Floats
    reflex: Floats


def draw(vessels: tuple[Vessel, ...], frame: Frame, widest: float) -> Layers:
    """Draws the vessels as tapered ribbons, at twice the picture's size and then reduced."""
    size = frame.size
    sheets = {name: np.zeros((2 * size, 2 * size), np.uint8) for name in ("artery", "vein", "reflex")}
    points = 2 * frame.pixels(np.concatenate([vessel.points for vessel in vessels])) + 0.5
    half = np.concatenate([vessel.widths for vessel in vessels]) * frame.radius
    ends = np.cumsum([len(vessel.points) for vessel in vessels])
    normal = _normals(points, ends)
    wide = _outlines(points, normal * np.maximum(half - 0.4, 0.35)[:, None])
    thin = _outlines(points, normal * np.maximum(0.26 * half - 0.2, 0.15)[:, None])
    for vessel, end in zip(vessels, ends, strict=True):
        part = slice(end - len(vessel.points), end)
        shade = int(255 * min(0.34 + 0.66 * vessel.widths[0] / widest, 1.0))
        _fill(sheets[vessel.kind], wide, part, shade)
        if vessel.order <= 1:
            _fill(sheets["reflex"], thin, part, shade if vessel.kind == "artery" else shade // 2)
    sigma = 0.0016 * frame.radius + 0.35
    return Layers(*(_reduce(sheets[name], size, sigma) for name in ("artery", "vein", "reflex")))


def _normals(points: Points, ends: Points) -> Points:
    """Unit normals (n, 2) of lines that are stored one after another and end before the indices `ends`."""
    index = np.arange(len(points))
    after, before = index + 1, index - 1
    after[ends - 1] -= 1
    before[np.concatenate(([0], ends[:-1]))] += 1
    tangent = points[after] - points[before]
    length = np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-9)
    return np.stack((-tangent[:, 1], tangent[:, 0]), axis=1) / length[:, None]


def _outlines(points: Points, normal: Points) -> tuple[np.ndarray, np.ndarray]:
    """Both banks (n, 2) of the lines, in sixteenths of a pixel."""
    return np.round((points + normal) * 16).astype(np.int32), np.round((points - normal) * 16).astype(np.int32)


def _fill(sheet: Bytes, banks: tuple[np.ndarray, np.ndarray], part: slice, shade: int) -> None:
    cv2.fillPoly(sheet, [np.concatenate((banks[0][part], banks[1][part][::-1]))], shade, cv2.LINE_AA, 4)


def _reduce(sheet: Bytes, size: int, sigma: float) -> Floats:
    small = cv2.GaussianBlur(cv2.resize(sheet, (size, size), interpolation=cv2.INTER_AREA), (0, 0), sigma)
    return small.astype(np.float32) * np.float32(1 / 255)


def paint(layers: Layers, canvas: Canvas, anatomy: Anatomy) -> None:
    """Lays the blood over the retina, opaque red on the bright disc, and marks `artery` and `vein`."""
    window = canvas.window(anatomy.disc_x, anatomy.disc_y, 1.1 * anatomy.disc_radius)
    bare = canvas.pixels[window].copy()
    planes = [
        (1 - np.float32(1 - v) * layers.vein)
        * (1 - np.float32(1 - a) * layers.artery)
        * (1 + np.float32(r - 1) * layers.reflex)
        for v, a, r in zip(_VEIN, _ARTERY, _REFLEX, strict=True)
    ]
    cv2.multiply(canvas.pixels, cv2.merge(planes), canvas.pixels)
    distance = np.hypot(canvas.x[window] - anatomy.disc_x, canvas.y[window] - anatomy.disc_y)
    view = canvas.pixels[window]
    view += (bare - view) * (0.8 * ramp(distance, 1.1 * anatomy.disc_radius, 0.7 * anatomy.disc_radius))[..., None]
    on_disc = ramp(distance, 1.1 * anatomy.disc_radius, 0.8 * anatomy.disc_radius)
    for layer, colour in ((layers.vein, _VEIN_ON_DISC), (layers.artery, _ARTERY_ON_DISC)):
        canvas.cover(Patch(window, on_disc * layer[window]), colour, 0.85)
    canvas.tint(Patch(window, on_disc * layers.reflex[window]), _REFLEX)
    for name in ("artery", "vein"):
        canvas.masks[name] = (getattr(layers, name) > 0.25).astype(np.uint8) * np.uint8(255)


def _is_arcade_vein(vessel: Vessel, sides: list[float]) -> bool:
    """Whether this is a temporal vein trunk of one of these sides (-1 up, 1 down)."""
    trunk = vessel.kind == "vein" and vessel.order == 0 and len(vessel.points) == ARCADE_POINTS
    return trunk and float(np.sign(vessel.points[30, 1])) in sides


def beaded(vessel: Vessel, sides: list[float]) -> Vessel:
    """The vessel, its width swelling and shrinking when it is a temporal vein trunk of a side (-1 up, 1 down)."""
    if not _is_arcade_vein(vessel, sides):
        return vessel
    index = np.arange(ARCADE_POINTS)
    wave = 1 + 0.42 * np.sin(0.95 * index) * np.clip((index - 12) / 8, 0, 1)
    return replace(vessel, widths=1.15 * vessel.widths * wave)


def mark_beading(vessels: tuple[Vessel, ...], canvas: Canvas, finding: Finding) -> None:
    """Marks the beaded trunk of the finding's side."""
    layer = np.zeros(canvas.pixels.shape[:2], np.uint8)
    for vessel in vessels:
        if _is_arcade_vein(vessel, [finding.angle]):
            points = canvas.frame.pixels(vessel.points)
            normal = _normals(points, np.array([len(points)]))
            half = 0.6 * canvas.frame.radius * vessel.widths
            _fill(layer, _outlines(points, normal * half[:, None]), slice(14, 60), 255)
    canvas.mark(canvas.whole(layer.astype(np.float32) / 255), finding.kind, finding.label)
