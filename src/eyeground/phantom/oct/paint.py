"""Paints the layers: a picture of reflectivities (H, W), 0 dark to 1 bright, before the instrument's faults."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from eyeground.phantom.canvas import Bytes, Floats, blob, noise
from eyeground.phantom.oct.layers import Stack
from eyeground.phantom.oct.section import Section
from eyeground.phantom.oct.traits import HEIGHT, UM_X, UM_Z, WIDTH, Lesion, ScanTraits

Mask = NDArray[np.bool_]
_ROWS = np.arange(HEIGHT, dtype=np.float32)[:, None]


@dataclass
class Slice:
    """The B-scan in painting: `light` float32 (H, W), and exact masks uint8 (H, W) of 0 and 255 by name."""

    light: Floats
    masks: dict[str, Bytes]

    def mark(self, name: str, inside: Mask) -> None:
        """Adds to a mask where `inside` holds."""
        mask = self.masks.setdefault(name, np.zeros((HEIGHT, WIDTH), np.uint8))
        mask[inside] = 255


def between(top: Floats, bottom: Floats, least: float = 0.0) -> Mask:
    """True (H, W) from row `top` (W,) to row `bottom`, where they are more than `least` rows apart."""
    apart = bottom - top > least
    return np.asarray((np.where(apart, top, np.inf) <= _ROWS) & (bottom > _ROWS))


def paint_layers(stack: Stack) -> Floats:
    """The layers as a picture: steps of reflectivity laid at their boundaries, then summed down each column."""
    steps = np.zeros((HEIGHT + 2, WIDTH), np.float32)
    across = np.arange(WIDTH)
    above = np.zeros(WIDTH, np.float32)
    for row, light in zip(stack.tops, [*stack.light, np.zeros(WIDTH, np.float32)], strict=True):
        place = np.clip(row, 0, HEIGHT)
        whole = place.astype(np.int32)
        part = (place - whole).astype(np.float32)
        steps[whole, across] += (light - above) * (1 - part)
        steps[whole + 1, across] += (light - above) * part
        above = light
    return np.asarray(np.cumsum(steps, axis=0, out=steps)[:HEIGHT], np.float32)


def add_choroid(picture: Slice, stack: Stack, traits: ScanTraits) -> None:
    """Under Bruch's membrane: fine vessels, then wide dark ones in a bright stroma, then the sclera; fading down.

    Where the pigment epithelium is lost more light comes through. In the disc there is nerve tissue instead.
    """
    first = max(0, int(stack.tops[-1].min()) // 2 - 1) * 2
    small = (WIDTH // 2, (HEIGHT - first) // 2)
    floor = cv2.resize(stack.tops[-1][None], (small[0], 1))[0]
    depth = (np.arange(small[1], dtype=np.float32)[:, None] * 2 + first + 0.5 - floor) * np.float32(UM_Z)
    rng = np.random.default_rng([traits.tissue.seed, 11])
    thick = traits.tissue.choroid_um * np.clip(1 - 0.11 * cv2.resize(stack.x[None], (small[0], 1))[0], 0.35, 1.3)
    share = np.clip(depth / thick, 0, 2)
    fine, wide = _field(rng, small, 0.8), _field(rng, small, 1.9)
    lumen = 0.6 * _step(0.9 * (fine - 0.4)) * np.clip(1.6 - 2.6 * share, 0, 1)
    lumen = np.maximum(lumen, 0.6 * _step(0.8 * (wide - 0.25)) * _step(5 * (share - 0.24)) * _step(5 * (0.95 - share)))
    grain = 1 + 0.1 * fine + 0.06 * wide
    sclera = _step(4 * (share - 1.02))
    stroma = (0.5 * (1 - lumen) * (1 - sclera) + 0.3 * sclera) * grain
    stroma *= np.exp(-np.clip(depth, 0, None) / traits.exposure.reach_um)
    more = 1 + 1.1 * stack.atrophy - 0.35 * np.clip(stack.detached / 150, 0, 1)
    more *= 1 - 0.3 * np.clip(stack.drusen / 110, 0, 1)
    nerve = np.exp(-np.clip(depth, 0, None) / 260) * (0.42 + 0.08 * fine)
    edge = cv2.resize(stack.disc[None], (small[0], 1))[0]
    half = stroma * cv2.resize(more[None].astype(np.float32), (small[0], 1))[0] * (1 - edge) + nerve * edge
    full = cv2.resize(half.astype(np.float32), (WIDTH, HEIGHT - first), interpolation=cv2.INTER_LINEAR)
    picture.light[first:] += full * (stack.tops[-1] <= _ROWS[first:])


def _field(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> Floats:
    """Smooth noise (h, w) for `shape` (w, h), longer along the scan; its standard deviation is about 1."""
    coarse = rng.standard_normal((shape[1] // 2, shape[0] // 2), dtype=np.float32)
    smooth = cv2.GaussianBlur(coarse, (0, 0), sigmaX=1.5 * sigma, sigmaY=sigma)
    even = np.asarray(smooth, np.float32) * np.float32(2 * np.sqrt(np.pi * 1.5) * sigma)
    return np.asarray(cv2.resize(even, shape, interpolation=cv2.INTER_CUBIC), np.float32)


def _step(values: Floats) -> Floats:
    return np.asarray(np.clip(0.5 + 1.6 * values, 0, 1), np.float32)


def texture(picture: Slice, stack: Stack, traits: ScanTraits) -> None:
    """Slow unevenness within the layers, and a brighter surface where it faces the beam."""
    rng = np.random.default_rng([traits.tissue.seed, 12])
    grain = cv2.resize(noise(rng, 48, 192, 2), (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    picture.light *= 1 + 0.09 * grain
    for name in ("shrm", "sub_rpe"):
        if (stack.bottom(name) - stack.top(name) > 4).any():
            picture.light *= 1 + 0.2 * grain * between(stack.top(name), stack.bottom(name), 4)
    slope = np.gradient(stack.tops[0]) * (UM_Z / UM_X)
    shine = 0.32 * np.exp(-((slope / 0.12) ** 2))
    rim = np.exp(-(((_band(stack.tops[0], 6)[1] - stack.tops[0]) / 1.1) ** 2))
    rows, _ = _band(stack.tops[0], 6)
    picture.light[rows, np.arange(WIDTH)] += shine * rim


def _band(centre: Floats, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Row indices (2 reach, W) around a boundary, clipped to the picture, and the same as numbers."""
    rows = np.clip(centre.astype(np.int32) + np.arange(-reach, reach)[:, None], 0, HEIGHT - 1)
    return rows, rows.astype(np.float32)


def add_cysts(picture: Slice, stack: Stack, traits: ScanTraits) -> None:
    """Cystoid spaces: dark ovals in the inner or the outer nuclear layer with walls between. Marks them."""
    cysts = traits.of("inner_cyst", "outer_cyst")
    if not cysts:
        return
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    for cyst in sorted(cysts, key=lambda cyst: -cyst.half):
        upper, lower = ("inl", "inl") if cyst.kind == "inner_cyst" else ("opl", "onl")
        column = int(np.clip(np.searchsorted(stack.x, cyst.x), 4, WIDTH - 5))
        top, bottom = float(stack.top(upper)[column]), float(stack.bottom(lower)[column])
        tall = min(cyst.height / UM_Z, 0.44 * (bottom - top))
        middle = top + tall + cyst.level * max(bottom - top - 2 * tall, 0)
        wide, tall = max(1000 * cyst.half / UM_X, 1.5), max(tall, 1.2)
        rng = np.random.default_rng(cyst.seed)
        size = float(np.sqrt(wide * tall))
        if drawn[int(np.clip(middle, 0, HEIGHT - 1)), column]:
            continue  # it would lie inside a larger one
        outline = blob(rng, np.array([column, middle]), size, 0.17, float(np.sqrt(wide / tall)))
        wall = np.array([column, middle]) + (outline - (column, middle)) * (1 + 1.5 / size)
        for points, value in ((wall, 0), (outline, 255)):
            cv2.fillPoly(drawn, [np.round(16 * points).astype(np.int32)], value, cv2.LINE_8, 4)
    inside = between(stack.bottom("nfl") + 2, stack.top("elm") - 1) & (stack.disc < 0.02)
    drawn[~inside] = 0
    soft = cv2.GaussianBlur(drawn, (0, 0), 0.8).astype(np.float32) / 255
    picture.light *= 1 - soft
    picture.light += 0.035 * soft
    picture.mark("oct_intraretinal_fluid", drawn > 0)


def _oval(sheet: Bytes, column: float, row: float, wide: float, tall: float, value: int) -> None:
    centre = (round(16 * column), round(16 * row))
    cv2.ellipse(sheet, centre, (round(16 * wide), round(16 * tall)), 0, 0, 360, value, cv2.FILLED, cv2.LINE_8, 4)


def add_exudates(picture: Slice, stack: Stack, section: Section, traits: ScanTraits) -> None:
    """Hyperreflective foci where the line crosses hard exudates, with shadows under them. Marks them."""
    rng = np.random.default_rng([traits.tissue.seed, 13])
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    shade = np.ones(WIDTH, np.float32)
    deepest = np.full(WIDTH, float(HEIGHT), np.float32)
    for start, end in section.runs("hard_exudate", "exudate_star"):
        middle, half = 0.5 * (start + end), 0.5 * (end - start)
        for _ in range(max(1, round(half / 0.06))):
            x = middle + rng.uniform(-0.6, 0.6) * half
            column = int(np.searchsorted(stack.x, x))
            if not 3 <= column < WIDTH - 3 or stack.disc[column] > 0.02:
                continue
            top, bottom = float(stack.top("inl")[column]), float(stack.top("elm")[column])
            row = top + rng.beta(2.4, 2.0) * (bottom - top)
            wide = float(np.clip(0.5 * half / 0.0115 * rng.uniform(0.5, 1.1), 1.3, 4.5))
            _oval(drawn, column, row, wide, wide * rng.uniform(1.0, 2.2), 255)
            part = slice(max(0, column - round(wide)), column + round(wide) + 1)
            shade[part] = 1 - min(0.6, 0.13 * wide)
            deepest[part] = row
    if drawn.any():
        drawn[~between(stack.bottom("nfl"), stack.top("elm") - 1)] = 0
        soft = cv2.GaussianBlur(drawn, (0, 0), 0.7).astype(np.float32) / 255
        picture.light += (0.95 - picture.light) * soft
        cast_shadow(picture, deepest + 3, cv2.GaussianBlur(shade[None], (0, 0), 1.2)[0])
        picture.mark("oct_exudate", drawn > 0)


def cast_shadow(picture: Slice, start: Floats, factor: Floats) -> None:
    """Darkens each column by `factor` (W,) below row `start` (W,)."""
    for column in np.flatnonzero(factor < 0.995):
        picture.light[max(0, int(start[column])) :, column] *= factor[column]


def add_polyps(picture: Slice, stack: Stack, polyps: list[Lesion]) -> None:
    """A polyp under the peak of its detachment: a round reflective wall around a darker lumen. Marks it."""
    for polyp in polyps:
        column = int(np.clip(np.searchsorted(stack.x, polyp.x), 4, WIDTH - 5))
        tall = 0.5 * polyp.height / UM_Z
        row = float(stack.top("sub_rpe")[column]) + tall + 2
        wide = 1000 * polyp.half / UM_X
        sheets = [np.zeros((HEIGHT, WIDTH), np.uint8) for _ in range(2)]
        _oval(sheets[0], column, row, wide, tall, 255)
        _oval(sheets[1], column, row, 0.62 * wide, 0.62 * tall, 255)
        inside = between(stack.top("sub_rpe"), stack.bottom("sub_rpe"))
        for sheet, level in zip(sheets, (polyp.content, 0.3), strict=True):
            sheet[~inside] = 0
            soft = cv2.GaussianBlur(sheet, (0, 0), 1.4).astype(np.float32) / 255
            picture.light += (level - picture.light) * soft * 0.85
        picture.mark("oct_polyp", sheets[0] > 0)
