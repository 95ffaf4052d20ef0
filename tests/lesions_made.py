"""Small photographs with lesions and maps, for the tests of the lesion score."""

from __future__ import annotations

import cv2
import numpy as np

from eyeground.images.geometry import Geometry
from eyeground.metrics.map_grid import LesionImage

SIDE = 256


def whole(width: int = SIDE, height: int = SIDE) -> Geometry:
    """A view that is the whole picture (a square around it)."""
    side = float(max(width, height))
    return Geometry(width, height, (width - side) / 2, (height - side) / 2, side, 64)


def squares(*boxes: tuple[int, int, int], side: int = SIDE) -> np.ndarray:
    """A mask with squares (left, top, length)."""
    mask = np.zeros((side, side), bool)
    for left, top, length in boxes:
        mask[top : top + length, left : left + length] = True
    return mask


def image(values: np.ndarray, masks: dict[str, np.ndarray], name: str = "eye", **more: object) -> LesionImage:
    return LesionImage(name, np.asarray(values, float), whole(), lambda: masks, **more)


def smooth(generator: np.random.Generator, size: int, sigma: float = 1.0) -> np.ndarray:
    return cv2.GaussianBlur(generator.standard_normal((size, size)), (0, 0), sigma)


def set_of(count: int, seed: int = 0, size: int = 32, signal: float = 2.0) -> list[LesionImage]:
    """Photographs with lesions of types A and B in the field, the last two without; maps that know them a little."""
    generator, images = np.random.default_rng(seed), []
    for k in range(count):
        masks = {}
        for kind, length in (("A", 6), ("B", 14)):
            mask = np.zeros((SIDE, SIDE), bool)
            for _ in range(0 if k >= count - 2 else int(generator.integers(1, 5))):
                angle, away = generator.uniform(0, 2 * np.pi), 100 * np.sqrt(generator.uniform())
                x, y = (int(128 + away * one) for one in (np.cos(angle), np.sin(angle)))
                mask[y : y + length, x : x + length] = True
            masks[kind] = mask
        truth = cv2.resize((masks["A"] | masks["B"]).astype(float), (size, size), interpolation=cv2.INTER_AREA)
        images.append(image(smooth(generator, size) + signal * truth, masks, f"eye {k}"))
    return images
