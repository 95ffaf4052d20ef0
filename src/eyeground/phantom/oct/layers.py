"""The retina as a stack of layers along the scan line: thickness and reflectivity of each, in health and disease.

Healthy thicknesses give the published means of spectral-domain OCT: about 225 um at the foveal point, about 265 um
in the central millimetre (270 +- 23, Grover et al., Am J Ophthalmol 148, 2009) and about 340 um around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from eyeground.phantom.canvas import Floats
from eyeground.phantom.oct.section import Section
from eyeground.phantom.oct.traits import FIELD_MM, HEIGHT, UM_X, UM_Z, WIDTH, Lesion, ScanTraits, Tissue
from eyeground.phantom.traits import EyeTraits

NAMES = (
    *("nfl", "gcl", "ipl", "inl", "opl", "onl", "elm", "myoid", "ez", "outer_segments", "iz"),
    *("subretinal_fluid", "shrm", "rpe", "sub_rpe", "bruch"),
)
"""From the vitreous to the choroid; the spaces that disease opens have no thickness in health."""
REFLECTIVITY = (0.6, 0.4, 0.46, 0.25, 0.42, 0.19, 0.36, 0.22, 0.74, 0.36, 0.62, 0.025, 0.6, 0.9, 0.4, 0.5)
INDEX = {name: row for row, name in enumerate(NAMES)}
_ATROPHY = ("geographic_atrophy", "patchy_atrophy", "chorioretinal_atrophy", "laser_scar")
_SUNK = {
    "myoid": 0.85,
    "elm": 0.6,
    "ez": 0.95,
    "outer_segments": 0.95,
    "iz": 0.97,
    "rpe": 0.72,
    "onl": 0.55,
    "opl": 0.2,
}


@dataclass(frozen=True)
class Stack:
    """The scan's layers at `x` (W,) millimetres.

    `tops` (K + 1, W): the row at which each of `NAMES` begins, and last where the choroid does. `light` (K, W):
    reflectivities. `disc` (W,): 1 where the optic disc is. `atrophy` (W,): loss of the pigment epithelium, 0 to 1.
    `drusen`, `detached` (W,): height in micrometres of drusen and of pigment epithelial detachments.
    """

    x: Floats
    tops: Floats
    light: Floats
    disc: Floats
    atrophy: Floats
    drusen: Floats
    detached: Floats

    def top(self, name: str) -> Floats:
        """The row (W,) at which a layer begins."""
        return self.tops[INDEX[name]]

    def bottom(self, name: str) -> Floats:
        """The row (W,) at which a layer ends."""
        return self.tops[INDEX[name] + 1]

    @property
    def thickness_um(self) -> Floats:
        """From the inner limiting membrane to Bruch's membrane, micrometres (W,)."""
        return np.asarray((self.tops[-1] - self.tops[0]) * UM_Z)


def columns(tissue: Tissue) -> Floats:
    """Millimetres from the fovea of each column (W,), temporal to nasal."""
    steps = np.arange(WIDTH, dtype=np.float32) - np.float32((WIDTH - 1) / 2)
    return np.asarray(steps * np.float32(UM_X / 1000) - np.float32(tissue.fovea_mm), np.float32)


def healthy(x: Floats, tissue: Tissue) -> Floats:
    """Thickness of each layer (K, W) in micrometres: inner layers leave the pit, cones are longest in it."""
    r = np.abs(x) / tissue.pit_width
    nasal = np.clip(x, 0, None)
    inner = 1 - np.exp(-((r / 0.6) ** 2))
    nuclear = 1 - np.exp(-((r / 0.52) ** 2))
    cones = np.exp(-((x / 0.5) ** 2))
    flat = np.ones_like(x)
    um = {
        "nfl": 3 + (1 - np.exp(-((r / 0.75) ** 2))) * (11 + 10 * nasal) * tissue.nerve_fibres,
        "gcl": inner * (13 + 54 * np.exp(-((x / 1.9) ** 2))) * (0.45 + 0.55 * tissue.nerve_fibres),
        "ipl": inner * (22 + 28 * np.exp(-((x / 2.1) ** 2))),
        "inl": nuclear * (28 + 20 * np.exp(-((x / 1.8) ** 2))),
        "opl": 6 + 20 * (1 - np.exp(-((r / 0.32) ** 2))),
        "onl": 50 + 30 * np.exp(-((r / 0.6) ** 2)) + 24 * np.exp(-((x / 1.9) ** 2)),
        "elm": 6 * flat,
        "myoid": 22 + 6 * cones,
        "ez": 11 * flat,
        "outer_segments": 13 + 14 * cones,
        "iz": 6 * flat,
        "rpe": 21 * flat,
        "bruch": 4 * flat,
    }
    return np.stack([um.get(name, 0 * flat) * tissue.thickness for name in NAMES]).astype(np.float32)


def elevation(x: Floats, lesion: Lesion) -> Floats:
    """A dome (W,) in micrometres; with power 2 round, above that with steep sides and a flat top."""
    u = np.clip(np.abs(x - lesion.x) / lesion.half, 0, 1)
    return np.asarray(lesion.height * (1 - u**lesion.power) ** 1.25, np.float32)


def bell(x: Floats, lesion: Lesion) -> Floats:
    """A swelling (W,) in micrometres without an edge."""
    return np.asarray(lesion.height * np.exp(-(((x - lesion.x) / lesion.half) ** 2)), np.float32)


def build(eye: EyeTraits, traits: ScanTraits, section: Section) -> Stack:
    """The layers of the eye along the scan line with all that lifts, thickens or thins them."""
    tissue = traits.tissue
    x = columns(tissue)
    um = healthy(x, tissue)
    light = np.repeat(np.asarray(REFLECTIVITY, np.float32)[:, None], WIDTH, axis=1)
    drusen = _drusen(x, section, traits)
    detached, content = _detached(x, traits)
    atrophy = _soft(np.clip(section.along(x, *_ATROPHY) / 120, 0, 1), 5)
    _thicken(um, light, x, traits)
    lifted = np.maximum(drusen, detached)
    um[INDEX["sub_rpe"]] = lifted
    _open(um, light, x, traits, section)
    light[INDEX["sub_rpe"]] = np.where(detached >= drusen, content, 0.46)
    um[INDEX["onl"]] *= 1 - 0.4 * np.clip(lifted / 260, 0, 1)
    _lose(um, light, atrophy, lifted)
    _absorb(um)
    disc = _disc(x, eye)
    sunk = _end_at_disc(um, light, x, disc, eye.anatomy.cup_ratio)
    floor = _floor(x, tissue, um) + sunk
    tops = floor - np.concatenate((np.cumsum(um[::-1], axis=0)[::-1], np.zeros((1, WIDTH), np.float32))) / UM_Z
    hidden = disc > 0.02
    return Stack(x, tops.astype(np.float32), light, disc, atrophy, np.where(hidden, 0, drusen), detached)


def _drusen(x: Floats, section: Section, traits: ScanTraits) -> Floats:
    """Heights (W,): a dome over each place where the line crosses drusen, higher the wider it is."""
    rng = np.random.default_rng([traits.tissue.seed, 1])
    height = np.zeros(len(x), np.float32)
    for start, end in section.runs("drusen"):
        half = max(0.5 * (end - start), 0.03)
        peak = float(np.clip(560 * half * rng.uniform(0.75, 1.2), 16, 115))
        u = np.clip(np.abs(x - 0.5 * (start + end)) / (1.15 * half), 0, 1)
        rough = 1 + (0.16 * np.sin(9 * u + rng.uniform(0, 6)) if half > 0.2 else 0)
        height = np.maximum(height, peak * (1 - u**2) * rough)
    return _soft(np.asarray(height, np.float32), 1.2)


def _detached(x: Floats, traits: ScanTraits) -> tuple[Floats, Floats]:
    """Heights (W,) of pigment epithelial detachments, and what they hold (reflectivity)."""
    height, content = np.zeros(len(x), np.float32), np.zeros(len(x), np.float32)
    rng = np.random.default_rng([traits.tissue.seed, 2])
    for lesion in traits.of("ped", "double_layer"):
        own = elevation(x, lesion)
        if lesion.kind == "double_layer":
            own *= 1 + 0.25 * _wander(rng, len(x), 26)
        elif lesion.content > 0.3 and lesion.power < 3:
            own *= np.clip(1 + 0.16 * _wander(rng, len(x), 24), 0.4, 1.6)
        content = np.where(own > height, np.float32(lesion.content), content)
        height = np.maximum(height, own)
    return _soft(height, 1.0), content


def _thicken(um: Floats, light: Floats, x: Floats, traits: ScanTraits) -> None:
    """Swelling of the retina, most of it in the outer nuclear and Henle layer; its layers lose their contrast."""
    for lesion in traits.of("thickening"):
        extra = bell(x, lesion)
        for name, share in (("onl", 0.56), ("inl", 0.26), ("opl", 0.08), ("gcl", 0.1)):
            um[INDEX[name]] += share * extra
            light[INDEX[name]] += (0.31 - light[INDEX[name]]) * 0.35 * np.clip(extra / 150, 0, 1)


def _open(um: Floats, light: Floats, x: Floats, traits: ScanTraits, section: Section) -> None:
    """Fluid between retina and pigment epithelium, and reflective material (neovascular tissue, blood) on it.

    What stands up from below takes the fluid's room: the retina over the fluid stays smooth.
    """
    rng = np.random.default_rng([traits.tissue.seed, 3])
    pool = np.zeros(len(x), np.float32)
    for lesion in traits.of("subretinal_fluid"):
        pool = np.maximum(pool, elevation(x, lesion))
    blood = section.along(x, "subretinal_haemorrhage")
    material = _soft(80 * (1 - np.exp(-blood / 300)), 6)
    light[INDEX["shrm"]] = np.where(material > 1, 0.52, light[INDEX["shrm"]])
    for lesion in traits.of("shrm"):
        own = elevation(x, lesion) * np.clip(1 + 0.14 * _wander(rng, len(x), 30), 0.5, 1.5)
        light[INDEX["shrm"]] = np.where(own > material, np.float32(lesion.content), light[INDEX["shrm"]])
        material = np.maximum(material, own)
    um[INDEX["shrm"]] = material
    um[INDEX["subretinal_fluid"]] = np.clip(pool - um[INDEX["sub_rpe"]] - material, 0, None)
    for name, least in (("ez", 0.62), ("iz", 0.45)):
        light[INDEX[name]] *= 1 - (1 - least) * np.clip(material / 40, 0, 1)


def _lose(um: Floats, light: Floats, atrophy: Floats, lifted: Floats) -> None:
    """Atrophy takes the photoreceptors and the pigment epithelium; over tall elevations the bands fade."""
    for name, share in _SUNK.items():
        um[INDEX[name]] *= 1 - share * atrophy
    for name in ("ez", "iz", "elm"):
        light[INDEX[name]] *= (1 - 0.8 * atrophy) * (1 - 0.3 * np.clip(lifted / 200, 0, 1))
    light[INDEX["rpe"]] *= (1 - 0.35 * atrophy) * (1 - 0.18 * np.clip(lifted / 150, 0, 1))
    light[INDEX["bruch"]] = light[INDEX["bruch"]] + 0.2 * np.clip(np.maximum(atrophy, lifted / 60), 0, 1)


def _disc(x: Floats, eye: EyeTraits) -> Floats:
    """1 (W,) where the scan line is in the optic disc, falling off over a quarter of a millimetre."""
    anatomy = eye.anatomy
    reach = anatomy.disc_radius**2 - anatomy.disc_y**2
    half = np.sqrt(max(reach, 0.02**2)) / anatomy.disc_ratio
    edge = (anatomy.disc_x - half) * FIELD_MM
    t = np.clip((x - edge) / 0.25 + 0.5, 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def _absorb(um: Floats) -> None:
    """The retina over an elevation yields to it, most in the outer nuclear layer: its surface stays smooth."""
    lift = um[INDEX["sub_rpe"]] + um[INDEX["shrm"]] + um[INDEX["subretinal_fluid"]]
    if lift.max() <= 0:
        return
    excess = lift - 0.94 * _soft(lift, 30)
    for name, share, most in (("onl", 0.56, 0.62), ("opl", 0.08, 0.4), ("inl", 0.12, 0.4), ("ipl", 0.12, 0.35)):
        row = INDEX[name]
        change = share * np.clip(-excess, 0, 40) - np.minimum(share * np.clip(excess, 0, None), most * um[row])
        um[row] = np.maximum(um[row] + _soft(change, 3 if name == "onl" else 7), 0.25 * um[row])
    total = um.sum(axis=0)
    rough = _soft(np.clip(lift / 20, 0, 1), 6) * (_soft(total, 9) - total)
    inner = [INDEX[name] for name in ("nfl", "gcl", "ipl", "inl")]
    um[inner] *= np.clip(1 + rough / np.maximum(um[inner].sum(axis=0), 1), 0.4, 2.0)


def _end_at_disc(um: Floats, light: Floats, x: Floats, disc: Floats, cup_ratio: float) -> Floats:
    """All layers but the nerve fibres end at the disc; these thicken to its rim and sink to the cup.

    Returns:
        how many rows the floor sinks, (W,).
    """
    total = um.sum(axis=0)
    edge = float(x[np.argmax(disc > 0.5)]) if disc.max() > 0.5 else float(x[-1]) + 0.3
    past = x - edge
    rim = 42 * np.exp(-(((past - 0.05) / 0.45) ** 2))
    fall = 0.22 + 0.78 * np.exp(-((np.clip(past - 0.08, 0, None) / (0.72 - 0.5 * cup_ratio)) ** 2))
    um[1:] *= 1 - disc
    um[0] = np.maximum((total + rim) * fall - um[1:].sum(axis=0), 15)
    light[0] = light[0] * (1 - disc) + 0.47 * disc
    return np.asarray(16 * np.clip(past / 0.6, 0, 1.6) ** 1.5, np.float32)


def _floor(x: Floats, tissue: Tissue, um: Floats) -> Floats:
    """The row (W,) of Bruch's membrane's lower face: tilted, bent up at the edges, kept inside the picture."""
    rise = tissue.tilt * x + 0.5 * tissue.bend * x**2 * 2
    rng = np.random.default_rng([tissue.seed, 4])
    row = HEIGHT * tissue.depth - (rise + 5 * _wander(rng, len(x), 5)) / UM_Z
    crown = float((row - um.sum(axis=0) / UM_Z).min())
    sole = float(row.max())
    row += max(0.0, 16 - crown)
    return np.asarray(row - max(0.0, sole + max(0.0, 16 - crown) - (HEIGHT - 60)), np.float32)


def _wander(rng: np.random.Generator, width: int, cells: int) -> Floats:
    """Smooth noise (W,) with standard deviation about 1."""
    coarse = rng.standard_normal((1, cells), dtype=np.float32)
    return np.asarray(cv2.resize(coarse, (width, 1), interpolation=cv2.INTER_CUBIC)[0], np.float32)


def _soft(values: Floats, sigma: float) -> Floats:
    """The values (W,) blurred over `sigma` columns."""
    blurred = cv2.GaussianBlur(np.asarray(values, np.float32)[None], (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred[0], np.float32)
