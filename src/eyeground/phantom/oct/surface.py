"""What lies on and above the retina: retinal vessels and their shadows, blood, membranes, the detached hyaloid."""

from __future__ import annotations

import cv2
import numpy as np

from eyeground.phantom.canvas import Floats
from eyeground.phantom.oct.layers import Stack
from eyeground.phantom.oct.paint import Slice, between, cast_shadow
from eyeground.phantom.oct.section import Section
from eyeground.phantom.oct.traits import HEIGHT, UM_X, UM_Z, WIDTH, ScanTraits


def add_vessels(picture: Slice, stack: Stack, crossed: list[tuple[float, float, bool]]) -> None:
    """Vessels of the photograph where the line crosses them: a bright wall in the nerve fibres, a shadow below."""
    factor = np.ones(WIDTH, np.float32)
    for x, chord, artery in crossed:
        column = int(np.searchsorted(stack.x, x))
        if not 2 <= column < WIDTH - 2:
            continue
        half = max(500 * chord / UM_X, 0.8)
        offset = (np.arange(WIDTH) - column) / half
        depth = float(np.clip(0.1 + 0.11 * half, 0.12, 0.6)) * (1.1 if artery else 1.0)
        factor *= (1 - depth * np.exp(-(offset**4))).astype(np.float32)
        row = float(stack.top("nfl")[column]) + 2 + 0.8 * half * UM_X / UM_Z * 0.5
        _glow(picture, column, row, half, min(half * UM_X / UM_Z, 22) * 0.55, 0.28)
    cast_shadow(picture, stack.bottom("nfl") + 5, factor)


def add_blood(picture: Slice, stack: Stack, section: Section) -> None:
    """Haemorrhages in the retina (reflective, with a shadow) and shadows of blood before and under it."""
    factor = np.ones(WIDTH, np.float32)
    for start, end in section.runs("haemorrhage"):
        column = int(np.searchsorted(stack.x, 0.5 * (start + end)))
        if 3 <= column < WIDTH - 3 and stack.disc[column] < 0.02:
            half = max(500 * (end - start) / UM_X, 1.5)
            row = 0.5 * float(stack.top("ipl")[column] + stack.bottom("opl")[column])
            _glow(picture, column, row, half, min(9.0, half * 1.2), 0.3)
            factor *= (1 - 0.4 * np.exp(-(((np.arange(WIDTH) - column) / half) ** 4))).astype(np.float32)
    cast_shadow(picture, stack.top("onl"), factor)
    under = 1 - 0.55 * (1 - np.exp(-section.along(stack.x, "subretinal_haemorrhage") / 250))
    cast_shadow(picture, stack.bottom("rpe"), under.astype(np.float32))
    before = section.along(stack.x, "preretinal_haemorrhage")
    if before.any():
        high = np.clip(before / UM_Z * 0.7, 0, 45)
        pool = between(stack.tops[0] - high, stack.tops[0], 1)
        picture.light[pool] = 0.7
        cast_shadow(picture, stack.tops[0], (1 - 0.9 * (1 - np.exp(-before / 60))).astype(np.float32))


def add_membrane(picture: Slice, stack: Stack, section: Section, seed: int) -> None:
    """An epiretinal membrane: a bright line on the retina that stands off it between its anchors."""
    there = np.clip(section.along(stack.x, "epiretinal_membrane") / 150, 0, 1)
    if there.any():
        rng = np.random.default_rng([seed, 21])
        gap = 2.2 + 2.0 * cv2.resize(rng.standard_normal((1, 40), dtype=np.float32), (WIDTH, 1))[0]
        _line(picture, stack.tops[0] - np.clip(gap, -0.5, 7), 0.55 * there, 1.0)


def add_hyaloid(picture: Slice, stack: Stack, traits: ScanTraits) -> None:
    """The posterior hyaloid, partly detached: a faint line over the retina, nearest to it at the fovea."""
    height = traits.tissue.hyaloid_um
    if height <= 0:
        return
    rng = np.random.default_rng([traits.tissue.seed, 22])
    wave = 1 + 0.12 * cv2.resize(rng.standard_normal((1, 6), dtype=np.float32), (WIDTH, 1))[0]
    lift = np.clip(0.05 + 0.2 * np.hypot(stack.x + 0.6, 0.7), 0, 1) * height * wave
    wide = cv2.GaussianBlur(stack.tops[-1][None], (0, 0), 40, borderType=cv2.BORDER_REPLICATE)[0] - 330 / UM_Z
    patchy = np.clip(0.6 + 0.5 * cv2.resize(rng.standard_normal((1, 9), dtype=np.float32), (WIDTH, 1))[0], 0, 1)
    _line(picture, np.minimum(wide - lift / UM_Z, stack.tops[0] - 6), 0.24 * patchy, 0.9)


def _glow(picture: Slice, column: int, row: float, half: float, tall: float, light: float) -> None:
    """A soft bright spot."""
    rows = slice(max(0, int(row - 3 * tall)), min(HEIGHT, int(row + 3 * tall) + 1))
    columns = slice(max(0, int(column - 3 * half)), min(WIDTH, int(column + 3 * half) + 1))
    y = (np.arange(rows.start, rows.stop)[:, None] - row) / max(tall, 0.8)
    x = (np.arange(columns.start, columns.stop)[None] - column) / half
    picture.light[rows, columns] += (light * np.exp(-(x**2) - y**2)).astype(np.float32)


def _line(picture: Slice, row: Floats, light: Floats, width: float) -> None:
    """A thin bright line along a row (W,)."""
    near = row.astype(np.int32) + np.arange(-3, 5)[:, None]
    inside = (near >= 0) & (near < HEIGHT)
    glow = light * np.exp(-(((near - row) / width) ** 2)) * inside
    picture.light[np.clip(near, 0, HEIGHT - 1), np.arange(WIDTH)] += glow.astype(np.float32)
