"""The files of `localise`: record, FROC curves, the sheet of peaks, and photographs with hits and misses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyeground.cohorts.lesion_types import LESION_TYPES
from eyeground.files import disk_errors, write_json
from eyeground.metrics.lesion_counts import POOLED, peaks_held
from eyeground.metrics.lesions import Lesions, find_lesions
from eyeground.metrics.map_grid import LesionImage
from eyeground.progress import Track
from eyeground.report.froc_plot import froc_figure
from eyeground.report.lesion_sheet import Drawn, draw_lesions
from eyeground.report.pointed import Spot, pointing_sheet
from eyeground.runs.explained import Explained, Key
from eyeground.runs.lesions import RULES, lesion_images
from eyeground.runs.localise import Localisation
from eyeground.runs.pointings import Pointing

SHOWN, PHOTOGRAPHS = 36, 24
"""Tiles on the sheet of peaks; photographs drawn for each map."""
AT = 4.0
"""False positives per image at which hits and misses are drawn."""


def write_localisation(found: Localisation, folder: Path, track: Track, say: Callable[[str], None]) -> None:
    """Writes everything into a folder.

    Raises:
        DataError: the disk is full or the folder can't be written to.
    """
    with disk_errors(folder):
        write_json(folder / "localisation.json", found.record)
        spots = _spots(found.pointings[0])
        if spots:
            pointing_sheet(spots, folder / "pointing.png")
        else:
            say("no finding has a place of its own: no pointing.png")
        for label, types in found.lesioned.types.items():
            suffix = f"-{label}" if len(found.lesioned.types) > 1 else ""
            _froc(found, label, types, folder / f"froc{suffix}.png")
            for one in found.maps:
                drawn = list(_drawn(found, one, label, types))
                for path, sheet in track(drawn, f"drawing {one.name}", len(drawn)):
                    draw_lesions(sheet(), folder / f"overlays{suffix}" / path)


def _froc(found: Localisation, label: str, types: tuple[str, ...], path: Path) -> None:
    """One panel for each type, and one for all where there are several."""
    rows = [*found.record["maps"], *found.record["floors"]]
    near = [(row["map"], row["lesions"][label]["froc"]["near"]["false"]["any"]) for row in rows]
    curves = [(name, {one["type"]: one for one in part}) for name, part in near]
    counted = {row["type"]: row["n_lesions"] for row in rows[0]["lesions"][label]["types"]}
    kinds = [*types, *([POOLED] if len(types) > 1 else [])]
    titles = [(kind, f"{_title(kind)}\n{counted[kind]} lesions") for kind in kinds if counted[kind]]
    froc_figure(curves, titles, len(found.record["floors"]), path)


def _title(kind: str) -> str:
    if kind == POOLED:
        return "all types"
    return LESION_TYPES[kind].name if kind in LESION_TYPES else kind


def _spots(pointings: tuple[Pointing, ...]) -> list[Spot]:
    """Tiles of findings that have a place, every label in turn, as they come."""
    local = [one for one in pointings if one.result.local]
    by_label = [[one for one in local if one.code == code] for code in dict.fromkeys(one.code for one in local)]
    turns = max(map(len, by_label), default=0)
    mixed = [group[turn] for turn in range(turns) for group in by_label if turn < len(group)]
    chosen = mixed[:SHOWN]
    order = {code: index for index, code in enumerate(dict.fromkeys(one.code for one in local))}
    return [
        Spot(
            one.photograph,
            one.mask.read(one.width, one.height),
            one.at,
            f"{one.code}  {one.photograph.stem}  {'hit' if one.result.hit else 'miss'}",
            one.result.hit,
        )
        for one in sorted(chosen, key=lambda one: order[one.code])
    ]


def _drawn(
    found: Localisation, one: Explained, label: str, types: tuple[str, ...]
) -> Iterator[tuple[str, Callable[[], Drawn]]]:
    """A file name and what makes its picture, for photographs that have lesions of these types."""
    row = next(row for row in found.record["maps"] if row["map"] == one.name)
    near = row["lesions"][label]["froc"]["near"]["false"]["any"]
    threshold = _threshold(next(part["curve"] for part in near if part["type"] == POOLED))
    index = found.labels.index(label)
    images = lesion_images(one, index, types, found.lesioned)
    scale = float(np.quantile(np.concatenate([np.ravel(image.values) for image in images.values()]), 0.995))
    ill = [key for key in images if any(mask.code in types for mask in found.lesioned.masks.get(key, ()))]
    for number, key in enumerate(ill[:PHOTOGRAPHS]):

        def sheet(key: Key = key) -> Drawn:
            return _sheet(images[key], one.eyes[key].entry.path, one, label, threshold, max(scale, 1e-9))

        yield f"{one.name}-{number + 1:02d}-{one.eyes[key].entry.path.stem}.jpg", sheet


def _threshold(curve: dict[str, Any]) -> float:
    """The value of the map at which there are at most `AT` false positives per image."""
    under = [value for fpi, value in zip(curve["fpi"], curve["threshold"], strict=True) if fpi <= AT]
    return float(under[-1]) if under and under[-1] is not None else float("inf")


def _sheet(image: LesionImage, photograph: Path, one: Explained, label: str, threshold: float, scale: float) -> Drawn:
    masks = image.masks()
    lesions = {kind: find_lesions(mask, kind, image) for kind, mask in masks.items()}
    peaks, held = peaks_held(image, lesions, RULES["near"])
    over = peaks.scores >= threshold
    wrong = held.false(POOLED, "any")
    got = {kind: held.best[kind] >= threshold for kind in lesions}
    counts = ", ".join(f"{kind} {int(got[kind].sum())} of {len(got[kind])}" for kind in lesions)
    lines = (
        f"found: {counts or 'nothing to find'}; false positives: {int((over & wrong).sum())}",
        f"threshold {threshold:.3g}, where all photographs together have at most {AT:g} false positives per image; "
        f"colour full at {scale:.3g}, the same for all photographs ({one.unit})",
    )
    size = (image.geometry.height, image.geometry.width)
    return Drawn(
        f"{photograph.stem}: map '{one.name}', evidence for {label}",
        lines,
        photograph,
        image.geometry,
        image.values,
        image.shift,
        scale,
        {kind: _mask_of(lesions[kind], got[kind], size) for kind in lesions},
        {kind: _mask_of(lesions[kind], ~got[kind], size) for kind in lesions},
        peaks.points[over & ~wrong],
        peaks.points[over & wrong],
    )


def _mask_of(lesions: Lesions, keep: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels of some lesions."""
    mask = np.zeros(size, bool)
    chosen = keep[lesions.owner]
    mask[lesions.rows[chosen], lesions.columns[chosen]] = True
    return mask
