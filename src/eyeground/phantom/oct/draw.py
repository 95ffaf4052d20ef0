"""Draws the B-scan of an eye: its tissue, the instrument, and the lesions that its findings call for.

The chance comes from the eye's own seed and from nothing the photograph uses.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eyeground.phantom.oct import lesions
from eyeground.phantom.oct.section import Section
from eyeground.phantom.oct.traits import Exposure, Lesion, ScanTraits, Tissue
from eyeground.phantom.traits import Difficulty, EyeTraits, rounded


def draw(eye: EyeTraits, section: Section, oedema: bool, difficulty: Difficulty) -> ScanTraits:
    """Draws the B-scan of an eye whose scan line crosses `section`; `oedema`: diabetic macular oedema."""
    rng = np.random.default_rng([eye.anatomy.seed, 41])
    tissue = _tissue(rng, eye)
    exposure = _exposure(rng, eye, difficulty)
    own = np.random.default_rng([eye.anatomy.seed, 42])
    found: list[Lesion] = []
    if eye.amd == "wet":
        found = lesions.wet(own, section, difficulty)
    elif eye.amd == "pcv":
        found = lesions.polypoidal(own, section, difficulty)
        tissue = replace(tissue, choroid_um=1.25 * tissue.choroid_um)
    if oedema:
        found += lesions.oedema(own, section, difficulty)
    return ScanTraits(rounded(tissue), rounded(exposure), tuple(rounded(lesion) for lesion in found))


def _tissue(rng: np.random.Generator, eye: EyeTraits) -> Tissue:
    myopic, damaged = "M" in eye.labels, "G" in eye.labels
    bend = max(0.0, rng.normal(11, 7)) + (rng.uniform(12, 35) if myopic else 0.0)
    return Tissue(
        fovea_mm=rng.normal(0, 0.16),
        tilt=rng.normal(0, 26),
        bend=bend,
        depth=rng.normal(0.55, 0.035),
        thickness=float(np.clip(rng.normal(0.98, 0.065), 0.82, 1.15)),
        pit_width=float(np.clip(rng.normal(1, 0.09), 0.78, 1.25)),
        nerve_fibres=float(np.clip(rng.normal(1, 0.1), 0.7, 1.3)) * (rng.uniform(0.45, 0.75) if damaged else 1.0),
        choroid_um=float(np.clip(rng.normal(280, 60), 140, 430)) * (rng.uniform(0.3, 0.6) if myopic else 1.0),
        hyaloid_um=rng.uniform(60, 420) if rng.random() < 0.3 else 0.0,
        seed=int(rng.integers(2**31)),
    )


def _exposure(rng: np.random.Generator, eye: EyeTraits, difficulty: Difficulty) -> Exposure:
    """A quiet averaged scan or a grainy single one; cataract and other opacities take light away."""
    faults = difficulty.faults
    veil = max((finding.strength for finding in eye.of("lens_opacity")), default=0.0)
    grainy = rng.random() < 0.5
    return Exposure(
        gain=rng.uniform(0.9, 1.2) * (1 - 0.28 * min(veil, 1.0)),
        floor=(rng.uniform(0.04, 0.085) if grainy else rng.uniform(0.01, 0.04)) * (0.6 + 0.4 * faults),
        speckle=(rng.uniform(0.15, 0.24) if grainy else rng.uniform(0.06, 0.12)) * (0.6 + 0.4 * faults),
        blur=rng.uniform(0.45, 0.75) + 0.35 * faults * rng.random(),
        reach_um=rng.uniform(85, 280),
        seed=int(rng.integers(2**31)),
    )
