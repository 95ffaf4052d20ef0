"""Maps that know nothing of the photograph: what any table of localisation must show beside its methods."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from eyeground.metrics.map_grid import Floats

FLOORS = ("constant", "centre", "noise")
"""The same everywhere; rising towards the middle of the view; smooth noise, different on each photograph."""


def floor_maps(
    shapes: Sequence[tuple[int, int]], seeds: Sequence[int] = (0, 1, 2), sigma: float = 1.0
) -> dict[str, list[Floats]]:
    """Maps for photographs in the order of `shapes`, to put in the place of a method's.

    Args:
        shapes: (h, w) of each photograph's map: chance depends on how fine a map is.
        seeds: one set of noise maps for each; photograph k of a seed always gets the same noise.
        sigma: of the Gaussian that smooths white noise, in elements (0: white); a spread of 1 is restored.

    Returns:
        "constant", "centre", and "noise-SEED" for each seed: float64 (h, w) for each photograph.
    """
    found: dict[str, list[Floats]] = {"constant": [], "centre": []}
    for h, w in shapes:
        down, across = (np.arange(h) + 0.5) / h - 0.5, (np.arange(w) + 0.5) / w - 0.5
        found["constant"].append(np.zeros((h, w)))
        found["centre"].append(-np.hypot(down[:, None], across[None, :]))
    for seed in seeds:
        found[f"noise-{seed}"] = [_noise(shape, seed, k, sigma) for k, shape in enumerate(shapes)]
    return found


def _noise(shape: tuple[int, int], seed: int, photograph: int, sigma: float) -> Floats:
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(photograph,))))
    white = generator.standard_normal(shape)
    if sigma <= 0:
        return white
    smooth = cv2.GaussianBlur(white, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(smooth * (2 * np.sqrt(np.pi) * sigma), np.float64)
