"""How many lesions a cohort's masks hold, and how large they are: what `eyeground cohort check` shows."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from eyeground.cohorts.masks import find_masks, read_mask
from eyeground.errors import DataError
from eyeground.images.decode import size_of
from eyeground.progress import Track, quiet
from eyeground.records import Cohort


def lesion_counts(cohort: Cohort, track: Track = quiet) -> dict[str, dict[str, Any]]:
    """Per label with masks: lesions are the 8-connected parts of a mask.

    Args:
        cohort: one whose layout has masks.
        track: shows how far it is.

    Returns:
        code to `photographs` (with a mask that is not empty), `lesions` in all, `median` per such photograph, `pixels`
        (the least, median and greatest area of a lesion), `covered` (share of the masks' pixels).

    Raises:
        DataError: no masks, one that can't be read, or one of another size than its photograph.
    """
    masks = find_masks(cohort)
    paths = {(visit.id, eye.side): eye.path for visit in cohort.visits for eye in visit.listed()}
    areas: dict[str, list[np.ndarray]] = {code: [] for code in cohort.vocabulary.codes}
    looked: dict[str, int] = dict.fromkeys(areas, 0)
    for mask in track(masks, "masks", len(masks)):
        path = paths[mask.visit, mask.side]
        drawn = read_mask(mask.path, mask.least) if path is None else mask.read(*size_of(path))
        count, _, stats, _ = cv2.connectedComponentsWithStats(drawn.astype(np.uint8), connectivity=8)
        if count > 1:
            areas[mask.code].append(stats[1:, cv2.CC_STAT_AREA])
            looked[mask.code] += drawn.size
    if not any(areas.values()):
        raise DataError(f"all masks of {cohort.root} are empty; copy them again from their source")
    return {code: _row(found, looked[code]) for code, found in areas.items() if found}


def _row(found: list[np.ndarray], looked: int) -> dict[str, Any]:
    every = np.concatenate(found)
    return {
        "photographs": len(found),
        "lesions": len(every),
        "median": float(np.median([len(one) for one in found])),
        "pixels": [int(every.min()), float(np.median(every)), int(every.max())],
        "covered": float(every.sum() / looked),
    }
